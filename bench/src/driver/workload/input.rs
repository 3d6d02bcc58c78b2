//! Operations that are typed: a line into a node's standard input, and an event that says that it was done.

use dsbench_core::cluster::ClusterState;
use dsbench_core::observation::{Change, Event, Life, Name, Observation, ProcessChange, What};
use dsbench_core::scenario::{Ack, Facts, Wording};
use dsbench_core::target::{Aim, Target};
use dsbench_core::template::Place;
use dsbench_core::time::RunTime;
use dsbench_core::workload::Acknowledged;
use dsbench_world::{ExecId, InputId};

use super::{End, Workloads};
use crate::driver::Driver;

/// What an operation waits for.
#[derive(Debug)]
pub(super) enum Waiting {
    /// It has not been done yet.
    ForNothing,
    /// The line to be taken.
    ToBeTaken { by: Life },
    /// An event.
    ForEvent(Awaited),
    /// The answer of a client's program.
    ForAnswer,
    /// The end of a command.
    ForExit(ExecId),
}

/// The event that says that an operation was done.
#[derive(Debug)]
pub(super) struct Awaited {
    event: Name,
    /// Where the line was typed.
    at: Life,
    /// Who says it; none: where it was typed.
    from: Option<Target>,
    says: Acknowledged,
}

impl Waiting {
    /// What has not come, for people.
    pub(super) fn missing(&self) -> String {
        match self {
            Self::ForNothing => "no end".to_owned(),
            Self::ForAnswer => "no answer".to_owned(),
            Self::ForExit(_) => "its command has not ended".to_owned(),
            Self::ToBeTaken { by } => format!("{} did not take the line", by.node),
            Self::ForEvent(Awaited { event, at, from, .. }) => match from {
                Some(from) => format!("no `{event}` that acknowledges it from {from}"),
                None => format!("no `{event}` that acknowledges it from {}", at.node),
            },
        }
    }
}

impl Awaited {
    fn is_met(&self, event: &Event, cluster: &ClusterState) -> bool {
        let is_from = match &self.from {
            None => event.of == self.at,
            Some(from) => from.matches_process(&event.of.node, &event.of.process, cluster),
        };
        event.name == self.event && is_from && self.says.is_said_by(event)
    }
}

impl Workloads<'_> {
    /// The operations that this observation ends, and how.
    pub(in crate::driver) fn ended_by(
        &self,
        observation: &Observation,
        cluster: &ClusterState,
    ) -> Vec<(u64, Option<String>)> {
        match &observation.what {
            What::Event(event) => {
                let Some(waiting) = self.awaited.get(&event.name) else { return Vec::new() };
                let is_met = |id: &&u64| match self.open.get(id).map(|open| &open.waiting) {
                    Some(Waiting::ForEvent(awaited)) => awaited.is_met(event, cluster),
                    _ => false,
                };
                waiting.iter().filter(is_met).map(|id| (*id, None)).collect()
            }
            What::Process(ProcessChange { of, change: Change::Exited { .. } }) => {
                // All that it had written before its end has been read.
                let waits_for_it = |waiting: &Waiting| match waiting {
                    Waiting::ForEvent(awaited) => awaited.from.is_none() && awaited.at == *of,
                    Waiting::ToBeTaken { by } => by == of,
                    Waiting::ForNothing | Waiting::ForAnswer | Waiting::ForExit(_) => false,
                };
                let open = self.open.iter().filter(|(_, open)| waits_for_it(&open.waiting));
                open.map(|(id, _)| (*id, Some(format!("{} ended before it acknowledged it", of.node)))).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl<'r> Driver<'r> {
    /// Types the line of an operation. The error says why nothing of it was typed.
    pub(super) fn type_operation(
        &mut self,
        id: u64,
        serial: u64,
        line: &'r Wording,
        ack: &'r Ack,
        aim: &Aim,
    ) -> Result<(), String> {
        let key = self.addressee(aim);
        let process = self.process(&key);
        let life = process.life();
        if process.life == 0 || !self.world.is_alive(&life) {
            return Err(format!("{aim} is not running"));
        }
        let Some(open) = self.workloads.open.get(&id) else { return Ok(()) };
        let (workload, client) = (open.workload, open.client);
        let facts =
            self.workloads.all[workload].facts(client, serial, open.invoked.key.as_ref(), open.invoked.value.as_ref());
        let place = Place { addresses: &self.setting.addresses, node: Some(&key.node), life: life.life };
        if let Some(lacking) = line.lacks(&place) {
            return Err(lacking);
        }
        let mut text = line.expand(&facts, &place);
        text.push('\n');
        let waiting = awaited(ack, &life, &facts, &place)?;
        if let Waiting::ForEvent(awaited) = &waiting {
            self.workloads.awaited.entry(awaited.event.clone()).or_default().push(id);
        }
        if let Some(open) = self.workloads.open.get_mut(&id) {
            open.waiting = waiting;
        }
        let input = self.world.input(&life, text.into_bytes());
        self.workloads.typed.insert(input, id);
        Ok(())
    }

    /// A line was taken by its node, or will not be; true if it was an operation's.
    pub(in crate::driver) fn operation_typed(
        &mut self,
        input: InputId,
        at: RunTime,
        result: &Result<(), String>,
    ) -> bool {
        let Some(id) = self.workloads.typed.remove(&input) else { return false };
        let is_enough = |open: &super::Open| matches!(open.waiting, Waiting::ToBeTaken { .. });
        match (self.workloads.open.get(&id), result) {
            (Some(open), Ok(())) if is_enough(open) => self.end_operation(id, End::ok(None), at),
            // Some of it may have been read.
            (Some(open), Err(why)) if matches!(open.waiting, Waiting::ForAnswer) => {
                let (index, client) = (open.workload, open.client);
                self.client_was_not_asked(index, client, why, at);
            }
            (Some(open), Err(why)) => {
                let node = open.invoked.node.clone().unwrap_or_default();
                self.end_operation(id, End::info(format!("{node}: {why}")), at);
            }
            _ => {}
        }
        true
    }

    /// What an observation that was just made means for the operations that wait.
    pub(in crate::driver) fn operations_ended(&mut self, ended: Vec<(u64, Option<String>)>, at: RunTime) {
        for (id, why) in ended {
            self.end_operation(id, why.map_or_else(|| End::ok(None), End::info), at);
        }
    }

    /// Nobody waits for it any more.
    pub(super) fn forget_waiting(&mut self, id: u64, waiting: &Waiting) {
        let Waiting::ForEvent(awaited) = waiting else { return };
        if let Some(waiting) = self.workloads.awaited.get_mut(&awaited.event) {
            waiting.retain(|waiting| *waiting != id);
        }
    }
}

/// What says that a line which was typed there was done.
fn awaited(ack: &Ack, life: &Life, facts: &Facts<'_>, place: &Place<'_>) -> Result<Waiting, String> {
    let Ack::Event { event, from, tests } = ack else { return Ok(Waiting::ToBeTaken { by: life.clone() }) };
    let says = Acknowledged::of(tests, facts, place)?;
    Ok(Waiting::ForEvent(Awaited { event: event.clone(), at: life.clone(), from: from.clone(), says }))
}
