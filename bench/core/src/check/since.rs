//! From when (or until when) a check looks: the beginning, or that of a step.

use std::fmt;

use crate::history::History;
use crate::names::Names;
use crate::observation::StepState;
use crate::table::Table;
use crate::time::RunTime;

/// The very beginning, the beginning of the cluster's work (all nodes ready), or that of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Since {
    Start,
    Ready,
    Step { index: usize, name: String },
}

impl Since {
    /// Reads a key (`since`, `until`) that names a step, if it is there; `None` means that it is wrong, which is reported.
    pub(super) fn parse(table: &Table<'_, '_>, key: &'static str, names: &Names<'_>) -> Option<Option<Self>> {
        match table.text(key) {
            Some(step) => {
                let index = names.step(&step)?;
                Some(Some(Self::Step { index, name: step.value.to_owned() }))
            }
            None if table.has(key) => None,
            None => Some(None),
        }
    }

    /// The observation by which it came, and when; none if it did not.
    pub(super) fn instant(&self, history: &History) -> Option<(u64, RunTime)> {
        match self {
            Self::Start => Some((0, RunTime::START)),
            Self::Ready => history.ready_observation(),
            Self::Step { index, .. } => {
                let mut steps = history.steps();
                let begun = steps.find(|step| step.what.step == *index && step.what.state == StepState::Begun);
                begun.map(|step| (step.number, step.at))
            }
        }
    }
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("the beginning"),
            Self::Ready => f.write_str("the nodes being ready"),
            Self::Step { name, .. } => write!(f, "the step `{name}`"),
        }
    }
}
