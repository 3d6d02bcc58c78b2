//! Leading a term: heartbeats, and the majority that must answer them.

use std::collections::BTreeMap;
use std::time::Duration;

use dsbench_wire::{ClientId, Message, NodeId, Peer};

use super::replicating::Progress;
use super::standing::Attempt;
use super::transferring::Transfer;
use super::{Replica, Timer};
use crate::lease::Lease;
use crate::{Cx, Event, Machine, Reason};

/// What a node needs while it leads.
#[derive(Debug)]
pub(super) struct Leading {
    pub(super) lease: Lease,
    /// Whom it hands over to, if it does.
    pub(super) transfer: Option<Transfer>,
    /// How far each other member and learner has come.
    pub(super) progress: BTreeMap<NodeId, Progress>,
    /// Its first entry: what is before it is committed with it, and never by counting copies (Raft, 5.4.2).
    pub(super) first: u64,
    /// Up to where it has multicast.
    pub(super) multicast: u64,
    /// The last request of each client that it has put into the log.
    pub(super) taken: BTreeMap<ClientId, u64>,
    /// Who wants in.
    pub(super) joiners: BTreeMap<NodeId, Peer>,
    /// That there is no room for newcomers was told.
    pub(super) is_full: bool,
    /// Members that came back with another disk, as they are now.
    pub(super) replaced: BTreeMap<NodeId, u64>,
    /// The timer for missing answers is armed.
    pub(super) is_repairing: bool,
}

impl<M: Machine> Replica<M> {
    /// Leads the current term from now on, by `votes`, each with the voter's incarnation.
    pub(super) fn lead(&mut self, votes: BTreeMap<NodeId, u64>, cx: &mut Cx<'_, Self>) {
        self.attempt = Attempt::default();
        let others: Vec<_> = self.view().peers().map(|peer| peer.id.clone()).filter(|id| id != cx.me).collect();
        let term = self.term();
        let followers = votes.keys().filter(|&id| id != cx.me);
        let next = self.log.last().index + 1;
        let heartbeat_timeout = self.config.heartbeat_timeout;
        self.leading = Some(Leading {
            lease: Lease::new(heartbeat_timeout, followers, cx.now),
            transfer: None,
            progress: others.iter().map(|id| (id.clone(), Progress::new(next))).collect(),
            first: next,
            multicast: next - 1,
            taken: BTreeMap::new(),
            joiners: BTreeMap::new(),
            is_full: false,
            replaced: BTreeMap::new(),
            is_repairing: false,
        });
        self.leader = Some(cx.me.clone());
        self.suspicions.watch(&others, cx.now);
        self.arm_silence(cx);
        cx.disarm(Timer::Election);
        cx.arm(Timer::Heartbeat, self.config.heartbeat_interval);
        cx.event(Event::BecameLeader { term, votes: votes.keys().cloned().collect() });
        // The announcement is the first heartbeat as well.
        for id in &others {
            cx.send(id, Message::Coordinator { term });
        }
        if self.needs_votes() {
            self.open_term(&votes, cx);
        } else {
            self.classroom_leads(cx);
        }
        self.pass_leadership_on(cx);
        self.ask_the_leader(cx);
    }

    /// Leads no longer, and waits for who will.
    pub(super) fn step_down(&mut self, reason: Reason, cx: &mut Cx<'_, Self>) {
        cx.event(Event::SteppedDown { term: self.term(), reason });
        self.leading = None;
        cx.disarm(Timer::Heartbeat);
        cx.disarm(Timer::Transfer);
        cx.disarm(Timer::Repair);
        self.lose_leader(cx);
    }

    /// Upon Heartbeat: a round to everybody, the failed among them, because that is how they come back.
    pub(super) fn heartbeat_due(&mut self, cx: &mut Cx<'_, Self>) {
        let (term, needs_votes) = (self.term(), self.needs_votes());
        let numbered = self.classroom_last();
        let Some(leading) = &mut self.leading else { return };
        let seq = leading.lease.round(cx.now);
        for (id, progress) in &mut leading.progress {
            progress.round(seq);
            // Votes prove that the term has been durable since before they were sent, so no heartbeat needs to wait for a
            // disk. Without votes nothing proves it.
            if needs_votes {
                let commit = self.commit.min(progress.matched());
                cx.send_now(id, Message::Heartbeat { term, seq, commit });
            } else {
                cx.send(id, Message::Heartbeat { term, seq, commit: numbered });
            }
        }
        cx.arm(Timer::Heartbeat, self.config.heartbeat_interval);
        self.offer_leadership(cx);
        self.classroom_seeks(cx);
        self.seek_another(cx);
        self.manage(cx);
    }

    /// Upon HEARTBEAT_ACK of the current term.
    pub(super) fn heartbeat_ack(
        &mut self,
        from: &NodeId,
        seq: u64,
        matched: u64,
        incarnation: u64,
        cx: &mut Cx<'_, Self>,
    ) {
        if !self.is_leader() {
            return;
        }
        self.hear(from, cx);
        if !self.needs_votes() || self.counts(from, incarnation, cx) {
            // A learner's answers count for nothing before it is a member, and then at once.
            if let Some(leading) = &mut self.leading {
                leading.lease.acknowledged(from, seq, cx.now);
            }
            self.heartbeat_answered(from, seq, matched, incarnation, cx);
            self.manage(cx);
        }
    }

    /// Whether this node leads without a majority that is known to follow (CheckQuorum).
    pub(super) fn has_lost_majority(&self, cx: &Cx<'_, Self>) -> bool {
        self.lease_end(cx).is_some_and(|end| end <= cx.now)
    }

    /// Until when this node may lead unless it is answered again; nothing where nobody's answer is needed.
    pub(super) fn lease_end(&self, cx: &Cx<'_, Self>) -> Option<Duration> {
        #[cfg(feature = "mistakes")]
        if self.makes(crate::Mistake::NeverStepsDown) {
            return None;
        }
        let leading = self.leading.as_ref().filter(|_| self.needs_votes())?;
        let view = self.view();
        let answers = view.majority() - usize::from(view.has_member(cx.me));
        (answers > 0).then(|| leading.lease.expires(answers, |id| view.has_member(id)))
    }
}
