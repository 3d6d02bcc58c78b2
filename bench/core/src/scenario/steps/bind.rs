//! `let = { boss = "leader" }`: names for whom a target means at this moment, for this step and later ones.

use crate::diagnostic::{self, Diagnostic};
use crate::names::Names;
use crate::observation::Name;
use crate::scenario::nodes::refuse_unsafe;
use crate::table::{Item, Table};
use crate::target::{self, Purpose, Target};

/// Reads the names that a step binds.
pub(super) fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Vec<(Name, Target)>> {
    let Some(item) = table.item("let") else { return Some(Vec::new()) };
    let entries = item.entries()?;
    if entries.is_empty() {
        let message = "`let` binds nothing";
        item.report(
            Diagnostic::error(diagnostic::EMPTY, message, item.span(), "an empty table")
                .help("a name and whom it means: let = { boss = \"leader\" }"),
        );
    }
    let bound: Vec<_> = entries.iter().map(|entry| parse_one(entry, names)).collect();
    bound.into_iter().collect()
}

fn parse_one(entry: &Item<'_, '_>, names: &Names<'_>) -> Option<(Name, Target)> {
    let is_free =
        refuse_unsafe(entry.key(), &entry.key_span(), "a bound name", entry.problems()) && refuse_taken(entry, names);
    let target = Target::parse(entry, names, Purpose::Act)?;
    is_free.then(|| (entry.key().into(), target))
}

/// A target could not tell one from the other. True if the name is free.
fn refuse_taken(entry: &Item<'_, '_>, names: &Names<'_>) -> bool {
    let name = entry.key();
    let (code, what) = if target::WORDS.contains(&name) {
        (diagnostic::RESERVED_NAME, "a word of the language")
    } else if names.is_node(name) {
        (diagnostic::DUPLICATE_NAME, "a node's name")
    } else if names.group(name).is_some() {
        (diagnostic::DUPLICATE_NAME, "a group's name")
    } else if names.is_role(name) {
        (diagnostic::DUPLICATE_NAME, "a role's name")
    } else {
        return true;
    };
    let message = format!("`{name}` cannot be bound");
    entry.report(Diagnostic::error(code, message, entry.key_span(), what).help("choose another name"));
    false
}

/// The names that a step's table would bind, before it is read.
pub(super) fn announced<'d>(step: &Item<'d, '_>) -> Vec<&'d str> {
    let bound = step.entries_quietly().into_iter().find(|entry| entry.key() == "let");
    bound.map(|bound| bound.entries_quietly().iter().map(Item::key).collect()).unwrap_or_default()
}
