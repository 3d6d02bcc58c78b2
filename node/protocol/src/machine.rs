//! What a committed request does: the one place where an application meets the log.

use std::fmt::Debug;

use dsbench_wire::RequestId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A deterministic machine: every node gives it the same requests in the same order, each of them once, so all are always in the
/// same state. It is saved and restored as its serde form, and cloned only at a start.
pub trait Machine: Clone + Debug + Default + Serialize + DeserializeOwned {
    /// Does a request, and gives the number that people see for it.
    fn apply(&mut self, id: &RequestId, payload: &str) -> u64;
    /// How many requests it has done.
    fn done(&self) -> u64;
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
