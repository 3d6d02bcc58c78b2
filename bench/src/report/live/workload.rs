//! What the clients of a workload do, in the one line that the live screen has for each.

use std::collections::BTreeMap;

use dsbench_core::observation::{Name, Observation, What};
use dsbench_core::operation::{OperationKind, WorkloadState};
use dsbench_core::time::RunTime;

use crate::report::tell::workload_state;

/// Empty until the run has a workload.
#[derive(Debug, Default)]
pub(super) struct WorkloadLines(BTreeMap<Name, Line>);

#[derive(Debug, Default)]
struct Line {
    state: String,
    counts: [u64; 3],
    /// Those that have ended at the newest look, and how many a second did before it.
    measured: (RunTime, u64),
    rate: Option<f64>,
}

impl WorkloadLines {
    pub(super) fn observe(&mut self, observation: &Observation) {
        match &observation.what {
            What::Workload(change) => {
                let line = self.0.entry(change.name.clone()).or_default();
                if change.state == WorkloadState::Begun {
                    line.measured = (observation.at, line.ended());
                }
                line.state = workload_state(&change.state);
            }
            What::Operation(operation) => {
                let Some(line) = self.0.get_mut(&operation.workload) else { return };
                match operation.kind {
                    OperationKind::Invoke => {}
                    OperationKind::Ok => line.counts[0] += 1,
                    OperationKind::Fail => line.counts[1] += 1,
                    OperationKind::Info => line.counts[2] += 1,
                }
            }
            _ => {}
        }
    }

    /// Measures the rates; a rate over less than a second jumps too much to be read.
    pub(super) fn measure(&mut self, now: RunTime) {
        for line in self.0.values_mut() {
            let (since, before) = line.measured;
            let passed = now.since(since).as_secs_f64();
            if passed >= 1.0 {
                line.rate = Some((line.ended() - before) as f64 / passed);
                line.measured = (now, line.ended());
            }
        }
    }

    /// Each workload's name and what is to be said of it: `120 ok, 1 info, 10.0/s   (begins)`
    pub(super) fn lines(&self) -> impl Iterator<Item = (&Name, String)> {
        self.0.iter().map(|(name, line)| {
            let rate = line.rate.map(|rate| format!(", {rate:.1}/s")).unwrap_or_default();
            (name, format!("{}{rate}   ({})", counted(line.counts), line.state))
        })
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Line {
    fn ended(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// `120 ok, 3 fail, 1 info`: how many operations ended so.
pub(crate) fn counted(counts: [u64; 3]) -> String {
    let all = OperationKind::ENDS.iter().zip(counts);
    let some: Vec<String> =
        all.filter(|(_, count)| *count > 0).map(|(word, count)| format!("{count} {word}")).collect();
    if some.is_empty() { "no operation".to_owned() } else { some.join(", ") }
}

#[cfg(test)]
mod tests {
    use dsbench_core::operation::{Operation, WorkloadChange};

    use super::*;

    fn at(millis: u64, what: What) -> Observation {
        Observation { number: 0, at: RunTime(millis * 1_000_000), what }
    }

    fn ends(kind: OperationKind) -> What {
        let name = || Name::from("people");
        let (workload, op, client) = (name(), name(), name());
        let (node, key, value, why) = (None, None, None, None);
        What::Operation(Box::new(Operation { id: 0, kind, workload, op, client, process: 0, node, key, value, why }))
    }

    #[test]
    fn the_line_counts_how_operations_ended_and_how_many_a_second() {
        let mut lines = WorkloadLines::default();
        let begun = WorkloadChange { name: "people".into(), state: WorkloadState::Begun };
        lines.observe(&at(1000, What::Workload(begun.into())));
        for kind in [OperationKind::Invoke, OperationKind::Ok, OperationKind::Ok, OperationKind::Info] {
            lines.observe(&at(1500, ends(kind)));
        }
        let told = |lines: &WorkloadLines| lines.lines().map(|(_, text)| text).collect::<String>();
        assert_eq!(told(&lines), "2 ok, 1 info   (begins)");
        lines.measure(RunTime(3_000_000_000));
        assert_eq!(told(&lines), "2 ok, 1 info, 1.5/s   (begins)");
    }
}
