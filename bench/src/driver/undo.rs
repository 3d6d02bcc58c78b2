//! `for`: what was done to processes or to the network is undone later - only its own, and only if it is still in force.

use std::time::Duration;

use dsbench_core::observation::{Action, ActionVerb, Origin};

use super::job::{Job, ProcessKey, Purpose};
use super::{Driver, Due};

/// How long what is done to processes lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasts {
    /// Then it is undone.
    For(Duration),
    /// Until everything is undone that the same one has asked for.
    UntilHealed,
    /// It is not undone.
    ForEver,
}

impl From<Option<Duration>> for Lasts {
    /// A step's `for`.
    fn from(undo_after: Option<Duration>) -> Self {
        undo_after.map_or(Self::ForEver, Self::For)
    }
}

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
    /// It lies on the agenda.
    has_time: bool,
}

impl Undos {
    /// True if a `for` is not over yet.
    pub(super) fn are_ahead(&self) -> bool {
        !self.0.is_empty()
    }

    /// True if one of them was asked for by such a one.
    pub(super) fn of(&self, is_meant: fn(Origin) -> bool) -> bool {
        self.0.iter().any(|undo| is_meant(undo.origin))
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
        lasts: Lasts,
        by: ActionVerb,
        keys: Vec<ProcessKey>,
    ) {
        match lasts {
            Lasts::ForEver => return,
            Lasts::UntilHealed => {}
            Lasts::For(after) => {
                let due = self.now() + after;
                self.agenda.push(due, Due::Undo(action));
            }
        }
        self.undos.0.push(Undo { action, origin, by, keys, has_time: lasts != Lasts::UntilHealed });
    }

    /// The `for` of an action is over.
    pub(super) fn undo(&mut self, action: u64) {
        let Some(position) = self.undos.0.iter().position(|undo| undo.action == action) else { return };
        let Undo { action, origin, by, mut keys, .. } = self.undos.0.remove(position);
        if by.is_network() {
            self.undo_on_network(action, by, origin);
            return self.look_if_healed();
        }
        keys.retain(|key| match by {
            // It got a signal, and is to be started only if it ended of that.
            ActionVerb::Start => self.process(key).has_ended_by_itself(),
            _ => self.process(key).last_action == Some(action),
        });
        if keys.is_empty() {
            // Something later has undone or replaced it; perhaps it was the last of the nemesis.
            return self.look_if_healed();
        }
        let undoing = self.action_on(by, &keys, origin);
        self.record_action(Action { undoes: Some(action), ..undoing });
        self.run_job(Job::new(Purpose::Undo(origin), Self::undoing(by, &keys)));
    }
    /// Undoes at once whatever such a one has asked for. But whoever got a signal keeps the time that it has to end of it.
    pub(super) fn undo_all(&mut self, is_meant: fn(Origin) -> bool) {
        let can_be_now = |undo: &&Undo| is_meant(undo.origin) && !(undo.by == ActionVerb::Start && undo.has_time);
        let actions: Vec<u64> = self.undos.0.iter().filter(can_be_now).map(|undo| undo.action).collect();
        actions.into_iter().for_each(|action| self.undo(action));
    }
}
