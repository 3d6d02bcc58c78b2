//! The first start: who starts when the run begins, and in which order.

use dsbench_core::observation::Name;
use dsbench_core::scenario::StartOrder;

use super::Driver;
use super::job::{ProcessKey, Stage, Task};

impl Driver<'_> {
    /// The stages of the first start: all at once, or one node after the other.
    pub(super) fn first_start(&self) -> Vec<Stage> {
        match &self.plan.scenario.start {
            StartOrder::Together => {
                let nodes: Vec<Name> = self.plan.scenario.nodes.iter().map(|node| node.name.clone()).collect();
                vec![self.starting(&nodes)]
            }
            StartOrder::InOrder(nodes) => nodes.iter().map(|node| self.starting(std::slice::from_ref(node))).collect(),
            StartOrder::Manual => Vec::new(),
        }
    }

    /// The start of everything of these nodes that starts with its node.
    fn starting(&self, nodes: &[Name]) -> Stage {
        let keys: Vec<ProcessKey> = self.processes_of(nodes);
        keys.into_iter().filter(|key| self.process(key).spec.starts_with_node()).map(|key| (key, Task::Start)).collect()
    }
}
