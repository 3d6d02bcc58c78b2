//! Who should lead: the one place to change.

use dsbench_wire::NodeId;

/// How the nodes of a system compare: of all that are alive, the one with the greatest [`of`](Self::of) stands for election first.
///
/// To elect by something else (a node's power, its load) add a case; every comparison of nodes in the protocol goes through here, and
/// any total order will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ranking {
    /// Ids compare as text, as the sensor network documents: `peer3 > peer2 > peer1`, and `peer10 < peer2`. The documented tie-break by
    /// port has nothing left to break here, because ids are unique.
    Text,
    /// Ids are numbers and compare as such, as the chat documents: `10 > 9`. What is no number is lower than all that are.
    Number,
}

/// The priority of a node, to compare with another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority<'a>(Option<u64>, &'a str);

impl Ranking {
    /// The priority of `id`.
    #[must_use]
    pub fn of(self, id: &NodeId) -> Priority<'_> {
        match self {
            Self::Text => Priority(None, id.as_str()),
            Self::Number => Priority(id.as_str().parse().ok(), id.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_compare_as_text_or_as_the_numbers_that_they_are() {
        let [two, nine, ten, name]: [NodeId; 4] = ["2", "9", "10", "zoe"].map(|id| id.parse().unwrap());
        assert!(Ranking::Text.of(&ten) < Ranking::Text.of(&two));
        assert!(Ranking::Number.of(&ten) > Ranking::Number.of(&nine));
        assert!(Ranking::Number.of(&name) < Ranking::Number.of(&two));
    }
}
