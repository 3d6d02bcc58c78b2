//! Standing for election: the bully's challenge decides who tries, pre-votes whether it is worth it, votes who leads.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dsbench_wire::{Message, NodeId, Position, Term};
use rand_pcg::rand_core::Rng;

use super::{Replica, Timer};
use crate::ballot;
use crate::{Cx, Event, Machine, Mark, Reason, Takeover};

/// A node's search for a leader.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    stage: Stage,
    /// Counted from 1 since the search began.
    number: u32,
    /// How often in a row a higher node said OK, and nobody led afterwards.
    empty_promises: u32,
    /// How often its stages have begun again, because this node stood still.
    restarts: u32,
}

/// How far it has come. Every stage but the first ends by `Timer::Election` at the latest.
#[derive(Debug, Default)]
enum Stage {
    /// Leads, follows, or waits for somebody else.
    #[default]
    Resting,
    /// ELECTION is sent to all higher nodes; without an OK it stands.
    Challenging,
    /// A higher node said OK.
    Deferring,
    /// Asks whether it would get a majority. With `transfer`, at the wish of the leader, which leads on meanwhile.
    PreVoting { round: u64, transfer: bool, granted: BTreeSet<NodeId> },
    /// Has voted for itself and asks the others. Its own vote counts once it is durable, as anybody else's does.
    Voting { own: Mark, granted: BTreeMap<NodeId, u64> },
}

/// After so many promises of higher nodes that led to nothing a node stands in spite of them: they may be able to reach it
/// and yet no majority.
const PATIENCE_WITH_PROMISES: u32 = 2;

/// So often an attempt waits anew after a standstill. On a machine that is always late, it would wait for ever.
const RESTARTS_MAX: u32 = 3;

impl<M: Machine> Replica<M> {
    /// How long a node listens, after its start, before it looks for a leader.
    pub(super) fn wait_before_first_election(&self, cx: &mut Cx<'_, Self>) -> Duration {
        let spread = cx.between(Duration::ZERO, self.config.election_timeout / 4);
        if self.view().members.len() == 1 && self.is_voting(cx.me) {
            Duration::ZERO
        } else if !self.needs_votes() && self.config.takeover == Takeover::Sticky {
            // Nobody could refuse it: it has to hear a heartbeat, if there is one, before it stands.
            self.config.heartbeat_interval + self.config.election_timeout / 4 + spread
        } else {
            spread
        }
    }

    /// Begins to look for a leader.
    pub(super) fn begin_election(&mut self, reason: Reason, cx: &mut Cx<'_, Self>) {
        self.doubt_hearsay(cx);
        if !self.is_voting(cx.me) || self.classroom_is_too_small() {
            self.seek(cx);
            return;
        }
        self.attempt = Attempt { number: 1, ..Attempt::default() };
        cx.event(Event::ElectionStarted { term: self.contested(), reason });
        self.challenge(cx);
    }

    fn retry_election(&mut self, reason: Reason, cx: &mut Cx<'_, Self>) {
        self.attempt.stage = Stage::Resting;
        self.attempt.number += 1;
        self.attempt.restarts = 0;
        cx.event(Event::ElectionRetried { term: self.contested(), attempt: self.attempt.number, reason });
        // It may have been removed without knowing it.
        self.ask_to_be_let_in(cx);
        self.challenge(cx);
    }

    /// Stops looking for a leader.
    pub(super) fn cancel(&mut self, reason: Reason, cx: &mut Cx<'_, Self>) {
        if !matches!(self.attempt.stage, Stage::Resting) {
            cx.event(Event::ElectionCancelled { term: self.contested(), reason });
            self.attempt = Attempt::default();
        }
    }

    /// The term that this node would lead if its attempt succeeds.
    fn contested(&self) -> Term {
        match self.attempt.stage {
            Stage::Voting { .. } => self.term(),
            _ => self.term().next(),
        }
    }

    /// The bully's part: all higher nodes are asked to stand instead. Those that are silent, or whose processes seem to have ended,
    /// are asked, too, but not awaited.
    fn challenge(&mut self, cx: &mut Cx<'_, Self>) {
        let term = self.term();
        let mut is_awaited = false;
        let members = &self.views.latest().members;
        for id in members.keys().filter(|id| M::priority(id) > M::priority(cx.me)) {
            cx.send(id, Message::Election { term });
            is_awaited |= !self.suspicions.is_silent(id) && self.suspicions.ended_since(id).is_none();
        }
        if is_awaited && self.attempt.empty_promises < PATIENCE_WITH_PROMISES {
            self.attempt.stage = Stage::Challenging;
            cx.arm(Timer::Election, self.config.election_timeout);
        } else {
            self.stand(cx);
        }
    }

    /// Upon ELECTION: a lower node finds no leader.
    pub(super) fn challenged(&mut self, from: &NodeId, cx: &mut Cx<'_, Self>) {
        if M::priority(from) > M::priority(cx.me) || !self.is_voting(cx.me) {
            return;
        }
        let term = self.term();
        cx.send(from, Message::Ok { term, last: self.last() });
        if self.is_leader() {
            cx.send(from, Message::Coordinator { term });
        } else if matches!(self.attempt.stage, Stage::Resting) {
            if !self.hears_leader(cx) {
                self.lose_leader(cx);
                self.begin_election(Reason::Challenged(from.clone()), cx);
            }
        } else {
            // It may have missed the request: it was down, or the link was.
            self.ask(from, cx);
        }
    }

    /// Upon OK: a higher node is alive and looks for a leader itself.
    pub(super) fn ok(&mut self, from: &NodeId, last: Position, cx: &mut Cx<'_, Self>) {
        let is_waiting = matches!(self.attempt.stage, Stage::Challenging);
        // A higher node whose log is behind cannot win the votes that this one can.
        if !is_waiting || M::priority(from) < M::priority(cx.me) || last < self.last() {
            return;
        }
        cx.event(Event::Deferring { to: from.clone(), term: self.contested() });
        if self.leader.is_some() {
            // This was a takeover. The one who answered is higher still: its turn.
            self.attempt.stage = Stage::Resting;
            self.plan_takeover(cx);
        } else {
            self.attempt.stage = Stage::Deferring;
            // One election timeout, because it may have to challenge as well, and one for its votes.
            let timeout = self.config.election_timeout;
            let patience = cx.between(2 * timeout, 3 * timeout);
            cx.arm(Timer::Election, patience);
        }
    }

    /// No higher node answers.
    fn stand(&mut self, cx: &mut Cx<'_, Self>) {
        if self.needs_votes() {
            self.pre_vote_round(false, cx);
        } else if self.enter_own_term(cx).is_some() {
            self.lead([(cx.me.clone(), self.incarnation)].into(), cx);
        }
    }

    /// Asks whether a majority would vote for it, before it disturbs anybody with a new term.
    fn pre_vote_round(&mut self, transfer: bool, cx: &mut Cx<'_, Self>) {
        cx.event(Event::AsksPreVotes { term: self.contested() });
        // Random, so that no answer to an earlier life of this node can be taken for one to this.
        let round = cx.rng.next_u64();
        self.attempt.stage = Stage::PreVoting { round, transfer, granted: [cx.me.clone()].into() };
        self.arm_round(cx);
        for id in self.others(cx.me) {
            self.ask(&id, cx);
        }
        #[cfg(feature = "mistakes")]
        if self.makes(crate::Mistake::ClaimsTermTwice) && self.enter_own_term(cx).is_some() {
            self.lead([(cx.me.clone(), self.incarnation)].into(), cx);
            return;
        }
        self.count_pre_votes(cx);
    }

    /// Two nodes that ask at the same moment must not do so for ever: the rounds have different lengths.
    fn arm_round(&mut self, cx: &mut Cx<'_, Self>) {
        let timeout = self.config.election_timeout;
        let length = cx.between(timeout * 3 / 4, timeout * 5 / 4);
        cx.arm(Timer::Election, length);
    }

    /// Asks one node for what the current stage needs from it.
    fn ask(&mut self, id: &NodeId, cx: &mut Cx<'_, Self>) {
        let (term, last) = (self.term(), self.last());
        match &self.attempt.stage {
            Stage::PreVoting { round, transfer, granted } if !granted.contains(id) => {
                cx.send(id, Message::PreVoteRequest { term, round: *round, last, transfer: *transfer });
            }
            Stage::Voting { granted, .. } if !granted.contains_key(id) => {
                cx.send(id, Message::VoteRequest { term, last });
            }
            _ => {}
        }
    }

    /// Upon PRE_VOTE_REQUEST: yes, unless there is a leader that is heard, or this node's log is later.
    pub(super) fn pre_vote_request(
        &mut self,
        from: &NodeId,
        is_current: bool,
        round: u64,
        last: Position,
        transfer: bool,
        cx: &mut Cx<'_, Self>,
    ) {
        if !self.needs_votes() {
            return;
        }
        let is_wanted = if self.is_leader() { self.transfers_to(from) } else { transfer };
        let granted = is_current && self.is_as_late(last) && (is_wanted || !self.hears_leader(cx));
        let term = self.term();
        cx.send(from, Message::PreVote { term, round, granted, incarnation: self.incarnation });
        if self.is_leader() && !granted {
            cx.send(from, Message::Coordinator { term });
        }
        // A grant does not postpone an election of this node's own: who asks may be deaf, and would ask for ever.
    }

    /// Whether a log that ends at `last` is at least as late as this node's: the later last term, then the higher index (Raft,
    /// 5.4.1). Not the longer log: the unacknowledged tail of a deposed leader may be long.
    fn is_as_late(&self, last: Position) -> bool {
        #[cfg(feature = "mistakes")]
        if self.makes(crate::Mistake::LongestLogWins) {
            return last.index >= self.last().index;
        }
        last >= self.last()
    }

    /// Upon a granted PRE_VOTE of the current term.
    pub(super) fn pre_vote(&mut self, from: &NodeId, of_round: u64, incarnation: u64, cx: &mut Cx<'_, Self>) {
        if !self.is_voter(from, incarnation) {
            return;
        }
        if let Stage::PreVoting { round, granted, .. } = &mut self.attempt.stage
            && *round == of_round
        {
            granted.insert(from.clone());
            self.count_pre_votes(cx);
        }
    }

    fn count_pre_votes(&mut self, cx: &mut Cx<'_, Self>) {
        if let Stage::PreVoting { granted, .. } = &self.attempt.stage
            && granted.len() >= self.view().majority()
        {
            self.vote_round(cx);
        }
    }

    /// Stands: a new term, its own vote, and everybody else's.
    fn vote_round(&mut self, cx: &mut Cx<'_, Self>) {
        let Some(own) = self.enter_own_term(cx) else { return };
        let term = self.term();
        self.attempt.stage = Stage::Voting { own, granted: BTreeMap::new() };
        cx.event(Event::Stands { term });
        cx.event(Event::Voted { candidate: cx.me.clone(), term });
        self.arm_round(cx);
        for id in self.others(cx.me) {
            self.ask(&id, cx);
        }
    }

    /// Enters the next term with its vote for itself. Nothing when there is none: terms are finite, and somebody has lied.
    fn enter_own_term(&mut self, cx: &mut Cx<'_, Self>) -> Option<Mark> {
        let next = self.term().next();
        if next == self.term() {
            return None;
        }
        self.lose_leader(cx);
        ballot::enter(&mut self.ballot, next);
        self.agreed = self.commit;
        self.incoming = None;
        self.ballot.voted_for = Some(cx.me.clone());
        Some(self.persist_ballot(cx))
    }

    /// Upon VOTE_REQUEST: one vote per term, to a log that is at least as late, and durable before it is told.
    pub(super) fn vote_request(&mut self, from: &NodeId, is_current: bool, last: Position, cx: &mut Cx<'_, Self>) {
        if !self.needs_votes() {
            return;
        }
        let term = self.term();
        let is_free = self.leader.is_none() && ballot::may_vote_for(&self.ballot, from);
        let granted = is_current && is_free && self.is_as_late(last);
        if granted && self.ballot.voted_for.is_none() {
            self.cancel(Reason::VotedFor(from.clone()), cx);
            self.ballot.voted_for = Some(from.clone());
            self.persist_ballot(cx);
            cx.event(Event::Voted { candidate: from.clone(), term });
            self.wait_for_leader(cx);
        }
        cx.send(from, Message::Vote { term, granted, incarnation: self.incarnation });
    }

    /// Upon a granted VOTE of the current term.
    pub(super) fn vote(&mut self, from: &NodeId, incarnation: u64, cx: &mut Cx<'_, Self>) {
        if !self.is_voter(from, incarnation) {
            return;
        }
        if let Stage::Voting { granted, .. } = &mut self.attempt.stage {
            granted.insert(from.clone(), incarnation);
            self.count_votes(cx);
        }
    }

    /// Everything up to `upto` is durable, its vote for itself perhaps among it.
    pub(super) fn own_vote_is_durable(&mut self, upto: Mark, cx: &mut Cx<'_, Self>) {
        if let Stage::Voting { own, granted } = &mut self.attempt.stage
            && *own <= upto
        {
            granted.insert(cx.me.clone(), self.incarnation);
            self.count_votes(cx);
        }
    }

    /// Whether a vote of `id` is one of those that the view counts: learners have none, and neither has a wiped disk.
    fn is_voter(&self, id: &NodeId, incarnation: u64) -> bool {
        #[cfg(feature = "mistakes")]
        if self.makes(crate::Mistake::CountsAnyVote) {
            return self.view().peer(id).is_some();
        }
        self.view().members.get(id).is_some_and(|peer| peer.is(incarnation))
    }

    fn count_votes(&mut self, cx: &mut Cx<'_, Self>) {
        if let Stage::Voting { granted, .. } = &self.attempt.stage
            && granted.contains_key(cx.me)
            && granted.len() >= self.view().majority()
        {
            let votes = granted.clone();
            self.lead(votes, cx);
        }
    }

    /// Upon TIMEOUT_NOW: the leader wants this node to lead. It asks for pre-votes nevertheless: if it cannot win, nobody
    /// needs to lose a leader over it.
    pub(super) fn timeout_now(&mut self, from: &NodeId, cx: &mut Cx<'_, Self>) {
        let is_able = self.needs_votes() && self.is_voting(cx.me) && self.departure.is_none();
        if is_able && self.leader.as_ref() == Some(from) {
            self.attempt = Attempt { number: 1, ..Attempt::default() };
            let reason = Reason::Transferred(from.clone());
            cx.event(Event::ElectionStarted { term: self.contested(), reason });
            self.pre_vote_round(true, cx);
        }
    }

    /// Upon Election: the current stage, or the wait before the first, has taken its time.
    pub(super) fn stage_over(&mut self, cx: &mut Cx<'_, Self>) {
        match (&self.attempt.stage, self.leader.clone()) {
            _ if self.is_leader() => {}
            (Stage::Resting, None) => self.begin_election(Reason::NoLeader, cx),
            (Stage::Resting, Some(lower)) => self.begin_election(Reason::Takeover(lower), cx),
            (Stage::Challenging, _) => self.stand(cx),
            (Stage::Deferring, _) => {
                self.attempt.empty_promises += 1;
                self.retry_election(Reason::NoCoordinator, cx);
            }
            (Stage::PreVoting { .. }, Some(_)) => self.cancel(Reason::NoMajority, cx),
            (Stage::PreVoting { .. } | Stage::Voting { .. }, _) => {
                self.attempt.empty_promises = 0;
                self.retry_election(Reason::NoMajority, cx);
            }
        }
    }

    /// After a standstill of its own: the others had no time to answer.
    pub(super) fn restart_stage(&mut self, cx: &mut Cx<'_, Self>) {
        if self.attempt.restarts >= RESTARTS_MAX {
            return;
        }
        self.attempt.restarts += 1;
        match (&self.attempt.stage, &self.leader) {
            (Stage::Resting, Some(_)) => self.attempt.restarts = 0,
            (Stage::Resting, None) => self.wait_for_leader(cx),
            (Stage::Challenging, _) => cx.arm(Timer::Election, self.config.election_timeout),
            (Stage::Deferring, _) => cx.arm(Timer::Election, 2 * self.config.election_timeout),
            (Stage::PreVoting { .. } | Stage::Voting { .. }, _) => self.arm_round(cx),
        }
    }
}
