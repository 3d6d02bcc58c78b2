//! Handing over: a leader stops taking requests, brings its successor up to date, and lets it stand (Ongaro's thesis, 3.10). It does so
//! for a higher node, and when it leaves.

use dsbench_wire::{Message, NodeId};

use super::{Replica, Timer};
use crate::{Cx, Event, Machine, Quorum, Takeover};

/// A successor may be so many entries behind when a transfer begins.
const BEHIND_MAX: u64 = 1024;

/// A transfer under way.
#[derive(Debug)]
pub(super) struct Transfer {
    to: NodeId,
    /// It has everything, and was asked to stand.
    is_asked: bool,
}

impl<M: Machine> Replica<M> {
    /// Hands over to the highest node that has answered steadily, if it is higher than this one. The leader goes on leading
    /// until a higher term tells it that the other has the votes.
    pub(super) fn offer_leadership(&mut self, cx: &mut Cx<'_, Self>) {
        let Some(leading) = &self.leading else { return };
        let is_busy = leading.transfer.is_some() || !self.pacing.is_due(cx.now);
        if is_busy || self.config.quorum != Quorum::Majority || self.config.takeover != Takeover::Bully {
            return;
        }
        let last = self.log.last().index;
        let is_near = |id: &NodeId| {
            leading.progress.get(id).is_some_and(|progress| progress.matched() + BEHIND_MAX >= last)
                && self.commit >= leading.first
        };
        #[cfg(feature = "mistakes")]
        let is_near = |id: &NodeId| is_near(id) || self.makes(crate::Mistake::TransfersAtOnce);
        let higher = self.view().members.keys().filter(|id| M::priority(id) > M::priority(cx.me));
        let steady = higher.filter(|id| leading.lease.is_steady(id, cx.now) && is_near(id));
        let Some(to) = steady.max_by(|a, b| M::priority(a).cmp(&M::priority(b))).cloned() else { return };
        self.pacing.offered(cx.now);
        self.transfer(to, cx);
    }

    /// A leader that is about to leave hands over to the highest node that answers and is near: then nobody has to do without a leader,
    /// and of two nodes the one that stays can take the other out of the view, for which it needs a majority of both.
    pub(super) fn pass_leadership_on(&mut self, cx: &mut Cx<'_, Self>) {
        let Some(leading) = self.leading.as_ref().filter(|_| self.needs_votes()) else { return };
        let last = self.log.last().index;
        let since = cx.now.saturating_sub(self.config.heartbeat_timeout);
        let can_take_it = |id: &&NodeId| {
            let is_near = leading.progress.get(id).is_some_and(|progress| progress.matched() + BEHIND_MAX >= last);
            let is_there = self.suspicions.is_heard(id, cx.now) && self.suspicions.ended_since(id).is_none();
            *id != cx.me && is_near && is_there && leading.lease.has_answered_since(id, since)
        };
        let able = self.view().members.keys().filter(can_take_it);
        let highest = able.max_by(|a, b| M::priority(a).cmp(&M::priority(b))).cloned();
        let is_under_way = leading.transfer.is_some();
        if highest.is_some() || is_under_way {
            self.departure = Some(last);
        }
        if let Some(to) = highest.filter(|_| !is_under_way) {
            self.transfer(to, cx);
        }
    }

    /// Whether this node, which is about to leave, still hands over, or the next leader has not yet committed an entry, for which it may
    /// need this node's answer.
    pub(super) fn successor_needs_help(&self) -> bool {
        let is_committed = |last: u64| self.commit > last;
        self.departure.is_some_and(|last| if self.is_leader() { self.is_handing_over() } else { !is_committed(last) })
    }

    fn transfer(&mut self, to: NodeId, cx: &mut Cx<'_, Self>) {
        cx.event(Event::Transferring { to: to.clone(), term: self.term() });
        cx.arm(Timer::Transfer, self.config.election_timeout);
        if let Some(leading) = &mut self.leading {
            leading.transfer = Some(Transfer { to, is_asked: false });
        }
        self.ask_successor(cx);
    }

    /// Asks the successor to stand once it has everything. Nothing is added meanwhile, so that this moment comes.
    pub(super) fn ask_successor(&mut self, cx: &mut Cx<'_, Self>) {
        let last = self.log.last().index;
        #[cfg(feature = "mistakes")]
        let last = if self.makes(crate::Mistake::TransfersAtOnce) { 0 } else { last };
        let Some(leading) = &mut self.leading else { return };
        let Some(transfer) = leading.transfer.as_mut().filter(|transfer| !transfer.is_asked) else { return };
        if leading.progress.get(&transfer.to).is_some_and(|progress| progress.matched() >= last) {
            transfer.is_asked = true;
            cx.send(&transfer.to, Message::TimeoutNow { term: self.ballot.term });
        }
    }

    /// Whether requests must wait for the next leader.
    pub(super) fn is_handing_over(&self) -> bool {
        #[cfg(feature = "mistakes")]
        if self.makes(crate::Mistake::TransfersAtOnce) {
            return false;
        }
        self.leading.as_ref().is_some_and(|leading| leading.transfer.is_some())
    }

    /// Whether leadership was offered to `id` and neither passed nor lapsed yet.
    pub(super) fn transfers_to(&self, id: &NodeId) -> bool {
        let transfer = self.leading.as_ref().and_then(|leading| leading.transfer.as_ref());
        transfer.is_some_and(|transfer| transfer.to == *id && transfer.is_asked)
    }

    /// Upon Transfer: the successor has not taken over in time, and this node stays.
    pub(super) fn transfer_over(&mut self, cx: &mut Cx<'_, Self>) {
        if let Some(Transfer { to, .. }) = self.leading.as_mut().and_then(|leading| leading.transfer.take()) {
            cx.event(Event::TransferFailed { to, term: self.term() });
            if self.departure.is_some() {
                self.pass_leadership_on(cx);
            }
            self.ask_the_leader(cx);
        }
    }

    /// `id` has left: if it was to lead next, it will not.
    pub(super) fn successor_left(&mut self, id: &NodeId, cx: &mut Cx<'_, Self>) {
        let transfer = self.leading.as_ref().and_then(|leading| leading.transfer.as_ref());
        if transfer.is_some_and(|transfer| transfer.to == *id) {
            cx.disarm(Timer::Transfer);
            self.transfer_over(cx);
        }
    }
}
