//! let: names for whom targets mean at this moment.

use dsbench_core::observation::{StepChange, StepState, What};
use dsbench_core::scenario::Step;
use dsbench_core::target::Eligible;

use crate::driver::Driver;

impl Driver<'_> {
    /// Binds the names of a step, before it acts: the history says whom they mean from now on. The error is for people.
    pub(crate) fn bind(&mut self, step: &Step, index: usize) -> Result<(), String> {
        for (name, target) in &step.binds {
            let mut random = self.plan.random_of_binding(step, name);
            let aims = target.resolve(&self.cluster, Eligible::Up, &mut random).map_err(|empty| empty.to_string())?;
            let to = aims.iter().map(ToString::to_string).collect();
            let now = self.now();
            let state = StepState::Bound { name: name.clone(), to };
            self.record(now, What::Step(StepChange { step: index, state }));
        }
        Ok(())
    }
}
