//! Quiescence: every fault is undone, every node is up, no operation is open, and for a while nothing happens.
//!
//! What a system promises of its end it promises of its rest: while a node is down, or cut off, or has just come back, what it lacks may
//! still be on its way.

use std::collections::BTreeMap;
use std::time::Duration;

use super::disturbance::disturbs;
use super::moment::{bound, decided_after, known_until};
use super::scope::{Scope, is_live};
use super::spans::Spans;
use crate::cluster::ClusterState;
use crate::history::History;
use crate::observation::{Name, Observation, Phase, What};
use crate::operation::OperationKind;
use crate::table::{Key, Kind, Table};
use crate::time::RunTime;

pub(super) const QUIET: Key =
    Key::new("quiet", Kind::Duration, "How long nothing happens when the cluster is at rest; 1s if not said.");
pub(super) const WITHIN: Key =
    Key::new("within", Kind::Duration, "How long after its last step the run waits for that; 10s if not said.");

/// How long it is quiet, and how long that is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    quiet: Duration,
    within: Duration,
}

impl Rest {
    /// Reads [`QUIET`] and [`WITHIN`]; `None` if one is wrong, which is reported.
    pub(super) fn parse(table: &Table<'_, '_>) -> Option<Self> {
        let [quiet, within] = [QUIET, WITHIN].map(|key| super::optional(table, key.name, |item| item.duration()));
        let or = |read: Option<crate::diagnostic::Located<Duration>>, seconds| {
            read.map_or(Duration::from_secs(seconds), |read| read.value)
        };
        Some(Self { quiet: or(quiet?, 1), within: or(within?, 10) })
    }

    /// Why it is not known yet what will be, although every node is up: it was not quiet for long enough since this instant.
    pub(super) fn why_not_quiet(&self, history: &History, changed: RunTime) -> Option<String> {
        let calm = Calm::of(history);
        let is_quiet = known_until(history) > calm.quiet_at(changed, self.quiet);
        calm.open_operation().map(|open| format!("something may still be under way: {open}")).or_else(|| {
            (!is_quiet).then(|| {
                format!("something may still be under way: it was not quiet for {} at the end", bound(self.quiet))
            })
        })
    }

    /// From when on it is quiet, if nothing else happens.
    pub(super) fn quiet_at(&self, history: &History, changed: RunTime) -> RunTime {
        Calm::of(history).quiet_at(changed, self.quiet)
    }

    /// Until when the run goes on so that it becomes quiet.
    pub(super) fn open_until(&self, history: &History, changed: RunTime) -> Option<RunTime> {
        let steps_done = |observation: &&Observation| observation.what == What::Run(Phase::StepsDone);
        // Asked before the last step is done, it is waited for from now on.
        let since = history.judged().find(steps_done).map_or(history.horizon(), |done| done.at);
        let given_up = Spans::stalls(history).after_uncovered(since, self.within);
        let calm = Calm::of(history);
        let until = match calm.open_operation() {
            Some(_) => given_up,
            None => calm.quiet_at(changed, self.quiet).min(given_up),
        };
        (known_until(history) <= until).then(|| decided_after(until))
    }
}

/// What a history tells of whether anything is under way, but for what nodes say: that is for others to weigh.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calm {
    /// When something was done to the cluster for the last time.
    disturbed: RunTime,
    /// When the bench was late.
    stalls: Vec<(RunTime, RunTime)>,
    /// The operations that have not ended: of whom, and which.
    open: BTreeMap<u64, (Name, Name)>,
}

impl Calm {
    fn of(history: &History) -> Self {
        let mut calm = Self::default();
        history.judged().for_each(|observation| calm.observe(observation));
        calm
    }

    /// Takes in the next observation.
    pub(crate) fn observe(&mut self, observation: &Observation) {
        match &observation.what {
            What::Stall(stall) => self.stalls.push((stall.since, observation.at)),
            What::Operation(operation) if operation.kind == OperationKind::Invoke => {
                self.open.insert(operation.id, (operation.client.clone(), operation.op.clone()));
            }
            What::Operation(operation) => _ = self.open.remove(&operation.id),
            _ if disturbs(observation) => self.disturbed = self.disturbed.max(observation.at),
            _ => {}
        }
    }

    /// From when on it is quiet, if nothing else happens. While the bench was late it could not see what happened.
    pub(crate) fn quiet_at(&self, changed: RunTime, quiet: Duration) -> RunTime {
        Spans::new(self.stalls.clone()).after_uncovered(self.disturbed.max(changed), quiet)
    }

    /// From when on that is known: what was written just before may still be on its way.
    pub(crate) fn known_quiet_at(&self, changed: RunTime, quiet: Duration) -> RunTime {
        decided_after(self.quiet_at(changed, quiet))
    }

    /// An operation that has not ended, for people.
    pub(crate) fn open_operation(&self) -> Option<String> {
        self.open.values().next().map(|(client, op)| format!("`{op}` of {client} has not ended"))
    }
}

/// The nodes that are meant at the end of a run, and the cluster as it is then.
pub(super) fn at_the_end(history: &History, cluster: &ClusterState, of: &Scope) -> (Vec<Name>, ClusterState) {
    let mut state = cluster.clone();
    history.judged().for_each(|observation| state.observe(observation));
    let members = state.nodes().iter().filter(|node| of.admits(node, &[], &state)).cloned().collect();
    (members, state)
}

/// Why these nodes cannot come to rest as they are: one does not run, or a fault of the network is in force.
pub(crate) fn unrest(members: &[Name], state: &ClusterState) -> Option<String> {
    let why = |node: &Name| {
        if !state.has_run(node) {
            Some("never ran")
        } else if state.is_paused(node) {
            Some("is frozen")
        } else if !is_live(node, state) {
            Some("is down")
        } else {
            None
        }
    };
    let of_node = members.iter().find_map(|node| Some(format!("{node} {}", why(node)?)));
    let of_network = || (!state.network().is_empty()).then(|| "a network fault was not healed".to_owned());
    of_node.or_else(of_network)
}
