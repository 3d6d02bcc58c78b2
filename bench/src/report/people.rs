//! A series as people read it, on standard error: each run as it goes on, its verdict, and the list at the end.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use dsbench_core::judgement::Judgement;
use dsbench_core::observation::Observation;

use super::excerpt::excerpt;
use super::live::block::Block;
use super::live::{self, Cast, Detail, Live};
use super::screen::{Screen, headline};
use super::summary::summary;
use super::terminal::{self, clean, clean_line, say};
use crate::error::BenchError;
use crate::load::seed_text;
use crate::run::{Order, Outcome};
use crate::series::{Audience, Kinds, Series, Tally, Underway};

/// Failures that are shown once more at the end, where there is no screen to scroll back on.
const SHOWN_AGAIN: usize = 10;

/// The audience that reads standard error.
#[derive(Debug, Default)]
pub struct People {
    detail: Detail,
    /// Lines of each node's log that are shown after a run that is no pass.
    log_lines: usize,
    /// More than one run is to come, so a list stands at the end.
    many: bool,
    /// Runs are repeated: each that passes is one line, and each way to fail is shown once.
    repeats: bool,
    /// The ways to fail that were shown, for each selected run.
    shown: Vec<Kinds>,
    /// The screens of runs that were no pass, and how many of them there were.
    failures: Vec<String>,
    /// The last run was no pass, so its screen stands right above.
    ends_with_failure: bool,
    /// Runs are made side by side: each that passes is one line.
    side_by_side: usize,
    /// The line that says which runs go on, on a terminal.
    progress: Option<Block>,
}

impl People {
    /// People who read so much of a run, and so many lines of each node's log if it is no pass.
    pub fn new(detail: Detail, log_lines: usize) -> Self {
        Self { detail, log_lines, ..Self::default() }
    }

    /// True if a run that ended so deserves more than a line.
    fn is_news(&mut self, order: &Order, outcome: &Outcome) -> bool {
        let is_pass = outcome.judgement == Judgement::Pass;
        if self.side_by_side > 1 && is_pass {
            return false;
        }
        !self.repeats || !is_pass && self.shown.get_mut(order.index).is_some_and(|shown| shown.is_new(order, outcome))
    }

    /// In a long log without a screen, what failed stands at the end.
    fn show_failures_again(&self) {
        let stands_above = self.failures.len() == 1 && self.ends_with_failure;
        if live::is_terminal() || self.failures.is_empty() || stands_above {
            return;
        }
        say!("\nfailures:\n");
        self.failures.iter().for_each(|screen| terminal::page(screen));
    }
}

impl Audience for People {
    fn begins(&mut self, series: &Series) {
        self.many = series.planned() != Some(1);
        self.repeats = series.repeats();
        self.shown = series.runs.iter().map(|_| Kinds::default()).collect();
        self.side_by_side = series.side_by_side();
        if self.repeats || self.side_by_side > 1 {
            say!("dsbench {}  {}", env!("CARGO_PKG_VERSION"), clean(&many(series)));
        }
        let has_progress = self.side_by_side > 1 && self.detail == Detail::Usual && live::is_terminal();
        self.progress = has_progress.then(Block::new);
    }

    fn run_begins(&mut self, order: &Order) {
        if self.repeats || self.side_by_side > 1 {
            return;
        }
        let scenario = &order.plan.scenario;
        say!(
            "dsbench {}  {}  seed {}  {} node{}",
            env!("CARGO_PKG_VERSION"),
            clean(&order.label),
            seed_text(order.plan.seed),
            scenario.nodes.len(),
            if scenario.nodes.len() == 1 { "" } else { "s" }
        );
    }

    fn underway(&mut self, runs: &[Underway], now: Duration, tally: &Tally) {
        if let Some(progress) = self.progress.as_mut().filter(|_| !runs.is_empty()) {
            progress.draw(vec![underway(runs, now, tally)]);
        }
    }

    fn interlude(&mut self) {
        if let Some(progress) = &mut self.progress {
            progress.clear();
        }
    }

    fn live(&mut self, order: &Order) -> Option<Box<dyn Live>> {
        if self.side_by_side > 1 {
            let is_mute = self.detail == Detail::Result;
            return (!is_mute).then(|| Box::new(Aside { label: order.label.clone() }) as Box<dyn Live>);
        }
        // Of a hundred repetitions nobody reads every line; a terminal shows where it is and forgets it.
        let is_drowned = self.repeats && self.detail == Detail::Usual && !live::is_terminal();
        Some(live::screen(Cast::of(&order.plan), if is_drowned { Detail::Result } else { self.detail }))
    }

    /// The details of a run; of one that passed too, because what was looked at is half of a verdict.
    fn run_ended(&mut self, order: &Order, outcome: &Outcome) {
        self.interlude();
        self.ends_with_failure = false;
        if !self.is_news(order, outcome) {
            say!("{}  seed {}", headline(&outcome.file, outcome.judgement), seed_text(order.plan.seed));
            return;
        }
        // The next run takes `logs/<node>_log.txt` for itself; the run's own stay.
        let logs: PathBuf = if self.many { outcome.store.shown_log_dir() } else { order.logs.clone() };
        let screen = Screen::of(order, outcome, logs);
        let text = screen.render();
        terminal::page(&terminal::fitted(&text));
        for lost in &outcome.lost {
            let cause = std::error::Error::source(lost).map(|cause| format!(": {cause}")).unwrap_or_default();
            say!("  warning:   {}; the verdict is not affected", clean(&format!("{lost}{cause}")));
        }
        if outcome.judgement == Judgement::Pass {
            return;
        }
        if self.log_lines > 0 {
            terminal::page(&excerpt(&screen, self.log_lines));
        }
        self.ends_with_failure = true;
        if self.failures.len() < SHOWN_AGAIN {
            self.failures.push(text);
        }
    }

    fn cannot_run(&mut self, order: &Order, error: &BenchError) {
        self.interlude();
        self.ends_with_failure = false;
        if self.side_by_side > 1 {
            say!("{}  seed {}: no result", clean(&order.label), seed_text(order.plan.seed));
        }
        terminal::tell_error(error);
    }

    fn ended(&mut self, tally: &Tally) {
        self.interlude();
        if !self.many {
            return;
        }
        self.show_failures_again();
        say!("");
        for record in &tally.records {
            terminal::page(&summary(record, self.repeats));
        }
        let impossible = match tally.impossible() {
            0 => String::new(),
            impossible => format!(", {impossible} cannot run here"),
        };
        // After a Ctrl-C, or the first failure, the rest is not run.
        let not_run = match tally.not_run() {
            0 => String::new(),
            not_run => format!(", {not_run} not run"),
        };
        let (passed, failed, undecided) = (tally.passed(), tally.failed(), tally.undecided());
        let all = tally.planned.unwrap_or_else(|| tally.begun());
        say!("{passed} passed, {failed} failed, {undecided} undecided{impossible}{not_run} of {all}");
    }
}

/// What is told of one of several runs at the same time while it goes on: what it does not do every time, and which it is.
struct Aside {
    label: String,
}

impl Live for Aside {
    fn observed(&mut self, _: &Observation) {}

    fn told(&mut self, text: &str) {
        say!("{}: {}", clean(&self.label), clean(text));
    }
}

/// `  3 passed, 1 failed; underway: leader-election 4s, cuts[nodes.count=5] 12s`
fn underway(runs: &[Underway], now: Duration, tally: &Tally) -> String {
    let (passed, failed, others) = (tally.passed(), tally.failed(), tally.undecided() + tally.impossible());
    let others = if others == 0 { String::new() } else { format!(", {others} undecided") };
    let of = tally.planned.map(|planned| format!(" of {planned}")).unwrap_or_default();
    let runs: Vec<_> = runs
        .iter()
        .map(|run| format!("{} {}s", clean_line(&run.label), now.saturating_sub(run.since).as_secs()))
        .collect();
    format!("  {passed} passed, {failed} failed{others}{of}; underway: {}", runs.join(", "))
}

/// `3 runs 50 times, each time with a fresh seed`, `6 runs, 3 at the same time`
fn many(series: &Series) -> String {
    let repetition = if series.repeats() { repetition(series) } else { format!("{} runs", series.runs.len()) };
    match series.side_by_side() {
        1 => repetition,
        jobs => format!("{repetition}, {jobs} at the same time"),
    }
}

/// `3 runs 50 times, each time with a fresh seed`
fn repetition(series: &Series) -> String {
    let runs = match series.runs.as_slice() {
        [one] => one.label.clone(),
        runs => format!("{} runs", runs.len()),
    };
    let seeds: BTreeSet<Option<u64>> = series.runs.iter().map(|run| run.seed).collect();
    let seeds = match seeds.into_iter().collect::<Vec<_>>().as_slice() {
        [None] => "each time with a fresh seed".to_owned(),
        [Some(seed)] => {
            format!("each time with seed {}: the same schedule, so only timing differs", seed_text(*seed))
        }
        _ => "with a fresh seed each time where the scenario has none of its own".to_owned(),
    };
    format!("{runs} {}, {seeds}", series.rounds.in_words())
}
