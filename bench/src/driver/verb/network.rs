//! partition, link, unplug, heal: what is done to the network, decided when the step fires.

use dsbench_core::observation::{ActionVerb, Origin};
use dsbench_core::random::Keyed;
use dsbench_core::scenario::{Heal, NetworkAct, NetworkVerb};

use super::Acted;
use crate::driver::Driver;

impl Driver<'_> {
    pub(super) fn network_step(&mut self, act: &NetworkAct, step: usize) -> Result<Acted, String> {
        // One stream per step, as for targets: a shape draws from it after its targets have.
        let mut random = self.plan.random_of_step(step);
        self.act_on_network(act, &mut random, Origin::Step(step))?;
        Ok(Acted::Done)
    }

    /// Does it to whomever it means now.
    pub(crate) fn act_on_network(
        &mut self,
        act: &NetworkAct,
        random: &mut Keyed,
        origin: Origin,
    ) -> Result<(), String> {
        let harm = match &act.what {
            NetworkVerb::Partition(partition) => partition.resolve(&self.cluster, random)?,
            NetworkVerb::Link(link) => link.resolve(&self.cluster, random)?,
            NetworkVerb::Unplug(unplug) => unplug.resolve(&self.cluster, random)?,
            NetworkVerb::Heal(heal) => {
                return self.mend_network(ActionVerb::Heal, None, origin, |(_, asked)| match heal {
                    Heal::All => true,
                    Heal::Step { index, .. } => asked == Origin::Step(*index),
                });
            }
        };
        self.break_network(harm, act.undo_after.into(), origin).map(drop)
    }
}
