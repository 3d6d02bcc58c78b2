//! Starting: from what the disk still holds to where the last life ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use dsbench_wire::{Content, Entry, Peer, Record, Recovered, Term, View};
use rand_pcg::rand_core::Rng;

use super::applying::{State, Teller};
use super::{Replica, replicating};
use crate::log::Log;
use crate::{Change, Cx, Event, Founding, Machine};

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
        self.pledges.recovered(pledge, cx.me);
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
            self.tell_view_again(cx);
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

    /// The view that is committed for all this node knows: a life that begins says where it stands. Later ones are told as they come.
    fn tell_view_again(&mut self, cx: &mut Cx<'_, Self>) {
        let view = Arc::clone(self.views.committed(self.commit));
        if view.members.get(cx.me).is_some_and(|peer| peer.is(self.incarnation)) {
            let (term, ranking) = (self.term(), M::RANKING);
            cx.event(Event::ViewChange { view, ranking, term, change: Change::Recovered });
        }
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
        let mut members: BTreeMap<_, _> = match &self.config.founding {
            Founding::Members(list) => list.clone(),
            // Without votes nothing depends on who is a member: everybody begins alone, and those who meet become one.
            _ if !self.needs_votes() => BTreeMap::new(),
            Founding::Bootstrap => return self.found_alone_after_a_while(cx),
            Founding::Expect(_) | Founding::Together(_) | Founding::Join => return,
        };
        // On every node the same entry, so that all logs begin alike: nobody's disk is known yet, not even this one's.
        members.insert(cx.me.clone(), self.config.endpoint.clone());
        self.found(View::of_strangers(members), cx);
    }

    /// Begins the log with its founding view.
    pub(super) fn found(&mut self, view: View, cx: &mut Cx<'_, Self>) {
        let content = Content::View(Arc::new(view));
        self.store(Entry { index: 1, term: Term::default(), content }, cx);
    }
}
