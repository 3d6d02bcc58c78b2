//! `dsbench explain`: what every word of the language means, said from the tables that the program itself works with.
//!
//! Nothing is written twice. A key, a verb, a check and a code are explained by their own declaration; examples are pieces of the files
//! with which the reader is tested. [`reference`] is all of it as one document.

mod example;
mod find;
mod keys;
mod reference;
mod words;

pub use self::example::{BadFile, GOOD, Sample};
pub use self::find::{Found, find};
pub use self::reference::reference;

/// What kind of word it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chapter {
    /// A key of a table.
    Key,
    /// What a step does.
    Verb,
    /// What an invariant demands.
    Check,
    /// A key of a condition.
    Condition,
    /// Whom a step acts on or a check looks at.
    Target,
    /// What is replaced in commands and files.
    Placeholder,
    /// What a value looks like.
    Value,
    /// What checks count faults by.
    Trigger,
    /// An event of a preset.
    Event,
    /// How dsbench ends.
    ExitCode,
    /// What is wrong with a scenario.
    Code,
}

impl Chapter {
    /// All of them, in the order of the reference.
    pub const ALL: &[Self] = &[
        Self::Key,
        Self::Verb,
        Self::Check,
        Self::Condition,
        Self::Target,
        Self::Placeholder,
        Self::Value,
        Self::Trigger,
        Self::Event,
        Self::ExitCode,
        Self::Code,
    ];

    /// How one of its words is called: "a verb".
    pub fn one(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Verb => "verb of a step",
            Self::Check => "check of an invariant",
            Self::Condition => "key of a condition",
            Self::Target => "target",
            Self::Placeholder => "placeholder",
            Self::Value => "value",
            Self::Trigger => "trigger of a check",
            Self::Event => "event of a preset",
            Self::ExitCode => "exit code",
            Self::Code => "mistake in a scenario",
        }
    }

    /// Its heading.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Key => "Keys",
            Self::Verb => "Verbs",
            Self::Check => "Checks",
            Self::Condition => "Conditions",
            Self::Target => "Targets",
            Self::Placeholder => "Placeholders",
            Self::Value => "Values",
            Self::Trigger => "Triggers",
            Self::Event => "Events of presets",
            Self::ExitCode => "Exit codes",
            Self::Code => "Mistakes",
        }
    }
}

/// One word of the language, explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What kind of word it is.
    pub chapter: Chapter,
    /// As one would ask for it: `kill`, `nodes.ready`, `{addr}`, `DS0101`.
    pub name: String,
    /// What it means, in a sentence.
    pub summary: String,
    /// The rest of what is to be said.
    pub parts: Vec<Part>,
    /// True for keys that this version knows and refuses.
    pub is_refused: bool,
}

/// A piece of an explanation. Texts have code between backticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A paragraph.
    Text(String),
    /// Names and what they mean, one row each.
    Rows(String, Vec<(String, String)>),
    /// Lines of a scenario, under a word or two.
    Example(String, String),
}

/// Every word of the language, by chapter, in the order of its table.
pub fn all() -> Vec<Entry> {
    let mut all = words::entries();
    all.extend(keys::entries());
    all.sort_by_key(|entry| entry.chapter);
    all
}
