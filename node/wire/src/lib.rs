//! What nodes say to each other and keep on their disks, and the bytes of it. No sockets, no files.
//!
//! One message is one line of JSON, with its documented name in `type`:
//!
//! ```text
//! {"from":"peer1","to":"peer3","type":"ELECTION","term":4}
//! ```
//!
//! `NEW_PEER_REQUEST`, `ADDED TO NETWORK`, `VIEW_CHANGE`, `HEARTBEAT`, `HEARTBEAT_ACK`, `ELECTION`, `OK`, `COORDINATOR` and
//! `SEQUENCER_REQUEST` are the sensor network's documented messages; the others are what a network that survives faults needs
//! beside them. [`encode`] and [`decode`] are the only way to the bytes and back; what comes from outside may be anything, and
//! is an error with its reason or a well-formed [`Envelope`].

pub mod chat;
mod codec;
mod endpoint;
mod entry;
mod message;
mod node_id;
mod request;
pub mod room;
mod text;
mod view;

pub use codec::{MAX_LINE, WireError, decode, encode};
pub use endpoint::{Endpoint, EndpointError};
pub use entry::{Ballot, Content, Entry, PAYLOAD_MAX, Record, Recovered, Snapshot};
pub use message::{Documented, Envelope, Message, Position, Term};
pub use node_id::{IdError, NodeId};
pub use request::{ClientId, RequestId, RequestIdError};
pub use room::{RoomError, RoomId};
pub use text::is_invisible;
pub use view::{Peer, View};
