//! Promises about what the driver asks for beside processes: inputs, probes, helper programs, signals.
#![expect(clippy::unwrap_used, reason = "test code outside of test functions")]

mod stage;

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use dsbench_core::observation::Exit;
use dsbench_world::{ExecInput, ExecSpec, Executed, Happening, Ports, ProbeSpec, Program};

use stage::{Stage, is_alive, life};

fn exec(stage: &mut Stage, program: Program, stdin: ExecInput) -> Executed {
    let wanted = stage.world.exec(ExecSpec { program, stdin, place: None }).unwrap();
    match stage.until(|what| matches!(what, Happening::Executed { id, .. } if *id == wanted)).what {
        Happening::Executed { result, .. } => result,
        _ => unreachable!(),
    }
}

fn probe(stage: &mut Stage, port: u16) -> Result<(), String> {
    let spec = ProbeSpec { addr: (Ipv4Addr::LOCALHOST, port).into(), within: Duration::from_secs(1), http: None };
    let wanted = stage.world.probe(spec);
    match stage.until(|what| matches!(what, Happening::Probed { id, .. } if *id == wanted)).what {
        Happening::Probed { result, .. } => result,
        _ => unreachable!(),
    }
}

#[test]
fn a_helper_says_how_it_ended_and_what_it_printed() {
    let mut stage = Stage::new();
    let program = stage.program(&["sh", "-c", "cat; echo oops >&2; exit 7"]);
    let result = exec(&mut stage, program.clone(), ExecInput::Bytes(b"given".to_vec()));
    let expected =
        Executed { ended: Ok(Exit::Code(7)), stdout: b"given".to_vec(), stderr: b"oops\n".to_vec(), truncated: false };
    assert_eq!(result, expected);
    std::fs::write(stage.path("history"), "from a file").unwrap();
    let file = ExecInput::File(stage.path("history"));
    assert_eq!(exec(&mut stage, program.clone(), file).stdout, b"from a file");
    assert_eq!(exec(&mut stage, program, ExecInput::Empty).stdout, b"");
    let missing = stage.program(&["no-such-helper"]);
    let ended = exec(&mut stage, missing, ExecInput::Empty).ended;
    assert_eq!(ended, Err("`no-such-helper` not found (is it built, and on PATH?)".to_owned()));
    stage.end();
}

#[test]
fn a_helper_that_prints_much_is_cut_to_its_end() {
    let mut stage = Stage::new();
    let program = stage.program(&["sh", "-c", "seq 1 200000; echo the end"]);
    let result = exec(&mut stage, program, ExecInput::Empty);
    assert_eq!(result.stdout.len(), 64 * 1024);
    assert!(result.truncated && result.stdout.ends_with(b"200000\nthe end\n"));
    stage.end();
}

#[test]
fn a_helper_can_be_killed_and_one_that_leaves_a_daemon_answers_all_the_same() {
    let mut stage = Stage::new();
    let program = stage.program(&["sh", "-c", "sleep 1000 & sleep 1000"]);
    let id = stage.world.exec(ExecSpec { program, stdin: ExecInput::Empty, place: None }).unwrap();
    stage.world.kill_exec(id);
    let killed = stage.until(|what| matches!(what, Happening::Executed { .. })).what;
    assert!(matches!(killed, Happening::Executed { result: Executed { ended: Ok(Exit::Signal(9)), .. }, .. }));
    let program = stage.program(&["sh", "-c", "setsid sleep 1000 & echo $!"]);
    let result = exec(&mut stage, program, ExecInput::Empty);
    assert_eq!(result.ended, Ok(Exit::Code(0)));
    let daemon: i32 = String::from_utf8(result.stdout).unwrap().trim().parse().unwrap();
    assert!(is_alive(daemon));
    stage.end();
    assert!(!is_alive(daemon), "but it does not outlive the world");
}

#[test]
fn a_probe_tells_an_open_port_from_a_closed_one() {
    let mut stage = Stage::new();
    let mut ports = Ports::new(3);
    let (open, closed) = (ports.allocate().unwrap(), ports.allocate().unwrap());
    let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, open)).unwrap();
    assert_eq!(probe(&mut stage, open), Ok(()));
    assert_eq!(probe(&mut stage, closed), Err("Connection refused".to_owned()));
    stage.end();
}

#[test]
fn input_never_blocks_and_its_failure_is_told() {
    let mut stage = Stage::new();
    let deaf = life("deaf", 1);
    stage.sh(&deaf, "echo say up; sleep 1000");
    stage.until_said("up");
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(stage.world.input(&deaf, vec![b'x'; 400_000]));
    }
    let refused = stage.until(|what| matches!(what, Happening::Input { result: Err(_), .. })).what;
    assert!(matches!(refused, Happening::Input { id, .. } if id == ids[2]), "{refused:?}");
    stage.until(|what| matches!(what, Happening::Input { id, result: Err(_), .. } if *id == ids[0]));
    let gone = stage.world.input(&life("nobody", 1), b"x".to_vec());
    stage.until(|what| matches!(what, Happening::Input { id, result: Err(_), .. } if *id == gone));
    stage.end();
}

#[test]
fn nothing_comes_before_the_deadline_if_nothing_happens() {
    let mut stage = Stage::new();
    let deadline = stage.world.clock().now() + Duration::from_millis(30);
    assert_eq!(stage.world.next(deadline), None);
    let late = stage.world.clock().now();
    assert!(late >= deadline);
    stage.end();
}
