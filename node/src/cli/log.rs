//! `log`: what a node has on its disk, for people and programs.

use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::storage::{InspectError, Inspected, inspect};

const NOTES: &str = "\
Examples:
  dsbench node log data/peer1                 everything that the node has on its disk
  dsbench node log data/peer1 | grep -v entry | tail -3

One JSON line per record: `file`, `offset`, and one of `segment`, `record`, `torn`, `damaged`. Control characters are spelled out, so that a \
log cannot harm a terminal.

Exit code 0: every record is whole. 3: the last one was cut short, as a crash leaves it; the node cuts it off when it starts. \
1: something that had been durable is damaged or missing; the node refuses to start. A running node's log may end in the middle of a record.";

/// The options of `log`.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub struct LogArgs {
    /// A node's data directory, or one of the files in it: log.0000000001, ..., snapshot
    #[arg(value_name = "DIR|FILE")]
    path: PathBuf,
}

const TORN: u8 = 3;

pub(super) fn run(args: &LogArgs) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let result =
        inspect(&args.path, &mut out).and_then(|found| out.flush().map(|()| found).map_err(InspectError::Write));
    match result {
        Ok(Inspected::Whole) => ExitCode::SUCCESS,
        Ok(Inspected::Torn) => ExitCode::from(TORN),
        Ok(Inspected::Damaged) => ExitCode::FAILURE,
        // `dsnode log DIR | head`: whoever read it has read enough.
        Err(InspectError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => super::fail(&error as &dyn Error, 1),
    }
}
