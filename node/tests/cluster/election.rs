//! Who leads, through crashes, pauses and graceful leaves.

use nix::sys::signal::Signal;

use crate::harness::{Cluster, Mark, Node, PATIENT, QUICK, assert_one_leader_per_term, term};

const LEADS: &str = "became the Group Leader via election";

/// Starts three, and waits until all of them agree that `peer3` leads. Gives its term.
fn led_by_peer3(cluster: &Cluster) -> (Vec<Node>, u64) {
    let mut nodes = cluster.start_all();
    for node in &mut nodes {
        node.reports("leader=peer3");
    }
    let term = term(&nodes[2].reports("role=leader"));
    (nodes, term)
}

#[test]
fn three_nodes_elect_the_highest() {
    let cluster = Cluster::new(3, QUICK);
    let (nodes, _) = led_by_peer3(&cluster);
    let first = nodes[0].lines(Mark::START).remove(0);
    let listening = format!(
        " peer1 INFO listening on {} quorum=majority takeover=bully members=peer1,peer2,peer3",
        cluster.address(1)
    );
    assert!(first.ends_with(&listening), "{first}");
    nodes[2].awaits(Mark::START, LEADS);
    assert_one_leader_per_term(&nodes);
}

#[test]
fn killed_leader_is_replaced_and_takes_back_when_it_returns() {
    let cluster = Cluster::new(3, QUICK);
    let (mut nodes, first) = led_by_peer3(&cluster);
    let mark = nodes[1].mark();
    nodes.remove(2).crash();
    let second = term(&nodes[1].awaits(mark, LEADS));
    assert!(second > first, "{second} > {first}");
    nodes[0].reports("leader=peer2");

    nodes.push(cluster.start(3));
    let third = term(&nodes[2].awaits(Mark::START, LEADS));
    assert!(third > second, "{third} > {second}");
    for node in &mut nodes {
        node.reports("leader=peer3");
    }
    assert_one_leader_per_term(&nodes);
}

#[test]
fn paused_leader_is_replaced_and_steps_down_on_resume() {
    let cluster = Cluster::new(3, QUICK);
    let (mut nodes, first) = led_by_peer3(&cluster);
    let [mark_of_2, mark_of_3] = [nodes[1].mark(), nodes[2].mark()];
    nodes[2].signal(Signal::SIGSTOP);
    let second = term(&nodes[1].awaits(mark_of_2, LEADS));
    assert!(second > first, "{second} > {first}");
    nodes[0].reports("leader=peer2");

    nodes[2].signal(Signal::SIGCONT);
    let stepped_down = nodes[2].awaits(mark_of_3, "stepped down");
    assert_eq!(term(&stepped_down), first);
    // Before it has heard that it is deposed, it tells nobody anything, least of all that others are to blame.
    let woken = nodes[2].lines(mark_of_3);
    let before = woken.iter().take_while(|line| !line.contains("stepped down"));
    assert!(before.clone().all(|line| !line.contains("SUSPECTED")), "{woken:?}");

    for node in &mut nodes {
        node.reports("leader=peer3");
    }
    assert_one_leader_per_term(&nodes);
}

#[test]
fn leader_that_leaves_is_replaced_without_suspicion() {
    let cluster = Cluster::new(3, QUICK);
    let (mut nodes, _) = led_by_peer3(&cluster);
    let mark = nodes[1].mark();
    nodes[2].signal(Signal::SIGTERM);
    assert_eq!(nodes[2].ends().code(), Some(0));
    nodes[2].awaits(Mark::START, "leaving term=");
    nodes[1].awaits(mark, "LEFT peer=peer3");
    nodes[1].awaits(mark, LEADS);
    nodes[0].reports("leader=peer2");
    assert_one_leader_per_term(&nodes);
}

#[test]
fn terms_survive_a_crash_of_all_nodes() {
    let cluster = Cluster::new(3, QUICK);
    let (nodes, first) = led_by_peer3(&cluster);
    for node in nodes {
        node.crash();
    }
    let (nodes, second) = led_by_peer3(&cluster);
    assert!(second > first, "{second} > {first}");
    assert_one_leader_per_term(&nodes);
}

#[test]
fn one_of_three_alone_never_leads() {
    let cluster = Cluster::new(3, QUICK);
    let (mut nodes, _) = led_by_peer3(&cluster);
    let mark = nodes[2].mark();
    for _ in 0..2 {
        nodes.remove(0).crash();
    }
    nodes[0].awaits(mark, "stepped down");
    nodes[0].reports("role=electing");
    let lines = nodes[0].lines(mark);
    assert!(lines.iter().all(|line| !line.contains(LEADS)), "{lines:?}");
}

#[test]
fn a_member_of_one_leads_itself() {
    let cluster = Cluster::new(1, QUICK);
    let mut node = cluster.start(1);
    assert!(node.reports("role=leader").contains("leader=peer1"));
}

#[test]
fn returning_higher_node_follows_where_takeover_is_sticky() {
    let cluster = Cluster::new(3, PATIENT).with(&["--takeover=sticky"]);
    let mut nodes = [cluster.start(1), cluster.start(2)];
    let led = term(&nodes[0].reports("leader=peer"));
    let mut third = cluster.start(3);
    third.awaits_any(Mark::START, &["follows leader=peer", "Received COORDINATOR announcement: peer"]);
    assert!(third.reports("role=follower").contains(&format!("term={led} ")));
    assert_one_leader_per_term(nodes.iter().chain([&third]));
}

#[test]
fn node_without_a_quorum_leads_alone() {
    let cluster = Cluster::new(3, QUICK).with(&["--quorum=none"]);
    let mut alone = cluster.start(1);
    alone.reports("role=leader");
    assert!(alone.awaits(Mark::START, LEADS).ends_with("votes=peer1"));
    alone.types("quit");
    assert_eq!(alone.ends().code(), Some(0));
}
