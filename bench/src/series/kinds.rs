//! The kinds of failure in a series: what failed in the same way is counted, and shown once.

use dsbench_core::judgement::Judgement;
use dsbench_core::observation::What;
use dsbench_core::verdict::Reason;

use crate::load::seed_text;
use crate::run::{Order, Outcome};

/// More kinds than this of one run are only counted: their texts come from programs, and could be endless.
const MOST: usize = 16;

/// More seeds of one kind than this are not kept.
const SEEDS: usize = 8;

/// One way in which runs under one label were not a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// What they came to.
    pub judgement: Judgement,
    /// What was wrong, without what differs from run to run: `failover is fast`, `step 3 (crash) did not come as expected`.
    pub what: String,
    /// How often.
    pub count: u64,
    /// The first seeds with which it was seen, in order, each once.
    pub seeds: Vec<String>,
    /// The command line that does the first of them again.
    pub reproduce: String,
    /// The directory of the first of them.
    pub run: String,
}

/// The kinds of one label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kinds {
    /// In the order in which they were first seen.
    pub known: Vec<Kind>,
    /// Runs of further kinds.
    pub others: u64,
}

impl Kinds {
    /// Counts a run that is not a pass. True if it is the first of its kind.
    pub fn is_new(&mut self, order: &Order, outcome: &Outcome) -> bool {
        let reproduce = outcome.file.end.as_ref().map_or_else(String::new, |end| end.reproduce.clone());
        self.add(Kind {
            judgement: outcome.judgement,
            what: signature(outcome),
            count: 1,
            seeds: vec![seed_text(order.plan.seed)],
            reproduce,
            run: outcome.store.dir().display().to_string(),
        })
    }

    pub(super) fn add(&mut self, new: Kind) -> bool {
        match self.known.iter().position(|kind| (kind.judgement, &kind.what) == (new.judgement, &new.what)) {
            Some(known) => {
                let kind = &mut self.known[known];
                kind.count += new.count;
                for seed in new.seeds {
                    if kind.seeds.len() < SEEDS && !kind.seeds.contains(&seed) {
                        kind.seeds.push(seed);
                    }
                }
                false
            }
            None if self.known.len() < MOST => {
                self.known.push(new);
                true
            }
            None => {
                self.others += new.count;
                false
            }
        }
    }
}

/// More parts than this of a signature only make it long.
const PARTS: usize = 3;

/// What speaks against a pass most, up to where a reason begins to speak of this run alone. A step that went wrong says more than all
/// that could not be judged after it.
fn signature(outcome: &Outcome) -> String {
    let reasons = || outcome.verdict.reasons.iter().filter(|reason| reason.judgement == outcome.judgement);
    let is_step = |reason: &&Reason| {
        let seen = reason.observation.and_then(|number| outcome.history.get(number));
        seen.is_some_and(|seen| matches!(seen.what, What::Step(_)))
    };
    let steps: Vec<&Reason> = reasons().filter(is_step).collect();
    let told = if steps.is_empty() { reasons().collect() } else { steps };
    let mut parts: Vec<&str> = told.iter().map(|reason| constant(&reason.text)).collect();
    parts.dedup();
    match parts.len() {
        // What weighs more than the verdict is told beside it.
        0 => outcome.judgement.word().to_owned(),
        all if all > PARTS => format!("{}; and {} more", parts[..PARTS].join("; "), all - PARTS),
        _ => parts.join("; "),
    }
}

/// `failover is fast: worst 3.4s of 3s` -> `failover is fast`
fn constant(reason: &str) -> &str {
    let line = reason.lines().next().unwrap_or_default();
    line.split_once(": ").map_or(line, |(constant, _)| constant)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(what: &str, seed: u64) -> Kind {
        Kind {
            judgement: Judgement::Fail,
            what: what.into(),
            count: 1,
            seeds: vec![seed_text(seed)],
            reproduce: format!("dsbench run x.toml --seed {seed}"),
            run: String::new(),
        }
    }

    #[test]
    fn what_differs_from_run_to_run_is_no_kind_of_its_own() {
        assert_eq!(constant("failover is fast: worst 3.4s of 3s"), "failover is fast");
        assert_eq!(constant("the run was cut by its timeout"), "the run was cut by its timeout");
        assert_eq!(constant("peer1 could not be started\nlast words"), "peer1 could not be started");
    }

    #[test]
    fn a_kind_keeps_its_first_reproduction_and_memory_stays_bounded() {
        let mut kinds = Kinds::default();
        for seed in 0..100_000 {
            kinds.add(kind(&format!("kind {}", seed % 100), seed));
        }
        assert_eq!(kinds.known.len(), MOST);
        assert_eq!(kinds.known.iter().map(|kind| kind.count).sum::<u64>() + kinds.others, 100_000);
        assert_eq!((kinds.known[3].count, kinds.known[3].seeds.len()), (1_000, SEEDS));
        assert_eq!(kinds.known[3].reproduce, "dsbench run x.toml --seed 3");
    }
}
