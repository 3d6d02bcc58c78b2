//! Whether the nemesis can act at all: who starts it, whether it ends, whether a fault fits, whether anybody may be down.

use std::time::Duration;

use super::{Begin, FaultKind, Nemesis};
use crate::diagnostic::{self, Diagnostic, Span};
use crate::names::Names;
use crate::scenario::steps::{NemesisVerb, Step, Verb};
use crate::table::Table;

/// What the steps do with the nemesis.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByTheSteps {
    start: Option<usize>,
    stops: bool,
    /// There are steps at all.
    are_there: bool,
}

impl ByTheSteps {
    pub(super) fn of(steps: &[Step]) -> Self {
        let does = |step: &Step, verb| matches!(&step.verb, Verb::Nemesis(done) if *done == verb);
        Self {
            start: steps.iter().position(|step| does(step, NemesisVerb::Start)),
            stops: steps.iter().any(|step| does(step, NemesisVerb::Stop)),
            are_there: !steps.is_empty(),
        }
    }
}

impl Nemesis {
    /// Who starts it: steps or nobody, itself or nobody else.
    pub(super) fn fits_the_steps(&self, table: &Table<'_, '_>, steps: ByTheSteps) -> bool {
        let span = table.item("start").map_or_else(|| table.span(), |item| item.span());
        let (message, label, help) = match (self.begin, steps.start) {
            (Begin::ByStep, None) => {
                ("no step starts the nemesis".to_owned(), "nobody does", "a step with start = \"nemesis\"")
            }
            (Begin::At(_), Some(step)) => {
                let message = format!("step {} starts a nemesis that starts by itself", step + 1);
                (message, "by itself", "start = \"manual\" in [nemesis] leaves it to the steps")
            }
            _ => return true,
        };
        table.report(Diagnostic::error(diagnostic::NEMESIS_BY_STEPS, message, span, label).help(help));
        false
    }

    /// It has an end, and time for a fault before that.
    pub(super) fn has_room(&self, table: &Table<'_, '_>, steps: ByTheSteps) -> bool {
        let shown = |time: Duration| humantime::format_duration(time).to_string();
        let report = |message: String, at: Span, help: &str| {
            table.report(Diagnostic::error(diagnostic::NO_FAULT_FITS, message, at, "no fault fits").help(help));
            false
        };
        let at = |key: &'static str| table.item(key).map_or_else(|| table.span(), |item| item.span());
        let first = self.every.low + if self.when.is_some() { self.after.low } else { Duration::ZERO };
        let from_start = match (self.begin, self.stop) {
            (Begin::At(start), Some(stop)) => Some(stop.saturating_sub(start)),
            _ => None,
        };
        if let Some(room) = from_start.filter(|room| *room < first) {
            let message = format!(
                "the nemesis has {} before it stops, and its first fault comes after {} at the earliest",
                shown(room),
                shown(first)
            );
            return report(message, at("stop"), "both are counted from the moment at which all nodes are ready");
        }
        if let Some(duration) = self.duration.filter(|duration| *duration < first) {
            let message = format!(
                "the nemesis lasts {}, and its first fault comes after {} at the earliest",
                shown(duration),
                shown(first)
            );
            return report(message, at("duration"), "a longer `duration`, or a shorter `every`");
        }
        if self.stop.is_none() && self.duration.is_none() && !steps.stops && !steps.are_there {
            let message = "the nemesis has no end".to_owned();
            return report(message, table.span(), "say how long it goes on: duration = \"10s\"");
        }
        true
    }

    /// With nobody down it can do nothing but send signals.
    pub(super) fn may_act(&self, table: &Table<'_, '_>, names: &Names<'_>) -> bool {
        let nodes = self.of.members(&names.cluster()).len();
        let takes_down = |kind: FaultKind| kind.takes_down() || kind.cuts_off();
        let takes_down = self.faults.iter().any(|fault| fault.weight > 0 && takes_down(fault.what));
        if self.max_down.of(nodes) > 0 || !takes_down || names.nodes_are_unknown() || nodes == 0 {
            return true;
        }
        let span = table.item("max_down").map_or_else(|| table.span(), |item| item.span());
        let message = format!("a minority of {nodes} is nobody, so every fault would be passed over");
        table.report(
            Diagnostic::error(diagnostic::NOBODY_MAY_BE_DOWN, message, span, "nobody may be down").help("max_down = 1"),
        );
        false
    }
}
