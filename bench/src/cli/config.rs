//! `dsbench config`: the resolved scenario, with every node's commands as they would be executed.

use std::path::Path;

use clap::Args;

use super::LOGS;
use super::one::OneArgs;
use crate::error::BenchError;
use crate::report::terminal;
use crate::run::Host;
use crate::setting;

/// Print the resolved scenario: every node's commands, addresses and files
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench config scenarios/leader-election.toml
  dsbench config x.toml --set nodes.count=5 | jq '.nodes[].processes[].command'

It is JSON. Ports are those that are free now; a run may get others. The data directory is that of a run named `RUN`.")]
pub(super) struct ConfigArgs {
    #[command(flatten)]
    one: OneArgs,
}

pub(super) fn config(args: &ConfigArgs) -> Result<u8, BenchError> {
    let (source, plan) = args.one.plan()?;
    let nodes = Path::new(LOGS).join("runs").join(&*plan.scenario.name).join("RUN").join("nodes");
    let (addresses, _ports) = setting::address(&plan, &source.directory()?, &nodes, &Host::Own.executable(&plan)?)?;
    let json = serde_json::to_string_pretty(&plan.to_json(Some(&addresses))).expect("plain data has JSON");
    // JSON escapes only the first of the control characters.
    terminal::data(|out| writeln!(out, "{}", terminal::clean(&json)))?;
    Ok(0)
}
