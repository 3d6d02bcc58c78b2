//! What becomes of a request that goes wrong: overtaken, misnamed, one too many, or asked of a node that leaves.

use std::fmt::Write as _;

use crate::modes::{classroom, majority};
use crate::script::plays;

#[test]
pub(crate) fn a_request_that_a_later_one_of_its_client_has_overtaken_is_refused() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer3 term=1
        > ask alice/2 two
          | requested msg=alice/2 text=two
          peer3 < SEQUENCER_REQUEST id=alice/2 after=0 payload=two term=1
        > ask alice/1 one
          | requested msg=alice/1 text=one
          peer3 < SEQUENCER_REQUEST id=alice/1 after=0 payload=one term=1
        > peer3 APPEND term=1 prev=0.1 entries=1.2:noop;1.3:alice/2 commit=3
          store 1.2:noop
          store 1.3:alice/2
          peer3 < APPEND_ACK granted=true term=1
          | refused msg=alice/1 reason=out-of-order
          ! refused msg=alice/1 reason=out-of-order
          | acknowledged msg=alice/2 seq=1 term=1
          ! acknowledged msg=alice/2 seq=1 term=1
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=0 reason=founded
          | DELIVERED seq=1 term=1 index=3 msg=alice/2 from=alice view=1 text=text
        > timer Ask
        > ask alice/1 one
          ! refused msg=alice/1 reason=out-of-order
        ",
    );
}

#[test]
fn a_request_that_its_client_gave_up_here_and_overtook_elsewhere_is_refused_and_freed() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > ask alice/1 one
          | requested msg=alice/1 text=one
        > peer3 APPEND term=1 prev=0.1 entries=1.2:noop;1.3:alice/2 commit=3
          persist term=1 vote=none
          | follows leader=peer3 term=1 (heard by HEARTBEAT)
          peer3 < SEQUENCER_REQUEST id=alice/1 after=0 payload=one term=1
          store 1.2:noop
          store 1.3:alice/2
          peer3 < APPEND_ACK granted=true term=1
          | refused msg=alice/1 reason=out-of-order
          ! refused msg=alice/1 reason=out-of-order
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=0 reason=founded
          | DELIVERED seq=1 term=1 index=3 msg=alice/2 from=alice view=1 text=text
        > timer Ask
        ",
    );
}

#[test]
fn a_node_numbers_its_own_requests_beyond_all_that_are_done() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 APPEND term=1 prev=0.1 entries=1.2:noop;1.3:peer2/5 commit=3
          persist term=1 vote=none
          | follows leader=peer3 term=1 (heard by HEARTBEAT)
          store 1.2:noop
          store 1.3:peer2/5
          peer3 < APPEND_ACK granted=true term=1
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=0 reason=founded
          | DELIVERED seq=1 term=1 index=3 msg=peer2/5 from=peer2 view=1 text=text
        > ask hello
          persist serials below=1006
          | requested msg=peer2/6 text=hello
          peer3 < SEQUENCER_REQUEST id=peer2/6 after=0 payload=hello term=1
        ",
    );
}

#[test]
fn a_client_may_not_use_a_nodes_name() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > ask peer1/1 text
          | refused msg=peer1/1 reason=name-of-a-node
          ! refused msg=peer1/1 reason=name-of-a-node
        > ask peer2/7 text
          | refused msg=peer2/7 reason=name-of-a-node
          ! refused msg=peer2/7 reason=name-of-a-node
        > ask peer3.0123abcd/1 text
          | refused msg=peer3.0123abcd/1 reason=name-of-a-node
          ! refused msg=peer3.0123abcd/1 reason=name-of-a-node
        > ask alice.0123abcd/1 text
          | requested msg=alice.0123abcd/1 text=text
        > ask peer30/1 text
          | requested msg=peer30/1 text=text
        ",
    );
}

#[test]
fn the_name_of_a_node_that_was_a_member_once_stays_its_own() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 APPEND term=1 prev=0.1 entries=1.2:noop;1.3:view2[peer2,peer3,peer7];1.4:view3[peer2,peer3] commit=4
          persist term=1 vote=none
          | follows leader=peer3 term=1 (heard by HEARTBEAT)
          store 1.2:noop
          store 1.3:view2[peer2,peer3,peer7]
          store 1.4:view3[peer2,peer3]
          peer3 < APPEND_ACK granted=true term=1
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=0 reason=founded
          | VIEW_CHANGE view=2 members=peer7,peer3,peer2 term=1 reason=joined:peer7
          | VIEW_CHANGE view=3 members=peer3,peer2 term=1 reason=removed:peer7
        > ask peer7/1 text
          | refused msg=peer7/1 reason=name-of-a-node
          ! refused msg=peer7/1 reason=name-of-a-node
        ",
    );
}

#[test]
fn a_serial_that_would_silence_its_client_is_refused() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > ask alice/0 text
          | refused msg=alice/0 reason=bad-serial
          ! refused msg=alice/0 reason=bad-serial
        > ask alice/18446744073709551615 text
          | refused msg=alice/18446744073709551615 reason=bad-serial
          ! refused msg=alice/18446744073709551615 reason=bad-serial
        > ask alice/4294967297 text
          | refused msg=alice/4294967297 reason=bad-serial
          ! refused msg=alice/4294967297 reason=bad-serial
        > ask alice/4294967296 text
          | requested msg=alice/4294967296 text=text
        ",
    );
}

#[test]
fn a_full_node_does_not_know_what_became_of_a_request_that_a_client_has_named() {
    let mut script = "> start\n| recovered entries=1 applied=0 torn=0\n".to_owned();
    for n in 0..8192 {
        let _ = writeln!(script, "> ask c{n}/1 x\n| requested msg=c{n}/1 text=x");
    }
    // An earlier life of this node, or another one, may have put it into the log.
    script.push_str("> ask late/1 x\n| unknown msg=late/1 reason=busy\n! unknown msg=late/1 reason=busy\n");
    script.push_str("> ask x\n| refused reason=busy\n! refused reason=busy\n");
    plays(majority, &script);
}

#[test]
fn what_a_client_has_sent_behind_a_request_that_found_no_room_does_not_overtake_it() {
    let mut script = "> start\n| recovered entries=1 applied=0 torn=0\n".to_owned();
    for n in 0..8192 {
        let _ = writeln!(script, "> ask c{n}/1 x\n| requested msg=c{n}/1 text=x");
    }
    script.push_str("> ask late/1 x\n| unknown msg=late/1 reason=busy\n! unknown msg=late/1 reason=busy\n");
    script.push_str(
        "> peer3 APPEND term=1 prev=0.1 entries=1.2:c0/1;1.3:c1/1;1.4:c2/1 commit=4
        persist term=1 vote=none
        | follows leader=peer3 term=1 (heard by HEARTBEAT)\n",
    );
    for client in clients_in_order(8192) {
        let _ = writeln!(script, "peer3 < SEQUENCER_REQUEST id={client}/1 after=0 payload=x term=1");
    }
    script.push_str("store 1.2:c0/1\nstore 1.3:c1/1\nstore 1.4:c2/1\npeer3 < APPEND_ACK granted=true term=1\n");
    for n in 0..3 {
        let _ = writeln!(
            script,
            "| acknowledged msg=c{n}/1 seq={0} term=1\n! acknowledged msg=c{n}/1 seq={0} term=1",
            n + 1
        );
    }
    script.push_str("| VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=0 reason=founded\n");
    for n in 0..3 {
        let _ = writeln!(
            script,
            "| DELIVERED seq={0} term=1 index={1} msg=c{n}/1 from=c{n} view=1 text=text",
            n + 1,
            n + 2
        );
    }
    script.push_str(
        "> ask late/2 x
        | unknown msg=late/2 reason=busy
        ! unknown msg=late/2 reason=busy
        > ask late/1 x
        | requested msg=late/1 text=x
        peer3 < SEQUENCER_REQUEST id=late/1 after=0 payload=x term=1
        > ask late/2 x
        | requested msg=late/2 text=x
        peer3 < SEQUENCER_REQUEST id=late/2 after=1 payload=x term=1\n",
    );
    plays(majority, &script);
}

fn clients_in_order(count: usize) -> std::collections::BTreeSet<String> {
    (0..count).map(|n| format!("c{n}")).collect()
}

#[test]
fn only_so_many_wait_for_the_same_request() {
    let mut script =
        "> start\n| recovered entries=1 applied=0 torn=0\n> ask a/1 x\n| requested msg=a/1 text=x\n".to_owned();
    for _ in 1..16 {
        script.push_str("> ask a/1 x\n");
    }
    script.push_str("> ask a/1 x\n! unknown msg=a/1 reason=busy\n");
    plays(majority, &script);
}

#[test]
fn who_leaves_knows_only_of_its_own_requests_that_they_are_in_no_log() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > ask own
          persist serials below=1001
          | requested msg=peer2/1 text=own
        > ask alice/1 clients
          | requested msg=alice/1 text=clients
        > leave
          | leaving term=0
          | unknown msg=alice/1 reason=leaving
          ! unknown msg=alice/1 reason=leaving
          | refused msg=peer2/1 reason=leaving
          ! refused msg=peer2/1 reason=leaving
          peer1 < LEAVE term=0
          peer3 < LEAVE term=0
        ",
    );
}

#[test]
fn in_the_classroom_a_retry_is_answered_and_not_delivered_again_under_another_leader() {
    plays(
        classroom,
        "
        > start
          store 0.1:view1[peer1,peer2,peer3]
        > peer3 COORDINATOR term=1
          persist term=1 vote=none
          | Received COORDINATOR announcement: peer3 term=1
        > peer3 ORDERED term=1 prev=0.0 entries=1.1:alice/1
          | DELIVERED seq=1 term=1 index=1 msg=alice/1 from=alice view=0 text=text
        > ask alice/1 text
          ! acknowledged msg=alice/1 seq=1 term=1
        > peer1 COORDINATOR term=2
          persist term=2 vote=none
          | Received COORDINATOR announcement: peer1 term=2
        > peer1 ORDERED term=2 prev=2.1 entries=2.2:alice/3
          | DELIVERED seq=2 term=2 index=2 msg=alice/3 from=alice view=0 text=text
        > ask alice/1 text
          ! acknowledged msg=alice/1 seq=1 term=1
        > ask alice/2 text
          ! refused msg=alice/2 reason=out-of-order
        ",
    );
}
