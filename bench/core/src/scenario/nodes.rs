//! A node, and the keys of `[nodes]` and `[groups.NAME]`: how many there are, their names and ports.

use std::collections::BTreeMap;

use super::files::{self, NodeFile};
use super::process::{self, Process};
use super::rights;
use super::vars::{self, WHOM};
use crate::diagnostic::{self, Diagnostic, Located, Problems, Span};
use crate::observation::{MAIN, Name};
use crate::table::{Item, Key, Kind, Table};
use crate::target;
use crate::template::{Template, Var};

/// A node: one or more processes with a data directory and ports of its own.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name, unique in the scenario, and safe as a file name.
    pub name: Name,
    /// Its group, if the scenario has named ones.
    pub group: Option<Name>,
    /// 1 for the first of its group.
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
    /// What only the laboratory can give it.
    pub rights: Rights,
}

/// What only the laboratory can give to a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// Capabilities of Linux that its processes have there: `NET_ADMIN`.
    pub caps: Vec<&'static str>,
    /// The user as whom it runs, by name or number; the one who runs dsbench if not given.
    pub user: Option<String>,
    /// Ports that this machine can reach.
    pub expose: Vec<Door>,
}

/// A port of a node that this machine can reach on a port of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// The node's port, by name.
    pub port: Name,
    /// The number on 127.0.0.1 for the first node of the group; any if none.
    pub first: Option<u16>,
}

impl Door {
    /// The number on 127.0.0.1 for this node: one more for each that stands before it in its group.
    pub fn number(&self, node: &Node) -> Option<u16> {
        let above = u16::try_from(node.id.saturating_sub(1)).ok()?;
        self.first?.checked_add(above)
    }
}

/// A port of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name, `main` if the scenario names none.
    pub name: Name,
    /// The number that the program would like; host mode allocates another.
    pub wanted: Option<u16>,
}

/// The first port of a node in the laboratory that wants no number for it.
const FIRST_PORT: u16 = 7001;

impl Node {
    /// Its ports where it has an address of its own: the numbers that it wants, and for the others those from 7001 on, the same at every
    /// node of the group.
    pub fn own_ports(&self) -> BTreeMap<Name, u16> {
        let wanted: Vec<u16> = self.ports.iter().filter_map(|port| port.wanted).collect();
        let mut free = (FIRST_PORT..).filter(|number| !wanted.contains(number));
        let number = |port: &Port| port.wanted.or_else(|| free.next()).unwrap_or_default();
        self.ports.iter().map(|port| port.name.clone()).zip(self.ports.iter().map(number)).collect()
    }
}

/// What is said of a group as a whole, or of a single node in another way.
const GROUP_KEYS: &[Key] = &[
    Key::required("count", Kind::IntIn(1, 1000), "How many nodes."),
    Key::new(
        "name",
        Kind::Text,
        "The nodes' names, with {id} for 1, 2, 3 ...; \"peer{id}\" if not given, and \"server{id}\" in [groups.server].",
    ),
    Key::new(
        "ports",
        Kind::Either(&[Kind::Texts, Kind::Map(&Kind::IntIn(1, 65_535))]),
        "Names of ports ([\"client\", \"peer\"], or with numbers); one called \"main\" if not given.",
    ),
    Key::new(
        "start",
        Kind::Either(&[Kind::OneOf(process::START_WORDS), Kind::List(&Kind::Text)]),
        "\"auto\" (all at once), \"manual\" (by `start` steps), or nodes of the group in the order in which they start, each when the one before is ready.",
    ),
    Key::new(
        "after",
        Kind::Texts,
        "Groups that are ready before this one starts when the run begins; if not given, groups start side by side.",
    ),
    Key::new(
        "caps",
        Kind::List(&Kind::OneOf(rights::CAPABILITIES)),
        "Capabilities that its processes have in its own network and files: [\"NET_ADMIN\", \"NET_RAW\"]. Needs the network laboratory.",
    ),
    Key::new(
        "user",
        Kind::Text,
        "As whom it runs, a name or a number; as whoever runs dsbench if not given. Needs the network laboratory.",
    ),
    Key::new(
        "expose",
        Kind::Either(&[Kind::Texts, Kind::Map(&Kind::IntIn(1, 65_535))]),
        "Ports of it, by name, that this machine can reach on a port of 127.0.0.1, over no link that a fault could be on: [\"http\"] on any that is free, { http = 18080 } on this one for the first node of the group, 18081 for the second ...; `dsbench ps` and run.json tell which. Needs the network laboratory.",
    ),
    Key::new("process", Kind::Map(&Kind::Table(process::KEYS)), "Further processes of each node, beside its command."),
];

/// What is said of a node, beside its main process.
const OWN_KEYS: &[Key] = &[
    Key::new(
        "files",
        Kind::Map(&Kind::TableOr("text", files::KEYS)),
        "Files in the data directory, written once before the first start: a text, or { text, mode }.",
    ),
    Key::new("vars", Kind::Map(vars::KIND), "Variables that speak of the node itself."),
    Key::new("aliases", Kind::Texts, "What else the logs call a node: \"node_{id}\"."),
];

/// The keys of `[nodes]` and of a group: their own, and those of their main process.
pub(super) const KEYS: &[Key] = &Key::join::<{ GROUP_KEYS.len() + NODE_KEYS.len() }>(GROUP_KEYS, NODE_KEYS);

/// The keys of a node, whether all of its group have them or only this one differs.
pub(super) const NODE_KEYS: &[Key] =
    &Key::join::<{ OWN_KEYS.len() + process::COMMON_KEYS.len() }>(OWN_KEYS, process::COMMON_KEYS);

/// The names of a group's nodes.
pub(super) fn name_nodes(count: i64, pattern: &Located<String>, problems: &Problems) -> Option<Vec<Name>> {
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

/// Words that stand where a node's or a group's name could stand: in placeholders, triggers and checks.
const RESERVED: &[&str] = &["fault", "bench", "node", "nodes", "groups", "vars", "port", "addr", "start", "target"];

/// True if a node or a group cannot be called so.
pub(super) fn is_reserved(name: &str) -> bool {
    [target::WORDS, RESERVED, WHOM].iter().any(|words| words.contains(&name))
}

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

/// The ports of a group's nodes.
pub(super) fn read_ports(table: &Table<'_, '_>) -> Option<Vec<Port>> {
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
        let entries = item.entries()?;
        for entry in &entries {
            let number = entry.int(1..=65_535)?;
            add(entry.located_key(), u16::try_from(number.value).ok());
        }
        warn_of_numbers(&item, &entries);
    } else {
        item.texts()?.into_iter().for_each(|name| add(name, None));
    }
    Some(ports)
}

/// A number that a program was promised and does not get is better told than found out.
fn warn_of_numbers(ports: &Item<'_, '_>, entries: &[Item<'_, '_>]) {
    let Some(first) = entries.first() else { return };
    let message = "in host mode these port numbers are replaced";
    let names = entries.iter().map(|entry| format!("\"{}\"", entry.key())).collect::<Vec<_>>().join(", ");
    let help = format!(
        "every node gets free ports of 127.0.0.1: {{port.{0}}} and {{addr.{0}}} name them; `ports = [{names}]` says the same without numbers; with `[network] mode = \"lab\"` every node has a network of its own, and these numbers",
        first.key()
    );
    let label = "the nodes get other numbers";
    ports.report(Diagnostic::warning(diagnostic::PORT_REPLACED, message, ports.span(), label).help(help));
}
