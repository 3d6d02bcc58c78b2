//! Founding a network that nobody listed: by the pledge of every one of so many nodes, or alone.
//!
//! Nodes that discover each other at the same moment must not each form a network. A node pledges itself to one founder, durably, and a
//! founder needs the pledges of all others that it counts; so with fewer than twice as many nodes there is one founding at most.
//!
//! A pledge moves only from a founder that has given way, durably, to a higher one. A founder that has given way never founds: its own
//! pledge only ever goes to a still higher node. So what was pledged to it is free, two foundings still cannot share a node, and where
//! all hear each other the highest that asks has everybody's pledge in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dsbench_wire::{Message, NodeId, Peer, Record, View};

use super::{Replica, VIEW_MAX};
use crate::{Cx, Event, Founding, Machine};

/// Blank nodes that are remembered at most.
const MET_MAX: usize = 64;
/// A blank node that was not heard for so many election timeouts, in each of which it asks at least once, is gone.
const MET_FOR: u32 = 8;

/// What a blank node knows of others, and has promised.
#[derive(Debug, Default)]
pub(super) struct Pledges {
    /// To whom this node's own pledge went, itself perhaps.
    given: Option<NodeId>,
    /// It may have asked for pledges before it gave its own away: those are to follow.
    gave_way: bool,
    /// Other blank nodes, and when each was last heard.
    met: BTreeMap<NodeId, (Peer, Duration)>,
    /// Who has pledged itself to this node.
    received: BTreeMap<NodeId, Peer>,
    /// Who was refused, and people were told.
    refused: BTreeSet<NodeId>,
    /// From when on this node founds a network alone, if it hears of none.
    alone_from: Option<Duration>,
}

impl Pledges {
    /// What an earlier life has promised.
    pub(super) fn recovered(&mut self, pledge: Option<NodeId>, me: &NodeId) {
        self.gave_way = pledge.as_ref().is_some_and(|to| to != me);
        self.given = pledge;
    }

    pub(super) fn is_given_to(&self, founder: &NodeId) -> bool {
        self.given.as_ref() == Some(founder)
    }

    /// Another blank node was heard. False if there are too many.
    pub(super) fn met(&mut self, peer: Peer, now: Duration) -> bool {
        let has_room = self.met.len() < MET_MAX || self.met.contains_key(&peer.id);
        if has_room {
            self.met.insert(peer.id.clone(), (peer, now));
        }
        has_room
    }

    pub(super) fn has_met(&self, id: &NodeId) -> bool {
        self.met.contains_key(id)
    }

    /// How long until this node founds alone, if it is going to.
    pub(super) fn alone_in(&self, now: Duration) -> Option<Duration> {
        self.alone_from.map(|from| from.saturating_sub(now))
    }
}

impl<M: Machine> Replica<M> {
    /// How many nodes found the network together.
    pub(super) fn founders(&self) -> Option<usize> {
        match &self.config.founding {
            Founding::Expect(count) => Some(*count),
            Founding::Together(others) => Some(others.len() + 1),
            Founding::Members(_) | Founding::Bootstrap | Founding::Join => None,
        }
    }

    /// Whether the network may be founded with `id` among its first members.
    fn may_found_with(&self, id: &NodeId) -> bool {
        match &self.config.founding {
            Founding::Together(others) => others.contains(id),
            _ => true,
        }
    }

    /// Whether `id` may found the network as far as this node can tell: of a list that all share, it is the highest.
    fn may_be_founded_by(&self, id: &NodeId, me: &NodeId) -> bool {
        match &self.config.founding {
            Founding::Together(others) => {
                let highest = others.iter().chain([me]).max_by(|a, b| M::priority(a).cmp(&M::priority(b)));
                highest == Some(id)
            }
            _ => true,
        }
    }

    /// Asks all others for their pledges, if this node is the highest of so many that have met.
    pub(super) fn seek_pledges(&mut self, cx: &mut Cx<'_, Self>) {
        let Some(founders) = self.founders().filter(|_| self.is_blank()) else { return };
        self.forget_who_is_gone(cx);
        let others = self.pledges.met.keys().filter(|id| self.may_found_with(id));
        let (count, is_highest) =
            (others.clone().count(), others.clone().all(|id| M::priority(id) < M::priority(cx.me)));
        #[cfg(feature = "mistakes")]
        if self.makes(crate::Mistake::FoundsOnDiscovery) {
            let met = self.pledges.met.values().map(|(peer, _)| (peer.id.clone(), peer.clone()));
            let members = met.chain([(cx.me.clone(), self.myself(cx.me))]).collect();
            return self.found_by_pledges(members, cx);
        }
        match self.pledges.given.clone() {
            None if is_highest && count + 1 >= founders && self.may_be_founded_by(cx.me, cx.me) => {
                self.give_pledge(cx.me.clone(), cx);
            }
            Some(given) if given == *cx.me => {}
            Some(given) => return self.pass_pledges_on(&given, cx),
            None => return,
        }
        let (term, peer) = (self.term(), self.myself(cx.me));
        for (other, _) in self.pledges.met.values().filter(|(other, _)| self.may_found_with(&other.id)) {
            cx.connect(other.clone());
            cx.send(&other.id, Message::PledgeRequest { term, peer: peer.clone() });
        }
        self.count_pledges(cx);
    }

    fn forget_who_is_gone(&mut self, cx: &mut Cx<'_, Self>) {
        let patience = MET_FOR * self.config.election_timeout;
        let mut members = BTreeMap::new();
        self.pledges.met.retain(|id, (peer, heard)| {
            let is_gone = cx.now.saturating_sub(*heard) > patience;
            if is_gone {
                members.insert(id.clone(), peer.clone());
            }
            !is_gone
        });
        self.forget_strangers(&View { members, ..View::default() }, cx);
    }

    fn give_pledge(&mut self, to: NodeId, cx: &mut Cx<'_, Self>) {
        self.pledges.given = Some(to.clone());
        self.persist(Record::Pledge { to: to.clone() }, cx);
        cx.event(Event::Pledged { to });
    }

    /// This node founds no more: whoever has pledged itself to it does so to `higher`, as this node has, for good.
    fn pass_pledges_on(&mut self, higher: &NodeId, cx: &mut Cx<'_, Self>) {
        let Some((higher, _)) = self.pledges.met.get(higher).filter(|_| self.pledges.gave_way) else { return };
        let (term, peer) = (self.term(), higher.clone());
        for (other, _) in self.pledges.met.values().filter(|(other, _)| other.id != peer.id) {
            cx.connect(other.clone());
            cx.send(&other.id, Message::PledgeRequest { term, peer: peer.clone() });
        }
    }

    /// Upon PLEDGE_REQUEST: of a founder, or of one that has given way to it.
    pub(super) fn pledge_to(&mut self, from: &NodeId, founder: Peer, cx: &mut Cx<'_, Self>) {
        let is_theirs = founder.id != *cx.me && self.may_found_with(&founder.id);
        if self.founders().is_none() || !self.is_blank() || !self.needs_votes() || !is_theirs {
            return;
        }
        let is_higher = |than: &NodeId| M::priority(&founder.id) > M::priority(than);
        let may_move = match &self.pledges.given {
            None => *from == founder.id,
            // Its pledge to itself binds nobody else.
            Some(given) if given == cx.me => *from == founder.id && is_higher(cx.me),
            Some(given) => given == from && *from != founder.id && is_higher(from),
        };
        let is_again = self.pledges.is_given_to(&founder.id);
        if *from != founder.id && !may_move && !is_again || !self.pledges.met(founder.clone(), cx.now) {
            return;
        }
        if may_move && self.may_be_founded_by(&founder.id, cx.me) {
            self.pledges.gave_way |= self.pledges.is_given_to(cx.me);
            self.pledges.received.clear();
            self.give_pledge(founder.id.clone(), cx);
        }
        let granted = self.pledges.is_given_to(&founder.id);
        if !granted && self.pledges.refused.len() < MET_MAX && self.pledges.refused.insert(founder.id.clone()) {
            cx.event(Event::PledgeRefused { to: founder.id.clone(), given: self.pledges.given.clone() });
        }
        let to = founder.id.clone();
        cx.connect(founder);
        cx.send(&to, Message::Pledge { term: self.term(), granted, peer: self.myself(cx.me) });
    }

    /// Upon PLEDGE.
    pub(super) fn pledged(&mut self, from: &NodeId, granted: bool, peer: Peer, cx: &mut Cx<'_, Self>) {
        let is_awaited = self.is_blank() && self.pledges.is_given_to(cx.me) && peer.id == *from;
        if is_awaited && granted && peer.incarnation != 0 && self.may_found_with(from) {
            self.pledges.received.insert(from.clone(), peer);
            self.count_pledges(cx);
        }
    }

    /// Founds the network when enough have pledged themselves.
    fn count_pledges(&mut self, cx: &mut Cx<'_, Self>) {
        let Some(founders) = self.founders().filter(|&founders| self.pledges.received.len() + 1 >= founders) else {
            return;
        };
        let others = self.pledges.received.clone().into_iter().take(founders - 1);
        let members = others.chain([(cx.me.clone(), self.myself(cx.me))]).collect();
        self.found_by_pledges(members, cx);
    }

    /// Upon the founder's first view, of which this node is: it is on the founder's disk. From now on the network does not depend on
    /// the founder alone. The view may have learners by now; the founding has none, and all logs begin alike.
    pub(super) fn found_by_another(&mut self, founder: &NodeId, view: &View, cx: &mut Cx<'_, Self>) {
        let is_mine = view.members.get(cx.me).is_some_and(|me| me.incarnation == self.incarnation);
        if self.is_blank() && view.id == 1 && is_mine && self.pledges.is_given_to(founder) {
            self.found(View { learners: BTreeMap::new(), ..view.clone() }, cx);
        }
    }

    fn found_by_pledges(&mut self, members: BTreeMap<NodeId, Peer>, cx: &mut Cx<'_, Self>) {
        let view = View { id: 1, network: self.incarnation, members, learners: BTreeMap::new() };
        if view.weight() > VIEW_MAX {
            let (peer, term) = (self.myself(cx.me), self.term());
            return cx.event(Event::NoRoom { peer, term });
        }
        self.found(view, cx);
        let (term, view) = (self.term(), Arc::clone(self.views.latest()));
        cx.event(Event::Founded { view: Arc::clone(&view), ranking: M::RANKING });
        for id in self.others(cx.me) {
            cx.send(&id, Message::AddedToNetwork { term, view: Arc::clone(&view) });
        }
    }

    /// Founds alone, but not before others had the time to say that there is a network: a disk that is new may be one that was lost,
    /// and then the others go on.
    pub(super) fn found_alone_after_a_while(&mut self, cx: &mut Cx<'_, Self>) {
        // A leader speaks at least once meanwhile.
        let listens = self.config.heartbeat_interval + self.config.election_timeout / 4;
        self.pledges.alone_from = Some(cx.now + listens);
    }

    /// Founds alone if it is time. Then there is somebody to vote for.
    pub(super) fn founds_alone(&mut self, cx: &mut Cx<'_, Self>) -> bool {
        let is_due = self.is_blank() && self.pledges.alone_in(cx.now) == Some(Duration::ZERO);
        if is_due {
            self.pledges.alone_from = None;
            self.found(View::of_strangers([(cx.me.clone(), self.config.endpoint.clone())]), cx);
        }
        is_due
    }

    /// Somebody takes this node for a member of a network that its disk knows nothing of: it founds none any more in this life.
    pub(super) fn founds_nothing(&mut self, from: &NodeId, cx: &mut Cx<'_, Self>) {
        if self.pledges.alone_from.take().is_some() {
            cx.event(Event::FoundsNothing { by: from.clone() });
        }
    }
}
