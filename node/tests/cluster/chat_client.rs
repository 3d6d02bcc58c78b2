//! The chat's client, for people and for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::socket::{setsockopt, sockopt};

use crate::chat::{Chat, PATIENT, QUICK, assert_exactly_once};
use crate::harness::{Mark, Node};
use crate::port::Port;

fn client(nodes: &[String], options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dsnode"));
    command.arg("chat-client").args(options);
    for node in nodes {
        command.args(["--node", node]);
    }
    command
}

fn all(chat: &Chat, nodes: usize) -> Vec<String> {
    (1..=nodes).map(|node| chat.address(node)).collect()
}

#[test]
fn lines_of_a_pipe_are_delivered_in_their_order_and_the_end_waits_for_the_last_answer() {
    let chat = Chat::new(1, PATIENT);
    let mut node = chat.start(1);
    node.reports("role=leader");
    let mut reader = Node::start(&mut client(&all(&chat, 1), &["--name=bob"]));
    reader.awaits(Mark::START, "* connected to ");
    let mut writer = Node::start(&mut client(&all(&chat, 1), &["--name=alice"]));
    for n in 1..=100 {
        writer.types(&format!("line {n}"));
    }
    drop(writer.stdin.take());
    assert_eq!(writer.ends().code(), Some(0));
    reader.awaits(Mark::START, "[general #100] alice: line 100");
    let shown: Vec<String> =
        reader.lines(Mark::START).into_iter().filter(|line| line.starts_with("[general #")).collect();
    let expected: Vec<String> = (1..=100).map(|n| format!("[general #{n}] alice: line {n}")).collect();
    assert_eq!(shown, expected);

    reader.types("/room dev");
    reader.types("only here");
    reader.awaits(Mark::START, "[dev #1] bob: only here");
    reader.types("/nodes");
    reader.awaits(Mark::START, &format!("1 {} member leads", chat.address(1)));
    reader.types("/status");
    reader.awaits_line(Mark::START, &|line| line.starts_with("node=1 at=") && line.contains(" leader=1 "));
    reader.types("/quit");
    assert_eq!(reader.ends().code(), Some(0));
}

#[test]
fn client_whose_nodes_die_one_after_the_other_says_everything_once() {
    let chat = Chat::new(3, QUICK);
    let mut nodes = chat.settled();
    let mut program = Node::start(&mut client(&all(&chat, 3), &["--json", "--name=load"]));
    program.awaits(Mark::START, "\"CONNECTED\"");
    for round in 0..3 {
        for n in 0..100 {
            program.types(&format!("{{\"room_id\":\"general\",\"payload\":\"{round}.{n}\"}}"));
        }
        // In the middle of it, the node that it uses dies; then the next one.
        program.awaits_line(Mark::START, &|line| {
            line.contains("\"ACKNOWLEDGED\"") && line.contains(&format!("/{}\"", round * 100 + 10))
        });
        if round < 2 {
            let mark = program.mark();
            nodes.remove(round).crash();
            program.awaits(mark, "\"CONNECTED\"");
            nodes.insert(round, chat.start(round + 1));
        }
    }
    drop(program.stdin.take());
    assert_eq!(program.ends().code(), Some(0), "everything was acknowledged");
    nodes[2].types("send the end");
    for node in &nodes {
        node.delivers("the end");
    }
    let messages = chat.messages(3);
    assert_exactly_once(&messages);
    let texts: Vec<&str> = messages.iter().map(|message| &*message.payload).filter(|text| *text != "the end").collect();
    let expected: Vec<String> = (0..3).flat_map(|round| (0..100).map(move |n| format!("{round}.{n}"))).collect();
    assert_eq!(texts, expected, "in the order in which it was said");
    for node in 1..=2 {
        assert_eq!(chat.messages(node), messages);
    }
    // What it told its user: every message once, acknowledged once, delivered once.
    let mut told = BTreeMap::<String, usize>::new();
    let mut shown = BTreeSet::new();
    for line in program.lines(Mark::START) {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let kind = line["type"].as_str().unwrap().to_owned();
        if kind == "SEQ_CHAT" {
            assert!(shown.insert(line["index"].as_u64()), "shown twice: {line}");
        }
        *told.entry(kind).or_default() += 1;
    }
    assert_eq!((told["SENT"], told["ACKNOWLEDGED"]), (300, 300));
}

#[test]
fn client_keeps_what_it_could_not_send_until_there_is_a_node() {
    let chat = Chat::new(1, PATIENT);
    let nobody = Port::free();
    let mut writer = Node::start(&mut client(&[nobody.address(), chat.address(1)], &["--wait=60s"]));
    writer.types("said before there was a chat");
    drop(writer.stdin.take());
    writer.awaits(Mark::START, "trying again in 2s");
    let node = chat.start(1);
    node.delivers("said before there was a chat");
    assert_eq!(writer.ends().code(), Some(0));
}

#[test]
fn client_without_a_node_tells_what_was_not_acknowledged() {
    let nobody = Port::free();
    let mut writer = Node::start(&mut client(&[nobody.address()], &["--wait=100ms"]));
    writer.types("hello?");
    drop(writer.stdin.take());
    assert_eq!(writer.complaint(), "error: 1 message not acknowledged");
    assert_eq!(writer.ends().code(), Some(1));
    let mut none = Node::with_stdin(&mut client(&[], &[]), Stdio::null());
    assert!(none.complaint().contains("no node to connect to"));
    assert_eq!(none.ends().code(), Some(2));
}

#[test]
fn what_a_program_says_wrong_is_told_and_what_others_say_harms_no_terminal() {
    let chat = Chat::new(1, PATIENT);
    let mut node = chat.start(1);
    node.reports("role=leader");
    let mut program = Node::start(&mut client(&all(&chat, 1), &["--json"]));
    for line in ["hello", "{}", "{\"payload\":7}", "{\"payload\":\"x\",\"room_id\":\"a b\"}"] {
        let mark = program.mark();
        program.types(line);
        program.awaits(mark, "\"ERROR\"");
    }
    program.types(&format!("{{\"payload\":\"{}\"}}", "x".repeat(40_000)));
    program.awaits(Mark::START, "not sent: a message has at most 32703 bytes");
    let reader = Node::start(&mut client(&all(&chat, 1), &[]));
    program.types("{\"payload\":\"a\\u001b[2J\\n[general #9] b: forged\"}");
    reader.awaits(Mark::START, "a\\u{1b}[2J\\n[general #9] b: forged");
    drop(program.stdin.take());
    assert_eq!(program.ends().code(), Some(1), "something was refused");
}

#[test]
fn what_is_too_long_is_refused_at_once_and_what_follows_is_delivered() {
    let chat = Chat::new(1, PATIENT);
    let mut node = chat.start(1);
    node.reports("role=leader");
    let mut writer = Node::start(&mut client(&all(&chat, 1), &[]));
    writer.types(&"x".repeat(70_000));
    writer.types(&"x".repeat(1_000_000));
    // Each of these characters is six in JSON.
    writer.types(&format!("a{}b", "\u{1}".repeat(20_000)));
    writer.types("after it");
    node.delivers("after it");
    drop(writer.stdin.take());
    assert_eq!(writer.complaint(), "error: 2 messages refused");
    assert_eq!(writer.ends().code(), Some(1));
    let told = writer.all_lines().join("\n");
    assert!(told.contains("not sent: a message has at most 32703 bytes, and this one 70000"), "{told}");
    assert!(told.contains("not sent: the line has more than 256 KiB"), "{told}");
    assert!(told.contains("not sent: its line has 12"), "{told}");
}

#[test]
fn lines_that_are_not_text_end_nothing() {
    let chat = Chat::new(1, PATIENT);
    let mut node = chat.start(1);
    node.reports("role=leader");
    let mut writer = Node::start(&mut client(&all(&chat, 1), &[]));
    writer.stdin.take().unwrap().write_all(b"a\n\xff\nb\n").unwrap();
    assert_eq!(writer.ends().code(), Some(0));
    for text in ["a", "\u{fffd}", "b"] {
        node.delivers(text);
    }
}

#[test]
fn a_client_without_a_terminal_ends_at_a_signal() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let nobody = Port::free();
        let mut idle = Node::with_stdin(&mut client(&[nobody.address()], &[]), Stdio::null());
        idle.awaits(Mark::START, "no connection to ");
        idle.signal(signal);
        assert_eq!(idle.ends().code(), Some(0));
    }
}

/// Stands in for a node, and does what no node does.
struct Fake {
    read: BufReader<TcpStream>,
}

impl Fake {
    fn listens(port: &Port) -> TcpListener {
        TcpListener::bind(port.address()).unwrap()
    }

    fn accepts(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { read: BufReader::new(stream) }
    }

    fn says(&mut self, line: &str) {
        self.read.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn introduces_itself(&mut self) {
        self.says(r#"{"type":"STATUS","node_id":1,"role":"leader","term":1,"leader":{"node_id":1,"host":"h","port":1},"nodes":[]}"#);
    }

    /// The number of the next message that it is asked for, whatever else it is asked.
    fn is_asked(&mut self) -> u64 {
        loop {
            let mut line = String::new();
            assert!(self.read.read_line(&mut line).unwrap() > 0, "the client has closed");
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            match line["type"].as_str() {
                Some("CHAT") => return line["serial"].as_u64().unwrap(),
                // Or it would be given up.
                Some("STATUS") => self.introduces_itself(),
                _ => {}
            }
        }
    }

    fn answers(&mut self, name: &str, kind: &str, serial: u64, rest: &str) {
        self.says(&format!("{{\"type\":\"{kind}\",\"msg\":\"{name}/{serial}\",{rest}}}"));
    }
}

/// The whole name of a client, which it tells with each message.
fn name(client: &Node) -> String {
    let line: serde_json::Value = serde_json::from_str(&client.awaits(Mark::START, "\"SENT\"")).unwrap();
    line["msg"].as_str().unwrap().rsplit_once('/').unwrap().0.to_owned()
}

#[test]
fn a_node_that_hangs_up_at_once_is_tried_less_and_less() {
    let port = Port::free();
    let listener = Fake::listens(&port);
    let dialled = std::thread::spawn(move || {
        // As a proxy does whose backend is dead.
        (0..3).for_each(|_| drop(listener.accept().unwrap()));
    });
    let mut idle = Node::start(&mut client(&[port.address()], &["--json"]));
    for pause in [2000, 3000, 4500] {
        idle.awaits(Mark::START, &format!("\"retry_ms\":{pause}"));
    }
    dialled.join().unwrap();
    assert!(idle.lines(Mark::START).iter().all(|line| !line.contains("\"CONNECTED\"")), "no node, no connection");
    idle.types("{\"type\":\"QUIT\"}");
    assert_eq!(idle.ends().code(), Some(0));
}

#[test]
fn a_busy_node_is_asked_for_the_lowest_first_and_then_for_more_and_more() {
    let port = Port::free();
    let listener = Fake::listens(&port);
    let mut program = Node::start(&mut client(&[port.address()], &["--json"]));
    for n in 1..=200 {
        program.types(&format!("{{\"payload\":\"{n}\"}}"));
    }
    let name = name(&program);
    let mut node = Fake::accepts(&listener);
    node.introduces_itself();
    let asked: Vec<u64> = (0..128).map(|_| node.is_asked()).collect();
    assert_eq!(asked, (1..=128).collect::<Vec<_>>(), "no more than a node remembers");
    for serial in 3..=128 {
        node.answers(&name, "REFUSED", serial, "\"reason\":\"busy\"");
    }
    for serial in 1..=2 {
        node.answers(&name, "ACKNOWLEDGED", serial, "\"seq_no\":1");
    }
    for serial in 3..=200 {
        assert_eq!(node.is_asked(), serial, "in order, and none of them twice");
        node.answers(&name, "ACKNOWLEDGED", serial, "\"seq_no\":1");
    }
    drop(program.stdin.take());
    assert_eq!(program.ends().code(), Some(0));
}

#[test]
fn what_a_node_has_forgotten_is_told_as_unknown() {
    let port = Port::free();
    let listener = Fake::listens(&port);
    let mut program = Node::start(&mut client(&[port.address()], &["--json"]));
    program.types("{\"payload\":\"one\"}");
    program.types("{\"payload\":\"two\"}");
    let name = name(&program);
    let mut node = Fake::accepts(&listener);
    node.introduces_itself();
    assert_eq!((node.is_asked(), node.is_asked()), (1, 2));
    node.answers(&name, "UNKNOWN", 1, "\"reason\":\"forgotten\"");
    // Its answer is lost, but everybody sees it.
    node.says(&format!(
        r#"{{"type":"SEQ_CHAT","sender_id":"{name}","term":1,"msg_id":"x","seq_no":7,"room_id":"general","index":9,"serial":2,"payload":"two"}}"#
    ));
    let unknown = program.awaits(Mark::START, "\"UNKNOWN\"");
    assert!(unknown.contains("/1\"") && unknown.contains("\"forgotten\""), "{unknown}");
    let acknowledged = program.awaits(Mark::START, "\"ACKNOWLEDGED\"");
    assert!(acknowledged.contains("/2\"") && acknowledged.contains("\"seq_no\":7"), "{acknowledged}");
    drop(program.stdin.take());
    assert_eq!(program.complaint(), "error: 1 message unknown (delivered or not)");
    assert_eq!(program.ends().code(), Some(1));
}

#[test]
fn a_node_that_writes_before_it_reads_holds_up_nobody() {
    let port = Port::free();
    let listener = Fake::listens(&port);
    setsockopt(&listener, sockopt::RcvBuf, &65_536).unwrap();
    let mut program = Node::start(&mut client(&[port.address()], &["--workload"]));
    // Twice as long in JSON: together more than any socket holds.
    let text = "\\\"".repeat(30_000);
    let stdin = program.stdin.take().unwrap();
    let typing = std::thread::spawn(move || {
        let mut stdin = stdin;
        (1..=128).for_each(|id| writeln!(stdin, "{{\"id\":{id},\"op\":\"say\",\"value\":\"{text}\"}}").unwrap());
    });
    let mut node = Fake::accepts(&listener);
    node.introduces_itself();
    let line = format!(
        r#"{{"type":"SEQ_CHAT","sender_id":"bob","term":1,"msg_id":"x","seq_no":1,"room_id":"general","index":1,"serial":1,"payload":"{}"}}"#,
        "x".repeat(30_000)
    );
    (0..400).for_each(|_| node.says(&line));
    let asked: Vec<u64> = (0..128).map(|_| node.is_asked()).collect();
    assert_eq!(asked, (1..=128).collect::<Vec<_>>());
    typing.join().unwrap();
}

#[test]
fn a_workload_s_operations_are_answered_and_nothing_else_is_said() {
    let chat = Chat::new(1, PATIENT);
    let mut node = chat.start(1);
    node.reports("role=leader");
    let mut command = client(&[], &["--workload", "--name=load"]);
    let mut program = Node::start(command.env("DSBENCH_TARGET_ADDR", chat.address(1)));
    program.types(r#"{"id":7,"op":"say","target":"node1","value":1000041}"#);
    assert_eq!(program.awaits(Mark::START, "\"id\""), r#"{"id":7,"type":"ok","value":1}"#);
    node.delivers("1000041");
    program.types(&format!(r#"{{"id":8,"op":"say","value":"{}"}}"#, "x".repeat(40_000)));
    let refused = program.awaits(Mark::START, "\"id\":8");
    assert!(refused.starts_with(r#"{"id":8,"type":"fail","why":"not sent: "#), "{refused}");
    drop(program.stdin.take());
    assert_eq!(program.ends().code(), Some(0));
    assert_eq!(program.all_lines().len(), 2);
}
