//! Founding a network of so many nodes that nobody listed: by the pledge of every one of them.
//!
//! Nodes that discover each other at the same moment must not each form a network. A node pledges itself once, durably, and a
//! founder needs the pledges of all others that it counts; so with fewer than twice as many nodes there is one founding at most.

use std::collections::BTreeMap;

use dsbench_wire::{Message, NodeId, Peer, Record, View};

use super::Replica;
use crate::{Cx, Event, Founding, Machine};

/// Blank nodes that are remembered at most.
const MET_MAX: usize = 256;

/// What a blank node knows of others, and has promised.
#[derive(Debug, Default)]
pub(super) struct Pledges {
    /// To whom this node's own pledge went, itself perhaps.
    given: Option<NodeId>,
    /// Other blank nodes.
    met: BTreeMap<NodeId, Peer>,
    /// Who has pledged itself to this node.
    received: BTreeMap<NodeId, Peer>,
}

impl Pledges {
    pub(super) fn given_to(&mut self, pledge: Option<NodeId>) {
        self.given = pledge;
    }

    pub(super) fn is_given_to(&self, founder: &NodeId) -> bool {
        self.given.as_ref() == Some(founder)
    }

    /// Another blank node was heard.
    pub(super) fn met(&mut self, peer: Peer) {
        if self.met.len() < MET_MAX || self.met.contains_key(&peer.id) {
            self.met.insert(peer.id.clone(), peer);
        }
    }
}

impl<M: Machine> Replica<M> {
    /// Asks all others for their pledges, if this node is the highest of so many that have met.
    pub(super) fn seek_pledges(&mut self, cx: &mut Cx<'_, Self>) {
        let Founding::Expect(expected) = self.config.founding else { return };
        let is_highest = self.pledges.met.keys().all(|id| M::priority(id) < M::priority(cx.me));
        let is_free = self.pledges.given.as_ref().is_none_or(|given| given == cx.me);
        #[cfg(feature = "mistakes")]
        if self.makes(crate::Mistake::FoundsOnDiscovery) && self.is_blank() {
            let mut members: BTreeMap<_, _> = self.pledges.met.clone();
            members.insert(cx.me.clone(), self.myself(cx.me));
            return self.found_by_pledges(members, cx);
        }
        let is_pledged = self.pledges.given.as_ref() == Some(cx.me);
        if !self.is_blank() || !is_free || !(is_pledged || is_highest && self.pledges.met.len() + 1 >= expected) {
            return;
        }
        if !is_pledged {
            self.give_pledge(cx.me.clone(), cx);
        }
        let (term, peer) = (self.term(), self.myself(cx.me));
        for other in self.pledges.met.values() {
            cx.connect(other.clone());
            cx.send(&other.id, Message::PledgeRequest { term, peer: peer.clone() });
        }
        self.count_pledges(cx);
    }

    fn give_pledge(&mut self, to: NodeId, cx: &mut Cx<'_, Self>) {
        self.pledges.given = Some(to.clone());
        self.persist(Record::Pledge { to: to.clone() }, cx);
        cx.event(Event::Pledged { to });
    }

    /// Upon PLEDGE_REQUEST.
    pub(super) fn pledge_to(&mut self, from: &NodeId, founder: Peer, cx: &mut Cx<'_, Self>) {
        let may = matches!(self.config.founding, Founding::Expect(_)) && self.is_blank() && self.needs_votes();
        if !may || founder.id != *from {
            return;
        }
        self.pledges.met(founder.clone());
        if self.pledges.given.is_none() {
            self.give_pledge(from.clone(), cx);
        }
        let granted = self.pledges.given.as_ref() == Some(from);
        cx.connect(founder);
        cx.send(from, Message::Pledge { term: self.term(), granted, peer: self.myself(cx.me) });
    }

    /// Upon PLEDGE.
    pub(super) fn pledged(&mut self, from: &NodeId, granted: bool, peer: Peer, cx: &mut Cx<'_, Self>) {
        let is_awaited = self.is_blank() && self.pledges.given.as_ref() == Some(cx.me) && peer.id == *from;
        if is_awaited && granted && peer.incarnation != 0 {
            self.pledges.received.insert(from.clone(), peer);
            self.count_pledges(cx);
        }
    }

    /// Founds the network when enough have pledged themselves.
    fn count_pledges(&mut self, cx: &mut Cx<'_, Self>) {
        let Founding::Expect(expected) = self.config.founding else { return };
        if self.pledges.received.len() + 1 < expected {
            return;
        }
        let others = self.pledges.received.clone().into_iter().take(expected - 1);
        let members = others.chain([(cx.me.clone(), self.myself(cx.me))]).collect();
        self.found_by_pledges(members, cx);
    }

    fn found_by_pledges(&mut self, members: BTreeMap<NodeId, Peer>, cx: &mut Cx<'_, Self>) {
        let view = View { id: 1, members, learners: BTreeMap::new() };
        self.found(view, cx);
        let (term, view) = (self.term(), std::sync::Arc::clone(self.views.latest()));
        cx.event(Event::Founded { view: std::sync::Arc::clone(&view), ranking: M::RANKING });
        for id in self.others(cx.me) {
            cx.send(&id, Message::AddedToNetwork { term, view: std::sync::Arc::clone(&view) });
        }
    }
}
