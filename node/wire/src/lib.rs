//! What nodes say to each other, and its bytes. No sockets.
//!
//! One message is one line of JSON, with its documented name in `type`:
//!
//! ```text
//! {"from":"peer1","to":"peer3","type":"ELECTION","term":4}
//! ```
//!
//! `HEARTBEAT`, `HEARTBEAT_ACK`, `ELECTION`, `OK` and `COORDINATOR` are the sensor network's documented messages; the others
//! are what an election that survives faults needs beside them. [`encode`] and [`decode`] are the only way to the bytes and
//! back; what comes from outside may be anything, and is an error with its reason or a well-formed [`Envelope`].

mod codec;
mod message;
mod node_id;

pub use codec::{MAX_LINE, WireError, decode, encode};
pub use message::{Documented, Envelope, Message, Position, Term};
pub use node_id::{IdError, NodeId};
