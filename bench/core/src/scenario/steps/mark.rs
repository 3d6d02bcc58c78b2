//! `mark` and `end`: for those who read the history, and to cut a run short.

use super::{StepTable, Verb, VerbKind};
use crate::diagnostic::{self, Diagnostic};
use crate::table::{Key, Kind};

pub(super) const MARK: VerbKind = VerbKind {
    key: Key::new("mark", Kind::Text, "Leaves a mark in the history and the reports."),
    modifiers: &[],
    acts: false,
    parse: |step| Some(Verb::Mark(step.item.nonempty_text()?.value.to_owned())),
};

pub(super) const END: VerbKind = VerbKind {
    key: Key::new("end", Kind::Bool, "true ends the run here; bounds that are still open are then unknown."),
    modifiers: &[],
    acts: false,
    parse: parse_end,
};

fn parse_end(step: &StepTable<'_, '_, '_>) -> Option<Verb> {
    let end = step.item.boolean()?;
    if !end.value {
        let message = "`end = false` does nothing";
        step.item.report(
            Diagnostic::error(diagnostic::BAD_WORD, message, end.span, "leave the step out").help("end = true"),
        );
        return None;
    }
    Some(Verb::End)
}
