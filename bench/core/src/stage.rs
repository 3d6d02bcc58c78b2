//! The stages of a run: the setup, the steps, the teardown. Each has steps of its own, which are counted from 1.

/// A stage, in the order in which they run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// `[[setup]]`: sets the scene, before the run's clock starts. What it does is no fault, and what it misses is inconclusive.
    Setup,
    /// `[[steps]]`: what the run is about.
    #[default]
    Main,
    /// `[[teardown]]`: on every end, when nothing is judged any more.
    Teardown,
}

impl Stage {
    /// Every stage, in the order in which they run.
    pub const ALL: [Self; 3] = [Self::Setup, Self::Main, Self::Teardown];

    /// The key under which a scenario has its steps.
    pub fn key(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Main => "steps",
            Self::Teardown => "teardown",
        }
    }

    /// How people call one step of it, by its number from 1: `step 3`, `setup 1`.
    pub fn label(self, number: usize) -> String {
        match self {
            Self::Setup => format!("setup {number}"),
            Self::Main => format!("step {number}"),
            Self::Teardown => format!("teardown {number}"),
        }
    }
}
