//! `wait` and `expect`: until a condition holds. They differ in what a miss means.

use std::fmt;
use std::time::Duration;

use super::{StepTable, Verb, VerbKind};
use crate::condition::Condition;
use crate::table::{Key, Kind};

/// A condition with a bound.
#[derive(Debug, Clone)]
pub struct Look {
    /// What has to hold.
    pub condition: Condition,
    /// The longest that it may take.
    pub within: Duration,
}

pub(super) const WAIT: VerbKind = VerbKind {
    key: Key::new(
        "wait",
        Kind::Condition,
        "Waits until this holds; a miss makes the run inconclusive: the scene was never set.",
    ),
    modifiers: &["within"],
    acts: false,
    parse: |step| parse(step).map(Verb::Wait),
};

pub(super) const EXPECT: VerbKind = VerbKind {
    key: Key::new("expect", Kind::Condition, "Waits until this holds; a miss is a failure."),
    modifiers: &["within"],
    acts: false,
    parse: |step| parse(step).map(Verb::Expect),
};

fn parse(step: &StepTable<'_, '_, '_>) -> Option<Look> {
    let condition = Condition::parse(&step.item, step.origin, step.names);
    let within = step.within();
    Some(Look { condition: condition?, within })
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} within {}", self.condition, humantime::format_duration(self.within))
    }
}
