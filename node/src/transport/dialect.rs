//! How a system writes: the same messages and answers, with the names and fields that its users know.

use std::fmt::Debug;

use dsbench_protocol::Answer;
use dsbench_wire::{Envelope, Message, NodeId, RequestId};

use crate::messages::Feed;

/// What a transport must be able to write and read. One per system; it decides nothing.
pub trait Dialect: Debug + Send + Sync {
    /// The part of a line that is the same for all receivers.
    fn body(&self, message: &Message) -> String;
    /// The line, its newline included, of what [`body`](Self::body) gave.
    fn line(&self, from: &NodeId, to: &NodeId, body: &str) -> String;
    /// What a line from outside says.
    ///
    /// # Errors
    /// Why it says nothing, as a text for the log.
    fn read(&self, line: &[u8]) -> Result<Said, String>;
    /// The line, its newline included, that tells a client what became of its request, to which it had given this UUID.
    fn told(&self, answer: &Answer, msg_id: Option<&str>) -> String;
    /// What clients can follow, in a system that has it.
    fn feed(&self) -> Option<&Feed> {
        None
    }
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// A node speaks.
    Message(Envelope),
    /// A client asks.
    Asked(Asked),
}

/// What a client wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// That something is delivered to all.
    Request {
        /// Its name, if the client gave it one.
        id: Option<RequestId>,
        /// What it is.
        payload: String,
        /// The UUID that the client knows it by, where it gave one.
        msg_id: Option<String>,
    },
    /// To know who leads.
    Status,
    /// Everything that was delivered after this place in the order, and from then on what comes.
    Follow {
        /// The index of the last delivery that it has.
        after: u64,
    },
    /// Something that makes no sense, as it is told at once.
    Nonsense {
        /// The answer, its newline included.
        told: String,
        /// Why it makes none, for the log.
        reason: String,
    },
}
