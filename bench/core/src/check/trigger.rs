//! What a check may start or stop counting at: an event, or a fault of the bench.

use crate::diagnostic::{self, Diagnostic, Located};
use crate::history::{History, Seen};
use crate::names::Names;
use crate::observation::{Action, ActionVerb, Name};
use crate::table::Table;

/// `EVENT`, `fault.KIND`, or `fault` (`fault.any`) for every kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trigger {
    Event(Name),
    Fault(Option<ActionVerb>),
}

impl Trigger {
    /// Reads a key of one or more; reports an event or a kind that is not there, and a list that holds nothing.
    pub(super) fn parse_all(table: &Table<'_, '_>, key: &'static str, names: &Names<'_>) -> Option<Vec<Self>> {
        let texts = table.required(key, Table::texts)?;
        if texts.is_empty() {
            let message = format!("`{key}` names nothing");
            let span = table.item(key).map_or(table.span(), |item| item.span());
            table.report(Diagnostic::error(diagnostic::EMPTY, message, span, "an empty list"));
            return None;
        }
        // All are read before giving up, so that each wrong one is reported.
        let triggers: Vec<_> = texts.iter().map(|text| Self::parse(text, names)).collect();
        triggers.into_iter().collect()
    }

    fn parse(text: &Located<&str>, names: &Names<'_>) -> Option<Self> {
        // An event called `fault` would be the scenario's own choice.
        if names.is_event(text.value) {
            return names.event(text).map(Self::Event);
        }
        match text.value {
            "fault" | "fault.any" => return Some(Self::Fault(None)),
            _ => {}
        }
        let Some(kind) = text.value.strip_prefix("fault.") else {
            return names.event(text).map(Self::Event);
        };
        let found = faults().find(|verb| verb.key() == kind);
        if found.is_none() {
            let message = format!("no fault is called `{}`", kind.escape_debug());
            let help = diagnostic::suggestion(kind, "faults", faults().map(ActionVerb::key).chain(["any"]));
            let diagnostic = Diagnostic::error(diagnostic::BAD_WORD, message, text.span.clone(), "unknown fault");
            names.problems().report(diagnostic.help(help));
        }
        found.map(|verb| Self::Fault(Some(verb)))
    }

    /// As the scenario has it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Event(event) => event.to_string(),
            Self::Fault(Some(verb)) => format!("fault.{}", verb.key()),
            Self::Fault(None) => "fault".into(),
        }
    }

    /// The faults that are meant and that hit a process, by number; none if an event is meant.
    pub(super) fn faults<'h>(&self, history: &'h History) -> impl Iterator<Item = Seen<'h, Action>> + use<'h> {
        let meant = match self {
            Self::Event(_) => None,
            Self::Fault(kind) => Some(*kind),
        };
        history.actions().filter(move |action| {
            let verb = action.what.verb;
            // A fault that hit nothing is no fault; that it hit nothing is told with the verdict.
            meant.is_some_and(|kind| verb.is_fault() && kind.is_none_or(|kind| kind == verb)) && action.what.has_hit()
        })
    }
}

fn faults() -> impl Iterator<Item = ActionVerb> {
    ActionVerb::ALL.iter().copied().filter(|verb| verb.is_fault())
}
