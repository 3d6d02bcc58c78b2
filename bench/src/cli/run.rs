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
  dsbench run scenarios -j 4                              four at the same time
  dsbench run --last-failed                               again what failed, with its seeds
  dsbench run x.toml --keep-running                       if it fails, its cluster stays up

Repetitions have a fresh seed each. With --seed (or a seed in the scenario) all have that one: the same \
schedule each time, so only timing differs. There are no retries: what passes sometimes is flaky, and \
that is a failure (exit code 1).

With --jobs a line stands for each run that passes, and all of one that does not; its nodes' logs are in its \
own directory, and none in logs/. Runs on one machine disturb each other's timing: give it the number of cores at \
most, and ask again without it before you believe a missed deadline. With -x no further run is begun; those that go \
on are finished. Ctrl-C ends all of them in good order, a second one kills their nodes, a third the runs themselves; \
nothing of them is left in any case.

With --keep-running the first run that does not pass is the last. Its nodes stay as it left them: a killed \
one is down, a paused one paused. At a terminal it goes on as in `dsbench up`; otherwise dsbench returns, and \
`dsbench ps`, `logs`, `attach`, `restart` ... act on the cluster until `dsbench down` ends it. Nothing of that \
changes the verdict or the exit code. Where CI is set and no terminal, nothing is kept.

The last run's logs are in logs/<node>_log.txt; everything else of it is in logs/runs/<scenario>/<utc>-<seed>/.")]
pub(super) struct RunArgs {
    /// Leave the cluster of the first run that does not pass up, to look at it; no run follows
    #[arg(long)]
    keep_running: bool,
    /// Make N runs at the same time, each in a process, a laboratory and on ports of its own
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256), default_value = "1", hide_default_value = true)]
    jobs: u16,
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
    if args.jobs > 1 {
        let refused =
            args.keep_running.then_some("--keep-running: the cluster of one run would stay up among those of others");
        let refused =
            refused.or(args.reports.is_verbose().then_some("--verbose: the lines of several runs would be mixed"));
        if let Some(why) = refused {
            return Err(BenchError::Usage(format!("--jobs {} does not go with {why}", args.jobs)));
        }
    }
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
        jobs: args.jobs.into(),
    };
    warn_of_few_cores(series.side_by_side());
    let mut audience = args.reports.audience()?;
    audience.push(Box::new(Memory::new(&series.logs)));
    audience.push(args.storage.housekeeper()?);
    Ok(series::run(&series, &mut audience).exit_code())
}

/// A deadline that is missed because the machine is busy is the machine's miss, and looks like the cluster's.
fn warn_of_few_cores(jobs: usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if jobs > cores {
        let plural = if cores == 1 { "" } else { "s" };
        say!(
            "warning: {jobs} runs at the same time on {cores} core{plural} disturb each other: deadlines may be missed for that alone"
        );
    }
}
