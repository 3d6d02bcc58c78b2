//! input: lines typed into standard input, one after the other.

use std::collections::VecDeque;
use std::time::Duration;

use dsbench_core::observation::{Action, ActionVerb, Life, Origin};
use dsbench_core::scenario::Input;
use dsbench_core::target::Eligible;
use dsbench_core::template::Template;
use dsbench_world::InputId;

use super::Acted;
use crate::driver::job::ProcessKey;
use crate::driver::{Driver, Due};

/// The lines of the current step that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Typing {
    step: usize,
    to: Vec<ProcessKey>,
    lines: VecDeque<Template>,
    every: Duration,
    /// Handed to the pipe, not taken yet.
    on_their_way: Vec<InputId>,
}

impl Driver<'_> {
    pub(super) fn type_lines(&mut self, input: &Input, step: usize) -> Result<Acted, String> {
        let aims = self.aims(&input.to, Eligible::Up, step)?;
        let to: Vec<_> = aims.iter().map(|aim| self.addressee(aim)).collect();
        for key in &to {
            self.process(key).spec.refuse_lacking(&input.lines)?;
        }
        let lines = input.lines.iter().cloned().collect();
        self.typing = Typing { step, to, lines, every: input.every, on_their_way: Vec::new() };
        self.next_input_line(step);
        Ok(Acted::Pending)
    }

    /// Types the next line to everyone.
    pub(crate) fn next_input_line(&mut self, step: usize) {
        if step != self.typing.step {
            return; // of a step that was cut short
        }
        let Some(line) = self.typing.lines.pop_front() else { return };
        let origin = Origin::Step(self.typing.step);
        for key in self.typing.to.clone() {
            let action = self.action_on(ActionVerb::Input, std::slice::from_ref(&key), origin);
            let process = self.process(&key);
            let life = process.life();
            let mut text = process.spec.expand(&line, process.life);
            self.record_action(Action { with: Some(text.clone()), ..action });
            text.push('\n');
            let id = self.world.input(&life, text.into_bytes());
            self.typing.on_their_way.push(id);
        }
        if !self.typing.lines.is_empty() {
            let due = self.now() + self.typing.every;
            self.agenda.push(due, Due::InputLine(step));
        }
    }

    /// A line was taken by its node, or will not be.
    pub(crate) fn input_written(&mut self, id: InputId, of: &Life, result: Result<(), String>) {
        if self.hand_typed(id, of, &result) {
            return;
        }
        let Some(position) = self.typing.on_their_way.iter().position(|on_its_way| *on_its_way == id) else { return };
        self.typing.on_their_way.remove(position);
        let step = self.typing.step;
        if let Err(why) = result {
            self.typing = Typing::default();
            self.step_failed(step, format!("{}: {why}", of.node));
        } else if self.typing.on_their_way.is_empty() && self.typing.lines.is_empty() {
            self.step_acted(step);
        }
    }
}
