//! What can go wrong before a node is even asked to run.

use std::io;
use std::path::PathBuf;

/// Failures of the bench's own machinery. What becomes of a node is never one of these: that is a [`Happening`](crate::Happening).
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The system refused something that the bench needs.
    #[error("{what}")]
    System {
        /// What was tried, beginning in lower case ("fork the guardian").
        what: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A file or directory could not be made.
    #[error("create {}", .path.display())]
    Create {
        /// Which one.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A path of a node's file leads out of its data directory.
    #[error("file {path:?} must stay inside the node's data directory (relative, without ..)")]
    Outside {
        /// The path as given.
        path: PathBuf,
    },
    /// The same life was started twice.
    #[error("{life} was started before; each start needs a new life")]
    Reused {
        /// Which one.
        life: String,
    },
    /// No port is left.
    #[error("no free port on 127.0.0.1 between {low} and {high}")]
    NoPort {
        /// Lowest port considered.
        low: u16,
        /// Highest port considered.
        high: u16,
    },
    /// A program cannot have the place that it should.
    #[error(transparent)]
    Lab(#[from] crate::lab::LabError),
    /// The guardian is gone.
    #[error("the guardian process of this run is gone")]
    NoGuardian,
}

impl WorldError {
    pub(crate) fn system(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::System { what: what.into(), source: source.into() }
    }
}
