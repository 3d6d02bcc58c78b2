//! Starting: from what the disk still holds to where the last life ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use dsbench_wire::{Content, Endpoint, Entry, NodeId, Peer, Record, Recovered, Term, View};
use rand_pcg::rand_core::Rng;

use super::applying::{State, Teller};
use super::{Replica, replicating};
use crate::log::Log;
use crate::{Cx, Event, Founding, Machine};

impl<M: Machine> Replica<M> {
    /// Takes over what the last life has left, or founds what the first one is told to found.
    pub(super) fn recover(&mut self, recovered: Recovered, cx: &mut Cx<'_, Self>) {
        let Recovered { incarnation, pledge, client, serials_below, ballot, snapshot, first, last, applied, torn } =
            recovered;
        self.ballot = ballot;
        self.incarnation = incarnation.unwrap_or_else(|| {
            // Whole numbers of JSON, and never 0.
            let incarnation = (cx.rng.next_u64() >> 11).max(1);
            self.persist(Record::Identity { incarnation }, cx);
            incarnation
        });
        self.pledges.given_to(pledge);
        self.requests.number_from(client, serials_below);
        if last.index > 0 {
            let covered = snapshot.as_ref().map(|snapshot| snapshot.at).unwrap_or_default();
            self.log = Log::recovered(last, covered);
            if let Some(snapshot) = &snapshot {
                self.views.install(snapshot.at.index, Arc::clone(&snapshot.view));
                match State::restored(snapshot) {
                    Ok(state) => self.state = state,
                    Err(error) => {
                        let index = snapshot.at.index;
                        return cx.fail(format_args!("the snapshot of entry {index} cannot be read: {error}"));
                    }
                }
            }
            self.snapshot = snapshot;
            self.replay(applied.min(last.index), cx);
            self.classroom_resumes(if self.needs_votes() { 0 } else { applied });
            let entries = (last.index + 1).saturating_sub(first);
            let told = if self.needs_votes() { self.commit } else { applied };
            cx.event(Event::Restored { entries, applied: told, torn });
            if applied < covered.index {
                // A snapshot was installed, and the line that says so may be lost.
                self.tell_installed(cx);
            }
        } else if self.ballot.term == Term::default() {
            self.found_alone(cx);
        }
        for (id, endpoint) in self.config.contacts.clone() {
            if id != *cx.me {
                cx.connect(Peer { id, endpoint, incarnation: 0 });
            }
        }
        self.meet_view(cx);
    }

    /// Goes through the log: what was told before is applied again, and views are found again.
    fn replay(&mut self, told: u64, cx: &mut Cx<'_, Self>) {
        let mut next = self.state.applied.index + 1;
        self.commit = told.max(self.state.applied.index);
        loop {
            let entries = self.log.entries(next, u64::MAX, replicating::BATCH, cx.archive);
            let Some(last) = entries.last() else { break };
            next = last.index + 1;
            for entry in entries {
                if let Content::View(view) = &entry.content {
                    self.views.push(entry.index, Arc::clone(view));
                }
                if entry.index <= self.commit {
                    self.state.apply(&entry);
                }
            }
        }
        self.views.settle(self.commit);
        self.agreed = self.commit;
        let view = Arc::clone(self.views.committed(self.commit));
        self.teller = Teller::of(&self.state, view);
    }

    /// The first view, where it needs nobody's help: a list that all share, or this node alone.
    fn found_alone(&mut self, cx: &mut Cx<'_, Self>) {
        let known = |(id, endpoint): (&NodeId, &Endpoint)| {
            (id.clone(), Peer { id: id.clone(), endpoint: endpoint.clone(), incarnation: 0 })
        };
        let mut members: BTreeMap<_, _> = match &self.config.founding {
            Founding::Members(list) => list.iter().map(known).collect(),
            Founding::Bootstrap => BTreeMap::new(),
            // Without votes nothing depends on who is a member: everybody begins alone, and those who meet become one.
            _ if !self.needs_votes() => BTreeMap::new(),
            Founding::Expect(_) | Founding::Join => return,
        };
        // On every node the same entry, so that all logs begin alike: nobody's disk is known yet, not even this one's.
        let me = Peer { incarnation: 0, ..self.myself(cx.me) };
        members.insert(cx.me.clone(), me);
        self.found(View { id: 1, members, learners: BTreeMap::new() }, cx);
    }

    /// Begins the log with its founding view.
    pub(super) fn found(&mut self, view: View, cx: &mut Cx<'_, Self>) {
        let content = Content::View(Arc::new(view));
        self.store(Entry { index: 1, term: Term::default(), content }, cx);
    }
}
