//! Who stands for election, and what ends it.

use crate::modes::majority;
use crate::script::plays;

#[test]
fn a_higher_node_answers_ok_and_stands_itself() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
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
          store 1.2:noop
          peer1 << APPEND prev=0.1 entries=1.2:noop commit=0 term=1
          peer3 << APPEND prev=0.1 entries=1.2:noop commit=0 term=1
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
          | recovered entries=1 applied=0 torn=0
        > timer Election
          | election started term=1 reason=no-leader
          peer3 < ELECTION term=0
        > peer3 OK
          | deferring to=peer3 term=1
        > timer Election
          | election retried term=1 attempt=2 reason=no-coordinator
          peer1 < NEW_PEER_REQUEST peer=peer2 term=0
          peer3 < NEW_PEER_REQUEST peer=peer2 term=0
          anybody << NEW_PEER_REQUEST peer=peer2 term=0
          peer3 < ELECTION term=0
        > peer3 OK
          | deferring to=peer3 term=1
        > timer Election
          | election retried term=1 attempt=3 reason=no-coordinator
          peer1 < NEW_PEER_REQUEST peer=peer2 term=0
          peer3 < NEW_PEER_REQUEST peer=peer2 term=0
          anybody << NEW_PEER_REQUEST peer=peer2 term=0
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
          store 1.2:noop
          peer1 << APPEND prev=0.1 entries=1.2:noop commit=0 term=1
          peer3 << APPEND prev=0.1 entries=1.2:noop commit=0 term=1
        ",
    );
}

#[test]
fn a_higher_node_whose_process_seems_to_have_ended_is_asked_and_not_awaited() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > ended peer3
        > timer Election
          | election started term=1 reason=no-leader
          peer3 < ELECTION term=0
          | asks for pre-votes term=1
          peer1 < PRE_VOTE_REQUEST term=0
          peer3 < PRE_VOTE_REQUEST term=0
        ",
    );
}

#[test]
fn an_election_ends_when_a_leader_of_this_or_a_later_term_is_heard() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
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
          peer1 < HEARTBEAT_ACK matched=0 seq=1 term=2
        > peer3 HEARTBEAT term=1
          | RECOVERED peer=peer3 term=2
          peer3 < HEARTBEAT_ACK matched=0 seq=1 term=2
        > peer1 COORDINATOR term=2
        ",
    );
}

#[test]
fn a_node_that_stalls_again_and_again_stands_nevertheless() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > timer Election
          | election started term=1 reason=no-leader
          peer3 < ELECTION term=0
        > stalled 6s
        > stalled 6s
        > stalled 6s
        > stalled 6s
        > 1ms
          | asks for pre-votes term=1
          peer1 < PRE_VOTE_REQUEST term=0
          peer3 < PRE_VOTE_REQUEST term=0
        ",
    );
}
