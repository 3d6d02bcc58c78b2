//! The shipped scenarios, on real processes.

use crate::support::{Place, stderr};
use predicates::prelude::*;

/// Runs a shipped scenario in an empty directory.
fn run(name: &str) -> (Place, String) {
    let place = Place::new();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/").to_owned() + name + ".toml";
    let run = place.dsbench(&["run", &file, "--seed", "1"]).success();
    let text = stderr(&run);
    assert!(text.contains("PASS"), "{text}");
    (place, text)
}

#[test]
fn a_killed_leader_is_replaced_and_takes_its_place_back() {
    let (place, _) = run("leader-election");
    let logs: Vec<String> = (1..=3).map(|n| place.read(&format!("logs/peer{n}_log.txt"))).collect();
    assert!(logs.iter().any(|log| log.contains("became the Group Leader via election")));
    assert!(logs.iter().any(|log| log.contains("Received COORDINATOR announcement:")));
    assert!(
        logs.iter().any(|log| log.contains("dsbench: ") && log.contains("life 2")),
        "the restart is marked in the log"
    );
    let json = place.run_json();
    assert_eq!(json["result"], "pass");
    assert_eq!(json["seed"], "0x1");
}

#[test]
fn a_paused_leader_is_replaced_and_steps_down_on_resume() {
    let (_, text) = run("paused-leader");
    assert!(predicate::str::contains("a thawed leader steps down").eval(&text), "{text}");
}

#[test]
fn one_of_three_does_not_lead_alone_under_majority() {
    run("quorum-lost");
}

#[test]
fn the_classroom_mode_goes_on_with_one_of_three() {
    run("quorum-lost-classroom");
}

#[test]
fn two_leaders_of_one_term_are_caught_where_no_quorum_prevents_them() {
    let (_, text) = run("one-term-two-leaders");
    assert!(text.contains("caught being violated") && text.contains("became the Group Leader"), "{text}");
}

#[test]
fn every_start_order_ends_with_the_highest_id_leading() {
    run("every-start-order");
}

#[test]
fn random_faults_never_show_two_leaders_and_end_in_agreement() {
    let (_, text) = run("random-process-faults");
    assert!(text.contains("by the nemesis: "), "{text}");
}

#[test]
fn faults_at_the_moment_of_an_election_never_show_two_leaders_of_a_term() {
    let (_, text) = run("faults-at-elections");
    assert!(text.contains("by the nemesis: "), "{text}");
}

#[test]
fn the_scenario_of_the_thousand_runs_passes_the_first_of_them() {
    run("dense-process-faults");
}

#[test]
fn a_chat_with_rooms_goes_on_when_its_leader_is_killed_for_nodes_and_for_clients() {
    run("chat/chat-rooms");
}

#[test]
fn peers_chat_on_when_the_one_that_began_is_killed() {
    run("p2p/p2p-leader-failure");
}
