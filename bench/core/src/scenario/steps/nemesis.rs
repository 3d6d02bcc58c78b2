//! `start = "nemesis"` and `stop = "nemesis"`: the random faults begin and end where the steps say so.

use std::fmt;

use super::{StepTable, Verb};
use crate::diagnostic::{self, Diagnostic};
use crate::observation::ActionVerb;
use crate::stage::Stage;
use crate::target::NEMESIS;

/// What a step can do with the nemesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NemesisVerb {
    /// Its faults come from now on.
    Start,
    /// No more faults come; the step is done when everything is undone that it did (unless it does not heal).
    Stop,
}

impl fmt::Display for NemesisVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start the nemesis",
            Self::Stop => "stop the nemesis",
        })
    }
}

/// Reads a step that is about the nemesis; none if it is about nodes. The inner one is none after a mistake.
pub(super) fn parse(step: &StepTable<'_, '_, '_>, verb: ActionVerb) -> Option<Option<Verb>> {
    let verb = match verb {
        ActionVerb::Start => NemesisVerb::Start,
        ActionVerb::Stop => NemesisVerb::Stop,
        _ => return None,
    };
    if !step.item.is_text() || step.item.text()?.value != NEMESIS {
        return None;
    }
    if !step.names.has_nemesis() {
        let message = "there is no nemesis";
        step.item.report(
            Diagnostic::error(diagnostic::NO_NEMESIS, message, step.item.span(), "the scenario has no [nemesis]")
                .help("[nemesis] with `every`, `faults` and `for` says what it does"),
        );
        return Some(None);
    }
    if step.stage != Stage::Main {
        let message = format!("the nemesis cannot begin or end in the {}", step.stage.key());
        step.item.report(
            Diagnostic::error(diagnostic::NO_MEANING_HERE, message, step.item.span(), "not here")
                .help("it is about the run itself: write it into [[steps]]"),
        );
        return Some(None);
    }
    if let Some(modifier) = step.table.item("for") {
        step.item.report(
            Diagnostic::error(
                diagnostic::NEMESIS_BY_STEPS,
                "`for` does nothing beside the nemesis",
                modifier.key_span(),
                "does nothing here",
            )
            .help("`duration` in [nemesis] says how long it goes on"),
        );
        return Some(None);
    }
    Some(Some(Verb::Nemesis(verb)))
}
