//! Terms and votes: the part of an election that must survive a crash.
//!
//! Raft, section 5.2. The rules are here; that the [`Ballot`] reaches the disk before any answer that depends on it is the
//! order of effects in [`Cx`](crate::Cx).

use dsbench_wire::{Ballot, NodeId, Term};

/// Enters `term`, in which no vote is given yet.
pub(crate) fn enter(ballot: &mut Ballot, term: Term) {
    debug_assert!(term > ballot.term, "terms only grow");
    *ballot = Ballot { term, voted_for: None };
}

/// Whether the one vote of the current term is free for `candidate`, or already its.
pub(crate) fn may_vote_for(ballot: &Ballot, candidate: &NodeId) -> bool {
    ballot.voted_for.as_ref().is_none_or(|given| given == candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_has_one_vote_and_the_next_term_another() {
        let [a, b]: [NodeId; 2] = ["a", "b"].map(|id| id.parse().unwrap());
        let mut ballot = Ballot { term: Term(4), voted_for: Some(a.clone()) };
        assert!(may_vote_for(&ballot, &a), "asked again because the answer was lost: the same answer");
        assert!(!may_vote_for(&ballot, &b));
        enter(&mut ballot, Term(5));
        assert!(may_vote_for(&ballot, &b));
    }
}
