//! Processes: a guardian, a keeper for each life, and the programs that they keep.
//!
//! ```text
//! dsbench ── guardian ─┬─ keeper (peer1, life 1) ── its program ── whatever that starts
//!                      └─ keeper (peer2, life 1) ── ...
//! ```

mod channel;
mod freeze;
mod guardian;
mod keeper;
mod message;
mod program;
mod seat;
mod spec;
mod sweep;
pub(crate) mod sys;
pub(crate) mod tree;

pub(crate) use channel::{Channel, Received};
pub use guardian::Guardian;
pub(crate) use guardian::in_memory;
pub(crate) use message::{Notice, Order, Report, Reported};
pub use spec::{ExecInput, ExecSpec, FollowSpec, HttpGet, ProbeSpec, Program, SpawnSpec};
pub(crate) use sys::fork;
