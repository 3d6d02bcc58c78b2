//! Who should lead: the one place to change.

use dsbench_wire::NodeId;

/// The priority of a node: of all that are alive, the one with the greatest stands for election first.
///
/// As documented, ids compare as text: `peer3 > peer2 > peer1`, and `peer10 < peer2`. The documented tie-break by port has
/// nothing left to break here, because ids are unique. To elect by something else (a number in the id, a node's power) give it
/// another result; every comparison of nodes in the protocol goes through this function, and any total order will do.
#[must_use]
pub fn priority(id: &NodeId) -> impl Ord + '_ {
    id.as_str()
}
