//! `dsbench check`: look for mistakes, start nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use dsbench_core::plan::Plan;

use super::ValueArgs;
use super::select::{self, Found};
use crate::error::BenchError;
use crate::report::github;
use crate::report::terminal::{self, say};
use crate::requirements::{self, Need};

/// Look for mistakes in scenarios; start nothing
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench check                                  every scenario in ./scenarios
  dsbench check x.toml --set nodes.count=5       as `dsbench run` would read it

Every case and combination of a matrix is looked at, and every mistake is shown once, with its line. \
What only this machine lacks is a warning. Exit code 2 if there are mistakes.")]
pub(super) struct CheckArgs {
    /// Scenario files or directories of them [default: ./scenarios]
    #[arg(value_name = "SCENARIO|DIR")]
    scenarios: Vec<PathBuf>,
    #[command(flatten)]
    values: ValueArgs,
}

pub(super) fn check(args: &CheckArgs) -> Result<u8, BenchError> {
    let asked = args.values.asked()?;
    let Found { sources, mut mistake } = select::scenarios(&args.scenarios)?;
    for source in sources {
        let (mut nodes, mut steps, mut invariants) = (Range::default(), Range::default(), Range::default());
        let (directory, mut needs) = (source.directory()?, BTreeSet::new());
        let suite = source.suite(&asked, |_, scenario| {
            nodes.add(scenario.nodes.len());
            steps.add(scenario.steps.len());
            invariants.add(scenario.invariants.len());
            needs.extend(requirements::needs(&Plan::new(scenario, 0), &directory));
        });
        match suite {
            Ok(suite) => {
                let file = source.path.display().to_string();
                let runs = if suite.variations.len() == 1 {
                    String::new()
                } else {
                    format!("{} runs of ", suite.variations.len())
                };
                terminal::data(|out| {
                    let file = terminal::clean_line(&file);
                    writeln!(out, "{file}: fine ({runs}{nodes} nodes, {steps} steps, {invariants} invariants)")
                })?;
                // The file is right; that this machine lacks something is only worth a warning.
                for missing in needs.iter().filter_map(Need::missing) {
                    say!("warning: to run it here: {}", terminal::clean(&missing.to_string()));
                }
            }
            Err(error) => {
                terminal::tell_error(&error);
                mistake = Some(error);
            }
        }
    }
    github::tell_not_shown();
    Ok(mistake.map_or(0, |error| error.exit_code()))
}

/// How many there are, in all runs of a file: `3`, or `3 to 5`.
#[derive(Debug, Default)]
struct Range(Option<(usize, usize)>);

impl Range {
    fn add(&mut self, count: usize) {
        let (low, high) = self.0.unwrap_or((count, count));
        self.0 = Some((low.min(count), high.max(count)));
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some((low, high)) if low < high => write!(f, "{low} to {high}"),
            Some((low, _)) => write!(f, "{low}"),
            None => f.write_str("no"),
        }
    }
}
