//! What can go wrong outside a verdict, and the exit code that each case has.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use dsbench_core::judgement::BUG;
use serde::{Deserialize, Serialize};

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
    /// What went wrong in the process that makes one of several runs side by side.
    #[error(transparent)]
    Told(#[from] Told),
}

/// An error as another process tells it: everything that is done with an error here can be done with it there.
#[derive(Debug, Serialize, Deserialize)]
pub struct Told {
    message: String,
    cause: Option<Box<Self>>,
    exit_code: u8,
    help: Option<String>,
    ends_series: bool,
}

impl Told {
    /// An error of this process, for another one.
    pub(crate) fn of(error: &BenchError) -> Self {
        let about = |message: String| Self {
            message,
            cause: None,
            exit_code: error.exit_code(),
            help: None,
            ends_series: error.ends_series(),
        };
        let mut causes = Vec::new();
        let mut cause = error.source();
        while let Some(why) = cause {
            causes.push(why.to_string());
            cause = why.source();
        }
        let chain = |below: Option<Box<Self>>, why| Some(Box::new(Self { cause: below, ..about(why) }));
        Self { cause: causes.into_iter().rev().fold(None, chain), help: error.help(), ..about(error.to_string()) }
    }

    /// The process that makes a run has ended without a word of what came of it.
    pub(crate) fn silent(message: String, exit_code: u8) -> Self {
        Self { message, cause: None, exit_code, help: None, ends_series: exit_code == BUG }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Told {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
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
            Self::World(_) => BUG,
            Self::Told(told) => told.exit_code,
        }
    }

    /// What to do about it, where the message does not say so.
    pub(crate) fn help(&self) -> Option<String> {
        match self {
            Self::World(error) if error.is_of_machine() => {
                let remedy = error.remedy().map(|remedy| format!("{remedy}; ")).unwrap_or_default();
                Some(format!("{remedy}dsbench doctor says what a run needs from this machine"))
            }
            Self::File { doing: "create", source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                Some("runs are stored in ./logs; start dsbench in a directory that you may write to".into())
            }
            Self::Told(told) => told.help.clone(),
            _ => None,
        }
    }

    /// True if the runs that would follow have no chance either: the processes of a run cannot be controlled here.
    pub(crate) fn ends_series(&self) -> bool {
        match self {
            Self::Environment(_) | Self::File { .. } => false,
            Self::Told(told) => told.ends_series,
            _ => true,
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

    use std::error::Error as _;

    use super::{BenchError, Told};

    #[test]
    fn an_error_of_another_process_says_all_that_it_said_there() {
        let io = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let error = BenchError::File { doing: "create", path: "x".into(), source: io };
        let line = serde_json::to_string(&Told::of(&error)).unwrap();
        let told = BenchError::Told(serde_json::from_str(&line).unwrap());
        assert_eq!(told.to_string(), error.to_string());
        assert_eq!(told.source().unwrap().to_string(), error.source().unwrap().to_string());
        assert_eq!((told.exit_code(), told.help(), told.ends_series()), (5, error.help(), false));
        assert!(told.help().is_some() && told.source().unwrap().source().is_none());
    }

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
