//! A workload in people's words, before anything runs.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{Drawn, Generator};
use crate::scenario::{Begin, Pace, Values};

/// Nobody reads more lines than this.
const SHOWN: usize = 12;

/// A plan need not hold more operations than this.
const STORED: usize = 1_000;

fn shown(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

/// `1.203s`
fn seconds(duration: Duration) -> String {
    format!("{:.3}s", duration.as_secs_f64())
}

impl Generator<'_> {
    /// What its clients will do.
    pub(crate) fn describe(&self, out: &mut String) -> std::fmt::Result {
        let workload = self.workload;
        writeln!(out, "\nwhat the clients of `{}` do\n  {}", workload.name, self.frame())?;
        for (op, word) in workload
            .ops
            .iter()
            .map(|op| (op, format!("weight {}", op.weight)))
            .chain(workload.calls.iter().map(|op| (op, "called by steps".to_owned())))
        {
            writeln!(out, "  {:<14} {op} ({word})", op.name)?;
        }
        let mut operations = self.operations();
        for operation in operations.by_ref().take(SHOWN) {
            writeln!(out, "  {:>3}. {:<28} {}", operation.serial + 1, self.timing(&operation), self.told(&operation))?;
        }
        match operations.next() {
            Some(_) => writeln!(out, "       ... and so on"),
            None => Ok(()),
        }
    }

    /// The same as data.
    pub(crate) fn to_json(self) -> Json {
        let workload = self.workload;
        let operation = |operation: Drawn<'_>| json!({ "when": self.timing(&operation), "client": workload.clients[operation.client], "op": operation.op.name, "key": operation.key, "value": operation.value });
        let operations: Vec<Json> = self.operations().take(STORED).map(operation).collect();
        let ops: Vec<Json> = workload
            .ops
            .iter()
            .chain(&workload.calls)
            .map(|op| json!({ "op": op.name, "weight": op.weight, "how": op.to_string() }))
            .collect();
        json!({ "name": workload.name, "line": workload.line.number, "file": workload.line.file, "when": self.frame(), "clients": workload.clients, "ops": ops, "operations": operations })
    }

    fn frame(&self) -> String {
        let workload = self.workload;
        let clients = match workload.clients.as_slice() {
            [one] => format!("one client, {one}"),
            [first, .., last] => format!("{} clients, {first} to {last}", workload.clients.len()),
            [] => "no client".to_owned(),
        };
        let pace = match &workload.pace {
            Pace::AsAnswersCome => "each as fast as it gets answers".to_owned(),
            Pace::Phases(phases) => {
                let phase = |phase: &crate::scenario::Phase| {
                    let lasts = phase.lasts.map(|lasts| format!(" for {}", shown(lasts))).unwrap_or_default();
                    format!("{} operations per second{lasts}", phase.rate)
                };
                phases.iter().map(phase).collect::<Vec<_>>().join(", then ")
            }
        };
        let begin = match workload.begin {
            Begin::At(start) if start.is_zero() => "from the moment at which all nodes are ready".to_owned(),
            Begin::At(start) => format!("from {} after all nodes are ready", shown(start)),
            Begin::ByStep => "when a step starts it".to_owned(),
        };
        let ends = [
            workload.duration.map(|duration| format!("for {}", shown(duration))),
            workload.count.map(|count| format!("{count} in all")),
            workload.ends_with_steps().then(|| "until the steps stop it or are done".to_owned()),
        ];
        let ends: String = ends.into_iter().flatten().map(|end| format!(", {end}")).collect();
        let values = match workload.values {
            Values::Unique => String::new(),
            Values::UpTo(most) => format!("; values from 1 to {most}"),
        };
        let keys = if workload.keys > 1 { format!("; keys from 1 to {}", workload.keys) } else { String::new() };
        let within = shown(workload.within);
        format!("{clients}, {pace}, {begin}{ends}; for {}, each within {within}{values}{keys}", workload.target)
    }

    fn timing(&self, operation: &Drawn<'_>) -> String {
        match (&self.workload.pace, self.workload.begin) {
            (Pace::AsAnswersCome, _) => "then".to_owned(),
            (_, Begin::At(start)) => format!("at {}", seconds(start + operation.due)),
            (_, Begin::ByStep) => format!("{} after its start", seconds(operation.due)),
        }
    }

    /// `client1 say 1000000001`
    fn told(&self, operation: &Drawn<'_>) -> String {
        let client = &self.workload.clients[operation.client];
        let key = operation.key.as_ref().map(|key| format!(" key {key}")).unwrap_or_default();
        let value = operation.value.as_ref().map(|value| format!(" {value}")).unwrap_or_default();
        format!("{client}: {}{key}{value}", operation.op.name)
    }
}
