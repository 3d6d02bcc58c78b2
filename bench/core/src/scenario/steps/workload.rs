//! `start = "NAME"` and `stop = "NAME"`: a workload begins and ends where the steps say so.

use super::{StepTable, Verb};
use crate::diagnostic::{self, Diagnostic};
use crate::observation::ActionVerb;
use crate::stage::Stage;

/// What a step can do with a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkloadVerb {
    /// Its operations come from now on.
    Start,
    /// No more of its operations begin; the step is done when those that have begun are over.
    Stop,
}

impl WorkloadVerb {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}

/// Reads a step that is about a workload; none if it is about nodes. The inner one is none after a mistake.
pub(super) fn parse(step: &StepTable<'_, '_, '_>, verb: ActionVerb) -> Option<Option<Verb>> {
    let verb = match verb {
        ActionVerb::Start => WorkloadVerb::Start,
        ActionVerb::Stop => WorkloadVerb::Stop,
        _ => return None,
    };
    let name = step.item.is_text().then(|| step.item.text())??;
    if !step.names.is_workload(name.value) {
        return None;
    }
    let refuse = |code, message: String, at, label: &str, help: &str| {
        step.item.report(Diagnostic::error(code, message, at, label).help(help));
        Some(None)
    };
    if step.stage == Stage::Teardown {
        let message = "a workload cannot begin or end in the teardown".to_owned();
        let help = "the run is over: write it into [[steps]]";
        return refuse(diagnostic::NO_MEANING_HERE, message, name.span, "not here", help);
    }
    if step.stage == Stage::Setup {
        let message = "a workload cannot begin or end in the setup".to_owned();
        let help = "what it does is judged, and the setup is not: write it into [[steps]]";
        return refuse(diagnostic::NO_MEANING_HERE, message, name.span, "not here", help);
    }
    if let Some(modifier) = step.table.item("for") {
        let message = "`for` does nothing beside a workload".to_owned();
        let help = "`duration` of the workload says how long it goes on";
        return refuse(diagnostic::WORKLOAD_TIME, message, modifier.key_span(), "does nothing here", help);
    }
    Some(Some(Verb::Workload(verb, name.value.into())))
}
