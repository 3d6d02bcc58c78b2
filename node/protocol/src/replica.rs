//! One node of a network that agrees on a leader, on its members, and on the order of messages.
//!
//! Priority decides who stands first, terms and votes decide who leads. With a quorum this is Raft (Ongaro & Ousterhout 2014,
//! figure 2; Ongaro's thesis: 4 membership, 3.10 transfer, 6.2 CheckQuorum, 6.3 sessions, 9.6 PreVote), to which bully
//! (Garcia-Molina 1982) adds the order of the candidates: who misses a leader challenges all higher nodes, and stands when none
//! of them answers. Without a quorum it is the bully algorithm and a sequencer, and nothing more.
//!
//! The chapters: `standing`, `leading`, `transferring` and `following` are the election; `replicating`, `committing`, `applying`
//! and `installing` are the log; `joining`, `hearsay`, `founding` and `membership` are the views; `requesting` is who asks, and `classroom`
//! is life without a quorum. This file holds what they share and sends each event to its chapter.

mod applying;
mod classroom;
mod committing;
mod following;
mod founding;
mod hearsay;
mod installing;
mod joining;
mod leading;
mod membership;
mod replicating;
mod requesting;
mod standing;
mod starting;
mod transferring;

use std::time::Duration;

use dsbench_wire::{
    Ballot, Endpoint, Message, NodeId, Peer, Position, Record, Recovered, RequestId, Snapshot, Term, View,
};

use crate::heartbeat::Suspicions;
use crate::log::Log;
use crate::takeover::Pacing;
use crate::views::Views;
use crate::{Asker, Config, ConfigError, Cx, Event, Machine, Mark, Process, Quorum, Reason, Sequencer};
use applying::{State, Teller};
use classroom::Classroom;
use founding::Pledges;
use hearsay::Hearsay;
use installing::Incoming;
use leading::Leading;
pub(crate) use membership::VIEW_MAX;
use requesting::Requests;
use standing::Attempt;
use transferring::Departure;

/// The core of one node, with the machine that its application runs on the agreed order.
#[derive(Debug)]
pub struct Replica<M = Sequencer> {
    config: Config,
    me: Option<NodeId>,
    incarnation: u64,
    ballot: Ballot,
    /// How many records were handed out to be made durable.
    marks: u64,
    log: Log,
    views: Views,
    /// What others say about the network.
    hearsay: Hearsay,
    /// Up to where the log is committed.
    commit: u64,
    /// Up to where the log is known to be that of the current term's leader.
    agreed: u64,
    state: State<M>,
    teller: Teller<M>,
    /// The newest checkpoint.
    snapshot: Option<Snapshot>,
    incoming: Option<Incoming>,
    requests: Requests,
    pledges: Pledges,
    classroom: Classroom,
    /// Whom it takes for the leader of its term, itself included.
    leader: Option<NodeId>,
    /// What it needs while it leads; then, and only then, it is its own leader.
    leading: Option<Leading>,
    attempt: Attempt,
    suspicions: Suspicions,
    pacing: Pacing,
    /// It is about to leave.
    departure: Option<Departure>,
    /// The last leadership that people were told of, so that they are told once.
    told: Option<(NodeId, Term)>,
}

/// The timers of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The leader's next round of heartbeats.
    Heartbeat,
    /// The earliest moment at which somebody's silence may mean something.
    Silence,
    /// The end of the current stage of an election, or of the wait before one.
    Election,
    /// The end of a leadership transfer.
    Transfer,
    /// Requests without an answer are asked again.
    Ask,
    /// Followers whose answers are missing are sent the same again.
    Repair,
}

impl<M: Machine> Replica<M> {
    /// A node that has not started yet.
    ///
    /// # Errors
    ///
    /// When the knobs cannot work, see [`Config::validate`].
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            me: None,
            incarnation: 0,
            ballot: Ballot::default(),
            marks: 0,
            log: Log::default(),
            views: Views::default(),
            hearsay: Hearsay::default(),
            commit: 0,
            agreed: 0,
            state: State::default(),
            teller: Teller::default(),
            snapshot: None,
            incoming: None,
            requests: Requests::default(),
            pledges: Pledges::default(),
            classroom: Classroom::default(),
            leader: None,
            leading: None,
            attempt: Attempt::default(),
            suspicions: Suspicions::new(config.heartbeat_timeout),
            pacing: Pacing::new(config.heartbeat_timeout),
            departure: None,
            told: None,
            config,
        })
    }

    /// Its current term.
    #[must_use]
    pub fn term(&self) -> Term {
        self.ballot.term
    }

    /// Whom it takes for the leader of its term, itself included.
    #[must_use]
    pub fn leader(&self) -> Option<&NodeId> {
        self.leader.as_ref()
    }

    /// Whether it leads its term.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.leading.is_some()
    }

    /// The view in force as far as it knows, committed or not; empty while it is in no network.
    #[must_use]
    pub fn view(&self) -> &View {
        self.views.latest()
    }

    /// The newest view that is committed, as far as it knows.
    #[must_use]
    pub fn committed_view(&self) -> &View {
        self.views.committed(self.commit)
    }

    /// Whether it is a member of the view in force, and votes.
    #[must_use]
    pub fn is_member(&self) -> bool {
        self.me.as_ref().is_some_and(|me| self.is_voting(me))
    }

    /// Where the leader is, if it is another node that the view knows.
    #[must_use]
    pub fn leader_endpoint(&self) -> Option<&Endpoint> {
        self.view().peer(self.leader.as_ref()?).map(|peer| &peer.endpoint)
    }

    /// Up to which index its deliveries were told.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.teller.told()
    }

    /// The number of the last delivery that was told.
    #[must_use]
    pub fn seq(&self) -> u64 {
        if self.needs_votes() { self.teller.seq() } else { self.classroom_last() }
    }

    /// Where its log ends.
    #[must_use]
    pub fn last(&self) -> Position {
        self.log.last()
    }

    /// Up to which index its log is committed, as far as it knows.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.commit
    }

    /// How many requests wait here for their answers.
    #[must_use]
    pub fn open_requests(&self) -> usize {
        self.requests.len()
    }

    /// The machine, with everything applied that is known to be committed.
    #[must_use]
    pub fn machine(&self) -> &M {
        &self.state.machine
    }

    /// All other members.
    fn others(&self, me: &NodeId) -> Vec<NodeId> {
        self.view().members.keys().filter(|&id| id != me).cloned().collect()
    }

    fn needs_votes(&self) -> bool {
        self.config.quorum == Quorum::Majority
    }

    /// This node as others should know it.
    fn myself(&self, me: &NodeId) -> Peer {
        Peer { id: me.clone(), endpoint: self.config.endpoint.clone(), incarnation: self.incarnation }
    }

    /// Whether it is a member: learners, strangers and those who were removed stand for nothing.
    fn is_voting(&self, me: &NodeId) -> bool {
        !self.is_out(me) && self.view().members.get(me).is_some_and(|peer| peer.is(self.incarnation))
    }

    /// Whether messages of `id` mean anything: it is in a view that this node knows.
    fn knows(&self, id: &NodeId) -> bool {
        self.view().peer(id).is_some()
            || self.views.committed(self.commit).peer(id).is_some()
            // Not newer than the view in force: one that was never committed may have the number of the network's own, and not its leader.
            || self.hearsay.names(id, self.committed_view().id)
    }

    fn persist(&mut self, record: Record, cx: &mut Cx<'_, Self>) -> Mark {
        self.marks += 1;
        cx.persist(record);
        Mark(self.marks)
    }

    fn persist_ballot(&mut self, cx: &mut Cx<'_, Self>) -> Mark {
        #[cfg(feature = "mistakes")]
        if self.makes(crate::Mistake::ForgetsVote) {
            return self.persist(Record::Ballot(Ballot::default()), cx);
        }
        self.persist(Record::Ballot(self.ballot.clone()), cx)
    }

    #[cfg(feature = "mistakes")]
    fn makes(&self, mistake: crate::Mistake) -> bool {
        self.config.mistake == Some(mistake)
    }
}

impl<M: Machine> Process for Replica<M> {
    type Timer = Timer;
    type Event = Event;

    fn start(&mut self, recovered: Recovered, cx: &mut Cx<'_, Self>) {
        self.me = Some(cx.me.clone());
        self.recover(recovered, cx);
        let delay = self.wait_before_first_election(cx);
        cx.arm(Timer::Election, delay);
    }

    fn message(&mut self, from: &NodeId, message: Message, cx: &mut Cx<'_, Self>) {
        if from == cx.me {
            return;
        }
        let Some(message) = self.anybodys(from, message, cx) else { return };
        if !self.knows(from) {
            if self.is_blank() || asks_for_leadership(&message) || leads(&message) {
                self.is_missed_by(from, cx);
            }
            return;
        }
        #[cfg(feature = "mistakes")]
        if self.is_leader() && message.term() > self.term() && self.makes(crate::Mistake::NeverStepsDown) {
            return;
        }
        if !self.suspicions.is_watched(from) && !matches!(message, Message::Leave { .. }) {
            self.hear(from, cx);
        }
        if message.term() > self.term() {
            self.enter_term_of(from, &message, cx);
        }
        let is_current = message.term() == self.term();
        if is_current && self.leader.as_ref() == Some(from) && asks_for_leadership(&message) {
            self.lose_leader(cx);
        }
        match message {
            Message::Heartbeat { seq, commit, .. } => self.heartbeat(from, is_current, seq, commit, cx),
            Message::Coordinator { .. } if is_current => self.coordinator(from, cx),
            Message::TimeoutNow { .. } if is_current => self.timeout_now(from, cx),
            Message::HeartbeatAck { seq, matched, incarnation, .. } if is_current => {
                self.heartbeat_ack(from, seq, matched, incarnation, cx);
            }
            Message::Election { .. } => self.challenged(from, cx),
            Message::Ok { last, .. } => self.ok(from, last, cx),
            Message::PreVoteRequest { round, last, transfer, .. } => {
                self.pre_vote_request(from, is_current, round, last, transfer, cx);
            }
            Message::PreVote { round, granted: true, incarnation, .. } if is_current => {
                self.pre_vote(from, round, incarnation, cx);
            }
            Message::VoteRequest { last, .. } => self.vote_request(from, is_current, last, cx),
            Message::Vote { granted: true, incarnation, .. } if is_current => self.vote(from, incarnation, cx),
            Message::Leave { .. } if is_current || !self.has_come_to_this_term(from) => self.left(from, cx),
            Message::Append { prev, commit, entries, .. } => {
                self.append(from, is_current, prev, commit, entries, false, cx);
            }
            Message::Ordered { prev, commit, entries, .. } if is_current => {
                self.append(from, is_current, prev, commit, entries, true, cx);
            }
            Message::AppendAck { granted, matched, ordered, incarnation, .. } if is_current => {
                self.append_ack(from, granted, matched, ordered, incarnation, cx);
            }
            Message::InstallSnapshot { at, view, size, offset, part, .. } => {
                self.install_part(from, is_current, installing::Part { at, view, size, offset, part }, cx);
            }
            Message::SnapshotAck { at, offset, incarnation, .. } if is_current => {
                self.part_arrived(from, at, offset, incarnation, cx);
            }
            Message::SequencerRequest { id, after, payload, .. } => self.intake(from, &id, after, payload, cx),
            // Refusals, and what belongs to an earlier term.
            _ => {}
        }
    }

    fn persisted(&mut self, upto: Mark, cx: &mut Cx<'_, Self>) {
        self.log.persisted(upto);
        self.own_vote_is_durable(upto, cx);
        self.count_copies(cx);
        self.own_numbers_are_safe(upto, cx);
    }

    fn request(&mut self, asker: Asker, id: Option<RequestId>, payload: String, cx: &mut Cx<'_, Self>) {
        self.requested(asker, id, payload, cx);
    }

    fn more(&mut self, cx: &mut Cx<'_, Self>) {
        self.told_all(cx);
    }

    fn timer(&mut self, timer: Timer, cx: &mut Cx<'_, Self>) {
        match timer {
            Timer::Heartbeat => self.heartbeat_due(cx),
            Timer::Silence => self.silence(cx),
            Timer::Election => self.stage_over(cx),
            Timer::Transfer => self.transfer_over(cx),
            Timer::Ask => self.ask_again(cx),
            Timer::Repair => self.repair(cx),
        }
    }

    fn stalled(&mut self, for_at_least: Duration, cx: &mut Cx<'_, Self>) {
        // Less than a heartbeat is jitter, which every timeout allows for anyway.
        if for_at_least < self.config.heartbeat_interval {
            return;
        }
        self.suspicions.afresh(cx.now);
        if self.has_lost_majority(cx) {
            self.step_down(Reason::Stalled, cx);
        } else if !self.is_leader() {
            self.restart_stage(cx);
        }
        self.arm_silence(cx);
    }

    fn ended(&mut self, peer: &NodeId, cx: &mut Cx<'_, Self>) {
        if self.knows(peer) {
            self.suspicions.ended(peer, cx.now);
            self.arm_silence(cx);
            if self.departure.is_some() {
                self.successor_is_gone(peer, cx);
            }
        }
    }

    fn hand_over(&mut self, cx: &mut Cx<'_, Self>) {
        self.depart(cx);
    }

    fn is_needed(&self) -> bool {
        self.is_awaited()
    }

    fn leave(&mut self, cx: &mut Cx<'_, Self>) {
        if self.is_leader() {
            self.step_down(Reason::Leaving, cx);
        }
        // Its own vote may still become durable, and must not make it a leader.
        self.attempt = Attempt::default();
        let term = self.term();
        cx.event(Event::Leaving { term });
        self.answer_all_at_the_end(cx);
        for id in self.others(cx.me) {
            cx.send(&id, Message::Leave { term });
        }
    }
}

/// Whoever sends this in a term does not lead that term: a leader that was restarted seeks an election like everybody else. (A
/// request for a vote in this term may be a late one, with which it won.)
fn asks_for_leadership(message: &Message) -> bool {
    matches!(message, Message::Election { .. } | Message::PreVoteRequest { .. })
}

/// Whoever sends this leads, or says so.
fn leads(message: &Message) -> bool {
    matches!(message, Message::Heartbeat { .. } | Message::Coordinator { .. } | Message::Append { .. })
}
