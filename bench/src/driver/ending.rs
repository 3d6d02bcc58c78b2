//! The end of a run: why, the nodes' graceful stop, and what happens when that is not enough.

use std::time::Duration;

use dsbench_core::observation::{Ending, NemesisChange, Origin, Phase, StepChange, StepState, What};

use super::job::{Job, ProcessKey, Purpose, Task};
use super::{Driver, Due};

/// How long after the longest grace a node may take to be proven gone before the run is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// How far the end has come.
#[derive(Debug, Default)]
pub(super) struct EndingState {
    pub(super) because: Option<Ending>,
    /// The first fault has been done: what fails from now on is the cluster's.
    pub(super) has_faulted: bool,
    pub(super) in_jobs: bool,
    is_down: bool,
}

impl Driver<'_> {
    pub(super) fn is_over(&self) -> bool {
        self.ending.is_down
    }

    /// Ends the run, once: nothing that follows is judged, and every node is stopped.
    pub(super) fn end(&mut self, because: Ending) {
        if self.ending.because.is_some() {
            return;
        }
        let now = self.now();
        self.record(now, What::Run(Phase::Ended { because: because.clone() }));
        self.ending.because = Some(because);
        self.hands_off();
        self.jobs.clear();
        self.start_when_empty.clear();
        self.steps.close();
        self.undos.clear();
        self.nemesis.close();
        self.typing = super::verb::Typing::default();
        self.kill_execs();
        let grace = self.processes.values().map(|process| process.spec.stop().grace).max().unwrap_or_default();
        self.agenda.push(now + grace + PATIENCE, Due::GiveUp);
        let stage = self.order.iter().map(|key| (key.clone(), Task::Stop)).collect();
        self.run_job(Job::new(Purpose::Ending, [stage]));
    }

    /// Everything is proven gone.
    pub(super) fn nodes_are_down(&mut self) {
        self.ending.is_down = true;
    }

    /// Something is still there long after SIGKILL; the world's shutdown says what.
    pub(super) fn give_up(&mut self) {
        self.ending.is_down = true;
    }

    /// A signal to dsbench: the first ends the run gracefully, the second at once.
    pub(super) fn interrupted(&mut self, signal: i32) {
        if self.ending.because.is_none() {
            self.live.told("interrupted: stopping the nodes (again to kill them now)");
            self.end(Ending::Interrupted { signal });
        } else {
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
        self.end(Ending::Abandoned);
        self.ending.is_down = true;
    }

    /// A process did not start, or did not become ready: the environment's fault before the first fault, the cluster's after it.
    pub(super) fn start_failed(&mut self, key: &ProcessKey, why: &str) {
        let waiting: Vec<_> =
            self.jobs.iter().filter(|job| job.awaits(key, Task::Start)).map(|job| job.purpose).collect();
        self.jobs.retain(|job| !job.awaits(key, Task::Start));
        for purpose in waiting {
            if let Purpose::Hand(number) = purpose {
                self.hand_failed(number, format!("{}: {why}", key.node));
                continue;
            }
            let (Purpose::Asked(origin) | Purpose::Undo(origin)) = purpose else {
                self.hands_failed(format!("{}: {why}", key.node));
                return self.end(Ending::Environment);
            };
            if !self.ending.has_faulted {
                return self.end(Ending::Environment);
            }
            self.not_back(origin, format!("{}: {why}", key.node));
            match purpose {
                Purpose::Asked(Origin::Step(_)) => self.step_is_over(),
                Purpose::Asked(Origin::Nemesis(_)) | Purpose::Undo(Origin::Nemesis(_)) => self.look_if_healed(),
                _ => {}
            }
        }
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
