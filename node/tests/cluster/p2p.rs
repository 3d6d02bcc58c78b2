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

/// Asks for the status until it has `text`.
fn reports(node: &mut Node, text: &str) {
    loop {
        let asked = node.mark();
        node.types("/status");
        if node.awaits(asked, "status role=").contains(text) {
            return;
        }
    }
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
fn a_peer_finds_others_on_a_range_of_ports_and_waits_where_nobody_is() {
    let peers = Peers::new(2);
    // No wider: the ports between may be those of another test's peers.
    let range = format!("--port-range={port}-{port}", port = peers.ports[0].number);
    let mut second = peers.start(2, &[&range]);
    second.awaits(Mark::START, "no peer on the ports");
    let mut first = peers.start(1, &[]);
    second.awaits(Mark::START, "found peer=1 ");
    reports(&mut second, "members=2,1");
    first.types("hello");
    second.delivers("hello");
}
