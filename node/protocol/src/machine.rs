//! What a committed request does: the one place where an application meets the log.

use std::fmt::Debug;
use std::sync::Arc;

use dsbench_wire::room::Header;
use dsbench_wire::{NodeId, RequestId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::priority::{Priority, Ranking};

/// A deterministic machine: every node gives it the same requests in the same order, each of them once, so all are always in the
/// same state. It is saved and restored as its serde form, and cloned only at a start.
pub trait Machine: Clone + Debug + Default + Serialize + DeserializeOwned {
    /// How its nodes compare when one shall lead.
    const RANKING: Ranking = Ranking::Text;

    /// Does a request, and gives the number that people see for it.
    fn apply(&mut self, id: &RequestId, payload: &str) -> u64;
    /// How many requests it has done.
    fn done(&self) -> u64;

    /// What people see of a request: the room that it is for, in a system that has rooms, with what its client said of itself; and its text.
    #[must_use]
    fn shown(payload: &Arc<str>) -> (Option<Header>, Arc<str>) {
        (None, Arc::clone(payload))
    }

    /// The priority of a node.
    #[must_use]
    fn priority(id: &NodeId) -> Priority<'_> {
        Self::RANKING.of(id)
    }
}

/// The sensor network's machine: deliveries are numbered from 1, without a gap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequencer {
    delivered: u64,
}

impl Machine for Sequencer {
    fn apply(&mut self, _id: &RequestId, _payload: &str) -> u64 {
        self.delivered += 1;
        self.delivered
    }

    fn done(&self) -> u64 {
        self.delivered
    }
}
