//! `[nodes]`: who runs.

use std::collections::BTreeMap;

use super::files::{self, NodeFile};
use super::process::{self, Process};
use crate::diagnostic::{self, Diagnostic, Located, Problems, Span};
use crate::names::Names;
use crate::observation::{MAIN, Name};
use crate::table::{Item, Key, Kind, Table};
use crate::target;
use crate::template::{Setting, Template, Var};

/// A node: one or more processes with a data directory and ports of its own.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name, unique in the scenario, and safe as a file name.
    pub name: Name,
    /// 1 for the first.
    pub id: u32,
    /// Its ports.
    pub ports: Vec<Port>,
    /// Its processes, `main` first, then in the order of the file.
    pub processes: Vec<Process>,
    /// What is written into its data directory before its first start.
    pub files: Vec<NodeFile>,
    /// What else logs call it.
    pub aliases: Vec<Template>,
    /// Its own variables.
    pub vars: BTreeMap<Name, Var>,
}

/// A port of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name, `main` if the scenario names none.
    pub name: Name,
    /// The number that the program would like; host mode allocates another.
    pub wanted: Option<u16>,
}

/// Who starts when the run begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartOrder {
    /// All nodes, at once.
    Together,
    /// These, each when the one before is ready; the others are left to `start` steps.
    InOrder(Vec<Name>),
    /// Nobody: `start` steps do it.
    Manual,
}

const OWN_KEYS: &[Key] = &[
    Key::new("count", Kind::Int, "How many nodes."),
    Key::new("name", Kind::Text, "The nodes' names, with {id} for 1, 2, 3 ...; \"peer{id}\" if not given."),
    Key::new(
        "ports",
        Kind::Any,
        "Names of ports ([\"client\", \"peer\"], or with numbers); one called \"main\" if not given.",
    ),
    Key::new(
        "files",
        Kind::Map(&Kind::Any),
        "Files in the data directory, written once before the first start: a text, or { text, mode }.",
    ),
    Key::new("vars", Kind::Map(&Kind::Any), "Variables that speak of the node itself."),
    Key::new("aliases", Kind::Texts, "What else the logs call a node: \"node_{id}\"."),
    Key::new("process", Kind::Map(&Kind::Table(process::KEYS)), "Further processes of each node, beside its command."),
    Key::new("start", Kind::Any, "\"auto\", \"manual\", or the names of the nodes in the order in which they start."),
    Key::new(
        "prepare",
        Kind::Later,
        "Commands before a node's first start: until then, one command that is a shell's line.",
    ),
    Key::new("logs", Kind::Later, "Log files to follow: until then, standard output and error are read."),
];

/// The keys of `[nodes]`: its own, and those of its main process.
pub(super) const KEYS: &[Key] =
    &Key::join::<{ OWN_KEYS.len() + process::COMMON_KEYS.len() }>(OWN_KEYS, process::COMMON_KEYS);

/// `[nodes]`, with the names that it declares.
pub(super) struct Group<'d, 's> {
    pub(super) table: Table<'d, 's>,
    names: Vec<Name>,
    ports: Vec<Port>,
}

/// Declares the nodes, their processes and ports.
pub(super) fn declare<'d, 's>(root: &Table<'d, 's>, names: &mut Names<'_>) -> Option<Group<'d, 's>> {
    let Some(table) = root.required("nodes", |root, key| root.table(key, "[nodes]")) else {
        names.forgive_nodes();
        return None;
    };
    let count = table.required("count", |table, key| table.int(key, 1..=1000));
    let pattern = match table.item("name") {
        Some(_) => table.nonempty_text("name"),
        None => Some(Located { value: "peer{id}", span: table.span() }),
    };
    let ports = read_ports(&table);
    for port in ports.iter().flatten() {
        names.add_port(port.name.clone());
    }
    let node_names = match (count, &pattern) {
        (Some(count), Some(pattern)) => name_nodes(count.value, pattern, table.problems()),
        _ => None,
    };
    let mut processes: Vec<Name> = vec![MAIN.into()];
    for process in table.map("process") {
        refuse_unsafe(process.key(), &process.key_span(), "a process's name", table.problems());
        if process.key() == MAIN {
            let message = "`main` is the node's own command";
            let label = "needs another name";
            table.report(Diagnostic::error(diagnostic::RESERVED_NAME, message, process.key_span(), label));
            continue;
        }
        processes.push(process.key().into());
    }
    for node in node_names.iter().flatten() {
        names.add_node(node.clone(), processes.iter().cloned());
    }
    if node_names.is_none() {
        names.forgive_nodes();
    }
    Some(Group { table, names: node_names.unwrap_or_default(), ports: ports.unwrap_or_default() })
}

fn name_nodes(count: i64, pattern: &Located<&str>, problems: &Problems) -> Option<Vec<Name>> {
    if count > 1 && !pattern.value.contains("{id}") {
        let message = format!("{count} nodes would all be called `{}`", pattern.value.escape_debug());
        problems.report(
            Diagnostic::error(diagnostic::DUPLICATE_NAME, message, pattern.span.clone(), "the same for each")
                .help("{id} stands for 1, 2, 3 ...: \"peer{id}\""),
        );
        return None;
    }
    let named: Vec<Name> = (1..=count).map(|id| pattern.value.replace("{id}", &id.to_string()).into()).collect();
    let first = named.first()?;
    if !refuse_unsafe(first, &pattern.span, "a node's name", problems) {
        return None;
    }
    let is_reserved = |name: &str| target::WORDS.contains(&name) || RESERVED.contains(&name);
    if let Some(name) = named.iter().find(|name| is_reserved(name)) {
        let message = format!("no node can be called `{name}`");
        problems.report(Diagnostic::error(
            diagnostic::RESERVED_NAME,
            message,
            pattern.span.clone(),
            "a word of the language",
        ));
        return None;
    }
    Some(named)
}

/// Words that stand where a node's name could stand: in placeholders and triggers.
const RESERVED: &[&str] = &["fault", "bench", "node", "nodes", "vars", "port", "addr", "start"];

/// Reports a name that could not be a file's. True if it can.
pub(super) fn refuse_unsafe(name: &str, span: &Span, what: &str, problems: &Problems) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_safe = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && name.chars().all(is_letter)
        && name.len() <= 64;
    if !is_safe {
        let message = format!("`{}` cannot be {what}", name.escape_debug());
        problems.report(
            Diagnostic::error(diagnostic::UNSAFE_NAME, message, span.clone(), "not safe as a file name")
                .help("letters, digits, `.`, `_` and `-`, at most 64, not beginning with `.` or `-`"),
        );
    }
    is_safe
}

fn read_ports(table: &Table<'_, '_>) -> Option<Vec<Port>> {
    let Some(item) = table.item("ports") else {
        return Some(vec![Port { name: MAIN.into(), wanted: None }]);
    };
    let mut ports: Vec<Port> = Vec::new();
    let mut add = |name: Located<&str>, wanted: Option<u16>| {
        let is_safe = refuse_unsafe(name.value, &name.span, "a port's name", table.problems());
        if ports.iter().any(|port| &*port.name == name.value) {
            let message = format!("two ports are called `{}`", name.value.escape_debug());
            let label = "given twice";
            table.report(Diagnostic::error(diagnostic::DUPLICATE_NAME, message, name.span, label));
        } else if is_safe {
            ports.push(Port { name: name.value.into(), wanted });
        }
    };
    if item.is_table() {
        for entry in item.entries()? {
            let number = entry.int(1..=65_535)?;
            add(entry.located_key(), u16::try_from(number.value).ok());
        }
    } else {
        item.texts()?.into_iter().for_each(|name| add(name, None));
    }
    Some(ports)
}

/// Reads everything that `[nodes]` says about its nodes.
pub(super) fn parse(
    group: &Group<'_, '_>,
    vars: Option<&BTreeMap<Name, Var>>,
    names: &Names<'_>,
) -> Option<(Vec<Node>, StartOrder)> {
    let table = &group.table;
    let (start, main_starts) = read_start(table, names);
    let mut processes = vec![process::parse(table, MAIN.into(), main_starts, names)];
    for item in table.map("process").iter().filter(|item| item.key() != MAIN) {
        let further = item.table(process::KEYS, "a process").and_then(|process| {
            let starts = process.word("start").is_none_or(|word| word.value == "auto");
            process::parse(&process, item.key().into(), starts, names)
        });
        processes.push(further);
    }
    let files = files::parse(table, names);
    let aliases: Vec<_> = table
        .texts("aliases")
        .unwrap_or_default()
        .iter()
        .map(|alias| Template::parse(alias, Setting::NODE, names))
        .collect();

    let processes: Vec<Process> = processes.into_iter().collect::<Option<_>>()?;
    let (files, aliases, vars) = (files?, aliases.into_iter().collect::<Option<Vec<_>>>()?, vars?);
    let node = |(name, id): (&Name, u32)| Node {
        name: name.clone(),
        id,
        ports: group.ports.clone(),
        processes: processes.clone(),
        files: files.clone(),
        aliases: aliases.clone(),
        vars: vars.clone(),
    };
    Some((group.names.iter().zip(1..).map(node).collect(), start?))
}

/// `start` of `[nodes]`: who starts, and whether main processes start by themselves with their node.
fn read_start(table: &Table<'_, '_>, names: &Names<'_>) -> (Option<StartOrder>, bool) {
    let Some(item) = table.item("start") else { return (Some(StartOrder::Together), true) };
    if !item.is_array() {
        let word = item.word(process::START_WORDS).map(|word| word.value);
        return (word.map(|word| if word == "auto" { StartOrder::Together } else { StartOrder::Manual }), true);
    }
    (read_start_list(&item, names).map(StartOrder::InOrder), true)
}

fn read_start_list(item: &Item<'_, '_>, names: &Names<'_>) -> Option<Vec<Name>> {
    let mut order: Vec<Name> = Vec::new();
    let mut is_complete = true;
    for text in item.texts()? {
        match names.node(&text) {
            Some(node) if order.contains(&node) => {
                let message = format!("`{node}` starts twice");
                let label = "given before";
                item.report(Diagnostic::error(diagnostic::DUPLICATE_NAME, message, text.span, label));
            }
            Some(node) => order.push(node),
            None => is_complete = false,
        }
    }
    is_complete.then_some(order)
}
