//! What the disk does to a node.

use std::fs;
use std::process::Command;

use crate::harness::{Cluster, Mark, Node, PATIENT, QUICK, term};

#[test]
fn damaged_log_is_refused_with_what_to_do() {
    let cluster = Cluster::new(1, QUICK);
    let mut node = cluster.start(1);
    node.reports("role=leader");
    node.crash();
    let path = cluster.directory(1).join("log.0000000001");
    let mut bytes = fs::read(&path).unwrap();
    let ballot = bytes.windows(6).position(|found| found == b"ballot").unwrap();
    bytes[ballot] ^= 1;
    fs::write(&path, bytes).unwrap();

    let mut node = cluster.start(1);
    let complaint = node.complaint();
    assert_eq!(node.ends().code(), Some(1));
    assert!(complaint.contains("log.0000000001 is damaged at byte"), "{complaint}");
    assert!(complaint.contains("its checksum does not match"), "{complaint}");
    assert!(complaint.contains("restore the directory from a copy"), "{complaint}");
}

#[test]
fn torn_tail_is_cut_off_and_reported() {
    let cluster = Cluster::new(1, QUICK);
    let mut node = cluster.start(1);
    let led = term(&node.reports("role=leader"));
    node.crash();
    let path = cluster.directory(1).join("log.0000000001");
    let bytes = fs::read(&path).unwrap();
    // The last record says that all before it is durable, and nothing else: a header of 40 bytes.
    let end = bytes.windows(4).rposition(|found| found == b"dsn1").unwrap() + 40;
    fs::write(&path, [&bytes[..end], b"dsn1 half a record"].concat()).unwrap();

    let mut node = cluster.start(1);
    let line = node.awaits(Mark::START, "a record was half-written");
    assert!(line.contains(" WARN ") && line.contains("log.0000000001 at=") && line.ends_with(" bytes=18"), "{line}");
    assert!(term(&node.reports("role=leader")) > led, "the vote before it is remembered");
}

#[test]
fn two_nodes_cannot_share_a_data_directory() {
    let cluster = Cluster::new(1, QUICK);
    let mut first = cluster.start(1);
    first.reports("role=leader");
    let mut second = cluster.start(1);
    let complaint = second.complaint();
    assert_eq!(second.ends().code(), Some(1));
    assert!(complaint.contains("is in use by another node (process"), "{complaint}");
    first.reports("role=leader");
}

#[test]
fn node_that_cannot_save_its_vote_stops_and_does_not_vote() {
    let cluster = Cluster::new(3, QUICK);
    // A disk that is full: no file may grow beyond what the beginning of a log needs.
    let mut full = Command::new("sh");
    let limited = "ulimit -f 1; trap '' XFSZ; exec \"$0\" \"$@\"";
    let node = cluster.command(3);
    full.args(["-c", limited]).arg(node.get_program()).args(node.get_args());
    let mut nodes = [cluster.start(1), cluster.start(2), Node::start(&mut full)];
    let complaint = nodes[2].complaint();
    assert_eq!(nodes[2].ends().code(), Some(1));
    assert!(complaint.contains("cannot be saved, so the node stops"), "{complaint}");
    let lines = nodes[2].all_lines();
    assert!(lines.iter().all(|line| !line.contains("became the Group Leader")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains(" peer3 ERROR stops: ")), "{lines:?}");
    nodes[0].reports("leader=peer2");
}

#[test]
fn address_in_use_names_the_port_and_the_remedy() {
    let cluster = Cluster::new(1, PATIENT);
    let port = cluster.address(1);
    let _taken = std::net::TcpListener::bind(&port).unwrap();
    let mut node = cluster.start(1);
    let complaint = node.complaint();
    assert_eq!(node.ends().code(), Some(1));
    let (_, number) = port.split_once(':').unwrap();
    assert!(complaint.contains(&format!("port {number} is already in use")), "{complaint}");
    assert!(complaint.contains("choose another port with --listen"), "{complaint}");
}
