//! `[roles]`: names that targets can use, each for the node that said an event last.

use crate::cluster::Role;
use crate::diagnostic::{self, Diagnostic};
use crate::names::{FieldKind, Names};
use crate::observation::Name;
use crate::table::{Item, Key, Kind, Table};
use crate::target;

/// The keys of a role.
pub(super) const KEYS: &[Key] = &[
    Key::required(
        "last",
        Kind::Event,
        "Who said this event last has the role, even when it is dead, until another says it.",
    ),
    Key::new(
        "highest",
        Kind::Text,
        "A field of the event (a number) that may not go down: an old leader that wakes up is not the newest.",
    ),
    Key::new(
        "named_by",
        Kind::Text,
        "A field of the event (a node) that names who has the role, if it is not the one whose log says it.",
    ),
    Key::new("initially", Kind::Text, "The node that has the role before the first event."),
];

/// Declares the roles, before any target is read.
pub(super) fn declare(root: &Table<'_, '_>, names: &mut Names<'_>) {
    for item in root.map("roles") {
        let name = item.key();
        let is_group = names.group(name).is_some();
        let is_taken = names.is_node(name) || is_group;
        if is_taken || target::WORDS.contains(&name) || name.contains(['/', '!']) || name.is_empty() {
            let message = format!("no role can be called `{}`", name.escape_debug());
            let label = match (is_taken, is_group) {
                (_, true) => "a group is called so",
                (true, _) => "a node is called so",
                _ => "targets could not tell",
            };
            item.report(Diagnostic::error(diagnostic::RESERVED_NAME, message, item.key_span(), label));
        }
        names.add_role(name);
    }
}

/// Reads the roles.
pub(super) fn parse(root: &Table<'_, '_>, names: &Names<'_>) -> Option<Vec<Role>> {
    let roles: Vec<_> = root.map("roles").iter().map(|item| parse_role(item, names)).collect();
    roles.into_iter().collect()
}

fn parse_role(item: &Item<'_, '_>, names: &Names<'_>) -> Option<Role> {
    let table = item.table_or("last", KEYS, "a role")?;
    let last = table.required("last", Table::text).and_then(|event| names.event(&event));
    let field = |key: &'static str, kinds: &[FieldKind]| -> Option<Option<Name>> {
        match (table.text(key), &last) {
            (None, _) => Some(None),
            (Some(field), Some(event)) => names.field_of_kind(event, &field, kinds).map(|field| Some(field.field)),
            (Some(_), None) => None,
        }
    };
    let highest = field("highest", &[FieldKind::Int, FieldKind::Float]);
    let named_by = field("named_by", &[FieldKind::Node]);
    let initially = match table.text("initially") {
        None => Some(None),
        Some(node) => names.node(&node).map(Some),
    };
    Some(Role { name: item.key().into(), last: last?, highest: highest?, named_by: named_by?, initially: initially? })
}
