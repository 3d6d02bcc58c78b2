//! `[vars]`: texts that commands and files can use as `{vars.NAME}`. A variable can use those that stand before it in the file.

use std::collections::BTreeMap;

use super::nodes::{Group, refuse_unsafe};
use crate::names::Names;
use crate::observation::Name;
use crate::table::{Item, Key, Kind, Table};
use crate::template::{Setting, Template, Var};

/// The scenario's variables by name.
pub type Vars = BTreeMap<Name, Var>;

const KEYS: &[Key] = &[
    Key::new("each", Kind::Text, "A text for each node, from that node's point of view: \"{name}={addr}\"."),
    Key::new(
        "of",
        Kind::OneOf(&["all", "others"]),
        "Of which nodes; \"others\" leaves out the one that uses it; \"all\" if not given.",
    ),
    Key::new("join", Kind::Text, "What stands between them; without it they are a list, and become several arguments."),
    Key::new("path", Kind::Text, "A path relative to the scenario file."),
];

pub(super) fn parse(root: &Table<'_, '_>, names: &mut Names<'_>) -> Option<Vars> {
    parse_table(root, names)
}

/// The variables of the nodes themselves.
pub(super) fn parse_own(group: &Group<'_, '_>, names: &mut Names<'_>) -> Option<Vars> {
    parse_table(&group.table, names)
}

fn parse_table(table: &Table<'_, '_>, names: &mut Names<'_>) -> Option<Vars> {
    let mut vars = Vars::new();
    let mut is_complete = true;
    for item in table.map("vars") {
        refuse_unsafe(item.key(), &item.key_span(), "a variable's name", item.problems());
        let var = parse_var(&item, names);
        // Declared in any case: its users need no report of their own.
        let shape = var.as_ref().map_or(crate::names::VarShape { is_list: false, needs_node: false }, Var::shape);
        names.add_var(item.key(), shape);
        match var {
            Some(var) => drop(vars.insert(item.key().into(), var)),
            None => is_complete = false,
        }
    }
    is_complete.then_some(vars)
}

fn parse_var(item: &Item<'_, '_>, names: &Names<'_>) -> Option<Var> {
    if item.is_text() {
        return Template::parse(&item.text()?, Setting::NODE, names).map(Var::Text);
    }
    if item.is_array() {
        let texts: Vec<_> = item.texts()?.iter().map(|text| Template::parse(text, Setting::NODE, names)).collect();
        return texts.into_iter().collect::<Option<_>>().map(Var::List);
    }
    if !item.is_table() {
        return item.wrong_type("a text, a list of texts, { each = .. } or { path = .. }");
    }
    let table = item.table(KEYS, "a variable")?;
    match table.exactly_one(&["each", "path"], "a value", "a text for each node (`each`), or a `path`")?.key() {
        "path" => Some(Var::Path(table.nonempty_text("path")?.value.to_owned())),
        _ => Some(Var::Each {
            each: Template::parse(&table.text("each")?, Setting::NODE, names)?,
            others: table.word("of").is_some_and(|of| of.value == "others"),
            join: table.text("join").map(|join| join.value.to_owned()),
        }),
    }
}
