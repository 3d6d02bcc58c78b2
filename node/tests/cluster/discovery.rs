//! Peers that find each other by broadcast.

use std::process::Command;

use crate::harness::{Cluster, Mark, Node, assert_one_leader_per_term};
use crate::port::Port;

#[test]
fn three_that_know_nobody_found_one_network_and_a_fourth_joins_it() {
    let port = Port::free();
    let cluster = Cluster::discovering(4, &port, "ours", &["--expect=3"]);
    let mut nodes: Vec<_> = (1..=3).map(|peer| cluster.start(peer)).collect();
    for node in &mut nodes {
        node.reports("leader=peer3");
    }
    nodes[0].types("send hello");
    for node in &nodes {
        node.delivers("hello");
    }
    let mut fourth = cluster.start(4);
    fourth.awaits(Mark::START, " ADDED TO NETWORK ");
    fourth.delivers("hello");
    fourth.reports("members=peer1,peer2,peer3,peer4");
    fourth.types("view");
    fourth.awaits_line(Mark::START, &|line| line.contains(" orderedPeerList=peer4,peer3,peer2,peer1"));
    fourth.awaits_line(Mark::START, &|line| line == format!("  peer1 {} member", cluster.address(1)));
    fourth.types("send from the fourth");
    for node in &nodes {
        node.delivers("from the fourth");
    }
    nodes.push(fourth);
    assert_one_leader_per_term(&nodes);
}

#[test]
fn two_networks_on_one_port_stay_apart() {
    let port = Port::free();
    let clusters = ["ours", "theirs"].map(|name| Cluster::discovering(2, &port, name, &["--expect=2"]));
    let mut nodes: Vec<_> = clusters.iter().flat_map(Cluster::start_all).collect();
    for node in &mut nodes {
        node.reports("leader=peer2");
    }
    nodes[0].types("send of ours");
    nodes[2].types("send of theirs");
    for (n, node) in nodes.iter().enumerate() {
        let (own, other) = if n < 2 { ("of ours", "of theirs") } else { ("of theirs", "of ours") };
        node.delivers(own);
        assert!(node.lines(Mark::START).iter().all(|line| !line.ends_with(other)));
    }
    for node in &mut nodes {
        let status = node.reports("members=peer1,peer2 ");
        assert!(status.contains(" seq=1"), "{status}");
    }
}

#[test]
fn node_that_founds_alone_is_joined_by_who_is_told_where_it_is() {
    let port = Port::free();
    let founder = Cluster::discovering(1, &port, "ours", &["--bootstrap", "--no-discover"]);
    let mut one = founder.start(1);
    one.reports("role=leader");
    let join = format!("--join=peer1={}", founder.address(1));
    let other = Cluster::discovering(2, &port, "ours", &["--no-discover", &join]);
    let mut two = other.start(2);
    two.awaits(Mark::START, " ADDED TO NETWORK ");
    two.reports("members=peer1,peer2 ");
}

#[test]
fn nodes_of_a_run_are_a_network_of_their_own_without_being_told() {
    let port = Port::free();
    let options = ["sensor", "--id=peer1", "--bootstrap", "--data"];
    let scratch = tempfile::tempdir().unwrap();
    for (token, name) in [(Some("20261122T1-5eed"), "20261122T1-5eed"), (None, "default")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dsnode"));
        command.args(options).arg(scratch.path().join(name)).env_remove("DSBENCH_RUN");
        command.args([format!("--broadcast-port={}", port.number), format!("--listen={}", Port::free().address())]);
        if let Some(token) = token {
            command.env("DSBENCH_RUN", token);
        }
        let node = Node::start(&mut command);
        node.awaits(Mark::START, &format!(" cluster={name} bootstrap"));
    }
}

#[test]
fn port_of_broadcasts_that_is_taken_is_named_with_the_remedy() {
    let port = Port::free();
    let _taken = std::net::UdpSocket::bind(("0.0.0.0", port.number)).unwrap();
    let mut node = Cluster::discovering(1, &port, "ours", &[]).start(1);
    let complaint = node.complaint();
    assert_eq!(node.ends().code(), Some(1));
    assert!(complaint.contains(&format!("UDP port {} is already in use", port.number)), "{complaint}");
    assert!(complaint.contains("choose another --broadcast-port"), "{complaint}");
}
