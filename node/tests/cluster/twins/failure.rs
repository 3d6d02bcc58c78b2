//! Twins of `test_failure`: heartbeats that are heard, silence that is noticed, and what becomes of a node's role.

use std::time::Duration;

use dsbench_protocol::{Event, Reason};

use super::stage::{Fate, LEADER_TIMEOUT, Stage};

fn suspected(event: &Event) -> bool {
    matches!(event, Event::Suspected { peer, .. } if peer.as_str() == "3")
}

fn failed(event: &Event) -> bool {
    matches!(event, Event::Failed { peer, .. } if peer.as_str() == "3")
}

#[test]
fn a_heartbeat_that_is_heard_keeps_its_leader_from_being_suspected() {
    let mut stage = Stage::led_by_three();
    stage.passes(Duration::from_secs(60));
    for n in 1..=2 {
        assert_eq!(stage.when(n, suspected), None, "{stage}");
        assert_eq!(stage.leader(n), Some(3));
    }
    let heartbeats = stage.said.iter().filter(|line| line.is("HEARTBEAT") && line.to == 1).count();
    assert!((70..=80).contains(&heartbeats), "one every 800 ms: {heartbeats}");
    // It is what they hear that does it, not that the leader is alive.
    stage.wire(|line| if line.from == 3 && line.to == 1 { Fate::Lost } else { Fate::Arrives });
    stage.until("node 1 suspects node 3", |stage| stage.when(1, suspected).is_some());
    assert_eq!(stage.when(2, suspected), None, "{stage}");
}

#[test]
fn a_silent_leader_is_suspected_after_one_timeout_and_has_failed_after_two() {
    let mut stage = Stage::led_by_three();
    stage.passes(Duration::from_secs(5));
    let before = stage.said.iter().filter(|line| line.is("HEARTBEAT")).count();
    stage.until("another heartbeat", |stage| {
        stage.said.iter().filter(|line| line.is("HEARTBEAT")).count() == before + 2
    });
    stage.all_arrive();
    let heard = stage.now();
    stage.crashes(3);
    for n in [1, 2] {
        stage.until("suspected", |stage| stage.when(n, suspected).is_some());
        stage.until("failed", |stage| stage.when(n, failed).is_some());
        assert_eq!(stage.when(n, suspected), Some(heard + LEADER_TIMEOUT), "{stage}");
        assert_eq!(stage.when(n, failed), Some(heard + 2 * LEADER_TIMEOUT), "{stage}");
    }
}

#[test]
fn a_follower_that_is_elected_leads_and_sends_the_heartbeats_from_then_on() {
    let mut stage = Stage::led_by_three();
    stage.sends(1, "general", "before");
    stage.until("delivered", |stage| (1..=3).all(|n| stage.delivered(n).len() == 1));
    stage.crashes(3);
    stage.until("node 2 leads", |stage| stage.leader(1) == Some(2));
    let since = stage.said.len();
    stage.passes(Duration::from_secs(8));
    let heartbeats: Vec<u64> =
        stage.said[since..].iter().filter(|line| line.is("HEARTBEAT")).map(|line| line.from).collect();
    assert!(heartbeats.len() >= 9 && heartbeats.iter().all(|&from| from == 2), "{heartbeats:?}");
    stage.sends(1, "general", "after");
    stage.until("delivered", |stage| (1..=2).all(|n| stage.delivered(n).len() == 2));
    assert_eq!(stage.delivered(1), [(1, "before".to_owned()), (2, "after".to_owned())], "the numbers go on");
}

#[test]
fn a_leader_that_was_cut_off_stops_leading_and_follows_the_new_one_when_it_hears_of_it() {
    let mut stage = Stage::led_by_three();
    stage.wire(|line| if line.from == 3 || line.to == 3 { Fate::Lost } else { Fate::Arrives });
    stage.until("node 2 leads", |stage| stage.leader(1) == Some(2));
    let alone = |event: &Event| matches!(event, Event::SteppedDown { reason: Reason::NoMajority, .. });
    let [stepped_down, elected] =
        [stage.when(3, alone), stage.when(2, |event| matches!(event, Event::BecameLeader { .. }))];
    assert!(stepped_down.is_some() && stepped_down <= elected, "before another leads: {stage}");
    assert_eq!(stage.leader(3), None);
    stage.heals();
    stage.until("node 3 follows", |stage| stage.leader(3) == Some(2));
    let since = stage.said.len();
    stage.passes(Duration::from_secs(8));
    assert!(stage.said[since..].iter().all(|line| !(line.is("HEARTBEAT") && line.from == 3)), "it leads no more");
}
