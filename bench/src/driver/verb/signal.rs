//! signal: any signal but those that have verbs of their own, to main programs.

use dsbench_core::observation::{Action, ActionVerb, Origin};
use dsbench_core::scenario::Signal;
use dsbench_core::target::{Aim, Eligible, Target};
use dsbench_world::Scope;

use super::Acted;
use crate::driver::Driver;

impl Driver<'_> {
    pub(super) fn signal(&mut self, signal: Signal, to: &Target, step: usize) -> Result<Acted, String> {
        let aims = self.aims(to, Eligible::Up, step)?;
        self.send_signal(signal, &aims, Origin::Step(step));
        Ok(Acted::Done)
    }

    /// Sends a signal to the main programs of these.
    pub(crate) fn send_signal(&mut self, signal: Signal, aims: &[Aim], origin: Origin) {
        let keys: Vec<_> = aims.iter().flat_map(|aim| self.processes_at(aim)).collect();
        let action = self.action_on(ActionVerb::Signal, &keys, origin);
        self.record_action(Action { with: Some(signal.name.into()), ..action });
        for key in keys {
            let life = self.process(&key).life();
            self.world.signal(&life, signal.number, Scope::Main);
        }
    }
}
