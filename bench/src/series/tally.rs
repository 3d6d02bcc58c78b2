//! What a series comes to: counts, and the one exit code.

use dsbench_core::judgement::Judgement;

use crate::error::BenchError;

/// The results of a series so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// The runs that have a verdict, in the order in which they were made.
    pub judged: Vec<Judged>,
    /// Why runs could not take place, in order.
    pub impossible: Vec<BenchError>,
    /// How many runs were asked for.
    pub planned: usize,
}

/// A run that has a verdict.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Its line in a list of runs.
    pub headline: String,
    /// What it came to.
    pub judgement: Judgement,
}

impl Tally {
    /// How many runs came to this.
    pub fn count(&self, wanted: Judgement) -> usize {
        self.judged.iter().filter(|judged| judged.judgement == wanted).count()
    }

    /// Runs that have a verdict, and it is neither a pass nor a failure.
    pub fn undecided(&self) -> usize {
        self.judged.len() - self.count(Judgement::Pass) - self.count(Judgement::Fail)
    }

    /// Runs that nobody began: an interruption came before.
    pub fn not_run(&self) -> usize {
        self.planned - self.judged.len() - self.impossible.len()
    }

    /// The exit code of the whole series: a violation that was found is never hidden.
    pub fn exit_code(&self) -> u8 {
        let judgement = Judgement::of_all(self.judged.iter().map(|judged| judged.judgement));
        match (judgement, self.impossible.last()) {
            (Judgement::Fail | Judgement::Interrupted { .. }, _) | (_, None) => judgement.exit_code(),
            (_, Some(error)) => error.exit_code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(judgement: Judgement) -> Judged {
        Judged { headline: String::new(), judgement }
    }

    #[test]
    fn a_violation_weighs_more_than_a_run_that_could_not_take_place() {
        let mut tally = Tally { planned: 3, ..Tally::default() };
        tally.judged.push(judged(Judgement::Pass));
        tally.impossible.push(BenchError::Environment("no such program".into()));
        assert_eq!(tally.exit_code(), 5);
        assert_eq!(tally.not_run(), 1);
        tally.judged.push(judged(Judgement::Fail));
        assert_eq!(tally.exit_code(), 1);
    }
}
