//! A scenario without its faults (`--no-faults`): is the cluster sound before anything is broken?
//!
//! Steps that do a fault, or undo one, are left out, and so are the steps that look for what follows from it. Everything else happens at
//! its time and is judged as always, but for two things: an invariant that only a fault would have exercised does not speak against the
//! run, and nobody demands that a demonstration catches anything.

use std::collections::BTreeSet;

use super::{Begin, Delay, Nemesis, Scenario, Step, Timing, Verb};
use crate::condition::{Condition, Part, Since, Who};
use crate::observation::ActionVerb;
use crate::verdict::Expectation;

impl Scenario {
    /// Leaves the faults out.
    pub(super) fn leave_out_faults(&mut self) {
        self.steps.extend(self.nemesis.take().and_then(|nemesis| its_time(&nemesis)));
        let mut left_out = BTreeSet::new();
        for (index, step) in self.steps.iter_mut().enumerate() {
            let follows = |condition: &Condition| follows_from(condition, &left_out);
            if step.timing.when.as_ref().is_some_and(|(condition, _)| follows(condition)) {
                step.timing.when = None;
            }
            let is_left_out = match &step.verb {
                Verb::Wait(look) | Verb::Expect(look) => follows(&look.condition),
                verb => is_about_faults(verb),
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

/// A step that lasts as long as the nemesis would have: a cluster that is sound for a moment only is not.
fn its_time(nemesis: &Nemesis) -> Option<Step> {
    let (at, after) = match nemesis.begin {
        Begin::At(start) => {
            let ends = [nemesis.stop, nemesis.duration.map(|duration| start + duration)];
            (Some(ends.into_iter().flatten().min()?), None)
        }
        Begin::ByStep => (None, Some(Delay { low: nemesis.duration?, high: nemesis.duration? })),
    };
    let verb = Verb::Mark("left out (no faults): the nemesis".to_owned());
    Some(Step { name: None, line: nemesis.line.clone(), timing: Timing { at, after, when: None }, verb })
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
            | ActionVerb::Signal => true,
        },
        Verb::Signal(..) | Verb::Nemesis(_) => true,
        Verb::Input(_) | Verb::Exec(_) | Verb::Wait(_) | Verb::Expect(_) | Verb::Mark(_) | Verb::End => false,
    }
}

/// True if it looks for what comes after a step that was left out, or at nodes that only a fault makes what they are.
fn follows_from(condition: &Condition, left_out: &BTreeSet<usize>) -> bool {
    condition.parts.iter().any(|part| match part {
        Part::Event(event) => {
            let (Who::From(target) | Who::Each(target)) = &event.who;
            let is_since = matches!(&event.since, Since::Step { index, .. } if left_out.contains(index));
            is_since || target.needs_a_fault()
        }
        Part::Probe(_) => false,
    })
}
