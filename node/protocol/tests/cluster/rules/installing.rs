//! Snapshots in place of a log.

use crate::modes::{checkpoints, majority};
use crate::script::plays;

#[test]
fn a_snapshot_takes_the_place_of_a_log_that_is_behind_and_requests_in_it_are_answered() {
    plays(
        majority,
        r#"
        > start
          | recovered entries=1 applied=0 torn=0
        > ask alice/3 text
          | requested msg=alice/3 text=text
        > peer3 INSTALL_SNAPSHOT term=2 at=1.40 view=view2[peer1,peer2,peer3] size=151 part={"machine":{"delivered":30},"sessions":{"clients":{"alice":{"last":3,"at":38,"results":[
          persist term=2 vote=none
          | follows leader=peer3 term=2 (heard by HEARTBEAT)
          peer3 < SEQUENCER_REQUEST id=alice/3 after=0 payload=text term=2
          peer3 < SNAPSHOT_ACK at=1.40 offset=88 term=2
        > peer3 INSTALL_SNAPSHOT term=2 at=1.40 view=view2[peer1,peer2,peer3] size=151 offset=88 part={"serial":3,"seq":29,"at":{"term":1,"index":38}}]}},"ages":{}}}
          install at=1.40
          | installed snapshot seq=30 index=40
          | VIEW_CHANGE view=2 members=peer3,peer2,peer1 term=1 reason=founded
          | acknowledged msg=alice/3 seq=29 term=1
          ! acknowledged msg=alice/3 seq=29 term=1
          peer3 < SNAPSHOT_ACK at=1.40 offset=151 term=2
        > peer3 APPEND term=2 prev=1.40 entries=2.41:b/1 commit=41
          store 2.41:b/1
          peer3 < APPEND_ACK granted=true term=2
        > more
          | DELIVERED seq=31 term=2 index=41 msg=b/1 from=b view=2 text=text
        "#,
    );
}

#[test]
fn a_snapshot_never_costs_what_the_log_has_already() {
    plays(
        majority,
        "
        > start term=1 log=1,1,1
          | recovered entries=4 applied=0 torn=0
        > peer3 INSTALL_SNAPSHOT term=2 at=1.3 view=view1[peer1,peer2,peer3] size=100 part={
          persist term=2 vote=none
          | follows leader=peer3 term=2 (heard by HEARTBEAT)
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=0 reason=founded
          peer3 < SNAPSHOT_ACK at=1.3 offset=100 term=2
        ",
    );
}

#[test]
fn the_state_is_saved_after_so_many_entries() {
    plays(
        checkpoints,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 APPEND term=1 prev=0.1 entries=1.2:noop;1.3:a/1;1.4:a/2 commit=4
          persist term=1 vote=none
          | follows leader=peer3 term=1 (heard by HEARTBEAT)
          store 1.2:noop
          store 1.3:a/1
          store 1.4:a/2
          peer3 < APPEND_ACK granted=true term=1
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=0 reason=founded
          | DELIVERED seq=1 term=1 index=3 msg=a/1 from=a view=1 text=text
          | DELIVERED seq=2 term=1 index=4 msg=a/2 from=a view=1 text=text
        > more
          checkpoint at=1.4
        > peer3 APPEND term=1 prev=1.4 entries=1.5:a/3;1.6:a/4 commit=6
          store 1.5:a/3
          store 1.6:a/4
          peer3 < APPEND_ACK granted=true term=1
          | DELIVERED seq=3 term=1 index=5 msg=a/3 from=a view=1 text=text
          | DELIVERED seq=4 term=1 index=6 msg=a/4 from=a view=1 text=text
        > more
        ",
    );
}

#[test]
fn a_snapshot_that_ends_where_no_log_can_is_ignored() {
    plays(
        majority,
        r#"
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 INSTALL_SNAPSHOT term=2 at=1.18446744073709551615 view=view2[peer1,peer2,peer3] size=63 part={"machine":{"delivered":30},"sessions":{"clients":{},"ages":{}}}
          persist term=2 vote=none
        "#,
    );
}

#[test]
fn a_snapshot_that_cannot_be_read_is_told_of_and_changes_nothing() {
    plays(
        majority,
        r#"
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 INSTALL_SNAPSHOT term=2 at=1.40 view=view2[peer1,peer2,peer3] size=20 part={"machine":"another"}
          persist term=2 vote=none
          | follows leader=peer3 term=2 (heard by HEARTBEAT)
          | unreadable snapshot from=peer3 index=40 (invalid type: string "another", expected struct Sequencer at line 1 column 20)
        "#,
    );
}

#[test]
fn the_state_is_not_saved_ahead_of_what_is_known_to_be_told() {
    plays(
        checkpoints,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 APPEND term=1 prev=0.1 entries=1.2:noop;1.3:noop;1.4:noop commit=4
          persist term=1 vote=none
          | follows leader=peer3 term=1 (heard by HEARTBEAT)
          store 1.2:noop
          store 1.3:noop
          store 1.4:noop
          peer3 < APPEND_ACK granted=true term=1
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=0 reason=founded
        > more
          checkpoint at=1.4
        ",
    );
}
