//! The occurrences of an event that [`always`](super::always) and [`never`](super::never) look at.

use super::moment::Moment;
use super::scope::Scope;
use super::since::Since;
use crate::cluster::ClusterState;
use crate::filter::Filter;
use crate::history::{History, Seen};
use crate::names::Names;
use crate::observation::{Event, Name, What};
use crate::table::Table;
use crate::time::RunTime;

/// An event, in whose logs, from when to when, and a test of its fields.
#[derive(Debug)]
pub(super) struct Occurrences {
    pub(super) event: Name,
    pub(super) filter: Filter,
    pub(super) from: Scope,
    pub(super) since: Since,
    pub(super) until: Option<Since>,
    pub(super) cluster: ClusterState,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occurrence<'h> {
    pub(super) seen: Seen<'h, Event>,
    /// True if its fields pass the test.
    pub(super) is_admitted: bool,
    /// False if it may have been written before `since` or after `until`.
    pub(super) is_certain: bool,
}

impl Occurrences {
    pub(super) fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Self> {
        let event = table.required("event", Table::text).and_then(|event| names.event(&event));
        let filter = event.as_ref().and_then(|event| super::filter(table, event, names));
        let from = Scope::parse(table, "from", names);
        let since = Since::parse(table, "since", names).map(|since| since.unwrap_or(Since::Start));
        let until = Since::parse(table, "until", names);
        let from = from?.unwrap_or(Scope::all());
        Some(Self { event: event?, filter: filter?, from, since: since?, until: until?, cluster: names.cluster() })
    }

    /// All of them, by number; none at all if `since` never came.
    pub(super) fn of<'h>(&self, history: &'h History) -> Option<Vec<Occurrence<'h>>> {
        let (_, since) = self.since.instant(history)?;
        let until = self.until.as_ref().and_then(|until| until.instant(history)).map_or(RunTime::NEVER, |(_, at)| at);
        let mut state = self.cluster.clone();
        let mut found = Vec::new();
        for observation in history.judged() {
            state.observe(observation);
            let What::Event(event) = &observation.what else { continue };
            if event.name != self.event || !self.from.admits(&event.of.node, &[], &state) {
                continue;
            }
            let seen = Seen { number: observation.number, at: observation.at, what: event };
            let when = Moment::of(&seen);
            if when.latest >= since && when.earliest < until {
                let is_admitted = self.filter.admits(event, &state);
                found.push(Occurrence { seen, is_admitted, is_certain: when.earliest >= since && when.latest < until });
            }
        }
        Some(found)
    }
}
