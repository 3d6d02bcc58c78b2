//! Following a leader: whom, since when, and until it is silent.

use std::time::Duration;

use dsbench_wire::{Message, NodeId, Term};

use super::{Replica, Timer};
use crate::ballot;
use crate::heartbeat::Silence;
use crate::{Cx, Event, Machine, Quorum, Reason, Takeover};

/// How a leader became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Coordinator,
    Heartbeat,
    /// A datagram that has overtaken the announcement: people are told by what comes behind it.
    Multicast,
}

impl<M: Machine> Replica<M> {
    /// Upon a message of a higher term: whatever this node was, it is in that term now, without a leader and without a vote.
    pub(super) fn enter_term_of(&mut self, from: &NodeId, message: &Message, cx: &mut Cx<'_, Self>) {
        let reason = match message {
            Message::Heartbeat { .. } | Message::Coordinator { .. } => Reason::HigherLeader(from.clone()),
            _ if self.transfers_to(from) => Reason::Transferred(from.clone()),
            _ => Reason::HigherTerm(from.clone()),
        };
        if self.is_leader() {
            self.step_down(reason, cx);
        } else {
            self.cancel(reason, cx);
            self.lose_leader(cx);
        }
        self.enter(message.term(), cx);
    }

    /// Enters a later term. What is known of an earlier leader's log says nothing about the next one's, but for what is committed.
    pub(super) fn enter(&mut self, term: Term, cx: &mut Cx<'_, Self>) {
        ballot::enter(&mut self.ballot, term);
        self.agreed = self.commit;
        self.incoming = None;
        self.persist_ballot(cx);
    }

    /// Upon HEARTBEAT: follow its sender and answer, or tell it that its term is over.
    pub(super) fn heartbeat(&mut self, from: &NodeId, is_current: bool, seq: u64, commit: u64, cx: &mut Cx<'_, Self>) {
        if is_current && !self.accepts_leader(from, cx) {
            return;
        }
        let (term, incarnation) = (self.term(), self.incarnation);
        // Not `send_now`: the answer says "I am in this term, and my log goes so far", which must be true after a crash as well.
        // Without votes there is no log that it could go far, and the leader learns instead which view this node knows.
        let matched = if self.needs_votes() { self.agreed } else { self.classroom_known_view() };
        cx.send(from, Message::HeartbeatAck { term, seq, matched, incarnation });
        if is_current && self.needs_votes() {
            self.commit_to(commit.min(self.agreed), cx);
        } else if is_current {
            self.classroom_heard_of(from, commit, cx);
        }
    }

    /// Upon COORDINATOR of the current term.
    pub(super) fn coordinator(&mut self, from: &NodeId, cx: &mut Cx<'_, Self>) {
        self.accepts_how(from, Heard::Coordinator, cx);
    }

    /// Upon anything else that only the leader of the current term sends.
    pub(super) fn accepts_leader(&mut self, from: &NodeId, cx: &mut Cx<'_, Self>) -> bool {
        self.accepts_how(from, Heard::Heartbeat, cx)
    }

    /// Upon a multicast that only the leader of the current term sends.
    pub(super) fn accepts_multicaster(&mut self, from: &NodeId, cx: &mut Cx<'_, Self>) -> bool {
        self.accepts_how(from, Heard::Multicast, cx)
    }

    /// Whether `from`, which claims to lead the current term, is this node's leader from now on.
    fn accepts_how(&mut self, from: &NodeId, how: Heard, cx: &mut Cx<'_, Self>) -> bool {
        let known = self.leader.clone();
        match known {
            Some(leader) if leader == *from => {
                self.hear(from, cx);
                self.tell_leader(from, how, cx);
            }
            None => self.follow(from, how, cx),
            // Two leaders of one term cannot be where votes decide; where they do not, priority breaks the tie.
            Some(_) if self.config.quorum == Quorum::Majority => return false,
            Some(leader) if M::priority(from) < M::priority(&leader) => {
                if self.is_leader() {
                    cx.send(from, Message::Coordinator { term: self.term() });
                }
                return false;
            }
            Some(_) => {
                #[cfg(feature = "mistakes")]
                if self.is_leader() && self.makes(crate::Mistake::NeverStepsDown) {
                    return false;
                }
                if self.is_leader() {
                    self.step_down(Reason::HigherLeader(from.clone()), cx);
                }
                self.follow(from, how, cx);
            }
        }
        true
    }

    fn follow(&mut self, leader: &NodeId, how: Heard, cx: &mut Cx<'_, Self>) {
        self.cancel(Reason::LeaderFound(leader.clone()), cx);
        self.leader = Some(leader.clone());
        self.agreed = self.commit;
        self.suspicions.watch([leader], cx.now);
        self.hear(leader, cx);
        self.arm_silence(cx);
        cx.disarm(Timer::Election);
        self.tell_leader(leader, how, cx);
        if M::priority(leader) > M::priority(cx.me) {
            self.pacing.succeeded();
        } else {
            self.plan_takeover(cx);
        }
        self.ask_the_leader(cx);
    }

    /// Whom it follows, once per leader and term.
    fn tell_leader(&mut self, leader: &NodeId, how: Heard, cx: &mut Cx<'_, Self>) {
        let now = Some((leader.clone(), self.term()));
        if leader == cx.me || self.told == now {
            return;
        }
        let (leader, term) = (leader.clone(), self.term());
        cx.event(match how {
            Heard::Coordinator => Event::ReceivedCoordinator { leader, term },
            Heard::Heartbeat => Event::Follows { leader, term },
            Heard::Multicast => return,
        });
        self.told = now;
    }

    /// Follows a lower leader for now. With votes it is the leader who hands over; without, the higher node takes.
    pub(super) fn plan_takeover(&mut self, cx: &mut Cx<'_, Self>) {
        if !self.needs_votes() && self.config.takeover == Takeover::Bully {
            let delay = self.config.heartbeat_timeout
                + cx.between(self.config.election_timeout / 4, self.config.election_timeout);
            cx.arm(Timer::Election, delay);
        }
    }

    /// There is no leader any more; if none comes forward in time, look for one.
    pub(super) fn lose_leader(&mut self, cx: &mut Cx<'_, Self>) {
        self.leader = None;
        self.suspicions.watch([], cx.now);
        self.arm_silence(cx);
        self.wait_for_leader(cx);
    }

    pub(super) fn wait_for_leader(&mut self, cx: &mut Cx<'_, Self>) {
        let patience = cx.between(self.config.election_timeout, 2 * self.config.election_timeout);
        cx.arm(Timer::Election, patience);
    }

    /// Whether there is a live leader, itself included: then nobody else should stand.
    pub(super) fn hears_leader(&self, cx: &Cx<'_, Self>) -> bool {
        match &self.leader {
            Some(_) if self.is_leader() => !self.has_lost_majority(cx),
            // Who has waited for a leader whose process seems to have ended must not be refused by those who wait as well.
            Some(leader) => self.suspicions.is_heard(leader, cx.now) && self.suspicions.ended_since(leader).is_none(),
            None => false,
        }
    }

    /// When the leader that this node follows fails because its process seems to have ended, unless it is heard before. A live
    /// leader, of which this is said wrongly, has a heartbeat's time to deny it; one that was started again at once, to come forward.
    fn leader_end(&self) -> Option<Duration> {
        let leader = self.leader.as_ref().filter(|_| !self.is_leader())?;
        Some(self.suspicions.ended_since(leader)? + self.config.heartbeat_interval)
    }

    /// Upon anything that proves a peer alive.
    pub(super) fn hear(&mut self, peer: &NodeId, cx: &mut Cx<'_, Self>) {
        if self.suspicions.heard(peer, cx.now) {
            cx.event(Event::Recovered { peer: peer.clone(), term: self.term() });
            self.arm_silence(cx);
        }
    }

    /// Whether `id` is known to have been in the current term. What it says in the name of an earlier one it has said before that:
    /// a goodbye so late is one of an earlier life.
    pub(super) fn has_come_to_this_term(&self, id: &NodeId) -> bool {
        let answers = self.leading.as_ref().is_some_and(|leading| leading.lease.has_answered_since(id, Duration::ZERO));
        answers || self.leader.as_ref() == Some(id)
    }

    /// Upon LEAVE.
    pub(super) fn left(&mut self, from: &NodeId, cx: &mut Cx<'_, Self>) {
        self.suspicions.left(from, cx.now);
        cx.event(Event::Left { peer: from.clone(), term: self.term() });
        self.successor_is_gone(from, cx);
        self.manage(cx);
        if self.leader.as_ref() == Some(from) {
            self.lose_leader(cx);
            self.begin_election(Reason::LeaderLeft(from.clone()), cx);
        }
    }

    /// Upon Silence: a watched peer, or the majority that a leader needs, was not heard in time.
    pub(super) fn silence(&mut self, cx: &mut Cx<'_, Self>) {
        let term = self.term();
        let mut silences = self.suspicions.overdue(cx.now);
        if let Some(leader) = &self.leader
            && self.leader_end().is_some_and(|at| at <= cx.now)
        {
            silences.extend(self.suspicions.fail(leader, cx.now));
        }
        for news in silences {
            match news {
                Silence::Suspected(peer) => cx.event(Event::Suspected { peer, term }),
                Silence::Failed(peer) => {
                    cx.event(Event::Failed { peer: peer.clone(), term });
                    self.manage(cx);
                    if self.leader.as_ref() == Some(&peer) {
                        self.lose_leader(cx);
                        self.begin_election(Reason::LeaderFailed(peer), cx);
                    }
                }
            }
        }
        if self.has_lost_majority(cx) {
            self.step_down(Reason::NoMajority, cx);
        }
        self.arm_silence(cx);
    }

    /// Arms the timer for the earliest silence that may mean something. It may fire early: who is heard later moves no timer.
    pub(super) fn arm_silence(&mut self, cx: &mut Cx<'_, Self>) {
        let deadline = self.suspicions.deadline().into_iter().chain(self.lease_end(cx)).chain(self.leader_end()).min();
        match deadline {
            Some(at) => cx.arm(Timer::Silence, at.saturating_sub(cx.now)),
            None => cx.disarm(Timer::Silence),
        }
    }
}
