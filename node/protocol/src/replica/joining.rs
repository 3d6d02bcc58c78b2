//! Coming into a network: who is in none asks, and who is in one answers.

use std::sync::Arc;

use dsbench_wire::{Message, NodeId, Peer, Term, View};

use super::{Replica, Timer};
use crate::{Cx, Event, Founding, Machine};

/// Who wants in at most, at a time.
const JOINERS_MAX: usize = 64;

impl<M: Machine> Replica<M> {
    /// Whether others say that the network goes on without this node.
    pub(super) fn is_out(&self, me: &NodeId) -> bool {
        let hearsay = self.hearsay.as_ref().filter(|view| view.id > self.view().id);
        hearsay.is_some_and(|view| !view.members.get(me).is_some_and(|peer| peer.is(self.incarnation)))
    }

    /// Without a leader and not a member: looks for a network, or for enough others to found one.
    pub(super) fn seek(&mut self, cx: &mut Cx<'_, Self>) {
        self.ask_to_be_let_in(cx);
        self.seek_pledges(cx);
        let pause = cx.between(self.config.election_timeout / 2, self.config.election_timeout);
        cx.arm(Timer::Election, pause);
    }

    /// NEW_PEER_REQUEST to everybody who may know a leader.
    pub(super) fn ask_to_be_let_in(&mut self, cx: &mut Cx<'_, Self>) {
        let is_new = self.is_blank() && matches!(self.config.founding, Founding::Expect(_));
        let request = Message::NewPeerRequest { term: self.term(), peer: self.myself(cx.me), is_new };
        let of_hearsay = self.hearsay.iter().flat_map(|view| view.peers());
        let known = self.view().peers().chain(of_hearsay).map(|peer| &peer.id).chain(self.config.contacts.keys());
        let mut known: Vec<_> = known.filter(|&id| id != cx.me).cloned().collect();
        known.sort_unstable();
        known.dedup();
        for id in known {
            cx.send(&id, request.clone());
        }
        cx.broadcast(request);
    }

    /// What may come from anybody, known or not; the rest is given back.
    pub(super) fn anybodys(&mut self, from: &NodeId, message: Message, cx: &mut Cx<'_, Self>) -> Option<Message> {
        match message {
            Message::NewPeerRequest { peer, is_new, .. } => self.new_peer(from, peer, is_new, cx),
            Message::AddedToNetwork { term, view } | Message::ViewChange { term, view } => {
                self.hear_of(from, term, view, cx);
            }
            Message::PledgeRequest { peer, .. } => self.pledge_to(from, peer, cx),
            Message::Pledge { granted, peer, .. } => self.pledged(from, granted, peer, cx),
            other => return Some(other),
        }
        None
    }

    /// Upon NEW_PEER_REQUEST.
    fn new_peer(&mut self, from: &NodeId, peer: Peer, is_new: bool, cx: &mut Cx<'_, Self>) {
        if peer.id == *cx.me || peer.incarnation == 0 {
            return;
        }
        if !self.needs_votes() {
            return self.classroom_admits(peer, cx);
        }
        if self.is_blank() {
            if is_new && peer.id == *from {
                self.pledges.met(peer);
            }
            return;
        }
        let known = self.view().peer(&peer.id).filter(|known| known.is(peer.incarnation));
        if known.is_some() && self.is_voting(cx.me) {
            // It is in already, and does not know it, or not who leads.
            cx.connect(peer.clone());
            let (term, view) = (self.term(), Arc::clone(self.views.latest()));
            cx.send(&peer.id, Message::AddedToNetwork { term, view });
        } else if let Some(leading) = &mut self.leading {
            if leading.joiners.len() < JOINERS_MAX && leading.joiners.insert(peer.id.clone(), peer.clone()).is_none() {
                cx.event(Event::NewPeerRequest { peer, term: self.ballot.term });
            }
            self.manage(cx);
        } else if peer.id == *from
            && let Some(leader) = self.leader.clone()
        {
            cx.send(&leader, Message::NewPeerRequest { term: self.term(), peer, is_new });
        }
    }

    /// Upon ADDED TO NETWORK and VIEW_CHANGE: who is in the network now, and where.
    fn hear_of(&mut self, from: &NodeId, term: Term, view: Arc<View>, cx: &mut Cx<'_, Self>) {
        if !self.needs_votes() {
            return self.classroom_hears_of(from, term, &view, cx);
        }
        let is_news = self.hearsay.as_ref().is_none_or(|known| view.id >= known.id) && view.id >= self.view().id;
        if !is_news {
            return;
        }
        for peer in view.peers().filter(|peer| peer.id != *cx.me) {
            cx.connect(peer.clone());
        }
        let is_mine = view.members.get(cx.me).is_some_and(|me| me.incarnation == self.incarnation);
        if self.is_blank() && view.id == 1 && is_mine && self.pledges.is_given_to(from) {
            // The founder has it on its disk. From now on the network does not depend on the founder alone.
            self.found(view.as_ref().clone(), cx);
        }
        self.hearsay = Some(view);
    }

    /// Whether this node has no history, and so is in no network.
    pub(super) fn is_blank(&self) -> bool {
        self.log.last().index == 0
    }
}
