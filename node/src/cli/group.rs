//! What every system's console tells of the group: who is in it, who leads, and what this node is there.

use std::fmt::Write as _;

use dsbench_protocol::{Machine, Replica};
use dsbench_wire::{NodeId, Peer, View};

/// What this node is at the moment, in one word.
pub(super) fn role<M: Machine>(me: &NodeId, replica: &Replica<M>) -> &'static str {
    match replica.leader() {
        Some(leader) if leader == me => "leader",
        Some(_) => "follower",
        None if replica.is_member() => "electing",
        None => "joining",
    }
}

/// The committed view; before there is one, who is known to be a founder.
pub(super) fn view<M: Machine>(replica: &Replica<M>) -> &View {
    let committed = replica.committed_view();
    if committed.members.is_empty() { replica.view() } else { committed }
}

/// The members, the one of the highest priority first.
pub(super) fn by_priority<M: Machine>(view: &View) -> Vec<&Peer> {
    let mut members: Vec<&Peer> = view.members.values().collect();
    members.sort_by(|a, b| M::priority(&b.id).cmp(&M::priority(&a.id)));
    members
}

/// Everybody in the view, as what: the members by priority, and then who is about to become one.
pub(super) fn everybody<M: Machine>(view: &View) -> impl Iterator<Item = (&Peer, &'static str)> {
    let members = by_priority::<M>(view).into_iter().map(|peer| (peer, "member"));
    members.chain(view.learners.values().map(|peer| (peer, "learner")))
}

/// Everybody in the view and where each is reached, one per line after `head`.
pub(super) fn listed<M: Machine>(head: String, replica: &Replica<M>) -> String {
    let mut told = head;
    for (peer, what) in everybody::<M>(view(replica)) {
        let leads = if replica.leader() == Some(&peer.id) { " leads" } else { "" };
        // A string takes everything.
        let _ = write!(told, "\n  {} {} {what}{leads}", peer.id, peer.endpoint);
    }
    told
}

/// `peer1,peer2`, or `none`: a value without a space.
pub(super) fn list<'a>(ids: impl IntoIterator<Item = &'a NodeId>) -> String {
    let ids: Vec<&str> = ids.into_iter().map(NodeId::as_str).collect();
    if ids.is_empty() { "none".to_owned() } else { ids.join(",") }
}
