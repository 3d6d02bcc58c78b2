//! Silence, standstill and farewell: when a node is suspected, failed, or gone.

use crate::modes::majority;
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
