//! What dsbench, its guardian and the laboratory's process say to each other.

use std::io;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::identity::Mapped;

/// The laboratory's process to the guardian.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToGuardian {
    /// It is in a new user namespace, which has no users yet.
    Unmapped,
    /// With a descriptor of the user namespace.
    Users,
    /// With descriptors of the network, the mounts, the names and the shared memory of one machine.
    Machine {
        /// Its name.
        name: String,
    },
    /// All is there.
    Built,
}

/// The guardian's answer to `Unmapped`: how many users, or the system's reason.
pub(super) type Answer = Result<Mapped, i32>;

/// The laboratory's process to dsbench.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToBench {
    /// The next cable, in the order of the specification: with its descriptor, and `/proc/net/dev` of the machine.
    Cable {
        /// None for a TAP device; else the index of the switch's end.
        index: Option<u32>,
    },
    /// All is there. With a socket that sets the switch's ends up and down, if they are not TAP devices.
    Built {
        /// What is there.
        built: Built,
    },
    /// It cannot be built.
    Failed {
        /// At what.
        at: Step,
        /// What was tried, for people.
        what: String,
        /// The system's reason.
        errno: i32,
    },
    /// The answer to a request, with a socket or the system's reason.
    Socket {
        /// Which.
        id: u64,
        /// 0, or the reason.
        errno: i32,
    },
}

/// What was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Built {
    /// Every port may be bound by everybody.
    pub(crate) low_ports_are_open: bool,
    /// The machines have IPv6.
    pub(crate) has_ip6: bool,
}

/// The parts of building that each need a capability of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// A user namespace.
    Users,
    /// Its map of users.
    Map,
    /// Private mounts.
    Mounts,
    /// Network namespaces and others.
    Machine,
    /// A TAP device.
    Tap,
    /// A pair of devices and a packet socket.
    Packet,
    /// Addresses and routes.
    Network,
    /// A /proc of a machine's own.
    Proc,
    /// Ports below 1024.
    Ports,
}

/// dsbench to the laboratory's process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Wanted {
    /// Make a socket.
    Socket(Socket),
    /// Hear another channel too, which is in the one descriptor.
    Door,
}

/// A stream socket to be made in a machine's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Socket {
    /// Names the answer.
    pub(crate) id: u64,
    /// Whose, by its place in the specification.
    pub(crate) machine: usize,
    /// Of which family.
    pub(crate) is_ip6: bool,
}

/// What the system refused.
#[derive(Debug)]
pub(super) struct Refusal {
    /// What was tried, for people.
    pub(super) what: String,
    /// The system's reason.
    pub(super) errno: Errno,
}

impl Refusal {
    /// Names what was tried.
    pub(super) fn of(what: &str) -> impl FnOnce(Errno) -> Self + use<'_> {
        move |errno| Self { what: what.to_owned(), errno }
    }

    pub(super) fn io(what: &str, error: &io::Error) -> Self {
        Self { what: what.to_owned(), errno: error.raw_os_error().map_or(Errno::EIO, Errno::from_raw) }
    }

    /// As dsbench is told.
    pub(super) fn at(self, at: Step) -> ToBench {
        ToBench::Failed { at, what: self.what, errno: self.errno as i32 }
    }
}
