//! Nothing survives the bench, however it, its guardian or a keeper dies. The bench that dies here is this test program, executed anew.
#![expect(clippy::unwrap_used, reason = "test code outside of test functions")]

mod stage;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use dsbench_core::observation::Exit;
use dsbench_world::{Happening, SpawnSpec};

use tempfile::TempDir;

use stage::{PATIENCE, Stage, is_alive, life, marked, words};

/// The variable that marks everything of one doomed bench: itself, guardian, keepers, nodes.
const MARK: &str = "DSBENCH_TEST_MARK";

/// Heeds no signal, and detaches a daemon that does not either.
const STUBBORN: &str = "trap '' TERM HUP INT USR1 USR2 PIPE; \
    (setsid sh -c 'trap \"\" TERM HUP INT PIPE; (setsid sh -c \"trap \\\"\\\" TERM HUP INT PIPE; while :; do sleep 1000; done\" &); while :; do sleep 1000; done' &); \
    echo say up; while :; do sleep 1000; done";

/// A bench in another process, which starts, kills and pauses stubborn nodes and prints a line before each thing it does.
struct Doomed {
    child: Child,
    lines: BufReader<ChildStdout>,
    mark: String,
    /// Where it puts its files: it will not live to remove them.
    _dir: TempDir,
}

impl Doomed {
    fn start(role: &str) -> Self {
        let mark = format!("{}-{:?}-{:?}", std::process::id(), std::thread::current().id(), unique());
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "doomed_bench", "--nocapture", "--test-threads=1"])
            .env(MARK, &mark)
            .env("TMPDIR", dir.path())
            .env("DSBENCH_TEST_ROLE", role)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines, mark, _dir: dir }
    }

    /// The number in its next line that begins so.
    fn told(&mut self, key: &str) -> i32 {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            if let Some(number) = line.strip_prefix(key) {
                return number.trim().parse().unwrap();
            }
            line.clear();
        }
        panic!("it ended without a line {key}")
    }

    fn marked(&self) -> Vec<i32> {
        marked(&format!("{MARK}={}", self.mark))
    }

    /// Waits until nothing of it is left.
    fn assert_gone(&mut self) {
        self.child.wait().unwrap();
        let since = now();
        while !self.marked().is_empty() {
            let survivors: Vec<String> = self.marked().iter().map(|pid| describe(*pid)).collect();
            assert!(since.elapsed() < PATIENCE, "survivors: {survivors:#?}");
        }
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's patience is no run time")]
fn now() -> Instant {
    Instant::now()
}

fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn describe(pid: i32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    format!("{pid} {} {stat}", String::from_utf8_lossy(&line))
}

/// No test, but the program that the tests below execute and kill.
#[test]
fn doomed_bench() {
    let Ok(role) = std::env::var("DSBENCH_TEST_ROLE") else { return };
    let mark = std::env::var(MARK).unwrap();
    let say = |line: &str| {
        let mut out = std::io::stdout();
        // Nobody may be reading any more.
        let _ = writeln!(out, "\n{line}");
        let _ = out.flush();
    };
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

fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(") ").next().unwrap().split(' ').nth(1).unwrap().parse().unwrap()
}

fn name(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap().trim().to_owned()
}

fn kill(pid: i32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
}
