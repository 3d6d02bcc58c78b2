//! Single operations that steps call: each by a caller of its own, which does nothing else.

use dsbench_core::operation::Operation;
use dsbench_core::scenario::Call;
use dsbench_core::target::Eligible;

use super::Client;
use crate::driver::Driver;
use crate::driver::verb::Acted;

impl Driver<'_> {
    /// Performs the operation, once for each node that is meant. The step is done when all of them have ended.
    pub(in crate::driver) fn call_step(&mut self, call: &Call, step: usize) -> Result<Acted, String> {
        let unknown = || format!("there is no operation {}.{} (a bug in dsbench)", call.workload, call.op);
        let index = self.workloads.named(&call.workload).ok_or_else(unknown)?;
        let generator = self.workloads.all[index].generator;
        let op = generator.workload().op(&call.op).ok_or_else(unknown)?;
        let aims = match &call.on {
            Some(on) => self.aims(on, Eligible::Up, step)?.into_iter().map(Ok).collect(),
            None => {
                let mut random = self.plan.random_of_step(step);
                vec![generator.aim_of_call(&self.cluster, &mut random)]
            }
        };
        self.workloads.is_calling = true;
        for aim in aims {
            let workload = &mut self.workloads.all[index];
            workload.called += 1;
            let name = Operation::caller(&call.workload, workload.called);
            let (key, value) = generator.called(op, workload.called - 1);
            let process = self.workloads.next_process;
            self.workloads.next_process += 1;
            let caller = Client { name, called_by: Some(step), ..Client::new(process) };
            let client = self.workloads.add_client(index, caller);
            let serial = generator.serial_of_call(self.workloads.all[index].called - 1);
            self.begin_operation(index, client, op, serial, (key, value), aim);
        }
        self.workloads.is_calling = false;
        Ok(if self.step_has_calls(step) { Acted::Pending } else { Acted::Done })
    }

    /// True if an operation that this step has called has not ended.
    pub(super) fn step_has_calls(&self, step: usize) -> bool {
        let is_its = |client: &Client| client.is_busy && client.called_by == Some(step);
        self.workloads.all.iter().any(|workload| workload.clients.iter().any(is_its))
    }
}
