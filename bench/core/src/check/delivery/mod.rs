//! What nodes tell of messages: the common part of the checks of deliveries.
//!
//! A delivery is an event with a field that names the message, and so is a sending. The lines of one stream of one life come in a known
//! order, and the lives of a process follow one another; nothing else about the order of lines is taken for granted, least of all the
//! clocks of the nodes. A life that tells what is compared on two streams has no known order, and is not decided.

mod begins;
mod interner;
mod runs;
mod streams;
#[cfg(test)]
pub(super) mod testing;

pub(super) use self::begins::{Begin, Begins, JOINS, JUMPS, Joins, jumps, refuse_without_prefix};
pub(super) use self::interner::{Interner, Numbers};
pub(super) use self::runs::{Break, Place, Runs};
pub(super) use self::streams::{Entry, Line, Streams, Teller};

use crate::diagnostic::{self, Diagnostic};
use crate::history::{History, Seen};
use crate::names::{EventField, FieldKind, Names};
use crate::observation::{Event, Observation, What};
use crate::table::{Key, Kind, Table};

/// What a node delivers.
pub(super) const DELIVERED: Key = Key::required(
    "delivered",
    Kind::EventField,
    "The event by which a node delivers a message, and its field that names the message.",
);

/// The line of an event by its observation.
pub(super) fn line(history: &History, number: u64) -> Option<Seen<'_, Event>> {
    let Observation { number, at, what } = history.get(number)?;
    match what {
        What::Event(what) => Some(Seen { number: *number, at: *at, what }),
        _ => None,
    }
}

/// Reads a key `EVENT.FIELD` that names messages, if it is there. The outer `None` means that it is wrong, which is reported.
pub(super) fn messages(
    table: &Table<'_, '_>,
    key: &'static str,
    names: &Names<'_>,
    like: Option<&EventField>,
) -> Option<Option<EventField>> {
    super::optional(table, key, |item| {
        let text = item.text()?;
        let field = names.event_field_of_kind(&text, FieldKind::SINGLE)?;
        let Some(like) = like.filter(|like| like.kind != field.kind) else { return Some(field) };
        let EventField { event, field: name, kind } = &field;
        let message = format!(
            "field `{name}` of event `{event}` is \"{}\", and field `{}` of event `{}` is \"{}\"",
            kind.word(),
            like.field,
            like.event,
            like.kind.word()
        );
        let diagnostic =
            Diagnostic::error(diagnostic::FIELD_TYPE, message, text.span, "could never name the same message");
        table.report(diagnostic.help("both name messages, so give both the same type where the events are defined"));
        None
    })
}

/// A key `EVENT.FIELD` that must be there.
pub(super) fn required_messages(table: &Table<'_, '_>, key: &'static str, names: &Names<'_>) -> Option<EventField> {
    let text = table.required(key, Table::text)?;
    names.event_field_of_kind(&text, FieldKind::SINGLE)
}
