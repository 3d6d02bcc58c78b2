//! The I/O shell of the reference node: sockets, disk, clock, terminal and log around the pure cores of `dsbench-protocol`.
//!
//! It is mounted twice: as `dsnode`, and as `dsbench node` inside the bench's own executable, both through [`cli`].

pub mod cli;
pub mod emit;
pub mod messages;
pub mod runtime;
pub mod storage;
pub mod terminal;
pub mod transport;
