//! The sensor network: a static list of members that elects a leader and keeps one.
//!
//! Priority decides who stands first, terms and votes decide who leads. With a quorum this is Raft's election (Ongaro &
//! Ousterhout 2014, 5.2; Ongaro's thesis, 9.6 PreVote, 6.2 CheckQuorum, 3.10 transfer), to which bully (Garcia-Molina 1982)
//! adds the order of the candidates: who misses a leader challenges all higher nodes, and stands when none of them answers.
//! Without a quorum it is the bully algorithm alone.
//!
//! The three chapters are `standing`, `leading` and `following`; this file holds what they share and sends each event to its
//! chapter.

mod following;
mod leading;
mod standing;

use std::time::Duration;

use dsbench_wire::{Ballot, Message, NodeId, Peer, Position, Record, Recovered, RequestId, Term, View};

use crate::heartbeat::Suspicions;
use crate::takeover::Pacing;
use crate::{Answer, Asker, Config, ConfigError, Cx, Event, Founding, Mark, Process, Quorum, Reason, Refusal};
use leading::Leading;
use rand_pcg::rand_core::Rng;
use standing::Attempt;

/// The application core of one sensor node.
#[derive(Debug)]
pub struct Replica {
    config: Config,
    view: View,
    incarnation: u64,
    ballot: Ballot,
    /// Whom it takes for the leader of its term, itself included.
    leader: Option<NodeId>,
    /// What it needs while it leads; then, and only then, it is its own leader.
    leading: Option<Leading>,
    attempt: Attempt,
    suspicions: Suspicions,
    pacing: Pacing,
    /// The last leadership that people were told of, so that they are told once.
    told: Option<(NodeId, Term)>,
}

/// The timers of a sensor node.
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
}

impl Replica {
    /// A node that has not started yet.
    ///
    /// # Errors
    ///
    /// When the knobs cannot work, see [`Config::validate`].
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            view: View::default(),
            incarnation: 0,
            ballot: Ballot::default(),
            leader: None,
            leading: None,
            attempt: Attempt::default(),
            suspicions: Suspicions::new(config.heartbeat_timeout),
            pacing: Pacing::new(config.heartbeat_timeout),
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

    /// The latest view that it knows, committed or not; empty while it is in no network.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    fn others(&self, me: &NodeId) -> Vec<NodeId> {
        self.view.members.keys().filter(|&id| id != me).cloned().collect()
    }

    fn needs_votes(&self) -> bool {
        self.config.quorum == Quorum::Majority
    }

    /// Where this node's log ends. There is no log yet: all are equally empty, and every comparison is in its place.
    fn last(&self) -> Position {
        Position::default()
    }

    fn persist_ballot(&self, cx: &mut Cx<'_, Self>) {
        #[cfg(feature = "mistakes")]
        if self.makes(crate::Mistake::ForgetsVote) {
            cx.persist(Record::Ballot(Ballot::default()));
            return;
        }
        cx.persist(Record::Ballot(self.ballot.clone()));
    }

    #[cfg(feature = "mistakes")]
    fn makes(&self, mistake: crate::Mistake) -> bool {
        self.config.mistake == Some(mistake)
    }
}

impl Process for Replica {
    type Timer = Timer;
    type Event = Event;

    fn start(&mut self, recovered: Recovered, cx: &mut Cx<'_, Self>) {
        self.ballot = recovered.ballot;
        self.incarnation = recovered.incarnation.unwrap_or_else(|| {
            let incarnation = cx.rng.next_u64().max(1);
            cx.persist(Record::Identity { incarnation });
            incarnation
        });
        let peer = |(id, endpoint): (&NodeId, &dsbench_wire::Endpoint)| {
            (id.clone(), Peer { id: id.clone(), endpoint: endpoint.clone(), incarnation: 0 })
        };
        let mut members: std::collections::BTreeMap<_, _> = match &self.config.founding {
            Founding::Members(list) => list.iter().map(peer).collect(),
            Founding::Bootstrap | Founding::Expect(_) | Founding::Join => std::collections::BTreeMap::new(),
        };
        members.insert(cx.me.clone(), peer((cx.me, &self.config.endpoint)).1);
        self.view = View { id: 1, members, ..View::default() };
        for peer in self.view.members.values().filter(|peer| peer.id != *cx.me) {
            cx.connect(peer.clone());
        }
        let delay = self.wait_before_first_election(cx);
        cx.arm(Timer::Election, delay);
    }

    fn message(&mut self, from: &NodeId, message: Message, cx: &mut Cx<'_, Self>) {
        if from == cx.me || !self.view.has_member(from) {
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
            Message::Heartbeat { seq, .. } => self.heartbeat(from, is_current, seq, cx),
            Message::Coordinator { .. } if is_current => self.coordinator(from, cx),
            Message::TimeoutNow { .. } if is_current => self.timeout_now(from, cx),
            Message::HeartbeatAck { seq, .. } if is_current => self.heartbeat_ack(from, seq, cx),
            Message::Election { .. } => self.challenged(from, cx),
            Message::Ok { last, .. } => self.ok(from, last, cx),
            Message::PreVoteRequest { round, last, transfer, .. } => {
                self.pre_vote_request(from, is_current, round, last, transfer, cx);
            }
            Message::PreVote { round, granted: true, .. } if is_current => self.pre_vote(from, round, cx),
            Message::VoteRequest { last, .. } => self.vote_request(from, is_current, last, cx),
            Message::Vote { granted: true, .. } if is_current => self.vote(from, cx),
            Message::Leave { .. } => self.left(from, cx),
            // Refusals, and what belongs to an earlier term.
            _ => {}
        }
    }

    fn persisted(&mut self, _upto: Mark, _cx: &mut Cx<'_, Self>) {}

    fn request(&mut self, asker: Asker, id: Option<RequestId>, _payload: String, cx: &mut Cx<'_, Self>) {
        cx.answer(asker, Answer::Refused { id, reason: Refusal::Busy });
    }

    fn more(&mut self, _cx: &mut Cx<'_, Self>) {}

    fn timer(&mut self, timer: Timer, cx: &mut Cx<'_, Self>) {
        match timer {
            Timer::Heartbeat => self.heartbeat_due(cx),
            Timer::Silence => self.silence(cx),
            Timer::Election => self.stage_over(cx),
            Timer::Transfer => self.transfer_over(cx),
        }
    }

    fn stalled(&mut self, for_at_least: Duration, cx: &mut Cx<'_, Self>) {
        // Less than a heartbeat is jitter, which every timeout allows for anyway.
        if for_at_least < self.config.heartbeat_interval {
            return;
        }
        self.suspicions.afresh(cx.now);
        if self.has_lost_majority(cx.now) {
            self.step_down(Reason::Stalled, cx);
        } else if !self.is_leader() {
            self.restart_stage(cx);
        }
        self.arm_silence(cx);
    }

    fn leave(&mut self, cx: &mut Cx<'_, Self>) {
        if self.is_leader() {
            self.step_down(Reason::Leaving, cx);
        }
        let term = self.term();
        cx.event(Event::Leaving { term });
        for id in self.others(cx.me) {
            cx.send(&id, Message::Leave { term });
        }
    }
}

/// Whoever sends this in a term does not lead that term: a leader that was restarted seeks an election like everybody else.
fn asks_for_leadership(message: &Message) -> bool {
    matches!(message, Message::Election { .. } | Message::PreVoteRequest { .. } | Message::VoteRequest { .. })
}
