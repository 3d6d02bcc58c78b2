//! `dsbench ps`: which clusters are up, and what every node does.

use clap::Args;

use super::LOGS;
use super::hand::Which;
use crate::console::table::{for_how_long, table};
use crate::control::clusters::{self, Cluster, NoCall};
use crate::control::{Ask, Status};
use crate::error::BenchError;
use crate::report::terminal::{self, clean_line, say, shown_here};

/// List the clusters that are up, and what every node does
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench ps
  dsbench ps --json | jq -r '.[].nodes[].name'

A cluster is starting, up or ending; kept if `dsbench run --keep-running` has left it.")]
pub(super) struct PsArgs {
    /// One JSON array on standard output
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

pub(super) fn ps(args: &PsArgs) -> Result<u8, BenchError> {
    let mut up = Vec::new();
    for Cluster { run, call } in clusters::all(LOGS.as_ref(), args.which.run.as_deref()) {
        let run = run.display();
        match call.map(|mut call| call.ask(Ask::Status)) {
            Ok(Ok(done)) => up.extend(done.status),
            // It has ended this moment.
            Ok(Err(_)) => {}
            Err(NoCall::Dead) => say!("{run} was up when its dsbench was killed; nothing of it is left"),
            Err(NoCall::Other(why)) => say!("{run} cannot be reached: {why}"),
        }
    }
    if args.json {
        let json = serde_json::to_string_pretty(&up).expect("plain data has JSON");
        return terminal::data(|out| writeln!(out, "{json}")).map(|()| 0);
    }
    if up.is_empty() {
        say!("no cluster is up (looked in {LOGS}/runs)");
        return Ok(0);
    }
    terminal::data(|out| up.iter().try_for_each(|status| write!(out, "{}", shown(status))))?;
    Ok(0)
}

/// A cluster and its nodes, a line each.
fn shown(status: &Status) -> String {
    let (up, run) = (for_how_long(status.seconds), shown_here(&status.run));
    format!("{}  {}  {up}  {}\n{}", clean_line(&status.scenario), status.phase, clean_line(&run), table(status))
}
