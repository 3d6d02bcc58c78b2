//! Peers of a chat: node and person in one.

use std::fs;
use std::process::Command;

use dsbench_wire::chat::Delivery;
use tempfile::TempDir;

use crate::chat::assert_exactly_once;
use crate::harness::{Mark, Node};
use crate::port::Port;

struct Peers {
    ports: Vec<Port>,
    scratch: TempDir,
}

impl Peers {
    fn new(peers: usize) -> Self {
        Self { ports: (0..peers).map(|_| Port::free()).collect(), scratch: tempfile::tempdir().unwrap() }
    }

    fn start(&self, peer: usize, options: &[&str]) -> Node {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dsnode"));
        command
            .args(["p2p", "--id", &peer.to_string(), "--host", "127.0.0.1"])
            .args(["--port", &self.ports[peer - 1].number.to_string(), "--log-dir"])
            .arg(self.scratch.path())
            .args(["--heartbeat-interval-ms=100", "--leader-timeout-ms=20000", "--election-timeout-ms=200"])
            .args(options);
        Node::start(&mut command)
    }

    /// `--seed` of the first peer.
    fn seed(&self) -> String {
        format!("--seed=1:{}", self.ports[0].address())
    }

    fn messages(&self, peer: usize) -> Vec<Delivery> {
        let text = fs::read_to_string(self.scratch.path().join(format!("peer{peer}.jsonl"))).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn reports(node: &mut Node, text: &str) {
    node.reports_to("/status", text);
}

#[test]
fn first_peer_founds_others_join_and_what_is_typed_is_in_one_order_everywhere() {
    let peers = Peers::new(3);
    let first = peers.start(1, &[]);
    first.awaits(Mark::START, "without --seed, this peer begins a chat of its own");
    let mut nodes = vec![first, peers.start(2, &[&peers.seed()]), peers.start(3, &[&peers.seed()])];
    for node in &mut nodes {
        reports(node, "members=3,2,1");
    }
    for (n, node) in (1..).zip(&mut nodes) {
        node.types(&format!("Hello from peer {n}!"));
    }
    for node in &nodes {
        node.awaits_line(Mark::START, &|line| line.contains(" DELIVERED seq=3 "));
    }
    assert_exactly_once(&peers.messages(1));
    assert_eq!(peers.messages(1), peers.messages(2));
    assert_eq!(peers.messages(1), peers.messages(3));
    // The bootstrap peer is a peer like any other: the chat goes on without it.
    nodes[0].types("/quit");
    assert_eq!(nodes[0].ends().code(), Some(0));
    nodes[1].types("still here");
    nodes[2].delivers("still here");
}

#[test]
fn first_peer_goes_on_leading_when_a_second_one_joins() {
    let peers = Peers::new(2);
    let mut first = peers.start(1, &[]);
    reports(&mut first, "role=leader");
    let mut second = peers.start(2, &[&peers.seed()]);
    reports(&mut second, "members=2,1");
    second.types("hello");
    first.delivers("hello");
    assert!(first.lines(Mark::START).iter().all(|line| !line.contains("stepped down")));
}

#[test]
fn two_peers_without_seeds_are_two_chats() {
    let peers = Peers::new(2);
    let mut nodes = [peers.start(1, &[]), peers.start(2, &[])];
    for (n, node) in (1..).zip(&mut nodes) {
        reports(node, &format!("members={n} "));
        node.types(&format!("only {n}"));
        node.delivers(&format!("only {n}"));
        assert_eq!(peers.messages(n).len(), 1);
    }
}

#[test]
fn a_peer_that_looks_for_others_says_whom_it_joins_and_keeps_what_is_typed_meanwhile() {
    let peers = Peers::new(2);
    // No wider: the ports between may be those of another test's peers.
    let range = format!("--port-range={port}-{port}", port = peers.ports[0].number);
    let mut second = peers.start(2, &[&range]);
    second.awaits(Mark::START, "no peer on the ports");
    second.types("typed before there was a chat");
    reports(&mut second, "role=looking");
    let mut first = peers.start(1, &[]);
    second.awaits(Mark::START, "found peer=1 ");
    let joins = format!("joins the chat of 1 at {}, found on the ports", peers.ports[0].address());
    second.awaits(Mark::START, &joins);
    reports(&mut second, "members=2,1");
    first.delivers("typed before there was a chat");
    first.types("hello");
    second.delivers("hello");
}

#[test]
fn a_peer_that_looks_for_others_can_be_ended() {
    let peers = Peers::new(1);
    let nobody = Port::free();
    let range = format!("--port-range={port}-{port}", port = nobody.number);
    let started = || {
        let peer = peers.start(1, &[&range]);
        peer.awaits(Mark::START, "no peer on the ports");
        peer
    };
    let mut peer = started();
    peer.types("/quit");
    assert_eq!(peer.ends().code(), Some(0));
    let mut peer = started();
    drop(peer.stdin.take());
    assert_eq!(peer.ends().code(), Some(0));
    let mut peer = started();
    peer.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(peer.ends().code(), Some(0));
}

#[test]
fn a_peer_joins_none_of_two_chats_by_chance() {
    // Beside each other, so that a range has just these two.
    let mut peers = Peers::new(3);
    while peers.ports[0].number + 1 != peers.ports[1].number {
        let next = Port::free();
        peers.ports[0] = std::mem::replace(&mut peers.ports[1], next);
    }
    let mut chats = [peers.start(1, &[]), peers.start(2, &[])];
    for (n, chat) in (1..).zip(&mut chats) {
        reports(chat, &format!("members={n} "));
    }
    let range = format!("--port-range={}-{}", peers.ports[0].number, peers.ports[1].number);
    let mut third = peers.start(3, &[&range]);
    let complaint = third.complaint();
    assert_eq!(third.ends().code(), Some(1));
    assert!(complaint.contains("more than one chat on the ports"), "{complaint}");
    assert!(complaint.contains(&format!("--seed 1:{}", peers.ports[0].address())), "{complaint}");
}
