//! One operation: begun at its time, ended once.

use dsbench_core::observation::{Ending, What};
use dsbench_core::operation::{Datum, Operation, OperationKind};
use dsbench_core::scenario::{Op, Way};
use dsbench_core::target::Aim;
use dsbench_core::time::RunTime;
use dsbench_core::workload::Drawn;

use super::input::Waiting;
use super::{End, Open, REST, State, Turn};
use crate::driver::{Driver, Due};

impl<'r> Driver<'r> {
    /// The time of a client's next operation has come.
    pub(super) fn next_operation(&mut self, index: usize, client: usize) {
        let workload = &mut self.workloads.all[index];
        let one = &mut workload.clients[client];
        one.next = None;
        if workload.state != State::Going {
            return;
        }
        let turn = one.turn;
        let Some(drawn) = workload.generator.operation(client, turn) else { return };
        one.turn += 1;
        let aim = workload.generator.aim(client, turn, &self.cluster);
        let Drawn { serial, op, key, value, .. } = drawn;
        self.begin_operation(index, client, op, serial, (key, value), aim);
    }

    /// A client begins an operation, for this node if there is one.
    pub(super) fn begin_operation(
        &mut self,
        index: usize,
        client: usize,
        op: &'r Op,
        serial: u64,
        (key, value): (Option<Datum>, Option<Datum>),
        aim: Result<Aim, String>,
    ) {
        if self.recorder.is_full() {
            return self.end(Ending::TooMuch);
        }
        let workload = &mut self.workloads.all[index];
        let asked = workload.generator.workload();
        let one = &mut workload.clients[client];
        one.is_busy = true;
        let invoked = Operation {
            id: self.workloads.next_id,
            kind: OperationKind::Invoke,
            workload: asked.name.clone(),
            op: op.name.clone(),
            client: one.name.clone(),
            process: one.process,
            node: aim.as_ref().ok().map(|aim| aim.node.clone()),
            key,
            value,
            why: None,
        };
        self.workloads.next_id += 1;
        let now = self.now();
        self.record(now, What::Operation(Box::new(invoked.clone())));
        let id = invoked.id;
        let within = op.within.unwrap_or(asked.within);
        let deadline = self.agenda.push(now + within, Due::Workload(Turn::Deadline(id)));
        let fails = if let Way::Exec { fails, .. } = &op.way { fails.clone() } else { Vec::new() };
        let waiting = Waiting::ForNothing;
        let open = Open { workload: index, client, invoked, within, deadline, fails, waiting };
        self.workloads.open.insert(id, open);
        let begun = aim.and_then(|aim| self.perform_operation(id, op, serial, &aim));
        if let Err(why) = begun {
            // It was not even tried.
            self.end_operation(id, End::fail(why), now);
        }
    }

    /// Does it. The error says why nothing of it was done.
    fn perform_operation(&mut self, id: u64, op: &'r Op, serial: u64, aim: &Aim) -> Result<(), String> {
        match &op.way {
            Way::Input { line, ack } => self.type_operation(id, serial, line, ack, aim),
            Way::Exec { command, .. } => self.run_operation(id, serial, command, aim),
            Way::Client => {
                let workload = self.workloads.open.get(&id).map_or(0, |open| open.workload);
                let command = self.workloads.all[workload].generator.workload().program.as_deref().unwrap_or_default();
                self.ask_client(id, serial, command, aim)
            }
        }
    }

    /// The time of an operation is over.
    pub(super) fn operation_is_late(&mut self, id: u64) {
        let Some(open) = self.workloads.open.get(&id) else { return };
        let within = humantime::format_duration(open.within);
        let now = self.now();
        let why = format!("{} within {within}", open.waiting.missing());
        match open.waiting {
            Waiting::ForAnswer => {
                let (index, client) = (open.workload, open.client);
                self.give_client_up(index, client, &why, now);
            }
            Waiting::ForExit(exec) => {
                self.give_command_up(exec);
                self.end_operation(id, End::info(why), now);
            }
            _ => self.end_operation(id, End::info(why), now),
        }
    }

    /// An operation ends, once; its client goes on.
    pub(super) fn end_operation(&mut self, id: u64, end: End, at: RunTime) {
        let Some(open) = self.workloads.open.remove(&id) else { return };
        let Open { workload: index, client, invoked, deadline, waiting, .. } = open;
        self.agenda.cancel(deadline);
        self.forget_waiting(id, &waiting);
        let End { kind, value, why } = end;
        let value = value.or_else(|| invoked.value.clone());
        let ended = Operation { kind, value, why: why.map(String::into_boxed_str), ..invoked };
        let one = &mut self.workloads.all[index].clients[client];
        one.is_busy = false;
        let called_by = one.called_by;
        if kind == OperationKind::Info {
            // It may still happen: whatever this process did next would not come after it.
            one.process = self.workloads.next_process;
            self.workloads.next_process += 1;
        }
        // Nothing ends before it has begun, whichever thread saw it first.
        self.record(at, What::Operation(Box::new(ended)));
        if let Some(step) = called_by {
            self.end_client(index, client);
            if !self.workloads.is_calling && !self.step_has_calls(step) {
                self.step_acted(step);
            }
        }
        let rest = self.rests(index, kind).then(|| self.now() + REST);
        self.await_turn(index, client, rest);
        self.look_if_all_is_asked(index);
        self.look_if_workload_is_over(index);
    }
}
