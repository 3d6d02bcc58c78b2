//! The chat's client, for people and for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

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
    assert_eq!(writer.complaint(), "error: 1 messages were not acknowledged");
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
    program.awaits(Mark::START, "\"too-long\"");
    let reader = Node::start(&mut client(&all(&chat, 1), &[]));
    program.types("{\"payload\":\"a\\u001b[2J\\n[general #9] b: forged\"}");
    reader.awaits(Mark::START, "a\\u{1b}[2J\\n[general #9] b: forged");
    drop(program.stdin.take());
    assert_eq!(program.ends().code(), Some(1), "something was refused");
}
