//! Network faults. They need a network of the run's own; in host mode the nodes share this machine's, and these verbs are refused.

use super::{StepTable, Verb, VerbKind};
use crate::diagnostic::{self, Diagnostic};
use crate::table::{Key, Kind};

pub(super) const PARTITION: VerbKind = VerbKind {
    key: Key::new("partition", Kind::Any, "Cuts the links between groups of nodes. Needs the network laboratory."),
    modifiers: &["for"],
    acts: true,
    parse: refuse,
};

pub(super) const HEAL: VerbKind = VerbKind {
    key: Key::new("heal", Kind::Any, "Undoes network faults. Needs the network laboratory."),
    modifiers: &[],
    acts: true,
    parse: refuse,
};

pub(super) const LINK: VerbKind = VerbKind {
    key: Key::new("link", Kind::Any, "Delays, loses or repeats what goes over a link. Needs the network laboratory."),
    modifiers: &["for"],
    acts: true,
    parse: refuse,
};

pub(super) const UNPLUG: VerbKind = VerbKind {
    key: Key::new("unplug", Kind::Any, "Cuts nodes off from all others. Needs the network laboratory."),
    modifiers: &["for"],
    acts: true,
    parse: refuse,
};

fn refuse(step: &StepTable<'_, '_, '_>) -> Option<Verb> {
    let verb = step.item.key();
    let message = format!("`{verb}` needs the network laboratory, and this scenario runs in host mode");
    let help = match verb {
        "heal" => "without network faults there is nothing to heal; `resume` ends a pause",
        _ => "`pause` cuts a node off from all others in both directions, and works in host mode",
    };
    step.item.report(
        Diagnostic::error(diagnostic::NOT_IN_HOST_MODE, message, step.item.key_span(), "not in host mode").help(help),
    );
    None
}
