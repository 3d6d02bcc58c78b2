//! Operations that have to have ended: `{ op = "write", at_least = 200 }`.

use std::fmt;

use super::{Origin, Since, parse_since};
use crate::cluster::ClusterState;
use crate::names::Names;
use crate::observation::{Observation, StepChange, StepState, What};
use crate::operation::{Meant, OperationKind};
use crate::table::Table;

/// Operations that have to have ended so.
#[derive(Debug, Clone)]
pub struct OperationPart {
    /// Which.
    pub op: Meant,
    /// How they ended.
    pub kind: OperationKind,
    /// How many.
    pub at_least: u64,
    /// From when on.
    pub since: Since,
}

impl OperationPart {
    pub(super) fn parse(table: &Table<'_, '_>, origin: &Origin, names: &Names<'_>) -> Option<Self> {
        let op = table.text("op").and_then(|op| names.operation(&op));
        let kind = table.word("is").and_then(|word| OperationKind::end(word.value)).unwrap_or(OperationKind::Ok);
        let at_least = table.int("at_least", 1..=1_000_000_000).map_or(1, |n| n.value.unsigned_abs());
        let since = parse_since(table, origin, names);
        Some(Self { op: op?, kind, at_least, since: since? })
    }
}

impl fmt::Display for OperationPart {
    /// In people's words: ``200 `write` that are ok``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at_least > 1 {
            write!(f, "{} times ", self.at_least)?;
        }
        write!(f, "`{}` {}", self.op, self.kind.word())
    }
}

/// How many of them have ended.
#[derive(Debug, Clone)]
pub struct OperationsSeen {
    part: OperationPart,
    has_begun: bool,
    count: u64,
}

impl OperationsSeen {
    /// Nothing seen yet.
    pub(crate) fn new(part: &OperationPart) -> Self {
        Self { part: part.clone(), has_begun: part.since == Since::Start, count: 0 }
    }

    /// Takes in the next observation.
    pub(crate) fn observe(&mut self, observation: &Observation, _: &ClusterState) {
        match &observation.what {
            What::Step(StepChange { step, state: StepState::Begun }) => {
                if matches!(&self.part.since, Since::Step { index, .. } if index == step) {
                    (self.has_begun, self.count) = (true, 0);
                }
            }
            What::Operation(operation) if self.has_begun => {
                self.count += u64::from(operation.kind == self.part.kind && self.part.op.has(operation));
            }
            _ => {}
        }
    }

    /// What does not hold yet, for people.
    pub(crate) fn missing(&self) -> Option<String> {
        let OperationPart { op, kind, at_least, since } = &self.part;
        let kind = kind.word();
        (self.count < *at_least).then(|| match at_least {
            1 => format!("no `{op}` was {kind} since {since}"),
            wanted => format!("{} of {wanted} `{op}` were {kind} since {since}", self.count),
        })
    }
}
