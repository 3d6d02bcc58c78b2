//! What comes before a first start: the commands that prepare a node or a process of it, one after the other, in the node's log.

use std::collections::{BTreeMap, BTreeSet};

use dsbench_core::observation::{Change, Exit, Life, MAIN, Name};
use dsbench_core::scenario::PREPARE;
use dsbench_world::Happening;

use super::agenda::EntryId;
use super::ending::Blame;
use super::exec::command_line;
use super::job::ProcessKey;
use super::process::ended_with;
use super::{Driver, Due};

/// Who has been prepared, and who is being prepared.
#[derive(Debug, Default)]
pub(super) struct Preparations {
    done: BTreeSet<ProcessKey>,
    /// By the name under which the commands stand in the log.
    running: BTreeMap<ProcessKey, Preparation>,
    /// How many commands have been started under each of these names.
    lives: BTreeMap<ProcessKey, u32>,
}

/// A command that prepares.
#[derive(Debug)]
struct Preparation {
    /// The process that it comes before.
    of: ProcessKey,
    /// Which of its commands.
    index: usize,
    life: Life,
    deadline: EntryId,
    /// How it has ended; what it has left is still being killed.
    ended: Option<Result<Exit, String>>,
    /// Nobody waits for it any more.
    is_given_up: bool,
}

/// The name under which the preparation of a process stands in its node's log.
fn log_key(of: &ProcessKey) -> ProcessKey {
    let process: Name = match &*of.process {
        MAIN => PREPARE.into(),
        process => format!("{process}.{PREPARE}").into(),
    };
    ProcessKey { node: of.node.clone(), process }
}

impl Driver<'_> {
    /// True if this still has to be prepared; that begins, if it has not begun.
    pub(super) fn has_to_be_prepared(&mut self, of: &ProcessKey) -> bool {
        if self.process(of).spec.prepare().is_none() || self.preparations.done.contains(of) {
            return false;
        }
        // What was given up may still be dying; it is begun again when it is gone.
        if !self.preparations.running.contains_key(&log_key(of)) {
            self.prepare(of, 0);
        }
        true
    }

    fn prepare(&mut self, of: &ProcessKey, index: usize) {
        let key = log_key(of);
        let number = self.preparations.lives.entry(key.clone()).or_default();
        *number += 1;
        let life = Life { node: key.node.clone(), process: key.process.clone(), life: *number };
        let spec = &self.process(of).spec;
        let Some(prepare) = spec.prepare() else { return };
        let spawn = spec.spawn_to_prepare(&prepare.commands[index]);
        let due = self.now() + prepare.within;
        let deadline = self.agenda.push(due, Due::PrepareDeadline(life.clone()));
        let preparation =
            Preparation { of: of.clone(), index, life: life.clone(), deadline, ended: None, is_given_up: false };
        self.preparations.running.insert(key.clone(), preparation);
        if let Err(error) = self.world.spawn(life, spawn) {
            self.preparation_failed(&key, error.told());
        }
    }

    /// What the world says about a command that prepares.
    pub(super) fn preparation_changed(&mut self, of: &Life, what: Happening) {
        let key = ProcessKey::of(of);
        let Some(preparation) = self.preparations.running.get_mut(&key).filter(|running| running.life == *of) else {
            return;
        };
        match what {
            Happening::NotStarted { why, .. } => self.preparation_failed(&key, why),
            Happening::Exited { exit, .. } => {
                preparation.ended.get_or_insert(Ok(exit));
                // A daemon that it has left would be nobody's.
                self.world.kill(of);
            }
            Happening::Empty { .. } => self.preparation_is_over(&key),
            _ => {}
        }
    }

    fn preparation_is_over(&mut self, key: &ProcessKey) {
        let Some(preparation) = self.preparations.running.remove(key) else { return };
        self.agenda.cancel(preparation.deadline);
        let Preparation { of, index, life, ended, is_given_up, .. } = preparation;
        let commands = self.process(&of).spec.prepare().map_or(0, |prepare| prepare.commands.len());
        match ended {
            _ if is_given_up => self.release(&of.node),
            Some(Ok(Exit::Code(0))) if index + 1 < commands => self.prepare(&of, index + 1),
            Some(Ok(Exit::Code(0))) => {
                self.preparations.done.insert(of.clone());
                self.release(&of.node);
            }
            ended => {
                let (how, exit) = match ended {
                    Some(Ok(exit)) => (ended_with(exit), Some(exit)),
                    Some(Err(why)) => (why, None),
                    None => ("was killed".to_owned(), None),
                };
                let words = self.last_words(&life, exit);
                self.not_prepared(&of, index, &format!("{how}{words}"));
            }
        }
    }

    /// It could not even be started.
    fn preparation_failed(&mut self, key: &ProcessKey, why: String) {
        let Some(preparation) = self.preparations.running.remove(key) else { return };
        self.agenda.cancel(preparation.deadline);
        let Preparation { of, index, is_given_up, .. } = preparation;
        if !is_given_up {
            self.not_prepared(&of, index, &format!("could not be started: {why}"));
        }
    }

    /// Its time is over.
    pub(super) fn prepare_deadline(&mut self, of: &Life) {
        let key = ProcessKey::of(of);
        let Some(running) = self.preparations.running.get_mut(&key).filter(|running| running.life == *of) else {
            return;
        };
        let within = self.processes.get(&running.of).and_then(|process| process.spec.prepare()).map(|it| it.within);
        let within = within.unwrap_or_default();
        running.ended.get_or_insert(Err(format!("did not end within {}", humantime::format_duration(within))));
        self.world.kill(of);
    }

    /// Nothing that waits for it can start: the environment is not what the scenario needs, whenever that turns out.
    fn not_prepared(&mut self, of: &ProcessKey, index: usize, how: &str) {
        let spec = &self.process(of).spec;
        let Some(prepare) = spec.prepare() else { return };
        let command = command_line(&spec.program(&prepare.commands[index], 1));
        let why = format!("`{command}` (prepare {} of {}) {how}", index + 1, prepare.commands.len());
        let waits = |key: &&ProcessKey| key.node == of.node && (&*of.process == MAIN || *key == of);
        let waiting: Vec<ProcessKey> = self.held.iter().filter(waits).cloned().collect();
        for key in waiting {
            // The first of them may have ended the run.
            if !self.held.remove(&key) {
                continue;
            }
            let (at, life) = (self.now(), self.process(&key).life());
            self.record_change(&Life { life: life.life + 1, ..life }, Change::NotStarted { why: why.clone() }, at);
            self.start_failed(&key, &why, Blame::Environment);
        }
    }

    /// Ends the commands of a node for which nobody waits any more.
    pub(super) fn give_up_preparing(&mut self, node: Option<&Name>) {
        let held = &self.held;
        let is_wanted =
            |of: &ProcessKey| held.iter().any(|key| key.node == of.node && (&*of.process == MAIN || key == of));
        for running in self.preparations.running.values_mut() {
            if node.is_none_or(|node| *node == running.of.node) && !is_wanted(&running.of) {
                running.is_given_up = true;
                self.world.kill(&running.life);
            }
        }
    }

    /// True if this life is that of a command that prepares.
    pub(super) fn prepares(&self, life: &Life) -> bool {
        self.preparations.lives.contains_key(&ProcessKey::of(life))
    }
}
