//! `dsbench run`: run and judge.

use std::path::PathBuf;

use clap::Args;
use dsbench_core::judgement::Judgement;

use super::{LOGS, ScenarioArgs, select};
use crate::error::BenchError;
use crate::load::{self, Source, seed_text};
use crate::report::live::Cast;
use crate::report::screen::{Screen, headline};
use crate::report::terminal::{self, clean, say};
use crate::run::{Order, Outcome, run as run_one};

/// Run scenarios and judge them
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench run scenarios/leader-election.toml
  dsbench run scenarios --seed 7
  dsbench run x.toml --set nodes.count=5 --set steps.crash.after=200ms

The last run's logs are in logs/<node>_log.txt; everything else of it is in logs/runs/<scenario>/<utc>-<seed>/.")]
pub(super) struct RunArgs {
    /// Scenario files or directories of them [default: ./scenarios]
    #[arg(value_name = "SCENARIO|DIR")]
    scenarios: Vec<PathBuf>,
    #[command(flatten)]
    scenario: ScenarioArgs,
    /// Show nothing while a run goes on; only its result
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(args: &RunArgs) -> Result<u8, BenchError> {
    let files = select::scenarios(&args.scenarios)?;
    let overrides = load::overrides(&args.scenario.set)?;
    // Every file is read before anything starts: a mistake in the last one is told now, not in an hour.
    let mut orders = Vec::new();
    let mut mistake = None;
    for file in &files {
        let source = Source::read(file)?;
        match source.plan(&overrides, args.scenario.seed) {
            Ok(plan) => orders.push(Order {
                source,
                plan,
                set: args.scenario.set.clone(),
                logs: LOGS.into(),
                quiet: args.quiet,
            }),
            Err(error) => mistake = Some(error),
        }
    }
    if let Some(error) = mistake {
        return Err(error);
    }
    let many = orders.len() > 1;
    let mut judged = Vec::new();
    let (mut missing, mut cannot_run) = (None, 0);
    for order in &orders {
        let scenario = &order.plan.scenario;
        say!(
            "dsbench {}  {}  seed {}  {} node{}",
            env!("CARGO_PKG_VERSION"),
            clean(&scenario.name),
            seed_text(order.plan.seed),
            scenario.nodes.len(),
            if scenario.nodes.len() == 1 { "" } else { "s" }
        );
        match run_one(order) {
            Ok(outcome) => {
                show(order, &outcome, many);
                let judgement = outcome.judgement;
                judged.push((headline(&outcome.file, judgement), judgement));
                if let Judgement::Interrupted { .. } = judgement {
                    break;
                }
            }
            // One scenario that cannot run here does not hide what the others find.
            Err(error @ (BenchError::Environment(_) | BenchError::File { .. })) if many => {
                super::tell_error(&error);
                missing = Some(error);
                cannot_run += 1;
            }
            Err(error) => return Err(error),
        }
    }
    let judgement = Judgement::of_all(judged.iter().map(|(_, judgement)| *judgement));
    if many {
        summarise(&judged, cannot_run, orders.len());
    }
    Ok(match (judgement, missing) {
        (Judgement::Fail | Judgement::Interrupted { .. }, _) | (_, None) => judgement.exit_code(),
        (_, Some(error)) => error.exit_code(),
    })
}

/// The details of a run; of one that passed too, because what was looked at is half of a verdict.
fn show(order: &Order, outcome: &Outcome, many: bool) {
    let cast = Cast::of(&order.plan);
    // The next run takes `logs/<node>_log.txt` for itself; the run's own stay.
    let logs = if many { outcome.store.shown_log_dir() } else { LOGS.into() };
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

fn summarise(judged: &[(String, Judgement)], cannot_run: usize, all: usize) {
    say!("");
    for (line, _) in judged {
        say!("{line}");
    }
    let count = |wanted: fn(&Judgement) -> bool| judged.iter().filter(|(_, judgement)| wanted(judgement)).count();
    let passed = count(|judgement| *judgement == Judgement::Pass);
    let failed = count(|judgement| *judgement == Judgement::Fail);
    let undecided = judged.len() - passed - failed;
    let not_run = all - judged.len() - cannot_run;
    let cannot_run = if cannot_run > 0 { format!(", {cannot_run} cannot run here") } else { String::new() };
    // After a Ctrl-C the rest is not run.
    let not_run = if not_run > 0 { format!(", {not_run} not run") } else { String::new() };
    say!("{passed} passed, {failed} failed, {undecided} undecided{cannot_run}{not_run} of {all}");
}
