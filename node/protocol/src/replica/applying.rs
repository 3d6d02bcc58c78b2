//! Applying what is committed, and telling it: every node does the same requests in the same order, each once.
//!
//! The state is applied as soon as an entry is known to be committed. People are told as fast as they read: the teller goes over
//! the same entries again, at most [`TOLD_AT_ONCE`] deliveries at a time, with a copy of the machine that is as far as the log
//! lines are.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use dsbench_wire::{Content, Entry, NodeId, Position, Record, RequestId, Snapshot, View};
use serde::{Deserialize, Serialize};

use super::{Replica, replicating};
use crate::sessions::{Done, Sessions, Standing};
use crate::{Change, Cx, Event, Machine};

/// Deliveries in one call.
pub(super) const TOLD_AT_ONCE: usize = 256;
/// Nodes whose names are kept from clients.
const NODES_MAX: usize = 1024;

/// The replicated state: the machine, and which requests it has done.
#[derive(Debug, Clone, Default)]
pub(super) struct State<M> {
    pub(super) machine: M,
    pub(super) sessions: Sessions,
    /// All nodes that were ever in a view, up to [`NODES_MAX`]: what they have called themselves stays theirs.
    pub(super) nodes: BTreeSet<NodeId>,
    /// The last entry that was applied.
    pub(super) applied: Position,
}

/// What is saved of it; the position stands beside it in the snapshot.
#[derive(Serialize, Deserialize)]
struct Saved<M, S, N> {
    machine: M,
    sessions: S,
    #[serde(default)]
    nodes: N,
}

impl<M: Machine> State<M> {
    pub(super) fn restored(snapshot: &Snapshot) -> Result<Self, serde_json::Error> {
        let Saved { machine, sessions, nodes } = serde_json::from_str(&snapshot.state)?;
        Ok(Self { machine, sessions, nodes, applied: snapshot.at })
    }

    fn saved(&self) -> Arc<str> {
        let saved = Saved { machine: &self.machine, sessions: &self.sessions, nodes: &self.nodes };
        serde_json::to_string(&saved).expect("a machine has text keys and plain values only").into()
    }

    /// Applies the next committed entry. False when it is a request that is not done, because it was before.
    pub(super) fn apply(&mut self, entry: &Entry) -> bool {
        self.applied = entry.position();
        if let Content::View(view) = &entry.content {
            let new = view.peers().filter(|peer| !self.nodes.contains(&peer.id)).map(|peer| peer.id.clone());
            let room = NODES_MAX.saturating_sub(self.nodes.len());
            let new: Vec<_> = new.take(room).collect();
            self.nodes.extend(new);
        }
        let Content::Command { id, payload } = &entry.content else { return true };
        if self.sessions.standing(id) != Standing::Open {
            return false;
        }
        let seq = self.machine.apply(id, payload);
        self.sessions.note(&id.client, Done { serial: id.serial, seq, at: self.applied });
        true
    }

    /// The same without looking whether it was done before.
    #[cfg(feature = "mistakes")]
    fn apply_again(&mut self, entry: &Entry) {
        self.applied = entry.position();
        if let Content::Command { id, payload } = &entry.content {
            let seq = self.machine.apply(id, payload);
            self.sessions.note(&id.client, Done { serial: id.serial, seq, at: self.applied });
        }
    }
}

/// Where the log lines are.
#[derive(Debug, Default)]
pub(super) struct Teller<M> {
    machine: M,
    told: u64,
    view: Arc<View>,
    /// Of the entries that are applied and not told: requests that had been done before.
    repeats: VecDeque<u64>,
    /// The log has what it can take for now.
    pub(super) is_full: bool,
    /// What had been told when the log was asked to say that it has it.
    asked: u64,
    /// What is known to stand in the log.
    known: u64,
    /// The log was full when a snapshot was told of: it has to be asked again.
    owes: bool,
}

impl<M: Machine> Teller<M> {
    /// Everything that is applied has been told, under `view`.
    pub(super) fn of(state: &State<M>, view: Arc<View>) -> Self {
        let (machine, told) = (state.machine.clone(), state.applied.index);
        Self { machine, told, view, repeats: VecDeque::new(), is_full: false, asked: told, known: told, owes: false }
    }

    /// The last entry that was told.
    pub(super) fn told(&self) -> u64 {
        self.told
    }

    /// The number of the last delivery that was told.
    pub(super) fn seq(&self) -> u64 {
        self.machine.done()
    }
}

impl<M: Machine> Replica<M> {
    /// Applies everything that is committed.
    pub(super) fn apply_committed(&mut self, cx: &mut Cx<'_, Self>) {
        while self.state.applied.index < self.commit {
            let next = self.state.applied.index + 1;
            let entries = self.log.entries(next, self.commit, replicating::BATCH, cx.archive);
            if entries.is_empty() {
                // The disk does not give what it holds. It will the next time, or the node stops.
                break;
            }
            for entry in entries {
                #[cfg(feature = "mistakes")]
                if self.makes(crate::Mistake::DeliversTwice) {
                    self.state.apply_again(&entry);
                    self.settle(&entry, cx);
                    continue;
                }
                if !self.state.apply(&entry) {
                    self.teller.repeats.push_back(entry.index);
                }
                self.settle(&entry, cx);
            }
        }
        self.tell(cx);
        self.checkpoint(cx);
    }

    /// Answers whoever waits here for what was just applied.
    fn settle(&mut self, entry: &Entry, cx: &mut Cx<'_, Self>) {
        if let Content::Command { id, .. } = &entry.content {
            self.applied_request(id, cx);
        }
    }

    /// What is known of a request, as far as this node has applied.
    pub(super) fn standing(&self, id: &RequestId) -> Standing {
        self.state.sessions.standing(id)
    }

    /// Everything told so far stands in the log, which has room again. Only now it may count as told: a crash between a record of
    /// it and its log line would skip the line for ever.
    pub(super) fn told_all(&mut self, cx: &mut Cx<'_, Self>) {
        if !self.needs_votes() {
            return self.classroom_told_all(cx);
        }
        self.teller.is_full = false;
        self.teller.known = self.teller.asked;
        self.persist(Record::Applied { index: self.teller.known }, cx);
        self.tell(cx);
        if std::mem::take(&mut self.teller.owes) && !self.teller.is_full {
            self.ask_for_room(cx);
        }
        self.checkpoint(cx);
    }

    /// Tells what is applied and was not told yet, as much as the log can take.
    pub(super) fn tell(&mut self, cx: &mut Cx<'_, Self>) {
        let mut told = 0;
        while !self.teller.is_full && self.teller.told < self.state.applied.index {
            let next = self.teller.told + 1;
            let entries = self.log.entries(next, self.state.applied.index, replicating::BATCH, cx.archive);
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                told += usize::from(self.tell_entry(&entry, cx));
                if told == TOLD_AT_ONCE {
                    self.teller.is_full = true;
                    break;
                }
            }
        }
        if told > 0 {
            self.ask_for_room(cx);
        }
    }

    fn ask_for_room(&mut self, cx: &mut Cx<'_, Self>) {
        self.teller.is_full = true;
        self.teller.asked = self.teller.told;
        cx.more();
    }

    /// Says where deliveries begin, after a snapshot.
    pub(super) fn tell_installed(&mut self, cx: &mut Cx<'_, Self>) {
        let (seq, index) = (self.state.machine.done(), self.state.applied.index);
        cx.event(Event::Installed { seq, index });
        if self.teller.is_full {
            self.teller.owes = true;
        } else {
            self.ask_for_room(cx);
        }
    }

    /// True for a delivery.
    fn tell_entry(&mut self, entry: &Entry, cx: &mut Cx<'_, Self>) -> bool {
        let Entry { index, term, content } = entry;
        self.teller.told = *index;
        match content {
            Content::NoOp => false,
            Content::View(view) => {
                self.tell_view(view, entry.position(), cx);
                false
            }
            Content::Command { .. } if self.teller.repeats.front() == Some(index) => {
                self.teller.repeats.pop_front();
                false
            }
            Content::Command { id, payload } => {
                let seq = self.teller.machine.apply(id, payload);
                let (id, (room, text), view) = (id.clone(), M::shown(payload), self.teller.view.id);
                cx.event(Event::Delivered { seq, term: *term, index: *index, id, view, room, text });
                true
            }
        }
    }

    /// A view counts for people when its members are others than before.
    fn tell_view(&mut self, view: &Arc<View>, at: Position, cx: &mut Cx<'_, Self>) {
        let before = std::mem::replace(&mut self.teller.view, Arc::clone(view));
        let is_mine = |view: &View| view.members.get(cx.me).is_some_and(|peer| peer.is(self.incarnation));
        let (was_in, is_in) = (is_mine(&before), is_mine(view));
        let joined = view.members.keys().find(|id| !before.members.contains_key(*id));
        let removed = before.members.keys().find(|id| !view.members.contains_key(*id));
        let change = match (joined, removed) {
            _ if before.members.is_empty() => Change::Founded,
            (Some(joined), _) => Change::Joined(joined.clone()),
            (None, Some(removed)) => Change::Removed(removed.clone()),
            (None, None) => return,
        };
        let term = at.term;
        if is_in {
            if !was_in && change != Change::Founded {
                cx.event(Event::AddedToNetwork { view: view.id, by: self.leader.clone(), term });
            }
            cx.event(Event::ViewChange { view: Arc::clone(view), ranking: M::RANKING, term, change });
        } else if was_in {
            cx.event(Event::RemovedFromNetwork { view: view.id, term });
        }
    }

    /// Saves the state now and then, so that a restart need not begin with the first entry.
    fn checkpoint(&mut self, cx: &mut Cx<'_, Self>) {
        let since = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.at.index);
        let at = self.state.applied;
        // Not ahead of what was told: a restart tells on from there.
        let is_behind = self.teller.is_full || self.teller.told < at.index;
        if is_behind || at.index < since + self.config.checkpoint_every {
            return;
        }
        if self.teller.known < at.index {
            // The last entries told nothing that anybody waited for. A restart must know that there is nothing left to tell.
            return self.ask_for_room(cx);
        }
        let view = Arc::clone(self.views.committed(at.index));
        let snapshot = Snapshot { at, view, state: self.state.saved() };
        self.persist(Record::Checkpoint(snapshot.clone()), cx);
        self.log.cover(at);
        self.snapshot = Some(snapshot);
    }

    /// Begins again with a snapshot's state.
    pub(super) fn restore(&mut self, state: State<M>, view: Arc<View>, cx: &mut Cx<'_, Self>) {
        let Teller { is_full, asked, known, .. } = self.teller;
        let before = Arc::clone(&self.teller.view);
        self.state = state;
        self.teller = Teller::of(&self.state, Arc::clone(&before));
        (self.teller.is_full, self.teller.asked, self.teller.known) = (is_full, asked, known);
        let at = self.state.applied;
        self.tell_installed(cx);
        self.tell_view(&view, at, cx);
    }
}
