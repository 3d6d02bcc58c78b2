//! The chat: rooms in one order everywhere, message logs that agree, through crashes and strangers.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dsbench_wire::chat::Delivery;
use tempfile::TempDir;

use crate::harness::{Mark, Node, assert_one_leader_per_term, term};
use crate::port::Port;

/// Ends a test that would wait for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nodes 1, 2, ... with their ports, configurations and message logs.
#[derive(Debug)]
pub(crate) struct Chat {
    ports: Vec<Port>,
    scratch: TempDir,
    knobs: &'static str,
}

/// Failover within a second or two.
pub(crate) const QUICK: &str = "heartbeat_interval_ms = 100\nleader_timeout_ms = 500\nelection_timeout_ms = 200\n";
/// Failover within some seconds.
const STEADY: &str = "heartbeat_interval_ms = 100\nleader_timeout_ms = 2000\nelection_timeout_ms = 200\n";
/// The same, and the records are forgotten as soon as may be: who was away needs a snapshot.
const FORGETFUL: &str = "heartbeat_interval_ms = 100\nleader_timeout_ms = 20000\nelection_timeout_ms = 200\n\
    checkpoint_every = 10\nretain = 0\n";
/// Nobody's silence means anything while a test runs.
const UNHURRIED: &str = "heartbeat_interval_ms = 100\nleader_timeout_ms = 3600000\nelection_timeout_ms = 200\n";
/// Without a quorum.
const CLASSROOM: &str =
    "quorum = \"none\"\nheartbeat_interval_ms = 100\nleader_timeout_ms = 500\nelection_timeout_ms = 200\n";
/// Failover only if a node is really gone, however busy the machine.
pub(crate) const PATIENT: &str = "heartbeat_interval_ms = 100\nleader_timeout_ms = 20000\nelection_timeout_ms = 200\n";

impl Chat {
    pub(crate) fn new(nodes: usize, knobs: &'static str) -> Self {
        let ports = (0..nodes).map(|_| Port::free()).collect();
        let scratch = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        Self { ports, scratch, knobs }
    }

    pub(crate) fn address(&self, node: usize) -> String {
        self.ports[node - 1].address()
    }

    fn config(&self, node: usize) -> String {
        let seed = |other: usize| {
            format!("{{ node_id = {other}, host = \"127.0.0.1\", port = {} }}", self.ports[other - 1].number)
        };
        let seeds: Vec<String> = (1..=self.ports.len()).filter(|&other| other != node).map(seed).collect();
        let founding = if seeds.is_empty() { "bootstrap = true\n" } else { "" };
        format!(
            "node_id = {node}\nhost = \"127.0.0.1\"\nport = {}\nseed_nodes = [{}]\nlog_dir = \"{}\"\n{founding}{}",
            self.ports[node - 1].number,
            seeds.join(", "),
            self.scratch.path().display(),
            self.knobs
        )
    }

    /// The directory of its records.
    fn records(&self, node: usize) -> PathBuf {
        self.scratch.path().join(format!("node{node}"))
    }

    /// The same nodes, with other knobs from now on.
    fn with(self, knobs: &'static str) -> Self {
        Self { knobs, ..self }
    }

    /// The node, allowed to have so many files open.
    fn with_files(&self, node: usize, soft: u32, hard: u32) -> Node {
        let command = self.command(node);
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("ulimit -Hn {hard}; ulimit -Sn {soft}; exec \"$0\" \"$@\"")])
            .arg(command.get_program());
        Node::start(shell.args(command.get_args()))
    }

    fn command(&self, node: usize) -> Command {
        let path = self.scratch.path().join(format!("node{node}.toml"));
        fs::write(&path, self.config(node)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dsnode"));
        command.args(["chat", "--config"]).arg(path);
        command
    }

    pub(crate) fn start(&self, node: usize) -> Node {
        Node::start(&mut self.command(node))
    }

    /// All nodes, when they agree on a leader.
    pub(crate) fn settled(&self) -> Vec<Node> {
        let mut nodes: Vec<Node> = (1..=self.ports.len()).map(|node| self.start(node)).collect();
        for node in &mut nodes {
            node.reports(&format!("leader={}", self.ports.len()));
        }
        nodes
    }

    fn message_log(&self, node: usize) -> PathBuf {
        self.scratch.path().join(format!("node{node}.jsonl"))
    }

    pub(crate) fn messages(&self, node: usize) -> Vec<Delivery> {
        let text = fs::read_to_string(self.message_log(node)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Each room numbered from 1 without a gap, and each request once.
pub(crate) fn assert_exactly_once(messages: &[Delivery]) {
    let mut rooms = std::collections::BTreeMap::new();
    let mut requests = BTreeSet::new();
    for message in messages {
        let last = rooms.entry(&message.room_id).or_insert(0);
        *last += 1;
        assert_eq!(message.seq_no, *last, "{message:?}");
        assert!(requests.insert(message.request()), "twice: {message:?}");
    }
}

/// A program that speaks the documented lines.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) fn at(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    pub(crate) fn says(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Everything until the node closes the connection.
    fn hears_all(&mut self) -> String {
        let mut all = String::new();
        self.0.read_to_string(&mut all).unwrap();
        all
    }

    pub(crate) fn hears(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    fn asks(&mut self, line: &str) -> String {
        self.says(line);
        self.hears()
    }
}

fn said(sender: &str, serial: usize, room: &str, text: &str) -> String {
    format!(
        "{{\"type\":\"CHAT\",\"sender_id\":\"{sender}\",\"serial\":{serial},\"room_id\":\"{room}\",\"payload\":\"{text}\"}}"
    )
}

#[test]
fn highest_of_three_leads_and_all_message_logs_are_the_same() {
    let chat = Chat::new(3, PATIENT);
    let mut nodes = chat.settled();
    nodes[2].awaits(Mark::START, " INFO LEADER node=3 term=");
    for round in 0..20 {
        for (n, node) in nodes.iter_mut().enumerate() {
            node.types(if round % 2 == 0 { "room general" } else { "room dev" });
            node.types(&format!("send {round} from {n}"));
        }
    }
    for node in &nodes {
        for room in ["general", "dev"] {
            let last = format!(" room={room} ");
            node.awaits_line(Mark::START, &|line| line.contains(" DELIVERED seq=30 ") && line.contains(&last));
        }
    }
    let first = chat.messages(1);
    assert_eq!(first.len(), 60);
    assert_exactly_once(&first);
    let [one, two, three] = [1, 2, 3].map(|node| fs::read(chat.message_log(node)).unwrap());
    assert!(one == two && two == three);
    nodes[0].awaits_line(Mark::START, &|line| line.contains(" acknowledged msg=1/") && line.contains(" seq="));
}

#[test]
fn leader_killed_while_clients_write_loses_nothing_acknowledged_and_repeats_nothing() {
    let chat = Chat::new(3, QUICK);
    let mut nodes = chat.settled();
    let answered = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (1..=2)
        .map(|node| {
            let address = chat.address(node);
            let answered = Arc::clone(&answered);
            std::thread::spawn(move || {
                let mut client = Client::at(&address);
                let answers = (1..=300).map(|serial| {
                    let room = if serial % 3 == 0 { "dev" } else { "general" };
                    let answer =
                        client.asks(&said(&format!("writer{node}"), serial, room, &format!("{node}.{serial}")));
                    answered.fetch_add(1, Ordering::Relaxed);
                    (serial as u64, answer)
                });
                answers.collect::<Vec<_>>()
            })
        })
        .collect();
    nodes[0].awaits_line(Mark::START, &|line| line.contains(" DELIVERED ") && line.ends_with("text=1.50"));
    nodes.remove(2).crash();
    assert!(answered.load(Ordering::Relaxed) < 600, "nothing is left to ask a leader that is gone");
    let answers: Vec<Vec<(u64, String)>> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
    nodes.push(chat.start(3));
    nodes[0].types("send after it");
    for node in &nodes {
        node.delivers("after it");
    }
    let messages = chat.messages(1);
    assert_exactly_once(&messages);
    for (node, answers) in (1..).zip(&answers) {
        for (serial, answer) in answers {
            assert!(answer.contains("\"type\":\"ACKNOWLEDGED\""), "writer{node}/{serial}: {answer}");
            let is_it = |message: &&Delivery| message.request().to_string() == format!("writer{node}/{serial}");
            let message = messages.iter().find(is_it).unwrap_or_else(|| panic!("writer{node}/{serial} is lost"));
            assert!(answer.contains(&format!("\"seq_no\":{},", message.seq_no)), "{answer} {message:?}");
        }
    }
    for node in 2..=3 {
        assert_eq!(chat.messages(node), messages, "node {node}");
    }
    assert_one_leader_per_term(&nodes);
}

#[test]
fn killed_leader_is_replaced_long_before_its_silence_would_say_so() {
    let chat = Chat::new(3, UNHURRIED);
    let mut nodes = chat.settled();
    let mut client = Client::at(&chat.address(1));
    client.asks(&said("writer", 1, "general", "before"));
    nodes.remove(2).crash();
    let answer = client.asks(&said("writer", 2, "general", "after"));
    assert!(answer.contains("\"type\":\"ACKNOWLEDGED\""), "{answer}");
    for node in &nodes {
        node.delivers("after");
    }
    // The first of the two to notice may win the other over before that one has noticed anything.
    let noticed = nodes.iter().filter(|node| {
        let lines = node.lines(Mark::START);
        let place = |text: &str| lines.iter().position(|line| line.contains(text));
        let steps =
            ["its process seems to have ended", "SUSPECTED peer=3", "FAILED peer=3", "leader-failed:3"].map(place);
        assert!(steps.iter().flatten().is_sorted(), "{lines:#?}");
        steps.iter().all(Option::is_some)
    });
    assert!(noticed.count() > 0);
    assert_one_leader_per_term(&nodes);
}

#[test]
fn leader_that_left_and_returns_follows() {
    let chat = Chat::new(3, STEADY);
    let mut nodes = chat.settled();
    nodes[2].types("quit");
    assert_eq!(nodes[2].ends().code(), Some(0));
    // Whoever of the two had answered it when it left.
    let status = nodes[0].reports("members=2,1");
    let heir = status.split(' ').find(|field| field.starts_with("leader=")).unwrap();
    assert!(["leader=1", "leader=2"].contains(&heir), "{status}");
    nodes[2] = chat.start(3);
    nodes[2].reports("role=follower");
    nodes[2].types("send back again");
    for node in &mut nodes {
        node.delivers("back again");
        node.reports(heir);
    }
    assert_one_leader_per_term(&nodes);
}

#[test]
fn node_that_was_away_catches_up_and_its_message_log_has_everything_once() {
    let chat = Chat::new(3, QUICK);
    let mut nodes = chat.settled();
    let mut sent = 0;
    for round in 0..4 {
        for _ in 0..25 {
            nodes[1].types(&format!("send {sent}"));
            sent += 1;
        }
        if round < 3 {
            // Killed in the middle of it, and away for some more.
            nodes[0].awaits_line(Mark::START, &|line| line.contains(" DELIVERED "));
            nodes.remove(0).crash();
            nodes[1].types(&format!("send missed in round {round}"));
            nodes[1].delivers(&format!("missed in round {round}"));
            nodes.insert(0, chat.start(1));
        }
    }
    nodes[1].types("send the end");
    for node in &nodes {
        node.delivers("the end");
    }
    let messages = chat.messages(1);
    assert_eq!(messages.len(), 100 + 3 + 1);
    assert_exactly_once(&messages);
    assert_eq!(messages, chat.messages(3));
}

#[test]
fn a_client_that_was_away_gets_what_it_missed_and_then_what_comes() {
    let chat = Chat::new(1, PATIENT);
    let mut node = chat.start(1);
    node.reports("role=leader");
    let mut alice = Client::at(&chat.address(1));
    let uuid = "550e8400-e29b-41d4-a716-446655440000";
    let documented =
        format!("{{\"type\":\"CHAT\",\"msg_id\":\"{uuid}\",\"room_id\":\"general\",\"payload\":\"Hello, world!\"}}");
    let first = alice.asks(&documented);
    assert!(first.contains(&format!("\"msg_id\":\"{uuid}\",\"seq_no\":1,")), "{first}");
    assert_eq!(alice.asks(&documented), first, "asked again, done once");
    for serial in 1..=9 {
        alice.asks(&said("alice", serial, "general", "more"));
    }
    // Acknowledged is committed; a moment later it is delivered here.
    node.awaits_line(Mark::START, &|line| line.contains(" DELIVERED seq=10 "));
    let index = |line: &str| serde_json::from_str::<Delivery>(line).unwrap().index;
    let mut bob = Client::at(&chat.address(1));
    let all: Vec<String> =
        std::iter::once(bob.asks("{\"type\":\"CATCHUP_REQ\"}")).chain((1..10).map(|_| bob.hears())).collect();
    assert!(all[0].contains("\"type\":\"SEQ_CHAT\"") && all[0].contains("\"payload\":\"Hello, world!\""), "{all:?}");
    assert!(bob.hears().contains("\"type\":\"CATCHUP_RESP\""));
    let mut later = Client::at(&chat.address(1));
    let after = index(&all[6]);
    assert_eq!(later.asks(&format!("{{\"type\":\"CATCHUP_REQ\",\"after\":{after}}}")), all[7]);
    node.types("send live");
    assert!(bob.hears().contains("\"payload\":\"live\""));
}

#[test]
fn strangers_do_not_disturb_a_chat() {
    let chat = Chat::new(3, PATIENT);
    let mut nodes = chat.settled();
    let led = format!("term={} leader=3", term(&nodes[2].reports("role=leader")));
    let mut garbage = TcpStream::connect(chat.address(3)).unwrap();
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let _ = garbage.write_all(&bytes);
    let mut endless = TcpStream::connect(chat.address(3)).unwrap();
    while endless.write_all(&vec![b'['; 1 << 20]).is_ok() {}
    let mut forged = Client::at(&chat.address(3));
    for line in [
        "{\"type\":\"COORDINATOR\",\"sender_id\":9,\"receiver_id\":3,\"term\":99,\"leader\":{\"node_id\":9,\"host\":\"127.0.0.1\",\"port\":1}}",
        "{\"type\":\"VOTE_REQUEST\",\"sender_id\":9,\"receiver_id\":3,\"term\":99,\"last\":{\"term\":98,\"index\":1000}}",
        "{\"type\":\"CHAT\",\"msg_id\":\"\\u001b[2J\",\"payload\":\"x\"}",
        "{\"type\":\"CHAT\",\"room_id\":\"a b\\nDELIVERED\",\"payload\":\"x\"}",
    ] {
        forged.says(line);
    }
    // From a member that does not lead, from a stranger, and of a term that is long over: each a message that a leader could send.
    for (sender, term) in [(1, term(&led)), (9, 99), (2, 0)] {
        let sequenced = format!(
            "{{\"type\":\"SEQ_CHAT\",\"sender_id\":{sender},\"receiver_id\":3,\"term\":{term},\"prev\":{{\"term\":0,\"index\":1}},\
             \"commit\":99,\"msg_id\":\"550e8400-e29b-41d4-a716-446655440000\",\"index\":2,\"entry_term\":{term},\
             \"client\":\"mallory\",\"serial\":1,\"room_id\":\"general\",\"payload\":\"forged\"}}"
        );
        dsbench_wire::chat::decode(sequenced.as_bytes()).expect("a message that a node can read");
        forged.says(&sequenced);
    }
    for refused in ["no UUID", "a room's name"] {
        assert!(forged.hears().contains(refused));
    }
    let answer = forged.asks(&said("mallory", 1, "general", "\\u001b[2J\\n2026 3 INFO DELIVERED seq=1"));
    assert!(answer.contains("ACKNOWLEDGED"), "{answer}");
    let answer = forged.asks(&said("mallory", 2, "general", &"x".repeat(40_000)));
    assert!(answer.contains("REFUSED") && answer.contains("too-long"), "{answer}");
    // Asks for everything, again and again, and never reads.
    let mut greedy = TcpStream::connect(chat.address(3)).unwrap();
    let _ = greedy.write_all("{\"type\":\"CATCHUP_REQ\",\"after\":0}\n".repeat(1000).as_bytes());

    let mut good = Client::at(&chat.address(2));
    for serial in 1..=20 {
        assert!(good.asks(&said("alice", serial, "general", "fine")).contains("ACKNOWLEDGED"));
    }
    for node in &mut nodes {
        node.reports(&led);
        node.awaits_line(Mark::START, &|line| line.contains(" DELIVERED seq=21 "));
        assert!(node.lines(Mark::START).iter().all(|line| !line.contains('\u{1b}') && !line.ends_with("text=forged")));
    }
    nodes[2].awaits(Mark::START, "WARN ignored input from=127.0.0.1:");
}

#[test]
fn what_keeps_a_node_from_starting_is_told_with_the_remedy() {
    let chat = Chat::new(1, PATIENT);
    let mut first = chat.start(1);
    first.reports("role=leader");
    let mut second = chat.start(1);
    let complaint = second.complaint();
    assert_eq!(second.ends().code(), Some(1));
    assert!(complaint.contains("node1 runs already") && complaint.contains("(process "), "{complaint}");
    let port = chat.ports[0].number;
    let elsewhere = chat.scratch.path().join("elsewhere");
    let mut third = Node::start(chat.command(1).args(["--log-dir"]).arg(&elsewhere));
    let complaint = third.complaint();
    assert_eq!(third.ends().code(), Some(1));
    assert!(complaint.contains(&format!("port {port} is already in use")), "{complaint}");
    assert!(complaint.contains("--port, or port in the configuration"), "{complaint}");

    let path = chat.scratch.path().join("wrong.toml");
    fs::write(&path, "node_id = 1\nport = 5001\nseed_node = []\n").unwrap();
    let mut wrong = Node::start(Command::new(env!("CARGO_BIN_EXE_dsnode")).args(["chat", "--config"]).arg(&path));
    let complaint = wrong.complaint();
    assert_eq!(wrong.ends().code(), Some(2));
    assert!(complaint.contains("line 3") && complaint.contains("unknown field `seed_node`"), "{complaint}");
}

#[test]
fn message_log_that_is_not_the_nodes_own_keeps_it_from_starting() {
    let chat = Chat::new(1, PATIENT);
    let mut node = chat.start(1);
    node.types("send hello");
    node.delivers("hello");
    node.crash();
    let own = fs::read(chat.message_log(1)).unwrap();
    let complains = |reason: &str| {
        let mut node = chat.start(1);
        let complaint = node.complaint();
        assert_eq!(node.ends().code(), Some(1));
        assert!(complaint.contains(reason), "{complaint}");
    };
    fs::write(chat.message_log(1), "somebody's notes").unwrap();
    complains("node1.jsonl does not begin with a message");
    assert_eq!(fs::read_to_string(chat.message_log(1)).unwrap(), "somebody's notes");
    fs::write(chat.message_log(1), &own).unwrap();
    let records = chat.scratch.path().join("away");
    fs::rename(chat.records(1), &records).unwrap();
    complains("node1.jsonl has messages, but the records in");
    fs::remove_dir_all(chat.records(1)).unwrap();
    fs::rename(records, chat.records(1)).unwrap();
    fs::remove_file(chat.message_log(1)).unwrap();
    let mut node = chat.start(1);
    node.delivers("hello");
    node.types("quit");
    node.ends();
    assert_eq!(fs::read(chat.message_log(1)).unwrap(), own, "what the records hold is written again");
}

#[test]
fn message_log_that_cannot_be_written_stops_the_node() {
    let chat = Chat::new(1, PATIENT);
    std::os::unix::fs::symlink("/dev/full", chat.message_log(1)).unwrap();
    let mut node = chat.start(1);
    node.reports("role=leader");
    node.types("send hello");
    let complaint = node.complaint();
    assert_eq!(node.ends().code(), Some(1));
    assert!(complaint.contains("failed to append to") && complaint.contains("No space left"), "{complaint}");
    fs::remove_file(chat.message_log(1)).unwrap();
    let node = chat.start(1);
    node.delivers("hello");
    assert_eq!(chat.messages(1).len(), 1, "what could not be written is written when it can be");
}

#[test]
fn node_that_needs_a_snapshot_gets_every_message_that_it_missed_before_newer_ones() {
    let chat = Chat::new(3, FORGETFUL);
    let mut nodes = chat.settled();
    nodes[0].types("send at the beginning");
    for node in &nodes {
        node.delivers("at the beginning");
    }
    nodes.remove(0).crash();
    let mut alice = Client::at(&chat.address(2));
    // More than a leader keeps in memory, and more than is in the segment that is written.
    let long = "x".repeat(25_000);
    for serial in 1..=60 {
        let room = if serial % 3 == 0 { "dev" } else { "general" };
        assert!(alice.asks(&said("alice", serial, room, &format!("{long} {serial}"))).contains("ACKNOWLEDGED"));
    }
    nodes.insert(0, chat.start(1));
    // They go on while it catches up.
    for serial in 61..=80 {
        assert!(alice.asks(&said("alice", serial, "general", &format!("new {serial}"))).contains("ACKNOWLEDGED"));
    }
    nodes[0].awaits(Mark::START, " installed snapshot ");
    for node in &nodes {
        node.delivers("new 80");
    }
    let [one, two, three] = [1, 2, 3].map(|node| fs::read(chat.message_log(node)).unwrap());
    assert!(one == two && two == three, "the message logs are the same");
    let numbers = |node: &Node| -> Vec<u64> {
        let general = |line: &String| line.contains(" DELIVERED ") && line.contains(" room=general ");
        let seq =
            |line: String| line.split(" DELIVERED seq=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        node.lines(Mark::START).into_iter().filter(general).map(seq).collect()
    };
    let told = numbers(&nodes[0]);
    assert!(told.windows(2).all(|two| two[1] == two[0] + 1), "told in order and without a hole: {told:?}");
    assert!(
        nodes[0].lines(Mark::START).iter().all(|line| !line.contains(" view=0 ")),
        "each in the view in which the others had it"
    );
    // Who follows it now has everything as well.
    let mut bob = Client::at(&chat.address(1));
    bob.says("{\"type\":\"CATCHUP_REQ\"}");
    bob.0.get_mut().shutdown(Shutdown::Write).unwrap();
    let all = bob.hears_all();
    assert_eq!(all.matches("\"type\":\"SEQ_CHAT\"").count(), 81, "{}", all.len());
    assert!(!all.contains("missing") && all.contains("\"type\":\"CATCHUP_RESP\",\"upto\":"));
}

#[test]
fn restart_tells_nothing_again_and_speaks_of_no_snapshot() {
    let chat = Chat::new(1, FORGETFUL);
    let mut node = chat.start(1);
    for n in 0..25 {
        node.types(&format!("send {n}"));
    }
    node.delivers("24");
    for _ in 0..3 {
        // The entries after the last message are no messages.
        node.reports("open=0");
        node.types("quit");
        assert_eq!(node.ends().code(), Some(0));
        node = chat.start(1);
        node.reports("role=leader");
        let lines = node.lines(Mark::START).join("\n");
        for never in [" DELIVERED ", "installed snapshot", "missing", "half-written"] {
            assert!(!lines.contains(never), "{never}: {lines}");
        }
        let views: Vec<&str> = lines.lines().filter(|line| line.contains("VIEW_CHANGE")).collect();
        assert!(
            matches!(views[..], [view] if view.contains(" view=1 ") && view.ends_with(" reason=recovered")),
            "{lines}"
        );
    }
    assert_eq!(chat.messages(1).len(), 25);
}

#[test]
fn power_failure_takes_no_message_whatever_it_leaves_of_the_message_log() {
    let chat = Chat::new(3, FORGETFUL);
    let mut nodes = chat.settled();
    let mut sent = 0;
    for holes in [false, true] {
        for _ in 0..33 {
            nodes[1].types(&format!("send {sent}"));
            sent += 1;
        }
        let last = format!("{}", sent - 1);
        for node in &nodes {
            node.delivers(&last);
        }
        let file = OpenOptions::new().write(true).open(chat.message_log(1)).unwrap();
        let (durable, length) = loop {
            let note = fs::read_to_string(chat.records(1).join("messages")).unwrap();
            let durable = serde_json::from_str::<serde_json::Value>(&note).unwrap()["bytes"].as_u64().unwrap();
            let length = file.metadata().unwrap().len();
            if 0 < durable && durable < length {
                break (durable, length);
            }
            // Something must be durable, and something not.
            nodes[1].types(&format!("send {sent}"));
            nodes[0].delivers(&format!("{sent}"));
            sent += 1;
        };
        nodes.remove(0).crash();
        // Of what was written after the fsync, nothing is there; or its end is, behind a hole.
        if holes {
            let hole = durable..durable + (length - durable) / 2;
            file.write_all_at(&vec![0; (hole.end - hole.start) as usize], hole.start).unwrap();
        } else {
            file.set_len(durable).unwrap();
        }
        nodes.insert(0, chat.start(1));
        nodes[1].types(&format!("send after {sent}"));
        for node in &nodes {
            node.delivers(&format!("after {sent}"));
        }
        let [one, two, three] = [1, 2, 3].map(|node| fs::read(chat.message_log(node)).unwrap());
        assert!(one == two && two == three, "the message logs are the same, holes={holes}");
    }
}

#[test]
fn a_hole_in_the_message_log_of_a_node_ends_the_connection_of_who_follows_it() {
    let chat = Chat::new(1, PATIENT);
    let mut node = chat.start(1);
    for n in 0..20 {
        node.types(&format!("send {n}"));
    }
    node.delivers("19");
    let file = OpenOptions::new().write(true).open(chat.message_log(1)).unwrap();
    file.write_all_at(&[0; 500], 1000).unwrap();
    let mut bob = Client::at(&chat.address(1));
    bob.says("{\"type\":\"CATCHUP_REQ\"}");
    let all = bob.hears_all();
    assert!(all.contains("SEQ_CHAT") && !all.contains("CATCHUP_RESP"), "{all}");
    node.awaits(Mark::START, "cannot be told more");
}

#[test]
fn log_directory_of_another_quorum_is_refused() {
    let chat = Chat::new(2, CLASSROOM);
    let nodes: Vec<Node> = (1..=2).map(|node| chat.start(node)).collect();
    nodes[0].awaits_any(Mark::START, &[" LEADER node=1 ", " leader=2 ", "announcement: 2 "]);
    nodes.into_iter().for_each(Node::crash);
    let chat = chat.with(QUICK);
    let mut node = chat.start(1);
    let complaint = node.complaint();
    assert_eq!(node.ends().code(), Some(1));
    assert!(complaint.contains("was made with quorum = \"none\""), "{complaint}");
    assert!(complaint.contains("use another log_dir"), "{complaint}");
}

#[test]
fn idle_connections_and_questions_cost_a_node_no_more_files_than_it_may_have() {
    let chat = Chat::new(1, PATIENT);
    let mut node = chat.with_files(1, 256, 4096);
    node.reports("role=leader");
    let idle: Vec<TcpStream> = (0..600).map(|_| TcpStream::connect(chat.address(1)).unwrap()).collect();
    let mut alice = Client::at(&chat.address(1));
    for serial in 1..=20 {
        assert!(alice.asks(&said("alice", serial, "general", "hi")).contains("ACKNOWLEDGED"));
    }
    drop(idle);
    node.crash();

    let mut node = chat.with_files(1, 64, 64);
    node.reports("role=leader");
    let mut greedy: Vec<Client> = (0..4).map(|_| Client::at(&chat.address(1))).collect();
    for client in &mut greedy {
        client.says(&["{\"type\":\"CATCHUP_REQ\"}"; 4000].join("\n"));
        client.0.get_mut().shutdown(Shutdown::Write).unwrap();
    }
    for client in &mut greedy {
        let all = client.hears_all();
        assert!(all.matches("SEQ_CHAT").count() >= 20 && all.contains("CATCHUP_RESP"), "{}", all.len());
    }
    let mut alice = Client::at(&chat.address(1));
    assert!(alice.asks(&said("alice", 21, "general", "hi")).contains("ACKNOWLEDGED"));
}

#[test]
fn what_a_client_says_of_itself_is_delivered_as_it_was_said() {
    let chat = Chat::new(1, PATIENT);
    let mut node = chat.start(1);
    node.reports("role=leader");
    let uuid = "550E8400-e29b-41d4-a716-446655440000";
    let mut client = Client::at(&chat.address(1));
    let answer = client.asks(&format!(
        "{{\"type\":\"CHAT\",\"sender_id\":1,\"term\":2,\"msg_id\":\"{uuid}\",\"room_id\":\"general\",\"payload\":\"Hello, world!\"}}"
    ));
    assert!(answer.contains("ACKNOWLEDGED") && answer.contains(uuid), "{answer}");
    let other = "650e8400-e29b-41d4-a716-446655440000";
    let answer = client.asks(&format!(
        "{{\"type\":\"CHAT\",\"sender_id\":\"alice\",\"serial\":7,\"msg_id\":\"{other}\",\"payload\":\"hi\"}}"
    ));
    assert!(answer.contains("\"msg\":\"alice/7\"") && answer.contains(other), "{answer}");
    node.types("send from the node");
    node.delivers("from the node");
    client.says("{\"type\":\"CATCHUP_REQ\"}");
    for said in [
        format!("\"sender_id\":1,\"term\":1,\"msg_id\":\"{uuid}\",\"seq_no\":1,\"room_id\":\"general\""),
        format!("\"sender_id\":\"alice\",\"term\":1,\"msg_id\":\"{other}\",\"seq_no\":2,\"room_id\":\"general\""),
        "\"sender_id\":1,\"term\":1,".to_owned(),
    ] {
        let heard = client.hears();
        assert!(heard.contains(&said), "{said} in {heard}");
    }
}

#[test]
fn without_a_quorum_a_chat_goes_on_and_both_see_every_message() {
    let chat = Chat::new(2, CLASSROOM);
    let mut nodes: Vec<Node> = (1..=2).map(|node| chat.start(node)).collect();
    // The higher one stands first, but who is late finds a leader, and follows it.
    nodes[1].awaits_any(Mark::START, &[" LEADER node=2 ", " leader=1 ", "announcement: 1 "]);
    let leader = if nodes[1].reports("role=").contains(" leader=1 ") { 1 } else { 2 };
    for node in &mut nodes {
        node.reports(&format!(" leader={leader} "));
    }
    nodes[0].types("send hello");
    for node in &nodes {
        node.delivers("hello");
    }
    nodes.remove(leader - 1).crash();
    let other = 3 - leader;
    nodes[0].reports(&format!(" leader={other} "));
    nodes[0].types("room dev");
    nodes[0].types("send alone");
    nodes[0].delivers("alone");
    nodes[0].reports("rooms=dev:2,general:1");
    let messages = chat.messages(other);
    assert_eq!(messages.iter().map(|message| message.index).collect::<Vec<_>>(), [1, 2]);
}
