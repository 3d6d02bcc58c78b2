//! The laboratory: a machine of its own for every node, made of namespaces, without root.
//!
//! ```text
//! dsbench ── guardian ─┬─ lab      makes the namespaces, then sockets inside of them on request
//!    │                 ├─ keeper   pid 1 of a life: in the endpoint's namespaces, and in a new one for processes
//!    └── ports ────────┴─ ...      the other end of each endpoint's eth0, which the switch reads and writes
//! ```
//!
//! dsbench and the guardian stay where they were, so a program without a place runs as it always did. What holds the namespaces are the
//! guardian's descriptors and the processes in them: when these are gone, so are namespaces, links and mounts.

mod build;
mod builder;
mod cable;
mod capability;
mod error;
mod identity;
mod ioctl;
mod link;
mod message;
mod mounts;
mod namespaces;
mod netlink;
mod place;
mod spec;
mod sysctl;
mod trial;

pub use build::Lab;
pub(crate) use build::Porter;
pub use cable::{Cable, CableKind, Plug};
pub use capability::CAPABILITIES;
pub(crate) use capability::become_user;
pub use error::LabError;
pub(crate) use identity::Owner;
pub use identity::User;
pub(crate) use message::{Socket, ToBench};
pub(crate) use mounts::own_proc;
pub(crate) use namespaces::Namespaces;
pub use place::Place;
pub(crate) use place::Placement;
pub use spec::{EndpointSpec, LabSpec, LinkKind};
pub use trial::{LAB_PARTS, LabPart, LabTrial, lab_trial};
