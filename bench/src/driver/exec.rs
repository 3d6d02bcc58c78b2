//! Helper programs of steps and conditions: run beside the nodes, cleaned up like them.

use std::collections::BTreeMap;

use dsbench_core::observation::{Exit, Name};
use dsbench_world::{ExecId, Executed, Place, Program};

use super::Driver;
use crate::report::tell::exit_text;

/// Who asked for a program.
#[derive(Debug, Clone)]
pub(super) enum AskedBy {
    /// An `exec` step, by index; in the name of a node or of nobody.
    Step { step: usize, node: Option<Name> },
    /// A question of a step's condition, both by index.
    Condition { step: usize, question: usize },
}

/// The helper programs that run.
#[derive(Debug, Default)]
pub(super) struct Execs {
    running: BTreeMap<ExecId, AskedBy>,
}

impl Driver<'_> {
    /// Starts a helper program, in the laboratory at this place; the error is for people.
    pub(super) fn exec(&mut self, program: Program, place: Option<Place>, asked_by: AskedBy) -> Result<(), String> {
        let spec = dsbench_world::ExecSpec { program, place, ..Default::default() };
        let id = self.world.exec(spec).map_err(|error| error.to_string())?;
        self.execs.running.insert(id, asked_by);
        Ok(())
    }

    /// A helper program has ended; true if it was one of these.
    pub(super) fn executed(&mut self, id: ExecId, result: &Executed) -> bool {
        match self.execs.running.remove(&id) {
            Some(AskedBy::Step { step, node }) => self.step_executed(step, node.as_ref(), result),
            Some(AskedBy::Condition { step, question }) => self.condition_executed(step, question, result),
            None => return false,
        }
        true
    }

    /// True if a program of this step still runs.
    pub(super) fn step_has_execs(&self, step: usize) -> bool {
        self.execs.running.values().any(|asked_by| matches!(asked_by, AskedBy::Step { step: of, .. } if *of == step))
    }

    /// Ends the programs of a step's conditions: nobody waits for their answers any more.
    pub(super) fn kill_questions(&mut self, of: usize) {
        for (id, asked_by) in &self.execs.running {
            if matches!(asked_by, AskedBy::Condition { step, .. } if *step == of) {
                self.world.kill_exec(*id);
            }
        }
    }

    /// Ends the programs of a step: nobody waits for them any more.
    pub(super) fn kill_execs_of(&mut self, of: usize) {
        let is_its = |asked_by: &AskedBy| match asked_by {
            AskedBy::Step { step, .. } | AskedBy::Condition { step, .. } => *step == of,
        };
        let world = &mut self.world;
        self.execs.running.retain(|id, asked_by| {
            let is_its = is_its(asked_by);
            if is_its {
                world.kill_exec(*id);
            }
            !is_its
        });
    }

    /// Ends all of them.
    pub(super) fn kill_execs(&mut self) {
        for id in std::mem::take(&mut self.execs.running).into_keys() {
            self.world.kill_exec(id);
        }
    }
}

/// How a helper program ended and the last thing it said, for people.
pub(crate) fn outcome(result: &Executed) -> String {
    let ended = match &result.ended {
        Ok(exit @ Exit::Code(_)) => format!("it ended with {}", exit_text(*exit)),
        Ok(exit @ Exit::Signal(_)) => format!("it was ended by {}", exit_text(*exit)),
        Err(why) => why.clone(),
    };
    let said = [&result.stderr, &result.stdout].into_iter().find_map(|said| last_line(said));
    said.map_or(ended.clone(), |said| format!("{ended}: {said}"))
}

/// The last line that says something, safe to print.
pub(super) fn last_line(said: &[u8]) -> Option<String> {
    last_lines(said, 1).pop()
}

/// The last lines that say something, safe to print.
pub(super) fn last_lines(said: &[u8], most: usize) -> Vec<String> {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(most)..].iter().map(|line| printable(line)).collect()
}

/// Cut to what a person reads, control characters escaped.
fn printable(line: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().collect() } else { c.to_string() };
    line.chars().take(200).map(escaped).collect()
}

/// A command as a person would type it.
pub(crate) fn command_line(program: &Program) -> String {
    let quoted = |arg: &std::ffi::OsString| {
        let arg = arg.to_string_lossy();
        let is_plain = !arg.is_empty() && arg.chars().all(|c| c.is_alphanumeric() || "-_./:=,@%+".contains(c));
        if is_plain { arg.into_owned() } else { format!("'{}'", arg.escape_debug().to_string().replace('\'', "'\\''")) }
    };
    program.argv.iter().map(quoted).collect::<Vec<_>>().join(" ")
}
