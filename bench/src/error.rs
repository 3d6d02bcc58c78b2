//! What can go wrong outside a verdict, and the exit code that each case has.

use std::path::PathBuf;

/// An error that ends `dsbench` without a verdict. The message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The command line asks for something that is not there or makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The scenario has mistakes.
    #[error("{mistakes}{path}: {errors} error{} in the scenario; nothing was started", if *errors == 1 { "" } else { "s" })]
    Scenario {
        /// What is wrong, with the places; empty if it has been printed.
        mistakes: String,
        /// The file.
        path: String,
        /// How many.
        errors: usize,
    },
    /// Nothing was selected to run.
    #[error("{0}")]
    NothingSelected(String),
    /// The machine does not give what a run needs.
    #[error("{0}")]
    Environment(String),
    /// A file could not be read or written.
    #[error("failed to {doing} {path}", path = path.display())]
    File {
        /// What was tried: `read`, `create`, ...
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A cluster that is up does not do what it was asked for.
    #[error("{0}")]
    Refused(String),
    /// A stored run cannot be used.
    #[error("{0}")]
    StoredRun(String),
    /// The processes of a run could not be controlled: a limit of the machine, or a bug.
    #[error("failed to control the run's processes")]
    World(#[from] dsbench_world::WorldError),
}

impl BenchError {
    /// The process's exit code (see the README's table).
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Scenario { .. } | Self::StoredRun(_) => 2,
            Self::Refused(_) => 1,
            Self::NothingSelected(_) => 4,
            Self::Environment(_) | Self::File { .. } => 5,
            Self::World(error) if error.is_of_machine() => 5,
            Self::World(_) => 70,
        }
    }

    /// For `map_err`: a file operation that failed.
    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }
}

#[cfg(test)]
mod tests {
    use dsbench_core::judgement::EXIT_CODES;

    use super::BenchError;

    #[test]
    fn every_exit_code_is_explained() {
        let io = || std::io::Error::other("x");
        let errors = [
            BenchError::Usage(String::new()),
            BenchError::Scenario { mistakes: String::new(), path: String::new(), errors: 1 },
            BenchError::NothingSelected(String::new()),
            BenchError::Environment(String::new()),
            BenchError::File { doing: "read", path: "x".into(), source: io() },
            BenchError::StoredRun(String::new()),
        ];
        for error in errors {
            let code = error.exit_code();
            assert!(
                EXIT_CODES.iter().any(|(known, _)| *known == code),
                "add {code} to EXIT_CODES in core's judgement.rs"
            );
        }
    }
}
