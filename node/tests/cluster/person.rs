//! Commands on stdin, and the ways to leave.

use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::harness::{Cluster, Mark, Node, PATIENT};

#[test]
fn commands_on_a_pipe_are_answered_without_a_prompt() {
    let cluster = Cluster::new(1, PATIENT);
    let mut node = cluster.start(1);
    let status = node.reports("role=leader");
    assert!(status.starts_with("status role=leader term="), "{status}");
    assert!(status.contains(" leader=peer1 members=peer1 suspected=none "), "{status}");
    let mark = node.mark();
    node.types("stauts\u{1b}[2J");
    assert_eq!(
        node.awaits(mark, "unknown command"),
        "unknown command `stauts\\u{1b}[2J` (there are: send, status, view, log, readings, help, leave, quit)"
    );
    node.types("");
    node.types("help");
    node.awaits(mark, "quit           leave gracefully");
    assert!(node.lines(Mark::START).iter().all(|line| !line.contains("peer1>")));
    node.types("quit");
    assert_eq!(node.ends().code(), Some(0));
}

#[test]
fn the_end_of_a_pipe_leaves_gracefully() {
    let cluster = Cluster::new(1, PATIENT);
    let mut node = cluster.start(1);
    node.awaits(Mark::START, "listening on");
    drop(node.stdin.take());
    assert_eq!(node.ends().code(), Some(0));
    node.awaits(Mark::START, "leaving term=");
}

#[test]
fn node_without_stdin_runs_until_a_signal() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let cluster = Cluster::new(1, PATIENT);
        let mut node = Node::with_stdin(&mut cluster.command(1), Stdio::null());
        node.awaits(Mark::START, "became the Group Leader");
        node.signal(signal);
        assert_eq!(node.ends().code(), Some(0));
        node.awaits(Mark::START, "leaving term=");
    }
}

#[test]
fn wrong_usage_is_told_on_stderr_with_exit_code_2() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dsnode"));
    let mut node = Node::start(command.args(["sensor", "--id", "a", "--peers", "a=127.0.0.1:1,a=127.0.0.1:2"]));
    assert_eq!(node.complaint(), "error: --peers names a twice");
    assert_eq!(node.ends().code(), Some(2));
}
