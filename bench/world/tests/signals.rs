//! Signals to the bench are told to its driver, and nodes do not get them. Without the test harness, whose own threads would be killed:
//! this program executes itself as the bench, because signals must be held back before a process has its second thread.

mod stage;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use dsbench_world::Happening;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use stage::{Stage, life};

const ROLE: &str = "DSBENCH_TEST_ROLE";

fn main() {
    if std::env::var_os(ROLE).is_some() {
        bench();
    } else {
        signals_are_told_and_nodes_do_not_get_them();
        println!("signals_are_told_and_nodes_do_not_get_them ... ok");
    }
}

fn signals_are_told_and_nodes_do_not_get_them() {
    let mut bench = Command::new(std::env::current_exe().expect("this program has a path"))
        .env(ROLE, "bench")
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("it can be executed again");
    let pid = Pid::from_raw(i32::try_from(bench.id()).expect("pids are small"));
    let mut lines = BufReader::new(bench.stdout.take().expect("a pipe was asked for")).lines();
    let mut told = || lines.next().expect("it goes on").expect("it writes text");
    assert_eq!(told(), "up");
    // To its whole process group, as a terminal does.
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        killpg(pid, signal).expect("it is alive");
        assert_eq!(told(), format!("signal {}", signal as i32));
    }
    assert_eq!(told(), "killed 1, survivors 0");
    assert!(bench.wait().expect("it is a child").success());
}

/// Tells four signals, then shuts down; its node would end at any signal.
fn bench() {
    let say = |line: &str| {
        println!("{line}");
        std::io::stdout().flush().expect("somebody reads");
    };
    let mut stage = Stage::with_signals();
    let one = life("n", 1);
    stage.sh(&one, "echo say up; exec sleep 1000");
    stage.until_said("up");
    say("up");
    for _ in 0..4 {
        let told = stage.until(|what| matches!(what, Happening::Signal(_) | Happening::Exited { .. }));
        let Happening::Signal(signal) = told.what else { panic!("the node got it too") };
        say(&format!("signal {signal}"));
    }
    let (ended, _dir) = stage.end();
    say(&format!("killed {}, survivors {}", ended.killed.len(), ended.survivors.len()));
}
