//! `dsbench up`: launch a cluster to look at.

use std::os::unix::net::UnixStream;

use clap::Args;
use dsbench_world::Background;

use super::one::OneArgs;
use super::{LOGS, bug};
use crate::console::{self, Attended};
use crate::control::call::Call;
use crate::control::{Ask, Status};
use crate::error::BenchError;
use crate::load::seed_text;
use crate::report::terminal::{self, clean, say, shown_here, tell_error};
use crate::run::{self, Order};

/// Launch a cluster for a demo: its nodes and logs, no steps and no verdict
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench up scenarios/leader-election.toml               its logs, and keys to act by hand
  dsbench up x.toml --set nodes.count=5 -d                in the background; this terminal is free
  dsbench kill leader                                     from any terminal in the same directory
  dsbench logs -f peer1
  dsbench input peer1 status
  dsbench down                                            ends it

Nothing of the cluster survives its end, also if dsbench is killed. Its logs are in logs/<node>_log.txt.")]
pub(super) struct UpArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Return when all nodes are ready; the cluster lives on without a terminal
    #[arg(short, long)]
    detach: bool,
}

pub(super) fn up(args: &UpArgs) -> Result<u8, BenchError> {
    let order = args.one.selected()?.order(LOGS.as_ref(), 0, 1);
    say_header(&order);
    // From here on two processes: one holds the cluster, this one has the terminal.
    let (held, link) = Background::fork(|owner| bug::guarded(|| hold(&order, owner)))?;
    let call = Call::over(link);
    let attended = if args.detach { console::wait_until_ready(call)? } else { console::attend(call, true)? };
    match attended {
        Attended::Ready(mut call, status) => {
            call.ask(Ask::Release)?;
            tell_how_to_go_on(&status)?;
            Ok(0)
        }
        Attended::Left(status) => {
            tell_how_to_go_on(&status)?;
            Ok(0)
        }
        Attended::Ended(code) => {
            held.wait();
            Ok(code)
        }
        // It has told why, unless it was killed.
        Attended::Lost => match held.wait() {
            code @ ..=127 => Ok(code),
            _ => Err(BenchError::Environment(
                "the process that held the cluster was killed; its guardian leaves nothing of the cluster".into(),
            )),
        },
    }
}

/// The life of the process that holds the cluster; gives its exit code.
fn hold(order: &Order, owner: UnixStream) -> u8 {
    run::up(order, owner).unwrap_or_else(|error| {
        tell_error(&error);
        error.exit_code()
    })
}

fn say_header(order: &Order) {
    let scenario = &order.plan.scenario;
    let nodes = scenario.nodes.len();
    say!(
        "dsbench {}  {}  seed {}  {nodes} node{}, no verdict",
        env!("CARGO_PKG_VERSION"),
        clean(&scenario.name),
        seed_text(order.plan.seed),
        if nodes == 1 { "" } else { "s" }
    );
}

fn tell_how_to_go_on(status: &Status) -> Result<(), BenchError> {
    let run = shown_here(&status.run);
    terminal::data(|out| writeln!(out, "{run}"))?;
    say!("{} is up. From any terminal in this directory:", clean(&status.scenario));
    say!("  dsbench ps                  what every node does");
    say!("  dsbench logs -f             their logs");
    say!("  dsbench attach              all of it here again; dsbench attach NODE: type to a node");
    say!(
        "  dsbench kill NODE|ROLE      also restart, pause, resume, stop, start, signal, input, partition, link, unplug, heal"
    );
    say!("  dsbench down                ends it");
    Ok(())
}
