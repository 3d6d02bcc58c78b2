//! The steps: one after the other, each at its time, each done before the next begins.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use dsbench_core::cluster::ClusterState;
use dsbench_core::observation::{Name, Observation, Origin, StepChange, StepState, What};
use dsbench_core::plan::Plan;
use dsbench_core::scenario::{Step, Verb};
use dsbench_core::settle::Resting;
use dsbench_core::stage::Stage;
use dsbench_core::time::RunTime;
use dsbench_core::watch::Watch;

use super::agenda::EntryId;
use super::job::{Job, Purpose};
use super::verb::Acted;
use super::{Driver, Due};

/// How far the steps have come.
#[derive(Debug)]
pub(super) struct Steps {
    /// The stage whose steps run.
    pub(super) stage: Stage,
    /// The steps that are not over, by index, in the order in which they run; the first is the current one, if it is of this stage.
    pub(super) ahead: VecDeque<usize>,
    pub(super) state: State,
    /// Follows what each step looks at, from the beginning of the history.
    watches: Vec<Watches>,
    /// When the stage began.
    pub(super) stage_began: RunTime,
    /// When each step began to act.
    began: BTreeMap<usize, RunTime>,
    /// When the step before was done.
    pub(super) previous_done: RunTime,
    deadline: Option<EntryId>,
    /// How long the bench had stood still when that was set.
    stood_still: Duration,
    /// When a step that waits for rest is looked at next.
    looks_at: Option<RunTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No step's turn: the nodes are not ready yet, or all steps of the stage are done, or the run has ended.
    Idle,
    /// The steps of the setup are done, but not all of it: a `for` is still to be undone.
    Settling,
    /// Its `when` does not hold yet.
    When,
    /// Its time has not come yet.
    Time,
    /// It acts; something of it is on its way.
    Acting,
    /// Its condition does not hold yet.
    Looking,
}

#[derive(Debug)]
struct Watches {
    when: Option<Watch>,
    condition: Option<Watch>,
    rest: Option<Resting>,
}

impl Steps {
    pub(super) fn new(plan: &Plan) -> Self {
        let watches = |step: &Step| Watches {
            when: step.timing.when.as_ref().map(|(condition, _)| Watch::new(condition)),
            condition: match &step.verb {
                Verb::Wait(look) | Verb::Expect(look) => Some(Watch::new(&look.condition)),
                _ => None,
            },
            rest: match &step.verb {
                Verb::Settle(settle) => Some(Resting::new(settle)),
                _ => None,
            },
        };
        Self {
            stage: Stage::Setup,
            ahead: Stage::ALL.into_iter().flat_map(|stage| plan.scenario.range(stage)).collect(),
            state: State::Idle,
            watches: plan.scenario.all_steps().map(watches).collect(),
            stage_began: RunTime::START,
            began: BTreeMap::new(),
            previous_done: RunTime::START,
            deadline: None,
            stood_still: Duration::ZERO,
            looks_at: None,
        }
    }

    /// Lets every step that is still to come see an observation: what it looks for may lie before it.
    pub(super) fn observe(&mut self, observation: &Observation, cluster: &ClusterState) {
        for index in &self.ahead {
            let watches = &mut self.watches[*index];
            for watch in [&mut watches.when, &mut watches.condition].into_iter().flatten() {
                watch.observe(observation, cluster);
            }
            if let Some(rest) = &mut watches.rest {
                rest.observe(observation);
            }
        }
    }

    /// No step begins any more.
    pub(super) fn close(&mut self) {
        self.state = State::Idle;
    }

    /// True if every step of the run itself is done.
    pub(super) fn are_done(&self) -> bool {
        self.stage == Stage::Main && self.state == State::Idle
    }

    /// The index of the current step; of no step at all when none is left.
    pub(super) fn current(&self) -> usize {
        self.ahead.front().copied().unwrap_or(usize::MAX)
    }

    /// What the current step looks at right now.
    pub(super) fn watch(&mut self) -> Option<&mut Watch> {
        let watches = self.watches.get_mut(*self.ahead.front()?)?;
        match self.state {
            State::When => watches.when.as_mut(),
            State::Looking => watches.condition.as_mut(),
            State::Idle | State::Settling | State::Time | State::Acting => None,
        }
    }
}

impl<'r> Driver<'r> {
    fn step(&self) -> Option<&'r Step> {
        let step = self.plan.scenario.step(self.steps.current())?;
        (step.place.stage == self.steps.stage).then_some(step)
    }

    pub(super) fn begin_step(&mut self) {
        let Some(step) = self.step() else { return self.stage_is_done() };
        match &step.timing.when {
            Some((_, within)) => {
                self.steps.state = State::When;
                self.set_deadline(*within);
                self.ask_all_probes();
            }
            None => self.wait_for_time(self.steps.previous_done),
        }
    }

    /// Sets the step's time: `at` since the stage or another step began, `after` since `from`, whichever is later.
    fn wait_for_time(&mut self, from: RunTime) {
        let index = self.steps.current();
        let at = self.step().and_then(|step| step.timing.at.as_ref()).map_or(RunTime::START, |at| {
            let began = at.step.as_ref().and_then(|(step, _)| self.steps.began.get(step));
            *began.unwrap_or(&self.steps.stage_began) + at.plus
        });
        let after = from + self.plan.delays.get(index).copied().flatten().unwrap_or_default();
        self.steps.state = State::Time;
        self.agenda.push(at.max(after), Due::StepTime(index));
    }

    fn set_deadline(&mut self, within: Duration) {
        let due = self.now() + within;
        self.steps.stood_still = self.standstill.total();
        self.steps.deadline = Some(self.agenda.push(due, Due::StepDeadline(self.steps.current())));
    }

    /// The step's time has come.
    pub(super) fn step_time(&mut self, index: usize) {
        let Some(step) = self.step() else { return };
        if self.steps.state != State::Time || self.steps.current() != index {
            return; // the run has ended in between
        }
        let now = self.now();
        self.record(now, What::Step(StepChange { step: index, state: StepState::Begun }));
        self.steps.began.insert(index, now);
        match &step.verb {
            Verb::Wait(look) | Verb::Expect(look) => self.set_deadline(look.within),
            Verb::Settle(settle) => self.set_deadline(settle.within),
            Verb::Exec(exec) => self.set_deadline(exec.within),
            _ if self.steps.stage == Stage::Teardown => self.set_deadline(super::stages::TEARDOWN_STEP),
            _ => {}
        }
        self.steps.state = State::Acting;
        let acted = self.bind(step, index).and_then(|()| self.perform_verb(&step.verb, index));
        match acted {
            Ok(Acted::Done) => self.step_is_over(),
            Ok(Acted::Job(stages)) => self.run_job(Job::new(Purpose::Asked(Origin::Step(index)), stages)),
            Ok(Acted::Looking) => {
                self.steps.state = State::Looking;
                self.ask_all_probes();
            }
            Ok(Acted::Pending) => {}
            // A teardown comes whatever has happened: that nobody is left for a step of it is no failure.
            Err(_) if self.steps.stage == Stage::Teardown && self.is_for_nobody(step, index) => self.step_is_over(),
            Err(why) => self.step_failed(index, why),
        }
    }

    /// The step's job is over.
    pub(super) fn step_acted(&mut self, step: usize) {
        if step == self.steps.current() && self.steps.state == State::Acting {
            self.step_is_over();
        }
    }

    /// The step is done, and the next one's turn comes.
    pub(super) fn step_is_over(&mut self) {
        let now = self.now();
        let step = self.steps.current();
        self.end_deadline();
        self.record(now, What::Step(StepChange { step, state: StepState::Done }));
        self.go_on(now);
    }

    fn go_on(&mut self, now: RunTime) {
        self.steps.previous_done = now;
        self.kill_questions(self.steps.current());
        self.steps.ahead.pop_front();
        self.begin_step();
    }

    pub(super) fn end_deadline(&mut self) {
        if let Some(deadline) = self.steps.deadline.take() {
            self.agenda.cancel(deadline);
        }
    }

    /// A step could not act: the run cannot go on as it was meant. A teardown goes on with what it can still do.
    pub(super) fn step_failed(&mut self, step: usize, why: String) {
        let now = self.now();
        self.end_deadline();
        self.record(now, What::Step(StepChange { step, state: StepState::Failed { why: why.clone() } }));
        if self.steps.stage == Stage::Teardown {
            self.give_up_step(step);
            self.go_on(now);
        } else {
            self.abandon(step, &why);
        }
    }

    /// Goes on where a condition has come to hold.
    pub(super) fn advance_steps(&mut self) {
        loop {
            let state = self.steps.state;
            if state == State::Settling {
                return self.look_if_setup_is_done();
            }
            let now = self.now();
            let is_met = self.steps.watches.get(self.steps.current()).is_some_and(|watches| match state {
                State::When => watches.when.as_ref().is_some_and(|watch| watch.is_met(&self.cluster)),
                State::Looking => match &watches.rest {
                    Some(rest) => rest.rests_at(&self.cluster).is_ok_and(|at| at <= now),
                    None => watches.condition.as_ref().is_some_and(|watch| watch.is_met(&self.cluster)),
                },
                State::Idle | State::Settling | State::Time | State::Acting => false,
            });
            match (is_met, state) {
                (true, State::When) => {
                    self.end_deadline();
                    let now = self.now();
                    self.wait_for_time(now);
                }
                (true, State::Looking) => self.step_is_over(),
                (false, State::Looking) => return self.look_again_at_rest(),
                _ => return,
            }
        }
    }

    /// A cluster comes to rest by nothing happening, so the step is looked at again when that has lasted long enough.
    fn look_again_at_rest(&mut self) {
        let (step, now) = (self.steps.current(), self.now());
        let rest = self.steps.watches.get(step).and_then(|watches| watches.rest.as_ref());
        let Some(Ok(at)) = rest.map(|rest| rest.rests_at(&self.cluster)) else { return };
        // One that is on the agenda and comes too early asks for the next.
        if self.steps.looks_at.is_none_or(|looks_at| looks_at <= now || at < looks_at) {
            self.steps.looks_at = Some(at);
            self.agenda.push(at, Due::Rest);
        }
    }

    /// Moves the step's `within`, which is due, by the time in which the bench has stood still, and at least until then. Says if it did.
    pub(super) fn prolong_step(&mut self, step: usize, due_at: RunTime, at_least: RunTime) -> bool {
        let total = self.standstill.total();
        let until = (due_at + total.saturating_sub(self.steps.stood_still)).max(at_least);
        let is_moved = step == self.steps.current() && until > due_at;
        if is_moved {
            self.steps.stood_still = total;
            self.steps.deadline = Some(self.agenda.push(until, Due::StepDeadline(step)));
        }
        is_moved
    }

    /// The step's `within` is over.
    pub(super) fn step_deadline(&mut self, of: usize) {
        let (step, now) = (self.steps.current(), self.now());
        if of != step {
            return; // it was done by what was on its way when the time was over
        }
        self.steps.deadline = None;
        let Some(verb) = self.step().map(|step| &step.verb) else { return };
        match (self.steps.state, verb, self.steps.stage) {
            (State::Looking, Verb::Expect(_), Stage::Main) => {
                let why = self.missing();
                self.record(now, What::Step(StepChange { step, state: StepState::ExpectMissed { why } }));
                // The run goes on: what comes now is evidence.
                self.go_on(now);
            }
            (State::Looking | State::When, _, stage) => {
                let why = self.missing();
                self.record(now, What::Step(StepChange { step, state: StepState::WaitMissed { why: why.clone() } }));
                match stage {
                    Stage::Teardown => self.go_on(now),
                    Stage::Setup | Stage::Main => self.abandon(step, &why),
                }
            }
            (State::Acting, ..) => self.step_failed(step, "it was not done within its time".into()),
            (State::Idle | State::Settling | State::Time, ..) => {}
        }
    }

    fn missing(&mut self) -> String {
        let Self { steps, cluster, .. } = self;
        if let (State::Looking, Some(Watches { rest: Some(rest), .. })) =
            (steps.state, steps.watches.get(steps.current()))
        {
            return rest.missing(cluster);
        }
        let Some(watch) = steps.watch() else { return String::new() };
        let missing = watch.missing(cluster);
        let events: Vec<Name> = watch.events().cloned().collect();
        format!("{missing}{}", self.never_said(&events))
    }
}
