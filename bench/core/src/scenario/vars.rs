//! `[vars]`: texts that commands and files can use as `{vars.NAME}`. A variable can use those that stand before it in the file.

use std::collections::BTreeMap;

use super::nodes::refuse_unsafe;
use crate::diagnostic::{self, Diagnostic, Located, suggestion};
use crate::groups::{ScopeId, VarShape, Whose};
use crate::names::Names;
use crate::observation::Name;
use crate::table::{Item, Key, Kind, Need, Table};
use crate::template::{Of, Setting, Template, Var};

/// The scenario's variables by name.
pub type Vars = BTreeMap<Name, Var>;

/// What stands at the name of a variable.
pub(super) const KIND: &Kind = &Kind::Either(&[Kind::Texts, Kind::Int, Kind::Float, Kind::Bool, Kind::Table(KEYS)]);

const VALUE: Need = Need::OneOf("a value");

const KEYS: &[Key] = &[
    Key::new("each", Kind::Text, "A text for each node, from that node's point of view: \"{name}={addr}\".")
        .with(VALUE),
    Key::new(
        "of",
        Kind::Text,
        "Of which nodes: \"all\" of the scenario (if not given), the \"others\" of its own group, those of a GROUP, a NODE, or a partner by number: \"chat{id}\".",
    ),
    Key::new("join", Kind::Text, "What stands between them; without it they are a list, and become several arguments."),
    Key::new("path", Kind::Text, "A path relative to the scenario file.").with(VALUE),
];

/// The words that `of` has for nodes.
pub(super) const WHOM: &[&str] = &["all", "others"];

/// The variables that every node sees.
pub(super) fn parse(root: &Table<'_, '_>, names: &mut Names<'_>) -> Option<Vars> {
    parse_table(root, None, names)
}

/// The variables of a group's nodes, or of a single node.
pub(super) fn parse_own(table: &Table<'_, '_>, of: ScopeId, names: &mut Names<'_>) -> Option<Vars> {
    parse_table(table, Some(of), names)
}

fn parse_table(table: &Table<'_, '_>, of: Option<ScopeId>, names: &mut Names<'_>) -> Option<Vars> {
    let mut vars = Vars::new();
    let mut is_complete = true;
    for item in table.map("vars") {
        refuse_unsafe(item.key(), &item.key_span(), "a variable's name", item.problems());
        names.define_var(item.key());
        let var = parse_var(&item, of, names);
        // Declared in any case: its users need no report of their own.
        let shape = var.as_ref().map_or_else(VarShape::default, Var::shape);
        names.add_var(of, item.key(), shape);
        match var {
            Some(var) => drop(vars.insert(item.key().into(), var)),
            None => is_complete = false,
        }
    }
    is_complete.then_some(vars)
}

fn parse_var(item: &Item<'_, '_>, of: Option<ScopeId>, names: &Names<'_>) -> Option<Var> {
    let setting = Setting::NODE.of(of.map_or(Whose::Anybody, Whose::Of));
    if item.is_text() {
        return Template::parse(&item.text()?, setting, names).map(Var::Text);
    }
    if item.is_array() {
        let texts: Vec<_> = item.texts()?.iter().map(|text| Template::parse(text, setting, names)).collect();
        return texts.into_iter().collect::<Option<_>>().map(Var::List);
    }
    // A number is what it looks like: `vars.limit = 5`, and a matrix of them.
    if let Some(text) = item.number_as_text() {
        return Some(Var::Text(Template::text(text)));
    }
    if !item.is_table() {
        return item.wrong_type("a text, a number, a list of texts, { each = .. } or { path = .. }");
    }
    let table = item.table(KEYS, "a variable")?;
    match table.exactly_one(&["each", "path"], "a value", "a text for each node (`each`), or a `path`")?.key() {
        "path" => Some(Var::Path(table.nonempty_text("path")?.value.to_owned())),
        _ => {
            let whom = match table.text("of") {
                None if table.has("of") => None,
                None => Some((Of::All, Whose::Everybody)),
                Some(whom) => parse_whom(&whom, of, names),
            };
            // Which ports the text may name depends on whose they are.
            let whose = whom.as_ref().map_or(Whose::Anybody, |(_, whose)| *whose);
            let each = Template::parse(&table.text("each")?, Setting::NODE.of(whose), names);
            let join = table.text("join").map(|join| join.value.to_owned());
            Some(Var::Each { each: each?, of: whom?.0, join })
        }
    }
}

/// Reads `of`: which nodes, and from whose point of view their text is read.
fn parse_whom(whom: &Located<&str>, of: Option<ScopeId>, names: &Names<'_>) -> Option<(Of, Whose)> {
    let groups = names.groups();
    match whom.value {
        "all" => Some((Of::All, Whose::Everybody)),
        "others" => Some((Of::Others, of.map_or(Whose::Anybody, Whose::Of))),
        pattern if pattern.contains("{id}") => parse_partner(whom, of, names),
        name => {
            if let Some(group) = groups.named(name) {
                return Some((Of::Group(name.into()), Whose::Of(group)));
            }
            if let Some(group) = groups.of_node(name) {
                return Some((Of::One(name.to_owned()), Whose::Of(group)));
            }
            if names.nodes_are_unknown() {
                return None;
            }
            let known = names.nodes().chain(groups.names()).map(|name| &**name).chain(WHOM.iter().copied());
            let message = format!("no group or node is called `{}`", name.escape_debug());
            let help = suggestion(name, "possible", known);
            refuse(names, message, whom, "unknown nodes", help);
            None
        }
    }
}

/// `of = "chat{id}"`: for client2 it is chat2. Every node that can use the variable must have its partner.
fn parse_partner(whom: &Located<&str>, of: Option<ScopeId>, names: &Names<'_>) -> Option<(Of, Whose)> {
    let groups = names.groups();
    let Some(of) = of else {
        let message =
            "a partner by its number is that of the node that uses the variable, and here nobody in particular does";
        let help = "write the variable into the group that uses it: [groups.client] vars = { .. }";
        refuse(names, message.to_owned(), whom, "whose {id}?", help.to_owned());
        return None;
    };
    if names.nodes_are_unknown() {
        return None;
    }
    let partner = |node: &Name| {
        let partner = whom.value.replace("{id}", &groups.id(node).unwrap_or_default().to_string());
        (groups.of_node(&partner), partner)
    };
    let partners: Vec<_> = groups.nodes(of).iter().map(|node| (node, partner(node))).collect();
    if let Some((node, (_, partner))) = partners.iter().find(|(_, (group, _))| group.is_none()) {
        let message = format!("{node} has no partner: no node is called `{}`", partner.escape_debug());
        let help = "give both groups the same `count`, or name one node or a group";
        refuse(names, message, whom, "not for every node", help.to_owned());
        return None;
    }
    let mut owners = partners.iter().filter_map(|(_, (group, _))| *group);
    let first = owners.next()?;
    let whose = if owners.all(|group| group == first) { Whose::Of(first) } else { Whose::Everybody };
    Some((Of::One(whom.value.to_owned()), whose))
}

fn refuse(names: &Names<'_>, message: String, at: &Located<&str>, label: &str, help: String) {
    let diagnostic = Diagnostic::error(diagnostic::UNKNOWN_TARGET, message, at.span.clone(), label);
    names.problems().report(diagnostic.help(help));
}
