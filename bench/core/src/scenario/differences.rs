//! `[override.NODE]`: how one node differs from the others of its group.

use super::files::{self, NodeFile};
use super::groups::{aliases, further};
use super::nodes;
use super::process::{self, Parts};
use super::vars::{self, Vars};
use crate::diagnostic::{self, Diagnostic, suggestion};
use crate::groups::{ScopeId, Whose};
use crate::names::Names;
use crate::observation::{MAIN, Name};
use crate::table::{Item, Key, Kind, Table};
use crate::template::Template;

/// A key that is said of the group.
const fn of_group(name: &'static str, doc: &'static str) -> Key {
    Key::new(name, Kind::Elsewhere, doc)
}

const OWN_KEYS: &[Key] = &[
    Key::new(
        "process",
        Kind::Map(&Kind::Table(&Key::optional::<{ process::KEYS.len() }>(process::KEYS))),
        "Its further processes: how one of them differs, or one that only this node has (then with a command).",
    ),
    Key::new(
        "start",
        Kind::OneOf(process::START_WORDS),
        "\"auto\" (with the others) or \"manual\" (by a `start` step); not where the group lists who starts.",
    ),
    of_group("count", "The number of nodes is said of the group: [nodes] or [groups.NAME]."),
    of_group("name", "A node's name follows from the group's `name` and its number; `aliases` are other names for it."),
    of_group(
        "ports",
        "All nodes of a group have the same ports, so that others can name them: [nodes] or [groups.NAME].",
    ),
    of_group("caps", "What a node may do is said of the group: [nodes] or [groups.NAME]."),
    of_group("user", "As whom nodes run is said of the group: [nodes] or [groups.NAME]."),
    of_group("expose", "Which ports this machine can reach is said of the group: [nodes] or [groups.NAME]."),
    of_group("after", "When a group starts is said of the group: [groups.NAME]."),
];

/// The keys of `[override.NODE]`: what is given takes the place of what the group says; `env`, `vars`, `files` and `process` are merged
/// by name. A `command` also stands for the group's `restart_command`.
pub(super) const KEYS: &[Key] = &Key::join::<{ OWN_KEYS.len() + nodes::NODE_KEYS.len() }>(
    OWN_KEYS,
    &Key::optional::<{ nodes::NODE_KEYS.len() }>(nodes::NODE_KEYS),
);

/// A node's `[override.NODE]`.
pub(super) struct Difference<'d, 's> {
    pub(super) node: Name,
    pub(super) table: Table<'d, 's>,
    scope: ScopeId,
    /// The processes that no other node of its group has.
    added: Vec<Name>,
    vars: Option<Vars>,
}

/// What is different at a node.
pub(super) struct Changes {
    pub(super) node: Name,
    pub(super) processes: Vec<(Name, Parts)>,
    pub(super) files: Vec<NodeFile>,
    pub(super) aliases: Option<Vec<Template>>,
    pub(super) vars: Vars,
}

/// Declares whose differences there are, and the processes that only they have.
pub(super) fn declare<'d, 's>(root: &Table<'d, 's>, names: &mut Names<'_>) -> Vec<Difference<'d, 's>> {
    let mut differences = Vec::new();
    for item in root.map("override") {
        let Some(scope) = names.groups().of_node(item.key()) else {
            refuse_stranger(&item, names);
            continue;
        };
        let Some(table) = item.table(KEYS, "an override") else { continue };
        let node = Name::from(item.key());
        let mut added: Vec<Name> = further(&table).iter().map(|process| process.key().into()).collect();
        added.retain(|process| !names.processes(&node).contains(process));
        added.iter().for_each(|process| names.add_process(&node, process.clone()));
        let scope = names.begin_override(scope, node.clone());
        differences.push(Difference { node, table, scope, added, vars: None });
    }
    differences
}

fn refuse_stranger(item: &Item<'_, '_>, names: &Names<'_>) {
    let node = item.key().escape_debug();
    let (message, help) = if names.group(item.key()).is_some() {
        let help = format!("what is true of all its nodes stands in [groups.{node}]; an override is of one of them");
        (format!("`{node}` is a group"), help)
    } else if names.nodes_are_unknown() {
        return;
    } else {
        let help = suggestion(item.key(), "nodes", names.nodes().map(|node| &**node));
        (format!("no node is called `{node}`"), help)
    };
    item.report(Diagnostic::error(diagnostic::UNKNOWN_TARGET, message, item.key_span(), "not a node").help(help));
}

impl Difference<'_, '_> {
    pub(super) fn declare_vars(&mut self, names: &mut Names<'_>) {
        self.vars = vars::parse_own(&self.table, self.scope, names);
    }

    pub(super) fn parse(&self, names: &Names<'_>) -> Option<Changes> {
        let (table, whose) = (&self.table, Whose::Of(self.scope));
        let mut processes = vec![Parts::parse(table, whose, names).map(|parts| (MAIN.into(), parts))];
        for item in further(table) {
            processes.push(self.parse_further(&item, names));
        }
        let files = files::parse(table, whose, names);
        let aliases = table.has("aliases").then(|| aliases(table, whose, names));
        let aliases = match aliases {
            None => None,
            Some(aliases) => Some(aliases?),
        };
        let (node, vars) = (self.node.clone(), self.vars.clone());
        let processes = processes.into_iter().collect::<Option<_>>();
        Some(Changes { node, processes: processes?, files: files?, aliases, vars: vars? })
    }

    /// A process that the group has, with its differences; or one that only this node has.
    fn parse_further(&self, item: &Item<'_, '_>, names: &Names<'_>) -> Option<(Name, Parts)> {
        let table = item.table(process::KEYS, "a process")?;
        if self.added.iter().any(|added| **added == *item.key()) {
            table.required("command", Table::item)?;
        }
        let parts = Parts::parse_further(&table, Whose::Of(self.scope), names)?;
        Some((item.key().into(), parts))
    }
}
