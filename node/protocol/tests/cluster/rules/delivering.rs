//! What is told, once, and in which order; and what becomes of a request.

use crate::modes::majority;
use crate::script::plays;

#[test]
pub(crate) fn a_message_is_delivered_when_it_is_committed_and_not_before() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 APPEND term=1 prev=0.1 entries=1.2:noop;1.3:a/1;1.4:a/2 commit=2
          persist term=1 vote=none
          | follows leader=peer3 term=1 (heard by HEARTBEAT)
          store 1.2:noop
          store 1.3:a/1
          store 1.4:a/2
          peer3 < APPEND_ACK granted=true term=1
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=0 reason=founded
        > peer3 HEARTBEAT term=1 seq=2 commit=3
          peer3 < HEARTBEAT_ACK seq=2 term=1
          | DELIVERED seq=1 term=1 index=3 msg=a/1 from=a view=1 text=text
        > peer3 APPEND term=1 prev=1.4 commit=4
          peer3 < APPEND_ACK granted=true term=1
        ",
    );
}

#[test]
pub(crate) fn a_request_that_two_leaders_put_into_the_log_is_done_once_and_asked_again_it_has_the_same_answer() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 APPEND term=1 prev=0.1 entries=1.2:a/1 commit=1
          persist term=1 vote=none
          | follows leader=peer3 term=1 (heard by HEARTBEAT)
          store 1.2:a/1
          peer3 < APPEND_ACK granted=true term=1
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=0 reason=founded
        > peer1 APPEND term=2 prev=1.2 entries=2.3:noop;2.4:a/1;2.5:b/1 commit=5
          persist term=2 vote=none
          | follows leader=peer1 term=2 (heard by HEARTBEAT)
          store 2.3:noop
          store 2.4:a/1
          store 2.5:b/1
          peer1 < APPEND_ACK granted=true term=2
          | DELIVERED seq=1 term=1 index=2 msg=a/1 from=a view=1 text=text
          | DELIVERED seq=2 term=2 index=5 msg=b/1 from=b view=1 text=text
        > ask a/1 text
          ! acknowledged msg=a/1 seq=1 term=1
        ",
    );
}

#[test]
fn a_request_waits_for_a_leader_and_is_answered_by_the_nodes_own_log() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > ask hello
          persist serials below=1001
          | requested msg=peer2/1 text=hello
        > peer3 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer3 term=1
          peer3 < SEQUENCER_REQUEST id=peer2/1 after=0 payload=hello term=1
        > peer3 APPEND term=1 prev=0.1 entries=1.2:noop;1.3:peer2/1 commit=1
          store 1.2:noop
          store 1.3:peer2/1
          peer3 < APPEND_ACK granted=true term=1
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=0 reason=founded
        > peer3 APPEND term=1 prev=1.3 commit=3
          peer3 < APPEND_ACK granted=true term=1
          | acknowledged msg=peer2/1 seq=1 term=1
          ! acknowledged msg=peer2/1 seq=1 term=1
          | DELIVERED seq=1 term=1 index=3 msg=peer2/1 from=peer2 view=1 text=text
        ",
    );
}

#[test]
pub(crate) fn a_request_without_an_answer_is_asked_again_after_a_while_and_at_once_under_another_leader() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer3 term=1
        > ask hello
          persist serials below=1001
          | requested msg=peer2/1 text=hello
          peer3 < SEQUENCER_REQUEST id=peer2/1 after=0 payload=hello term=1
        > timer Ask
          peer3 < SEQUENCER_REQUEST id=peer2/1 after=0 payload=hello term=1
        > peer3 HEARTBEAT term=1 seq=1
          peer3 < HEARTBEAT_ACK matched=0 seq=1 term=1
        > timer Ask
          peer3 < SEQUENCER_REQUEST id=peer2/1 after=0 payload=hello term=1
        > peer1 COORDINATOR term=2
          persist term=2 vote=none
          | Received COORDINATOR announcement: peer1 term=2
          peer1 < SEQUENCER_REQUEST id=peer2/1 after=0 payload=hello term=2
        ",
    );
}

#[test]
pub(crate) fn the_requests_of_a_client_enter_the_log_in_their_order() {
    plays(
        majority,
        "
        > lead
        > peer1 SEQUENCER_REQUEST term=1 id=a/2 after=1
        > peer1 SEQUENCER_REQUEST term=1 id=a/1
          store 1.3:a/1
          peer1 << APPEND prev=1.2 entries=1.3:a/1 commit=2 term=1
          peer3 << APPEND prev=1.2 entries=1.3:a/1 commit=2 term=1
        > peer1 SEQUENCER_REQUEST term=1 id=a/1
        > peer1 SEQUENCER_REQUEST term=1 id=a/2 after=1
          store 1.4:a/2
          peer1 << APPEND prev=1.3 entries=1.4:a/2 commit=2 term=1
          peer3 << APPEND prev=1.3 entries=1.4:a/2 commit=2 term=1
        > peer3 APPEND_ACK term=1 granted=true matched=4
          | DELIVERED seq=1 term=1 index=3 msg=a/1 from=a view=1 text=text
          | DELIVERED seq=2 term=1 index=4 msg=a/2 from=a view=1 text=text
          peer1 << APPEND prev=1.4 entries= commit=4 term=1
          peer3 << APPEND prev=1.4 entries= commit=4 term=1
        ",
    );
}

#[test]
fn who_leaves_answers_what_is_open() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > ask first
          persist serials below=1001
          | requested msg=peer2/1 text=first
        > peer3 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer3 term=1
          peer3 < SEQUENCER_REQUEST id=peer2/1 after=0 payload=first term=1
        > leave
          | leaving term=1
          | unknown msg=peer2/1 reason=leaving
          ! unknown msg=peer2/1 reason=leaving
          peer1 < LEAVE term=1
          peer3 < LEAVE term=1
        ",
    );
}

#[test]
fn what_was_told_before_a_restart_is_not_told_again() {
    plays(
        majority,
        "
        > start term=1 log=1,1 applied=2
          | recovered entries=3 applied=2 torn=0
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=1 reason=recovered
        > peer3 APPEND term=1 prev=1.3 entries=1.4:a/1 commit=4
          | follows leader=peer3 term=1 (heard by HEARTBEAT)
          store 1.4:a/1
          peer3 < APPEND_ACK granted=true term=1
          | DELIVERED seq=1 term=1 index=4 msg=a/1 from=a view=1 text=text
        ",
    );
}
