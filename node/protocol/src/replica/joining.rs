//! Coming into a network: who is in none asks, and who is in one answers.

use dsbench_wire::{Message, NodeId, Peer, View};

use super::{Replica, Timer};
use crate::{Cx, Founding, Machine, Reason};

impl<M: Machine> Replica<M> {
    /// Without a leader and not a member: looks for a network, or for enough others to found one.
    pub(super) fn seek(&mut self, cx: &mut Cx<'_, Self>) {
        self.ask_to_be_let_in(cx);
        self.seek_pledges(cx);
        if self.founds_alone(cx) {
            return self.begin_election(Reason::NoLeader, cx);
        }
        let pause = cx.between(self.config.election_timeout / 2, self.config.election_timeout);
        let pause = self.pledges.alone_in(cx.now).map_or(pause, |alone| pause.min(alone));
        cx.arm(Timer::Election, pause);
    }

    /// NEW_PEER_REQUEST to everybody who may know a leader.
    pub(super) fn ask_to_be_let_in(&mut self, cx: &mut Cx<'_, Self>) {
        let is_new = self.is_blank() && matches!(self.config.founding, Founding::Expect(_) | Founding::Together(_));
        let (term, peer, network) = (self.term(), self.myself(cx.me), self.network());
        let request = Message::NewPeerRequest { term, peer, is_new, network };
        let known =
            self.view().peers().chain(self.hearsay.peers()).map(|peer| &peer.id).chain(self.config.contacts.keys());
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
            Message::NewPeerRequest { peer, is_new, network, .. } => self.new_peer(from, peer, is_new, network, cx),
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
    fn new_peer(&mut self, from: &NodeId, peer: Peer, is_new: bool, network: u64, cx: &mut Cx<'_, Self>) {
        if peer.id == *cx.me || peer.incarnation == 0 {
            return;
        }
        if !self.needs_votes() {
            return self.classroom_admits(peer, cx);
        }
        if self.is_blank() {
            if network != 0 {
                self.founds_nothing(from, cx);
            } else if is_new && peer.id == *from {
                self.pledges.met(peer, cx.now);
            }
            return;
        }
        if self.is_another(network) {
            return self.tell_of_this(peer, cx);
        }
        let known = self.view().peer(&peer.id).cloned();
        let has_other_disk = known.as_ref().is_some_and(|known| !known.is(peer.incarnation));
        if has_other_disk && self.is_voting(cx.me) && !self.is_leader() {
            // Whose disk was lost must not found the network again meanwhile, if that is what it was told to do.
            self.tell_of_this(peer.clone(), cx);
        }
        let known = known.filter(|known| known.is(peer.incarnation));
        if known.is_some() && self.is_voting(cx.me) {
            // It is in already, and does not know it, or not who leads.
            cx.connect(peer.clone());
            // A name that may still be replaced is none.
            let view = View { network: self.network(), ..self.view().clone() };
            cx.send(&peer.id, Message::AddedToNetwork { term: self.term(), view: view.into() });
        } else if self.is_leader() {
            self.wants_in(peer, cx);
        } else if peer.id == *from
            && let Some(leader) = self.leader.clone()
        {
            cx.send(&leader, Message::NewPeerRequest { term: self.term(), peer, is_new, network });
        }
    }

    /// Whether this node has no history, and so is in no network.
    pub(super) fn is_blank(&self) -> bool {
        self.log.last().index == 0
    }
}
