//! `call = "WORKLOAD.OP"`: one operation of a workload, or one for each of several nodes.

use std::fmt;

use super::{StepTable, Verb, VerbKind};
use crate::diagnostic::{self, Diagnostic};
use crate::observation::Name;
use crate::stage::Stage;
use crate::table::{Key, Kind};
use crate::target::{Purpose, Target};

/// An operation to perform.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its workload.
    pub workload: Name,
    /// Its name there.
    pub op: Name,
    /// Once for each of these nodes; none: for one, as the workload says.
    pub on: Option<Target>,
}

pub(super) const CALL: VerbKind = VerbKind {
    key: Key::new(
        "call",
        Kind::Text,
        "Performs one operation of a workload, OP or WORKLOAD.OP, and is done when that has ended, however it did: final reads.",
    ),
    modifiers: &["on"],
    acts: true,
    parse,
};

fn parse(step: &StepTable<'_, '_, '_>) -> Option<Verb> {
    let name = step.item.text()?;
    let on = step.table.item("on").map(|on| Target::parse(&on, step.names, Purpose::Act));
    let meant = step.names.operation(&name)?;
    if step.stage == Stage::Teardown {
        let message = "`call` means nothing in the teardown";
        let help = "what clients are told then is judged by nobody: write it as the last of [[steps]]";
        let code = diagnostic::NO_MEANING_HERE;
        step.item.report(Diagnostic::error(code, message, step.item.key_span(), "the run is over").help(help));
        return None;
    }
    let [(workload, op)] = meant.of.as_slice() else {
        let message = format!("several workloads have an operation `{}`", name.value);
        let all: Vec<String> = meant.of.iter().map(|(workload, op)| format!("`{workload}.{op}`")).collect();
        let diagnostic = Diagnostic::error(diagnostic::UNKNOWN_OPERATION, message, name.span, "which one?");
        step.item.report(diagnostic.help(format!("one of {}", all.join(", "))));
        return None;
    };
    let on = match on {
        Some(on) => Some(on?),
        None => None,
    };
    Some(Verb::Call(Call { workload: workload.clone(), op: op.clone(), on }))
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {}.{}", self.workload, self.op)?;
        self.on.as_ref().map_or(Ok(()), |on| write!(f, " on {on}"))
    }
}
