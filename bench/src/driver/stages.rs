//! The stages of a run: when all nodes are ready the setup, then the steps, and on every end the teardown.

use std::time::Duration;

use dsbench_core::observation::{Ending, Origin, Phase, StepChange, StepState, What};
use dsbench_core::scenario::{Step, Verb};
use dsbench_core::stage::Stage;
use dsbench_core::target::{Eligible, Target};
use dsbench_core::time::RunTime;

use super::job::Purpose;
use super::steps::State;
use super::verb::Typing;
use super::{Driver, Due};

/// How long a teardown may take in any case: also one that comes because the run's time was over. Until the run's `timeout` it may go on.
const TEARDOWN: Duration = Duration::from_secs(30);

/// How long a step of a teardown may take that has no `within`.
pub(super) const TEARDOWN_STEP: Duration = dsbench_core::condition::WITHIN;

impl Driver<'_> {
    /// The nodes that start by themselves are ready.
    pub(super) fn nodes_are_ready(&mut self) {
        if self.plan.scenario.setup.is_empty() {
            self.setup_is_done();
        } else {
            let now = self.now();
            self.begin_stage(Stage::Setup, now);
        }
    }

    fn begin_stage(&mut self, stage: Stage, at: RunTime) {
        self.enter_stage(stage, at);
        self.begin_step();
    }

    fn enter_stage(&mut self, stage: Stage, at: RunTime) {
        // What a stage that was cut short has left is never done.
        let steps = &self.plan.scenario;
        self.steps.ahead.retain(|index| steps.step(*index).is_some_and(|step| step.place.stage >= stage));
        self.steps.stage = stage;
        self.steps.stage_began = at;
        self.steps.previous_done = at;
    }

    /// The last step of the stage is over.
    pub(super) fn stage_is_done(&mut self) {
        self.steps.state = State::Idle;
        match self.steps.stage {
            Stage::Setup => {
                self.steps.state = State::Settling;
                self.look_if_setup_is_done();
            }
            Stage::Main => {
                let now = self.now();
                self.record(now, What::Run(Phase::StepsDone));
                self.nemesis_outlives_steps();
                self.workloads_outlive_steps();
                self.look_at_bounds();
            }
            Stage::Teardown => self.teardown_is_over(),
        }
    }

    /// A setup is done when nothing of it is left to be undone: what it does shall not reach into the run.
    pub(super) fn look_if_setup_is_done(&mut self) {
        if !self.undos.are_ahead() && self.jobs.is_empty() {
            self.setup_is_done();
        }
    }

    fn setup_is_done(&mut self) {
        let now = self.now();
        self.record(now, What::Run(Phase::Ready));
        if self.hands.is_some() {
            // What happens from here on is done by hand.
            self.enter_stage(Stage::Main, now);
            self.hands_are_ready();
        } else {
            self.enter_stage(Stage::Main, now);
            self.nemesis_may_begin(now);
            self.workloads_may_begin(now);
            self.begin_step();
        }
    }

    /// A step cannot do what the next ones need.
    pub(super) fn abandon(&mut self, step: usize, why: &str) {
        if let Some(step) = self.plan.scenario.step(step) {
            self.hands_failed(format!("{} ({}): {why}", step.label(), step.words()));
        }
        self.end(Ending::Abandoned);
    }

    /// True while a setup does what is no fault.
    pub(super) fn is_in_setup(&self) -> bool {
        self.steps.stage == Stage::Setup
    }

    /// The run has ended: what the scenario wants to be done then, while the nodes are as they are.
    pub(super) fn begin_teardown(&mut self) {
        if self.plan.scenario.teardown.is_empty() {
            return self.stop_nodes();
        }
        let now = self.now();
        if self.ending.is_broken {
            self.enter_stage(Stage::Teardown, now);
            return self.cut_teardown("the bench cannot go on");
        }
        let until = match self.ending.because {
            // Whoever interrupts wants to be gone.
            Some(Ending::Interrupted { .. }) => now + TEARDOWN,
            _ => self.ending.timeout_at.max(now + TEARDOWN),
        };
        self.ending.teardown_bound = Some(self.agenda.push(until, Due::TeardownBound));
        self.begin_stage(Stage::Teardown, now);
    }

    /// The teardown's time is over.
    pub(super) fn teardown_bound(&mut self) {
        self.ending.teardown_bound = None;
        self.cut_teardown("its time is over");
    }

    /// Ends the teardown where it is; nothing happens if it is over.
    pub(super) fn cut_teardown(&mut self, why: &str) {
        if !self.is_in_teardown() {
            return;
        }
        let (step, now) = (self.steps.current(), self.now());
        self.record(now, What::Step(StepChange { step, state: StepState::Cut { why: why.into() } }));
        self.teardown_is_over();
    }

    pub(super) fn is_in_teardown(&self) -> bool {
        self.steps.stage == Stage::Teardown && !self.ending.is_stopping
    }

    fn teardown_is_over(&mut self) {
        if let Some(bound) = self.ending.teardown_bound.take() {
            self.agenda.cancel(bound);
        }
        self.stop_nodes();
    }

    /// Lets go of what a step of the teardown has begun and did not finish.
    pub(super) fn give_up_step(&mut self, step: usize) {
        self.typing = Typing::default();
        self.kill_execs_of(step);
        self.jobs.retain(|job| job.purpose != Purpose::Asked(Origin::Step(step)));
    }

    /// True if the step has a target and nobody is it, at this moment.
    pub(super) fn is_for_nobody(&self, step: &Step, index: usize) -> bool {
        let eligible = match &step.verb {
            Verb::Act(act) => act.eligible(),
            Verb::Exec(_) => Eligible::Everybody,
            _ => Eligible::Up,
        };
        let is_nobody =
            |target: &Target| target.resolve(&self.cluster, eligible, &mut self.plan.random_of_step(index)).is_err();
        step.verb.target().is_some_and(is_nobody) || step.binds.iter().any(|(_, target)| is_nobody(target))
    }
}
