//! Terms and votes: the part of an election that must survive a crash.
//!
//! Raft, section 5.2. The rules are here; that [`Durable`] reaches the disk before any answer that depends on it is the order
//! of effects in [`Cx`](crate::Cx).

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

impl Durable {
    /// Enters `term`, in which no vote is given yet.
    pub(crate) fn enter(&mut self, term: Term) {
        debug_assert!(term > self.term, "terms only grow");
        *self = Self { term, voted_for: None };
    }

    /// Whether the one vote of the current term is free for `candidate`, or already its.
    pub(crate) fn may_vote_for(&self, candidate: &NodeId) -> bool {
        self.voted_for.as_ref().is_none_or(|given| given == candidate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_has_one_vote_and_the_next_term_another() {
        let [a, b]: [NodeId; 2] = ["a", "b"].map(|id| id.parse().unwrap());
        let mut durable = Durable { term: Term(4), voted_for: Some(a.clone()) };
        assert!(durable.may_vote_for(&a), "asked again because the answer was lost: the same answer");
        assert!(!durable.may_vote_for(&b));
        durable.enter(Term(5));
        assert!(durable.may_vote_for(&b));
    }
}
