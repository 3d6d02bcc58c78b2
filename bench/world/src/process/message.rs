//! What dsbench, its guardian and its keepers say to each other.

use dsbench_core::observation::Exit;
use nix::sys::wait::WaitStatus;
use serde::{Deserialize, Serialize};

use crate::clock::Monotonic;
use crate::lab::Placement;

/// dsbench to the guardian.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Keep a program. With five descriptors: the keeper's channel, the program's description, and its standard input, output and
    /// error.
    Keep(Keep),
    /// Build a laboratory. With two descriptors: its specification, and the channel on which dsbench hears of it.
    Lab,
}

/// Whom to keep, and where.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Keep {
    /// Names the keeper in [`Notice`]s.
    pub(crate) keeper: u64,
    /// Where in the laboratory; none for the host.
    pub(crate) place: Option<Placement>,
}

/// The guardian to dsbench.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Notice {
    /// A keeper could not be forked.
    Refused {
        /// Which.
        keeper: u64,
        /// The system's reason.
        errno: i32,
    },
    /// A keeper died before its work was done; what it kept has been killed.
    Lost {
        /// Which.
        keeper: u64,
        /// When.
        at: Monotonic,
    },
}

/// dsbench to a keeper.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Kill everything.
    Kill,
    /// Send a signal.
    Signal {
        /// Its number.
        signal: i32,
        /// To all descendants too.
        tree: bool,
    },
    /// Stop every thread of every descendant.
    Pause,
    /// Let run what was paused.
    Resume,
}

/// A keeper to dsbench.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// When it happened.
    pub(crate) at: Monotonic,
    /// What happened.
    pub(crate) what: Reported,
}

/// The kinds of [`Report`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reported {
    /// The program is executed; `at` is the instant before, so that nothing it does is earlier.
    Started {
        /// Its process id.
        pid: i32,
    },
    /// The program was not executed. The last report.
    NotStarted {
        /// Why, for people.
        why: String,
        /// The machine refused what any program needs.
        by_machine: bool,
    },
    /// The main program ended.
    Exited {
        /// How.
        exit: Exit,
    },
    /// Children outlived it.
    Leaking {
        /// Their command names.
        children: Vec<String>,
    },
    /// The kernel says that no child is left. The last report.
    Empty,
    /// All are stopped, but for these.
    Paused {
        /// Their command names.
        running: Vec<String>,
    },
    /// All run again.
    Resumed,
    /// A kill has taken long.
    Unkillable {
        /// Command names of those that are still there.
        survivors: Vec<String>,
    },
}

/// How a reaped process ended; none if it has not (stopped, continued).
pub(crate) fn exit_of(status: WaitStatus) -> Option<Exit> {
    match status {
        WaitStatus::Exited(_, code) => Some(Exit::Code(code)),
        WaitStatus::Signaled(_, signal, _) => Some(Exit::Signal(signal as i32)),
        _ => None,
    }
}
