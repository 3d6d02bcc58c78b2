//! `dsbench run`: run and judge.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use clap::Args;

use super::select::SelectArgs;
use super::storage::StorageArgs;
use super::told::{ReportArgs, is_ci};
use super::values::parse_duration;
use super::{LOGS, up};
use crate::console;
use crate::error::BenchError;
use crate::report::terminal::say;
use crate::series::{self, Memory, Rounds, Series};

/// Run scenarios and judge them
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench run scenarios/leader-election.toml
  dsbench run scenarios --seed 7
  dsbench run x.toml --set nodes.count=5 --set steps.crash.after=200ms
  dsbench run x.toml --matrix nodes.count=3,5,7           three runs
  dsbench run -t smoke -k 'leader*' --shard 2/4           the second quarter of these
  dsbench run x.toml --repeat 200                         how often does it fail?
  dsbench run x.toml --for 1h -x                          until it fails, or the hour is over
  dsbench run --last-failed                               again what failed, with its seeds
  dsbench run x.toml --keep-running                       if it fails, its cluster stays up

Repetitions have a fresh seed each. With --seed (or a seed in the scenario) all have that one: the same \
schedule each time, so only timing differs. There are no retries: what passes sometimes is flaky, and \
that is a failure (exit code 1).

With --keep-running the first run that does not pass is the last. Its nodes stay as it left them: a killed \
one is down, a paused one paused. At a terminal it goes on as in `dsbench up`; otherwise dsbench returns, and \
`dsbench ps`, `logs`, `attach`, `restart` ... act on the cluster until `dsbench down` ends it. Nothing of that \
changes the verdict or the exit code. Where CI is set and no terminal, nothing is kept.

The last run's logs are in logs/<node>_log.txt; everything else of it is in logs/runs/<scenario>/<utc>-<seed>/.")]
pub(super) struct RunArgs {
    /// Leave the cluster of the first run that does not pass up, to look at it; no run follows
    #[arg(long)]
    keep_running: bool,
    #[command(flatten)]
    select: SelectArgs,
    /// Stop after the first run that is not a pass
    #[arg(short = 'x', long, help_heading = "Repetition")]
    fail_fast: bool,
    /// Make every run N times
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Repetition", conflicts_with = "for_time")]
    repeat: Option<u64>,
    /// Repeat the runs until this time is over; the one in progress is finished, and each is made at least once
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration, help_heading = "Repetition")]
    for_time: Option<Duration>,
    /// Record every packet between the nodes (packets.pcapng in the run's directory, for Wireshark); only of runs in the network laboratory
    #[arg(long, help_heading = "Storage")]
    pcap: bool,
    #[command(flatten)]
    reports: ReportArgs,
    #[command(flatten)]
    storage: StorageArgs,
}

pub(super) fn run(args: &RunArgs) -> Result<u8, BenchError> {
    if !args.keep_running {
        return make(args, None);
    }
    if is_ci() && !console::is_terminal() {
        // It would outlive the job, on a machine that may be kept for the next one.
        say!("warning: --keep-running keeps nothing where CI is set and no terminal: nobody would end the cluster");
        return make(args, None);
    }
    up::run_in_background(|owner| make(args, Some(owner)))
}

/// Makes the runs; with a keeper until one does not pass.
fn make(args: &RunArgs, keeper: Option<UnixStream>) -> Result<u8, BenchError> {
    let rounds = match (args.for_time, args.repeat) {
        (Some(time), _) => Rounds::For(time),
        (None, times) => Rounds::Times(times.unwrap_or(1)),
    };
    let series = Series {
        runs: args.select.runs()?,
        rounds,
        stops_early: args.fail_fast,
        logs: LOGS.into(),
        keep: args.storage.keep,
        keeper,
        pcap: args.pcap,
    };
    let mut audience = args.reports.audience()?;
    audience.push(Box::new(Memory::new(&series.logs)));
    audience.push(args.storage.housekeeper()?);
    Ok(series::run(&series, &mut audience).exit_code())
}
