//! Each planted mistake is caught: by the schedules that the correct node passes, or by the script of the rule that it breaks.
//!
//! What needs a rare coincidence of several faults to do harm in a schedule - a log that is longer and older, copies of an old
//! term on a majority - is shown by a script, which is that coincidence. Of the first 400 schedules none catches `LongestLogWins` and
//! `CountsOldTerms`, of the first 200 none `CountsLearners`, `TransfersAtOnce` and `NumbersTooEarly`.

use std::ops::Range;

use dsbench_protocol::{Config, Mistake};

use crate::long_stories::number_that_no_disk_knew;
use crate::planted::{caught, kept_seeds};
use crate::rules::{committing, delivering, founding, membership, takeover};
use crate::script::catches;

/// Shows that at least so many of the schedules catch `mistake`, with one of the complaints that name what it does.
fn is_caught(mistake: Mistake, schedules: Range<u64>, complaints_of_it: &[&str], at_least: usize) {
    let complaints = caught(schedules.clone(), |config| Config { mistake: Some(mistake), ..config }, |_| {});
    let to_the_point =
        complaints.iter().filter(|(_, text)| complaints_of_it.iter().any(|phrase| text.contains(phrase))).count();
    assert!(
        to_the_point >= at_least,
        "{mistake}: of {schedules:?} schedules {} catch it, {to_the_point} with one of {complaints_of_it:?}: {complaints:#?}",
        complaints.len()
    );
}

#[test]
fn the_correct_node_passes_the_same_schedules() {
    assert_eq!(caught(0..150, |config| config, |_| {}), []);
}

// Rule 1: term and vote are durable, and a majority of votes comes before COORDINATOR.

#[test]
fn a_leader_that_never_steps_down_is_caught_beside_its_successor() {
    is_caught(Mistake::NeverStepsDown, 0..30, &["no agreement", "long replaced"], 5);
}

#[test]
fn a_leader_without_a_majority_is_caught_at_its_election() {
    is_caught(Mistake::ClaimsTermTwice, 0..30, &["no majority of"], 30);
}

#[test]
fn a_forgotten_vote_is_caught_as_a_second_one_or_as_a_term_that_is_led_twice() {
    is_caught(Mistake::ForgetsVote, 0..30, &[" voted for ", "both became leader", "after a later one"], 5);
}

// Rule 2: the later log, not the longer one.

#[test]
fn a_vote_for_the_longer_log_is_caught_by_its_script() {
    assert!(catches(Mistake::LongestLogWins, committing::the_later_log_gets_the_vote_and_not_the_longer_one));
}

// Rule 3: only entries of the leader's own term are counted.

#[test]
fn copies_of_an_old_term_that_count_are_caught_by_their_script() {
    let rule = committing::entries_of_earlier_terms_are_committed_only_with_one_of_the_leaders_own;
    assert!(catches(Mistake::CountsOldTerms, rule));
}

// Rule 4: only what is committed is delivered and acknowledged, once.

#[test]
fn a_delivery_before_commitment_is_caught_at_the_next_leader() {
    is_caught(Mistake::DeliversUncommitted, 0..100, &["without"], 1);
    assert!(catches(
        Mistake::DeliversUncommitted,
        delivering::a_message_is_delivered_when_it_is_committed_and_not_before
    ));
}

#[test]
fn an_acknowledgement_before_a_majority_is_caught_at_the_next_leader() {
    is_caught(Mistake::AcknowledgesBeforeMajority, 0..60, &["without", "which is"], 5);
    assert!(catches(
        Mistake::AcknowledgesBeforeMajority,
        committing::an_entry_is_committed_once_a_majority_of_disks_has_it
    ));
}

#[test]
fn a_retry_without_deduplication_is_caught_as_a_message_that_is_delivered_twice() {
    is_caught(Mistake::DeliversTwice, 0..30, &["is delivered as"], 5);
}

#[test]
fn requests_out_of_their_order_are_caught_as_ones_that_are_overtaken() {
    is_caught(Mistake::TakesOutOfOrder, 0..15, &["be overtaken", "is delivered after"], 3);
    assert!(catches(Mistake::TakesOutOfOrder, delivering::the_requests_of_a_client_enter_the_log_in_their_order));
}

// Rule 5: one member per change, and learners count for nothing.

#[test]
fn a_learners_copy_that_counts_is_caught_by_its_script() {
    assert!(catches(Mistake::CountsLearners, committing::a_learners_copy_does_not_count));
}

#[test]
fn two_changes_at_once_are_caught_as_views_that_differ_by_two() {
    is_caught(Mistake::ChangesTwoAtOnce, 165..166, &["differ by more than one", "without"], 1);
    let rule = membership::no_member_is_changed_before_an_entry_of_the_leaders_term_is_committed_nor_two_at_a_time;
    assert!(catches(Mistake::ChangesTwoAtOnce, rule));
}

// Rule 6: one founding, and a wiped disk has no vote.

#[test]
fn founding_with_whom_one_has_met_is_caught_as_two_networks() {
    is_caught(Mistake::FoundsOnDiscovery, 0..30, &["both became leader", "view 1 is"], 3);
    let rule = founding::the_highest_of_enough_nodes_founds_with_the_pledge_of_all_others;
    assert!(catches(Mistake::FoundsOnDiscovery, rule));
}

#[test]
fn a_wiped_disk_that_votes_is_caught_in_the_end_and_by_its_script() {
    is_caught(Mistake::CountsAnyVote, 35..36, &["no agreement"], 1);
    assert!(catches(Mistake::CountsAnyVote, committing::a_wiped_disk_has_neither_vote_nor_copies));
}

// Rule 7: a transfer stops intake and catches the successor up.

#[test]
fn a_transfer_at_once_is_caught_by_its_script() {
    let rule = takeover::a_leader_takes_no_requests_while_it_hands_over_and_asks_its_successor_once_that_has_everything;
    assert!(catches(Mistake::TransfersAtOnce, rule));
}

// Rule 8: nothing that was asked for is silently gone.

#[test]
fn a_request_that_is_not_asked_again_is_caught_as_one_without_an_answer() {
    is_caught(Mistake::ForgetsRequests, 0..15, &["not answered"], 3);
    let rule = delivering::a_request_without_an_answer_is_asked_again_after_a_while_and_at_once_under_another_leader;
    assert!(catches(Mistake::ForgetsRequests, rule));
}

#[test]
fn a_number_that_no_disk_knew_is_caught_as_a_request_that_says_two_things() {
    let plant = |config| Config { mistake: Some(Mistake::NumbersTooEarly), ..config };
    let caught = (0..10).filter(|&seed| {
        let (verdict, _) = number_that_no_disk_knew(seed, plant);
        verdict.is_err_and(|complaint| complaint.contains("peer3/1 says \"first\", but elsewhere \"second\""))
    });
    assert!(caught.count() > 0);
}

#[test]
fn every_kept_seed_still_catches_its_mistake() {
    for (seed, mistake) in kept_seeds().filter(|(_, mistake)| *mistake != "bug") {
        let mistake: Mistake = mistake.parse().expect("seeds.txt names a mistake");
        let complaints = caught(seed..seed + 1, |config| Config { mistake: Some(mistake), ..config }, |_| {});
        assert_eq!(complaints.len(), 1, "seed {seed} does not catch {mistake} any more");
    }
}
