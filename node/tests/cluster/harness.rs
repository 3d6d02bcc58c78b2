//! Real processes, killed on every way out of a test.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::port::Port;

/// Ends a test that would wait for ever. Nothing is asserted about speed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Members `peer1`, `peer2`, ... with their ports and data directories, running or not.
#[derive(Debug)]
pub(crate) struct Cluster {
    ports: Vec<Port>,
    data: TempDir,
    options: Vec<String>,
    /// They are told who the others are, and do not discover each other.
    listed: bool,
}

/// Failover within a second or two.
pub(crate) const QUICK: &[&str] =
    &["--heartbeat-interval=100ms", "--heartbeat-timeout=500ms", "--election-timeout=200ms"];
/// Failover only if a node is really gone, however busy the machine.
pub(crate) const PATIENT: &[&str] =
    &["--heartbeat-interval=100ms", "--heartbeat-timeout=20s", "--election-timeout=200ms"];

impl Cluster {
    pub(crate) fn new(members: usize, knobs: &'static [&'static str]) -> Self {
        let ports = (0..members).map(|_| Port::free()).collect();
        // In memory where there is such a place: on a disk that others keep busy, one fsync may take longer than an election.
        let data = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        Self { ports, data, options: knobs.iter().map(|&knob| knob.to_owned()).collect(), listed: true }
    }

    /// Peers that know nobody, and discover each other on `port` under the name `network`. `options` say who founds it.
    pub(crate) fn discovering(members: usize, port: &Port, network: &str, options: &[&str]) -> Self {
        let mut cluster = Self::new(members, PATIENT);
        cluster.listed = false;
        cluster.options.extend([format!("--broadcast-port={}", port.number), format!("--cluster={network}")]);
        cluster.options.extend(options.iter().map(|&option| option.to_owned()));
        cluster
    }

    pub(crate) fn address(&self, peer: usize) -> String {
        self.ports[peer - 1].address()
    }

    pub(crate) fn directory(&self, peer: usize) -> PathBuf {
        self.data.path().join(format!("peer{peer}"))
    }

    /// The command line of `peer<n>`, for a start with other ends than usual.
    pub(crate) fn command(&self, peer: usize) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dsnode"));
        command
            .args(["sensor", "--id", &format!("peer{peer}"), "--data"])
            .arg(self.directory(peer))
            .args(&self.options);
        if self.listed {
            let members: Vec<String> =
                (1..=self.ports.len()).map(|member| format!("peer{member}={}", self.address(member))).collect();
            command.args(["--peers", &members.join(",")]);
        } else {
            command.args(["--listen", &self.address(peer)]);
        }
        command
    }

    /// Adds options for the nodes that are started from now on.
    pub(crate) fn with(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|&option| option.to_owned()));
        self
    }

    pub(crate) fn start(&self, peer: usize) -> Node {
        Node::start(&mut self.command(peer))
    }

    pub(crate) fn start_all(&self) -> Vec<Node> {
        (1..=self.ports.len()).map(|peer| self.start(peer)).collect()
    }
}

/// A running node. Its stdin is a pipe: should the test itself be killed, the pipe closes and the node leaves.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    stdout: Arc<Lines>,
    stderr: Arc<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    read: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

/// A place in a node's output: only what comes after it counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(usize);

impl Mark {
    pub(crate) const START: Self = Self(0);
}

impl Node {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::with_stdin(command, Stdio::piped())
    }

    pub(crate) fn with_stdin(command: &mut Command, stdin: Stdio) -> Self {
        let (mut node, stdout) = Self::unheard(command.stdin(stdin));
        node.listen(stdout);
        node
    }

    /// A node whose stdout nobody reads before [`listen`](Self::listen).
    pub(crate) fn unheard(command: &mut Command) -> (Self, ChildStdout) {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().unwrap();
        let stderr = Lines::follow(child.stderr.take().unwrap());
        (Self { child, stdin, stdout: Arc::default(), stderr }, stdout)
    }

    pub(crate) fn listen(&mut self, stdout: ChildStdout) {
        self.stdout = Lines::follow(stdout);
    }

    /// What it wrote so far.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.stdout.read().0.len())
    }

    /// Waits for a line on stdout that contains `text`, and gives it.
    pub(crate) fn awaits(&self, since: Mark, text: &str) -> String {
        self.awaits_any(since, &[text])
    }

    /// Waits for a line on stdout that contains one of `texts`, and gives it.
    pub(crate) fn awaits_any(&self, since: Mark, texts: &[&str]) -> String {
        let found = |lines: &[String]| {
            lines.iter().skip(since.0).find(|line| texts.iter().any(|text| line.contains(text))).cloned()
        };
        self.stdout
            .wait(PATIENCE, |(lines, _)| found(lines))
            .unwrap_or_else(|| panic!("no line with {texts:?}{}", self.told()))
    }

    /// All lines on stdout so far.
    pub(crate) fn lines(&self, since: Mark) -> Vec<String> {
        self.stdout.read().0[since.0..].to_vec()
    }

    /// All lines on stdout, when it has ended: its last ones may be read later than its end is known.
    pub(crate) fn all_lines(&self) -> Vec<String> {
        let all = self.stdout.wait(PATIENCE, |(lines, ended)| ended.then(|| lines.to_vec()));
        all.expect("stdout ends with the process")
    }

    /// Types a line.
    pub(crate) fn types(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Asks for its status until it contains `text`, and gives that status.
    pub(crate) fn reports(&mut self, text: &str) -> String {
        self.reports_to("status", text)
    }

    /// Types this command for its status until that contains `text`, and gives it.
    pub(crate) fn reports_to(&mut self, command: &str, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let asked = self.mark();
            self.types(command);
            // Asked again after a while: an answer may be lost where nobody read for long.
            let answer = self.stdout.wait(Duration::from_secs(1), |(lines, _)| {
                lines[asked.0..].iter().find(|line| line.starts_with("status role=")).cloned()
            });
            if let Some(status) = answer.filter(|status| status.contains(text)) {
                return status;
            }
            assert!(Instant::now() < deadline, "the status never had {text:?}{}", self.told());
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn ends(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it never ended{}", self.told());
            std::thread::yield_now();
        }
    }

    /// Waits for its end, and gives all that it said on stderr.
    pub(crate) fn complaint(&mut self) -> String {
        self.ends();
        let all = self.stderr.wait(PATIENCE, |(lines, ended)| ended.then(|| lines.join("\n")));
        all.expect("stderr ends with the process")
    }

    /// The texts that it has delivered so far, in order, each with its number.
    pub(crate) fn delivered(&self) -> Vec<(u64, String)> {
        let delivery = |line: &String| {
            let (_, rest) = line.split_once(" DELIVERED seq=")?;
            let (seq, rest) = rest.split_once(' ')?;
            let (_, text) = rest.split_once(" text=")?;
            Some((seq.parse().unwrap(), text.to_owned()))
        };
        self.lines(Mark::START).iter().filter_map(delivery).collect()
    }

    /// Waits until it has delivered a message with this text.
    pub(crate) fn delivers(&self, text: &str) {
        self.awaits_line(Mark::START, &|line| {
            line.contains(" DELIVERED seq=") && line.ends_with(&format!(" text={text}"))
        });
    }

    /// Waits for a line on stdout that is as wanted, and gives it.
    pub(crate) fn awaits_line(&self, since: Mark, wanted: &dyn Fn(&str) -> bool) -> String {
        self.stdout
            .wait(PATIENCE, |(lines, _)| lines.iter().skip(since.0).find(|line| wanted(line)).cloned())
            .unwrap_or_else(|| panic!("no such line{}", self.told()))
    }

    pub(crate) fn crash(mut self) {
        self.signal(Signal::SIGKILL);
        self.ends();
    }

    fn told(&self) -> String {
        let mut told = String::from("; it said:\n");
        for line in self.stdout.read().0.iter().chain(&self.stderr.read().0) {
            writeln!(told, "  {line}").unwrap();
        }
        told
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Both fail on a process that has ended and been waited for, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lines {
    fn follow(pipe: impl Read + Send + 'static) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let reader = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                reader.read().0.push(line);
                reader.changed.notify_all();
            }
            reader.read().1 = true;
            reader.changed.notify_all();
        });
        lines
    }

    fn read(&self) -> MutexGuard<'_, (Vec<String>, bool)> {
        self.read.lock().unwrap()
    }

    fn wait<T>(&self, patience: Duration, look: impl Fn((&[String], bool)) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut read = self.read();
        loop {
            if let Some(found) = look((&read.0, read.1)) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            read = self.changed.wait_timeout(read, left).unwrap().0;
        }
    }
}

/// `term=` of a line.
pub(crate) fn term(line: &str) -> u64 {
    let digits = line.split("term=").nth(1).unwrap_or_else(|| panic!("no term in {line:?}"));
    digits.split(' ').next().unwrap().parse().unwrap()
}

/// The promise under `majority`, whatever else happened: no term was ever led by two.
pub(crate) fn assert_one_leader_per_term<'a>(nodes: impl IntoIterator<Item = &'a Node>) {
    let mut led: Vec<u64> = (nodes.into_iter())
        .flat_map(|node| node.lines(Mark::START))
        .filter(|line| line.contains("became the Group Leader"))
        .map(|line| term(&line))
        .collect();
    led.sort_unstable();
    let terms = led.len();
    led.dedup();
    assert_eq!(led.len(), terms, "a term was led twice: {led:?}");
}
