//! partition, link, unplug, heal: what is done to the network, decided when the step fires.

use dsbench_core::observation::{ActionVerb, Origin};
use dsbench_core::scenario::{Heal, NetworkAct, NetworkVerb};

use super::Acted;
use crate::driver::Driver;

impl Driver<'_> {
    pub(super) fn act_on_network(&mut self, act: &NetworkAct, step: usize) -> Result<Acted, String> {
        // One stream per step, as for targets: a shape draws from it after its targets have.
        let mut random = self.plan.random_of_step(step);
        let harm = match &act.what {
            NetworkVerb::Partition(partition) => partition.resolve(&self.cluster, &mut random)?,
            NetworkVerb::Link(link) => link.resolve(&self.cluster, &mut random)?,
            NetworkVerb::Unplug(unplug) => unplug.resolve(&self.cluster, &mut random)?,
            NetworkVerb::Heal(heal) => {
                self.mend_network(ActionVerb::Heal, None, Origin::Step(step), |(_, origin)| match heal {
                    Heal::All => true,
                    Heal::Step { index, .. } => origin == Origin::Step(*index),
                })?;
                return Ok(Acted::Done);
            }
        };
        self.break_network(harm, act.undo_after.into(), Origin::Step(step))?;
        Ok(Acted::Done)
    }
}
