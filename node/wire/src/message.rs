//! The messages of the sensor network's election, with their documented names.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A node's id as its user chose it: `peer1`. Ordered as text, which is the documented priority.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub String);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A period with at most one leader (Raft's term). 0 is before the first election.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Term(pub u64);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A message with its sender and the sender's term, as it stands on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Who sent it.
    pub from: NodeId,
    /// What it says.
    #[serde(flatten)]
    pub message: Message,
}

/// Everything that a sensor node says to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Message {
    /// The leader is alive.
    #[serde(rename = "HEARTBEAT")]
    Heartbeat {
        /// The leader's term.
        term: Term,
    },
}
