//! Votes and pre-votes: who gets one, when, and what a majority of them is worth.

use crate::modes::majority;
use crate::script::plays;

#[test]
fn a_vote_goes_to_the_disk_before_it_goes_out_and_only_one_per_term() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 VOTE_REQUEST term=1
          persist term=1 vote=none
          persist term=1 vote=peer3
          | voted candidate=peer3 term=1
          peer3 < VOTE granted=true term=1
        > peer1 VOTE_REQUEST term=1
          peer1 < VOTE granted=false term=1
        > peer3 VOTE_REQUEST term=1
          peer3 < VOTE granted=true term=1
        > peer1 VOTE_REQUEST term=2
          persist term=2 vote=none
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
          | recovered entries=1 applied=0 torn=0
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
          | recovered entries=1 applied=0 torn=0
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
          store 1.2:noop
          peer1 << APPEND prev=0.1 entries=1.2:noop commit=0 term=1
          peer3 << APPEND prev=0.1 entries=1.2:noop commit=0 term=1
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
          | recovered entries=1 applied=0 torn=0
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
          peer3 < HEARTBEAT_ACK matched=0 seq=4 term=1
        > peer1 PRE_VOTE_REQUEST term=1
          peer1 < PRE_VOTE granted=false term=1
        ",
    );
}

#[test]
fn a_pre_vote_is_not_refused_for_a_leader_whose_process_seems_to_have_ended() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer3 term=1
        > ended peer1
        > peer1 PRE_VOTE_REQUEST term=1
          peer1 < PRE_VOTE granted=false term=1
        > ended peer3
        > peer1 PRE_VOTE_REQUEST term=1
          peer1 < PRE_VOTE granted=true term=1
        > peer3 HEARTBEAT term=1 seq=4
          peer3 < HEARTBEAT_ACK matched=0 seq=4 term=1
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
          | recovered entries=1 applied=0 torn=0
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
          peer1 << HEARTBEAT commit=2 seq=1 term=1
          peer3 << HEARTBEAT commit=2 seq=1 term=1
        > peer1 HEARTBEAT_ACK term=1 seq=1
        > 350ms
          peer1 << HEARTBEAT commit=2 seq=2 term=1
          peer3 << HEARTBEAT commit=2 seq=2 term=1
          peer1 << HEARTBEAT commit=2 seq=3 term=1
          peer3 << HEARTBEAT commit=2 seq=3 term=1
          peer1 << HEARTBEAT commit=2 seq=4 term=1
          peer3 << HEARTBEAT commit=2 seq=4 term=1
          | SUSPECTED peer=peer3 term=1
        > peer1 HEARTBEAT_ACK term=1 seq=1
        > 100ms
          peer1 << HEARTBEAT commit=2 seq=5 term=1
          peer3 << HEARTBEAT commit=2 seq=5 term=1
          | stepped down term=1 reason=no-majority
        ",
    );
}

#[test]
fn strangers_change_nothing_and_after_the_last_term_nobody_stands() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
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
