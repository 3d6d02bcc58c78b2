//! Replicating: how the leader's entries come into the others' logs (Raft, 5.3).
//!
//! Entries leave before they are durable here, many in one message, several messages in flight to each follower. Where an
//! answer is missing or refuses, the leader looks again for the last entry that both logs have, and goes on from there.
//! Multicast, where it is used, carries the newest entries to all at once; whoever misses some gets them as everybody else does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use dsbench_wire::{Content, Entry, Message, NodeId, Position, Record, Snapshot, Term};

use super::{Replica, Timer};
use crate::{Cx, Machine};

/// Entries in one message, by their weight: with its frame it fits into a line.
pub(super) const BATCH: usize = 60 * 1024;
/// Entries in one datagram, which should not be cut into too many packets.
const DATAGRAM: usize = 8 * 1024;
/// Messages with entries that may be unanswered at a time. What comes meanwhile goes together into the next.
const WINDOW: usize = 8;
/// No log comes so far: whoever claims it lies, and sums with it would overflow. A whole number of JSON.
pub(super) const INDEX_MAX: u64 = 1 << 53;
/// The longest time after which an answer is missed.
const REPAIR_MAX: Duration = Duration::from_millis(250);

/// How far one follower has come.
#[derive(Debug)]
pub(super) struct Progress {
    /// The next entry to send.
    next: u64,
    /// Up to where its durable log is known to be the leader's.
    matched: u64,
    /// Whose disk that is; 0 before its first answer.
    pub(super) incarnation: u64,
    flow: Flow,
    /// The last entry of each message in flight.
    in_flight: VecDeque<u64>,
    /// Up to where it was told that the log is committed.
    told_commit: u64,
    /// A round of heartbeats, and what was sent before it: whoever answers the round without having that has lost it.
    round: Option<(u64, u64)>,
    hears_multicast: bool,
    /// For what an answer was missing when the leader looked last.
    missing: Option<u64>,
}

#[derive(Debug)]
enum Flow {
    /// Where the logs part is looked for, one message at a time.
    Probing { is_asked: bool },
    /// Entries are sent ahead of their answers.
    Streaming,
    /// It gets a snapshot, part by part; so many bytes have arrived.
    Installing { snapshot: Snapshot, offset: usize },
}

impl Progress {
    pub(super) fn new(next: u64) -> Self {
        Self {
            next,
            matched: 0,
            incarnation: 0,
            flow: Flow::Probing { is_asked: false },
            in_flight: VecDeque::new(),
            told_commit: 0,
            round: None,
            hears_multicast: false,
            missing: None,
        }
    }

    pub(super) fn matched(&self) -> u64 {
        self.matched
    }

    /// Round `seq` of heartbeats leaves.
    pub(super) fn round(&mut self, seq: u64) {
        if matches!(self.flow, Flow::Streaming) && self.round.is_none() {
            self.round = Some((seq, self.next - 1));
        }
    }

    /// Looks for the last common entry from `next` on.
    fn probe(&mut self, next: u64) {
        self.flow = Flow::Probing { is_asked: false };
        self.next = next.max(self.matched + 1);
        self.in_flight.clear();
        self.round = None;
        self.hears_multicast = false;
    }

    /// Everything up to `matched` is there.
    fn advance(&mut self, matched: u64) {
        self.matched = self.matched.max(matched);
        while self.in_flight.front().is_some_and(|&last| last <= self.matched) {
            self.in_flight.pop_front();
        }
        if !matches!(self.flow, Flow::Streaming) {
            self.flow = Flow::Streaming;
            self.next = self.matched + 1;
        }
        self.next = self.next.max(self.matched + 1);
    }

    /// The answer that is awaited: to the oldest message in flight, or to the question where the logs part.
    fn awaits(&self) -> Option<u64> {
        match self.flow {
            Flow::Probing { is_asked: true } => Some(self.next),
            Flow::Streaming => self.in_flight.front().copied(),
            _ => None,
        }
    }

    /// Whether multicast is enough for it.
    fn hears(&self) -> bool {
        self.hears_multicast && matches!(self.flow, Flow::Streaming)
    }

    /// Whether a message should leave now.
    fn is_due(&self, last: u64, commit: u64) -> bool {
        match self.flow {
            Flow::Probing { is_asked } => !is_asked,
            Flow::Streaming if self.next > last => self.told_commit < commit,
            Flow::Streaming => self.in_flight.len() < WINDOW,
            Flow::Installing { .. } => false,
        }
    }
}

impl<M: Machine> Replica<M> {
    /// Appends to the log, in memory and on the way to the disk.
    pub(super) fn store(&mut self, entry: Entry, cx: &mut Cx<'_, Self>) {
        let mark = self.persist(Record::Entry(entry.clone()), cx);
        if let Content::View(view) = &entry.content {
            self.views.push(entry.index, Arc::clone(view));
        }
        let is_view = matches!(entry.content, Content::View(_));
        self.log.append(entry, mark);
        if is_view {
            self.meet_view(cx);
        }
    }

    /// The leader appends an entry of its term.
    pub(super) fn propose(&mut self, content: Content, cx: &mut Cx<'_, Self>) {
        let entry = Entry { index: self.log.last().index + 1, term: self.term(), content };
        self.store(entry, cx);
        self.spread(cx);
        self.watch_answers(cx);
    }

    /// Sends whatever is due to anybody.
    pub(super) fn spread(&mut self, cx: &mut Cx<'_, Self>) {
        self.multicast_new(cx);
        let Some(leading) = &self.leading else { return };
        let (last, commit) = (self.log.last().index, self.commit);
        let due = leading.progress.iter().filter(|(_, progress)| progress.is_due(last, commit));
        for id in due.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.replicate(&id, cx);
        }
    }

    /// Sends to one follower what is due to it.
    pub(super) fn replicate(&mut self, id: &NodeId, cx: &mut Cx<'_, Self>) {
        let (term, commit, last) = (self.ballot.term, self.commit, self.log.last().index);
        let Some(leading) = &mut self.leading else { return };
        let Some(progress) = leading.progress.get_mut(id) else { return };
        while progress.is_due(last, commit) {
            let before = progress.next - 1;
            let Some(of) = self.log.term_at(before, cx.archive) else { return self.begin_install(id, cx) };
            let entries = self.log.entries(progress.next, last, BATCH, cx.archive);
            if entries.is_empty() && progress.next <= last {
                return self.begin_install(id, cx);
            }
            match &mut progress.flow {
                Flow::Probing { is_asked } => *is_asked = true,
                Flow::Streaming if !entries.is_empty() => {
                    progress.next += entries.len() as u64;
                    progress.in_flight.push_back(progress.next - 1);
                }
                _ => {}
            }
            progress.told_commit = commit;
            let prev = Position { term: of, index: before };
            cx.send_now(id, Message::Append { term, prev, commit, entries });
        }
    }

    /// Upon Repair: an answer that was awaited the last time already is not waited for any longer. Without this a lost message
    /// would cost a heartbeat, which may be seconds.
    pub(super) fn repair(&mut self, cx: &mut Cx<'_, Self>) {
        let Some(leading) = &mut self.leading else { return };
        let mut late = Vec::new();
        for (id, progress) in leading.progress.iter_mut().filter(|(id, _)| !self.suspicions.is_silent(id)) {
            let awaits = progress.awaits();
            if awaits.is_some() && progress.missing == awaits {
                let is_streaming = matches!(progress.flow, Flow::Streaming);
                progress.probe(if is_streaming { progress.matched + 1 } else { progress.next });
                late.push(id.clone());
            }
            progress.missing = progress.awaits().or(awaits);
        }
        leading.is_repairing = leading.progress.values().any(|progress| progress.missing.is_some());
        if leading.is_repairing {
            cx.arm(Timer::Repair, self.config.heartbeat_interval.min(REPAIR_MAX));
        }
        for id in late {
            self.replicate(&id, cx);
        }
    }

    /// Looks after what was just sent, if nobody does yet.
    fn watch_answers(&mut self, cx: &mut Cx<'_, Self>) {
        if let Some(leading) = self.leading.as_mut().filter(|leading| !leading.is_repairing) {
            leading.is_repairing = true;
            cx.arm(Timer::Repair, self.config.heartbeat_interval.min(REPAIR_MAX));
        }
    }

    /// Sends what is new to everybody at once. Whoever is known to hear it is not sent the same again. When all of those have
    /// enough in flight, it waits, and goes together with what comes meanwhile.
    fn multicast_new(&mut self, cx: &mut Cx<'_, Self>) {
        let (term, commit, last) = (self.ballot.term, self.commit, self.log.last().index);
        let Some(leading) = self.leading.as_mut().filter(|_| self.config.multicast) else { return };
        let hearing = leading.progress.values().filter(|progress| progress.hears());
        let before = match hearing.clone().filter(|hearing| hearing.in_flight.len() < WINDOW).map(|p| p.next - 1).min()
        {
            Some(before) => before,
            None if hearing.count() > 0 => return,
            // Nobody is known to hear it yet. Each entry is tried once.
            None => leading.multicast,
        };
        let Some(of) = self.log.term_at(before, cx.archive).filter(|_| last > before) else { return };
        let entries = self.log.entries(before + 1, last, DATAGRAM, cx.archive);
        let upto = before + entries.len() as u64;
        leading.multicast = last;
        // A single entry may be too heavy for a datagram.
        if entries.is_empty() || entries.iter().map(Entry::weight).sum::<usize>() > DATAGRAM {
            return;
        }
        for progress in leading.progress.values_mut().filter(|progress| progress.hears()) {
            if progress.next <= upto && progress.in_flight.len() < WINDOW {
                progress.next = upto + 1;
                progress.in_flight.push_back(upto);
                progress.told_commit = commit;
            }
        }
        let prev = Position { term: of, index: before };
        cx.multicast(Message::Ordered { term, prev, commit, entries });
    }

    /// Upon APPEND and ORDERED: takes over what the leader has, if the logs agree on what is before it.
    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    pub(super) fn append(
        &mut self,
        from: &NodeId,
        is_current: bool,
        prev: Position,
        commit: u64,
        entries: Vec<Entry>,
        ordered: bool,
        cx: &mut Cx<'_, Self>,
    ) {
        let (term, incarnation) = (self.term(), self.incarnation);
        let answer = |granted, matched| Message::AppendAck { term, granted, matched, ordered, incarnation };
        if !is_current {
            // It learns that its term is over.
            cx.send(from, answer(false, 0));
            return;
        }
        if !is_a_run(prev, &entries, term) {
            return;
        }
        let is_leader = if ordered { self.accepts_multicaster(from, cx) } else { self.accepts_leader(from, cx) };
        if !is_leader {
            return;
        }
        if !self.needs_votes() {
            return self.classroom_append(from, prev, commit, entries, ordered, cx);
        }
        let upto = prev.index + entries.len() as u64;
        if !self.has(prev, cx) {
            let hint = self.where_to_look(prev, cx);
            cx.send(from, answer(false, hint));
            return;
        }
        for entry in entries {
            if entry.index <= self.commit || self.log.term_at(entry.index, cx.archive) == Some(entry.term) {
                continue;
            }
            if entry.index <= self.log.last().index {
                self.cut_off(entry.index, cx);
            }
            self.store(entry, cx);
        }
        self.agreed = self.agreed.max(upto);
        cx.send(from, answer(true, self.agreed));
        #[cfg(feature = "mistakes")]
        if self.makes(crate::Mistake::DeliversUncommitted) {
            return self.commit_to(self.agreed, cx);
        }
        self.commit_to(commit.min(self.agreed), cx);
    }

    /// Whether the log has this entry. What is committed here every leader has, and at the same place.
    fn has(&self, at: Position, cx: &Cx<'_, Self>) -> bool {
        at.index <= self.commit || self.log.term_at(at.index, cx.archive) == Some(at.term)
    }

    /// The last entry that may be common, when `missing` is not: nothing of the term that is there instead is, unless it is
    /// committed.
    fn where_to_look(&self, missing: Position, cx: &Cx<'_, Self>) -> u64 {
        match self.log.term_at(missing.index, cx.archive) {
            Some(other) => self.log.first_of(other, self.commit, cx.archive) - 1,
            None => self.log.last().index.min(missing.index.saturating_sub(1)).max(self.commit),
        }
    }

    /// Cuts off what another leader's log has in place of it. It was not committed, and nobody was told.
    fn cut_off(&mut self, from: u64, cx: &mut Cx<'_, Self>) {
        self.log.truncate(from, cx.archive);
        self.views.truncate(from);
        self.meet_view(cx);
    }

    /// Upon APPEND_ACK of the current term.
    pub(super) fn append_ack(
        &mut self,
        from: &NodeId,
        granted: bool,
        matched: u64,
        ordered: bool,
        incarnation: u64,
        cx: &mut Cx<'_, Self>,
    ) {
        if !self.is_leader() {
            return;
        }
        if !self.needs_votes() {
            return self.classroom_repair(from, granted, matched, cx);
        }
        self.hear(from, cx);
        if !self.counts(from, incarnation, cx) {
            return;
        }
        let last = self.log.last().index;
        let Some(progress) = self.progress_of(from, incarnation) else { return };
        if granted {
            progress.hears_multicast |= ordered;
            progress.advance(matched.min(last));
            self.progressed(from, cx);
        } else if matched < progress.next - 1 {
            progress.probe(matched + 1);
            self.replicate(from, cx);
        }
    }

    /// Upon HEARTBEAT_ACK: what was sent before the heartbeat and is not there is lost.
    pub(super) fn heartbeat_answered(
        &mut self,
        from: &NodeId,
        seq: u64,
        matched: u64,
        incarnation: u64,
        cx: &mut Cx<'_, Self>,
    ) {
        if !self.needs_votes() {
            return self.classroom_view_of(from, matched, cx);
        }
        let last = self.log.last().index;
        let Some(progress) = self.progress_of(from, incarnation) else { return };
        if matches!(progress.flow, Flow::Streaming) {
            progress.advance(matched.min(last));
        }
        match &mut progress.flow {
            Flow::Streaming => {
                if let Some((_, sent)) = progress.round.take_if(|(round, _)| seq >= *round)
                    && matched < sent
                {
                    progress.probe(progress.matched + 1);
                }
            }
            Flow::Probing { is_asked } => *is_asked = false,
            Flow::Installing { .. } => self.send_part(from, cx),
        }
        self.progressed(from, cx);
    }

    /// A follower has come further, perhaps: entries may be committed by it, and it may be sent more.
    pub(super) fn progressed(&mut self, id: &NodeId, cx: &mut Cx<'_, Self>) {
        self.count_copies(cx);
        self.multicast_new(cx);
        self.replicate(id, cx);
        self.ask_successor(cx);
        if self.view().learners.contains_key(id) {
            self.manage(cx);
        }
    }

    /// What is known of a follower, from the disk that speaks now.
    pub(super) fn progress_of(&mut self, id: &NodeId, incarnation: u64) -> Option<&mut Progress> {
        let next = self.log.last().index + 1;
        let progress = self.leading.as_mut()?.progress.get_mut(id)?;
        if progress.incarnation != incarnation {
            if progress.incarnation != 0 {
                *progress = Progress::new(next);
            }
            progress.incarnation = incarnation;
        }
        Some(progress)
    }

    /// Begins to send the newest checkpoint to a follower that needs what the log does not have any more.
    fn begin_install(&mut self, id: &NodeId, cx: &mut Cx<'_, Self>) {
        let Some(snapshot) = self.snapshot.clone() else { return };
        let Some(progress) = self.leading.as_mut().and_then(|leading| leading.progress.get_mut(id)) else { return };
        progress.in_flight.clear();
        progress.round = None;
        progress.flow = Flow::Installing { snapshot, offset: 0 };
        self.send_part(id, cx);
    }

    /// The snapshot that a follower gets, and how much of it has arrived.
    pub(super) fn installs(&mut self, id: &NodeId) -> Option<(&Snapshot, &mut usize)> {
        match &mut self.leading.as_mut()?.progress.get_mut(id)?.flow {
            Flow::Installing { snapshot, offset } => Some((snapshot, offset)),
            _ => None,
        }
    }

    /// A follower has the whole snapshot.
    pub(super) fn installed(&mut self, id: &NodeId, at: Position, cx: &mut Cx<'_, Self>) {
        if let Some(progress) = self.leading.as_mut().and_then(|leading| leading.progress.get_mut(id)) {
            progress.advance(at.index);
            self.progressed(id, cx);
        }
    }
}

/// Whether `entries` follow `prev` without a gap, in terms that a leader of `term` can have.
fn is_a_run(prev: Position, entries: &[Entry], term: Term) -> bool {
    let mut before = prev;
    prev.index < INDEX_MAX
        && entries.iter().all(|entry| {
            let follows = entry.index == before.index + 1 && entry.term >= before.term && entry.term <= term;
            before = entry.position();
            follows
        })
}
