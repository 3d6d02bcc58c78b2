//! Nothing survives the bench, however it, its guardian or a keeper dies. The bench that dies here is this test program, executed anew.

mod stage;

use std::io::BufRead as _;

use dsbench_core::observation::Exit;
use dsbench_world::{Happening, SpawnSpec};

use stage::doomed::{Doomed, MARK, kill, name, parent, role, say};
use stage::{PATIENCE, Stage, is_alive, life, marked, words};

/// Heeds no signal, and detaches a daemon that does not either.
const STUBBORN: &str = "trap '' TERM HUP INT USR1 USR2 PIPE; \
    (setsid sh -c 'trap \"\" TERM HUP INT PIPE; (setsid sh -c \"trap \\\"\\\" TERM HUP INT PIPE; while :; do sleep 1000; done\" &); while :; do sleep 1000; done' &); \
    echo say up; while :; do sleep 1000; done";

/// No test, but the program that the tests below execute and kill.
#[test]
fn doomed_bench() {
    let Some((role, mark)) = role() else { return };
    let mut stage = Stage::new();
    for number in 1.. {
        let of = life("n", number);
        say(&format!("spawn {number}"));
        let mut program = stage.program(&["sh", "-c", STUBBORN]);
        program.env.push((MARK.into(), mark.clone().into()));
        stage
            .world
            .spawn(
                of.clone(),
                SpawnSpec { program, stdout: words(), stderr: None, files: Vec::new(), label: false, place: None },
            )
            .unwrap();
        if role == "storm" && number % 3 != 0 {
            continue;
        }
        stage.until_said("up");
        say(&format!("up {number}"));
        assert!(role != "panic", "as it was told");
        stage.world.pause(&of);
        say(&format!("paused {number}"));
        stage.world.kill(&of);
        say(&format!("killed {number}"));
        stage.until_empty(&of);
    }
}

#[test]
fn kill_9_of_the_bench_at_any_instant_leaves_nothing() {
    // The more lines are read, the later it dies: in the first start, in the middle of others, while it pauses and kills.
    for lines in 0..12 {
        let mut doomed = Doomed::start("storm");
        let mut line = String::new();
        while line.matches('\n').count() < 2 * lines {
            assert!(doomed.lines.read_line(&mut line).unwrap() > 0);
        }
        doomed.child.kill().unwrap();
        doomed.assert_gone();
    }
}

#[test]
fn a_panic_of_the_bench_leaves_nothing() {
    let mut doomed = Doomed::start("panic");
    doomed.told("up ");
    doomed.assert_gone();
}

#[test]
fn when_the_guardian_is_killed_the_keepers_kill_their_trees_and_the_bench_is_told() {
    let mut stage = Stage::new();
    let one = life("n", 1);
    let pid = stage.sh(&one, STUBBORN);
    stage.until_said("up");
    let guardian = parent(parent(pid));
    assert_eq!(name(guardian), "dsbench-guard");
    kill(guardian);
    stage.until(|what| matches!(what, Happening::Broken { .. }));
    if stage.world.is_alive(&one) {
        stage.until_empty(&one);
    }
    assert!(!is_alive(pid));
    // It cannot be confirmed by a guardian that is dead.
    let ended = stage.world.shutdown(PATIENCE);
    assert_eq!(ended.survivors.len(), 1, "{:?}", ended.survivors);
}

#[test]
fn when_a_keeper_is_killed_the_guardian_kills_its_tree_and_the_bench_is_told() {
    let mut stage = Stage::new();
    let (one, other) = (life("n", 1), life("other", 1));
    let survivor = stage.sh(&other, STUBBORN);
    stage.until_said("up");
    let mark = format!("{MARK}=keeper-{}", std::process::id());
    let mut program = stage.program(&["sh", "-c", STUBBORN]);
    program.env.push((MARK.into(), mark.split_once('=').unwrap().1.into()));
    stage
        .world
        .spawn(
            one.clone(),
            SpawnSpec { program, stdout: words(), stderr: None, files: Vec::new(), label: false, place: None },
        )
        .unwrap();
    stage.until_said("up");
    let pid = stage
        .seen
        .iter()
        .find_map(|outside| match &outside.what {
            Happening::Started { of, pid } if *of == one => Some(*pid),
            _ => None,
        })
        .unwrap();
    assert_eq!(name(parent(pid)), "dsbench-keep");
    kill(parent(pid));
    stage.until(|what| matches!(what, Happening::Broken { why } if why.contains("keeper")));
    assert_eq!(stage.until_exited(&one), Exit::Signal(9));
    stage.until_empty(&one);
    assert_eq!(marked(&mark), [0; 0]);
    assert!(is_alive(survivor), "other nodes are not touched");
    stage.end();
}
