//! When a workload begins, when its clients have their turns, and when it is over.

use dsbench_core::observation::What;
use dsbench_core::operation::{OperationKind, WorkloadChange, WorkloadState};
use dsbench_core::scenario::{Begin, Pace, WorkloadVerb};
use dsbench_core::time::RunTime;

use super::{Client, LATE, State, Turn, Workload};
use crate::driver::agenda::EntryId;
use crate::driver::verb::Acted;
use crate::driver::{Driver, Due};

impl<'r> Driver<'r> {
    /// The cluster is ready: each begins, now or later.
    pub(in crate::driver) fn workloads_may_begin(&mut self, ready_at: RunTime) {
        for index in 0..self.workloads.all.len() {
            let workload = &self.workloads.all[index];
            if workload.state != State::Waiting {
                continue;
            }
            match workload.generator.workload().begin {
                Begin::At(start) if start.is_zero() => self.begin_workload(index, ready_at),
                Begin::At(start) => {
                    self.record_workload(index, WorkloadState::Waiting);
                    let begins = self.agenda.push(ready_at + start, Due::Workload(Turn::Begins(index)));
                    self.workloads.all[index].begins = Some(begins);
                }
                Begin::ByStep => self.record_workload(index, WorkloadState::Waiting),
            }
        }
    }

    pub(in crate::driver) fn workload_turn(&mut self, turn: Turn, due_at: RunTime) {
        if self.ending.because.is_some() {
            return;
        }
        match turn {
            Turn::Begins(index) => self.begin_workload(index, due_at),
            Turn::Stops(index) => self.stop_workload(index),
            Turn::Next { workload, client } => self.next_operation(workload, client),
            Turn::Deadline(id) => self.operation_is_late(id),
        }
    }

    pub(super) fn record_workload(&mut self, index: usize, state: WorkloadState) {
        let name = self.workloads.all[index].generator.workload().name.clone();
        let now = self.now();
        self.record(now, What::Workload(Box::new(WorkloadChange { name, state })));
    }

    /// A step starts or stops it.
    pub(in crate::driver) fn workload_step(&mut self, verb: WorkloadVerb, name: &str, step: usize) -> Acted {
        let Some(index) = self.workloads.named(name) else { return Acted::Done };
        match (verb, self.workloads.all[index].state) {
            (WorkloadVerb::Start, State::Going) => {}
            (WorkloadVerb::Start, _) => {
                let now = self.now();
                self.begin_workload(index, now);
            }
            (WorkloadVerb::Stop, _) => {
                self.stop_workload(index);
                if self.workloads.all[index].state != State::Over {
                    self.workloads.all[index].stopped_by = Some(step);
                    return Acted::Pending;
                }
            }
        }
        Acted::Done
    }

    /// The last step is done; what only the steps could have started or ended has no other beginning and end.
    pub(in crate::driver) fn workloads_outlive_steps(&mut self) {
        for index in 0..self.workloads.all.len() {
            let Workload { generator, state, .. } = &self.workloads.all[index];
            let is_never_started = *state == State::Waiting && generator.workload().begin == Begin::ByStep;
            if generator.workload().ends_with_steps() || is_never_started {
                self.stop_workload(index);
            }
        }
    }

    fn begin_workload(&mut self, index: usize, at: RunTime) {
        self.record_workload(index, WorkloadState::Begun);
        let workload = &mut self.workloads.all[index];
        workload.state = State::Going;
        workload.since = at;
        workload.begins = None;
        let (clients, asked) = (workload.clients.len(), workload.generator.workload());
        // First on the agenda: an operation of the very moment at which it ends does not begin.
        if let Some(duration) = asked.duration {
            let end = at + duration.saturating_sub(workload.went);
            self.workloads.all[index].stops = Some(self.agenda.push(end, Due::Workload(Turn::Stops(index))));
        }
        for client in 0..clients {
            self.workloads.all[index].clients[client].is_done = false;
            self.await_turn(index, client, None);
        }
        self.look_if_all_is_asked(index);
    }

    /// Sets the time of a client's next operation, if it has one; not before this moment, if there is one.
    pub(super) fn await_turn(&mut self, index: usize, client: usize, not_before: Option<RunTime>) {
        let now = self.now();
        let workload = &mut self.workloads.all[index];
        let one = &mut workload.clients[client];
        // One that waits for its program to be gone goes on when it is.
        if workload.state != State::Going || one.is_busy || one.next.is_some() || one.program.is_ending() {
            return;
        }
        let drawn = (one.called_by.is_none()).then(|| workload.generator.operation(client, one.turn)).flatten();
        let Some(drawn) = drawn else { return one.is_done = true };
        let due = workload.since + drawn.due.saturating_sub(workload.went);
        // What is late has its turn now: a time that has passed would look like lateness of the bench.
        let rests_until = not_before.max(one.program.rests_until());
        let due = due.max(rests_until.unwrap_or(now)).max(now);
        one.next = Some(self.agenda.push(due, Due::Workload(Turn::Next { workload: index, client })));
    }

    /// When no client has another operation, the workload ends with the last that goes on.
    pub(super) fn look_if_all_is_asked(&mut self, index: usize) {
        let workload = &self.workloads.all[index];
        if workload.state == State::Going && workload.clients.iter().all(|client| !client.is_busy && client.is_done) {
            self.stop_workload(index);
        }
    }

    /// No more operations of it begin.
    fn stop_workload(&mut self, index: usize) {
        let now = self.now();
        let workload = &mut self.workloads.all[index];
        let was = workload.state;
        if matches!(was, State::Stopping | State::Over) {
            return;
        }
        workload.state = State::Stopping;
        let of_clients = workload.clients.iter_mut().filter_map(|client| client.next.take());
        let entries: Vec<EntryId> = of_clients.chain(workload.begins.take()).chain(workload.stops.take()).collect();
        if was == State::Going {
            let went = workload.went(now);
            workload.went = went;
            let behind = |(client, one): (usize, &Client)| {
                workload.generator.due_within(client, went.saturating_sub(LATE)).saturating_sub(one.turn)
            };
            let by_itself = |(_, one): &(usize, &Client)| one.called_by.is_none();
            let behind = workload.clients.iter().enumerate().filter(by_itself).map(behind).sum();
            self.record_workload(index, WorkloadState::Stopped { behind });
        }
        entries.into_iter().for_each(|entry| self.agenda.cancel(entry));
        self.look_if_workload_is_over(index);
    }

    pub(super) fn look_if_workload_is_over(&mut self, index: usize) {
        let workload = &self.workloads.all[index];
        if workload.state != State::Stopping || workload.clients.iter().any(|client| client.is_busy) {
            return;
        }
        let has_begun = workload.since != RunTime::START || workload.clients.iter().any(|client| client.turn > 0);
        self.workloads.all[index].state = State::Over;
        self.end_clients(index);
        if has_begun {
            self.record_workload(index, WorkloadState::Over);
        }
        if let Some(step) = self.workloads.all[index].stopped_by.take() {
            self.step_acted(step);
        } else if self.steps.are_done() {
            self.look_at_bounds();
        }
    }

    /// True if a client is to rest before its next operation.
    pub(super) fn rests(&self, index: usize, end: OperationKind) -> bool {
        let pace = &self.workloads.all[index].generator.workload().pace;
        *pace == Pace::AsAnswersCome && end != OperationKind::Ok
    }
}
