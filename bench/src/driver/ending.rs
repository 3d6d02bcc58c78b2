//! The end of a run: why, the nodes' graceful stop, and what happens when that is not enough.

use std::time::Duration;

use dsbench_core::observation::{Ending, NemesisChange, Origin, Phase, StepChange, StepState, What};
use dsbench_core::time::RunTime;

use super::agenda::EntryId;
use super::job::{Job, ProcessKey, Purpose, Task};
use super::keeping::Keeping;
use super::{Driver, Due};

/// How long after the longest grace a node may take to be proven gone before the run is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whose fault it is that a process did not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// The environment's before the first fault, the cluster's after it.
    Cluster,
    /// The environment's: the machine refused what any start needs, or what had to be done before it could not be done.
    Environment,
}

/// How far the end has come.
#[derive(Debug, Default)]
pub(super) struct EndingState {
    pub(super) because: Option<Ending>,
    /// The first fault has been done: what fails from now on is the cluster's.
    pub(super) has_faulted: bool,
    pub(super) in_jobs: bool,
    /// How often all jobs were dropped.
    pub(super) jobs_dropped: u32,
    /// When the scenario's `timeout` is over.
    pub(super) timeout_at: RunTime,
    /// When the teardown is cut, while it goes on.
    pub(super) teardown_bound: Option<EntryId>,
    /// The signal to dsbench that cut the teardown of a run that had ended by itself.
    pub(super) cut_by: Option<i32>,
    /// Whether the cluster stays up.
    pub(super) keeping: Keeping,
    /// The end of a run that may be kept.
    pub(super) sealed: Option<RunTime>,
    /// The check programs were asked; the signal that has ended the asking, if one has.
    pub(super) asked: Option<Option<i32>>,
    /// Nobody watches any more: the run's result was told.
    pub(super) has_closed_screen: bool,
    /// The signal to dsbench that has ended a cluster that was kept.
    pub(super) let_go_by: Option<i32>,
    /// The nodes are being stopped.
    pub(super) is_stopping: bool,
    pub(super) is_broken: bool,
    is_down: bool,
}

impl Driver<'_> {
    pub(super) fn is_over(&self) -> bool {
        self.ending.is_down
    }

    /// Ends the run, once: nothing that follows is judged. The teardown comes, and then every node is stopped.
    pub(super) fn end(&mut self, because: Ending) {
        if self.ending.because.is_some() {
            return;
        }
        self.count_traffic();
        let now = self.now();
        self.record(now, What::Run(Phase::Ended { because: because.clone() }));
        self.ending.because = Some(because);
        self.hands_off();
        self.drop_jobs();
        self.steps.close();
        self.undos.clear();
        self.nemesis.close();
        self.end_all_clients();
        self.end_all_commands();
        self.workloads.close();
        self.typing = super::verb::Typing::default();
        self.kill_execs();
        self.end_deadline();
        self.begin_end(now);
    }

    /// Asks every node to end.
    pub(super) fn stop_nodes(&mut self) {
        if self.ending.is_stopping {
            return;
        }
        self.ending.is_stopping = true;
        self.mend_all_of_network();
        self.drop_jobs();
        self.steps.close();
        self.typing = super::verb::Typing::default();
        self.kill_execs();
        let now = self.now();
        let grace = self.processes.values().map(|process| process.spec.stop().grace).max().unwrap_or_default();
        self.agenda.push(now + grace + PATIENCE, Due::GiveUp);
        let stage = self.order.iter().map(|key| (key.clone(), Task::Stop)).collect();
        self.run_job(Job::new(Purpose::Ending, [stage]));
    }

    /// Nothing that is on its way is waited for any more.
    pub(super) fn drop_jobs(&mut self) {
        self.jobs.clear();
        self.ending.jobs_dropped += 1;
        self.start_when_empty.clear();
        self.held.clear();
        self.give_up_preparing(None);
    }

    /// Everything is proven gone.
    pub(super) fn nodes_are_down(&mut self) {
        self.ending.is_down = true;
    }

    /// Something is still there long after SIGKILL; the world's shutdown says what.
    pub(super) fn give_up(&mut self) {
        self.ending.is_down = true;
    }

    /// A signal to dsbench: the first ends the run gracefully, or the teardown if the run has ended; the second ends everything at once.
    pub(super) fn interrupted(&mut self, signal: i32) {
        if self.ending.because.is_none() {
            let teardown = if self.plan.scenario.teardown.is_empty() { "" } else { "running the teardown, then " };
            self.live.told(&format!("interrupted: {teardown}stopping the nodes (again to kill them now)"));
            self.end(Ending::Interrupted { signal });
        } else if self.is_kept() {
            self.live.told("interrupted: stopping the nodes (again to kill them now)");
            // A run that was not judged yet is none any more.
            self.ending.cut_by = self.ending.asked.is_none().then_some(signal);
            self.ending.let_go_by = Some(signal);
            self.let_go();
        } else if self.is_in_teardown() && !matches!(self.ending.because, Some(Ending::Interrupted { .. })) {
            self.live.told("interrupted: the teardown is cut, stopping the nodes (again to kill them now)");
            self.ending.cut_by = Some(signal);
            self.cut_teardown("interrupted");
        } else {
            self.cut_teardown("interrupted twice");
            self.live.told("killing the nodes");
            self.kill_all();
        }
    }

    pub(super) fn kill_all(&mut self) {
        for key in self.order.clone() {
            let life = self.process(&key).life();
            self.world.kill(&life);
        }
    }

    /// The bench itself is damaged; what was seen so far still counts.
    pub(super) fn broken(&mut self, why: String) {
        self.warn(format!("the bench cannot go on: {why}"));
        // Nothing that a teardown wants can be done any more.
        self.ending.is_broken = true;
        self.end(Ending::Abandoned);
        self.cut_teardown("the bench cannot go on");
        self.ending.is_down = true;
    }

    /// A process did not start, or did not become ready. Whatever else its job starts goes on.
    pub(super) fn start_failed(&mut self, key: &ProcessKey, why: &str, blame: Blame) {
        let why = format!("{}: {why}", key.node);
        self.drop_juniors(key);
        let mut waiting = Vec::new();
        for job in self.jobs.iter_mut().filter(|job| job.awaits(key, Task::Start)) {
            job.withdraw(key, Task::Start);
            waiting.push(job.purpose);
        }
        for purpose in waiting {
            if let Purpose::Hand(number) = purpose {
                self.hand_failed(number, why.clone());
                continue;
            }
            let (Purpose::Asked(origin) | Purpose::Undo(origin)) = purpose else {
                self.hands_failed(why);
                return self.end(Ending::Environment);
            };
            match origin {
                // Nothing is judged any more.
                Origin::Step(step) if self.is_in_teardown() => self.step_failed(step, why.clone()),
                _ if blame == Blame::Environment || !self.ending.has_faulted => {
                    self.hands_failed(why);
                    return self.end(Ending::Environment);
                }
                // The scene could not be set.
                Origin::Step(step) if self.is_in_setup() => return self.step_failed(step, why),
                origin => self.not_back(origin, why.clone()),
            }
        }
        // A job may have waited for nothing else.
        self.advance_jobs();
    }

    /// A node did not come back from what this one had asked for.
    fn not_back(&mut self, origin: Origin, why: String) {
        let now = self.now();
        match origin {
            Origin::Step(step) => {
                let state = StepState::NotBack { why };
                self.record(now, What::Step(StepChange { step, state }));
            }
            Origin::Nemesis(fault) => _ = self.record(now, What::Nemesis(NemesisChange::NotBack { fault, why })),
            Origin::Hand | Origin::Bench => self.warn(why),
        }
    }

    /// Tells the person who runs it; the history has what a check needs.
    pub(super) fn warn(&mut self, text: String) {
        let text = format!("warning: {text}");
        self.live.told(&text);
        self.tell_hands(&text);
    }
}
