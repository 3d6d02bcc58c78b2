//! How entries come into a log, and what a leader does when they do not.

use crate::modes::{majority, multicast, sticky};
use crate::script::plays;

#[test]
fn what_is_acknowledged_is_stored_and_what_follows_nothing_is_refused() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 APPEND term=1 prev=0.1 entries=1.2:noop;1.3:a/1 commit=1
          persist term=1 vote=none
          | follows leader=peer3 term=1 (heard by HEARTBEAT)
          store 1.2:noop
          store 1.3:a/1
          peer3 < APPEND_ACK granted=true term=1
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=0 reason=founded
        > peer3 APPEND term=1 prev=1.7 entries=1.8:a/9 commit=1
          peer3 < APPEND_ACK granted=false term=1
        > peer3 APPEND term=1 prev=1.3 entries=1.4:a/2 commit=3
          store 1.4:a/2
          peer3 < APPEND_ACK granted=true term=1
          | DELIVERED seq=1 term=1 index=3 msg=a/1 from=a view=1 text=text
        ",
    );
}

#[test]
fn a_multicast_that_overtakes_the_announcement_is_obeyed_and_people_are_told_by_the_announcement() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 ORDERED term=1 prev=0.1 entries=1.2:noop commit=1
          persist term=1 vote=none
          store 1.2:noop
          peer3 < APPEND_ACK granted=true ordered=true term=1
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=0 reason=founded
        > peer3 COORDINATOR term=1
          | Received COORDINATOR announcement: peer3 term=1
        > peer3 COORDINATOR term=1
        ",
    );
}

#[test]
fn another_leaders_entries_take_the_place_of_what_was_never_committed() {
    plays(
        majority,
        "
        > start term=2 log=1,1,2
          | recovered entries=4 applied=0 torn=0
        > peer3 APPEND term=3 prev=1.3 entries=3.4:a/1 commit=3
          persist term=3 vote=none
          | follows leader=peer3 term=3 (heard by HEARTBEAT)
          store 3.4:a/1
          peer3 < APPEND_ACK granted=true term=3
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=0 reason=founded
        > peer3 APPEND term=3 prev=3.4 entries=3.5:a/2 commit=4
          store 3.5:a/2
          peer3 < APPEND_ACK granted=true term=3
          | DELIVERED seq=1 term=3 index=4 msg=a/1 from=a view=1 text=text
        ",
    );
}

#[test]
fn a_refusal_skips_a_whole_term_that_the_leader_does_not_have() {
    plays(
        majority,
        "
        > start term=3 log=1,2,2,3,3,3
          | recovered entries=7 applied=0 torn=0
        > peer3 APPEND term=4 prev=4.9 commit=1
          persist term=4 vote=none
          | follows leader=peer3 term=4 (heard by HEARTBEAT)
          peer3 < APPEND_ACK granted=false term=4
        > peer3 APPEND term=4 prev=2.6 commit=1
          peer3 < APPEND_ACK granted=false matched=4 term=4
        > peer3 APPEND term=4 prev=2.4 entries=4.5:noop commit=1
          store 4.5:noop
          peer3 < APPEND_ACK granted=true term=4
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=0 reason=founded
        ",
    );
}

#[test]
fn what_is_committed_is_never_cut_off_and_an_old_message_cuts_nothing_off() {
    plays(
        majority,
        "
        > start term=1 log=1,1 applied=3
          | recovered entries=3 applied=3 torn=0
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=1 reason=recovered
        > peer3 APPEND term=2 prev=0.1 entries=2.2:a/1;2.3:a/2 commit=3
          persist term=2 vote=none
          | follows leader=peer3 term=2 (heard by HEARTBEAT)
          peer3 < APPEND_ACK granted=true term=2
        > peer3 APPEND term=2 prev=1.3 entries=2.4:a/3;2.5:a/4 commit=3
          store 2.4:a/3
          store 2.5:a/4
          peer3 < APPEND_ACK granted=true term=2
        > peer3 APPEND term=2 prev=1.3 entries=2.4:a/3 commit=3
          peer3 < APPEND_ACK granted=true term=2
        ",
    );
}

#[test]
fn a_deposed_leader_learns_it_from_the_answer() {
    plays(
        majority,
        "
        > start term=4 log=1
          | recovered entries=2 applied=0 torn=0
        > peer3 APPEND term=3 prev=1.2 entries=3.3:a/1 commit=2
          peer3 < APPEND_ACK granted=false matched=0 term=4
        ",
    );
}

#[test]
fn entries_that_no_leader_can_have_sent_are_ignored() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 APPEND term=1 prev=0.1 entries=1.3:a/1 commit=1
          persist term=1 vote=none
        > peer3 APPEND term=1 prev=0.1 entries=2.2:a/1 commit=1
        > peer3 APPEND term=1 prev=0.1 entries=1.2:a/1;0.3:a/2 commit=1
        ",
    );
}

#[test]
fn a_leader_looks_for_the_last_common_entry_and_goes_on_from_there() {
    plays(
        majority,
        "
        > start term=2 log=1,1,2
          | recovered entries=4 applied=0 torn=0
        > timer Election
          | election started term=3 reason=no-leader
          peer3 < ELECTION term=2
        > timer Election
          | asks for pre-votes term=3
          peer1 < PRE_VOTE_REQUEST term=2
          peer3 < PRE_VOTE_REQUEST term=2
        > peer1 PRE_VOTE term=2 granted=true
          persist term=3 vote=peer2
          | stands for election term=3
          | voted candidate=peer2 term=3
          peer1 < VOTE_REQUEST term=3
          peer3 < VOTE_REQUEST term=3
        > peer1 VOTE term=3 granted=true
          | became the Group Leader via election term=3 votes=peer1,peer2
          peer1 < COORDINATOR term=3
          peer3 < COORDINATOR term=3
          store 3.5:noop
          peer1 << APPEND prev=2.4 entries=3.5:noop commit=0 term=3
          peer3 << APPEND prev=2.4 entries=3.5:noop commit=0 term=3
        > peer1 APPEND_ACK term=3 granted=false matched=2
          peer1 << APPEND prev=1.2 entries=1.3:noop;2.4:noop;3.5:noop commit=0 term=3
        > peer1 APPEND_ACK term=3 granted=false matched=2
        > peer1 APPEND_ACK term=3 granted=true matched=5
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=0 reason=founded
          peer1 << APPEND prev=3.5 entries= commit=5 term=3
        ",
    );
}

#[test]
fn what_was_sent_before_an_answered_heartbeat_and_is_not_there_is_sent_again() {
    plays(
        majority,
        "
        > lead
        > ask a/1 text
          | requested msg=a/1 text=text
          store 1.3:a/1
          peer1 << APPEND prev=1.2 entries=1.3:a/1 commit=2 term=1
          peer3 << APPEND prev=1.2 entries=1.3:a/1 commit=2 term=1
        > timer Heartbeat
          peer1 << HEARTBEAT commit=2 seq=1 term=1
          peer3 << HEARTBEAT commit=2 seq=1 term=1
        > peer1 HEARTBEAT_ACK term=1 seq=1 matched=2
          peer1 << APPEND prev=1.2 entries=1.3:a/1 commit=2 term=1
        > peer3 HEARTBEAT_ACK term=1 seq=1 matched=3
          | acknowledged msg=a/1 seq=1 term=1
          ! acknowledged msg=a/1 seq=1 term=1
          | DELIVERED seq=1 term=1 index=3 msg=a/1 from=a view=1 text=text
          peer3 << APPEND prev=1.3 entries= commit=3 term=1
        ",
    );
}

#[test]
fn so_many_messages_are_in_flight_and_what_comes_meanwhile_goes_together() {
    plays(
        majority,
        "
        > lead
        > ask a/1 text
          | requested msg=a/1 text=text
          store 1.3:a/1
          peer1 << APPEND prev=1.2 entries=1.3:a/1 commit=2 term=1
          peer3 << APPEND prev=1.2 entries=1.3:a/1 commit=2 term=1
        > ask a/2 text
          | requested msg=a/2 text=text
          store 1.4:a/2
          peer1 << APPEND prev=1.3 entries=1.4:a/2 commit=2 term=1
          peer3 << APPEND prev=1.3 entries=1.4:a/2 commit=2 term=1
        > ask a/3 text
          | requested msg=a/3 text=text
          store 1.5:a/3
          peer1 << APPEND prev=1.4 entries=1.5:a/3 commit=2 term=1
          peer3 << APPEND prev=1.4 entries=1.5:a/3 commit=2 term=1
        > ask a/4 text
          | requested msg=a/4 text=text
          store 1.6:a/4
          peer1 << APPEND prev=1.5 entries=1.6:a/4 commit=2 term=1
          peer3 << APPEND prev=1.5 entries=1.6:a/4 commit=2 term=1
        > ask a/5 text
          | requested msg=a/5 text=text
          store 1.7:a/5
          peer1 << APPEND prev=1.6 entries=1.7:a/5 commit=2 term=1
          peer3 << APPEND prev=1.6 entries=1.7:a/5 commit=2 term=1
        > ask a/6 text
          | requested msg=a/6 text=text
          store 1.8:a/6
          peer1 << APPEND prev=1.7 entries=1.8:a/6 commit=2 term=1
          peer3 << APPEND prev=1.7 entries=1.8:a/6 commit=2 term=1
        > ask a/7 text
          | requested msg=a/7 text=text
          store 1.9:a/7
          peer1 << APPEND prev=1.8 entries=1.9:a/7 commit=2 term=1
          peer3 << APPEND prev=1.8 entries=1.9:a/7 commit=2 term=1
        > ask a/8 text
          | requested msg=a/8 text=text
          store 1.10:a/8
          peer1 << APPEND prev=1.9 entries=1.10:a/8 commit=2 term=1
          peer3 << APPEND prev=1.9 entries=1.10:a/8 commit=2 term=1
        > ask a/9 text
          | requested msg=a/9 text=text
          store 1.11:a/9
        > ask a/10 text
          | requested msg=a/10 text=text
          store 1.12:a/10
        > peer1 APPEND_ACK term=1 granted=true matched=3
          | acknowledged msg=a/1 seq=1 term=1
          ! acknowledged msg=a/1 seq=1 term=1
          | DELIVERED seq=1 term=1 index=3 msg=a/1 from=a view=1 text=text
          peer1 << APPEND prev=1.10 entries=1.11:a/9;1.12:a/10 commit=3 term=1
        ",
    );
}

#[test]
fn multicast_is_heard_by_who_answers_it_and_a_gap_is_repaired_by_tcp() {
    plays(
        multicast,
        "
        > lead
        > ask a/1 text
          | requested msg=a/1 text=text
          store 1.3:a/1
          all << ORDERED prev=1.2 entries=1.3:a/1 commit=2 term=1
          peer1 << APPEND prev=1.2 entries=1.3:a/1 commit=2 term=1
          peer3 << APPEND prev=1.2 entries=1.3:a/1 commit=2 term=1
        > peer1 APPEND_ACK term=1 granted=true matched=3 ordered=true
          | acknowledged msg=a/1 seq=1 term=1
          ! acknowledged msg=a/1 seq=1 term=1
          | DELIVERED seq=1 term=1 index=3 msg=a/1 from=a view=1 text=text
          peer1 << APPEND prev=1.3 entries= commit=3 term=1
          peer3 << APPEND prev=1.3 entries= commit=3 term=1
        > ask a/2 text
          | requested msg=a/2 text=text
          store 1.4:a/2
          all << ORDERED prev=1.3 entries=1.4:a/2 commit=3 term=1
          peer3 << APPEND prev=1.3 entries=1.4:a/2 commit=3 term=1
        > peer1 APPEND_ACK term=1 granted=false matched=3 ordered=true
          peer1 << APPEND prev=1.3 entries=1.4:a/2 commit=3 term=1
        ",
    );
}

#[test]
fn an_answer_that_is_missing_twice_is_not_waited_for_any_longer() {
    plays(
        sticky,
        "
        > lead
        > ask a/1 text
          | requested msg=a/1 text=text
          store 1.3:a/1
          peer1 << APPEND prev=1.2 entries=1.3:a/1 commit=2 term=1
          peer3 << APPEND prev=1.2 entries=1.3:a/1 commit=2 term=1
        > timer Repair
          peer1 << HEARTBEAT commit=2 seq=1 term=1
          peer3 << HEARTBEAT commit=2 seq=1 term=1
        > peer1 APPEND_ACK term=1 granted=true matched=3
          | acknowledged msg=a/1 seq=1 term=1
          ! acknowledged msg=a/1 seq=1 term=1
          | DELIVERED seq=1 term=1 index=3 msg=a/1 from=a view=1 text=text
          peer1 << APPEND prev=1.3 entries= commit=3 term=1
          peer3 << APPEND prev=1.3 entries= commit=3 term=1
        > timer Repair
          peer1 << HEARTBEAT commit=3 seq=2 term=1
          peer3 << HEARTBEAT commit=2 seq=2 term=1
          peer3 << APPEND prev=1.2 entries=1.3:a/1 commit=3 term=1
        > timer Repair
          peer1 << HEARTBEAT commit=3 seq=3 term=1
          peer3 << HEARTBEAT commit=2 seq=3 term=1
          peer3 << APPEND prev=1.2 entries=1.3:a/1 commit=3 term=1
        > peer3 APPEND_ACK term=1 granted=true matched=3
        > timer Repair
          peer1 << HEARTBEAT commit=3 seq=4 term=1
          peer3 << HEARTBEAT commit=3 seq=4 term=1
          | stepped down term=1 reason=no-majority
        ",
    );
}

#[test]
fn an_answer_from_beyond_every_log_is_no_news() {
    plays(
        majority,
        "
        > lead
        > peer1 APPEND_ACK term=1 granted=false matched=18446744073709551615
        > peer1 APPEND_ACK term=1 granted=true matched=18446744073709551615
        ",
    );
}
