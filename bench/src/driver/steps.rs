//! The steps: one after the other, each at its time, each done before the next begins.

use std::time::Duration;

use dsbench_core::cluster::ClusterState;
use dsbench_core::observation::{Ending, Observation, Origin, Phase, StepChange, StepState, What};
use dsbench_core::plan::Plan;
use dsbench_core::scenario::{Step, Verb};
use dsbench_core::time::RunTime;
use dsbench_core::watch::Watch;

use super::agenda::EntryId;
use super::job::{Job, Purpose};
use super::verb::Acted;
use super::{Driver, Due};

/// How far the steps have come.
#[derive(Debug)]
pub(super) struct Steps {
    current: usize,
    state: State,
    /// Follows what each step looks at, from the beginning of the history.
    watches: Vec<Watches>,
    /// When all nodes were ready.
    ready_at: RunTime,
    /// When the step before was done.
    previous_done: RunTime,
    deadline: Option<EntryId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The nodes are not ready yet, or all steps are done, or the run has ended.
    Idle,
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
}

impl Steps {
    pub(super) fn new(plan: &Plan) -> Self {
        let watches = |step: &Step| Watches {
            when: step.timing.when.as_ref().map(|(condition, _)| Watch::new(condition)),
            condition: match &step.verb {
                Verb::Wait(look) | Verb::Expect(look) => Some(Watch::new(&look.condition)),
                _ => None,
            },
        };
        let steps = &plan.scenario.steps;
        Self {
            current: 0,
            state: State::Idle,
            watches: steps.iter().map(watches).collect(),
            ready_at: RunTime::START,
            previous_done: RunTime::START,
            deadline: None,
        }
    }

    /// Lets every step that is still to come see an observation: what it looks for may lie before it.
    pub(super) fn observe(&mut self, observation: &Observation, cluster: &ClusterState) {
        for watches in self.watches.iter_mut().skip(self.current) {
            for watch in [&mut watches.when, &mut watches.condition].into_iter().flatten() {
                watch.observe(observation, cluster);
            }
        }
    }

    /// No step begins any more.
    pub(super) fn close(&mut self) {
        self.state = State::Idle;
    }

    /// True if every step is done.
    pub(super) fn are_done(&self) -> bool {
        self.current >= self.watches.len()
    }

    pub(super) fn current(&self) -> usize {
        self.current
    }

    /// What the current step looks at right now.
    pub(super) fn watch(&mut self) -> Option<&mut Watch> {
        let watches = self.watches.get_mut(self.current)?;
        match self.state {
            State::When => watches.when.as_mut(),
            State::Looking => watches.condition.as_mut(),
            State::Idle | State::Time | State::Acting => None,
        }
    }
}

impl<'r> Driver<'r> {
    fn step(&self) -> Option<&'r Step> {
        self.plan.scenario.steps.get(self.steps.current)
    }

    /// The nodes that start by themselves are ready: the first step's turn.
    pub(super) fn nodes_are_ready(&mut self, at: RunTime) {
        self.steps.ready_at = at;
        self.steps.previous_done = at;
        self.nemesis_may_begin(at);
        self.begin_step();
    }

    fn begin_step(&mut self) {
        let Some(step) = self.step() else { return self.steps_are_done() };
        match &step.timing.when {
            Some((_, within)) => {
                self.steps.state = State::When;
                self.set_deadline(*within);
                self.ask_all_probes();
            }
            None => self.wait_for_time(self.steps.previous_done),
        }
    }

    fn steps_are_done(&mut self) {
        self.steps.state = State::Idle;
        let now = self.now();
        self.record(now, What::Run(Phase::StepsDone));
        self.nemesis_outlives_steps();
        self.look_at_bounds();
    }

    /// Sets the step's time: `at` since the nodes were ready, `after` since `from`, whichever is later.
    fn wait_for_time(&mut self, from: RunTime) {
        let index = self.steps.current;
        let at = self.step().and_then(|step| step.timing.at).map_or(RunTime::START, |at| self.steps.ready_at + at);
        let after = from + self.plan.delays.get(index).copied().flatten().unwrap_or_default();
        self.steps.state = State::Time;
        self.agenda.push(at.max(after), Due::StepTime);
    }

    fn set_deadline(&mut self, within: Duration) {
        let due = self.now() + within;
        self.steps.deadline = Some(self.agenda.push(due, Due::StepDeadline(self.steps.current)));
    }

    /// The step's time has come.
    pub(super) fn step_time(&mut self) {
        let Some(step) = self.step() else { return };
        if self.steps.state != State::Time {
            return; // the run has ended in between
        }
        let now = self.now();
        let index = self.steps.current;
        self.record(now, What::Step(StepChange { step: index, state: StepState::Begun }));
        match &step.verb {
            Verb::Wait(look) | Verb::Expect(look) => self.set_deadline(look.within),
            Verb::Exec(exec) => self.set_deadline(exec.within),
            _ => {}
        }
        self.steps.state = State::Acting;
        match self.perform_verb(&step.verb, index) {
            Ok(Acted::Done) => self.step_is_over(),
            Ok(Acted::Job(stages)) => self.run_job(Job::new(Purpose::Asked(Origin::Step(index)), stages)),
            Ok(Acted::Looking) => {
                self.steps.state = State::Looking;
                self.ask_all_probes();
            }
            Ok(Acted::Pending) => {}
            Err(why) => self.step_failed(index, why),
        }
    }

    /// The step's job is over.
    pub(super) fn step_acted(&mut self, step: usize) {
        if step == self.steps.current && self.steps.state == State::Acting {
            self.step_is_over();
        }
    }

    /// The step is done, and the next one's turn comes.
    pub(super) fn step_is_over(&mut self) {
        let now = self.now();
        let step = self.steps.current;
        self.end_deadline();
        self.record(now, What::Step(StepChange { step, state: StepState::Done }));
        self.go_on(now);
    }

    fn go_on(&mut self, now: RunTime) {
        self.steps.previous_done = now;
        self.kill_questions(self.steps.current);
        self.steps.current += 1;
        self.begin_step();
    }

    fn end_deadline(&mut self) {
        if let Some(deadline) = self.steps.deadline.take() {
            self.agenda.cancel(deadline);
        }
    }

    /// A step could not act: the run cannot go on as it was meant.
    pub(super) fn step_failed(&mut self, step: usize, why: String) {
        let now = self.now();
        self.end_deadline();
        self.record(now, What::Step(StepChange { step, state: StepState::Failed { why } }));
        self.end(Ending::Abandoned);
    }

    /// Goes on where a condition has come to hold.
    pub(super) fn advance_steps(&mut self) {
        loop {
            let state = self.steps.state;
            let is_met = self.steps.watches.get(self.steps.current).is_some_and(|watches| match state {
                State::When => watches.when.as_ref().is_some_and(|watch| watch.is_met(&self.cluster)),
                State::Looking => watches.condition.as_ref().is_some_and(|watch| watch.is_met(&self.cluster)),
                State::Idle | State::Time | State::Acting => false,
            });
            match (is_met, state) {
                (true, State::When) => {
                    self.end_deadline();
                    let now = self.now();
                    self.wait_for_time(now);
                }
                (true, State::Looking) => self.step_is_over(),
                _ => return,
            }
        }
    }

    /// Moves the step's `within`.
    pub(super) fn prolong_step(&mut self, until: RunTime) -> bool {
        self.steps.deadline = Some(self.agenda.push(until, Due::StepDeadline(self.steps.current)));
        true
    }

    /// The step's `within` is over.
    pub(super) fn step_deadline(&mut self, of: usize) {
        let (step, now) = (self.steps.current, self.now());
        if of != step {
            return; // it was done by what was on its way when the time was over
        }
        self.steps.deadline = None;
        let Some(verb) = self.step().map(|step| &step.verb) else { return };
        match (self.steps.state, verb) {
            (State::Looking, Verb::Expect(_)) => {
                let why = self.missing();
                self.record(now, What::Step(StepChange { step, state: StepState::ExpectMissed { why } }));
                // The run goes on: what comes now is evidence.
                self.go_on(now);
            }
            (State::Looking | State::When, _) => {
                let why = self.missing();
                self.record(now, What::Step(StepChange { step, state: StepState::WaitMissed { why } }));
                self.end(Ending::Abandoned);
            }
            (State::Acting, _) => self.step_failed(step, "it was not done within its time".into()),
            (State::Idle | State::Time, _) => {}
        }
    }

    fn missing(&mut self) -> String {
        let Self { steps, cluster, .. } = self;
        steps.watch().map(|watch| watch.missing(cluster)).unwrap_or_default()
    }
}
