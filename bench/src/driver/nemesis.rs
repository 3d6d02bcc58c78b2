//! The nemesis: random faults, each at its time or after the event that it waits for, undone later, and all of them when it stops.
//!
//! What comes when is the schedule's; here it is done. Its faults are actions like those of steps, through the same jobs.

use dsbench_core::cluster::ClusterState;
use dsbench_core::nemesis::{Fault, NotDone, Schedule, Strike};
use dsbench_core::network::Harm;
use dsbench_core::observation::{ActionVerb, NemesisChange, Observation, Origin, PassedOver, What};
use dsbench_core::plan::Plan;
use dsbench_core::scenario::{self, Begin, FaultKind, NemesisVerb};
use dsbench_core::target::Aim;
use dsbench_core::time::RunTime;

use super::agenda::EntryId;
use super::job::{Job, Purpose};
use super::undo::Lasts;
use super::verb::Acted;
use super::{Driver, Due};

/// How far the nemesis has come.
#[derive(Debug)]
pub(super) struct Nemesis<'r> {
    /// None if the scenario has none.
    of: Option<&'r scenario::Nemesis>,
    state: State,
    /// The index of the fault that comes next.
    next: usize,
    /// From when its gap counts.
    since: RunTime,
    /// When all nodes were ready.
    ready_at: RunTime,
    /// How often the event has come at which its faults are aimed.
    aimed: u64,
    /// What lies on the agenda for it: its beginning or its next fault, and its end.
    turn: Option<EntryId>,
    end: Option<EntryId>,
    /// The step that is done when everything is undone.
    stopped_by: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has not begun.
    Waiting,
    /// Its next fault has a time.
    Timed,
    /// Its next fault waits for its event.
    Aimed,
    /// No more faults come; something is not undone yet.
    Healing,
    /// It is stopped, or there is none.
    Over,
}

/// What can be due of the nemesis.
#[derive(Debug, Clone, Copy)]
pub(super) enum Turn {
    /// It begins.
    Begins,
    /// Its next fault comes, or begins to wait for its event.
    Comes,
    /// The event has come, and so has the fault's time; or the event was waited for long enough.
    Strikes,
    /// It stops.
    Stops,
}

impl<'r> Nemesis<'r> {
    pub(super) fn new(plan: &'r Plan) -> Self {
        let of = plan.scenario.nemesis.as_ref();
        let state = if of.is_some() { State::Waiting } else { State::Over };
        let start = RunTime::START;
        Self { of, state, next: 0, since: start, ready_at: start, aimed: 0, turn: None, end: None, stopped_by: None }
    }

    /// True if nothing comes of it any more, and everything is undone.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Nothing comes of it any more, and nothing is undone.
    pub(super) fn close(&mut self) {
        self.state = State::Over;
    }

    /// True if its next fault waits for just this.
    pub(super) fn waits_for(&self, observation: &Observation, cluster: &ClusterState) -> bool {
        let (State::Aimed, What::Event(event)) = (self.state, &observation.what) else { return false };
        self.of.and_then(|of| of.when.as_ref()).is_some_and(|when| when.admits(event, cluster))
    }

    /// True if it does nothing in its time, and so nothing is to be told of it.
    fn is_idle(&self) -> bool {
        self.of.is_some_and(|of| of.is_idle)
    }

    /// True if only the steps can end it.
    fn ends_with_steps(&self) -> bool {
        self.of.is_some_and(|of| of.stop.is_none() && of.duration.is_none())
    }
}

impl<'r> Driver<'r> {
    fn schedule(&self) -> Option<Schedule<'r>> {
        self.plan.schedule()
    }

    /// The cluster is ready: it begins, now or later.
    pub(super) fn nemesis_may_begin(&mut self, ready_at: RunTime) {
        let Some(of) = self.nemesis.of else { return };
        self.nemesis.ready_at = ready_at;
        match of.begin {
            Begin::At(start) if start.is_zero() => self.begin_nemesis(ready_at),
            Begin::At(start) => {
                self.record_nemesis(ready_at, NemesisChange::Waiting);
                self.nemesis.turn = Some(self.agenda.push(ready_at + start, Due::Nemesis(Turn::Begins)));
            }
            Begin::ByStep => self.record_nemesis(ready_at, NemesisChange::Waiting),
        }
    }

    fn record_nemesis(&mut self, at: RunTime, change: NemesisChange) {
        if !self.nemesis.is_idle() {
            self.record(at, What::Nemesis(change));
        }
    }

    /// A step starts or stops it.
    pub(super) fn nemesis_step(&mut self, verb: NemesisVerb, step: usize) -> Acted {
        match (verb, self.nemesis.state) {
            (NemesisVerb::Start, State::Timed | State::Aimed) => {}
            (NemesisVerb::Start, _) => {
                let now = self.now();
                self.begin_nemesis(now);
            }
            (NemesisVerb::Stop, _) => {
                self.stop_nemesis();
                if !self.nemesis.is_over() {
                    self.nemesis.stopped_by = Some(step);
                    return Acted::Pending;
                }
            }
        }
        Acted::Done
    }

    /// The last step is done; what only the steps could have ended has no other end.
    pub(super) fn nemesis_outlives_steps(&mut self) {
        let is_never_started =
            self.nemesis.state == State::Waiting && self.nemesis.of.is_some_and(|of| of.begin == Begin::ByStep);
        if self.nemesis.ends_with_steps() || is_never_started {
            self.stop_nemesis();
        }
    }

    pub(super) fn nemesis_turn(&mut self, turn: Turn, due_at: RunTime) {
        if self.ending.because.is_some() {
            return;
        }
        match turn {
            Turn::Begins => self.begin_nemesis(due_at),
            Turn::Comes if self.nemesis.of.is_some_and(|of| of.when.is_some()) => self.aim(),
            Turn::Comes | Turn::Strikes => self.strike(),
            Turn::Stops => self.stop_nemesis(),
        }
    }

    fn begin_nemesis(&mut self, at: RunTime) {
        let Some(of) = self.nemesis.of else { return };
        let now = self.now();
        self.record_nemesis(now, NemesisChange::Begun);
        let ends = [of.stop.map(|stop| self.nemesis.ready_at + stop), of.duration.map(|duration| at + duration)];
        // First on the agenda: a fault of the very moment at which it ends does not come.
        let end = ends.into_iter().flatten().min();
        self.nemesis.end = end.map(|end| self.agenda.push(end, Due::Nemesis(Turn::Stops)));
        self.nemesis.since = at;
        self.nemesis.state = State::Timed;
        self.next_fault();
    }

    /// Sets the next fault's time.
    fn next_fault(&mut self) {
        let Some(schedule) = self.schedule() else { return };
        let due = self.nemesis.since + schedule.fault(self.nemesis.next).gap;
        self.nemesis.since = due;
        self.nemesis.state = State::Timed;
        self.nemesis.turn = Some(self.agenda.push(due, Due::Nemesis(Turn::Comes)));
    }

    /// The next fault waits for its event.
    fn aim(&mut self) {
        self.nemesis.state = State::Aimed;
        let within = self.nemesis.of.and_then(|of| of.within);
        let now = self.now();
        self.nemesis.turn = within.map(|within| self.agenda.push(now + within, Due::Nemesis(Turn::Strikes)));
    }

    /// The event for which the next fault waits has come.
    pub(super) fn nemesis_has_aim(&mut self, event_at: RunTime) {
        let Some(schedule) = self.schedule() else { return };
        if let Some(waited) = self.nemesis.turn.take() {
            self.agenda.cancel(waited);
        }
        self.nemesis.aimed += 1;
        let due = event_at + schedule.fault(self.nemesis.next).after;
        self.nemesis.state = State::Timed;
        self.nemesis.turn = Some(self.agenda.push(due, Due::Nemesis(Turn::Strikes)));
    }

    /// The time of the next fault has come.
    fn strike(&mut self) {
        let Some(schedule) = self.schedule() else { return };
        let fault = schedule.fault(self.nemesis.next);
        self.nemesis.next += 1;
        // A fault that waited for an event came when that did, not when the schedule alone would have had it.
        if self.nemesis.of.is_some_and(|of| of.when.is_some()) {
            self.nemesis.since = self.now();
        }
        self.next_fault();
        let done = match schedule.strike(&fault, &self.cluster) {
            Ok(Strike::Processes(aims)) => self.harm(&fault, &aims),
            Ok(Strike::Network(harm)) => self.harm_network(&fault, *harm),
            Err(not_done) => Err(not_done),
        };
        if let Err(NotDone { because, why }) = done {
            let now = self.now();
            self.record(now, What::Nemesis(NemesisChange::PassedOver { fault: fault.index, because, why }));
        }
    }

    fn harm(&mut self, fault: &Fault<'_>, aims: &[Aim]) -> Result<(), NotDone> {
        let origin = Origin::Nemesis(fault.index);
        if self.lives_of(aims).is_empty() {
            let why = format!("{} had just ended", aims.iter().map(Aim::to_string).collect::<Vec<_>>().join(", "));
            return Err(NotDone { because: PassedOver::Nobody, why });
        }
        let lasts = self.lasts(fault);
        // Also a restart ends what ran before.
        self.ending.has_faulted = true;
        match fault.kind {
            FaultKind::Act(verb) => {
                let stages = self.inflict(verb, aims, lasts, origin);
                self.run_job(Job::new(Purpose::Asked(origin), stages));
            }
            FaultKind::Signal(signal) => {
                let (number, keys) = self.send_signal(signal, aims, origin);
                self.undo_later(number, origin, lasts, ActionVerb::Start, keys);
            }
            // It does not come this way: it has links, not lives.
            FaultKind::Network(_) => {}
        }
        Ok(())
    }

    fn harm_network(&mut self, fault: &Fault<'_>, harm: Harm) -> Result<(), NotDone> {
        let done = self.break_network(harm, self.lasts(fault), Origin::Nemesis(fault.index));
        done.map(drop).map_err(|why| NotDone { because: PassedOver::Nobody, why })
    }

    fn lasts(&self, fault: &Fault<'_>) -> Lasts {
        let heals = self.nemesis.of.is_some_and(|of| of.heal_last);
        fault.lasts.map_or(if heals { Lasts::UntilHealed } else { Lasts::ForEver }, Lasts::For)
    }

    /// No more faults come, and everything is undone if that is wanted.
    fn stop_nemesis(&mut self) {
        let was = self.nemesis.state;
        if matches!(was, State::Healing | State::Over) {
            return;
        }
        for entry in [self.nemesis.turn.take(), self.nemesis.end.take()].into_iter().flatten() {
            self.agenda.cancel(entry);
        }
        self.nemesis.state = State::Healing;
        let Some(of) = self.nemesis.of else { return };
        if was != State::Waiting && !of.is_idle {
            let never_came = of.when.as_ref().filter(|_| self.nemesis.aimed == 0).map(ToString::to_string);
            let now = self.now();
            self.record(now, What::Nemesis(NemesisChange::Stopped { never_came }));
            if of.heal_last {
                self.undo_all(is_of_nemesis);
                return self.look_if_healed();
            }
        }
        self.nemesis_is_over();
    }

    /// Something of the nemesis is over, or given up: perhaps it was the last.
    pub(super) fn look_if_healed(&mut self) {
        if self.nemesis.state != State::Healing {
            return;
        }
        let is_under_way = |purpose: Purpose| match purpose {
            Purpose::Asked(origin) | Purpose::Undo(origin) => is_of_nemesis(origin),
            Purpose::FirstStart | Purpose::Hand(_) | Purpose::Ending => false,
        };
        if self.jobs.iter().any(|job| is_under_way(job.purpose)) || self.undos.of(is_of_nemesis) {
            return;
        }
        let now = self.now();
        self.record(now, What::Nemesis(NemesisChange::Healed));
        self.nemesis_is_over();
    }

    fn nemesis_is_over(&mut self) {
        self.nemesis.state = State::Over;
        if let Some(step) = self.nemesis.stopped_by.take() {
            self.step_acted(step);
        } else if self.steps.are_done() {
            self.look_at_bounds();
        }
    }
}

fn is_of_nemesis(origin: Origin) -> bool {
    matches!(origin, Origin::Nemesis(_))
}
