//! Snapshots for who is further behind than the log goes back (Raft, section 7), in parts that fit into a line.

use std::sync::Arc;

use dsbench_wire::{Message, NodeId, Position, Record, Snapshot, View};

use super::applying::State;
use super::{Replica, replicating};
use crate::{Cx, Event, Machine};

/// A part, in bytes: with every character escaped it still fits into a line.
const PART: usize = 24 * 1024;
/// No state is longer than this; whoever claims it lies.
const SIZE_MAX: u64 = 1 << 30;

/// A snapshot that arrives.
#[derive(Debug)]
pub(super) struct Incoming {
    at: Position,
    state: String,
}

/// The fields of INSTALL_SNAPSHOT.
pub(super) struct Part {
    pub(super) at: Position,
    pub(super) view: Arc<View>,
    pub(super) size: u64,
    pub(super) offset: u64,
    pub(super) part: Arc<str>,
}

impl<M: Machine> Replica<M> {
    /// Sends the next part of the snapshot that `to` gets.
    pub(super) fn send_part(&mut self, to: &NodeId, cx: &mut Cx<'_, Self>) {
        let term = self.term();
        let Some((snapshot, &mut offset)) = self.installs(to) else { return };
        let rest = &snapshot.state[offset..];
        let mut end = rest.len().min(PART);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let message = Message::InstallSnapshot {
            term,
            at: snapshot.at,
            view: Arc::clone(&snapshot.view),
            size: snapshot.state.len() as u64,
            offset: offset as u64,
            part: rest[..end].into(),
        };
        cx.send_now(to, message);
    }

    /// Upon INSTALL_SNAPSHOT.
    pub(super) fn install_part(&mut self, from: &NodeId, is_current: bool, part: Part, cx: &mut Cx<'_, Self>) {
        let (term, incarnation) = (self.term(), self.incarnation);
        let Part { at, view, size, offset, part } = part;
        if !is_current {
            cx.send(from, Message::AppendAck { term, granted: false, matched: 0, ordered: false, incarnation });
            return;
        }
        if size > SIZE_MAX || at.index > replicating::INDEX_MAX || !self.needs_votes() || !self.accepts_leader(from, cx)
        {
            return;
        }
        if at.index <= self.commit || self.log.term_at(at.index, cx.archive) == Some(at.term) {
            // Nothing that is durable may be given up for it: entries after it may have been acknowledged.
            self.agreed = self.agreed.max(at.index);
            self.incoming = None;
            self.commit_to(at.index, cx);
            cx.send(from, Message::SnapshotAck { term, at, offset: size, incarnation });
            return;
        }
        let incoming = match &mut self.incoming {
            Some(incoming) if incoming.at == at => incoming,
            other => other.insert(Incoming { at, state: String::new() }),
        };
        if incoming.state.len() as u64 == offset {
            incoming.state.push_str(&part);
        }
        let arrived = incoming.state.len() as u64;
        if arrived < size {
            cx.send(from, Message::SnapshotAck { term, at, offset: arrived, incarnation });
            return;
        }
        let state: Arc<str> = self.incoming.take().map(|incoming| incoming.state).unwrap_or_default().into();
        let snapshot = Snapshot { at, view, state };
        match State::restored(&snapshot) {
            Ok(state) => {
                self.install(snapshot, state, cx);
                cx.send(from, Message::SnapshotAck { term, at, offset: size, incarnation });
            }
            // Another version's, perhaps. This node stays behind, and says so each time that it is sent one.
            Err(error) => {
                let (from, index, error) = (from.clone(), at.index, error.to_string());
                cx.event(Event::SnapshotUnreadable { from, index, error });
            }
        }
    }

    /// Puts a snapshot in place of the log.
    fn install(&mut self, snapshot: Snapshot, state: State<M>, cx: &mut Cx<'_, Self>) {
        let mark = self.persist(Record::Install(snapshot.clone()), cx);
        let Snapshot { at, ref view, .. } = snapshot;
        self.log.install(at, mark);
        self.views.install(at.index, Arc::clone(view));
        self.commit = at.index;
        self.agreed = at.index;
        self.restore(state, Arc::clone(view), cx);
        self.snapshot = Some(snapshot);
        self.meet_view(cx);
        self.settle_open_requests(cx);
    }

    /// Upon SNAPSHOT_ACK of the current term.
    pub(super) fn part_arrived(
        &mut self,
        from: &NodeId,
        at: Position,
        arrived: u64,
        incarnation: u64,
        cx: &mut Cx<'_, Self>,
    ) {
        if !self.is_leader() || !self.needs_votes() || !self.counts(from, incarnation, cx) {
            return;
        }
        self.hear(from, cx);
        if self.progress_of(from, incarnation).is_none() {
            return;
        }
        let Some((snapshot, offset)) = self.installs(from).filter(|(snapshot, _)| snapshot.at == at) else { return };
        let arrived = usize::try_from(arrived).unwrap_or(usize::MAX);
        if arrived >= snapshot.state.len() {
            self.installed(from, at, cx);
        } else if snapshot.state.is_char_boundary(arrived) && arrived != *offset {
            *offset = arrived;
            self.send_part(from, cx);
        }
    }
}
