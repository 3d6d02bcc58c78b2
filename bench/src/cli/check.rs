//! `dsbench check`: look for mistakes, start nothing.

use std::path::PathBuf;

use clap::Args;

use super::select;
use crate::error::BenchError;
use crate::load::{self, Source};
use crate::report::github;
use crate::report::terminal::{self, say};
use crate::requirements;

/// Look for mistakes in scenarios; start nothing
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench check                                  every scenario in ./scenarios
  dsbench check x.toml --set nodes.count=5       as `dsbench run` would read it

Every mistake is shown with its line. What only this machine lacks is a warning. Exit code 2 if there are mistakes.")]
pub(super) struct CheckArgs {
    /// Scenario files or directories of them [default: ./scenarios]
    #[arg(value_name = "SCENARIO|DIR")]
    scenarios: Vec<PathBuf>,
    /// Change a value of the scenario: a path and a TOML value (repeatable)
    #[arg(long = "set", value_name = "PATH=VALUE")]
    set: Vec<String>,
}

pub(super) fn check(args: &CheckArgs) -> Result<u8, BenchError> {
    let overrides = load::overrides(&args.set)?;
    let mut mistake = None;
    for file in select::scenarios(&args.scenarios)? {
        let source = Source::read(&file)?;
        match source.plan(&overrides, Some(0)) {
            Ok(plan) => {
                let scenario = &plan.scenario;
                let (nodes, steps) = (scenario.nodes.len(), scenario.steps.len());
                let (file, invariants) = (file.display().to_string(), scenario.invariants.len());
                terminal::data(|out| {
                    let file = terminal::clean_line(&file);
                    writeln!(out, "{file}: fine ({nodes} nodes, {steps} steps, {invariants} invariants)")
                })?;
                // The file is right; that this machine lacks something is only worth a warning.
                for missing in requirements::missing(&plan, &source.directory()?) {
                    say!("warning: to run it here: {}", terminal::clean(&missing));
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
