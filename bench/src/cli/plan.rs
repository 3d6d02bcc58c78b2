//! `dsbench plan`: who would run, and what would happen when.

use std::path::PathBuf;

use clap::Args;

use super::ScenarioArgs;
use crate::error::BenchError;
use crate::load::{self, Source};
use crate::report::terminal;

/// Print who would run and what would happen when
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench plan scenarios/leader-election.toml
  dsbench plan x.toml --seed 7                   the random choices of this seed

`dsbench config` prints the commands with addresses filled in.")]
pub(super) struct PlanArgs {
    /// The scenario's file
    scenario: PathBuf,
    #[command(flatten)]
    args: ScenarioArgs,
}

pub(super) fn plan(args: &PlanArgs) -> Result<u8, BenchError> {
    let plan = Source::read(&args.scenario)?.plan(&load::overrides(&args.args.set)?, args.args.seed)?;
    terminal::data(|out| write!(out, "{}", terminal::clean(&plan.describe())))?;
    Ok(0)
}
