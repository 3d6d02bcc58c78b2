//! Each planted mistake is caught by the schedules that the correct node passes.

use std::ops::Range;

use dsbench_protocol::{Config, Mistake};

use crate::planted::caught;

const SCHEDULES: Range<u64> = 0..300;

/// Shows that at least so many of the schedules catch `mistake`, with a complaint that names what it does.
fn is_caught(mistake: Mistake, complaint: &str, at_least: usize) {
    let complaints = caught(SCHEDULES, |config| Config { mistake: Some(mistake), ..config }, |_| {});
    let to_the_point = complaints.iter().filter(|(_, text)| text.contains(complaint)).count();
    assert!(
        to_the_point >= at_least,
        "{mistake}: of {SCHEDULES:?} schedules {} catch it, {to_the_point} with {complaint:?}: {complaints:#?}",
        complaints.len()
    );
}

#[test]
fn the_correct_node_passes_the_same_schedules() {
    assert_eq!(caught(SCHEDULES, |config| config, |_| {}), []);
}

#[test]
fn a_leader_that_never_steps_down_is_caught_as_a_cluster_that_never_agrees() {
    is_caught(Mistake::NeverStepsDown, "no agreement", 30);
}

#[test]
fn a_leader_without_a_majority_is_caught_at_its_election() {
    is_caught(Mistake::ClaimsTermTwice, "no majority of", 300);
}

#[test]
fn a_forgotten_vote_is_caught_as_two_votes_in_one_term() {
    is_caught(Mistake::ForgetsVote, " voted for ", 3);
}
