//! `dsbench logs`: what the nodes of a cluster that is up have printed, and go on printing.

use std::io::Write as _;
use std::os::fd::AsFd;

use clap::Args;
use dsbench_core::diagnostic::suggestion;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::LOGS;
use super::hand::Which;
use crate::console::follow::{Follower, WITHOUT_NOTICE};
use crate::console::plain::Prefixes;
use crate::control::call::Call;
use crate::control::{Ask, Word, clusters};
use crate::error::BenchError;
use crate::store::log_name;

/// Print the logs of a cluster that is up
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench logs                      all that all nodes have printed, node by node
  dsbench logs -f                   and what they print from now on, as it comes
  dsbench logs -f -n 0 peer1        only what peer1 prints from now on

One node alone is printed as it is; of several, each line has its node's name before it.")]
pub(super) struct LogsArgs {
    /// Which nodes [default: all]
    #[arg(value_name = "NODE")]
    nodes: Vec<String>,
    /// Go on until the cluster has ended
    #[arg(short, long)]
    follow: bool,
    /// Begin with the last so many lines of each node [default: all]
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<usize>,
    #[command(flatten)]
    which: Which,
}

pub(super) fn logs(args: &LogsArgs) -> Result<u8, BenchError> {
    let (run, mut call) = clusters::the_one(LOGS.as_ref(), args.which.run.as_deref())?;
    let all: Vec<String> =
        call.ask(Ask::Status)?.status.unwrap_or_default().nodes.into_iter().map(|node| node.name).collect();
    if let Some(unknown) = args.nodes.iter().find(|node| !all.contains(node)) {
        let help = suggestion(unknown, "nodes", all.iter().map(String::as_str));
        return Err(BenchError::Usage(format!("no node is called `{}` ({help})", unknown.escape_debug())));
    }
    let nodes = if args.nodes.is_empty() { &all } else { &args.nodes };
    // Colours and widths stay the same, whichever nodes are shown.
    let prefixes = if args.nodes.len() == 1 { Prefixes::default() } else { Prefixes::of(&all) };
    let mut logs = Follower::new(&run.join("logs"), nodes.iter().map(|node| log_name(node)));
    if let Some(lines) = args.tail {
        logs.skip_to_last(lines);
    }
    let mut print = Print { prefixes, waiting: String::new(), is_over: false };
    if !args.follow {
        logs.finish(&mut |file, line| print.line(file, line));
        print.flush();
        return Ok(0);
    }
    follow(&mut logs, &mut call, &mut print)?;
    Ok(0)
}

/// Until the cluster has ended, or nobody reads any more.
fn follow(logs: &mut Follower, call: &mut Call, print: &mut Print) -> Result<(), BenchError> {
    let lost = BenchError::file("hear", "the cluster");
    let mut has_ended = false;
    while !print.is_over {
        let has_more = logs.read(&mut |file, line| print.line(file, line));
        print.flush();
        if has_more {
            continue;
        }
        if has_ended {
            logs.finish(&mut |file, line| print.line(file, line));
            print.flush();
            return Ok(());
        }
        let mut fds = vec![PollFd::new(call.as_fd(), PollFlags::POLLIN)];
        let notices = logs.notices();
        fds.extend(notices.map(|notices| PollFd::new(notices, PollFlags::POLLIN)));
        let patience = match notices {
            Some(_) => PollTimeout::NONE,
            None => PollTimeout::try_from(WITHOUT_NOTICE).unwrap_or(PollTimeout::MAX),
        };
        let _ = poll(&mut fds, patience);
        if fds[0].any().unwrap_or(false) {
            match call.hear() {
                Ok(heard) => {
                    has_ended = heard.is_over || heard.words.iter().any(|word| matches!(word, Word::End { .. }));
                }
                Err(error) => return Err(lost(error)),
            }
        }
    }
    Ok(())
}

/// Prints lines until nobody reads them.
struct Print {
    prefixes: Prefixes,
    waiting: String,
    is_over: bool,
}

/// So much is printed at once.
const BATCH_BYTES: usize = 64 * 1024;

impl Print {
    fn line(&mut self, file: &str, line: &[u8]) {
        self.waiting.push_str(&self.prefixes.log_line(file, line));
        self.waiting.push('\n');
        if self.waiting.len() >= BATCH_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        // A reader that has gone away is content; to one whose disk is full nothing more can be said.
        let mut out = anstream::stdout().lock();
        self.is_over |= out.write_all(self.waiting.as_bytes()).and_then(|()| out.flush()).is_err();
        self.waiting.clear();
    }
}
