//! `dsbench run`: run and judge.

use std::path::PathBuf;

use clap::Args;

use super::{LOGS, ScenarioArgs, select};
use crate::error::BenchError;
use crate::load::{self, Source};
use crate::report::people::People;
use crate::run::Order;
use crate::series::{self, Audience};

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
            Ok(plan) => orders.push(Order { source, plan, set: args.scenario.set.clone(), logs: LOGS.into() }),
            Err(error) => mistake = Some(error),
        }
    }
    if let Some(error) = mistake {
        return Err(error);
    }
    let many = orders.len() > 1;
    let mut audience: Vec<Box<dyn Audience>> = vec![Box::new(People { quiet: args.quiet, many })];
    Ok(series::run(&orders, &mut audience).exit_code())
}
