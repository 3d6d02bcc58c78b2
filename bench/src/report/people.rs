//! A series as people read it, on standard error: each run as it goes on, its verdict, and the list at the end.

use std::path::PathBuf;

use dsbench_core::judgement::Judgement;

use super::live::{self, Cast, Live};
use super::screen::Screen;
use super::terminal::{self, clean, say};
use crate::error::BenchError;
use crate::load::seed_text;
use crate::run::{Order, Outcome};
use crate::series::{Audience, Tally};

/// The audience that reads standard error.
#[derive(Debug)]
pub struct People {
    /// Shows nothing while a run goes on; only its result.
    pub quiet: bool,
    /// More than one run is to come, so a list stands at the end.
    pub many: bool,
}

impl Audience for People {
    fn run_begins(&mut self, order: &Order) {
        let scenario = &order.plan.scenario;
        say!(
            "dsbench {}  {}  seed {}  {} node{}",
            env!("CARGO_PKG_VERSION"),
            clean(&scenario.name),
            seed_text(order.plan.seed),
            scenario.nodes.len(),
            if scenario.nodes.len() == 1 { "" } else { "s" }
        );
    }

    fn live(&mut self, order: &Order) -> Option<Box<dyn Live>> {
        Some(live::screen(Cast::of(&order.plan), self.quiet))
    }

    /// The details of a run; of one that passed too, because what was looked at is half of a verdict.
    fn run_ended(&mut self, order: &Order, outcome: &Outcome) {
        let cast = Cast::of(&order.plan);
        // The next run takes `logs/<node>_log.txt` for itself; the run's own stay.
        let logs: PathBuf = if self.many { outcome.store.shown_log_dir() } else { order.logs.clone() };
        let screen = Screen {
            file: &outcome.file,
            history: &outcome.history,
            verdict: &outcome.verdict,
            judgement: outcome.judgement,
            store: &outcome.store,
            steps: &cast.steps,
            logs,
        };
        terminal::page(&screen.render());
        for lost in &outcome.lost {
            let cause = std::error::Error::source(lost).map(|cause| format!(": {cause}")).unwrap_or_default();
            say!("  warning:   {}; the verdict is not affected", clean(&format!("{lost}{cause}")));
        }
    }

    fn cannot_run(&mut self, _: &Order, error: &BenchError) {
        terminal::tell_error(error);
    }

    fn ended(&mut self, tally: &Tally) {
        if !self.many {
            return;
        }
        say!("");
        for judged in &tally.judged {
            say!("{}", judged.headline);
        }
        let (passed, failed) = (tally.count(Judgement::Pass), tally.count(Judgement::Fail));
        let impossible = tally.impossible.len();
        let impossible = if impossible > 0 { format!(", {impossible} cannot run here") } else { String::new() };
        // After a Ctrl-C the rest is not run.
        let not_run = tally.not_run();
        let not_run = if not_run > 0 { format!(", {not_run} not run") } else { String::new() };
        let (undecided, all) = (tally.undecided(), tally.planned);
        say!("{passed} passed, {failed} failed, {undecided} undecided{impossible}{not_run} of {all}");
    }
}
