//! Each planted mistake is caught by the schedules that the correct node passes.

use std::ops::Range;

use dsbench_protocol::{Config, Mistake};

use crate::planted::{caught, kept_seeds};

const SCHEDULES: Range<u64> = 0..300;

/// Shows that at least so many of the schedules catch `mistake`, with one of the complaints that name what it does.
fn is_caught(mistake: Mistake, complaints_of_it: &[&str], at_least: usize) {
    let complaints = caught(SCHEDULES, |config| Config { mistake: Some(mistake), ..config }, |_| {});
    let to_the_point =
        complaints.iter().filter(|(_, text)| complaints_of_it.iter().any(|phrase| text.contains(phrase))).count();
    assert!(
        to_the_point >= at_least,
        "{mistake}: of {SCHEDULES:?} schedules {} catch it, {to_the_point} with one of {complaints_of_it:?}: {complaints:#?}",
        complaints.len()
    );
}

#[test]
fn the_correct_node_passes_the_same_schedules() {
    assert_eq!(caught(SCHEDULES, |config| config, |_| {}), []);
}

#[test]
fn a_leader_that_never_steps_down_is_caught_beside_its_successor() {
    is_caught(Mistake::NeverStepsDown, &["no agreement", "long replaced"], 30);
}

#[test]
fn a_leader_without_a_majority_is_caught_at_its_election() {
    is_caught(Mistake::ClaimsTermTwice, &["no majority of"], 300);
}

#[test]
fn a_forgotten_vote_is_caught_as_a_second_one_or_as_a_term_with_two_leaders() {
    is_caught(Mistake::ForgetsVote, &[" voted for ", "both became leader"], 10);
}

#[test]
fn every_kept_seed_still_catches_its_mistake() {
    for (seed, mistake) in kept_seeds() {
        let mistake: Mistake = mistake.parse().expect("seeds.txt names a mistake");
        let complaints = caught(seed..seed + 1, |config| Config { mistake: Some(mistake), ..config }, |_| {});
        assert_eq!(complaints.len(), 1, "seed {seed} does not catch {mistake} any more");
    }
}
