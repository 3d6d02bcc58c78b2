//! Where in an order a node may begin to tell it, and where it may go on after a restart.

use std::collections::BTreeSet;

use crate::diagnostic::{self, Diagnostic};
use crate::names::Names;
use crate::observation::Name;
use crate::table::{Key, Kind, Table};

/// How nodes come to an order.
pub(in crate::check) const JOINS: Key = Key::new(
    "joins",
    Kind::OneOf(&["start", "late", "anywhere"]),
    "Where nodes begin. \"start\": every node with the first message, and after a restart at most one after the highest that it had told (as if not said); \"late\": its first life anywhere; \"anywhere\": each of its lives, because it keeps nothing.",
);

/// What takes a node to another place of it.
pub(in crate::check) const JUMPS: Key = Key::new(
    "jumps",
    Kind::Texts,
    "Events after which their node goes on anywhere: it has installed a snapshot, or has forgotten all that it had.",
);

/// Where the lives of a node begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::check) enum Joins {
    /// With the first message, and then at most one after the highest that the node had told.
    #[default]
    Start,
    /// The first anywhere, the others at most one after the highest that the node had told.
    Late,
    /// Anywhere.
    Anywhere,
}

/// What a scenario says of it.
#[derive(Debug, Clone, Default)]
pub(in crate::check) struct Begins {
    pub(in crate::check) joins: Joins,
    pub(in crate::check) jumps: Vec<Name>,
}

/// Where a run of deliveries may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check) enum Begin {
    /// With the first message of the order.
    First,
    /// At most one after the highest that the node has told.
    On,
    /// Anywhere.
    Anywhere,
}

impl Begins {
    /// Reads [`JOINS`] and [`JUMPS`]; `None` if one is wrong, which is reported.
    pub(in crate::check) fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Self> {
        let joins = crate::check::optional(table, JOINS.name, |_| {
            Some(match table.word(JOINS.name)?.value {
                "late" => Joins::Late,
                "anywhere" => Joins::Anywhere,
                _ => Joins::Start,
            })
        });
        let jumps = jumps(table, names);
        Some(Self { joins: joins?.unwrap_or_default(), jumps: jumps? })
    }

    /// Where a node's run begins: of its first life that tells anything, or of a later one.
    pub(in crate::check) fn of(&self, is_first: bool) -> Begin {
        match (self.joins, is_first) {
            (Joins::Anywhere, _) | (Joins::Late, true) => Begin::Anywhere,
            (Joins::Start, true) => Begin::First,
            (Joins::Start | Joins::Late, false) => Begin::On,
        }
    }
}

/// Reads [`JUMPS`]; `None` if it is wrong, which is reported.
pub(in crate::check) fn jumps(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Vec<Name>> {
    let jumps = crate::check::optional(table, JUMPS.name, |item| {
        let texts = item.texts()?;
        if texts.is_empty() {
            let message = format!("`{}` names nothing", JUMPS.name);
            table.report(Diagnostic::error(diagnostic::EMPTY, message, item.span(), "an empty list"));
            return None;
        }
        let events: Vec<_> = texts.iter().map(|text| names.event(text)).collect();
        // The same event twice is no other than once.
        let events: BTreeSet<Name> = events.into_iter().collect::<Option<_>>()?;
        Some(events.into_iter().collect())
    });
    jumps.map(Option::unwrap_or_default)
}

/// Where messages may be left out, it does not matter where a node begins.
pub(in crate::check) fn refuse_without_prefix(table: &Table<'_, '_>, prefix: bool) -> Option<()> {
    let item = [JOINS.name, JUMPS.name].into_iter().filter(|_| !prefix).find_map(|key| table.item(key));
    let Some(item) = item else { return Some(()) };
    let message = format!("`{}` says nothing beside prefix = false", item.key());
    let label = "nodes may leave out what they like, so they may begin anywhere";
    table.report(Diagnostic::error(diagnostic::NO_MEANING_HERE, message, item.key_span(), label));
    None
}
