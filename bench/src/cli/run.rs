//! `dsbench run`: run and judge.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::told::ReportArgs;
use super::{LOGS, ScenarioArgs, select};
use crate::error::BenchError;
use crate::load::{self, Source};
use crate::series::{self, Rounds, Selected, Series};

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
    #[command(flatten)]
    reports: ReportArgs,
}

pub(super) fn run(args: &RunArgs) -> Result<u8, BenchError> {
    let files = select::scenarios(&args.scenarios)?;
    let overrides = load::overrides(&args.scenario.set)?;
    // Every file is read before anything starts: a mistake in the last one is told now, not in an hour.
    let mut runs = Vec::new();
    let mut mistake = None;
    for file in &files {
        let source = Source::read(file)?;
        match source.parse(&overrides) {
            Ok(scenario) => {
                let set = args.scenario.set.clone();
                let seed = args.scenario.seed.or(scenario.seed);
                let label = label(&scenario.name, &set);
                let overrides = overrides.clone();
                runs.push(Selected { source: Arc::new(source), label, set, overrides, seed });
            }
            Err(error) => mistake = Some(error),
        }
    }
    if let Some(error) = mistake {
        return Err(error);
    }
    let series = Series { runs, rounds: Rounds::Times(1), stops_early: false, logs: LOGS.into() };
    let mut audience = args.reports.audience()?;
    Ok(series::run(&series, &mut audience).exit_code())
}

/// `leader-election[nodes.count=5]`
fn label(name: &str, set: &[String]) -> String {
    if set.is_empty() { name.to_owned() } else { format!("{name}[{}]", set.join(",")) }
}
