//! What a log holds, and what a disk is asked to keep.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{ClientId, NodeId, Position, RequestId, Term, View};

/// The longest payload of a request, in bytes.
pub const PAYLOAD_MAX: usize = 32 * 1024;

/// One entry of the replicated log. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place, counted from 1.
    pub index: u64,
    /// The term of the leader that made it, for ever. 0 only for a founding view.
    pub term: Term,
    /// What it says.
    pub content: Content,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Nothing: a new leader's first entry, with which it commits its predecessors' (Raft, 5.4.2).
    NoOp,
    /// Who belongs to the network from here on. In force as soon as it is in a log (Ongaro's thesis, 4.1), told once committed.
    View(Arc<View>),
    /// A request, to be done once.
    Command {
        /// Whose.
        id: RequestId,
        /// What it asks for. At most [`PAYLOAD_MAX`] bytes.
        payload: Arc<str>,
    },
}

impl Entry {
    /// Where it is.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { term: self.term, index: self.index }
    }

    /// About how many bytes it costs in memory and on the wire; never 0.
    #[must_use]
    pub fn weight(&self) -> usize {
        match &self.content {
            Content::NoOp => Self::FRAME,
            Content::View(view) => Self::FRAME + view.weight(),
            Content::Command { id, payload } => escaped_len(id.client.as_str()) + Self::payload_weight(payload),
        }
    }

    /// What an entry with this payload weighs, but for its client's name.
    #[must_use]
    pub fn payload_weight(payload: &str) -> usize {
        Self::FRAME + escaped_len(payload)
    }

    /// All of an entry but its texts, with the longest numbers.
    const FRAME: usize = 144;
}

/// The bytes of `text` within a JSON string.
fn escaped_len(text: &str) -> usize {
    text.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
            0..=31 => 6,
            _ => 1,
        })
        .sum()
}

/// What a node must find again after a crash, so that it never votes twice in a term (Raft, 5.2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ballot {
    /// The highest term that the node has heard of.
    pub term: Term,
    /// To whom its vote of that term went.
    pub voted_for: Option<NodeId>,
}

/// The state that all entries up to a position have led to, in place of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The last entry that it covers. It is committed.
    pub at: Position,
    /// The view in force there.
    pub view: Arc<View>,
    /// The state itself, in the core's own words.
    pub state: Arc<str>,
}

/// One thing for the disk. Records are appended, in order, and several may share an fsync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The first start of a directory: who lives here.
    Identity {
        /// See [`Peer::incarnation`](crate::Peer::incarnation).
        incarnation: u64,
    },
    /// The promise to help nobody else to found a network.
    Pledge {
        /// To whom it was given.
        to: NodeId,
    },
    /// Own requests may be numbered below this. Reserved in blocks, so that no life of a node reuses a number.
    Serials {
        /// What the node calls itself in them.
        client: ClientId,
        /// The first number that is not reserved yet.
        below: u64,
    },
    /// Replaces the ballot before it.
    Ballot(Ballot),
    /// The entry at its index; replaces the one that was there **and everything after it**.
    Entry(Entry),
    /// The deliveries up to this index were told. Worth no fsync of its own: it is written with the next one.
    Applied {
        /// The last such index.
        index: u64,
    },
    /// The state at an index that the log has. The log stays; entries that it covers may be dropped where the retention does
    /// not ask for them, and none after it.
    Checkpoint(Snapshot),
    /// A snapshot from the leader, in place of the whole log: everything before it and after it is gone.
    Install(Snapshot),
}

/// What a node finds when it starts; all empty the first time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Of the last [`Record::Identity`].
    pub incarnation: Option<u64>,
    /// Of the last [`Record::Pledge`].
    pub pledge: Option<NodeId>,
    /// Of the last [`Record::Serials`].
    pub client: Option<ClientId>,
    /// Of the last [`Record::Serials`].
    pub serials_below: u64,
    /// The last ballot.
    pub ballot: Ballot,
    /// The last checkpoint or installed snapshot.
    pub snapshot: Option<Snapshot>,
    /// The first entry that the log still has; one after [`last`](Self::last) when it has none.
    pub first: u64,
    /// The last entry of the log, or where the snapshot ends when nothing follows it.
    pub last: Position,
    /// Of the last [`Record::Applied`]. An installed snapshot may be later: that it was told is not known then.
    pub applied: u64,
    /// How many bytes at the end were cut off because a crash had left them half-written.
    pub torn: u64,
}

impl Recovered {
    /// Whether this directory was never used.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.incarnation.is_none()
    }
}
