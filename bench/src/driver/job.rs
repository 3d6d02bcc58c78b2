//! A job: something asked of processes that takes a while, in stages; the next stage begins when every task of the one before is done.
//!
//! The first start, every acting step, the undoing of one (`for`) and the end of the run are jobs.

use std::collections::{BTreeSet, VecDeque};

use dsbench_core::observation::{Life, Name, Origin};

/// A process of a node, whatever its life.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ProcessKey {
    pub(super) node: Name,
    pub(super) process: Name,
}

impl ProcessKey {
    /// Whose life it is.
    pub(super) fn of(life: &Life) -> Self {
        Self { node: life.node.clone(), process: life.process.clone() }
    }
}

/// What is asked of one process, and so when it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Task {
    /// Started; done when it is ready.
    Start,
    /// Signalled, after its grace killed; done when nothing of it is left.
    Stop,
    /// Killed; done when nothing of it is left.
    Kill,
    /// Its main program killed; done when that has ended, whatever its children do.
    KillProgram,
    /// Frozen; done when every thread was seen stopped.
    Pause,
    /// Thawed; done at once.
    Resume,
}

/// Why a job runs, and so who is told of its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The nodes that start by themselves.
    FirstStart,
    /// What this one has asked for.
    Asked(Origin),
    /// The end of the `for` of what this one has asked for.
    Undo(Origin),
    /// What somebody has asked for by hand, by number.
    Hand(u64),
    /// The end of the run.
    Ending,
}

/// A set of tasks that run side by side.
pub(super) type Stage = Vec<(ProcessKey, Task)>;

/// A job on its way.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) purpose: Purpose,
    /// Stages that have not begun.
    later: VecDeque<Stage>,
    /// Tasks of the present stage that are not done.
    open: BTreeSet<(ProcessKey, Task)>,
}

impl Job {
    pub(super) fn new(purpose: Purpose, stages: impl IntoIterator<Item = Stage>) -> Self {
        let later = stages.into_iter().filter(|stage| !stage.is_empty()).collect();
        Self { purpose, later, open: BTreeSet::new() }
    }

    /// If nothing is open: the next stage, whose tasks are open from now on. `None` while something is open or when all is done.
    pub(super) fn next_stage(&mut self) -> Option<Stage> {
        if !self.open.is_empty() {
            return None;
        }
        let stage = self.later.pop_front()?;
        self.open.extend(stage.iter().cloned());
        Some(stage)
    }

    /// A task is done; true if it was one of this job's open ones.
    pub(super) fn done(&mut self, process: &ProcessKey, task: Task) -> bool {
        self.open.remove(&(process.clone(), task))
    }

    /// Takes a task out, whether it has begun or not: what it was for has been overruled.
    pub(super) fn withdraw(&mut self, process: &ProcessKey, task: Task) {
        let withdrawn = (process.clone(), task);
        self.open.remove(&withdrawn);
        self.later.iter_mut().for_each(|stage| stage.retain(|entry| *entry != withdrawn));
        self.later.retain(|stage| !stage.is_empty());
    }

    /// True if this job waits for that.
    pub(super) fn awaits(&self, process: &ProcessKey, task: Task) -> bool {
        self.open.contains(&(process.clone(), task))
    }

    pub(super) fn is_over(&self) -> bool {
        self.open.is_empty() && self.later.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use dsbench_core::observation::Origin;

    use super::{Job, ProcessKey, Purpose, Task};

    fn key(node: &str) -> ProcessKey {
        ProcessKey { node: node.into(), process: "main".into() }
    }

    #[test]
    fn a_stage_begins_when_the_one_before_is_done() {
        let stages = [vec![(key("a"), Task::Kill), (key("b"), Task::Kill)], vec![], vec![(key("a"), Task::Start)]];
        let mut job = Job::new(Purpose::Asked(Origin::Step(0)), stages);
        assert_eq!(job.next_stage().map(|stage| stage.len()), Some(2));
        assert_eq!(job.next_stage(), None);
        assert!(job.done(&key("a"), Task::Kill));
        assert!(!job.done(&key("a"), Task::Kill), "a task is done once");
        assert!(!job.done(&key("b"), Task::Start), "another task of the process does not count");
        assert!(job.awaits(&key("b"), Task::Kill) && !job.is_over());
        assert!(job.done(&key("b"), Task::Kill));
        assert_eq!(job.next_stage(), Some(vec![(key("a"), Task::Start)]));
        assert!(job.done(&key("a"), Task::Start) && job.is_over());
    }

    #[test]
    fn what_is_withdrawn_is_waited_for_no_more() {
        let stages = [vec![(key("a"), Task::Kill)], vec![(key("a"), Task::Start), (key("b"), Task::Start)]];
        let mut job = Job::new(Purpose::Undo(Origin::Step(0)), stages);
        job.next_stage();
        job.withdraw(&key("b"), Task::Start);
        assert!(job.done(&key("a"), Task::Kill));
        assert_eq!(job.next_stage(), Some(vec![(key("a"), Task::Start)]));
        job.withdraw(&key("a"), Task::Start);
        assert!(job.is_over());
    }

    #[test]
    fn a_job_without_tasks_is_over_at_once() {
        assert!(Job::new(Purpose::FirstStart, [vec![]]).is_over());
    }
}
