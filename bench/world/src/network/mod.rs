//! The switch between all endpoints of the laboratory: a thread that reads and writes their ports.
//!
//! What becomes of a frame is decided by the pure [`Fabric`](dsbench_core::network::Fabric); here are only sockets, time and files. The
//! thread waits on its ports, its mailbox and the next frame that is due, and uses no CPU in between.

mod joining;
mod losses;
mod port;
mod record;
mod switch;
mod thread;

pub use port::{Carrier, Port, PortKind};
pub use switch::{Switch, SwitchConfig};
