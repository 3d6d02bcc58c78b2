//! exec: a command, from the bench or as nodes.

use dsbench_core::observation::{Event, Exit, LogLine, Name, What};
use dsbench_core::scenario::{Exec, Verb};
use dsbench_core::target::Eligible;
use dsbench_core::template::told;
use dsbench_world::Executed;

use super::Acted;
use crate::driver::Driver;
use crate::driver::exec::{AskedBy, last_line, outcome};

impl Driver<'_> {
    pub(super) fn exec_step(&mut self, exec: &Exec, step: usize) -> Result<Acted, String> {
        let Some(on) = &exec.on else {
            let program = self.setting.bench_program(&exec.command);
            let machine = match &exec.as_client {
                Some(client) => self.setting.machine_of_client(client),
                None => self.setting.bench_machine(),
            };
            self.exec(program, machine, AskedBy::Step { step, node: None })?;
            return Ok(Acted::Pending);
        };
        let aims = self.aims(on, Eligible::Everybody, step)?;
        for aim in &aims {
            self.process(&self.addressee(aim)).spec.refuse_lacking(&exec.command)?;
        }
        for aim in aims {
            let process = self.process(&self.addressee(&aim));
            let program = process.spec.program(&exec.command, process.life.max(1));
            let machine = process.spec.machine.clone();
            self.exec(program, machine, AskedBy::Step { step, node: Some(aim.node) })?;
        }
        Ok(Acted::Pending)
    }

    /// A program of an `exec` step has ended.
    pub(crate) fn step_executed(&mut self, step: usize, node: Option<&Name>, result: &Executed) {
        let Some(Verb::Exec(exec)) = self.plan.scenario.step(step).map(|step| &step.verb) else { return };
        if let Some(node) = node {
            self.events_of_helper(node, &result.stdout);
        }
        let on = || node.map(|node| format!(" on {node}")).unwrap_or_default();
        if result.ended != Ok(Exit::Code(exec.exit)) {
            self.step_failed(step, format!("`{}`{}: {}", told(&exec.command), on(), outcome(result)));
        } else if node.is_some() && result.truncated {
            // An event may have been in what is lost.
            let much =
                "it printed more than 64 KiB, and what came first is not known (let it print less, or into a file)";
            self.step_failed(step, format!("`{}`{}: {much}", told(&exec.command), on()));
        } else if !self.step_has_execs(step) {
            self.step_acted(step);
        }
    }

    /// What a helper program said in a node's name counts as said by that node.
    fn events_of_helper(&mut self, node: &Name, said: &[u8]) {
        let key =
            crate::driver::job::ProcessKey { node: node.clone(), process: dsbench_core::observation::MAIN.into() };
        let of = self.process(&key).life();
        let now = self.now();
        for line in said.split(|byte| *byte == b'\n') {
            for found in self.process(&key).spec.matcher().line(line) {
                let text = last_line(line).unwrap_or_default();
                let log = LogLine { text: text.into(), ..LogLine::default() };
                let event = Event { log, ..Event::new(found.event, of.clone(), found.fields) };
                self.record(now, What::Event(event));
            }
        }
    }
}
