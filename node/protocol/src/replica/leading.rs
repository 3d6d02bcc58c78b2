//! Leading a term: heartbeats, the majority that must answer them, and handing over.

use std::time::Duration;

use dsbench_wire::{Message, NodeId};

use super::standing::Attempt;
use super::{Replica, Timer};
use crate::lease::Lease;
use crate::{Cx, Event, Reason, Takeover, priority};

/// What a node needs while it leads.
#[derive(Debug)]
pub(super) struct Leading {
    lease: Lease,
    /// Who was asked to take over.
    transfer_to: Option<NodeId>,
}

impl Replica {
    /// Leads the current term from now on, by `votes`.
    pub(super) fn lead(&mut self, votes: Vec<NodeId>, cx: &mut Cx<'_, Self>) {
        self.attempt = Attempt::default();
        let others = self.others(cx.me);
        let term = self.term();
        let followers = votes.iter().filter(|&id| id != cx.me);
        let lease = Lease::new(self.config.heartbeat_timeout, followers, cx.now);
        self.leading = Some(Leading { lease, transfer_to: None });
        self.leader = Some(cx.me.clone());
        self.suspicions.watch(&others, cx.now);
        self.arm_silence(cx);
        cx.disarm(Timer::Election);
        cx.arm(Timer::Heartbeat, self.config.heartbeat_interval);
        cx.event(Event::BecameLeader { term, votes });
        // The announcement is the first heartbeat as well.
        for id in &others {
            cx.send(id, Message::Coordinator { term });
        }
    }

    /// Leads no longer, and waits for who will.
    pub(super) fn step_down(&mut self, reason: Reason, cx: &mut Cx<'_, Self>) {
        cx.event(Event::SteppedDown { term: self.term(), reason });
        self.leading = None;
        cx.disarm(Timer::Heartbeat);
        cx.disarm(Timer::Transfer);
        self.lose_leader(cx);
    }

    /// Upon Heartbeat: a round to everybody, the failed among them, because that is how they come back.
    pub(super) fn heartbeat_due(&mut self, cx: &mut Cx<'_, Self>) {
        let (term, needs_votes) = (self.term(), self.needs_votes());
        let Some(leading) = &mut self.leading else { return };
        let seq = leading.lease.round(cx.now);
        for id in self.others(cx.me) {
            let heartbeat = Message::Heartbeat { term, seq, commit: 0 };
            // Votes prove that the term has been durable since before they were sent, so no heartbeat needs to wait for a
            // disk. Without votes nothing proves it.
            if needs_votes {
                cx.send_now(&id, heartbeat);
            } else {
                cx.send(&id, heartbeat);
            }
        }
        cx.arm(Timer::Heartbeat, self.config.heartbeat_interval);
        self.offer_leadership(cx);
    }

    /// Upon HEARTBEAT_ACK of the current term.
    pub(super) fn heartbeat_ack(&mut self, from: &NodeId, seq: u64, cx: &mut Cx<'_, Self>) {
        if let Some(leading) = &mut self.leading {
            leading.lease.acknowledged(from, seq, cx.now);
            self.hear(from, cx);
        }
    }

    /// Whether this node leads without a majority that is known to follow (CheckQuorum).
    pub(super) fn has_lost_majority(&self, now: Duration) -> bool {
        self.lease_end().is_some_and(|end| end <= now)
    }

    /// Until when this node may lead unless it is answered again; nothing where nobody's answer is needed.
    pub(super) fn lease_end(&self) -> Option<Duration> {
        #[cfg(feature = "mistakes")]
        if self.makes(crate::Mistake::NeverStepsDown) {
            return None;
        }
        let leading = self.leading.as_ref().filter(|_| self.needs_votes() && self.view.majority() > 1)?;
        Some(leading.lease.expires(self.view.majority()))
    }

    /// Hands over to the highest node that has answered steadily, if it is higher than this one. The leader goes on leading
    /// until a higher term tells it that the other has the votes.
    fn offer_leadership(&mut self, cx: &mut Cx<'_, Self>) {
        let Some(leading) = &mut self.leading else { return };
        let is_busy = leading.transfer_to.is_some() || !self.pacing.is_due(cx.now);
        if is_busy || self.config.quorum != crate::Quorum::Majority || self.config.takeover != Takeover::Bully {
            return;
        }
        let higher = self.view.members.keys().filter(|id| priority(id) > priority(cx.me));
        let steady = higher.filter(|id| leading.lease.is_steady(id, cx.now));
        let Some(target) = steady.max_by(|a, b| priority(a).cmp(&priority(b))).cloned() else { return };
        self.pacing.offered(cx.now);
        let term = self.ballot.term;
        cx.event(Event::Transferring { to: target.clone(), term });
        cx.send(&target, Message::TimeoutNow { term });
        cx.arm(Timer::Transfer, self.config.election_timeout);
        leading.transfer_to = Some(target);
    }

    /// Whether leadership was offered to `id` and neither passed nor lapsed yet.
    pub(super) fn transfers_to(&self, id: &NodeId) -> bool {
        self.leading.as_ref().is_some_and(|leading| leading.transfer_to.as_ref() == Some(id))
    }

    /// Upon Transfer: the target has not taken over in time, and this node stays.
    pub(super) fn transfer_over(&mut self, cx: &mut Cx<'_, Self>) {
        if let Some(to) = self.leading.as_mut().and_then(|leading| leading.transfer_to.take()) {
            cx.event(Event::TransferFailed { to, term: self.term() });
        }
    }
}
