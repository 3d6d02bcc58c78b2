//! What the clients asked and were told, counted: a line for each workload.

use std::collections::BTreeMap;

use dsbench_core::history::History;
use dsbench_core::observation::Name;
use dsbench_core::operation::{OperationKind, WorkloadState};
use dsbench_core::time::RunTime;

use super::live::counted;

/// The lines, none if the run has no workload: `people: say 120 ok, 1 info; count 40 ok (8.1/s, slowest 0.31s)`
pub(super) fn lines(history: &History) -> Vec<String> {
    let mut all = BTreeMap::<&Name, Summed<'_>>::new();
    for performed in history.operations() {
        let invoked = performed.invoked;
        let summed = all.entry(&invoked.what.workload).or_insert_with(|| Summed::from(invoked.at));
        let place = match performed.kind() {
            OperationKind::Ok => 0,
            OperationKind::Fail => 1,
            OperationKind::Info | OperationKind::Invoke => 2,
        };
        summed.ops.entry(performed.op()).or_default()[place] += 1;
        summed.count += 1;
        if let Some(ended) = performed.ended.filter(|_| performed.is_ok()) {
            summed.slowest = summed.slowest.max(ended.at.since(invoked.at));
            summed.last = summed.last.max(ended.at);
        }
    }
    let is_behind = |name: &Name| {
        history.workloads().any(|change| {
            change.what.name == *name && matches!(change.what.state, WorkloadState::Stopped { behind: 1.. })
        })
    };
    all.iter().map(|(name, summed)| summed.told(name, is_behind(name))).collect()
}

struct Summed<'h> {
    ops: BTreeMap<&'h Name, [u64; 3]>,
    count: u64,
    first: RunTime,
    last: RunTime,
    slowest: std::time::Duration,
}

impl Summed<'_> {
    fn from(first: RunTime) -> Self {
        Self { ops: BTreeMap::new(), count: 0, first, last: first, slowest: std::time::Duration::ZERO }
    }

    fn told(&self, name: &Name, is_behind: bool) -> String {
        let ops: Vec<String> = self.ops.iter().map(|(op, counts)| format!("{op} {}", counted(*counts))).collect();
        let took = self.last.since(self.first).as_secs_f64();
        let rate = if took > 0.0 { format!("{:.1}/s, ", self.count as f64 / took) } else { String::new() };
        let behind = if is_behind { ", behind its rate" } else { "" };
        format!("{name}: {} ({rate}slowest answer {:.3}s{behind})", ops.join("; "), self.slowest.as_secs_f64())
    }
}
