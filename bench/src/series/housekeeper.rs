//! The audience that keeps the stored runs few: what is too old goes while the series goes on.

use std::collections::BTreeMap;

use super::{Audience, Tally};
use crate::report::terminal::{clean, say};
use crate::run::{Order, Outcome};
use crate::store::Retention;

/// Looks after so many runs of a scenario, and at the end: to look costs time, and a few runs more do not hurt.
const EVERY: u64 = 20;

/// Removes old runs of the scenarios that are run.
#[derive(Debug)]
pub struct Housekeeper {
    retention: Retention,
    /// Where the runs of a scenario are stored, and how many were made since somebody looked.
    scenarios: BTreeMap<String, (std::path::PathBuf, u64)>,
    removed: u64,
}

impl Housekeeper {
    /// One who keeps so much.
    pub fn new(retention: Retention) -> Self {
        Self { retention, scenarios: BTreeMap::new(), removed: 0 }
    }

    fn look_at(&mut self, scenario: &str, logs: &std::path::Path) {
        let (removed, failures) = self.retention.enforce(logs, scenario);
        self.removed += removed;
        for failure in failures {
            let cause = std::error::Error::source(&failure).map(|cause| format!(": {cause}")).unwrap_or_default();
            say!("warning: {}", clean(&format!("{failure}{cause}")));
        }
    }
}

impl Audience for Housekeeper {
    fn run_ended(&mut self, order: &Order, _: &Outcome) {
        let scenario = order.plan.scenario.name.to_string();
        let (_, made) = self.scenarios.entry(scenario.clone()).or_insert_with(|| (order.logs.clone(), 0));
        *made += 1;
        if made.is_multiple_of(EVERY) {
            self.look_at(&scenario, &order.logs);
        }
    }

    fn ended(&mut self, _: &Tally) {
        for (scenario, (logs, _)) in std::mem::take(&mut self.scenarios) {
            self.look_at(&scenario, &logs);
        }
        if self.removed > 0 {
            let (removed, plural) = (self.removed, if self.removed == 1 { "" } else { "s" });
            say!("{removed} old run{plural} removed from logs/runs (what stays: dsbench run --help, --keep-runs)");
        }
    }
}
