//! Handing over: a leader stops taking requests, brings its successor up to date, and lets it stand (Ongaro's thesis, 3.10).

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
            self.ask_the_leader(cx);
        }
    }
}
