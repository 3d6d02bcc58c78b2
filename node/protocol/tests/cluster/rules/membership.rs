//! Who belongs to the network, one change after the other.

use crate::modes::{majority, sticky};
use crate::script::plays;

#[test]
fn a_member_that_failed_leaves_the_view_once_a_majority_has_answered_a_heartbeat_sent_after_that() {
    plays(
        sticky,
        "
        > lead
        > timer Heartbeat
          peer1 << HEARTBEAT commit=2 seq=1 term=1
          peer3 << HEARTBEAT commit=2 seq=1 term=1
        > peer1 HEARTBEAT_ACK term=1 seq=1
        > 250ms
          peer1 << HEARTBEAT commit=2 seq=2 term=1
          peer3 << HEARTBEAT commit=2 seq=2 term=1
          peer1 << HEARTBEAT commit=2 seq=3 term=1
          peer3 << HEARTBEAT commit=2 seq=3 term=1
        > peer1 HEARTBEAT_ACK term=1 seq=3
        > 300ms
          peer1 << HEARTBEAT commit=2 seq=4 term=1
          peer3 << HEARTBEAT commit=2 seq=4 term=1
          | SUSPECTED peer=peer3 term=1
          peer1 << HEARTBEAT commit=2 seq=5 term=1
          peer3 << HEARTBEAT commit=2 seq=5 term=1
          peer1 << HEARTBEAT commit=2 seq=6 term=1
          peer3 << HEARTBEAT commit=2 seq=6 term=1
        > peer1 HEARTBEAT_ACK term=1 seq=6
        > 150ms
          peer1 << HEARTBEAT commit=2 seq=7 term=1
          peer3 << HEARTBEAT commit=2 seq=7 term=1
          peer1 << HEARTBEAT commit=2 seq=8 term=1
          peer3 << HEARTBEAT commit=2 seq=8 term=1
          | FAILED peer=peer3 term=1
        > 100ms
          peer1 << HEARTBEAT commit=2 seq=9 term=1
          peer3 << HEARTBEAT commit=2 seq=9 term=1
        > peer1 HEARTBEAT_ACK term=1 seq=9
          store 1.3:view2[peer1,peer2]
          peer1 << APPEND prev=1.2 entries=1.3:view2[peer1,peer2] commit=2 term=1
        > peer1 APPEND_ACK term=1 granted=true matched=3
          | VIEW_CHANGE view=2 members=peer2,peer1 term=1 reason=removed:peer3
          peer3 < VIEW_CHANGE view=view2[peer1,peer2] term=1
          peer1 << APPEND prev=1.3 entries= commit=3 term=1
        ",
    );
}

#[test]
fn a_newcomer_is_a_learner_until_it_has_caught_up_and_then_a_member() {
    plays(
        majority,
        "
        > lead
        > peer4 NEW_PEER_REQUEST peer=peer4
          | NEW_PEER_REQUEST from=peer4 endpoint=peer4:7000 term=1
          store 1.3:view1[peer1,peer2,peer3+peer4]
          peer1 << APPEND prev=1.2 entries=1.3:view1[peer1,peer2,peer3+peer4] commit=2 term=1
          peer3 << APPEND prev=1.2 entries=1.3:view1[peer1,peer2,peer3+peer4] commit=2 term=1
          peer4 << APPEND prev=1.3 entries= commit=2 term=1
          peer4 < ADDED TO NETWORK view=view1[peer1,peer2,peer3+peer4] term=1
        > peer3 APPEND_ACK term=1 granted=true matched=3
          peer1 << APPEND prev=1.3 entries= commit=3 term=1
          peer3 << APPEND prev=1.3 entries= commit=3 term=1
        > peer4 APPEND_ACK term=1 granted=false matched=0
          peer4 << APPEND prev=0.0 entries=0.1:view1[peer1,peer2,peer3];1.2:noop;1.3:view1[peer1,peer2,peer3+peer4] commit=3 term=1
        > peer4 APPEND_ACK term=1 granted=true matched=3
        > timer Heartbeat
          peer1 << HEARTBEAT commit=2 seq=1 term=1
          peer3 << HEARTBEAT commit=3 seq=1 term=1
          peer4 << HEARTBEAT commit=3 seq=1 term=1
        > peer4 HEARTBEAT_ACK term=1 seq=1 matched=3
          store 1.4:view2[peer1,peer2,peer3,peer4]
          peer1 << APPEND prev=1.3 entries=1.4:view2[peer1,peer2,peer3,peer4] commit=3 term=1
          peer3 << APPEND prev=1.3 entries=1.4:view2[peer1,peer2,peer3,peer4] commit=3 term=1
          peer4 << APPEND prev=1.3 entries=1.4:view2[peer1,peer2,peer3,peer4] commit=3 term=1
        > peer3 APPEND_ACK term=1 granted=true matched=4
        > peer4 APPEND_ACK term=1 granted=true matched=4
          | VIEW_CHANGE view=2 members=peer4,peer3,peer2,peer1 term=1 reason=joined:peer4
          peer1 << APPEND prev=1.4 entries= commit=4 term=1
          peer3 << APPEND prev=1.4 entries= commit=4 term=1
          peer4 << APPEND prev=1.4 entries= commit=4 term=1
        ",
    );
}

#[test]
pub(crate) fn no_member_is_changed_before_an_entry_of_the_leaders_term_is_committed_nor_two_at_a_time() {
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
        > peer1 VOTE term=1 granted=true
          | became the Group Leader via election term=1 votes=peer1,peer2
          peer1 < COORDINATOR term=1
          peer3 < COORDINATOR term=1
          store 1.2:noop
          peer1 << APPEND prev=0.1 entries=1.2:noop commit=0 term=1
          peer3 << APPEND prev=0.1 entries=1.2:noop commit=0 term=1
        > peer4 NEW_PEER_REQUEST peer=peer4
          | NEW_PEER_REQUEST from=peer4 endpoint=peer4:7000 term=1
        > peer1 APPEND_ACK term=1 granted=true matched=2
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=0 reason=founded
          store 1.3:view1[peer1,peer2,peer3+peer4]
          peer1 << APPEND prev=1.2 entries=1.3:view1[peer1,peer2,peer3+peer4] commit=2 term=1
          peer4 << APPEND prev=1.3 entries= commit=2 term=1
          peer4 < ADDED TO NETWORK view=view1[peer1,peer2,peer3+peer4] term=1
        > peer5 NEW_PEER_REQUEST peer=peer5
          | NEW_PEER_REQUEST from=peer5 endpoint=peer5:7000 term=1
        > peer1 APPEND_ACK term=1 granted=true matched=3
          store 1.4:view1[peer1,peer2,peer3+peer4,peer5]
          peer1 << APPEND prev=1.3 entries=1.4:view1[peer1,peer2,peer3+peer4,peer5] commit=3 term=1
          peer5 << APPEND prev=1.4 entries= commit=3 term=1
          peer5 < ADDED TO NETWORK view=view1[peer1,peer2,peer3+peer4,peer5] term=1
        ",
    );
}

#[test]
fn a_member_that_comes_back_with_another_disk_goes_and_comes_in_again_as_a_learner() {
    plays(
        sticky,
        "
        > lead
        > timer Heartbeat
          peer1 << HEARTBEAT commit=2 seq=1 term=1
          peer3 << HEARTBEAT commit=2 seq=1 term=1
        > peer1 HEARTBEAT_ACK term=1 seq=1
        > peer3 HEARTBEAT_ACK term=1 seq=1 incarnation=9
          store 1.3:view2[peer1,peer2]
          peer1 << APPEND prev=1.2 entries=1.3:view2[peer1,peer2] commit=2 term=1
        > peer1 APPEND_ACK term=1 granted=true matched=3
          | VIEW_CHANGE view=2 members=peer2,peer1 term=1 reason=removed:peer3
          peer3 < VIEW_CHANGE view=view2[peer1,peer2] term=1
          peer1 << APPEND prev=1.3 entries= commit=3 term=1
        > peer3 NEW_PEER_REQUEST peer=peer3
          | NEW_PEER_REQUEST from=peer3 endpoint=peer3:7000 term=1
          store 1.4:view2[peer1,peer2+peer3]
          peer1 << APPEND prev=1.3 entries=1.4:view2[peer1,peer2+peer3] commit=3 term=1
          peer3 << APPEND prev=1.4 entries= commit=3 term=1
          peer3 < ADDED TO NETWORK view=view2[peer1,peer2+peer3] term=1
        ",
    );
}

#[test]
fn who_was_removed_stands_for_nothing_and_asks_to_be_let_in_at_once() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer3 term=1
        > peer3 VIEW_CHANGE term=1 view=view2[peer1,peer3]
          peer1 < NEW_PEER_REQUEST peer=peer2 term=1
          peer3 < NEW_PEER_REQUEST peer=peer2 term=1
          anybody << NEW_PEER_REQUEST peer=peer2 term=1
        > peer3 VIEW_CHANGE term=1 view=view2[peer1,peer3]
        > 800ms
          | SUSPECTED peer=peer3 term=1
          | FAILED peer=peer3 term=1
          peer1 < NEW_PEER_REQUEST peer=peer2 term=1
          peer3 < NEW_PEER_REQUEST peer=peer2 term=1
          anybody << NEW_PEER_REQUEST peer=peer2 term=1
        > peer1 ELECTION term=1
        > peer3 NEW_PEER_REQUEST peer=peer3
        ",
    );
}

#[test]
fn a_member_passes_a_newcomers_request_on_to_the_leader() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer3 term=1
        > peer4 NEW_PEER_REQUEST peer=peer4
          peer3 < NEW_PEER_REQUEST peer=peer4 term=1
        ",
    );
}

#[test]
fn a_view_that_was_never_committed_does_not_hide_the_leader_of_another_with_its_number() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 APPEND term=1 prev=0.1 entries=1.2:view2[peer1,peer2,peer3,peer5]
          persist term=1 vote=none
          | follows leader=peer3 term=1 (heard by HEARTBEAT)
          store 1.2:view2[peer1,peer2,peer3,peer5]
          peer3 < APPEND_ACK granted=true term=1
        > peer4 HEARTBEAT term=2
        > peer1 VIEW_CHANGE term=2 view=view2[peer1,peer2,peer3,peer4]
        > peer4 HEARTBEAT term=2
          persist term=2 vote=none
          | follows leader=peer4 term=2 (heard by HEARTBEAT)
          peer4 < HEARTBEAT_ACK matched=0 seq=1 term=2
        > peer4 APPEND term=2 prev=0.1 entries=2.2:view2[peer1,peer2,peer3,peer4]
          store 2.2:view2[peer1,peer2,peer3,peer4]
          peer4 < APPEND_ACK granted=true term=2
        ",
    );
}
