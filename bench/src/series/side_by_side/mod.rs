//! Several runs at the same time: each in a dsbench of its own, which is told what to do and tells what came of it.
//!
//! This process makes no run itself. It has the terminal, the reports, what is remembered and what is removed; a worker has one run, with its
//! guardian, its ports or its laboratory, and its directory below `logs/runs`. So a run does here what it does alone.

mod errand;
mod worker;

use std::collections::BTreeMap;
use std::time::Duration;

use dsbench_core::judgement::{BUG, Judgement};
use dsbench_core::observation::Exit;
use dsbench_world::{Clock, Crew, News, Signals};

use self::errand::{Ended, Errand, Word};
pub(crate) use self::worker::work;
use super::turns::Turns;
use super::{Audience, Series, Tally};
use crate::error::{BenchError, Told};
use crate::report::live::Live;
use crate::report::tell::exit_text;
use crate::report::terminal::{clean, page, say, tell_error};
use crate::run::{Order, Outcome};
use crate::store::forget_last_logs;

/// The name of the command that only dsbench itself gives.
pub(crate) const COMMAND: &str = "worker";

/// Of the signals that end a run.
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// How often people are told that runs go on.
const OFTEN: Duration = Duration::from_millis(250);

/// A run that goes on.
#[derive(Debug)]
pub struct Underway {
    /// What people call it.
    pub label: String,
    /// Since when, on the clock of the series.
    pub since: Duration,
}

/// A run in the hands of a worker.
struct Made {
    order: Order,
    live: Option<Box<dyn Live>>,
    since: Duration,
    ended: Option<Result<Box<Ended>, Told>>,
}

/// Makes the runs, as many at the same time as the series wants. The audience is told of each when it is over.
pub(super) fn run(series: &Series, audience: &mut dyn Audience) -> Tally {
    let mut tally = Tally::new(series);
    audience.begins(series);
    forget_last_logs(&series.logs);
    let signals = Signals::block();
    match Crew::new() {
        Ok(crew) => {
            let turns = Turns::of(series);
            let clock = Clock::start();
            let (made, next, is_over, asked) = (BTreeMap::new(), 0, false, 0);
            Foreman { series, audience, tally: &mut tally, crew, clock, turns, made, next, is_over, asked }.work();
        }
        Err(error) => {
            // There is no run of which the audience could be told this.
            let error = BenchError::from(error);
            tell_error(&error);
            tally.broken(error.exit_code());
        }
    }
    drop(signals);
    audience.ended(&tally);
    tally
}

/// Who hands out the runs.
struct Foreman<'s> {
    series: &'s Series,
    audience: &'s mut dyn Audience,
    tally: &'s mut Tally,
    crew: Crew,
    clock: Clock,
    turns: Turns<'s>,
    /// The runs that go on, by their worker.
    made: BTreeMap<u64, Made>,
    /// The number of the next worker.
    next: u64,
    /// No further run is begun.
    is_over: bool,
    /// How often a signal has asked for the end.
    asked: u32,
}

impl Foreman<'_> {
    fn work(&mut self) {
        loop {
            self.hand_out();
            if self.made.is_empty() {
                return;
            }
            match self.crew.next(OFTEN) {
                News::Said { worker, line } => self.heard(worker, &line),
                News::Gone { worker, exit, complaint } => self.gone(worker, exit, &complaint),
                News::Signal(signal) => self.interrupted(signal),
                News::Quiet => self.tell_who_is_underway(),
            }
        }
    }

    /// Begins runs until there are as many as there should be.
    fn hand_out(&mut self) {
        while !self.is_over && self.made.len() < self.series.side_by_side() {
            if let Some(signal) = Signals::take_pending() {
                self.interrupted(signal);
                return;
            }
            let Some(order) = self.turns.next() else {
                self.is_over = true;
                return;
            };
            self.audience.run_begins(&order);
            let live = self.audience.live(&order);
            let errand = Errand::of(&order, self.audience.follows()).to_bytes();
            let worker = self.next;
            self.next += 1;
            match self.crew.send(worker, &[COMMAND], &errand) {
                Ok(()) => {
                    let since = self.clock.now().elapsed();
                    self.made.insert(worker, Made { order, live, since, ended: None });
                }
                Err(error) => self.could_not_run(&order, &BenchError::from(error)),
            }
            self.tell_who_is_underway();
        }
    }

    fn heard(&mut self, worker: u64, line: &[u8]) {
        let Some(made) = self.made.get_mut(&worker) else { return };
        match (Word::read(line), &mut made.live) {
            (Some(Word::Observation(observation)), Some(live)) => live.observed(&observation),
            (Some(Word::Missing(count)), Some(live)) => live.missing(count),
            // When all are asked to end each of them would say so.
            (Some(Word::Told(text)), Some(live)) if self.asked == 0 => {
                self.audience.interlude();
                live.told(&text);
            }
            (Some(Word::Ended(ended)), _) => made.ended = Some(Ok(ended)),
            (Some(Word::Impossible(told)), _) => made.ended = Some(Err(told)),
            (_, _) => {}
        }
    }

    fn gone(&mut self, worker: u64, exit: Exit, complaint: &str) {
        let Some(Made { order, mut live, ended, .. }) = self.made.remove(&worker) else { return };
        if let Some(live) = &mut live {
            live.close();
        }
        drop(live);
        let is_bug = exit == Exit::Code(i32::from(BUG));
        if !complaint.is_empty() {
            self.audience.interlude();
            page(&clean(complaint));
        }
        match ended {
            Some(Ok(ended)) if !is_bug => {
                let outcome = ended.into_outcome(&order.logs);
                self.ended(&order, &outcome);
            }
            Some(Err(told)) if !is_bug => self.could_not_run(&order, &BenchError::Told(told)),
            _ => self.could_not_run(&order, &BenchError::Told(silent(exit))),
        }
        self.tell_who_is_underway();
    }

    fn ended(&mut self, order: &Order, outcome: &Outcome) {
        self.audience.run_ended(order, outcome);
        self.tally.ended(order, outcome);
        self.is_over |= self.series.stops_early && outcome.judgement != Judgement::Pass;
    }

    fn could_not_run(&mut self, order: &Order, error: &BenchError) {
        self.audience.cannot_run(order, error);
        self.tally.could_not_run(order, error);
        self.is_over |= error.ends_series() || self.series.stops_early;
    }

    /// Everybody is asked to end; asked again, a run kills its nodes; the third time it is killed itself, and its guardian cleans up.
    fn interrupted(&mut self, signal: i32) {
        self.is_over = true;
        self.asked += 1;
        self.tally.interrupted(signal);
        if self.made.is_empty() {
            return;
        }
        self.audience.interlude();
        match self.asked {
            1 => {
                say!("interrupted: stopping the nodes of {} (again to kill them now)", runs(self.made.len()));
                self.crew.signal(signal);
            }
            2 => {
                say!("interrupted twice: killing the nodes of {}", runs(self.made.len()));
                // The same signal twice is one signal for whoever has not yet seen the first.
                [SIGINT, SIGTERM].into_iter().for_each(|signal| self.crew.signal(signal));
            }
            _ => self.crew.kill(),
        }
    }

    fn tell_who_is_underway(&mut self) {
        let underway = |made: &Made| Underway { label: made.order.label.clone(), since: made.since };
        let underway: Vec<Underway> = self.made.values().map(underway).collect();
        self.audience.underway(&underway, self.clock.now().elapsed(), self.tally);
    }
}

fn runs(count: usize) -> String {
    if count == 1 { "1 run".to_owned() } else { format!("{count} runs") }
}

/// Why there is no result of a run whose process has ended so.
fn silent(exit: Exit) -> Told {
    match exit {
        Exit::Code(code) if code == i32::from(BUG) => {
            Told::silent("the process that made this run ended with a bug in dsbench".into(), BUG)
        }
        exit => Told::silent(
            format!(
                "the process that made this run ended before the run had ({}): it was killed, or memory was short; nothing of the run is left",
                exit_text(exit)
            ),
            Judgement::Environment.exit_code(),
        ),
    }
}
