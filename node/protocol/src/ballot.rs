//! Terms and votes: the part of an election that must survive a crash.

use dsbench_wire::{NodeId, Term};
use serde::{Deserialize, Serialize};

/// What a node must find again after a crash, so that it never votes twice in a term.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durable {
    /// The highest term that the node has heard of.
    pub term: Term,
    /// To whom its vote of that term went.
    pub voted_for: Option<NodeId>,
}
