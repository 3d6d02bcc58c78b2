//! Pure protocol cores of the reference node: they decide, and never do I/O.
//!
//! A core is driven through [`Process`] and answers into [`Cx`]; the same core runs on sockets and in the in-memory cluster
//! of this package's tests. [`Sensor`] is the sensor network: a static list of members that elects a leader and keeps one.

mod ballot;
mod config;
mod event;
mod heartbeat;
mod lease;
mod log;
mod machine;
#[cfg(feature = "mistakes")]
mod mistake;
mod priority;
mod process;
mod replica;
mod rooms;
mod sessions;
mod takeover;
mod views;

pub use config::{Config, ConfigError, Founding, Quorum, Takeover, UnknownChoice};
pub use event::{Change, Event, Reason};
pub use machine::{Machine, Sequencer};
#[cfg(feature = "mistakes")]
pub use mistake::Mistake;
pub use priority::{Priority, Ranking};
pub use process::{Answer, Archive, Asker, Cx, Effect, Mark, Process, Refusal};
pub use replica::{Replica, Timer};
pub use rooms::Rooms;

/// One node of the sensor network.
pub type Sensor = Replica<Sequencer>;

/// One node of the chat: the same core, whose messages are numbered room by room.
pub type Chat = Replica<Rooms>;
