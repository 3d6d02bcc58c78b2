//! `exec` checks: when the nodes are gone, each program reads the history and answers; the answer becomes an observation.

use dsbench_core::observation::{Answer, Exit, What};
use dsbench_world::{ExecInput, ExecSpec, Executed, Happening, Outside, Program};

use super::{Driver, exec};

/// How much of what a check says is kept.
const SAID_LINES: usize = 5;

/// Why a program has not answered.
struct Unanswered {
    why: String,
    /// The signal to dsbench that ended the asking, if it was one.
    signal: Option<i32>,
}

impl Unanswered {
    fn because(why: impl Into<String>) -> Self {
        Self { why: why.into(), signal: None }
    }
}

impl Driver<'_> {
    /// Asks every program, one after the other. A signal to dsbench ends the asking, and is given back.
    pub(super) fn ask_check_programs(&mut self) -> Option<i32> {
        let mut interrupted = self.ending.cut_by;
        for check in self.plan.scenario.invariants.iter().filter_map(|invariant| invariant.check.program()) {
            self.recorder.flush();
            let program = Program {
                argv: check.command.iter().map(Into::into).collect(),
                env: std::env::vars_os().collect(),
                cwd: self.setting.addresses.scenario_dir.clone().into(),
            };
            let spec = ExecSpec { program, stdin: ExecInput::File(self.store.history_path()), ..ExecSpec::default() };
            let asked = match (interrupted, self.recorder.is_whole()) {
                (Some(_), _) => Err(Unanswered::because("not asked: interrupted")),
                (None, false) => Err(Unanswered::because("not asked: the history could not be written to the disk")),
                (None, true) => self.wait_for(spec, check.timeout),
            };
            let answer = match asked {
                Ok(executed) => answer(&check.command, &executed),
                Err(unanswered) => {
                    interrupted = interrupted.or(unanswered.signal);
                    Answer { command: check.command.clone(), exit: None, said: unanswered.why }
                }
            };
            let now = self.now();
            self.record(now, What::Answer(answer));
        }
        self.recorder.flush();
        interrupted
    }

    fn wait_for(&mut self, spec: ExecSpec, timeout: std::time::Duration) -> Result<Executed, Unanswered> {
        let asked = self.world.exec(spec).map_err(|error| Unanswered::because(error.to_string()))?;
        let deadline = self.now() + timeout;
        while let Some(outside) = self.world.next(deadline) {
            match outside.what {
                Happening::Executed { id, result } if id == asked => return Ok(result),
                Happening::Signal(signal) => {
                    self.world.kill_exec(asked);
                    return Err(Unanswered { signal: Some(signal), why: "interrupted".into() });
                }
                Happening::Broken { why } => {
                    self.ending.is_broken = true;
                    return Err(Unanswered::because(why));
                }
                // The nodes may still be up, if the cluster may be kept.
                what => self.take_in(Outside { at: outside.at, what }),
            }
        }
        self.world.kill_exec(asked);
        Err(Unanswered::because(format!("it did not end within {}", humantime::format_duration(timeout))))
    }
}

fn answer(command: &[String], executed: &Executed) -> Answer {
    let command = command.to_vec();
    match &executed.ended {
        Ok(exit) => {
            let mut lines = exec::last_lines(&executed.stdout, SAID_LINES);
            // What went wrong stands in standard error; what was found, in standard output.
            if lines.is_empty() || !matches!(exit, Exit::Code(0 | 1 | 3)) {
                lines.extend(exec::last_lines(&executed.stderr, SAID_LINES));
            }
            Answer { command, exit: Some(*exit), said: lines.join("\n") }
        }
        Err(why) => Answer { command, exit: None, said: why.clone() },
    }
}
