//! `dsbench plan`: who would run, and what would happen when.

use clap::Args;

use super::one::OneArgs;
use crate::error::BenchError;
use crate::report::terminal;

/// Print who would run and what would happen when
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench plan scenarios/leader-election.toml
  dsbench plan x.toml --seed 7                   the random choices of this seed
  dsbench plan x.toml --case sync --set nodes.count=5

`dsbench config` prints the commands with addresses filled in.")]
pub(super) struct PlanArgs {
    #[command(flatten)]
    one: OneArgs,
}

pub(super) fn plan(args: &PlanArgs) -> Result<u8, BenchError> {
    let (_, plan) = args.one.plan()?;
    terminal::data(|out| write!(out, "{}", terminal::clean(&plan.describe())))?;
    Ok(0)
}
