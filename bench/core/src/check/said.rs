//! The occurrences of an event that a check compares with one another.

use super::quiescence;
use super::scope::Scope;
use crate::cluster::ClusterState;
use crate::filter::Filter;
use crate::history::{History, Seen};
use crate::names::Names;
use crate::observation::{Event, Name, What};
use crate::table::{Key, Kind, Table};
use crate::target::Target;

/// At whose processes.
pub(super) const OF: Key = Key::new("of", Kind::Target, "Which nodes are looked at; \"all\" if not said.");
/// The same where the course of each node is looked at: a line in the middle of it is not left out because of what happens just then.
pub(super) const OF_AT_THE_END: Key = Key::new(
    "of",
    Kind::Target,
    "Which nodes are looked at, each with all that it told: those that this means at the end of the run; \"all\" if not said.",
);
/// With what fields.
pub(super) const WHERE: Key =
    Key::new("where", Kind::Where, "Which occurrences of the event count; all of them if not said.");

/// An event, at these nodes, with such fields.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) event: Name,
    pub(super) of: Scope,
    pub(super) cluster: ClusterState,
    filter: Filter,
}

impl Said {
    /// Reads [`OF`] and [`WHERE`] beside an event; `None` if anything is wrong, which is reported.
    pub(super) fn parse(event: Option<&Name>, table: &Table<'_, '_>, names: &Names<'_>) -> Option<Self> {
        let of = Scope::parse(table, OF.name, names);
        let filter = event.and_then(|event| super::filter(table, event, names));
        let of = of?.unwrap_or(Scope::all());
        Some(Self { event: event?.clone(), of, cluster: names.cluster(), filter: filter? })
    }

    /// All occurrences of an event at these nodes.
    pub(super) fn at(event: Name, of: Scope, names: &Names<'_>) -> Self {
        Self { event, of, cluster: names.cluster(), filter: Filter::default() }
    }

    /// All of them, by number.
    pub(super) fn by_number<'h>(&self, history: &'h History) -> impl Iterator<Item = Seen<'h, Event>> + Clone {
        let everybody = self.of == Scope::Target(Target::all());
        let (all, some) = match everybody && self.filter.is_empty() {
            true => (Some(history.events(&self.event)), None),
            false => (None, Some(self.select(history, everybody))),
        };
        all.into_iter().flatten().chain(some.into_iter().flatten())
    }

    /// All of them at the nodes that are meant at the end, by number: what a node told is looked at as a whole, or not at all.
    pub(super) fn by_members<'h>(
        &self,
        history: &'h History,
        members: &Members,
    ) -> impl Iterator<Item = Seen<'h, Event>> + use<'h> {
        let (all, some) = match self.filter.is_empty() {
            true => (Some(members.events(history, &self.event)), None),
            false => {
                let admitted = self.select(history, true);
                let members = members.clone();
                (None, Some(admitted.filter(move |seen| members.has(&seen.what.of.node))))
            }
        };
        all.into_iter().flatten().chain(some.into_iter().flatten())
    }

    /// The nodes that are meant at the end.
    pub(super) fn members(&self, history: &History) -> Members {
        let everybody = self.of == Scope::Target(Target::all());
        Members((!everybody).then(|| quiescence::at_the_end(history, &self.cluster, &self.of).0))
    }

    fn select<'h>(&self, history: &'h History, everybody: bool) -> std::vec::IntoIter<Seen<'h, Event>> {
        let mut state = self.cluster.clone();
        let mut found = Vec::new();
        for observation in history.judged() {
            state.observe(observation);
            let What::Event(event) = &observation.what else { continue };
            let is_meant = event.name == self.event
                && (everybody || self.of.admits(&event.of.node, &[], &state))
                && self.filter.admits(event, &state);
            if is_meant {
                found.push(Seen { number: observation.number, at: observation.at, what: event });
            }
        }
        found.into_iter()
    }
}

/// The nodes that a check looks at from the beginning to the end; none: all.
#[derive(Debug, Clone)]
pub(super) struct Members(Option<Vec<Name>>);

impl Members {
    /// True if it is one of them.
    pub(super) fn has(&self, node: &Name) -> bool {
        self.0.as_ref().is_none_or(|members| members.contains(node))
    }

    /// The occurrences of an event at them, by number.
    pub(super) fn events<'h>(
        &self,
        history: &'h History,
        event: &Name,
    ) -> impl Iterator<Item = Seen<'h, Event>> + use<'h> {
        let members = self.clone();
        history.events(event).filter(move |seen| members.has(&seen.what.of.node))
    }
}
