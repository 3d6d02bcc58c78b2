//! When an entry is safe, and who counts.

use crate::modes::majority;
use crate::script::plays;

#[test]
pub(crate) fn an_entry_is_committed_once_a_majority_of_disks_has_it() {
    plays(
        majority,
        "
        > lead
        > ask a/1 text
          | requested msg=a/1 text=text
          store 1.3:a/1
          peer1 << APPEND prev=1.2 entries=1.3:a/1 commit=2 term=1
          peer3 << APPEND prev=1.2 entries=1.3:a/1 commit=2 term=1
        > peer3 APPEND_ACK term=1 granted=true matched=3
          | acknowledged msg=a/1 seq=1 term=1
          ! acknowledged msg=a/1 seq=1 term=1
          | DELIVERED seq=1 term=1 index=3 msg=a/1 from=a view=1 text=text
          peer1 << APPEND prev=1.3 entries= commit=3 term=1
          peer3 << APPEND prev=1.3 entries= commit=3 term=1
        ",
    );
}

#[test]
pub(crate) fn entries_of_earlier_terms_are_committed_only_with_one_of_the_leaders_own() {
    plays(
        majority,
        "
        > start term=1 log=1,1
          | recovered entries=3 applied=0 torn=0
        > timer Election
          | election started term=2 reason=no-leader
          peer3 < ELECTION term=1
        > timer Election
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
          store 2.4:noop
          peer1 << APPEND prev=1.3 entries=2.4:noop commit=0 term=2
          peer3 << APPEND prev=1.3 entries=2.4:noop commit=0 term=2
        > peer1 APPEND_ACK term=2 granted=true matched=3
          peer1 << APPEND prev=1.3 entries=2.4:noop commit=0 term=2
        > peer3 APPEND_ACK term=2 granted=true matched=3
          peer3 << APPEND prev=1.3 entries=2.4:noop commit=0 term=2
        > peer3 APPEND_ACK term=2 granted=true matched=4
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=0 reason=founded
          peer1 << APPEND prev=2.4 entries= commit=4 term=2
          peer3 << APPEND prev=2.4 entries= commit=4 term=2
        ",
    );
}

#[test]
pub(crate) fn a_learners_copy_does_not_count() {
    plays(
        majority,
        "
        > start
          | recovered entries=1 applied=0 torn=0
        > peer3 APPEND term=1 prev=0.1 entries=1.2:view2[peer2,peer3+peer1] commit=2
          persist term=1 vote=none
          | follows leader=peer3 term=1 (heard by HEARTBEAT)
          store 1.2:view2[peer2,peer3+peer1]
          peer3 < APPEND_ACK granted=true term=1
          | VIEW_CHANGE view=1 members=peer3,peer2,peer1 term=0 reason=founded
          | VIEW_CHANGE view=2 members=peer3,peer2 term=1 reason=removed:peer1
        > 800ms
          | SUSPECTED peer=peer3 term=1
          | FAILED peer=peer3 term=1
          | election started term=2 reason=leader-failed:peer3
          peer3 < ELECTION term=1
          | asks for pre-votes term=2
          peer3 < PRE_VOTE_REQUEST term=1
        > timer Election
          | election retried term=2 attempt=2 reason=no-majority
          peer1 < NEW_PEER_REQUEST peer=peer2 term=1
          peer3 < NEW_PEER_REQUEST peer=peer2 term=1
          anybody << NEW_PEER_REQUEST peer=peer2 term=1
          peer3 < ELECTION term=1
          | asks for pre-votes term=2
          peer3 < PRE_VOTE_REQUEST term=1
        > peer3 PRE_VOTE term=1 granted=true
          | RECOVERED peer=peer3 term=1
          persist term=2 vote=peer2
          | stands for election term=2
          | voted candidate=peer2 term=2
          peer3 < VOTE_REQUEST term=2
        > peer3 VOTE term=2 granted=true
          | became the Group Leader via election term=2 votes=peer2,peer3
          peer3 < COORDINATOR term=2
          peer1 < COORDINATOR term=2
          store 2.3:noop
          peer1 << APPEND prev=1.2 entries=2.3:noop commit=2 term=2
          peer3 << APPEND prev=1.2 entries=2.3:noop commit=2 term=2
        > peer1 APPEND_ACK term=2 granted=true matched=3
        > peer3 APPEND_ACK term=2 granted=true matched=3
          store 2.4:view3[peer1,peer2,peer3]
          peer1 << APPEND prev=2.3 entries=2.4:view3[peer1,peer2,peer3] commit=3 term=2
          peer3 << APPEND prev=2.3 entries=2.4:view3[peer1,peer2,peer3] commit=3 term=2
        ",
    );
}

#[test]
pub(crate) fn the_later_log_gets_the_vote_and_not_the_longer_one() {
    plays(
        majority,
        "
        > start term=2 log=1,2
          | recovered entries=3 applied=0 torn=0
        > peer1 VOTE_REQUEST term=3 last=1.9
          persist term=3 vote=none
          peer1 < VOTE granted=false term=3
        > peer3 VOTE_REQUEST term=3 last=2.3
          persist term=3 vote=peer3
          | voted candidate=peer3 term=3
          peer3 < VOTE granted=true term=3
        > peer1 PRE_VOTE_REQUEST term=3 last=1.9
          peer1 < PRE_VOTE granted=false term=3
        ",
    );
}

#[test]
fn a_higher_node_with_an_earlier_log_blocks_nobody() {
    plays(
        majority,
        "
        > start term=2 log=1,2
          | recovered entries=3 applied=0 torn=0
        > timer Election
          | election started term=3 reason=no-leader
          peer3 < ELECTION term=2
        > peer3 OK term=2 last=1.9
        > timer Election
          | asks for pre-votes term=3
          peer1 < PRE_VOTE_REQUEST term=2
          peer3 < PRE_VOTE_REQUEST term=2
        ",
    );
}

#[test]
pub(crate) fn a_wiped_disk_has_neither_vote_nor_copies() {
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
        > peer1 PRE_VOTE granted=true incarnation=9
        > peer3 PRE_VOTE granted=true
          persist term=1 vote=peer2
          | stands for election term=1
          | voted candidate=peer2 term=1
          peer1 < VOTE_REQUEST term=1
          peer3 < VOTE_REQUEST term=1
        > peer1 VOTE term=1 granted=true incarnation=9
        > peer3 VOTE term=1 granted=true
          | became the Group Leader via election term=1 votes=peer2,peer3
          peer1 < COORDINATOR term=1
          peer3 < COORDINATOR term=1
          store 1.2:noop
          peer1 << APPEND prev=0.1 entries=1.2:noop commit=0 term=1
          peer3 << APPEND prev=0.1 entries=1.2:noop commit=0 term=1
        > peer1 APPEND_ACK term=1 granted=true matched=2 incarnation=9
        ",
    );
}
