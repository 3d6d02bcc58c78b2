//! Who is told how a series goes: people on standard error, and machines in whatever format they asked for.

use std::time::Duration;

use super::{Series, Tally, Underway};
use crate::error::BenchError;
use crate::report::live::Live;
use crate::run::{Order, Outcome};

/// Follows a series of runs. Only tells; never changes what is run or what it comes to.
pub trait Audience {
    /// The series is about to begin.
    fn begins(&mut self, _series: &Series) {}
    /// A run is about to begin.
    fn run_begins(&mut self, _order: &Order) {}
    /// Who else follows this run while it goes on, observation by observation.
    fn live(&mut self, _order: &Order) -> Option<Box<dyn Live>> {
        None
    }
    /// True if [`live`](Self::live) is to be told every observation, also of a run that another process makes.
    fn follows(&self) -> bool {
        false
    }
    /// These of several runs at the same time go on at this time of the series.
    fn underway(&mut self, _runs: &[Underway], _now: Duration, _tally: &Tally) {}
    /// Something else is about to be said to people.
    fn interlude(&mut self) {}
    /// A run has a verdict.
    fn run_ended(&mut self, _order: &Order, _outcome: &Outcome) {}
    /// A run could not take place: there is no verdict. (Also the only run of a series; its error is told here and nowhere else.)
    fn cannot_run(&mut self, _order: &Order, _error: &BenchError) {}
    /// Nothing more comes.
    fn ended(&mut self, _tally: &Tally) {}
}

/// Everyone who listens, in this order.
impl Audience for Vec<Box<dyn Audience>> {
    fn begins(&mut self, series: &Series) {
        self.iter_mut().for_each(|one| one.begins(series));
    }

    fn run_begins(&mut self, order: &Order) {
        self.iter_mut().for_each(|one| one.run_begins(order));
    }

    fn live(&mut self, order: &Order) -> Option<Box<dyn Live>> {
        let mut followers: Vec<_> = self.iter_mut().filter_map(|one| one.live(order)).collect();
        match followers.len() {
            0 | 1 => followers.pop(),
            _ => Some(Box::new(followers)),
        }
    }

    fn follows(&self) -> bool {
        self.iter().any(|one| one.follows())
    }

    fn underway(&mut self, runs: &[Underway], now: Duration, tally: &Tally) {
        self.iter_mut().for_each(|one| one.underway(runs, now, tally));
    }

    fn interlude(&mut self) {
        self.iter_mut().for_each(|one| one.interlude());
    }

    fn run_ended(&mut self, order: &Order, outcome: &Outcome) {
        self.iter_mut().for_each(|one| one.run_ended(order, outcome));
    }

    fn cannot_run(&mut self, order: &Order, error: &BenchError) {
        self.iter_mut().for_each(|one| one.cannot_run(order, error));
    }

    fn ended(&mut self, tally: &Tally) {
        self.iter_mut().for_each(|one| one.ended(tally));
    }
}
