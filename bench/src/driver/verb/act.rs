//! start, stop, kill, restart, pause, resume - and what undoes them.

use dsbench_core::observation::ActionVerb;
use dsbench_core::scenario::Act;
use dsbench_core::target::Aim;

use super::Acted;
use crate::driver::Driver;
use crate::driver::job::{ProcessKey, Stage, Task};

impl Driver<'_> {
    pub(super) fn act(&mut self, act: &Act, step: usize) -> Result<Acted, String> {
        let aims = self.aims(&act.to, act.eligible(), step)?;
        let by_aim: Vec<Vec<ProcessKey>> = aims.iter().map(|aim| self.acted_on(act.verb, aim)).collect();
        let all: Vec<ProcessKey> = by_aim.concat();
        let number = self.record_action(self.action_on(act.verb, &all, step));
        let stages = match act.verb {
            // A list starts in its order, each when the one before is ready; a restart of several is one event.
            ActionVerb::Start => by_aim.iter().map(|keys| stage(keys, Task::Start)).collect(),
            ActionVerb::Restart => Self::undoing(act.verb, &all),
            ActionVerb::Stop => vec![stage(&all, Task::Stop)],
            ActionVerb::Kill => vec![stage(&all, Task::Kill)],
            ActionVerb::Pause => vec![stage(&all, Task::Pause)],
            ActionVerb::Resume => vec![stage(&all, Task::Resume)],
            ActionVerb::Signal | ActionVerb::Input => Vec::new(),
        };
        if let (Some(after), Some(by)) = (act.undo_after, act.undone_by()) {
            self.undo_later(step, after, by, all, number);
        }
        Ok(Acted::Job(stages))
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
