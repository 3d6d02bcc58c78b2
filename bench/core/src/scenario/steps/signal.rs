//! `signal = "HUP", to = TARGET`: a signal to the main program of each process.

use super::{StepTable, Verb, VerbKind};
use crate::scenario::stop::{SIGNAL_WORDS, Signal};
use crate::table::{Key, Kind, Table};
use crate::target::{Purpose, Target};

pub(super) const SIGNAL: VerbKind = VerbKind {
    key: Key::new(
        "signal",
        Kind::OneOf(SIGNAL_WORDS),
        "Sends a signal (HUP, USR1 ...) to the main program of each process of `to`.",
    ),
    modifiers: &["to"],
    acts: true,
    parse,
};

fn parse(step: &StepTable<'_, '_, '_>) -> Option<Verb> {
    let signal = step.item.text().and_then(|text| Signal::parse(&text, step.table));
    let to = step
        .table
        .required("to", |table: &Table<'_, '_>, key| Target::parse(&table.item(key)?, step.names, Purpose::Act));
    Some(Verb::Signal(signal?, to?))
}
