//! One of the runs that a command line means: a scenario with its values decided, ready to be planned again and again.

use std::path::Path;
use std::sync::Arc;

use dsbench_core::plan::Plan;
use dsbench_core::scenario::{Asked, Choice};

use crate::error::BenchError;
use crate::load::{Source, fresh_seed};
use crate::run::{Host, Order};
use crate::store::Keep;

/// A scenario, and which of its runs.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The scenario.
    pub source: Arc<Source>,
    /// The scenario's name.
    pub scenario: String,
    /// What people call the run: `leader-election[nodes.count=5]`.
    pub label: String,
    /// Which of the scenario's runs it is.
    pub choice: Choice,
    /// What it shows.
    pub description: String,
    /// Words to select it by.
    pub tags: Vec<String>,
    /// The seed of every repetition; a fresh one each time if there is none.
    pub seed: Option<u64>,
}

impl Selected {
    /// Every run of a scenario, each without a mistake; all mistakes are shown.
    pub fn all(source: Source, asked: &Asked, seed: Option<u64>) -> Result<Vec<Self>, BenchError> {
        let source = Arc::new(source);
        let mut all = Vec::new();
        source.suite(asked, |variation, scenario| {
            all.push(Self {
                source: source.clone(),
                scenario: scenario.name.to_string(),
                label: variation.label.clone(),
                choice: variation.choice.clone(),
                description: scenario.description,
                tags: scenario.tags,
                seed: seed.or(scenario.seed),
            });
        })?;
        Ok(all)
    }

    /// The run that was chosen before, with its seed.
    pub fn exactly(source: Source, choice: Choice, seed: u64) -> Result<Self, BenchError> {
        let scenario = source.plan(&choice, Some(seed))?.scenario;
        Ok(Self {
            scenario: scenario.name.to_string(),
            label: choice.label(&scenario.name),
            description: scenario.description,
            tags: scenario.tags,
            seed: Some(seed),
            choice,
            source: Arc::new(source),
        })
    }

    /// The order for one repetition of it, planned anew.
    pub(crate) fn order(&self, logs: &Path, index: usize, round: u64) -> Order {
        // Its mistakes and warnings were shown when it was selected; the text is still the same.
        let scenario = self.source.scenario(&self.choice).expect("what was selected has no mistakes");
        let plan = Plan::new(scenario, self.seed.unwrap_or_else(fresh_seed));
        Order {
            source: self.source.clone(),
            plan,
            label: self.label.clone(),
            choice: self.choice.clone(),
            logs: logs.to_owned(),
            keep: Keep::default(),
            pcap: false,
            index,
            round,
            jobs: 1,
            host: Host::Own,
        }
    }
}

/// Names the file beside labels that two files share.
pub fn distinguish(runs: &mut [Selected]) {
    let mut labels: Vec<(String, usize)> = runs.iter().enumerate().map(|(at, run)| (run.label.clone(), at)).collect();
    labels.sort();
    for same in labels.chunk_by(|(a, _), (b, _)| a == b).filter(|same| same.len() > 1) {
        for (_, at) in same {
            let run = &mut runs[*at];
            run.label = format!("{} ({})", run.label, run.source.path.display());
        }
    }
}
