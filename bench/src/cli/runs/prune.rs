//! `dsbench runs prune`: the removal of old runs.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{ArgGroup, Args};
use dsbench_core::size;
use dsbench_world::Clock;

use crate::cli::LOGS;
use crate::error::BenchError;
use crate::report::terminal::{self, clean_line};
use crate::store::runs::{StoredRun, stored, tidy};

/// Remove old runs
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["keep", "older_than"]))]
#[command(after_help = "\
Examples:
  dsbench runs prune --keep 10                   the last 10 of each scenario stay
  dsbench runs prune --older-than 7d --dry-run   show what would go
  dsbench runs prune --keep 0 --failed-too       remove everything that is stored

What is not a pass stays without --failed-too. With both --keep and --older-than a run goes only if both say so. A run that \
is in progress stays in any case, and so does everything below logs/runs that is no run.")]
pub(in crate::cli) struct PruneArgs {
    /// Names of scenarios [default: all]
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// Keep the last N runs of each scenario
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// Remove only what began longer ago: 12h, 7d, 2weeks
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    older_than: Option<Duration>,
    /// Remove also what is not a pass
    #[arg(long)]
    failed_too: bool,
    /// Remove nothing; show what would go
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn prune(args: &PruneArgs) -> Result<u8, BenchError> {
    let runs = stored(LOGS.as_ref(), &args.scenarios);
    let mut failure = None;
    let (mut count, mut all) = (0, 0);
    for run in chosen(args, &runs) {
        let bytes = run.bytes();
        let is_gone = if args.dry_run { Ok(!run.is_running()) } else { run.remove() };
        match is_gone {
            Ok(true) => {
                (count, all) = (count + 1, all + bytes);
                let (word, name) = (if args.dry_run { "would remove" } else { "removed" }, run.name());
                let (name, result, size) = (clean_line(&name), clean_line(run.result()), size::shown(bytes));
                terminal::data(|out| writeln!(out, "{word} {name} ({result}, {size})"))?;
            }
            Ok(false) => {}
            Err(error) => {
                terminal::tell_error(&error);
                failure = Some(error);
            }
        }
    }
    if !args.dry_run {
        tidy(LOGS.as_ref());
    }
    let (plural, size) = (if count == 1 { "" } else { "s" }, size::shown(all));
    terminal::data(|out| writeln!(out, "{count} run{plural}, {size}"))?;
    Ok(failure.map_or(0, |error| error.exit_code()))
}

/// The runs (the newest first) that have to go.
fn chosen<'r>(args: &PruneArgs, runs: &'r [StoredRun]) -> Vec<&'r StoredRun> {
    let now = Clock::start().wall_start();
    let mut newer: BTreeMap<&str, usize> = BTreeMap::new();
    let has_to_go = |run: &&'r StoredRun| {
        let newer = newer.entry(&run.scenario).or_default();
        *newer += 1;
        let is_too_many = args.keep.is_none_or(|keep| *newer > keep);
        // A run of tomorrow is not old.
        let age = now.duration_since(run.started).unwrap_or_default();
        let is_too_old = args.older_than.is_none_or(|limit| age > limit);
        is_too_many && is_too_old && (args.failed_too || !run.is_failure())
    };
    runs.iter().filter(has_to_go).collect()
}
