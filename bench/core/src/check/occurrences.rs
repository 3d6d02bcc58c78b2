//! The occurrences of an event that [`always`](super::always) and [`never`](super::never) look at.

use std::fmt;

use super::moment::Moment;
use super::scope::Scope;
use super::since::Since;
use crate::cluster::ClusterState;
use crate::diagnostic::{self, Diagnostic};
use crate::filter::Filter;
use crate::history::{History, Seen};
use crate::names::Names;
use crate::observation::{Event, Name, What};
use crate::table::Table;
use crate::target::Target;
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
        if let (Some(Since::Step { index: since, .. }), Some(Some(Since::Step { index: until, name }))) =
            (&since, &until)
            && until <= since
        {
            let message = format!("step `{name}` does not come after the step of `since`");
            let at = table.item("until").map_or(table.span(), |until| until.span());
            table.report(Diagnostic::error(diagnostic::OUT_OF_ORDER, message, at, "nothing lies between them"));
            return None;
        }
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

    /// How many nodes were looked at: those that ran at some moment between `since` and `until`, and were meant then. Silence of a node
    /// that never ran says nothing of it.
    pub(super) fn nodes(&self, history: &History) -> u64 {
        let Some((since, _)) = self.since.instant(history) else { return 0 };
        let until = self.until.as_ref().and_then(|until| until.instant(history)).map_or(u64::MAX, |(number, _)| number);
        let mut state = self.cluster.clone();
        let mut unseen: Vec<Name> = state.nodes().to_vec();
        let all = unseen.len();
        for observation in history.judged().take_while(|observation| observation.number < until) {
            state.observe(observation);
            let may_change = match &observation.what {
                What::Event(event) => state.gives_a_role(&event.name),
                What::Process(_) | What::Action(_) => true,
                _ => false,
            };
            if observation.number == since || observation.number > since && may_change {
                unseen.retain(|node| !(state.is_up(node) && self.from.admits(node, &[], &state)));
            }
            if unseen.is_empty() {
                break;
            }
        }
        (all - unseen.len()) as u64
    }

    /// Why nobody was looked at, for people.
    pub(super) fn nobody(&self) -> String {
        let of = match &self.from {
            Scope::Target(from) if *from != Target::all() => format!(" of {from}"),
            _ => String::new(),
        };
        let is_whole_run = self.since == Since::Start && self.until.is_none();
        format!("no node{of} ran{}", if is_whole_run { "" } else { " in that time" })
    }

    /// Why what was not seen to go wrong is not known to have gone right: the step until which it is looked for never came.
    pub(super) fn cut(&self, history: &History) -> Option<String> {
        let until = self.until.as_ref()?;
        until
            .instant(history)
            .is_none()
            .then(|| format!("{until} never came, so it is only known up to the end of the run"))
    }
}

impl fmt::Display for Occurrences {
    /// `leads`, `leads from peer1`: as the scenario has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.from {
            Scope::Target(from) if *from != Target::all() => write!(f, "{} from {from}", self.event),
            _ => f.write_str(&self.event),
        }
    }
}
