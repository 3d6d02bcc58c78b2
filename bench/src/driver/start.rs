//! The first start: who starts when the run begins, and in which order.

use dsbench_core::observation::Name;

use super::Driver;
use super::job::{ProcessKey, Stage, Task};

impl Driver<'_> {
    /// The stages of the first start, each when the one before is ready.
    pub(super) fn first_start(&self) -> Vec<Stage> {
        self.plan.scenario.start.stages.iter().map(|nodes| self.starting(nodes)).collect()
    }

    /// The start of everything of these nodes that starts with its node.
    fn starting(&self, nodes: &[Name]) -> Stage {
        let keys: Vec<ProcessKey> = self.processes_of(nodes);
        keys.into_iter().filter(|key| self.process(key).spec.starts_with_node()).map(|key| (key, Task::Start)).collect()
    }
}
