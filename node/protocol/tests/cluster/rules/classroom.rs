//! The classroom's Bully, without a quorum.

use crate::modes::{classroom, classroom_joining};
use crate::script::plays;

#[test]
fn the_classrooms_bully_leads_when_nobody_higher_answers() {
    plays(
        classroom,
        "
        > start
          store 0.1:view1[peer1,peer2,peer3]
        > timer Election
          | election started term=1 reason=no-leader
          peer3 < ELECTION term=0
        > timer Election
          persist term=1 vote=peer2
          | became the Group Leader via election term=1 votes=peer2
          peer1 < COORDINATOR term=1
          peer3 < COORDINATOR term=1
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=1 reason=founded
          peer1 < VIEW_CHANGE view=view1[peer1,peer2,peer3] term=1
          peer3 < VIEW_CHANGE view=view1[peer1,peer2,peer3] term=1
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
          store 0.1:view1[peer1,peer2,peer3]
        > timer Election
          | election started term=1 reason=no-leader
          peer3 < ELECTION term=0
        > timer Election
          persist term=1 vote=peer2
          | became the Group Leader via election term=1 votes=peer2
          peer1 < COORDINATOR term=1
          peer3 < COORDINATOR term=1
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=1 reason=founded
          peer1 < VIEW_CHANGE view=view1[peer1,peer2,peer3] term=1
          peer3 < VIEW_CHANGE view=view1[peer1,peer2,peer3] term=1
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
          store 0.1:view1[peer1,peer2,peer3]
        > peer1 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer1 term=1
        > 350ms
        > peer1 HEARTBEAT term=1 seq=4
          peer1 < HEARTBEAT_ACK matched=0 seq=4 term=1
        > timer Election
          | election started term=2 reason=takeover-from:peer1
          peer3 < ELECTION term=1
        > peer1 HEARTBEAT term=1 seq=5
          peer1 < HEARTBEAT_ACK matched=0 seq=5 term=1
        > timer Election
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
fn in_the_classroom_a_takeover_is_left_to_a_higher_node_that_answers() {
    plays(
        classroom,
        "
        > start
          store 0.1:view1[peer1,peer2,peer3]
        > peer1 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer1 term=1
        > 350ms
        > peer1 HEARTBEAT term=1 seq=4
          peer1 < HEARTBEAT_ACK matched=0 seq=4 term=1
        > timer Election
          | election started term=2 reason=takeover-from:peer1
          peer3 < ELECTION term=1
        > peer3 OK term=1
          | deferring to=peer3 term=2
        > 200ms
          | SUSPECTED peer=peer1 term=1
        > peer1 HEARTBEAT term=1 seq=9
          | RECOVERED peer=peer1 term=1
          peer1 < HEARTBEAT_ACK matched=0 seq=9 term=1
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

#[test]
fn in_the_classroom_who_does_not_know_the_view_is_told_it_again() {
    plays(
        classroom,
        "
        > start
          store 0.1:view1[peer1,peer2,peer3]
        > timer Election
          | election started term=1 reason=no-leader
          peer3 < ELECTION term=0
        > timer Election
          persist term=1 vote=peer2
          | became the Group Leader via election term=1 votes=peer2
          peer1 < COORDINATOR term=1
          peer3 < COORDINATOR term=1
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=1 reason=founded
          peer1 < VIEW_CHANGE view=view1[peer1,peer2,peer3] term=1
          peer3 < VIEW_CHANGE view=view1[peer1,peer2,peer3] term=1
        > peer1 HEARTBEAT_ACK term=1 seq=1 matched=0
          peer1 < VIEW_CHANGE view=view1[peer1,peer2,peer3] term=1
        > peer1 HEARTBEAT_ACK term=1 seq=1 matched=1
        ",
    );
}

#[test]
fn in_the_classroom_a_new_leader_delivers_what_it_was_asked_for_in_that_order() {
    plays(
        classroom,
        "
        > start
          store 0.1:view1[peer1,peer2,peer3]
        > ask one
          persist serials below=1001
          | requested msg=peer2/1 text=one
        > ask two
          | requested msg=peer2/2 text=two
        > timer Election
          | election started term=1 reason=no-leader
          peer3 < ELECTION term=0
        > timer Election
          persist term=1 vote=peer2
          | became the Group Leader via election term=1 votes=peer2
          peer1 < COORDINATOR term=1
          peer3 < COORDINATOR term=1
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=1 reason=founded
          peer1 < VIEW_CHANGE view=view1[peer1,peer2,peer3] term=1
          peer3 < VIEW_CHANGE view=view1[peer1,peer2,peer3] term=1
          peer1 < ORDERED prev=1.0 entries=1.1:peer2/1 commit=0 term=1
          peer3 < ORDERED prev=1.0 entries=1.1:peer2/1 commit=0 term=1
          | DELIVERED seq=1 term=1 index=1 msg=peer2/1 from=peer2 view=1 text=one
          | acknowledged msg=peer2/1 seq=1 term=1
          ! acknowledged msg=peer2/1 seq=1 term=1
          peer1 < ORDERED prev=1.1 entries=1.2:peer2/2 commit=0 term=1
          peer3 < ORDERED prev=1.1 entries=1.2:peer2/2 commit=0 term=1
          | DELIVERED seq=2 term=1 index=2 msg=peer2/2 from=peer2 view=1 text=two
          | acknowledged msg=peer2/2 seq=2 term=1
          ! acknowledged msg=peer2/2 seq=2 term=1
        > peer1 APPEND_ACK term=1 granted=false matched=0
          peer1 < APPEND prev=0.0 entries=1.1:peer2/1;1.2:peer2/2 commit=0 term=1
        ",
    );
}

#[test]
fn in_the_classroom_a_newcomer_is_told_to_everybody_and_the_same_number_of_another_leader_is_another_view() {
    plays(
        classroom_joining,
        "
        > start
          store 0.1:view1[peer2]
        > timer Election
          | election started term=1 reason=no-leader
          persist term=1 vote=peer2
          | became the Group Leader via election term=1 votes=peer2
          | VIEW_CHANGE view=1 members=peer2 term=1 reason=founded
        > peer1 NEW_PEER_REQUEST peer=peer1
          | NEW_PEER_REQUEST from=peer1 endpoint=peer1:7000 term=1
          peer1 < ADDED TO NETWORK view=view1[peer1,peer2] term=1
          peer1 < COORDINATOR term=1
          | VIEW_CHANGE view=2 members=peer2,peer1 term=1 reason=joined:peer1
          peer1 < VIEW_CHANGE view=view2[peer1,peer2] term=1
        > peer1 NEW_PEER_REQUEST peer=peer1
          peer1 < ADDED TO NETWORK view=view2[peer1,peer2] term=1
          peer1 < COORDINATOR term=1
        > peer3 ADDEDTONETWORK term=1 view=view2[peer2,peer3]
        > peer3 COORDINATOR term=1
          | stepped down term=1 reason=higher-leader:peer3
          | Received COORDINATOR announcement: peer3 term=1
        > peer3 VIEW_CHANGE term=1 view=view2[peer2,peer3]
          | VIEW_CHANGE view=2 members=peer3,peer2 term=1 reason=founded
        > peer3 VIEW_CHANGE term=1 view=view2[peer2,peer3]
        ",
    );
}
