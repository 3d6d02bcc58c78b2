//! The chat as people use it: nodes, a client and peers in terminals of tmux, typed at and read as they stand there.

#![expect(clippy::disallowed_methods, reason = "a test's patience is not run time")]

use std::net::TcpListener;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::support::{PATIENCE, Place, kill};

const CONFIGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../node/configs");

/// Terminals of 110 columns and 30 rows, each with a name and one dsbench.
struct Terminals<'p> {
    place: &'p Place,
}

impl<'p> Terminals<'p> {
    fn new(place: &'p Place) -> Self {
        Self { place }
    }

    fn tmux(&self, args: &[&str]) -> Output {
        let mut tmux = Command::new("tmux");
        tmux.args(["-f", "/dev/null", "-S"]).arg(self.place.path("terminals")).args(args);
        // Whoever looks for processes in the place must not find the terminal.
        tmux.current_dir("/").env_remove("TMUX").env("LC_ALL", "C.UTF-8").output().expect("tmux is installed")
    }

    fn line(&self, args: &str) -> String {
        format!("cd '{}' && exec '{}' node {args}", self.place.path("").display(), env!("CARGO_BIN_EXE_dsbench"))
    }

    fn open(&self, name: &str, args: &str) {
        let line = self.line(args);
        // A terminal that stays when its program has ended can still be read.
        let stays = ["set-option", "-g", "remain-on-exit", "on", ";"];
        let opened = if self.tmux(&["has-session"]).status.success() {
            self.tmux(&["new-window", "-d", "-n", name, &line])
        } else {
            let session = ["new-session", "-d", "-x", "110", "-y", "30", "-n", name, &line];
            self.tmux(&[&["start-server", ";"][..], &stays, &session].concat())
        };
        assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
    }

    /// Kills what runs there, without a word.
    fn crash(&self, name: &str) {
        let pid = self.tmux(&["display-message", "-p", "-t", name, "#{pane_pid}"]).stdout;
        kill(String::from_utf8_lossy(&pid).trim().parse().expect("a process id"), "KILL");
    }

    /// Starts this in the place of what has ended there.
    fn open_again(&self, name: &str, args: &str) {
        assert!(self.tmux(&["respawn-pane", "-k", "-t", name, &self.line(args)]).status.success());
    }

    fn screen(&self, name: &str) -> String {
        let shown = self.tmux(&["capture-pane", "-p", "-J", "-S", "-", "-t", name]).stdout;
        String::from_utf8_lossy(&shown).trim_end().to_owned()
    }

    fn wait_for(&self, name: &str, what: &str, holds: impl Fn(&str) -> bool) {
        let begun = std::time::Instant::now();
        while !holds(&self.screen(name)) {
            assert!(begun.elapsed() < PATIENCE, "{name} still waits for: {what}\n{}", self.screen(name));
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
    }

    fn shows(&self, name: &str, text: &str) {
        self.wait_for(name, text, |screen| screen.contains(text));
    }

    /// The last line is this: the prompt and what is being typed.
    fn asks(&self, name: &str, line: &str) {
        self.wait_for(name, line, |screen| screen.lines().last().is_some_and(|last| last.trim_end() == line));
    }

    fn press(&self, name: &str, keys: &[&str]) {
        assert!(self.tmux(&[&["send-keys", "-t", name][..], keys].concat()).status.success());
    }

    /// Types text as it is.
    fn type_in(&self, name: &str, text: &str) {
        assert!(self.tmux(&["send-keys", "-t", name, "-l", text]).status.success());
    }

    fn says(&self, name: &str, text: &str) {
        self.type_in(name, text);
        self.press(name, &["Enter"]);
    }

    fn has_ended(&self, name: &str, code: &str) {
        let ended = || {
            // tmux may miss the end of a program (what writes its utmp record takes that signal for a moment) until another one ends, this
            // one as well: nobody waits for it.
            self.tmux(&["run-shell", "-b", "true"]);
            let status = self.tmux(&["display-message", "-p", "-t", name, "#{pane_dead} #{pane_dead_status}"]).stdout;
            String::from_utf8_lossy(&status).trim().to_owned()
        };
        // The terminal may be seen to close before the code of its program is known: then nothing stands behind the 1 yet.
        self.wait_for(name, "its end", |_| ended().starts_with("1 "));
        assert_eq!(ended(), format!("1 {code}"), "{}", self.screen(name));
    }
}

impl Drop for Terminals<'_> {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// Free ports beside each other, outside of those that connections take by themselves, and other ones for each test.
fn ports() -> [u16; 3] {
    static TESTS: AtomicU16 = AtomicU16::new(0);
    let test = TESTS.fetch_add(1, Ordering::Relaxed);
    let first = 20_000 + (std::process::id() % 1000) as u16 * 9 + 3 * test;
    let mut all = (first..32_000).step_by(9).map(|port| [port, port + 1, port + 2]);
    let is_free = |port: u16| TcpListener::bind(("0.0.0.0", port)).is_ok();
    all.find(|ports| ports.iter().all(|&port| is_free(port))).expect("three ports are free")
}

#[test]
#[ignore = "needs tmux"]
fn a_person_chats_on_when_the_leader_is_killed_and_sees_every_message_once() {
    let place = Place::new();
    let ports = ports();
    // The shipped configurations, on ports that are free.
    for n in 1..=3 {
        let name = format!("chat-node{n}.toml");
        let config = std::fs::read_to_string(format!("{CONFIGS}/{name}")).expect("it is shipped");
        let moved =
            (1..).zip(ports).fold(config, |config, (n, port)| config.replace(&format!("500{n}"), &port.to_string()));
        place.write(&name, &moved);
    }
    let terminals = Terminals::new(&place);
    for n in 1..=3 {
        terminals.open(&format!("node{n}"), &format!("chat --config chat-node{n}.toml"));
    }
    terminals.shows("node3", "LEADER node=3");
    let nodes = ports.map(|port| format!("--node 127.0.0.1:{port}")).join(" ");
    terminals.open("client", &format!("chat-client {nodes} --name alice"));
    terminals.shows("client", &format!("* connected to node 1 at 127.0.0.1:{}", ports[0]));
    terminals.shows("client", "node 3 leads (term ");
    terminals.asks("client", "general>");
    terminals.says("client", "Hello from client!");
    terminals.shows("client", "[general #1] alice: Hello from client!");
    for n in 1..=3 {
        let delivered = |screen: &str| {
            screen.lines().any(|line| line.contains("DELIVERED seq=1 ") && line.ends_with("text=Hello from client!"))
        };
        terminals.wait_for(&format!("node{n}"), "the message", delivered);
        terminals.asks(&format!("node{n}"), &format!("node_{n}>"));
    }

    terminals.crash("node3");
    terminals.says("client", "said when nobody leads");
    terminals.shows("client", "[general #2] alice: said when nobody leads");
    terminals.wait_for("client", "who leads now", |screen| {
        screen.contains("* node 2 leads (term ") || screen.contains("* node 1 leads (term ")
    });
    terminals.open_again("node3", "chat --config chat-node3.toml");
    terminals.wait_for("node3", "what it missed", |screen| {
        screen.contains("DELIVERED seq=2 ") && screen.contains("text=said when nobody leads")
    });

    // History and line editing.
    terminals.press("client", &["Up"]);
    terminals.asks("client", "general> said when nobody leads");
    terminals.press("client", &["C-u"]);
    terminals.type_in("client", "wrld");
    terminals.press("client", &["Left", "Left", "Left"]);
    terminals.type_in("client", "o");
    terminals.asks("client", "general> world");
    // What others say does not disturb what is being typed.
    terminals.says("node1", "send meanwhile");
    terminals.shows("client", "[general #3] 1: meanwhile");
    terminals.asks("client", "general> world");
    terminals.press("client", &["Enter"]);
    terminals.shows("client", "[general #4] alice: world");
    // Nothing is lost of what is pasted, or typed faster than it is answered.
    terminals.press("client", &["one", "Enter", "two", "Enter", "three", "Enter", "four"]);
    terminals.shows("client", "[general #7] alice: three");
    terminals.asks("client", "general> four");
    terminals.press("client", &["C-u"]);

    terminals.says("client", "/nodes");
    terminals.shows("client", &format!("3 127.0.0.1:{} member", ports[2]));
    terminals.says("client", "/room dev");
    terminals.asks("client", "dev>");
    terminals.says("client", "/status");
    terminals.wait_for("client", "its status", |screen| {
        screen.lines().any(|line| {
            line.starts_with(&format!("node=1 at=127.0.0.1:{} role=", ports[0]))
                && line.ends_with("connection=up room=dev unacknowledged=0")
        })
    });
    let once = terminals.screen("client").matches("] alice: said when nobody leads").count();
    assert_eq!(once, 1, "{}", terminals.screen("client"));

    // A client that loses its node goes on with another one.
    terminals.crash("node1");
    terminals.shows("client", &format!("* lost the node at 127.0.0.1:{}", ports[0]));
    terminals.says("client", "elsewhere");
    terminals.shows("client", "[dev #1] alice: elsewhere");
    terminals.says("client", "/quit");
    terminals.has_ended("client", "0");
    terminals.press("node2", &["C-c"]);
    terminals.has_ended("node2", "0");
}

#[test]
#[ignore = "needs tmux"]
fn peers_chat_in_their_terminals() {
    let place = Place::new();
    let ports = ports();
    let terminals = Terminals::new(&place);
    let peer = |n: usize| format!("p2p --id {n} --host 127.0.0.1 --port {}", ports[n - 1]);
    terminals.open("peer1", &peer(1));
    terminals.shows("peer1", "* without --seed, this peer begins a chat of its own");
    for n in [2, 3] {
        terminals.open(&format!("peer{n}"), &format!("{} --seed 1:127.0.0.1:{}", peer(n), ports[0]));
    }
    for n in 1..=3 {
        terminals.shows(&format!("peer{n}"), "* in the chat: 3, 2, 1");
        terminals.asks(&format!("peer{n}"), &format!("peer_{n}>"));
    }
    terminals.type_in("peer2", "Hi from peer 2!");
    terminals.says("peer1", "Hello from peer 1!");
    terminals.shows("peer2", "[general #1] 1: Hello from peer 1!");
    terminals.asks("peer2", "peer_2> Hi from peer 2!");
    terminals.press("peer2", &["Enter"]);
    for n in 1..=3 {
        terminals.wait_for(&format!("peer{n}"), "both messages in one order", |screen| {
            let first = screen.find("[general #1] 1: Hello from peer 1!");
            let second = screen.find("[general #2] 2");
            first.is_some() && second > first
        });
        let screen = terminals.screen(&format!("peer{n}"));
        assert!(!screen.contains(" INFO "), "the log is not on the screen: {screen}");
    }
    assert!(place.read("data/logs/peer1.log").contains(" DELIVERED seq=2 "));
    terminals.says("peer3", "/status");
    terminals.shows("peer3", "in the chat: 3, 2, 1; connected to 2 peers");
    terminals.press("peer2", &["Up"]);
    terminals.asks("peer2", "peer_2> Hi from peer 2!");
    terminals.press("peer2", &["C-c"]);
    terminals.has_ended("peer2", "0");
    terminals.shows("peer3", "* 2 has left");
    terminals.says("peer3", "/quit");
    terminals.has_ended("peer3", "0");

    // One that looks for others obeys as well.
    terminals.open("peer4", &format!("p2p --id 4 --port {} --port-range {}-{}", ports[1], ports[2], ports[2]));
    terminals.shows("peer4", "* no peer on the ports");
    terminals.asks("peer4", "peer_4>");
    terminals.says("peer4", "/quit");
    terminals.has_ended("peer4", "0");
}
