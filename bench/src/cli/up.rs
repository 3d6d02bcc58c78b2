//! `dsbench up`: launch a cluster to look at.

use std::os::unix::net::UnixStream;

use clap::Args;
use dsbench_core::judgement::Judgement;
use dsbench_world::Background;

use super::one::OneArgs;
use super::{LOGS, bug};
use crate::console::{self, Accompanied, Attended};
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

At a terminal the logs roll by above a line for each node, and `?` shows the keys. The setup and the teardown \
of the scenario are done; its steps and its nemesis are not, and no time runs out.

Nothing of the cluster survives its end, also if dsbench is killed. Its logs are in logs/<node>_log.txt.")]
#[command(mut_arg("timeout", |arg| arg.hide(true)), mut_arg("no_faults", |arg| arg.hide(true)))]
pub(super) struct UpArgs {
    /// Return when all nodes are ready; the cluster lives on without a terminal
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    one: OneArgs,
}

pub(super) fn up(args: &UpArgs) -> Result<u8, BenchError> {
    let order = args.one.selected()?.order(LOGS.as_ref(), 0, 1);
    say_header(&order);
    // From here on two processes: one holds the cluster, this one has the terminal.
    let (held, link) = Background::fork(|owner| bug::guarded(|| told(run::up(&order, owner))))?;
    let call = Call::over(link);
    let attended = if args.detach { console::wait_until_ready(call)? } else { console::attend(call, true)? };
    match attended {
        Attended::Ready(mut call, status) => {
            call.ask(Ask::Release)?;
            tell_where(&status)?;
            tell_how_to_go_on(&status);
            Ok(0)
        }
        Attended::Left(status) => {
            tell_where(&status)?;
            tell_how_to_go_on(&status);
            Ok(0)
        }
        Attended::Ended(code) => {
            held.wait();
            Ok(code)
        }
        // It has told why, unless it was killed.
        Attended::Lost => match held.wait() {
            code @ ..=127 => Ok(code),
            _ => Err(lost()),
        },
    }
}

/// Makes runs in a process of its own, because the cluster of one that does not pass lives on.
pub(super) fn run_in_background(make: impl FnOnce(UnixStream) -> Result<u8, BenchError>) -> Result<u8, BenchError> {
    let (runs, link) = Background::fork(|owner| bug::guarded(|| told(make(owner))))?;
    let (call, code) = match console::accompany(Call::over(link), &runs)? {
        Accompanied::Over => return Ok(runs.wait()),
        Accompanied::Kept(call, code) => (call, code),
    };
    // The run was judged: whatever becomes of its cluster, the verdict stands.
    if console::is_terminal() {
        say!("its cluster is up, as the run left it: keys act on it (`?` shows them); `d` leaves it up, `q` ends it");
        match console::attend(call, true) {
            Ok(Attended::Left(status) | Attended::Ready(_, status)) => tell_how_to_go_on(&status),
            // Something is left that could not be ended.
            Ok(Attended::Ended(ended)) if ended == Judgement::Environment.exit_code() => return Ok(ended),
            Ok(Attended::Ended(_)) => {}
            Ok(Attended::Lost) => tell_error(&lost()),
            Err(error) => tell_error(&error),
        }
    } else {
        match release(call) {
            Ok(status) => tell_how_to_go_on(&status),
            Err(error) => tell_error(&error),
        }
    }
    Ok(code)
}

/// Leaves the cluster to whoever comes; gives its state.
fn release(mut call: Call) -> Result<Status, BenchError> {
    let status = call.ask(Ask::Status)?.status.unwrap_or_default();
    call.ask(Ask::Release)?;
    Ok(status)
}

/// The exit code; an error is told.
fn told(done: Result<u8, BenchError>) -> u8 {
    done.unwrap_or_else(|error| {
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

fn lost() -> BenchError {
    BenchError::Environment(
        "the process that held the cluster was killed; its guardian leaves nothing of the cluster".into(),
    )
}

/// The run's directory, for a script.
fn tell_where(status: &Status) -> Result<(), BenchError> {
    let run = shown_here(&status.run);
    terminal::data(|out| writeln!(out, "{run}"))
}

fn tell_how_to_go_on(status: &Status) {
    say!("{} is up. From any terminal in this directory:", clean(&status.scenario));
    status.exposed().for_each(|line| say!("  {}", clean(&line)));
    say!("  dsbench ps                  what every node does");
    say!("  dsbench logs -f             their logs");
    say!("  dsbench attach              all of it here again; dsbench attach NODE: type to a node");
    say!(
        "  dsbench kill NODE|ROLE      also restart, pause, resume, stop, start, signal, input, partition, link, unplug, heal"
    );
    say!("  dsbench down                ends it");
}
