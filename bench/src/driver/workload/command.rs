//! Operations that are commands: one program for each, whose exit code says how it ended, and whose last line is the answer.

use dsbench_core::observation::{Exit, Name};
use dsbench_core::operation::Datum;
use dsbench_core::scenario::Wording;
use dsbench_core::target::Aim;
use dsbench_core::time::RunTime;
use dsbench_world::{ExecId, ExecSpec, Executed};
use serde_json::Value as Json;

use super::End;
use super::answer::is_too_deep;
use super::input::Waiting;
use crate::driver::Driver;
use crate::driver::exec::outcome;

impl Driver<'_> {
    /// Executes the command of an operation. The error says why nothing of it was done.
    pub(super) fn run_operation(&mut self, id: u64, serial: u64, command: &[Wording], aim: &Aim) -> Result<(), String> {
        let Some(open) = self.workloads.open.get(&id) else { return Ok(()) };
        let (index, client, invoked) = (open.workload, open.client, &open.invoked);
        let facts = self.workloads.all[index].facts(client, serial, invoked.key.as_ref(), invoked.value.as_ref());
        let program = self.client_program(command, &facts, aim)?;
        let place = self.setting.machine_of_client(self.workloads.all[index].machine(client));
        let spec = ExecSpec { program, place, ..ExecSpec::default() };
        let exec = self.world.exec(spec).map_err(|error| error.told())?;
        self.workloads.commands.insert(exec, id);
        if let Some(open) = self.workloads.open.get_mut(&id) {
            open.waiting = Waiting::ForExit(exec);
        }
        Ok(())
    }

    /// A command has ended; true if it was an operation's.
    pub(in crate::driver) fn operation_executed(&mut self, exec: ExecId, at: RunTime, result: &Executed) -> bool {
        let Some(id) = self.workloads.commands.remove(&exec) else { return false };
        if let Some(open) = self.workloads.open.get(&id) {
            let end = ended(result, &open.fails);
            self.end_operation(id, end, at);
        }
        true
    }

    /// Nobody waits for the command of an operation any more.
    pub(super) fn give_command_up(&mut self, exec: ExecId) {
        // It stays known until it has ended: a late word of it is nobody else's.
        self.world.kill_exec(exec);
    }

    /// Ends all commands.
    pub(in crate::driver) fn end_all_commands(&mut self) {
        for exec in std::mem::take(&mut self.workloads.commands).into_keys() {
            self.world.kill_exec(exec);
        }
    }
}

/// How an operation ended whose command has.
fn ended(result: &Executed, fails: &[i32]) -> End {
    match &result.ended {
        Ok(Exit::Code(0)) => End::ok(answer(&result.stdout)),
        Ok(Exit::Code(code)) if fails.contains(code) => End::fail(outcome(result)),
        Ok(_) => End::info(outcome(result)),
        // It was not executed at all.
        Err(why) => End::fail(why.clone()),
    }
}

/// The last line that says something: JSON, or a text. None if nothing was said.
fn answer(said: &[u8]) -> Option<Datum> {
    let text = String::from_utf8_lossy(said);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    let json = serde_json::from_str::<Json>(line).ok().filter(|json| !is_too_deep(json));
    Some(json.map_or_else(|| Datum::Text(Name::from(line)), Datum::from))
}

#[cfg(test)]
mod tests {
    use dsbench_core::operation::OperationKind;

    use super::*;

    #[test]
    fn the_last_line_is_the_answer_as_json_or_as_a_text() {
        let told = |said: &str| answer(said.as_bytes()).map(|datum| datum.to_json().to_string());
        assert_eq!(told("noise\n{\"a\": 1}\n\n").as_deref(), Some("{\"a\":1}"));
        assert_eq!(told("41").as_deref(), Some("41"));
        assert_eq!(told("OK\n").as_deref(), Some("\"OK\""));
        assert_eq!(told(&format!("{}1{}", "[".repeat(100), "]".repeat(100))).map(|told| told.len()), Some(203));
        assert_eq!(told(" \n"), None);
    }

    #[test]
    fn only_exit_codes_that_say_so_are_certain_failures() {
        let kind = |ended_with: Result<Exit, String>| {
            let result = Executed { ended: ended_with, stdout: Vec::new(), stderr: Vec::new(), truncated: false };
            ended(&result, &[3]).kind
        };
        assert_eq!(kind(Ok(Exit::Code(0))), OperationKind::Ok);
        assert_eq!(kind(Ok(Exit::Code(3))), OperationKind::Fail);
        assert_eq!(kind(Ok(Exit::Code(1))), OperationKind::Info);
        assert_eq!(kind(Ok(Exit::Signal(9))), OperationKind::Info);
        assert_eq!(kind(Err("not found".into())), OperationKind::Fail);
    }
}
