//! `before` and `after` of a node's further processes: who starts when the node does, and who waits for whom.

use crate::diagnostic::{self, Diagnostic, Located, suggestion};
use crate::names::Names;
use crate::observation::Name;
use crate::table::{Key, Kind, Table};

/// The keys of a further process that say when it starts.
pub(super) const KEYS: &[Key] = &[
    Key::new("before", Kind::Texts, "Processes of its node that start when this one is ready: \"main\"."),
    Key::new("after", Kind::Texts, "Processes of its node that are ready before this one starts: \"main\"."),
];

/// What a process says of the others of its node.
#[derive(Debug, Clone, Default)]
pub(super) struct Turn {
    before: Option<Vec<Located<Name>>>,
    after: Option<Vec<Located<Name>>>,
}

impl Turn {
    pub(super) fn parse(table: &Table<'_, '_>) -> Self {
        let read = |key| {
            let texts = table.texts(key)?;
            Some(texts.into_iter().map(|text| text.map(Name::from)).collect())
        };
        Self { before: read("before"), after: read("after") }
    }

    /// With these differences.
    pub(super) fn but(self, other: Self) -> Self {
        Self { before: other.before.or(self.before), after: other.after.or(self.after) }
    }
}

/// For each process of a node the others that are ready before it starts. Reports names that none of them has, and circles.
pub(super) fn settle(turns: &[(Name, Turn)], names: &Names<'_>) -> Option<Vec<Vec<Name>>> {
    let index = |name: &Located<Name>| {
        let found = turns.iter().position(|(process, _)| *process == name.value);
        if found.is_none() {
            // Not of which node: what is said of a group is told once.
            let message = format!("no process of the node is called `{}`", name.value.escape_debug());
            let help = suggestion(&name.value, "its processes", turns.iter().map(|(process, _)| &**process));
            let label = "unknown process";
            let diagnostic = Diagnostic::error(diagnostic::UNKNOWN_TARGET, message, name.span.clone(), label);
            names.problems().report(diagnostic.help(help));
        }
        found
    };
    let mut elders: Vec<Vec<usize>> = vec![Vec::new(); turns.len()];
    let mut places: Vec<(usize, usize, diagnostic::Span)> = Vec::new();
    let mut is_complete = true;
    for (own, (_, turn)) in turns.iter().enumerate() {
        for (name, is_before) in turn
            .before
            .iter()
            .flatten()
            .map(|name| (name, true))
            .chain(turn.after.iter().flatten().map(|name| (name, false)))
        {
            let Some(other) = index(name) else {
                is_complete = false;
                continue;
            };
            let (younger, elder) = if is_before { (other, own) } else { (own, other) };
            elders[younger].push(elder);
            places.push((younger, elder, name.span.clone()));
        }
    }
    let circle = places.iter().find(|(younger, elder, _)| waits_for(*elder, *younger, &elders));
    if let Some((younger, elder, span)) = circle {
        let (younger, elder) = (&turns[*younger].0, &turns[*elder].0);
        let message = if younger == elder {
            format!("`{younger}` waits for itself")
        } else {
            format!("`{younger}` and `{elder}` wait for each other")
        };
        names
            .problems()
            .report(Diagnostic::error(diagnostic::CIRCLE, message, span.clone(), "none of them would ever start").help(
            "`before` and `after` say in which order the processes of a node start, each when the one before is ready",
        ));
        return None;
    }
    let named = |elders: Vec<usize>| elders.into_iter().map(|elder| turns[elder].0.clone()).collect();
    is_complete.then(|| elders.into_iter().map(named).collect())
}

/// True if `one` is `other`, or waits for it in the end.
fn waits_for(one: usize, other: usize, elders: &[Vec<usize>]) -> bool {
    let (mut seen, mut open) = (vec![false; elders.len()], vec![one]);
    while let Some(next) = open.pop() {
        if next == other {
            return true;
        }
        if !std::mem::replace(&mut seen[next], true) {
            open.extend(&elders[next]);
        }
    }
    false
}
