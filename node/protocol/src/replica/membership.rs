//! Membership: one member is added or removed at a time, by an entry of the log (Ongaro's thesis, 4.1 and 4.2).
//!
//! Any majority of a view and any majority of the next one share a node, because they differ by one member. A new leader changes
//! nothing before an entry of its own term is committed: until then, a change that it does not know of may be under way.

use std::sync::Arc;
use std::time::Duration;

use dsbench_wire::{Content, Message, NodeId, Peer, View};

use super::Replica;
use super::replicating::Progress;
use crate::{Cx, Event, Machine, Reason};

/// A learner that lacks so few entries is caught up: the rest comes with what is under way anyway.
const CAUGHT_UP: u64 = 64;
/// Learners at a time. Whoever asks becomes one, and costs the network its log.
const LEARNERS_MAX: usize = 8;
/// What a view weighs at most: it travels in one line, with a part of a snapshot in the same. That is room for 80 usual members, and
/// for 24 with the longest names.
pub(crate) const VIEW_MAX: usize = 12 * 1024;

impl<M: Machine> Replica<M> {
    /// Whether what `from` says in the name of `incarnation` counts in the view in force. A disk that is not known yet is
    /// entered into the view; one that is another than the view's has lost what the view's had promised, and does not count.
    pub(super) fn counts(&mut self, from: &NodeId, incarnation: u64, cx: &mut Cx<'_, Self>) -> bool {
        let Some(known) = self.view().peer(from).map(|peer| peer.incarnation).filter(|_| incarnation != 0) else {
            return false;
        };
        #[cfg(feature = "mistakes")]
        if self.makes(crate::Mistake::CountsAnyVote) {
            if let Some(progress) = self.progress_of(from, incarnation) {
                progress.incarnation = known;
            }
            return true;
        }
        if known == incarnation {
            return true;
        }
        if known == 0 {
            let mut view = self.views.latest().as_ref().clone();
            if let Some(peer) = view.members.get_mut(from) {
                peer.incarnation = incarnation;
            }
            self.propose(Content::View(Arc::new(view)), cx);
            return true;
        }
        if let Some(leading) = &mut self.leading {
            leading.replaced.insert(from.clone(), incarnation);
        }
        self.manage(cx);
        false
    }

    /// The leader's care for the view: makes the next change that is due, if none is under way.
    pub(super) fn manage(&mut self, cx: &mut Cx<'_, Self>) {
        if !self.needs_votes() {
            return self.classroom_manages(cx);
        }
        let Some(leading) = &self.leading else { return };
        let is_settled = self.commit >= leading.first && self.views.index() <= self.commit;
        #[cfg(feature = "mistakes")]
        let is_settled = is_settled || self.makes(crate::Mistake::ChangesTwoAtOnce);
        if !is_settled || self.is_handing_over() {
            return;
        }
        if let Some(next) = self.without_who_is_gone(cx).or_else(|| self.with_who_caught_up(cx.now)) {
            return self.change(View { id: self.view().id + 1, ..next }, cx);
        }
        if let Some(next) = self.with_other_learners(cx) {
            // Learners count for nothing: for people, and for quorums, it is the same view.
            self.change(next, cx);
        }
    }

    fn change(&mut self, view: View, cx: &mut Cx<'_, Self>) {
        let view = Arc::new(view);
        let (term, before) = (self.term(), Arc::clone(self.views.latest()));
        self.propose(Content::View(Arc::clone(&view)), cx);
        for peer in view.learners.values().filter(|peer| before.learners.get(&peer.id) != Some(*peer)) {
            cx.send(&peer.id, Message::AddedToNetwork { term, view: Arc::clone(&view) });
        }
        self.count_copies(cx);
    }

    /// A member that failed, left, or lost its disk goes, as long as those of the rest who are heard are a majority of the view.
    /// They can then commit the change, and what follows, by themselves.
    fn without_who_is_gone(&self, cx: &Cx<'_, Self>) -> Option<View> {
        let leading = self.leading.as_ref()?;
        let view = self.view();
        let is_gone = |id: &NodeId| self.suspicions.is_gone(id, cx.now) || leading.replaced.contains_key(id);
        let mut gone = view.members.keys().filter(|&id| id != cx.me && is_gone(id));
        #[cfg(feature = "mistakes")]
        if self.makes(crate::Mistake::ChangesTwoAtOnce) {
            let gone: Vec<_> = gone.collect();
            let mut view = view.clone();
            view.members.retain(|id, _| !gone.contains(&id));
            return (!gone.is_empty()).then_some(view);
        }
        let gone = gone.next()?;
        // Asked after that: a view that shrinks to two, of which one has just died with its disk, would be stuck for ever.
        let since = self.suspicions.gone_since(gone).unwrap_or_default();
        let is_well = |id: &&NodeId| {
            let has_answered = leading.lease.has_answered_since(id, since) && self.suspicions.is_heard(id, cx.now);
            *id == cx.me || !is_gone(id) && has_answered
        };
        // Of two, the one that leads needs nobody's answer to be the whole next view. That is asked for only where the other has said
        // goodbye: one that is merely not heard may have what this disk is about to lose.
        let is_last = view.members.len() == 2 && view.has_member(cx.me) && self.suspicions.has_left(gone);
        if !is_last && view.members.keys().filter(is_well).count() < view.majority() {
            return None;
        }
        let mut view = view.clone();
        view.members.remove(gone);
        Some(view)
    }

    /// A learner that has caught up becomes a member, unless that would cost the leader its majority: of two members, the second has to
    /// have answered a heartbeat.
    fn with_who_caught_up(&self, now: Duration) -> Option<View> {
        let leading = self.leading.as_ref()?;
        let last = self.log.last().index;
        let view = self.view();
        let is_ready = |peer: &&Peer| {
            let progress = leading.progress.get(&peer.id);
            let is_near = |progress: &Progress| {
                progress.incarnation == peer.incarnation
                    && progress.matched() >= leading.first
                    && progress.matched() + CAUGHT_UP >= last
            };
            !self.suspicions.is_silent(&peer.id) && progress.is_some_and(is_near)
        };
        let ready = view.learners.values().find(is_ready)?.clone();
        let mut view = view.clone();
        view.learners.remove(&ready.id);
        view.members.insert(ready.id.clone(), ready);
        let others = view.majority() - 1;
        let follows = others == 0 || leading.lease.expires(others, |id| view.has_member(id)) > now;
        follows.then_some(view)
    }

    /// Who asked to be let in becomes a learner, and learners that are gone are dropped.
    fn with_other_learners(&mut self, cx: &mut Cx<'_, Self>) -> Option<View> {
        let current = Arc::clone(self.views.latest());
        let mut view = current.as_ref().clone();
        let leading = self.leading.as_mut()?;
        // One with another disk asks again, in its new name.
        view.learners.retain(|id, _| !self.suspicions.is_gone(id, cx.now) && !leading.replaced.contains_key(id));
        let joiners = std::mem::take(&mut leading.joiners);
        for (id, peer) in joiners {
            match view.members.get(&id) {
                None if !has_room(&view, &peer) => {}
                // The old disk has to go first; who has the new one asks again.
                Some(member) if !member.is(peer.incarnation) => {
                    leading.replaced.insert(id, peer.incarnation);
                }
                Some(_) => {}
                None => {
                    leading.replaced.remove(&id);
                    self.suspicions.forget(&id);
                    self.suspicions.watch_also(&id, cx.now);
                    view.learners.insert(id, peer);
                }
            }
        }
        (view != *current).then_some(view)
    }

    /// Upon NEW_PEER_REQUEST: who wants in waits for the next change, if there is room.
    pub(super) fn wants_in(&mut self, peer: Peer, cx: &mut Cx<'_, Self>) {
        let (term, view) = (self.ballot.term, Arc::clone(self.views.latest()));
        let Some(leading) = &mut self.leading else { return };
        let is_known = view.has_member(&peer.id) || leading.joiners.contains_key(&peer.id);
        let with_joiners = leading.joiners.values().fold(view.as_ref().clone(), |mut view, joiner| {
            view.learners.insert(joiner.id.clone(), joiner.clone());
            view
        });
        if !is_known && !has_room(&with_joiners, &peer) {
            if !std::mem::replace(&mut leading.is_full, true) {
                cx.event(Event::NoRoom { peer, term });
            }
        } else if leading.joiners.insert(peer.id.clone(), peer.clone()).is_none() {
            leading.is_full = false;
            cx.event(Event::NewPeerRequest { peer, term });
        }
        self.manage(cx);
    }

    /// The view in force is another one: who is in it can be reached, and a leader looks after all of them.
    pub(super) fn meet_view(&mut self, cx: &mut Cx<'_, Self>) {
        let view = Arc::clone(self.views.latest());
        for peer in view.peers().filter(|peer| peer.id != *cx.me) {
            cx.connect(peer.clone());
        }
        let next = self.log.last().index + 1;
        if let Some(leading) = &mut self.leading {
            leading.progress.retain(|id, _| view.peer(id).is_some());
            for peer in view.peers().filter(|peer| peer.id != *cx.me) {
                leading.progress.entry(peer.id.clone()).or_insert_with(|| Progress::new(next));
                self.suspicions.watch_also(&peer.id, cx.now);
            }
            self.arm_silence(cx);
        }
    }

    /// A view took the place of another one for good.
    pub(super) fn view_is_committed(&mut self, before: &View, after: &Arc<View>, cx: &mut Cx<'_, Self>) {
        let removed = before.peers().filter(|peer| peer.id != *cx.me && after.peer(&peer.id).is_none());
        for peer in removed {
            if let Some(leading) = &mut self.leading {
                leading.replaced.remove(&peer.id);
                self.suspicions.forget(&peer.id);
                cx.send(&peer.id, Message::ViewChange { term: self.ballot.term, view: Arc::clone(after) });
            }
            if !self.config.contacts.contains_key(&peer.id) {
                cx.forget(&peer.id);
            }
        }
        if self.is_leader() && !after.has_member(cx.me) {
            self.step_down(Reason::Removed, cx);
        }
    }
}

/// Whether `peer` can become a learner of `view`: what does not fit into a line would never reach anybody.
fn has_room(view: &View, peer: &Peer) -> bool {
    let mut next = view.clone();
    next.learners.insert(peer.id.clone(), peer.clone());
    next.learners.len() <= LEARNERS_MAX && next.weight() <= VIEW_MAX
}
