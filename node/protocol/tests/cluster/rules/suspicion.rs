//! Silence, standstill and farewell: when a node is suspected, failed, or gone.

use crate::modes::{classroom, majority};
use crate::script::plays;

#[test]
fn silence_is_a_suspicion_after_one_timeout_and_a_failure_after_two() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer3 term=1
        > 399ms
        > 1ms
          | SUSPECTED peer=peer3 term=1
        > peer3 HEARTBEAT term=1
          | RECOVERED peer=peer3 term=1
          peer3 < HEARTBEAT_ACK matched=0 seq=1 term=1
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
          peer3 < HEARTBEAT_ACK matched=0 seq=1 term=1
        ",
    );
}

#[test]
fn a_node_that_stood_still_starts_its_suspicions_afresh() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
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
          peer1 << HEARTBEAT commit=2 seq=1 term=1
          peer3 << HEARTBEAT commit=2 seq=1 term=1
        > peer1 HEARTBEAT_ACK term=1 seq=1
        > stall 150ms
          peer1 << HEARTBEAT commit=2 seq=2 term=1
          peer3 << HEARTBEAT commit=2 seq=2 term=1
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
          | recovered entries=1 applied=0 torn=0
        > peer3 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer3 term=1
        > peer3 PRE_VOTE_REQUEST term=1
          peer3 < PRE_VOTE granted=true term=1
        > peer3 VOTE_REQUEST term=2
          persist term=2 vote=none
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
          | recovered entries=1 applied=0 torn=0
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
          store 2.2:noop
          peer1 << APPEND prev=0.1 entries=2.2:noop commit=0 term=2
          peer3 << APPEND prev=0.1 entries=2.2:noop commit=0 term=2
        > leave
          | stepped down term=2 reason=leaving
          | leaving term=2
          peer1 < LEAVE term=2
          peer3 < LEAVE term=2
        ",
    );
}

#[test]
fn a_leader_whose_process_seems_to_have_ended_fails_when_a_heartbeat_interval_brings_no_word_of_it() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer3 term=1
        > 50ms
        > ended peer3
        > 99ms
        > ended peer3
        > 1ms
          | SUSPECTED peer=peer3 term=1
          | FAILED peer=peer3 term=1
          | election started term=2 reason=leader-failed:peer3
          peer3 < ELECTION term=1
          | asks for pre-votes term=2
          peer1 < PRE_VOTE_REQUEST term=1
          peer3 < PRE_VOTE_REQUEST term=1
        > ended peer3
        > peer3 HEARTBEAT term=1
          | RECOVERED peer=peer3 term=1
          | election cancelled term=2 reason=leader-found:peer3
          peer3 < HEARTBEAT_ACK matched=0 seq=1 term=1
        > 399ms
        ",
    );
}

#[test]
fn a_leader_that_is_heard_again_has_not_ended() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer3 term=1
        > ended peer3
        > 90ms
        > peer3 HEARTBEAT term=1
          peer3 < HEARTBEAT_ACK matched=0 seq=1 term=1
        > 399ms
        > 1ms
          | SUSPECTED peer=peer3 term=1
        > ended peer3
        > 99ms
        > 1ms
          | FAILED peer=peer3 term=1
          | election started term=2 reason=leader-failed:peer3
          peer3 < ELECTION term=1
          | asks for pre-votes term=2
          peer1 < PRE_VOTE_REQUEST term=1
          peer3 < PRE_VOTE_REQUEST term=1
        ",
    );
}

#[test]
fn who_stood_still_gives_a_leader_that_seems_to_have_ended_another_heartbeat_interval() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer3 term=1
        > ended peer3
        > 90ms
        > stall 5s
        > 99ms
        > peer3 HEARTBEAT term=1
          peer3 < HEARTBEAT_ACK matched=0 seq=1 term=1
        > 300ms
        ",
    );
}

#[test]
fn only_who_follows_a_leader_fails_it_early_and_members_keep_their_two_timeouts() {
    plays(
        majority,
        "
        > lead
        > peer3 HEARTBEAT_ACK term=1 seq=1
        > ended peer3
        > 100ms
          peer1 << HEARTBEAT commit=2 seq=1 term=1
          peer3 << HEARTBEAT commit=2 seq=1 term=1
        > peer1 HEARTBEAT_ACK term=1 seq=1
        > 299ms
          peer1 << HEARTBEAT commit=2 seq=2 term=1
          peer3 << HEARTBEAT commit=2 seq=2 term=1
          peer1 << HEARTBEAT commit=2 seq=3 term=1
          peer3 << HEARTBEAT commit=2 seq=3 term=1
        > peer1 HEARTBEAT_ACK term=1 seq=3
        > 1ms
          peer1 << HEARTBEAT commit=2 seq=4 term=1
          peer3 << HEARTBEAT commit=2 seq=4 term=1
          | SUSPECTED peer=peer3 term=1
        ",
    );
}

#[test]
fn without_a_quorum_a_leader_whose_process_seems_to_have_ended_is_replaced_as_early() {
    plays(
        classroom,
        "
        > start
          store 0.1:view1[peer1,peer2,peer3]
        > peer3 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer3 term=1
        > ended peer3
        > 100ms
          | SUSPECTED peer=peer3 term=1
          | FAILED peer=peer3 term=1
          | election started term=2 reason=leader-failed:peer3
          peer3 < ELECTION term=1
          persist term=2 vote=peer2
          | became the Group Leader via election term=2 votes=peer2
          peer1 < COORDINATOR term=2
          peer3 < COORDINATOR term=2
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=2 reason=founded
          peer1 < VIEW_CHANGE view=view1[peer1,peer2,peer3] term=2
          peer3 < VIEW_CHANGE view=view1[peer1,peer2,peer3] term=2
        ",
    );
}

#[test]
fn a_goodbye_of_an_earlier_life_takes_nobody_out_who_has_come_to_this_term() {
    plays(
        majority,
        "
        > lead
        > 100ms
          peer1 << HEARTBEAT commit=2 seq=1 term=1
          peer3 << HEARTBEAT commit=2 seq=1 term=1
        > peer1 LEAVE term=0
        > peer3 LEAVE term=0
          | LEFT peer=peer3 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=1
          | RECOVERED peer=peer3 term=1
        > peer3 LEAVE term=0
        > peer1 LEAVE term=1
          | LEFT peer=peer1 term=1
          store 1.3:view2[peer2,peer3]
          peer3 << APPEND prev=1.2 entries=1.3:view2[peer2,peer3] commit=2 term=1
        ",
    );
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 COORDINATOR term=2
          persist term=2 vote=none
          | Received COORDINATOR announcement: peer3 term=2
        > peer3 LEAVE term=1
        > peer1 LEAVE term=1
          | LEFT peer=peer1 term=2
        ",
    );
}
