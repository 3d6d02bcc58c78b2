//! `dsbench attach`: the terminal becomes a node's, or shows a whole cluster.

use clap::Args;
use dsbench_core::diagnostic::suggestion;
use dsbench_core::observation::MAIN;

use super::LOGS;
use super::hand::Which;
use crate::console::{self, Attended, ProcessOf};
use crate::control::{Ask, clusters};
use crate::error::BenchError;

/// Connect the terminal with a node, or with a whole cluster that is up
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench attach peer1               type lines to peer1 and see what it prints; Ctrl-] detaches
  dsbench attach redis1/sentinel     one of several processes of a node
  dsbench attach                     the whole cluster: logs, and keys; q leaves it up
  printf 'sell 2 30\\nquit\\n' | dsbench attach peer1

What a node prints is shown so that it cannot command the terminal; --raw passes it on as it is.")]
pub(super) struct AttachArgs {
    /// Which node, or NODE/PROCESS [default: the whole cluster]
    #[arg(value_name = "NODE")]
    node: Option<String>,
    /// Pass on what the node prints byte by byte, terminal commands too
    #[arg(long, requires = "node")]
    raw: bool,
    #[command(flatten)]
    which: Which,
}

pub(super) fn attach(args: &AttachArgs) -> Result<u8, BenchError> {
    let (run, mut call) = clusters::the_one(LOGS.as_ref(), args.which.run.as_deref())?;
    let Some(named) = &args.node else {
        return Ok(match console::attend(call, false)? {
            Attended::Ready(..) | Attended::Left(_) => 0,
            Attended::Ended(code) => code,
            Attended::Lost => {
                return Err(BenchError::Environment("the dsbench that held the cluster was killed".into()));
            }
        });
    };
    let (node, process) = named.split_once('/').unwrap_or((named, MAIN));
    let nodes = call.ask(Ask::Status)?.status.unwrap_or_default().nodes;
    if !nodes.iter().any(|known| known.name == node) {
        let help = suggestion(node, "nodes", nodes.iter().map(|node| node.name.as_str()));
        return Err(BenchError::Usage(format!("no node is called `{}` ({help})", node.escape_debug())));
    }
    let to = ProcessOf { node: node.to_owned(), process: process.to_owned() };
    console::attach(call, &run, &to, args.raw)
}
