//! Views: who belongs to the network, agreed on as an entry of the log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Endpoint, NodeId};

/// A node as others know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its name.
    pub id: NodeId,
    /// Where others reach it.
    pub endpoint: Endpoint,
    /// Which of its data directories speaks: random at the first start of a directory, and kept there. A node whose disk was
    /// wiped has another one, and with it neither the votes nor the entries that it once promised to keep. 0 is "not known yet".
    pub incarnation: u64,
}

impl Peer {
    /// What the one with the shortest name and host weighs.
    pub const WEIGHT_MIN: usize = 131;

    /// At least as many bytes as it costs on the wire.
    pub(crate) fn weight(&self) -> usize {
        128 + 2 * self.id.as_str().len() + self.endpoint.host().len()
    }

    /// Whether `incarnation` is this peer, as far as is known.
    #[must_use]
    pub fn is(&self, incarnation: u64) -> bool {
        self.incarnation == 0 || self.incarnation == incarnation
    }
}

/// The members of the network from one entry of the log to the next such entry (Raft's configuration).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Counted from 1; each view has the next number.
    pub id: u64,
    /// Which network, for as long as it lives: the incarnation of its first leader's disk. Two foundings with the same members are two
    /// networks. 0 is "not named yet", as before the first election.
    #[serde(default)]
    pub network: u64,
    /// Who votes, and whose copies count.
    pub members: BTreeMap<NodeId, Peer>,
    /// Who gets everything and counts for nothing, because it still catches up.
    pub learners: BTreeMap<NodeId, Peer>,
}

impl View {
    /// The first view of nodes that know each other's addresses, and nobody's disk.
    #[must_use]
    pub fn of_strangers(members: impl IntoIterator<Item = (NodeId, Endpoint)>) -> Self {
        let peer = |(id, endpoint): (NodeId, Endpoint)| (id.clone(), Peer { id, endpoint, incarnation: 0 });
        Self { id: 1, members: members.into_iter().map(peer).collect(), ..Self::default() }
    }

    /// How many members are a majority: any two majorities share one.
    #[must_use]
    pub fn majority(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// A member or learner.
    #[must_use]
    pub fn peer(&self, id: &NodeId) -> Option<&Peer> {
        self.members.get(id).or_else(|| self.learners.get(id))
    }

    /// Whether `id` votes.
    #[must_use]
    pub fn has_member(&self, id: &NodeId) -> bool {
        self.members.contains_key(id)
    }

    /// At least as many bytes as it costs on the wire.
    #[must_use]
    pub fn weight(&self) -> usize {
        const NETWORK: usize = 32;
        NETWORK + self.peers().map(Peer::weight).sum::<usize>()
    }

    /// Members, then learners.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.members.values().chain(self.learners.values())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_two_two_of_three_three_of_five_are_majorities() {
        let of = |n: usize| {
            let peer = |n: usize| Peer {
                id: format!("peer{n}").parse().unwrap(),
                endpoint: "a:1".parse().unwrap(),
                incarnation: 0,
            };
            let members = (1..=n).map(peer).map(|peer| (peer.id.clone(), peer)).collect();
            View { id: 1, members, ..View::default() }.majority()
        };
        assert_eq!([1, 2, 3, 4, 5].map(of), [1, 2, 2, 3, 3]);
    }
}
