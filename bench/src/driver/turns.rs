//! Who waits for whom among the processes of a node: a start is held back until the node is prepared, and the processes that come before
//! are ready.

use dsbench_core::observation::{MAIN, Name};

use super::Driver;
use super::job::{ProcessKey, Task};
use super::process::State;

impl Driver<'_> {
    /// Holds the start of a process back if something has to come before it. True if it is held.
    pub(super) fn is_held_back(&mut self, key: &ProcessKey) -> bool {
        self.held.insert(key.clone());
        let is_held = self.has_to_wait(key);
        if !is_held {
            self.held.remove(key);
        }
        is_held
    }

    fn has_to_wait(&mut self, key: &ProcessKey) -> bool {
        let main = ProcessKey { node: key.node.clone(), process: MAIN.into() };
        if self.has_to_be_prepared(&main) {
            return true;
        }
        let elders = self.process(key).spec.after();
        let is_coming = |elder: &Name| self.is_coming(&ProcessKey { node: key.node.clone(), process: elder.clone() });
        if elders.iter().any(is_coming) {
            return true;
        }
        *key != main && self.has_to_be_prepared(key)
    }

    /// True if it is on its way up. Who is left alone, or given up, is not waited for.
    fn is_coming(&self, key: &ProcessKey) -> bool {
        let Some(process) = self.processes.get(key) else { return false };
        let is_starting = process.state == State::Starting && process.readiness.is_some();
        is_starting || self.start_when_empty.contains(key) || self.held.contains(key)
    }

    /// Something of this node has changed: starts that were held back may go on.
    pub(super) fn release(&mut self, node: &Name) {
        // In the plan's order, which is that of the turns.
        let held = self.order.iter().filter(|key| key.node == *node && self.held.contains(*key));
        for key in held.cloned().collect::<Vec<_>>() {
            // What came before may have ended the run.
            if self.held.contains(&key) && !self.is_held_back(&key) {
                self.start(&key);
            }
        }
    }

    /// A process did not come up: those that wait for it do not start.
    pub(super) fn drop_juniors(&mut self, elder: &ProcessKey) {
        let waits =
            |key: &&ProcessKey| key.node == elder.node && self.process(key).spec.after().contains(&elder.process);
        for junior in self.held.iter().filter(waits).cloned().collect::<Vec<_>>() {
            self.held.remove(&junior);
            self.jobs.iter_mut().for_each(|job| job.withdraw(&junior, Task::Start));
            self.drop_juniors(&junior);
        }
    }

    /// A start that was held back is not wanted any more.
    pub(super) fn forget_held(&mut self, key: &ProcessKey) {
        if self.held.remove(key) {
            self.give_up_preparing(Some(&key.node));
            self.release(&key.node);
        }
    }
}
