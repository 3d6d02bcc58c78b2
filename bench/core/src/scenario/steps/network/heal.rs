//! `heal = "all"`, `heal = "STEP"`: network faults are undone.

use std::fmt;

use super::{NetworkVerb, read};
use crate::scenario::steps::{StepTable, VerbKind};
use crate::table::{Key, Kind};

/// What is undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heal {
    /// Every network fault in force, whoever asked for it.
    All,
    /// What a step did, if it is still in force.
    Step {
        /// Its index.
        index: usize,
        /// What people call it.
        label: String,
    },
}

pub(in crate::scenario::steps) const HEAL: VerbKind = VerbKind {
    key: Key::new(
        "heal",
        Kind::Text,
        "Undoes network faults: \"all\" of them, or what the step of this name did, if that is still in force.",
    ),
    modifiers: &[],
    acts: true,
    parse: |step| read(step, || parse(step).map(NetworkVerb::Heal)),
};

const ALL: &str = "all";

fn parse(step: &StepTable<'_, '_, '_>) -> Option<Heal> {
    let name = step.item.nonempty_text()?;
    if name.value == ALL {
        return Some(Heal::All);
    }
    let index = step.names.step_before(&name, step.origin.step)?;
    Some(Heal::Step { index, label: step.names.step_label(index) })
}

impl fmt::Display for Heal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("heal all"),
            Self::Step { label, .. } => write!(f, "heal what {label} did"),
        }
    }
}
