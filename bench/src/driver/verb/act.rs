//! start, stop, kill, restart, pause, resume - and what undoes them.

use std::time::Duration;

use dsbench_core::observation::{ActionVerb, Origin};
use dsbench_core::scenario::Act;
use dsbench_core::target::Aim;

use super::Acted;
use crate::driver::Driver;
use crate::driver::job::{ProcessKey, Stage, Task};
use crate::driver::process::State;

impl Driver<'_> {
    pub(super) fn act(&mut self, act: &Act, step: usize) -> Result<Acted, String> {
        let aims = self.aims(&act.to, act.eligible(), step)?;
        Ok(Acted::Job(self.inflict(act.verb, &aims, act.undo_after, Origin::Step(step))))
    }

    /// Records what is done to these, and says by which stages it is done. It is undone after a while if that is wanted and it can be.
    pub(crate) fn inflict(
        &mut self,
        verb: ActionVerb,
        aims: &[Aim],
        undo_after: Option<Duration>,
        origin: Origin,
    ) -> Vec<Stage> {
        let by_aim: Vec<Vec<ProcessKey>> = aims.iter().map(|aim| self.acted_on(verb, aim)).collect();
        let all: Vec<ProcessKey> = by_aim.concat();
        let action = self.action_on(verb, &all, origin);
        let hit: Vec<ProcessKey> = action.hit.iter().map(ProcessKey::of).collect();
        let number = self.record_action(action);
        self.overrule(verb, &all, &hit, number);
        if let (Some(after), Some(by)) = (undo_after, verb.undone_by()) {
            self.undo_later(number, origin, after, by, hit);
        }
        match verb {
            // A list starts in its order, each when the one before is ready; a restart of several is one event.
            ActionVerb::Start => by_aim.iter().map(|keys| stage(keys, Task::Start)).collect(),
            ActionVerb::Restart => Self::undoing(verb, &all),
            ActionVerb::Stop => vec![stage(&all, Task::Stop)],
            ActionVerb::Kill => vec![stage(&all, Task::Kill)],
            ActionVerb::Pause => vec![stage(&all, Task::Pause)],
            ActionVerb::Resume => vec![stage(&all, Task::Resume)],
            ActionVerb::Signal | ActionVerb::Input => Vec::new(),
        }
    }

    /// From now on this action is what is in force: a `for` of an earlier one has nothing to undo any more, and a start that is on its
    /// way (another `for`'s) is not waited for where this ends the process.
    fn overrule(&mut self, verb: ActionVerb, all: &[ProcessKey], hit: &[ProcessKey], number: u64) {
        for key in all {
            let changes_it = match verb {
                ActionVerb::Start => matches!(self.process(key).state, State::Down | State::Ended),
                ActionVerb::Restart => true,
                _ => hit.contains(key),
            };
            if changes_it {
                self.process_mut(key).last_action = Some(number);
            }
            if matches!(verb, ActionVerb::Stop | ActionVerb::Kill) {
                self.jobs.iter_mut().for_each(|job| job.withdraw(key, Task::Start));
            }
        }
    }

    /// The processes of an aim. A node that starts brings what starts with it, and what had been started before.
    fn acted_on(&self, verb: ActionVerb, aim: &Aim) -> Vec<ProcessKey> {
        let mut keys = self.processes_at(aim);
        if aim.process.is_none() && matches!(verb, ActionVerb::Start | ActionVerb::Restart) {
            keys.retain(|key| self.process(key).spec.starts_with_node() || self.process(key).life > 0);
        }
        keys
    }

    /// The stages by which an action is undone.
    pub(crate) fn undoing(by: ActionVerb, keys: &[ProcessKey]) -> Vec<Stage> {
        match by {
            ActionVerb::Resume => vec![stage(keys, Task::Resume)],
            _ => vec![stage(keys, Task::Kill), stage(keys, Task::Start)],
        }
    }
}

fn stage(keys: &[ProcessKey], task: Task) -> Stage {
    keys.iter().map(|key| (key.clone(), task)).collect()
}
