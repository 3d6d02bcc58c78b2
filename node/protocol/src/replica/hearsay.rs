//! Hearsay: what others say about a network, beside what the own log says.
//!
//! It is how a node finds a network, and learns that one goes on without it. It may be old, absurd or a lie, so little rests on it:
//! it is in force for a while and no longer, strangers are heard only by a node without a leader, and whoever is in the own log is
//! where the own log says. The name of the network tells two foundings apart that were meant to be one.

use std::sync::Arc;
use std::time::Duration;

use dsbench_wire::{Message, NodeId, Peer, Term, View};

use super::{Replica, VIEW_MAX};
use crate::{Cx, Event, Machine, Reason};

/// For so many heartbeat timeouts it counts, if nobody says it again. Meanwhile whoever is out has asked many times.
const COUNTS_FOR: u32 = 4;

/// What others say.
#[derive(Debug, Default)]
pub(super) struct Hearsay {
    /// Who is in the network, where that is newer than the log.
    news: Option<News>,
    /// Another network, which takes this node for one of its own.
    rival: Option<Rival>,
    /// Of which other network people were told.
    told: Option<u64>,
    /// The last node of another network that was told of this one, and when.
    asker: Option<(Peer, Duration)>,
}

#[derive(Debug)]
struct News {
    view: Arc<View>,
    heard: Duration,
    /// Whether somebody said it whom this node knew.
    is_trusted: bool,
    /// Nobody has said it for long: it names whom to ask, and proves nothing.
    is_stale: bool,
}

#[derive(Debug)]
struct Rival {
    /// Whom to ask if it is still there.
    from: Peer,
    heard: Duration,
}

impl Hearsay {
    fn news(&self) -> Option<&News> {
        self.news.as_ref().filter(|news| !news.is_stale)
    }

    /// Whom it names, to be asked.
    pub(super) fn peers(&self) -> impl Iterator<Item = &Peer> {
        let rival = self.rival.as_ref().map(|rival| &rival.from);
        let asker = self.asker.as_ref().map(|(asker, _)| asker);
        self.news.iter().flat_map(|news| news.view.peers()).chain(rival).chain(asker)
    }

    /// Whether it names `id` as one of a network that is newer than view `own`.
    pub(super) fn names(&self, id: &NodeId, own: u64) -> bool {
        self.news.as_ref().is_some_and(|news| news.view.id > own && news.view.peer(id).is_some())
    }
}

impl<M: Machine> Replica<M> {
    /// Whether the network goes on without this node, or is another one than this node's.
    pub(super) fn is_out(&self, me: &NodeId) -> bool {
        let is_newer = |news: &&News| news.is_trusted && news.view.id > self.view().id;
        let news = self.hearsay.news().filter(is_newer);
        let is_in = |news: &News| news.view.members.get(me).is_some_and(|peer| peer.is(self.incarnation));
        self.hearsay.rival.is_some() || news.is_some_and(|news| !is_in(news))
    }

    /// Upon ADDED TO NETWORK and VIEW_CHANGE: who is in the network now, and where.
    pub(super) fn hear_of(&mut self, from: &NodeId, term: Term, view: Arc<View>, cx: &mut Cx<'_, Self>) {
        if !self.needs_votes() {
            return self.classroom_hears_of(from, term, &view, cx);
        }
        // No honest view is heavier, and each peer that it names costs a connection.
        if view.weight() > VIEW_MAX {
            return;
        }
        self.doubt_hearsay(cx);
        if self.is_another(view.network) {
            return self.hear_of_another(from, &view, cx);
        }
        let is_known = self.view().peer(from).is_some()
            || self.committed_view().peer(from).is_some()
            || self.config.contacts.contains_key(from)
            || self.pledges.is_given_to(from);
        let follows = self.hears_leader(cx);
        let is_named = self.hearsay.names(from, 0) || self.hearsay.news().is_none();
        let is_news = |news: &News| view.id >= news.view.id || is_known && !news.is_trusted;
        let is_newer = self.hearsay.news().is_none_or(is_news) && view.id >= self.view().id;
        if !is_newer || !is_known && (follows || !is_named) {
            return;
        }
        self.founds_nothing(from, cx);
        self.found_by_another(from, &view, cx);
        for peer in view.peers().filter(|peer| peer.id != *cx.me) {
            let known = self.view().peer(&peer.id).map(|peer| &peer.endpoint);
            let known = known.or_else(|| self.config.contacts.get(&peer.id));
            if known.is_none_or(|endpoint| *endpoint == peer.endpoint) || is_known && !follows {
                cx.connect(peer.clone());
            }
        }
        let was_voting = self.is_voting(cx.me);
        let news = News { view: Arc::clone(&view), heard: cx.now, is_trusted: is_known, is_stale: false };
        if let Some(before) = self.hearsay.news.replace(news) {
            self.forget_strangers(&before.view, cx);
        }
        if was_voting && !self.is_voting(cx.me) && view.peer(cx.me).is_none() {
            // It was taken for dead. From the leader nothing comes any more, and to wait for what it does not say would take two timeouts.
            self.ask_to_be_let_in(cx);
        }
    }

    /// Ends the connections to those of `before` whom nothing else names.
    pub(super) fn forget_strangers(&self, before: &View, cx: &mut Cx<'_, Self>) {
        for Peer { id, .. } in before.peers().filter(|peer| peer.id != *cx.me) {
            let is_wanted = self.view().peer(id).is_some()
                || self.committed_view().peer(id).is_some()
                || self.config.contacts.contains_key(id)
                || self.pledges.has_met(id)
                || self.hearsay.peers().any(|peer| peer.id == *id);
            if !is_wanted {
                cx.forget(id);
            }
        }
    }

    /// What nobody has said for long counts no more.
    pub(super) fn doubt_hearsay(&mut self, cx: &mut Cx<'_, Self>) {
        let oldest = cx.now.saturating_sub(COUNTS_FOR * self.config.heartbeat_timeout);
        let is_old = cx.now >= COUNTS_FOR * self.config.heartbeat_timeout;
        if let Some(news) = self.hearsay.news.as_mut().filter(|news| is_old && news.heard <= oldest && !news.is_stale) {
            news.is_stale = true;
            // Some may be somewhere else than it said.
            self.meet_view(cx);
        }
        if let Some(rival) = self.hearsay.rival.take_if(|rival| is_old && rival.heard <= oldest) {
            self.forget_strangers(&only(Some(rival.from)), cx);
        }
    }

    /// Which network this node is in for good; 0 is none. A name that is not committed yet may be replaced, but for the founding view's.
    pub(super) fn network(&self) -> u64 {
        self.views.oldest().network
    }

    /// Whether `network` is none that this node's log can be of.
    pub(super) fn is_another(&self, network: u64) -> bool {
        network != 0 && self.network() != 0 && network != self.network()
    }

    /// Upon news of another network that takes this node for one of its own: somebody has founded twice, as with a disk that was
    /// wiped. Nothing of the other may come into this node's log. Who is alone in its network gives way: the other has the history.
    fn hear_of_another(&mut self, from: &NodeId, view: &Arc<View>, cx: &mut Cx<'_, Self>) {
        let Some(peer) = view.peer(from).filter(|peer| peer.id != *cx.me) else { return };
        self.tell_another(view.network, from, Some(peer), cx);
        // The network with more members, with the longer history, or else with the higher number: of two that are alone, one stays.
        let weight = |view: &View| (view.members.len(), view.id, view.network);
        if self.is_alone(cx.me) && weight(view) > weight(self.committed_view()) {
            cx.connect(peer.clone());
            self.give_way(peer.clone(), cx);
        }
    }

    /// Upon what only members say, of somebody who never was one here. Anybody can say it, and it names no network: a blank node founds
    /// nothing then, but a leader is not brought down by it. People are told.
    pub(super) fn is_missed_by(&mut self, from: &NodeId, cx: &mut Cx<'_, Self>) {
        if self.is_blank() {
            self.founds_nothing(from, cx);
        } else if self.is_alone(cx.me) && self.network() != 0 && self.committed_view().id == 1 && self.needs_votes() {
            self.tell_another(0, from, None, cx);
        }
    }

    fn tell_another(&mut self, network: u64, from: &NodeId, peer: Option<&Peer>, cx: &mut Cx<'_, Self>) {
        let is_told = self.hearsay.told.is_some_and(|told| told == network || network == 0);
        if !is_told {
            self.hearsay.told = Some(network);
            let endpoint = peer.map(|peer| peer.endpoint.clone());
            cx.event(Event::AnotherNetwork { from: from.clone(), endpoint });
        }
    }

    fn give_way(&mut self, to: Peer, cx: &mut Cx<'_, Self>) {
        let reason = Reason::AnotherNetwork(to.id.clone());
        let before = self.hearsay.rival.replace(Rival { from: to, heard: cx.now });
        self.forget_strangers(&only(before.map(|rival| rival.from)), cx);
        if self.is_leader() {
            self.step_down(reason, cx);
        }
    }

    fn is_alone(&self, me: &NodeId) -> bool {
        self.view().peers().all(|peer| peer.id == *me)
    }

    /// Upon NEW_PEER_REQUEST of a node that is in another network: it is not let in, and learns of this one. One at a time, because
    /// it costs a connection.
    pub(super) fn tell_of_this(&mut self, peer: Peer, cx: &mut Cx<'_, Self>) {
        let is_known = self.view().peer(&peer.id).is_some() || self.config.contacts.contains_key(&peer.id);
        let timeout = self.config.heartbeat_timeout;
        let is_other = |asker: &Peer| *asker != peer;
        match &self.hearsay.asker {
            _ if is_known => {}
            Some((asker, since)) if is_other(asker) && cx.now.saturating_sub(*since) < timeout => return,
            _ => {
                cx.connect(peer.clone());
                let before = self.hearsay.asker.replace((peer.clone(), cx.now));
                self.forget_strangers(&only(before.map(|(before, _)| before)), cx);
            }
        }
        let (term, view) = (self.term(), Arc::clone(self.views.committed(self.commit)));
        cx.send(&peer.id, Message::ViewChange { term, view });
    }

    /// A leader with no other member asks whether there is another network, which was founded apart.
    pub(super) fn seek_another(&mut self, cx: &mut Cx<'_, Self>) {
        if self.is_leader() && self.is_alone(cx.me) && self.needs_votes() && self.network() != 0 {
            self.ask_to_be_let_in(cx);
        }
    }
}

/// One peer or none, where a view is asked for.
fn only(peer: Option<Peer>) -> View {
    View { members: peer.into_iter().map(|peer| (peer.id.clone(), peer)).collect(), ..View::default() }
}
