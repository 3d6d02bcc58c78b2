//! What the disk does to a node.

use std::fs;

use crate::harness::{Cluster, Mark, PATIENT, QUICK};

#[test]
fn damaged_state_file_is_refused_with_what_to_do() {
    let cluster = Cluster::new(1, QUICK);
    let mut node = cluster.start(1);
    node.reports("role=leader");
    node.crash();
    let path = cluster.directory(1).join("state");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 5;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();

    let mut node = cluster.start(1);
    let complaint = node.complaint();
    assert_eq!(node.ends().code(), Some(1));
    assert!(complaint.contains("is damaged: its checksum does not match"), "{complaint}");
    assert!(complaint.contains("restore the file from a copy"), "{complaint}");
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
    // Where the next state would be written, something is in the way.
    fs::create_dir_all(cluster.directory(3).join("state.new")).unwrap();
    let mut nodes = cluster.start_all();
    let complaint = nodes[2].complaint();
    assert_eq!(nodes[2].ends().code(), Some(1));
    assert!(complaint.contains("cannot be saved, so the node stops"), "{complaint}");
    let lines = nodes[2].lines(Mark::START);
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
