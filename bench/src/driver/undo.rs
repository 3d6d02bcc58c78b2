//! `for`: what was done to processes is undone later - only its own, and only if it is still in force.

use std::time::Duration;

use dsbench_core::observation::{Action, ActionVerb, Origin};

use super::job::{Job, ProcessKey, Purpose};
use super::{Driver, Due};

/// Actions that are to be undone, in the order in which they were done.
#[derive(Debug, Default)]
pub(super) struct Undos(Vec<Undo>);

#[derive(Debug)]
struct Undo {
    /// The observation of the action.
    action: u64,
    origin: Origin,
    by: ActionVerb,
    keys: Vec<ProcessKey>,
}

impl Undos {
    /// True if a `for` is not over yet.
    pub(super) fn are_ahead(&self) -> bool {
        !self.0.is_empty()
    }

    /// Nothing is undone any more.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Driver<'_> {
    /// Remembers what is to be undone, by what, and when.
    pub(super) fn undo_later(
        &mut self,
        action: u64,
        origin: Origin,
        after: Duration,
        by: ActionVerb,
        keys: Vec<ProcessKey>,
    ) {
        let due = self.now() + after;
        self.undos.0.push(Undo { action, origin, by, keys });
        self.agenda.push(due, Due::Undo(action));
    }

    /// The `for` of an action is over.
    pub(super) fn undo(&mut self, action: u64) {
        let Some(position) = self.undos.0.iter().position(|undo| undo.action == action) else { return };
        let Undo { action, origin, by, mut keys } = self.undos.0.remove(position);
        keys.retain(|key| self.process(key).last_action == Some(action));
        if keys.is_empty() {
            return; // something later has undone or replaced it
        }
        let undoing = self.action_on(by, &keys, origin);
        self.record_action(Action { undoes: Some(action), ..undoing });
        self.run_job(Job::new(Purpose::Undo(origin), Self::undoing(by, &keys)));
    }
}
