//! A leader hands over: to a higher node, or because it leaves; and what becomes of it.

use crate::modes::{majority, sticky};
use crate::script::plays;

#[test]
fn a_leader_offers_its_place_to_a_higher_node_that_answers_steadily() {
    plays(
        majority,
        "
        > lead
        > 100ms
          peer1 << HEARTBEAT commit=2 seq=1 term=1
          peer3 << HEARTBEAT commit=2 seq=1 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=1
        > peer1 HEARTBEAT_ACK term=1 seq=1
        > 200ms
          peer1 << HEARTBEAT commit=2 seq=2 term=1
          peer3 << HEARTBEAT commit=2 seq=2 term=1
          peer1 << HEARTBEAT commit=2 seq=3 term=1
          peer3 << HEARTBEAT commit=2 seq=3 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=3
        > peer1 HEARTBEAT_ACK term=1 seq=3
        > 200ms
          peer1 << HEARTBEAT commit=2 seq=4 term=1
          peer3 << HEARTBEAT commit=2 seq=4 term=1
          peer1 << HEARTBEAT commit=2 seq=5 term=1
          peer3 << HEARTBEAT commit=2 seq=5 term=1
          | transferring leadership to=peer3 term=1
          peer3 < TIMEOUT_NOW term=1
        > peer3 PRE_VOTE_REQUEST term=1 transfer=true
          peer3 < PRE_VOTE granted=true term=1
        > peer1 PRE_VOTE_REQUEST term=1 transfer=true
          peer1 < PRE_VOTE granted=false term=1
          peer1 < COORDINATOR term=1
        > peer3 VOTE_REQUEST term=2
          | stepped down term=1 reason=transfer:peer3
          persist term=2 vote=none
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
          peer1 << HEARTBEAT commit=2 seq=1 term=1
          peer3 << HEARTBEAT commit=2 seq=1 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=1
        > 200ms
          peer1 << HEARTBEAT commit=2 seq=2 term=1
          peer3 << HEARTBEAT commit=2 seq=2 term=1
          peer1 << HEARTBEAT commit=2 seq=3 term=1
          peer3 << HEARTBEAT commit=2 seq=3 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=3
        > 200ms
          peer1 << HEARTBEAT commit=2 seq=4 term=1
          peer3 << HEARTBEAT commit=2 seq=4 term=1
          | SUSPECTED peer=peer1 term=1
          peer1 << HEARTBEAT commit=2 seq=5 term=1
          peer3 << HEARTBEAT commit=2 seq=5 term=1
          | transferring leadership to=peer3 term=1
          peer3 < TIMEOUT_NOW term=1
        > peer3 HEARTBEAT_ACK term=1 seq=5
        > timer Transfer
          peer1 << HEARTBEAT commit=2 seq=6 term=1
          peer3 << HEARTBEAT commit=2 seq=6 term=1
          peer1 << HEARTBEAT commit=2 seq=7 term=1
          peer3 << HEARTBEAT commit=2 seq=7 term=1
          peer1 << HEARTBEAT commit=2 seq=8 term=1
          peer3 << HEARTBEAT commit=2 seq=8 term=1
          | FAILED peer=peer1 term=1
          | leadership transfer failed to=peer3 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=8
          store 1.3:view2[peer2,peer3]
          peer3 << APPEND prev=1.2 entries=1.3:view2[peer2,peer3] commit=2 term=1
        > 100ms
          peer3 << HEARTBEAT commit=2 seq=9 term=1
          | transferring leadership to=peer3 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=9
          | VIEW_CHANGE view=2 members=peer3,peer2 term=1 reason=removed:peer1
          peer1 < VIEW_CHANGE view=view2[peer2,peer3] term=1
          peer3 << APPEND prev=1.3 entries= commit=3 term=1
          peer3 < TIMEOUT_NOW term=1
        > timer Transfer
          peer3 << HEARTBEAT commit=3 seq=10 term=1
          peer3 << HEARTBEAT commit=3 seq=11 term=1
          peer3 << HEARTBEAT commit=3 seq=12 term=1
          | leadership transfer failed to=peer3 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=12
        > 200ms
          peer3 << HEARTBEAT commit=3 seq=13 term=1
          peer3 << HEARTBEAT commit=3 seq=14 term=1
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
          peer1 << HEARTBEAT commit=2 seq=1 term=1
          peer3 << HEARTBEAT commit=2 seq=1 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=1
        > 200ms
          peer1 << HEARTBEAT commit=2 seq=2 term=1
          peer3 << HEARTBEAT commit=2 seq=2 term=1
          peer1 << HEARTBEAT commit=2 seq=3 term=1
          peer3 << HEARTBEAT commit=2 seq=3 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=3
        > 300ms
          peer1 << HEARTBEAT commit=2 seq=4 term=1
          peer3 << HEARTBEAT commit=2 seq=4 term=1
          | SUSPECTED peer=peer1 term=1
          peer1 << HEARTBEAT commit=2 seq=5 term=1
          peer3 << HEARTBEAT commit=2 seq=5 term=1
          peer1 << HEARTBEAT commit=2 seq=6 term=1
          peer3 << HEARTBEAT commit=2 seq=6 term=1
        ",
    );
}

#[test]
fn who_is_offered_the_lead_asks_first_and_stays_a_follower_if_it_cannot_win() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
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
          peer1 < HEARTBEAT_ACK matched=0 seq=5 term=1
        > timer Election
          | election cancelled term=2 reason=no-majority
        > peer1 HEARTBEAT term=1 seq=6
          peer1 < HEARTBEAT_ACK matched=0 seq=6 term=1
        ",
    );
}

#[test]
pub(crate) fn a_leader_takes_no_requests_while_it_hands_over_and_asks_its_successor_once_that_has_everything() {
    plays(
        majority,
        "
        > lead
        > ask a/1 text
          | requested msg=a/1 text=text
          store 1.3:a/1
          peer1 << APPEND prev=1.2 entries=1.3:a/1 commit=2 term=1
          peer3 << APPEND prev=1.2 entries=1.3:a/1 commit=2 term=1
        > 100ms
          peer1 << HEARTBEAT commit=2 seq=1 term=1
          peer3 << HEARTBEAT commit=2 seq=1 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=1 matched=2
          peer3 << APPEND prev=1.2 entries=1.3:a/1 commit=2 term=1
        > peer1 HEARTBEAT_ACK term=1 seq=1
          | acknowledged msg=a/1 seq=1 term=1
          ! acknowledged msg=a/1 seq=1 term=1
          | DELIVERED seq=1 term=1 index=3 msg=a/1 from=a view=1 text=text
          peer1 << APPEND prev=1.3 entries= commit=3 term=1
        > 200ms
          peer1 << HEARTBEAT commit=3 seq=2 term=1
          peer3 << HEARTBEAT commit=2 seq=2 term=1
          peer3 << APPEND prev=1.2 entries=1.3:a/1 commit=3 term=1
          peer1 << HEARTBEAT commit=3 seq=3 term=1
          peer3 << HEARTBEAT commit=2 seq=3 term=1
          peer3 << APPEND prev=1.2 entries=1.3:a/1 commit=3 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=3 matched=2
          peer3 << APPEND prev=1.2 entries=1.3:a/1 commit=3 term=1
        > peer1 HEARTBEAT_ACK term=1 seq=3
        > 200ms
          peer1 << HEARTBEAT commit=3 seq=4 term=1
          peer3 << HEARTBEAT commit=2 seq=4 term=1
          peer3 << APPEND prev=1.2 entries=1.3:a/1 commit=3 term=1
          peer1 << HEARTBEAT commit=3 seq=5 term=1
          peer3 << HEARTBEAT commit=2 seq=5 term=1
          | transferring leadership to=peer3 term=1
          peer3 << APPEND prev=1.2 entries=1.3:a/1 commit=3 term=1
        > peer1 SEQUENCER_REQUEST term=1 id=b/1
        > peer3 APPEND_ACK term=1 granted=true matched=3
          peer3 < TIMEOUT_NOW term=1
        > timer Transfer
          peer1 << HEARTBEAT commit=3 seq=6 term=1
          peer3 << HEARTBEAT commit=3 seq=6 term=1
          peer1 << HEARTBEAT commit=3 seq=7 term=1
          peer3 << HEARTBEAT commit=3 seq=7 term=1
          | SUSPECTED peer=peer1 term=1
          | stepped down term=1 reason=no-majority
        ",
    );
}

#[test]
fn a_leader_that_leaves_hands_over_to_the_highest_and_stays_until_that_has_committed() {
    plays(
        sticky,
        "
        > lead
        > 100ms
          peer1 << HEARTBEAT commit=2 seq=1 term=1
          peer3 << HEARTBEAT commit=2 seq=1 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=1
        > peer1 HEARTBEAT_ACK term=1 seq=1
        > hand over
          | transferring leadership to=peer3 term=1
          peer3 < TIMEOUT_NOW term=1
          needed
        > peer3 PRE_VOTE_REQUEST term=1 transfer=true
          peer3 < PRE_VOTE granted=true term=1
          needed
        > peer3 VOTE_REQUEST term=2
          | stepped down term=1 reason=transfer:peer3
          persist term=2 vote=none
          persist term=2 vote=peer3
          | voted candidate=peer3 term=2
          peer3 < VOTE granted=true term=2
          needed
        > peer3 COORDINATOR term=2
          | Received COORDINATOR announcement: peer3 term=2
          needed
        > peer3 APPEND term=2 prev=1.2 entries=2.3:noop
          store 2.3:noop
          peer3 < APPEND_ACK granted=true term=2
          needed
        > peer3 APPEND term=2 prev=2.3 commit=3
          peer3 < APPEND_ACK granted=true term=2
        > leave
          | leaving term=2
          peer1 < LEAVE term=2
          peer3 < LEAVE term=2
        ",
    );
}

#[test]
fn a_leader_that_leaves_passes_over_who_is_silent_and_waits_for_nobody_who_lets_it_down() {
    plays(
        sticky,
        "
        > lead
        > 300ms
          peer1 << HEARTBEAT commit=2 seq=1 term=1
          peer3 << HEARTBEAT commit=2 seq=1 term=1
          peer1 << HEARTBEAT commit=2 seq=2 term=1
          peer3 << HEARTBEAT commit=2 seq=2 term=1
          peer1 << HEARTBEAT commit=2 seq=3 term=1
          peer3 << HEARTBEAT commit=2 seq=3 term=1
        > peer1 HEARTBEAT_ACK term=1 seq=3
        > 200ms
          peer1 << HEARTBEAT commit=2 seq=4 term=1
          peer3 << HEARTBEAT commit=2 seq=4 term=1
          | SUSPECTED peer=peer3 term=1
          peer1 << HEARTBEAT commit=2 seq=5 term=1
          peer3 << HEARTBEAT commit=2 seq=5 term=1
        > hand over
          | transferring leadership to=peer1 term=1
          peer1 < TIMEOUT_NOW term=1
          needed
        > timer Transfer
          peer1 << HEARTBEAT commit=2 seq=6 term=1
          peer3 << HEARTBEAT commit=2 seq=6 term=1
          peer1 << HEARTBEAT commit=2 seq=7 term=1
          peer3 << HEARTBEAT commit=2 seq=7 term=1
          | SUSPECTED peer=peer1 term=1
          | stepped down term=1 reason=no-majority
        > leave
          | leaving term=1
          peer1 < LEAVE term=1
          peer3 < LEAVE term=1
        ",
    );
}

#[test]
fn a_leader_that_leaves_takes_another_successor_when_the_first_leaves_too_and_none_when_all_do() {
    plays(
        sticky,
        "
        > lead
        > 100ms
          peer1 << HEARTBEAT commit=2 seq=1 term=1
          peer3 << HEARTBEAT commit=2 seq=1 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=1
        > peer1 HEARTBEAT_ACK term=1 seq=1
        > hand over
          | transferring leadership to=peer3 term=1
          peer3 < TIMEOUT_NOW term=1
          needed
        > peer3 LEAVE term=1
          | LEFT peer=peer3 term=1
          | leadership transfer failed to=peer3 term=1
          | transferring leadership to=peer1 term=1
          peer1 < TIMEOUT_NOW term=1
          needed
        > peer1 LEAVE term=1
          | LEFT peer=peer1 term=1
          | leadership transfer failed to=peer1 term=1
        > leave
          | stepped down term=1 reason=leaving
          | leaving term=1
          peer1 < LEAVE term=1
          peer3 < LEAVE term=1
        ",
    );
}

#[test]
fn a_leader_that_leaves_tries_another_successor_soon_and_hands_over_again_if_it_is_elected_itself() {
    plays(
        sticky,
        "
        > lead
        > 100ms
          peer1 << HEARTBEAT commit=2 seq=1 term=1
          peer3 << HEARTBEAT commit=2 seq=1 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=1
        > peer1 HEARTBEAT_ACK term=1 seq=1
        > hand over
          | transferring leadership to=peer3 term=1
          peer3 < TIMEOUT_NOW term=1
          needed
        > ended peer3
          | leadership transfer failed to=peer3 term=1
          | transferring leadership to=peer1 term=1
          peer1 < TIMEOUT_NOW term=1
          needed
        > peer1 PRE_VOTE_REQUEST term=1 transfer=true
          peer1 < PRE_VOTE granted=true term=1
          needed
        > peer1 VOTE_REQUEST term=2
          | stepped down term=1 reason=transfer:peer1
          persist term=2 vote=none
          persist term=2 vote=peer1
          | voted candidate=peer1 term=2
          peer1 < VOTE granted=true term=2
          needed
        > peer1 ELECTION term=2
          peer1 < OK term=2
          | election started term=3 reason=challenged-by:peer1
          peer3 < ELECTION term=2
          | asks for pre-votes term=3
          peer1 < PRE_VOTE_REQUEST term=2
          peer3 < PRE_VOTE_REQUEST term=2
          needed
        > peer1 PRE_VOTE term=2 granted=true
          persist term=3 vote=peer2
          | stands for election term=3
          | voted candidate=peer2 term=3
          peer1 < VOTE_REQUEST term=3
          peer3 < VOTE_REQUEST term=3
          needed
        > peer1 VOTE term=3 granted=true
          | became the Group Leader via election term=3 votes=peer1,peer2
          peer1 < COORDINATOR term=3
          peer3 < COORDINATOR term=3
          store 3.3:noop
          peer1 << APPEND prev=1.2 entries=3.3:noop commit=2 term=3
          peer3 << APPEND prev=1.2 entries=3.3:noop commit=2 term=3
          | transferring leadership to=peer1 term=3
          needed
        > peer1 APPEND_ACK term=3 granted=true matched=3
          peer1 << APPEND prev=3.3 entries= commit=3 term=3
          peer1 < TIMEOUT_NOW term=3
          needed
        > leave
          | stepped down term=3 reason=leaving
          | leaving term=3
          peer1 < LEAVE term=3
          peer3 < LEAVE term=3
        ",
    );
}

#[test]
fn who_leaves_while_another_is_elected_stays_until_that_has_committed_and_leads_no_more_itself() {
    plays(
        majority,
        "
        > lead
        > 100ms
          peer1 << HEARTBEAT commit=2 seq=1 term=1
          peer3 << HEARTBEAT commit=2 seq=1 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=1
        > peer1 HEARTBEAT_ACK term=1 seq=1
        > peer3 VOTE_REQUEST term=2
          | stepped down term=1 reason=higher-term-of:peer3
          persist term=2 vote=none
          persist term=2 vote=peer3
          | voted candidate=peer3 term=2
          peer3 < VOTE granted=true term=2
        > hand over
          needed
        > peer3 COORDINATOR term=2
          | Received COORDINATOR announcement: peer3 term=2
          needed
        > peer3 APPEND term=2 prev=1.2 entries=2.3:noop;2.4:view1[peer1,peer2,peer3+peer4]
          store 2.3:noop
          store 2.4:view1[peer1,peer2,peer3+peer4]
          peer3 < APPEND_ACK granted=true term=2
          needed
        > peer3 APPEND term=2 prev=2.4 commit=3
          peer3 < APPEND_ACK granted=true term=2
          needed
        > peer3 TIMEOUT_NOW term=2
          needed
        > peer3 APPEND term=2 prev=2.4 commit=4
          peer3 < APPEND_ACK granted=true term=2
        > leave
          | leaving term=2
          peer1 < LEAVE term=2
          peer3 < LEAVE term=2
        ",
    );
}
