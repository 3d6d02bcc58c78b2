//! signal: any signal but those that have verbs of their own, to main programs.

use dsbench_core::observation::{Action, ActionVerb, Origin};
use dsbench_core::scenario::Signal;
use dsbench_core::target::{Aim, Eligible, Target};
use dsbench_world::Scope;

use super::Acted;
use crate::driver::Driver;
use crate::driver::job::ProcessKey;

impl Driver<'_> {
    pub(super) fn signal(&mut self, signal: Signal, to: &Target, step: usize) -> Result<Acted, String> {
        let aims = self.aims(to, Eligible::Up, step)?;
        self.send_signal(signal, &aims, Origin::Step(step));
        Ok(Acted::Done)
    }

    /// Records and sends a signal; gives the observation of it and who got it.
    pub(crate) fn send_signal(&mut self, signal: Signal, aims: &[Aim], origin: Origin) -> (u64, Vec<ProcessKey>) {
        let keys: Vec<_> = aims.iter().flat_map(|aim| self.processes_at(aim)).collect();
        let action = self.action_on(ActionVerb::Signal, &keys, origin);
        let number = self.record_action(Action { with: Some(signal.name.into()), ..action });
        for key in &keys {
            let life = self.process(key).life();
            self.world.signal(&life, signal.number, Scope::Main);
        }
        (number, keys)
    }
}
