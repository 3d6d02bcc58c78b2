//! Strangers on the port, and readers who do not read.

use std::io::Write;
use std::net::TcpStream;
use std::process::Stdio;

use crate::harness::{Cluster, Mark, Node, PATIENT, term};

/// Three nodes under `peer3`, with the term.
fn settled(cluster: &Cluster) -> (Vec<Node>, String) {
    let mut nodes = cluster.start_all();
    for node in &mut nodes {
        node.reports("leader=peer3");
    }
    let led = format!("term={} leader=peer3", term(&nodes[2].reports("role=leader")));
    (nodes, led)
}

fn connect(cluster: &Cluster) -> TcpStream {
    TcpStream::connect(cluster.address(3)).unwrap()
}

#[test]
fn hostile_bytes_to_the_leader_do_not_disturb_the_cluster() {
    let cluster = Cluster::new(3, PATIENT);
    let (mut nodes, led) = settled(&cluster);

    let mut half_lines: Vec<TcpStream> = (0..400).map(|_| connect(&cluster)).collect();
    for stream in &mut half_lines {
        // Those that were pushed out by later ones refuse it.
        let _ = stream.write_all(b"{\"from\":\"peer1\",");
    }
    let mut garbage = connect(&cluster);
    let lines: Vec<u8> = (0..1_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let _ = garbage.write_all(&lines);
    let mut empty_lines = connect(&cluster);
    let _ = empty_lines.write_all(&vec![b'\n'; 1_000_000]);
    let mut endless = connect(&cluster);
    let long = vec![b'['; 1 << 20];
    while endless.write_all(&long).is_ok() {}
    let mut forged = connect(&cluster);
    let escape = "{\"from\":\"peer1\",\"to\":\"peer3\",\"type\":\"\\u001b[2J\\nFORGED LINE\",\"term\":1}\n";
    let _ = forged.write_all(escape.repeat(1000).as_bytes());

    for node in &mut nodes {
        node.reports(&led);
    }
    let lines = nodes[2].lines(Mark::START);
    assert!(lines.iter().any(|line| line.contains("WARN ignored input from=127.0.0.1:")), "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains('\u{1b}') && !line.starts_with("FORGED")), "{lines:?}");
}

#[test]
fn flood_keeps_nobody_from_stopping_a_node() {
    let cluster = Cluster::new(1, PATIENT);
    let mut node = cluster.start(1);
    node.awaits(Mark::START, "listening on");
    let address = cluster.address(1);
    // Ends with the node, whose end closes the connection.
    let (flows, flowing) = std::sync::mpsc::channel();
    let flood = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let line = "{\"from\":\"peer9\",\"to\":\"peer1\",\"type\":\"ELECTION\",\"term\":1}\n".repeat(1000);
        while stream.write_all(line.as_bytes()).is_ok() {
            let _ = flows.send(());
        }
    });
    // Far more than the kernel's buffers hold: the node has read some of it.
    for _ in 0..200 {
        flowing.recv().unwrap();
    }
    node.reports("role=leader");
    node.types("quit");
    assert_eq!(node.ends().code(), Some(0));
    flood.join().unwrap();
}

#[test]
fn leader_whose_stdout_nobody_reads_keeps_leading_and_says_what_was_lost() {
    let cluster = Cluster::new(3, PATIENT);
    let (mut leader, stdout) = Node::unheard(cluster.command(3).stdin(Stdio::piped()));
    let mut nodes = [cluster.start(1), cluster.start(2)];
    let led = format!("term={} leader=peer3", term(&nodes[0].reports("leader=peer3")));
    // Far more than both pipes and the queue hold: to take all of this, the node must have answered into the void.
    for _ in 0..40_000 {
        leader.types("help");
    }
    for node in &mut nodes {
        node.reports(&led);
    }
    leader.listen(stdout);
    leader.reports(&led);
    leader.awaits(Mark::START, "WARN log lines were lost because nobody read them lost=");
}

#[test]
fn leader_whose_stdout_is_closed_keeps_leading() {
    let cluster = Cluster::new(3, PATIENT);
    let (mut leader, stdout) = Node::unheard(cluster.command(3).stdin(Stdio::piped()));
    drop(stdout);
    let mut nodes = [cluster.start(1), cluster.start(2)];
    let led = format!("term={} leader=peer3", term(&nodes[0].reports("leader=peer3")));
    for _ in 0..2000 {
        leader.types("status");
    }
    nodes[1].reports(&led);
    drop(leader.stdin.take());
    assert_eq!(leader.ends().code(), Some(0));
}
