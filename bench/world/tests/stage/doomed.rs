//! A bench that is about to die: a test program that executes itself anew.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use super::{PATIENCE, marked};

/// The variable that marks everything of one doomed bench: itself, guardian, keepers, nodes.
pub(crate) const MARK: &str = "DSBENCH_TEST_MARK";

/// A bench in another process, which starts, kills and pauses stubborn nodes and prints a line before each thing it does.
pub(crate) struct Doomed {
    pub(crate) child: Child,
    pub(crate) lines: BufReader<ChildStdout>,
    mark: String,
    /// Where it puts its files: it will not live to remove them.
    _dir: TempDir,
}

impl Doomed {
    pub(crate) fn start(role: &str) -> Self {
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
    pub(crate) fn told(&mut self, key: &str) -> i32 {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            if let Some(number) = line.strip_prefix(key) {
                return number.trim().parse().unwrap();
            }
            line.clear();
        }
        panic!("it ended without a line {key}")
    }

    pub(crate) fn marked(&self) -> Vec<i32> {
        marked(&format!("{MARK}={}", self.mark))
    }

    /// Waits until nothing of it is left.
    pub(crate) fn assert_gone(&mut self) {
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

/// What this process is to do, and its mark; none if it is no doomed bench.
pub(crate) fn role() -> Option<(String, String)> {
    Some((std::env::var("DSBENCH_TEST_ROLE").ok()?, std::env::var(MARK).unwrap()))
}

/// Tells the test that has executed this process.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout();
    // Nobody may be reading any more.
    let _ = writeln!(out, "\n{line}");
    let _ = out.flush();
}

pub(crate) fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(") ").next().unwrap().split(' ').nth(1).unwrap().parse().unwrap()
}

/// The processes that have this parent.
pub(crate) fn children(of: i32) -> Vec<i32> {
    let ids =
        std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parent = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit(") ").next()?.split(' ').nth(1)?.parse::<i32>().ok()
    };
    ids.filter(|pid| parent(*pid) == Some(of)).collect()
}

pub(crate) fn name(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap().trim().to_owned()
}

pub(crate) fn kill(pid: i32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
}
