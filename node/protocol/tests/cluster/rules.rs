//! One script per rule. See `script` for how they read.

use dsbench_protocol::{Config, Quorum, Takeover};

use crate::script::plays;

fn majority(config: Config) -> Config {
    config
}

fn sticky(config: Config) -> Config {
    Config { takeover: Takeover::Sticky, ..config }
}

fn classroom(config: Config) -> Config {
    Config { quorum: Quorum::None, ..config }
}

#[test]
fn a_vote_goes_to_the_disk_before_it_goes_out_and_only_one_per_term() {
    plays(
        majority,
        "
        > start
        > peer3 VOTE_REQUEST term=1
          persist term=1 vote=peer3
          | voted candidate=peer3 term=1
          peer3 < VOTE granted=true term=1
        > peer1 VOTE_REQUEST term=1
          peer1 < VOTE granted=false term=1
        > peer3 VOTE_REQUEST term=1
          peer3 < VOTE granted=true term=1
        > peer1 VOTE_REQUEST term=2
          persist term=2 vote=peer1
          | voted candidate=peer1 term=2
          peer1 < VOTE granted=true term=2
        > peer3 VOTE_REQUEST term=1
          peer3 < VOTE granted=false term=2
        > peer1 HEARTBEAT_ACK term=4
          persist term=4 vote=none
        > peer3 VOTE_REQUEST term=3
          peer3 < VOTE granted=false term=4
        ",
    );
}

#[test]
fn a_vote_is_remembered_across_a_restart() {
    plays(
        majority,
        "
        > start term=4 vote=peer3
        > peer1 VOTE_REQUEST term=4
          peer1 < VOTE granted=false term=4
        > peer3 VOTE_REQUEST term=4
          peer3 < VOTE granted=true term=4
        ",
    );
}

#[test]
fn ok_is_not_a_vote_and_coordinator_follows_a_majority_only() {
    plays(
        majority,
        "
        > start
        > timer Election
          | election started term=1 reason=no-leader
          peer3 < ELECTION term=0
        > timer Election
          | asks for pre-votes term=1
          peer1 < PRE_VOTE_REQUEST term=0
          peer3 < PRE_VOTE_REQUEST term=0
        > peer1 PRE_VOTE granted=true
          persist term=1 vote=peer2
          | stands for election term=1
          | voted candidate=peer2 term=1
          peer1 < VOTE_REQUEST term=1
          peer3 < VOTE_REQUEST term=1
        > peer3 OK term=1
        > peer1 OK term=1
        > peer1 VOTE term=1 granted=false
        > peer1 VOTE term=0 granted=true
        > peer1 VOTE term=1 granted=true
          | became the Group Leader via election term=1 votes=peer1,peer2
          peer1 < COORDINATOR term=1
          peer3 < COORDINATOR term=1
        > peer3 VOTE term=1 granted=true
        ",
    );
}

#[test]
fn a_pre_vote_is_refused_while_a_leader_is_heard_unless_the_leader_wants_it() {
    plays(
        majority,
        "
        > start
        > peer3 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer3 term=1
        > peer1 PRE_VOTE_REQUEST term=1
          peer1 < PRE_VOTE granted=false term=1
        > peer1 PRE_VOTE_REQUEST term=1 transfer=true
          peer1 < PRE_VOTE granted=true term=1
        > 400ms
          | SUSPECTED peer=peer3 term=1
        > peer1 PRE_VOTE_REQUEST term=1
          peer1 < PRE_VOTE granted=true term=1
        > peer3 HEARTBEAT term=1 seq=4
          | RECOVERED peer=peer3 term=1
          peer3 < HEARTBEAT_ACK seq=4 term=1
        > peer1 PRE_VOTE_REQUEST term=1
          peer1 < PRE_VOTE granted=false term=1
        ",
    );
}

#[test]
fn a_pre_vote_of_an_earlier_round_or_for_an_old_term_does_not_count() {
    plays(
        majority,
        "
        > start
        > timer Election
          | election started term=1 reason=no-leader
          peer3 < ELECTION term=0
        > timer Election
          | asks for pre-votes term=1
          peer1 < PRE_VOTE_REQUEST term=0
          peer3 < PRE_VOTE_REQUEST term=0
        > peer1 PRE_VOTE round=7 granted=true
        > peer1 PRE_VOTE_REQUEST term=2
          | election cancelled term=1 reason=higher-term-of:peer1
          persist term=2 vote=none
          peer1 < PRE_VOTE granted=true term=2
        > peer1 PRE_VOTE term=0 granted=true
        ",
    );
}

#[test]
fn a_leader_that_a_majority_does_not_answer_steps_down_and_late_answers_do_not_help() {
    plays(
        majority,
        "
        > lead
        > 110ms
          peer1 << HEARTBEAT seq=1 term=1
          peer3 << HEARTBEAT seq=1 term=1
        > peer1 HEARTBEAT_ACK term=1 seq=1
        > 350ms
          peer1 << HEARTBEAT seq=2 term=1
          peer3 << HEARTBEAT seq=2 term=1
          peer1 << HEARTBEAT seq=3 term=1
          peer3 << HEARTBEAT seq=3 term=1
          peer1 << HEARTBEAT seq=4 term=1
          peer3 << HEARTBEAT seq=4 term=1
          | SUSPECTED peer=peer3 term=1
        > peer1 HEARTBEAT_ACK term=1 seq=1
        > 100ms
          peer1 << HEARTBEAT seq=5 term=1
          peer3 << HEARTBEAT seq=5 term=1
          | stepped down term=1 reason=no-majority
        ",
    );
}

#[test]
fn a_higher_node_answers_ok_and_stands_itself() {
    plays(
        majority,
        "
        > start
        > peer1 ELECTION
          peer1 < OK term=0
          | election started term=1 reason=challenged-by:peer1
          peer3 < ELECTION term=0
        > timer Election
          | asks for pre-votes term=1
          peer1 < PRE_VOTE_REQUEST term=0
          peer3 < PRE_VOTE_REQUEST term=0
        > peer1 PRE_VOTE granted=true
          persist term=1 vote=peer2
          | stands for election term=1
          | voted candidate=peer2 term=1
          peer1 < VOTE_REQUEST term=1
          peer3 < VOTE_REQUEST term=1
        > peer1 VOTE term=1 granted=true
          | became the Group Leader via election term=1 votes=peer1,peer2
          peer1 < COORDINATOR term=1
          peer3 < COORDINATOR term=1
        > peer1 ELECTION term=1
          peer1 < OK term=1
          peer1 < COORDINATOR term=1
        > peer3 ELECTION term=1
        ",
    );
}

#[test]
fn a_higher_node_that_promises_and_never_leads_blocks_nobody_for_ever() {
    plays(
        majority,
        "
        > start
        > timer Election
          | election started term=1 reason=no-leader
          peer3 < ELECTION term=0
        > peer3 OK
          | deferring to=peer3 term=1
        > timer Election
          | election retried term=1 attempt=2 reason=no-coordinator
          peer3 < ELECTION term=0
        > peer3 OK
          | deferring to=peer3 term=1
        > timer Election
          | election retried term=1 attempt=3 reason=no-coordinator
          peer3 < ELECTION term=0
          | asks for pre-votes term=1
          peer1 < PRE_VOTE_REQUEST term=0
          peer3 < PRE_VOTE_REQUEST term=0
        > peer3 OK
        > peer1 PRE_VOTE granted=true
          persist term=1 vote=peer2
          | stands for election term=1
          | voted candidate=peer2 term=1
          peer1 < VOTE_REQUEST term=1
          peer3 < VOTE_REQUEST term=1
        > peer1 VOTE term=1 granted=true
          | became the Group Leader via election term=1 votes=peer1,peer2
          peer1 < COORDINATOR term=1
          peer3 < COORDINATOR term=1
        ",
    );
}

#[test]
fn a_leader_offers_its_place_to_a_higher_node_that_answers_steadily() {
    plays(
        majority,
        "
        > lead
        > 100ms
          peer1 << HEARTBEAT seq=1 term=1
          peer3 << HEARTBEAT seq=1 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=1
        > peer1 HEARTBEAT_ACK term=1 seq=1
        > 200ms
          peer1 << HEARTBEAT seq=2 term=1
          peer3 << HEARTBEAT seq=2 term=1
          peer1 << HEARTBEAT seq=3 term=1
          peer3 << HEARTBEAT seq=3 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=3
        > peer1 HEARTBEAT_ACK term=1 seq=3
        > 200ms
          peer1 << HEARTBEAT seq=4 term=1
          peer3 << HEARTBEAT seq=4 term=1
          peer1 << HEARTBEAT seq=5 term=1
          peer3 << HEARTBEAT seq=5 term=1
          | transferring leadership to=peer3 term=1
          peer3 < TIMEOUT_NOW term=1
        > peer3 PRE_VOTE_REQUEST term=1 transfer=true
          peer3 < PRE_VOTE granted=true term=1
        > peer1 PRE_VOTE_REQUEST term=1 transfer=true
          peer1 < PRE_VOTE granted=false term=1
          peer1 < COORDINATOR term=1
        > peer3 VOTE_REQUEST term=2
          | stepped down term=1 reason=transfer:peer3
          persist term=2 vote=peer3
          | voted candidate=peer3 term=2
          peer3 < VOTE granted=true term=2
        > peer3 COORDINATOR term=2
          | Received COORDINATOR announcement: peer3 term=2
        ",
    );
}

#[test]
fn a_leader_whose_offer_comes_to_nothing_stays_and_does_not_offer_again_at_once() {
    plays(
        majority,
        "
        > lead
        > 100ms
          peer1 << HEARTBEAT seq=1 term=1
          peer3 << HEARTBEAT seq=1 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=1
        > 200ms
          peer1 << HEARTBEAT seq=2 term=1
          peer3 << HEARTBEAT seq=2 term=1
          peer1 << HEARTBEAT seq=3 term=1
          peer3 << HEARTBEAT seq=3 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=3
        > 200ms
          peer1 << HEARTBEAT seq=4 term=1
          peer3 << HEARTBEAT seq=4 term=1
          | SUSPECTED peer=peer1 term=1
          peer1 << HEARTBEAT seq=5 term=1
          peer3 << HEARTBEAT seq=5 term=1
          | transferring leadership to=peer3 term=1
          peer3 < TIMEOUT_NOW term=1
        > peer3 HEARTBEAT_ACK term=1 seq=5
        > timer Transfer
          peer1 << HEARTBEAT seq=6 term=1
          peer3 << HEARTBEAT seq=6 term=1
          peer1 << HEARTBEAT seq=7 term=1
          peer3 << HEARTBEAT seq=7 term=1
          peer1 << HEARTBEAT seq=8 term=1
          peer3 << HEARTBEAT seq=8 term=1
          | FAILED peer=peer1 term=1
          | leadership transfer failed to=peer3 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=8
        > 100ms
          peer1 << HEARTBEAT seq=9 term=1
          peer3 << HEARTBEAT seq=9 term=1
          | transferring leadership to=peer3 term=1
          peer3 < TIMEOUT_NOW term=1
        > peer3 HEARTBEAT_ACK term=1 seq=9
        > timer Transfer
          peer1 << HEARTBEAT seq=10 term=1
          peer3 << HEARTBEAT seq=10 term=1
          peer1 << HEARTBEAT seq=11 term=1
          peer3 << HEARTBEAT seq=11 term=1
          peer1 << HEARTBEAT seq=12 term=1
          peer3 << HEARTBEAT seq=12 term=1
          | leadership transfer failed to=peer3 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=12
        > 200ms
          peer1 << HEARTBEAT seq=13 term=1
          peer3 << HEARTBEAT seq=13 term=1
          peer1 << HEARTBEAT seq=14 term=1
          peer3 << HEARTBEAT seq=14 term=1
        ",
    );
}

#[test]
fn with_sticky_takeover_a_leader_offers_nothing() {
    plays(
        sticky,
        "
        > lead
        > 100ms
          peer1 << HEARTBEAT seq=1 term=1
          peer3 << HEARTBEAT seq=1 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=1
        > 200ms
          peer1 << HEARTBEAT seq=2 term=1
          peer3 << HEARTBEAT seq=2 term=1
          peer1 << HEARTBEAT seq=3 term=1
          peer3 << HEARTBEAT seq=3 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=3
        > 300ms
          peer1 << HEARTBEAT seq=4 term=1
          peer3 << HEARTBEAT seq=4 term=1
          | SUSPECTED peer=peer1 term=1
          peer1 << HEARTBEAT seq=5 term=1
          peer3 << HEARTBEAT seq=5 term=1
          peer1 << HEARTBEAT seq=6 term=1
          peer3 << HEARTBEAT seq=6 term=1
        ",
    );
}

#[test]
fn who_is_offered_the_lead_asks_first_and_stays_a_follower_if_it_cannot_win() {
    plays(
        majority,
        "
        > start
        > peer1 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer1 term=1
        > peer3 TIMEOUT_NOW term=1
        > peer1 TIMEOUT_NOW term=1
          | election started term=2 reason=transfer:peer1
          | asks for pre-votes term=2
          peer1 < PRE_VOTE_REQUEST term=1 transfer=true
          peer3 < PRE_VOTE_REQUEST term=1 transfer=true
        > peer1 HEARTBEAT term=1 seq=5
          peer1 < HEARTBEAT_ACK seq=5 term=1
        > timer Election
          | election cancelled term=2 reason=no-majority
        > peer1 HEARTBEAT term=1 seq=6
          peer1 < HEARTBEAT_ACK seq=6 term=1
        ",
    );
}

#[test]
fn an_election_ends_when_a_leader_of_this_or_a_later_term_is_heard() {
    plays(
        majority,
        "
        > start
        > timer Election
          | election started term=1 reason=no-leader
          peer3 < ELECTION term=0
        > peer3 COORDINATOR term=1
          | election cancelled term=1 reason=higher-leader:peer3
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer3 term=1
        > 800ms
          | SUSPECTED peer=peer3 term=1
          | FAILED peer=peer3 term=1
          | election started term=2 reason=leader-failed:peer3
          peer3 < ELECTION term=1
          | asks for pre-votes term=2
          peer1 < PRE_VOTE_REQUEST term=1
          peer3 < PRE_VOTE_REQUEST term=1
        > peer1 HEARTBEAT term=2
          | election cancelled term=2 reason=higher-leader:peer1
          persist term=2 vote=none
          | follows leader=peer1 term=2 (heard by HEARTBEAT)
          peer1 < HEARTBEAT_ACK seq=1 term=2
        > peer3 HEARTBEAT term=1
          | RECOVERED peer=peer3 term=2
          peer3 < HEARTBEAT_ACK seq=1 term=2
        > peer1 COORDINATOR term=2
        ",
    );
}

#[test]
fn silence_is_a_suspicion_after_one_timeout_and_a_failure_after_two() {
    plays(
        majority,
        "
        > start
        > peer3 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer3 term=1
        > 399ms
        > 1ms
          | SUSPECTED peer=peer3 term=1
        > peer3 HEARTBEAT term=1
          | RECOVERED peer=peer3 term=1
          peer3 < HEARTBEAT_ACK seq=1 term=1
        > 400ms
          | SUSPECTED peer=peer3 term=1
        > 400ms
          | FAILED peer=peer3 term=1
          | election started term=2 reason=leader-failed:peer3
          peer3 < ELECTION term=1
          | asks for pre-votes term=2
          peer1 < PRE_VOTE_REQUEST term=1
          peer3 < PRE_VOTE_REQUEST term=1
        > peer3 HEARTBEAT term=1
          | RECOVERED peer=peer3 term=1
          | election cancelled term=2 reason=leader-found:peer3
          peer3 < HEARTBEAT_ACK seq=1 term=1
        ",
    );
}

#[test]
fn a_node_that_stood_still_starts_its_suspicions_afresh() {
    plays(
        majority,
        "
        > start
        > peer3 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer3 term=1
        > 390ms
        > stall 5s
        > peer1 PRE_VOTE_REQUEST term=1
          peer1 < PRE_VOTE granted=true term=1
        > 399ms
        > 1ms
          | SUSPECTED peer=peer3 term=1
        ",
    );
}

#[test]
fn a_leader_that_stood_still_leads_no_longer_than_others_may_have_waited() {
    plays(
        majority,
        "
        > lead
        > 100ms
          peer1 << HEARTBEAT seq=1 term=1
          peer3 << HEARTBEAT seq=1 term=1
        > peer1 HEARTBEAT_ACK term=1 seq=1
        > stall 150ms
          peer1 << HEARTBEAT seq=2 term=1
          peer3 << HEARTBEAT seq=2 term=1
        > peer1 HEARTBEAT_ACK term=1 seq=2
        > stall 5s
          | stepped down term=1 reason=stalled
        ",
    );
}

#[test]
fn a_leader_that_was_restarted_and_asks_for_votes_is_no_leader_any_more() {
    plays(
        majority,
        "
        > start
        > peer3 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer3 term=1
        > peer3 PRE_VOTE_REQUEST term=1
          peer3 < PRE_VOTE granted=true term=1
        > peer3 VOTE_REQUEST term=2
          persist term=2 vote=peer3
          | voted candidate=peer3 term=2
          peer3 < VOTE granted=true term=2
        ",
    );
}

#[test]
fn a_leader_that_leaves_is_replaced_without_a_suspicion() {
    plays(
        majority,
        "
        > start
        > peer3 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer3 term=1
        > peer3 LEAVE term=1
          | LEFT peer=peer3 term=1
          | election started term=2 reason=leader-left:peer3
          peer3 < ELECTION term=1
          | asks for pre-votes term=2
          peer1 < PRE_VOTE_REQUEST term=1
          peer3 < PRE_VOTE_REQUEST term=1
        > peer1 PRE_VOTE term=1 granted=true
          persist term=2 vote=peer2
          | stands for election term=2
          | voted candidate=peer2 term=2
          peer1 < VOTE_REQUEST term=2
          peer3 < VOTE_REQUEST term=2
        > peer1 VOTE term=2 granted=true
          | became the Group Leader via election term=2 votes=peer1,peer2
          peer1 < COORDINATOR term=2
          peer3 < COORDINATOR term=2
        > leave
          | stepped down term=2 reason=leaving
          | leaving term=2
          peer1 < LEAVE term=2
          peer3 < LEAVE term=2
        ",
    );
}

#[test]
fn strangers_change_nothing_and_after_the_last_term_nobody_stands() {
    plays(
        majority,
        "
        > start
        > peer9 COORDINATOR term=7
        > peer2 COORDINATOR term=7
        > peer3 COORDINATOR term=9007199254740991
          persist term=9007199254740991 vote=none
          | Received COORDINATOR announcement: peer3 term=9007199254740991
        > 800ms
          | SUSPECTED peer=peer3 term=9007199254740991
          | FAILED peer=peer3 term=9007199254740991
          | election started term=9007199254740991 reason=leader-failed:peer3
          peer3 < ELECTION term=9007199254740991
          | asks for pre-votes term=9007199254740991
          peer1 < PRE_VOTE_REQUEST term=9007199254740991
          peer3 < PRE_VOTE_REQUEST term=9007199254740991
        > peer1 PRE_VOTE term=9007199254740991 granted=true
        ",
    );
}

#[test]
fn the_classrooms_bully_leads_when_nobody_higher_answers() {
    plays(
        classroom,
        "
        > start
        > timer Election
          | election started term=1 reason=no-leader
          peer3 < ELECTION term=0
        > timer Election
          persist term=1 vote=peer2
          | became the Group Leader via election term=1 votes=peer2
          peer1 < COORDINATOR term=1
          peer3 < COORDINATOR term=1
        > peer1 ELECTION term=1
          peer1 < OK term=1
          peer1 < COORDINATOR term=1
        ",
    );
}

#[test]
fn of_two_classroom_leaders_the_higher_term_wins_then_the_higher_id() {
    plays(
        classroom,
        "
        > start
        > timer Election
          | election started term=1 reason=no-leader
          peer3 < ELECTION term=0
        > timer Election
          persist term=1 vote=peer2
          | became the Group Leader via election term=1 votes=peer2
          peer1 < COORDINATOR term=1
          peer3 < COORDINATOR term=1
        > peer1 COORDINATOR term=1
          peer1 < COORDINATOR term=1
        > peer3 COORDINATOR term=1
          | stepped down term=1 reason=higher-leader:peer3
          | Received COORDINATOR announcement: peer3 term=1
        > peer1 COORDINATOR term=1
        > peer1 COORDINATOR term=2
          persist term=2 vote=none
          | Received COORDINATOR announcement: peer1 term=2
        ",
    );
}

#[test]
fn in_the_classroom_a_higher_node_takes_over_from_a_lower_leader() {
    plays(
        classroom,
        "
        > start
        > peer1 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer1 term=1
        > 350ms
        > peer1 HEARTBEAT term=1 seq=4
          peer1 < HEARTBEAT_ACK seq=4 term=1
        > timer Election
          | election started term=2 reason=takeover-from:peer1
          peer3 < ELECTION term=1
        > peer1 HEARTBEAT term=1 seq=5
          peer1 < HEARTBEAT_ACK seq=5 term=1
        > timer Election
          persist term=2 vote=peer2
          | became the Group Leader via election term=2 votes=peer2
          peer1 < COORDINATOR term=2
          peer3 < COORDINATOR term=2
        ",
    );
}

#[test]
fn in_the_classroom_a_takeover_is_left_to_a_higher_node_that_answers() {
    plays(
        classroom,
        "
        > start
        > peer1 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer1 term=1
        > 350ms
        > peer1 HEARTBEAT term=1 seq=4
          peer1 < HEARTBEAT_ACK seq=4 term=1
        > timer Election
          | election started term=2 reason=takeover-from:peer1
          peer3 < ELECTION term=1
        > peer3 OK term=1
          | deferring to=peer3 term=2
        > 200ms
          | SUSPECTED peer=peer1 term=1
        > peer1 HEARTBEAT term=1 seq=9
          | RECOVERED peer=peer1 term=1
          peer1 < HEARTBEAT_ACK seq=9 term=1
        > timer Election
          | SUSPECTED peer=peer1 term=1
          | election started term=2 reason=takeover-from:peer1
          peer3 < ELECTION term=1
        > peer3 COORDINATOR term=2
          | election cancelled term=2 reason=higher-leader:peer3
          persist term=2 vote=none
          | Received COORDINATOR announcement: peer3 term=2
        ",
    );
}
