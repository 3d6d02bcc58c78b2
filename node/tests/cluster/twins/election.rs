//! Twins of `test_election`: who leads, how that becomes known, and when an election is called off.

use dsbench_protocol::{Event, Reason};
use serde_json::json;

use super::stage::{Fate, Stage};

#[test]
fn the_highest_of_those_who_are_alive_becomes_the_leader() {
    let mut stage = Stage::led_by_three();
    assert!(stage.when(3, |event| matches!(event, Event::BecameLeader { .. })).is_some());
    stage.crashes(3);
    stage.until("node 2 leads", |stage| stage.leader(1) == Some(2) && stage.leader(2) == Some(2));
    assert_eq!(stage.when(1, |event| matches!(event, Event::BecameLeader { .. })), None, "{stage}");
}

#[test]
fn who_is_challenged_by_a_lower_node_answers_and_stands_itself() {
    let mut stage = Stage::led_by_three();
    stage.crashes(3);
    stage.until("node 2 leads", |stage| stage.leader(1) == Some(2));
    let elections = || stage.said.iter().filter(|line| line.is("ELECTION"));
    assert!(elections().all(|line| line.from < line.to), "challenges go to higher nodes only");
    let answered = stage.said.iter().find(|line| line.is("ELECTION_OK") && line.from == 2 && line.to == 1);
    assert!(answered.is_some(), "{stage}");
}

#[test]
fn the_new_leader_announces_itself_to_everybody_with_its_address() {
    let stage = Stage::led_by_three();
    for n in [1, 2] {
        let announced = stage.said.iter().find(|line| line.is("COORDINATOR") && line.from == 3 && line.to == n);
        let announced = &announced.unwrap_or_else(|| panic!("none to node {n}\n{stage}")).json;
        assert_eq!(announced["leader"], json!({ "node_id": 3, "host": "127.0.0.1", "port": 5003 }));
        assert_eq!(announced["term"], stage.term(3));
        let heard =
            |event: &Event| matches!(event, Event::ReceivedCoordinator { leader, .. } if leader.as_str() == "3");
        assert!(stage.when(n, heard).is_some(), "{stage}");
    }
}

#[test]
fn an_election_is_cancelled_when_somebody_announces_itself() {
    let mut stage = Stage::led_by_three();
    stage.crashes(3);
    // Node 1 looks for a leader, and hears nothing of node 2 ...
    stage.wire(|line| if line.to == 1 { Fate::Lost } else { Fate::Arrives });
    stage.until("node 1 began an election", |stage| {
        stage.when(1, |event| matches!(event, Event::ElectionStarted { reason: Reason::LeaderFailed(_), .. })).is_some()
    });
    let term = stage.term(1) + 1;
    // ... but that it leads.
    let leader = json!({ "node_id": 2, "host": "127.0.0.1", "port": 5002 });
    stage.wire(|line| if line.is("COORDINATOR") { Fate::Arrives } else { Fate::Lost });
    stage.forges(
        2,
        1,
        json!({ "type": "COORDINATOR", "sender_id": 2, "receiver_id": 1, "term": term, "leader": leader }),
    );
    stage.all_arrive();
    let cancelled = |event: &Event| matches!(event, Event::ElectionCancelled { .. });
    assert!(stage.when(1, cancelled).is_some(), "{stage}");
    assert_eq!((stage.leader(1), stage.term(1)), (Some(2), term));
}

#[test]
fn an_announcement_of_an_earlier_term_changes_nothing_and_no_term_has_two_leaders() {
    let mut stage = Stage::led_by_three();
    let old = stage.term(3);
    stage.crashes(3);
    stage.until("node 2 leads", |stage| stage.leader(1) == Some(2) && stage.leader(2) == Some(2));
    let term = stage.term(1);
    assert!(term > old);
    // The announcement of the dead leader comes at last.
    let late = stage.said.iter().find(|line| line.is("COORDINATOR") && line.from == 3 && line.to == 1).cloned();
    let late = late.expect("it announced itself");
    stage.forges(3, 1, late.json);
    stage.all_arrive();
    assert_eq!((stage.leader(1), stage.term(1)), (Some(2), term), "{stage}");
    let mut led: Vec<(u64, u64)> = (stage.said.iter())
        .filter(|line| line.is("COORDINATOR"))
        .map(|line| (line.json["term"].as_u64().unwrap(), line.from))
        .collect();
    led.sort_unstable();
    led.dedup();
    let terms: std::collections::BTreeSet<u64> = led.iter().map(|(term, _)| *term).collect();
    assert_eq!(led.len(), terms.len(), "{led:?}");
}
