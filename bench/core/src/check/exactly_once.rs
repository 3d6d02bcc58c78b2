//! `exactly_once`: what was acknowledged is delivered by every node, and only once.
//!
//! [`no_loss`](super::no_loss) and [`no_duplicates`](super::no_duplicates) of the same messages in one: at least once and at most once. Both
//! say what they mean by it.

use super::delivery::{self, DELIVERED, JOINS, JUMPS};
use super::no_duplicates::{NoDuplicates, PER, POSITION};
use super::no_loss::{NoLoss, SENT};
use super::quiescence::{QUIET, WITHIN};
use super::said::{OF_AT_THE_END, Said};
use super::scope::Scope;
use super::{Check, CheckKind};
use crate::history::History;
use crate::names::Names;
use crate::table::Table;
use crate::time::RunTime;
use crate::verdict::{Finding, Outcome};

pub(super) const KIND: CheckKind = CheckKind {
    name: "exactly_once",
    keys: &[SENT, DELIVERED, PER, POSITION, JOINS, JUMPS, QUIET, WITHIN, OF_AT_THE_END],
    short: None,
    doc: "What was acknowledged is delivered by every node once all is quiet, and nothing twice.",
    parse,
};

#[derive(Debug)]
struct ExactlyOnce {
    loss: NoLoss,
    duplicates: NoDuplicates,
}

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    let delivered = delivery::required_messages(table, DELIVERED.name, names);
    let of = Scope::parse(table, OF_AT_THE_END.name, names);
    let said = delivered.as_ref().zip(of.as_ref()).map(|(delivered, of)| {
        let of = of.clone().unwrap_or(Scope::all());
        Said::at(delivered.event.clone(), of, names)
    });
    let loss = NoLoss::read(table, names, delivered.clone(), of.flatten());
    let duplicates = NoDuplicates::read(table, names, delivered, said);
    Some(Box::new(ExactlyOnce { loss: loss?, duplicates: duplicates? }))
}

impl Check for ExactlyOnce {
    fn judge(&self, history: &History) -> Finding {
        let (loss, duplicates) = (self.loss.judge(history), self.duplicates.judge(history));
        let violations = loss.violations + duplicates.violations;
        let (first, second) =
            match duplicates.outcome > loss.outcome || duplicates.at.is_some_and(|at| Some(at) < loss.at) {
                true => (duplicates, loss),
                false => (loss, duplicates),
            };
        match first.outcome {
            Outcome::Violated => Finding { violations, ..first },
            Outcome::Unknown => first,
            Outcome::Held => {
                let summary = format!("{}; {}", first.summary, second.summary);
                Finding::held(first.checked, summary)
            }
        }
    }

    fn open_until(&self, history: &History) -> Option<RunTime> {
        match self.duplicates.judge(history).outcome {
            Outcome::Violated => None,
            Outcome::Held | Outcome::Unknown => self.loss.open_until(history),
        }
    }
}
