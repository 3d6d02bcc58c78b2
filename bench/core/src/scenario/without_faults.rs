//! A scenario without its faults (`--no-faults`): is the cluster sound before anything is broken?
//!
//! Steps that do a fault, or undo one, are left out, and so are the steps that look for what follows from it. Everything else happens at
//! its time and is judged as always, but for two things: an invariant that only a fault would have exercised does not speak against the
//! run, and nobody demands that a demonstration catches anything.

use std::collections::BTreeSet;

use super::{Scenario, Step, Verb};
use crate::condition::{Condition, Part, Since, Who};
use crate::observation::{ActionVerb, Name};
use crate::stage::Stage;
use crate::verdict::Expectation;

impl Scenario {
    /// Leaves the faults out.
    pub(super) fn leave_out_faults(&mut self) {
        if let Some(nemesis) = &mut self.nemesis {
            // It keeps its time: a cluster that is sound for a moment only is not.
            nemesis.is_idle = true;
        }
        let (mut left_out, mut unbound) = (BTreeSet::new(), BTreeSet::new());
        // What only sets the scene breaks the cluster as well. A teardown comes when all is judged, and takes the nodes as they are.
        let setup = self.range(Stage::Setup).zip(&mut self.setup);
        for (index, step) in setup.chain((0..).zip(&mut self.steps)) {
            step.binds.retain(|(name, target)| {
                let is_lost = target.needs_a_fault(&unbound);
                if is_lost {
                    unbound.insert(name.clone());
                } else {
                    unbound.remove(name);
                }
                !is_lost
            });
            let follows = |condition: &Condition| follows_from(condition, &left_out, &unbound);
            if step.timing.when.as_ref().is_some_and(|(condition, _)| follows(condition)) {
                step.timing.when = None;
            }
            let is_left_out = match &step.verb {
                Verb::Wait(look) | Verb::Expect(look) => follows(&look.condition),
                verb => is_about_faults(verb) || verb.target().is_some_and(|target| target.needs_a_fault(&unbound)),
            };
            if is_left_out {
                leave_out(step);
                left_out.insert(index);
            }
        }
        for invariant in &mut self.invariants {
            invariant.expectation = match invariant.expectation {
                Expectation::Hold | Expectation::HoldIfExercised => Expectation::HoldIfExercised,
                Expectation::BeViolated | Expectation::MayBeViolated => Expectation::MayBeViolated,
            };
        }
        self.is_demonstration = false;
    }
}

/// It keeps its place, its name and its time: whoever reads the history sees that it was left out.
fn leave_out(step: &mut Step) {
    step.verb = Verb::Mark(format!("left out (no faults): {}", step.verb));
}

fn is_about_faults(verb: &Verb) -> bool {
    match verb {
        Verb::Act(act) => match act.verb {
            ActionVerb::Start | ActionVerb::Input => false,
            ActionVerb::Stop
            | ActionVerb::Kill
            | ActionVerb::Restart
            | ActionVerb::Pause
            | ActionVerb::Resume
            | ActionVerb::Signal
            | ActionVerb::Partition
            | ActionVerb::Heal
            | ActionVerb::Link
            | ActionVerb::Unplug
            | ActionVerb::Plug => true,
        },
        Verb::Signal(..) | Verb::Network(_) => true,
        // It does nothing in its time.
        Verb::Nemesis(_) => false,
        // What clients do is no fault.
        Verb::Workload(..) | Verb::Call(_) => false,
        Verb::Input(_) | Verb::Exec(_) | Verb::Wait(_) | Verb::Expect(_) | Verb::Settle(_) => false,
        Verb::Mark(_) | Verb::Bind | Verb::End => false,
    }
}

/// True if it looks for what comes after a step that was left out, or at nodes that only a fault makes what they are.
fn follows_from(condition: &Condition, left_out: &BTreeSet<usize>, unbound: &BTreeSet<Name>) -> bool {
    condition.parts.iter().any(|part| match part {
        Part::Event(event) => {
            let (Who::From(target) | Who::Each(target)) = &event.who;
            let is_since = matches!(&event.since, Since::Step { index, .. } if left_out.contains(index));
            is_since || target.needs_a_fault(unbound)
        }
        Part::Operation(operation) => {
            matches!(&operation.since, Since::Step { index, .. } if left_out.contains(index))
        }
        Part::Probe(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn without_faults_the_nemesis_has_its_time_and_no_faults() {
        let text = "schema = 1\nname = 'x'\n[nodes]\ncount = 3\ncommand = ['true']\n\
            [nemesis]\nstart = 'manual'\nevery = '1s'\nfaults = { restart = 1 }\n\
            [[steps]]\nstart = 'nemesis'\n[[steps]]\nstop = 'nemesis'\n[[invariants]]\nprocess = {}\n";
        let mut scenario = Scenario::parse(text, &[]).expect("a good scenario");
        assert!(Plan::new(Scenario::parse(text, &[]).expect("a good scenario"), 7).schedule().is_some());
        scenario.leave_out_faults();
        assert!(scenario.nemesis.as_ref().is_some_and(|nemesis| nemesis.is_idle));
        assert!(scenario.steps.iter().all(|step| matches!(step.verb, Verb::Nemesis(_))), "{:?}", scenario.steps);
        assert!(Plan::new(scenario, 7).schedule().is_none());
    }
}
