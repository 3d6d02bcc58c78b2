//! Ordered messages: the same everywhere, and none that was acknowledged is lost.

use std::collections::BTreeSet;
use std::fs;

use nix::sys::signal::Signal;

use crate::harness::{Cluster, Mark, Node, PATIENT, QUICK};

fn led_by_peer3(cluster: &Cluster) -> Vec<Node> {
    let mut nodes = cluster.start_all();
    for node in &mut nodes {
        node.reports("leader=peer3");
    }
    nodes
}

/// Numbers without a gap from the first, and each text once.
fn assert_in_order(delivered: &[(u64, String)]) {
    let first = delivered.first().map_or(1, |(seq, _)| *seq);
    for ((seq, text), expected) in delivered.iter().zip(first..) {
        assert_eq!(*seq, expected, "{text}");
    }
    let texts: BTreeSet<&String> = delivered.iter().map(|(_, text)| text).collect();
    assert_eq!(texts.len(), delivered.len(), "a message was delivered twice");
}

#[test]
fn what_every_peer_sends_is_delivered_by_all_in_the_same_order() {
    let cluster = Cluster::new(3, PATIENT);
    let mut nodes = led_by_peer3(&cluster);
    for round in 0..20 {
        for (n, node) in nodes.iter_mut().enumerate() {
            node.types(&format!("send {round} from {n}"));
        }
    }
    for node in &nodes {
        node.awaits_line(Mark::START, &|line| line.contains(" DELIVERED seq=60 "));
    }
    let first = nodes[0].delivered();
    assert_eq!(first.len(), 60);
    assert_in_order(&first);
    for node in &nodes {
        assert_eq!(node.delivered(), first);
        let acknowledged = node.awaits_line(Mark::START, &|line| line.contains(" acknowledged msg="));
        assert!(acknowledged.contains(" seq="), "{acknowledged}");
    }
    for n in 0..nodes.len() {
        let own: Vec<&String> =
            first.iter().map(|(_, text)| text).filter(|text| text.ends_with(&format!("from {n}"))).collect();
        assert_eq!(own.len(), 20);
        assert!(
            own.iter().enumerate().all(|(round, text)| text.starts_with(&format!("{round} "))),
            "as it was typed: {own:?}"
        );
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_all_are_killed_at_once() {
    let cluster = Cluster::new(3, QUICK);
    let mut nodes = led_by_peer3(&cluster);
    for round in 0..3 {
        for n in 0..200 {
            nodes[n % 3].types(&format!("send {round}.{n}"));
        }
        // In the middle of it.
        nodes[0].awaits_line(Mark::START, &|line| line.contains(" acknowledged msg="));
        for node in &nodes {
            node.signal(Signal::SIGKILL);
        }
        for node in &mut nodes {
            node.ends();
        }
        // Everything that anybody was told, up to the last line.
        let told: Vec<String> = nodes.iter().flat_map(Node::all_lines).collect();
        drop(nodes);
        let acknowledged: BTreeSet<&str> =
            (told.iter()).filter_map(|line| line.split_once(" acknowledged msg=")?.1.split(' ').next()).collect();
        let requested: Vec<(&str, &str)> = (told.iter())
            .filter_map(|line| line.split_once(" requested msg=")?.1.split_once(" text="))
            .filter(|(id, _)| acknowledged.contains(id))
            .collect();
        assert!(!requested.is_empty());
        nodes = cluster.start_all();
        let marker = format!("after the crash {round}");
        nodes[0].reports("leader=peer");
        nodes[0].types(&format!("send {marker}"));
        for node in &nodes {
            node.delivers(&marker);
        }
        // Told before the crash, or after it.
        let everything: BTreeSet<String> = (told.iter().cloned())
            .chain(nodes[0].lines(Mark::START))
            .filter_map(|line| line.split_once(" DELIVERED ").map(|(_, rest)| rest.to_owned()))
            .collect();
        for (id, text) in requested {
            let is_it =
                |line: &&String| line.contains(&format!(" msg={id} ")) && line.ends_with(&format!(" text={text}"));
            assert!(everything.iter().any(|line| is_it(&line)), "{id} {text} was acknowledged and is lost");
        }
        for node in &nodes {
            assert_in_order(&node.delivered());
        }
    }
}

#[test]
fn node_whose_disk_was_wiped_comes_back_as_a_newcomer_and_gets_everything() {
    let cluster = Cluster::new(3, QUICK).with(&["--takeover=sticky"]);
    let mut nodes = cluster.start_all();
    for n in 0..50 {
        nodes[1].types(&format!("send {n}"));
    }
    for node in &nodes {
        node.delivers("49");
    }
    nodes.remove(0).crash();
    fs::remove_dir_all(cluster.directory(1)).unwrap();
    nodes.insert(0, cluster.start(1));
    nodes[1].types("send after the wipe");
    for node in &nodes {
        node.delivers("after the wipe");
    }
    assert_eq!(nodes[0].delivered(), nodes[1].delivered());
    nodes[0].awaits(Mark::START, " ADDED TO NETWORK ");
}

#[test]
fn messages_are_delivered_whatever_becomes_of_multicast() {
    for options in [&["--multicast-loss=1"][..], &["--multicast-loss=0.2"], &["--multicast=off"]] {
        let cluster = Cluster::new(3, PATIENT).with(options);
        let mut nodes = led_by_peer3(&cluster);
        for n in 0..100 {
            nodes[n % 3].types(&format!("send {n}"));
        }
        for node in &nodes {
            node.awaits_line(Mark::START, &|line| line.contains(" DELIVERED seq=100 "));
        }
        assert_eq!(nodes[0].delivered(), nodes[2].delivered(), "{options:?}");
    }
}

#[test]
fn readings_are_taken_as_often_as_a_person_wants() {
    let cluster = Cluster::new(1, PATIENT).with(&["--readings=10ms"]);
    let mut node = cluster.start(1);
    node.awaits_line(Mark::START, &|line| line.contains(" DELIVERED seq=5 ") && line.contains(" text=temperature="));
    node.types("readings off");
    node.awaits(Mark::START, "readings off");
    // Those that were on their way are delivered before this one.
    node.types("send the last");
    node.delivers("the last");
    let last = node.delivered().pop().unwrap();
    assert_eq!(last.1, "the last");
    node.types("readings 5ms");
    node.awaits_line(Mark::START, &|line| line.contains(&format!(" DELIVERED seq={} ", last.0 + 3)));
}

#[test]
fn text_from_a_person_cannot_forge_a_line() {
    let cluster = Cluster::new(1, PATIENT);
    let mut node = cluster.start(1);
    node.reports("role=leader");
    node.types("send a\u{1b}[2J\r DELIVERED seq=99 text=x");
    node.awaits_line(Mark::START, &|line| line.contains(" DELIVERED seq=1 "));
    node.types("log 5");
    node.awaits_line(Mark::START, &|line| line.starts_with("DELIVERED seq=1 "));
    assert!(node.lines(Mark::START).iter().all(|line| !line.contains('\u{1b}') && !line.contains('\r')));
}
