//! What can go wrong before a node is even asked to run.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;

use nix::errno::Errno;

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

    /// True if the machine does not give what a run needs; false if only a bug of the bench can be the reason.
    pub fn is_of_machine(&self) -> bool {
        match self {
            // What is said of a call that makes no sense, on whatever machine.
            Self::System { source, .. } => !matches!(
                errno(source),
                Some(Errno::EINVAL | Errno::EBADF | Errno::EFAULT | Errno::ENOTSOCK | Errno::ESRCH)
            ),
            Self::Create { .. } | Self::NoPort { .. } | Self::NoGuardian | Self::Lab(_) => true,
            Self::Outside { .. } | Self::Reused { .. } => false,
        }
    }

    /// What can be done about a limit of the machine that was met.
    pub fn remedy(&self) -> Option<&'static str> {
        let (Self::System { source, .. } | Self::Create { source, .. }) = self else { return None };
        match errno(source)? {
            Errno::EMFILE => Some("raise the limit of open files (ulimit -n 4096)"),
            Errno::ENFILE => Some("this machine has as many files open as it can have (sysctl fs.file-max)"),
            Errno::EAGAIN => Some("raise the limit of processes (ulimit -u), or the container's limit of pids"),
            Errno::ENOMEM => Some("this machine, or the container's limit, has no memory left"),
            Errno::ENOSPC | Errno::EDQUOT => Some("the disk is full, or a quota used up"),
            _ => None,
        }
    }

    /// It and its cause, in one line for people.
    pub fn told(&self) -> String {
        self.source().map_or_else(|| self.to_string(), |cause| format!("{self}: {cause}"))
    }
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

/// True if the system refused what any program needs: a process, a descriptor, memory.
pub(crate) fn is_exhausted(errno: Errno) -> bool {
    matches!(errno, Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS | Errno::EAGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_the_machines_doing_and_calls_without_sense_are_ours() {
        let error = |errno| WorldError::system("fork the guardian", errno);
        for errno in [Errno::EMFILE, Errno::EAGAIN, Errno::ENOMEM, Errno::EPERM, Errno::ENOSYS] {
            assert!(error(errno).is_of_machine(), "{errno}");
        }
        for errno in [Errno::EINVAL, Errno::EBADF] {
            assert!(!error(errno).is_of_machine(), "{errno}");
        }
        assert!(error(Errno::EMFILE).remedy().is_some_and(|remedy| remedy.contains("ulimit -n")));
        assert!(error(Errno::EAGAIN).told().starts_with("fork the guardian: Resource temporarily unavailable"));
        assert!(!WorldError::Reused { life: "a/main life 1".into() }.is_of_machine());
    }
}
