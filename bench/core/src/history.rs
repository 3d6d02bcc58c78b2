//! The history: every observation of a run, in order, with the indexes that checks need.

use crate::observation::Observation;

/// An append-only list of observations.
#[derive(Debug, Clone, Default)]
pub struct History {
    observations: Vec<Observation>,
}

impl History {
    /// All of it.
    pub fn observations(&self) -> &[Observation] {
        &self.observations
    }
}
