//! Twins of `test_integration_local`: from the keyboard to the message log, and through a restart, an absence and a failover.

use crate::chat::{Chat, PATIENT, QUICK, assert_exactly_once};
use crate::harness::assert_one_leader_per_term;

fn texts(chat: &Chat, node: usize) -> Vec<(u64, String)> {
    chat.messages(node).into_iter().map(|message| (message.seq_no, message.payload.to_string())).collect()
}

#[test]
fn what_is_sent_at_any_node_is_stored_by_all_in_one_order() {
    let chat = Chat::new(3, PATIENT);
    let mut nodes = chat.settled();
    for round in 0..10 {
        for (n, node) in nodes.iter_mut().enumerate() {
            node.types(&format!("send {round} from {n}"));
        }
    }
    for node in &nodes {
        for n in 0..3 {
            node.delivers(&format!("9 from {n}"));
        }
    }
    let stored = chat.messages(1);
    assert_exactly_once(&stored);
    assert_eq!(stored.len(), 30);
    assert_eq!([chat.messages(2), chat.messages(3)], [stored.clone(), stored]);
}

#[test]
fn a_chat_that_is_killed_and_started_again_has_its_messages_and_goes_on_with_the_next_number() {
    let chat = Chat::new(3, QUICK);
    let mut nodes = chat.settled();
    nodes[0].types("send before");
    for node in &nodes {
        node.delivers("before");
    }
    for node in nodes {
        node.crash();
    }
    let mut nodes: Vec<_> = (1..=3).map(|node| chat.start(node)).collect();
    nodes[1].types("send after");
    for node in &nodes {
        node.delivers("after");
    }
    for node in 1..=3 {
        assert_eq!(texts(&chat, node), [(1, "before".to_owned()), (2, "after".to_owned())], "node {node}");
    }
}

#[test]
fn a_node_that_was_away_asks_for_what_it_missed_and_stores_it_in_order() {
    let chat = Chat::new(3, QUICK);
    let mut nodes = chat.settled();
    nodes[0].types("send 0");
    nodes[0].delivers("0");
    nodes.remove(0).crash();
    for n in 1..=20 {
        nodes[0].types(&format!("send {n}"));
    }
    nodes[0].delivers("20");
    let back = chat.start(1);
    back.delivers("20");
    let expected: Vec<(u64, String)> = (0..=20).map(|n| (n + 1, n.to_string())).collect();
    assert_eq!(texts(&chat, 1), expected);
    assert_eq!(chat.messages(1), chat.messages(2));
}

#[test]
fn the_numbers_go_on_under_the_next_leader_and_nothing_is_lost() {
    let chat = Chat::new(3, QUICK);
    let mut nodes = chat.settled();
    for n in 1..=10 {
        nodes[0].types(&format!("send {n}"));
    }
    nodes[0].delivers("10");
    nodes.remove(2).crash();
    for n in 11..=20 {
        nodes[0].types(&format!("send {n}"));
    }
    nodes[0].delivers("20");
    nodes[1].delivers("20");
    nodes.push(chat.start(3));
    nodes[2].delivers("20");
    let stored = chat.messages(1);
    assert!(stored[9].term < stored[10].term, "another leader: {stored:?}");
    let expected: Vec<(u64, String)> = (1..=20).map(|n| (n, n.to_string())).collect();
    for node in 1..=3 {
        assert_eq!(texts(&chat, node), expected, "node {node}");
    }
    assert_one_leader_per_term(&nodes);
}
