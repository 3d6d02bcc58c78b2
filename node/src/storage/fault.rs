//! What can go wrong below the log, by the name of a file in the data directory.

use std::io;

/// Why the log cannot be used, or used any more.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The system refused.
    Io { action: &'static str, file: String, source: io::Error },
    /// What was durable is not there.
    Damaged(Damage),
    /// It is another node's.
    Foreign { owner: String },
    /// An earlier write failed.
    Unknown,
}

/// Where something is not what was written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) file: String,
    pub(crate) offset: u64,
    pub(crate) reason: String,
}

impl Fault {
    pub(super) fn io(action: &'static str, file: &str, source: io::Error) -> Self {
        Self::Io { action, file: file.to_owned(), source }
    }

    pub(super) fn damage(file: &str, offset: u64, reason: &str) -> Self {
        Self::Damaged(Damage { file: file.to_owned(), offset, reason: reason.to_owned() })
    }
}
