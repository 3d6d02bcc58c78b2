//! What nodes say to each other, and its bytes. No sockets.
//!
//! One message is one line of JSON. The message names are the documented ones of the sensor network:
//! `HEARTBEAT`, `HEARTBEAT_ACK`, `ELECTION`, `OK`, `COORDINATOR`.

mod message;

pub use message::{Envelope, Message, NodeId, Term};
