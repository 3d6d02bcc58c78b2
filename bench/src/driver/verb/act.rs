//! start, stop, kill, restart, pause, resume - and what undoes them.

use dsbench_core::observation::{Action, ActionVerb, Origin};
use dsbench_core::scenario::Act;
use dsbench_core::target::Aim;

use super::Acted;
use crate::driver::Driver;
use crate::driver::job::{ProcessKey, Stage, Task};
use crate::driver::process::State;
use crate::driver::undo::Lasts;

impl Driver<'_> {
    pub(super) fn act(&mut self, act: &Act, step: usize) -> Result<Acted, String> {
        let aims = self.aims_in_stages(&act.to, act.eligible(), step)?;
        let (all, origin) = (aims.concat(), Origin::Step(step));
        if act.only_program {
            return Ok(Acted::Job(self.kill_programs(&all, act.undo_after.into(), origin)));
        }
        let stages = self.inflict(act.verb, &all, act.undo_after.into(), origin);
        Ok(Acted::Job(match act.verb {
            // A list starts in its order, each element when the one before is ready; what an element means starts together.
            ActionVerb::Start => {
                let keys =
                    |aims: &Vec<Aim>| aims.iter().flat_map(|aim| self.acted_on(act.verb, aim)).collect::<Vec<_>>();
                aims.iter().map(|aims| stage(&keys(aims), Task::Start)).collect()
            }
            _ => stages,
        }))
    }

    /// Kills the main programs and spares their children.
    fn kill_programs(&mut self, aims: &[Aim], lasts: Lasts, origin: Origin) -> Vec<Stage> {
        let mut keys: Vec<ProcessKey> = aims.iter().flat_map(|aim| self.acted_on(ActionVerb::Kill, aim)).collect();
        // Where only children are left, there is no program to kill.
        keys.retain(|key| matches!(self.process(key).state, State::Starting | State::Up));
        let action = self.action_on(ActionVerb::Kill, &keys, origin);
        let number = self.record_action(Action { with: Some("program".into()), ..action });
        self.overrule(ActionVerb::Kill, &keys, &keys, number);
        if let Some(by) = ActionVerb::Kill.undone_by() {
            self.undo_later(number, origin, lasts, by, keys.clone());
        }
        vec![stage(&keys, Task::KillProgram)]
    }

    /// Records what is done to these, and says by which stages it is done. It is undone after a while if that is wanted and it can be.
    pub(crate) fn inflict(&mut self, verb: ActionVerb, aims: &[Aim], lasts: Lasts, origin: Origin) -> Vec<Stage> {
        let all: Vec<ProcessKey> = aims.iter().flat_map(|aim| self.acted_on(verb, aim)).collect();
        let action = self.action_on(verb, &all, origin);
        let hit: Vec<ProcessKey> = action.hit.iter().map(ProcessKey::of).collect();
        let number = self.record_action(action);
        self.overrule(verb, &all, &hit, number);
        if let Some(by) = verb.undone_by() {
            self.undo_later(number, origin, lasts, by, hit);
        }
        match verb {
            ActionVerb::Start => vec![stage(&all, Task::Start)],
            // A restart of several is one event.
            ActionVerb::Restart => Self::undoing(verb, &all),
            ActionVerb::Stop => vec![stage(&all, Task::Stop)],
            ActionVerb::Kill => vec![stage(&all, Task::Kill)],
            ActionVerb::Pause => vec![stage(&all, Task::Pause)],
            ActionVerb::Resume => vec![stage(&all, Task::Resume)],
            ActionVerb::Signal | ActionVerb::Input => Vec::new(),
            // These are done to links: see `break_network`.
            ActionVerb::Partition | ActionVerb::Heal | ActionVerb::Link | ActionVerb::Unplug | ActionVerb::Plug => {
                Vec::new()
            }
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
            ActionVerb::Start => vec![stage(keys, Task::Start)],
            _ => vec![stage(keys, Task::Kill), stage(keys, Task::Start)],
        }
    }
}

fn stage(keys: &[ProcessKey], task: Task) -> Stage {
    keys.iter().map(|key| (key.clone(), task)).collect()
}
