//! How a network begins, exactly once.

use crate::modes::{bootstrap, expecting, joining};
use crate::script::plays;

#[test]
pub(crate) fn the_highest_of_enough_nodes_founds_with_the_pledge_of_all_others() {
    plays(
        expecting,
        "
        > start
        > timer Election
          anybody << NEW_PEER_REQUEST peer=peer2 term=0
        > peer1 NEW_PEER_REQUEST peer=peer1 is_new=true
        > timer Election
          anybody << NEW_PEER_REQUEST peer=peer2 term=0
        > peer0 NEW_PEER_REQUEST peer=peer0 is_new=true
        > timer Election
          anybody << NEW_PEER_REQUEST peer=peer2 term=0
          persist Pledge { to: peer2 }
          | pledged to=peer2
          peer0 < PLEDGE_REQUEST peer=peer2 term=0
          peer1 < PLEDGE_REQUEST peer=peer2 term=0
        > peer1 PLEDGE granted=true peer=peer1
        > peer0 PLEDGE granted=false peer=peer0
        > peer0 PLEDGE granted=true peer=peer0
          store 0.1:view1[peer0,peer1,peer2]
          | founded the network view=1 members=peer2,peer1,peer0
          peer0 < ADDED TO NETWORK view=view1[peer0,peer1,peer2] term=0
          peer1 < ADDED TO NETWORK view=view1[peer0,peer1,peer2] term=0
        ",
    );
}

#[test]
fn a_node_pledges_itself_once_and_founds_nothing_then() {
    plays(
        expecting,
        "
        > start
        > peer3 PLEDGE_REQUEST peer=peer3
          persist Pledge { to: peer3 }
          | pledged to=peer3
          peer3 < PLEDGE granted=true peer=peer2 term=0
        > peer4 PLEDGE_REQUEST peer=peer4
          | pledge refused to=peer4 given=peer3 (it follows if peer3 gives way)
          peer4 < PLEDGE granted=false peer=peer2 term=0
        > peer1 NEW_PEER_REQUEST peer=peer1 is_new=true
        > peer0 NEW_PEER_REQUEST peer=peer0 is_new=true
        > timer Election
          anybody << NEW_PEER_REQUEST peer=peer2 term=0
        > peer3 ADDEDTONETWORK view=view1[peer1,peer2,peer3]
          store 0.1:view1[peer1,peer2,peer3]
        > peer3 VOTE_REQUEST term=1 last=0.1
          persist term=1 vote=none
          persist term=1 vote=peer3
          | voted candidate=peer3 term=1
          peer3 < VOTE granted=true term=1
        ",
    );
}

#[test]
fn who_joins_founds_nothing_and_asks_until_it_is_let_in() {
    plays(
        joining,
        "
        > start
        > timer Election
          anybody << NEW_PEER_REQUEST peer=peer2 term=0
        > peer1 PLEDGE_REQUEST peer=peer1
        > timer Election
          anybody << NEW_PEER_REQUEST peer=peer2 term=0
        > peer3 ADDEDTONETWORK term=4 view=view1[peer1,peer3+peer2]
        > peer3 APPEND term=4 prev=0.0 entries=0.1:view1[peer1,peer3];4.2:view1[peer1,peer3+peer2] commit=1
          persist term=4 vote=none
          | follows leader=peer3 term=4 (heard by HEARTBEAT)
          store 0.1:view1[peer1,peer3]
          store 4.2:view1[peer1,peer3+peer2]
          peer3 < APPEND_ACK granted=true term=4
        > peer3 APPEND term=4 prev=4.2 entries=4.3:view2[peer1,peer2,peer3] commit=3
          store 4.3:view2[peer1,peer2,peer3]
          peer3 < APPEND_ACK granted=true term=4
          | ADDED TO NETWORK view=2 by=peer3 term=4
          | VIEW_CHANGE view=2 members=peer3,peer2,peer1 term=4 reason=joined:peer2
        ",
    );
}

#[test]
fn a_node_that_bootstraps_leads_a_network_of_its_own_once_its_own_vote_is_durable() {
    plays(
        bootstrap,
        "
        > start
        > timer Election
          anybody << NEW_PEER_REQUEST peer=peer2 term=0
        > timer Election
          anybody << NEW_PEER_REQUEST peer=peer2 term=0
          store 0.1:view1[peer2]
          | election started term=1 reason=no-leader
          | asks for pre-votes term=1
          persist term=1 vote=peer2
          | stands for election term=1
          | voted candidate=peer2 term=1
          | became the Group Leader via election term=1 votes=peer2
          store 1.2:view1[peer2]
          | VIEW_CHANGE view=1 members=peer2 term=0 reason=founded
        > ask a/1 text
          | requested msg=a/1 text=text
          store 1.3:a/1
          | acknowledged msg=a/1 seq=1 term=1
          ! acknowledged msg=a/1 seq=1 term=1
          | DELIVERED seq=1 term=1 index=3 msg=a/1 from=a view=1 text=text
        ",
    );
}

#[test]
fn a_founder_gives_way_to_a_higher_one_and_tells_whoever_has_pledged_itself_to_it() {
    plays(
        expecting,
        "
        > start
        > peer1 NEW_PEER_REQUEST peer=peer1 is_new=true
        > peer0 NEW_PEER_REQUEST peer=peer0 is_new=true
        > timer Election
          anybody << NEW_PEER_REQUEST peer=peer2 term=0
          persist Pledge { to: peer2 }
          | pledged to=peer2
          peer0 < PLEDGE_REQUEST peer=peer2 term=0
          peer1 < PLEDGE_REQUEST peer=peer2 term=0
        > peer1 PLEDGE granted=true peer=peer1
        > peer3 PLEDGE_REQUEST peer=peer3
          persist Pledge { to: peer3 }
          | pledged to=peer3
          peer3 < PLEDGE granted=true peer=peer2 term=0
        > peer0 PLEDGE granted=true peer=peer0
        > timer Election
          anybody << NEW_PEER_REQUEST peer=peer2 term=0
          peer0 < PLEDGE_REQUEST peer=peer3 term=0
          peer1 < PLEDGE_REQUEST peer=peer3 term=0
        ",
    );
}

#[test]
fn a_pledge_moves_only_at_the_word_of_whom_it_was_given_to_and_only_upwards() {
    plays(
        expecting,
        "
        > start
        > peer3 PLEDGE_REQUEST peer=peer3
          persist Pledge { to: peer3 }
          | pledged to=peer3
          peer3 < PLEDGE granted=true peer=peer2 term=0
        > peer1 PLEDGE_REQUEST peer=peer4
        > peer3 PLEDGE_REQUEST peer=peer1
        > peer3 PLEDGE_REQUEST peer=peer4
          persist Pledge { to: peer4 }
          | pledged to=peer4
          peer4 < PLEDGE granted=true peer=peer2 term=0
        > peer3 PLEDGE_REQUEST peer=peer3
          | pledge refused to=peer3 given=peer4 (it follows if peer4 gives way)
          peer3 < PLEDGE granted=false peer=peer2 term=0
        ",
    );
}

#[test]
fn a_node_that_is_told_to_found_alone_does_not_if_somebody_takes_it_for_a_member() {
    plays(
        bootstrap,
        "
        > start
        > timer Election
          anybody << NEW_PEER_REQUEST peer=peer2 term=0
        > peer3 HEARTBEAT term=3 seq=9
          | founds no network by=peer3 (which takes this node for a member of one, and its data directory is new: was it lost? It joins as soon as it is let in. If peer3 is not meant to be in the same network, stop it, and start this node again)
        > timer Election
          anybody << NEW_PEER_REQUEST peer=peer2 term=0
        > timer Election
          anybody << NEW_PEER_REQUEST peer=peer2 term=0
        > peer3 VIEW_CHANGE term=3 view=view2[peer1,peer3]
        > timer Election
          peer1 < NEW_PEER_REQUEST peer=peer2 term=0
          peer3 < NEW_PEER_REQUEST peer=peer2 term=0
          anybody << NEW_PEER_REQUEST peer=peer2 term=0
        ",
    );
}
