//! The occurrences of an event that a check compares with one another.

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

    /// The occurrences of another event at the same nodes, by number.
    pub(super) fn others<'h>(
        &self,
        history: &'h History,
        event: &Name,
    ) -> impl Iterator<Item = Seen<'h, Event>> + use<'h> {
        let others = Self {
            event: event.clone(),
            of: self.of.clone(),
            cluster: self.cluster.clone(),
            filter: Filter::default(),
        };
        others.by_number(history).collect::<Vec<_>>().into_iter()
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
