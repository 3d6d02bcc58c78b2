//! One of the runs that a command line means: a scenario with its values decided, ready to be planned again and again.

use std::path::Path;
use std::sync::Arc;

use dsbench_core::plan::Plan;
use dsbench_core::scenario::Override;

use crate::load::{Source, fresh_seed};
use crate::run::Order;

/// A scenario, and what is changed in it.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The scenario.
    pub source: Arc<Source>,
    /// What people call the run: `leader-election[nodes.count=5]`.
    pub label: String,
    /// The values that are changed: `nodes.count=5`.
    pub set: Vec<String>,
    /// The same, read.
    pub overrides: Vec<Override>,
    /// The seed of every repetition; a fresh one each time if there is none.
    pub seed: Option<u64>,
}

impl Selected {
    /// The order for one repetition of it, planned anew.
    pub(crate) fn order(&self, logs: &Path, index: usize, round: u64) -> Order {
        // Its mistakes and warnings were shown when it was selected; the text is still the same.
        let scenario = self.source.parse_quietly(&self.overrides).expect("what was selected has no mistakes");
        let plan = Plan::new(scenario, self.seed.unwrap_or_else(fresh_seed));
        Order {
            source: self.source.clone(),
            plan,
            label: self.label.clone(),
            set: self.set.clone(),
            logs: logs.to_owned(),
            index,
            round,
        }
    }
}
