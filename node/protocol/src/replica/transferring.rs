//! Handing over: a leader stops taking requests, brings its successor up to date, and lets it stand (Ongaro's thesis, 3.10). It does so
//! for a higher node, and when it leaves.

use std::collections::BTreeSet;
use std::time::Duration;

use dsbench_wire::{Message, NodeId, Term};

use super::{Replica, Timer};
use crate::{Cx, Event, Machine, Quorum, Takeover};

/// A successor may be so many entries behind when a transfer begins.
const BEHIND_MAX: u64 = 1024;

/// So long a node that leaves waits for a successor before it tries another one: twice there and back on a slow network.
const DEPARTURE_PATIENCE: Duration = Duration::from_millis(400);

/// This node is about to leave.
#[derive(Debug)]
pub(super) struct Departure {
    /// Since this term.
    term: Term,
    /// It has voted for another in that term, which may lead any moment.
    awaits_candidate: bool,
    /// Who was to lead next, and did not in time.
    tried: BTreeSet<NodeId>,
}

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

    /// This node is about to leave.
    pub(super) fn depart(&mut self, cx: &mut Cx<'_, Self>) {
        let candidate = self.ballot.voted_for.as_ref().filter(|&id| id != cx.me && self.leader.is_none());
        let awaits_candidate = candidate.is_some_and(|id| self.suspicions.is_heard(id, cx.now));
        self.departure = Some(Departure { term: self.term(), awaits_candidate, tried: BTreeSet::new() });
        self.pass_leadership_on(cx);
    }

    /// A leader that is about to leave hands over to another member that answers, a near and high one rather than others: then nobody
    /// has to do without a leader, and of two nodes the one that stays can take the other out of the view, for which it needs both.
    pub(super) fn pass_leadership_on(&mut self, cx: &mut Cx<'_, Self>) {
        let Some(departure) = &self.departure else { return };
        let Some(leading) = self.leading.as_ref().filter(|_| self.needs_votes()) else { return };
        let answers = |id: &NodeId| {
            let has_appended = leading.progress.get(id).is_some_and(|progress| progress.incarnation != 0);
            let has_followed = has_appended || leading.lease.has_answered_since(id, Duration::ZERO);
            has_followed && self.suspicions.is_heard(id, cx.now) && self.suspicions.ended_since(id).is_none()
        };
        let last = self.log.last().index;
        let is_near = |id: &NodeId| leading.progress.get(id).is_some_and(|it| it.matched() + BEHIND_MAX >= last);
        let rank = |id: &NodeId| (!departure.tried.contains(id), is_near(id));
        let able = self.view().members.keys().filter(|&id| id != cx.me && answers(id));
        let best = able.max_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| M::priority(a).cmp(&M::priority(b)))).cloned();
        match best {
            _ if leading.transfer.is_some() => cx.arm(Timer::Transfer, self.patience_with_successor()),
            Some(to) => self.transfer(to, cx),
            None => {}
        }
    }

    /// Whether this node, which is about to leave, still hands over, or the leader may need its answer: before an entry of this term, and
    /// the view in force, are committed.
    pub(super) fn is_awaited(&self) -> bool {
        let Some(departure) = &self.departure else { return false };
        if self.is_leader() {
            return self.is_handing_over();
        }
        let is_fresh = self.term() > departure.term || departure.awaits_candidate;
        let has_voted = is_fresh && self.ballot.voted_for.is_some();
        let is_settled = self.state.applied.term == self.term() && self.views.index() <= self.commit;
        self.needs_votes() && self.is_member() && (self.leader.is_some() || has_voted) && !is_settled
    }

    fn transfer(&mut self, to: NodeId, cx: &mut Cx<'_, Self>) {
        cx.event(Event::Transferring { to: to.clone(), term: self.term() });
        cx.arm(Timer::Transfer, self.patience_with_successor());
        if let Some(leading) = &mut self.leading {
            leading.transfer = Some(Transfer { to, is_asked: false });
        }
        self.ask_successor(cx);
    }

    /// Who leaves tries another one soon.
    fn patience_with_successor(&self) -> Duration {
        let timeout = self.config.election_timeout;
        if self.departure.is_some() { timeout.min(DEPARTURE_PATIENCE) } else { timeout }
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
            if let Some(departure) = &mut self.departure {
                departure.tried.insert(to.clone());
            }
            cx.event(Event::TransferFailed { to, term: self.term() });
            self.pass_leadership_on(cx);
            self.ask_the_leader(cx);
        }
    }

    /// `id` is gone: if it was to lead next, it will not.
    pub(super) fn successor_is_gone(&mut self, id: &NodeId, cx: &mut Cx<'_, Self>) {
        let transfer = self.leading.as_ref().and_then(|leading| leading.transfer.as_ref());
        if transfer.is_some_and(|transfer| transfer.to == *id) {
            cx.disarm(Timer::Transfer);
            self.transfer_over(cx);
        }
    }
}
