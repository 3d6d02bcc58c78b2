//! What a series comes to: counts for each of its runs, and the one exit code.

use dsbench_core::confidence;
use dsbench_core::judgement::{BUG, Judgement};

use super::kinds::{Kind, Kinds};
use super::{Rounds, Series};
use crate::error::BenchError;
use crate::load::seed_text;
use crate::run::{Order, Outcome};

/// The results of a series so far. Its size depends on the runs that were selected, not on how often they are made.
#[derive(Debug, Default)]
pub struct Tally {
    /// One for each selected run, in order.
    pub records: Vec<Record>,
    /// How many runs were asked for; none if time decides.
    pub planned: Option<u64>,
    /// The exit code of the last run that could not take place.
    impossible: Option<u8>,
    /// The worst that a run came to.
    worst: Option<Judgement>,
}

/// All repetitions of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// What people call it.
    pub label: String,
    /// Repetitions that passed.
    pub passed: u64,
    /// That failed.
    pub failed: u64,
    /// That have a verdict, and it is neither: inconclusive, or the environment's fault.
    pub undecided: u64,
    /// That a signal cut short.
    pub interrupted: u64,
    /// That could not take place.
    pub impossible: u64,
    /// The time that all of them took together, in milliseconds.
    pub milliseconds: u64,
    /// In which ways they were not a pass.
    pub kinds: Kinds,
}

impl Tally {
    /// Nothing was run yet.
    pub(crate) fn new(series: &Series) -> Self {
        let record = |label: &String| Record { label: label.clone(), ..Record::default() };
        let records = series.runs.iter().map(|run| record(&run.label)).collect();
        Self { records, planned: series.planned(), ..Self::default() }
    }

    /// A run has a verdict.
    pub(super) fn ended(&mut self, order: &Order, outcome: &Outcome) {
        let record = &mut self.records[order.index];
        record.count(outcome.judgement);
        let seconds = outcome.file.end.as_ref().map_or(0.0, |end| end.seconds);
        record.milliseconds = record.milliseconds.saturating_add((seconds * 1000.0) as u64);
        if outcome.judgement != Judgement::Pass {
            record.kinds.is_new(order, outcome);
        }
        self.worst = self.worst.max(Some(outcome.judgement));
    }

    /// A run could not take place.
    pub(super) fn could_not_run(&mut self, order: &Order, error: &BenchError) {
        let record = &mut self.records[order.index];
        record.impossible += 1;
        record.kinds.add(Kind {
            judgement: Judgement::Environment,
            what: error.to_string(),
            count: 1,
            seeds: vec![seed_text(order.plan.seed)],
            reproduce: order.reproduce(),
            run: String::new(),
        });
        self.impossible = Some(error.exit_code());
    }

    /// No run can be made, for a reason with this exit code.
    pub(super) fn broken(&mut self, exit_code: u8) {
        self.impossible = Some(exit_code);
    }

    /// A signal came between two runs.
    pub(super) fn interrupted(&mut self, signal: i32) {
        self.worst = self.worst.max(Some(Judgement::Interrupted { signal }));
    }

    /// How many runs were begun.
    pub fn begun(&self) -> u64 {
        self.records.iter().map(Record::begun).sum()
    }

    /// How many passed.
    pub fn passed(&self) -> u64 {
        self.records.iter().map(|record| record.passed).sum()
    }

    /// How many failed.
    pub fn failed(&self) -> u64 {
        self.records.iter().map(|record| record.failed).sum()
    }

    /// Runs that have a verdict, and it is neither a pass nor a failure.
    pub fn undecided(&self) -> u64 {
        self.records.iter().map(|record| record.undecided + record.interrupted).sum()
    }

    /// Runs that could not take place.
    pub fn impossible(&self) -> u64 {
        self.records.iter().map(|record| record.impossible).sum()
    }

    /// Runs that nobody began: an interruption or the first failure came before.
    pub fn not_run(&self) -> u64 {
        self.planned.map_or(0, |planned| planned.saturating_sub(self.begun()))
    }

    /// The exit code of the whole series: a violation that was found is never hidden, but for a bug in dsbench.
    pub fn exit_code(&self) -> u8 {
        let judgement = self.worst.unwrap_or(Judgement::Pass);
        match (judgement, self.impossible) {
            (_, Some(BUG)) => BUG,
            (Judgement::Fail | Judgement::Interrupted { .. }, _) | (_, None) => judgement.exit_code(),
            (_, Some(impossible)) => impossible,
        }
    }
}

impl Record {
    fn count(&mut self, judgement: Judgement) {
        match judgement {
            Judgement::Pass => self.passed += 1,
            Judgement::Fail => self.failed += 1,
            Judgement::Inconclusive | Judgement::Environment => self.undecided += 1,
            Judgement::Interrupted { .. } => self.interrupted += 1,
        }
    }

    /// How many repetitions were begun.
    pub fn begun(&self) -> u64 {
        self.passed + self.failed + self.undecided + self.interrupted + self.impossible
    }

    /// Repetitions that count: a signal of a person says nothing about the cluster.
    pub fn counted(&self) -> u64 {
        self.begun() - self.interrupted
    }

    /// True if it sometimes passes and sometimes fails.
    pub fn is_flaky(&self) -> bool {
        self.passed > 0 && self.failed > 0
    }

    /// What it came to as a whole.
    pub fn judgement(&self) -> Judgement {
        let known = self.kinds.known.iter().map(|kind| kind.judgement);
        let all_passed = self.begun() == self.passed;
        let unknown = (!all_passed).then_some(Judgement::Inconclusive);
        Judgement::of_all(known.chain(unknown))
    }

    /// The rate at which a run may fail to be a pass, with 95 % confidence, in words: `below 5.9 %`.
    pub fn bound(&self) -> String {
        let runs = self.counted();
        confidence::in_words(confidence::failure_rate_below(runs - self.passed, runs))
    }
}

impl Rounds {
    /// In words, for people: `3 times`, `for 1h`.
    pub fn in_words(&self) -> String {
        match self {
            Self::Times(1) => "once".to_owned(),
            Self::Times(times) => format!("{times} times"),
            Self::For(time) => format!("for {}", humantime::format_duration(*time)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(judgements: &[Judgement], impossible: Option<u8>) -> Tally {
        let mut record = Record::default();
        judgements.iter().for_each(|judgement| record.count(*judgement));
        record.impossible = u64::from(impossible.is_some());
        Tally { records: vec![record], planned: Some(9), impossible, worst: judgements.iter().max().copied() }
    }

    #[test]
    fn a_violation_weighs_more_than_a_run_that_could_not_take_place() {
        use Judgement::{Fail, Inconclusive, Interrupted, Pass};
        assert_eq!(tally(&[Pass], None).exit_code(), 0);
        assert_eq!(tally(&[Pass], Some(5)).exit_code(), 5);
        assert_eq!(tally(&[Pass, Inconclusive], Some(5)).exit_code(), 5);
        assert_eq!(tally(&[Pass, Fail], Some(5)).exit_code(), 1);
        assert_eq!(tally(&[Pass, Interrupted { signal: 2 }], None).exit_code(), 130);
        assert_eq!(tally(&[Pass, Fail], Some(BUG)).exit_code(), 70);
        assert_eq!(tally(&[Pass, Fail], Some(5)).not_run(), 6);
    }

    #[test]
    fn the_bound_counts_everything_that_is_no_pass_but_not_who_pressed_a_key() {
        use Judgement::{Fail, Interrupted, Pass};
        let record = |judgements: &[Judgement]| tally(judgements, None).records.remove(0);
        assert_eq!(record(&[Pass; 50]).bound(), "below 5.9 %");
        let mut interrupted = vec![Pass; 50];
        interrupted.push(Interrupted { signal: 2 });
        assert_eq!(record(&interrupted).bound(), "below 5.9 %");
        assert!(!record(&[Fail; 2]).is_flaky() && record(&[Fail, Pass]).is_flaky());
        assert_eq!(record(&[Fail; 2]).bound(), "up to 100 %");
    }
}
