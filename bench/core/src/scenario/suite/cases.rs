//! `[[cases]]`: variations of a scenario that have names, and verdicts of their own.

use toml::de::DeTable;

use super::axis::leaves;
use crate::diagnostic::{self, Diagnostic, Span};
use crate::observation::Name;
use crate::scenario::document::{Document, name_of};
use crate::scenario::nodes::refuse_unsafe;
use crate::scenario::overrides::{Override, Place};
use crate::table::{Item, Key, Kind, Table};

/// The keys of a case.
pub(in crate::scenario) const KEYS: &[Key] = &[
    Key::required("name", Kind::Text, "The case's name: in labels, and for `--case`."),
    Key::new("description", Kind::Text, "What this case shows, instead of the scenario's description."),
    Key::new(
        "set",
        Kind::Map(&Kind::Any),
        "Values in the place of the file's: { \"vars.x\" = 1 }; paths as for --set.",
    ),
    Key::new("expect", Kind::OneOf(&["held", "violated"]), "What has to come out, instead of the scenario's `expect`."),
    Key::new("violates", Kind::Texts, "The invariants that must be caught being violated in this case."),
    Key::new("may_violate", Kind::Texts, "The invariants that may be violated in this case."),
];

/// A variation that has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) name: Name,
    pub(super) set: Vec<Override>,
}

/// Reads the cases; none if something is wrong with them, which is reported.
pub(super) fn read(root: &Table<'_, '_>) -> Option<Vec<Case>> {
    let mut cases: Vec<(Case, Span)> = Vec::new();
    let mut is_complete = true;
    let item = root.item("cases");
    if item.is_some_and(|item| !item.is_array()) {
        is_complete = false;
    }
    for table in root.tables("cases", "a case") {
        // Read with the scenario, where the case takes effect; here for cases that are not chosen.
        let Some(name) = table.required("name", Table::nonempty_text) else {
            is_complete = false;
            continue;
        };
        is_complete &= refuse_unsafe(name.value, &name.span, "a case's name", table.problems());
        if let Some((_, first)) = cases.iter().find(|(case, _)| &*case.name == name.value) {
            let message = format!("two cases are called `{}`", name.value.escape_debug());
            table.report(
                Diagnostic::error(diagnostic::DUPLICATE_NAME, message, name.span.clone(), "given twice")
                    .also(first.clone(), "the first one"),
            );
            is_complete = false;
        }
        let set = table.item("set").map_or_else(Vec::new, |set| read_set(&set));
        cases.push((Case { name: name.value.into(), set }, name.span));
    }
    is_complete.then(|| cases.into_iter().map(|(case, _)| case).collect())
}

fn read_set(set: &Item<'_, '_>) -> Vec<Override> {
    let value = |(path, item): (String, Item<'_, '_>)| {
        let place = Place { path: item.key_span(), value: item.span() };
        Override::new(path, item.written(), Some(place))
    };
    leaves(set, |_| false).into_iter().map(value).collect()
}

/// What of a case stands in the place of the scenario's own.
const REPLACED: &[&str] = &["description", "expect", "violates", "may_violate"];

/// Puts what a case says of the whole scenario in its place. A case that says what to expect says all of it: what the scenario would
/// have violated is forgotten.
pub(in crate::scenario) fn apply(document: &mut Document<'_>, case: &str) {
    let cases = document.root.get_ref().get("cases").and_then(|cases| cases.get_ref().as_array());
    let found = cases.into_iter().flatten().find(|element| name_of(element) == Some(case));
    let Some(table) = found.and_then(|element| element.get_ref().as_table()) else { return };
    let entries: Vec<_> = table
        .iter()
        .filter(|(key, _)| REPLACED.contains(&key.get_ref().as_ref()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let root: &mut DeTable<'_> = document.root.get_mut();
    if entries.iter().any(|(key, _)| key.get_ref() == "expect") {
        drop(root.remove("violates"));
    }
    for (key, value) in entries {
        // Mistakes are shown where the case has it.
        drop(root.remove(key.get_ref().as_ref()));
        root.insert(key, value);
    }
}
