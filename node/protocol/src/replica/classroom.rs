//! Life without a quorum: the leader numbers messages and multicasts them, and everybody delivers at once.
//!
//! As the classroom has it: always available, and nothing is promised. Under a partition both sides number and deliver, each for
//! itself; after it the leader of the higher (term, priority) goes on with its own numbers, and the others follow those.
//!
//! Who has delivered a request knows it again, and answers it; who has not delivers it again. A node that is started again goes on
//! after the last number that it is known to have told.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use dsbench_wire::{Content, Entry, Message, NodeId, Peer, Position, Record, RequestId, Term, View};

use super::Replica;
use super::applying::TOLD_AT_ONCE;
use crate::sessions::{Done, Standing};
use crate::{Change, Cx, Event, Founding, Machine};

/// What a leader can send again.
const KEPT: usize = 1024;

/// The numbering that this node follows.
#[derive(Debug, Default)]
pub(super) struct Classroom {
    /// Whose.
    of: Option<(NodeId, Term)>,
    /// The last number that was delivered.
    last: u64,
    /// The newest of them, as entries.
    kept: VecDeque<Entry>,
    /// Requests of this life that are done, whoever has numbered them.
    count: u64,
    /// Of them, those since the log was asked for room.
    told: usize,
    /// The last number when the log was asked for room; nothing when it has room.
    asked: Option<u64>,
    /// Who is in the group at the moment.
    present: BTreeSet<NodeId>,
    /// The number of the group's view.
    view: u64,
    /// Who gave it that number. Of another leader the same number is another view.
    viewed_by: Option<(NodeId, Term)>,
}

impl<M: Machine> Replica<M> {
    pub(super) fn classroom_last(&self) -> u64 {
        self.classroom.last
    }

    /// The last life has told the deliveries up to `last`.
    pub(super) fn classroom_resumes(&mut self, last: u64) {
        self.classroom.last = last;
    }

    /// Whether fewer nodes have met than were told to be waited for, before the first election.
    pub(super) fn classroom_is_too_small(&self) -> bool {
        let is_first = !self.needs_votes() && self.ballot.term == Term::default();
        is_first && self.founders().is_some_and(|founders| self.view().members.len() < founders)
    }

    /// A leader looks for nodes that it does not know, other leaders among them: of those who have met, one leads.
    pub(super) fn classroom_seeks(&mut self, cx: &mut Cx<'_, Self>) {
        if !self.needs_votes() && !matches!(self.config.founding, Founding::Members(_)) {
            let (term, peer) = (self.term(), self.myself(cx.me));
            let request = Message::NewPeerRequest { term, peer, is_new: false, network: 0 };
            let me = cx.me;
            let strangers = self.config.contacts.keys().filter(|&id| id != me && self.view().peer(id).is_none());
            for id in strangers {
                cx.send(id, request.clone());
            }
            cx.broadcast(request);
        }
    }

    /// This node leads: its numbers are the ones that count.
    pub(super) fn classroom_leads(&mut self, cx: &mut Cx<'_, Self>) {
        self.classroom.of = Some((cx.me.clone(), self.ballot.term));
        self.classroom_manages(cx);
    }

    /// The leader is at number `last`.
    pub(super) fn classroom_heard_of(&mut self, from: &NodeId, last: u64, cx: &mut Cx<'_, Self>) {
        self.classroom_follows(from, last);
        if self.classroom.last < last && !self.classroom_is_full() {
            self.classroom_misses(from, cx);
        }
    }

    /// Its numbers are the ones that count.
    fn classroom_follows(&mut self, from: &NodeId, last: u64) {
        let of = Some((from.clone(), self.ballot.term));
        if self.classroom.of != of {
            self.classroom.of = of;
            // What it had numbered beyond that belongs to the other side of a partition.
            if self.classroom.last > last {
                self.classroom.last = last;
                self.classroom.kept.retain(|entry| entry.index <= last);
            }
        }
    }

    /// Asks the leader for what comes after the last number.
    fn classroom_misses(&mut self, leader: &NodeId, cx: &mut Cx<'_, Self>) {
        let (term, incarnation, matched) = (self.term(), self.incarnation, self.classroom.last);
        cx.send(leader, Message::AppendAck { term, granted: false, matched, ordered: true, incarnation });
    }

    /// Upon SEQUENCER_REQUEST: the leader numbers it, delivers it and sends it to all. What it has delivered already, it does not
    /// again: who asks is shown where that was.
    pub(super) fn classroom_intake(
        &mut self,
        from: &NodeId,
        id: &RequestId,
        after: u64,
        payload: Arc<str>,
        cx: &mut Cx<'_, Self>,
    ) {
        let term = self.ballot.term;
        if !self.is_leader() || self.classroom_is_full() {
            return;
        }
        if self.standing(id) != Standing::Open {
            return self.classroom_shows(from, id, cx);
        }
        if after > self.state.sessions.last(&id.client) {
            return;
        }
        let prev = Position { term, index: self.classroom.last };
        let content = Content::Command { id: id.clone(), payload };
        let entry = Entry { index: prev.index + 1, term, content };
        let ordered = Message::Ordered { term, prev, commit: 0, entries: vec![entry.clone()] };
        if self.config.multicast {
            cx.multicast(ordered);
        } else {
            for to in self.others(cx.me) {
                cx.send(&to, ordered.clone());
            }
        }
        self.classroom_delivers(entry, cx);
    }

    /// Sends the delivery that tells what became of `id`: its own, or the one that has overtaken it.
    fn classroom_shows(&self, to: &NodeId, id: &RequestId, cx: &mut Cx<'_, Self>) {
        let (term, commit) = (self.term(), self.classroom.last);
        let tells = |entry: &&Entry| matches!(&entry.content, Content::Command { id: of, .. } if of.client == id.client && of.serial >= id.serial);
        let Some(entry) = self.classroom.kept.iter().find(tells) else { return };
        let prev = Position { term: Term::default(), index: entry.index - 1 };
        let entries = vec![Entry { term, ..entry.clone() }];
        cx.send(to, Message::Ordered { term, prev, commit, entries });
    }

    /// What is delivered: whoever waits for it here is answered.
    fn classroom_notes(&mut self, entry: &Entry, cx: &mut Cx<'_, Self>) {
        let Content::Command { id, .. } = &entry.content else { return };
        if self.standing(id) == Standing::Open {
            self.classroom.count += 1;
            let at = Position { term: entry.term, index: self.classroom.count };
            self.state.sessions.note(&id.client, Done { serial: id.serial, seq: entry.index, at });
        }
        self.settle_up_to(id, cx);
    }

    fn classroom_delivers(&mut self, entry: Entry, cx: &mut Cx<'_, Self>) {
        self.classroom.last = entry.index;
        if let Content::Command { id, payload } = &entry.content {
            let (seq, term, view) = (entry.index, entry.term, self.classroom.view);
            let (id, (room, text)) = (id.clone(), M::shown(payload));
            cx.event(Event::Delivered { seq, term, index: seq, id, view, room, text });
            self.classroom.told += 1;
            self.classroom_asks_for_room(cx);
        }
        self.classroom_notes(&entry, cx);
        self.classroom.kept.push_back(entry);
        if self.classroom.kept.len() > KEPT {
            self.classroom.kept.pop_front();
        }
    }

    /// The log has not taken what was told. A leader takes no requests then, and others let messages go by: they ask for them later.
    fn classroom_is_full(&self) -> bool {
        self.classroom.told >= TOLD_AT_ONCE
    }

    fn classroom_asks_for_room(&mut self, cx: &mut Cx<'_, Self>) {
        if self.classroom.asked.is_none() {
            self.classroom.asked = Some(self.classroom.last);
            self.classroom.told = 0;
            cx.more();
        }
    }

    /// Everything that was told when the log was asked stands in it.
    pub(super) fn classroom_told_all(&mut self, cx: &mut Cx<'_, Self>) {
        let Some(index) = self.classroom.asked.take() else { return };
        self.persist(Record::Applied { index }, cx);
        let was_full = self.classroom_is_full();
        if self.classroom.told > 0 {
            self.classroom_asks_for_room(cx);
        }
        if let Some(leader) = self.leader.clone().filter(|leader| was_full && leader != cx.me) {
            self.classroom_misses(&leader, cx);
        }
    }

    /// Upon ORDERED and APPEND: delivers what comes next. An answer to a repair may begin later than was asked for: then what is
    /// before it cannot be had any more.
    pub(super) fn classroom_append(
        &mut self,
        from: &NodeId,
        prev: Position,
        commit: u64,
        entries: Vec<Entry>,
        ordered: bool,
        cx: &mut Cx<'_, Self>,
    ) {
        if ordered {
            self.classroom_heard_of(from, prev.index.max(commit), cx);
            if prev.index > self.classroom.last {
                return;
            }
        } else {
            self.classroom_follows(from, prev.index);
            self.classroom.last = self.classroom.last.max(prev.index);
        }
        for entry in entries {
            if entry.index <= self.classroom.last {
                self.classroom_notes(&entry, cx);
            } else if !self.classroom_is_full() {
                self.classroom_delivers(entry, cx);
            }
        }
    }

    /// Upon APPEND_ACK: somebody misses what comes after `last`.
    pub(super) fn classroom_repair(&mut self, to: &NodeId, granted: bool, last: u64, cx: &mut Cx<'_, Self>) {
        if granted {
            return;
        }
        let mut weight = 0;
        let missing = self.classroom.kept.iter().filter(|entry| entry.index > last).take_while(|entry| {
            weight += entry.weight();
            weight <= super::replicating::BATCH
        });
        let entries: Vec<_> = missing.cloned().collect();
        // What it misses may be gone: then it goes on with what comes next.
        let first = entries.first().map_or(self.classroom.last + 1, |entry| entry.index);
        if first <= last.saturating_add(1) && entries.is_empty() {
            return;
        }
        let term = self.term();
        // Terms only grow along a log, but not along numbers that two sides have given.
        let prev = Position { term: Term::default(), index: first - 1 };
        let entries = entries.into_iter().map(|entry| Entry { term, ..entry }).collect();
        cx.send(to, Message::Append { term, prev, commit: 0, entries });
    }

    /// A newcomer is one of the group at once.
    pub(super) fn classroom_admits(&mut self, peer: Peer, cx: &mut Cx<'_, Self>) {
        let is_known = self.view().members.contains_key(&peer.id);
        if !is_known && self.views.index() > 0 {
            let mut view = self.views.latest().as_ref().clone();
            cx.event(Event::NewPeerRequest { peer: peer.clone(), term: self.term() });
            view.members.insert(peer.id.clone(), peer.clone());
            self.views.install(self.views.index(), Arc::new(view));
            self.meet_view(cx);
        }
        cx.connect(peer.clone());
        if self.is_leader() {
            let (term, view) = (self.term(), self.classroom_view(cx));
            cx.send(&peer.id, Message::AddedToNetwork { term, view });
            cx.send(&peer.id, Message::Coordinator { term });
            self.classroom_manages(cx);
        }
    }

    /// Everybody who is known, without those who are gone.
    fn classroom_view(&self, cx: &Cx<'_, Self>) -> Arc<View> {
        let mut view = self.views.latest().as_ref().clone();
        view.members.retain(|id, _| id == cx.me || !self.suspicions.is_gone(id, cx.now));
        Arc::new(View { id: self.classroom.view, ..view })
    }

    /// The leader tells everybody when somebody has come or gone.
    pub(super) fn classroom_manages(&mut self, cx: &mut Cx<'_, Self>) {
        if !self.is_leader() {
            return;
        }
        let term = self.term();
        let present: BTreeSet<_> = self.classroom_view(cx).members.keys().cloned().collect();
        let mine = Some((cx.me.clone(), term));
        if present == self.classroom.present && self.classroom.viewed_by == mine {
            return;
        }
        let before = std::mem::replace(&mut self.classroom.present, present);
        let joined = self.classroom.present.difference(&before).next().filter(|_| !before.is_empty());
        let removed = before.difference(&self.classroom.present).next();
        let change = match (joined, removed) {
            (Some(joined), _) => Change::Joined(joined.clone()),
            (None, Some(removed)) => Change::Removed(removed.clone()),
            (None, None) => Change::Founded,
        };
        self.classroom.view += 1;
        self.classroom.viewed_by = mine;
        let view = self.classroom_view(cx);
        cx.event(Event::ViewChange { view: Arc::clone(&view), ranking: M::RANKING, term, change });
        for id in self.others(cx.me) {
            cx.send(&id, Message::ViewChange { term, view: Arc::clone(&view) });
        }
    }

    /// The number of the last view that this node was told by its leader.
    pub(super) fn classroom_known_view(&self) -> u64 {
        let by_whom = self.classroom.viewed_by.as_ref();
        let is_its = by_whom.is_some_and(|(by, term)| self.leader.as_ref() == Some(by) && *term == self.term());
        if is_its { self.classroom.view } else { 0 }
    }

    /// Upon HEARTBEAT_ACK: somebody who was connected late, or whose VIEW_CHANGE was lost, is told the view again.
    pub(super) fn classroom_view_of(&self, from: &NodeId, known: u64, cx: &mut Cx<'_, Self>) {
        if self.is_leader() && known != self.classroom.view {
            let (term, view) = (self.term(), self.classroom_view(cx));
            cx.send(from, Message::ViewChange { term, view });
        }
    }

    /// Upon VIEW_CHANGE and ADDED TO NETWORK of the leader: who is in the group.
    pub(super) fn classroom_hears_of(&mut self, from: &NodeId, term: Term, view: &Arc<View>, cx: &mut Cx<'_, Self>) {
        if term < self.term() || !view.members.contains_key(from) {
            return;
        }
        let mut all = self.views.latest().as_ref().clone();
        for peer in view.members.values() {
            all.members.entry(peer.id.clone()).or_insert_with(|| peer.clone());
        }
        if all != **self.views.latest() {
            self.views.install(self.views.index(), Arc::new(all));
            self.meet_view(cx);
        }
        if self.leader.as_ref() == Some(from) && view.id != self.classroom_known_view() {
            self.classroom.view = view.id;
            self.classroom.viewed_by = Some((from.clone(), term));
            self.classroom.present = view.members.keys().cloned().collect();
            let change = Change::Founded;
            cx.event(Event::ViewChange { view: Arc::clone(view), ranking: M::RANKING, term, change });
        }
    }
}
