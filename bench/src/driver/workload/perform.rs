//! One operation: begun at its time, ended once.

use dsbench_core::observation::What;
use dsbench_core::operation::{Operation, OperationKind};
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
        one.is_busy = true;
        let process = one.process;
        let generator = workload.generator;
        let aim = generator.aim(client, turn, &self.cluster);
        let Drawn { serial, op, key, value, .. } = drawn;
        let asked = generator.workload();
        let invoked = Operation {
            id: self.workloads.next_id,
            kind: OperationKind::Invoke,
            workload: asked.name.clone(),
            op: op.name.clone(),
            client: asked.clients[client].clone(),
            process,
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
        let open = Open { workload: index, client, invoked, within, deadline, waiting: Waiting::ForNothing };
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
            Way::Exec { .. } => Err("this version cannot perform it (a bug in dsbench)".to_owned()),
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
        if kind == OperationKind::Info {
            // It may still happen: whatever this process did next would not come after it.
            one.process = self.workloads.next_process;
            self.workloads.next_process += 1;
        }
        // Nothing ends before it has begun, whichever thread saw it first.
        self.record(at, What::Operation(Box::new(ended)));
        let rest = self.rests(index, kind).then(|| self.now() + REST);
        self.await_turn(index, client, rest);
        self.look_if_all_is_asked(index);
        self.look_if_workload_is_over(index);
    }
}
