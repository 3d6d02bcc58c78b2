//! `[nodes]`, or several `[groups.NAME]`: who runs.

use super::differences::{self, Changes, Difference};
use super::files::{self, NodeFile};
use super::nodes::{self, Node, Port, Rights, name_nodes, read_ports, refuse_unsafe};
use super::prepare::PREPARE;
use super::process::{self, Parts};
use super::rights;
use super::start::StartOrder;
use super::turns;
use super::vars::{self, Vars};
use crate::diagnostic::{self, Diagnostic, Located};
use crate::groups::{ScopeId, Whose};
use crate::names::Names;
use crate::observation::{MAIN, Name};
use crate::table::{Item, Table};
use crate::template::{Setting, Template};

/// Everybody who runs, with the names that are declared.
pub(super) struct Cast<'d, 's> {
    groups: Vec<Group<'d, 's>>,
    differences: Vec<Difference<'d, 's>>,
}

/// `[nodes]`, or one `[groups.NAME]`.
pub(super) struct Group<'d, 's> {
    pub(super) name: Option<Name>,
    pub(super) table: Table<'d, 's>,
    pub(super) nodes: Vec<Name>,
    scope: ScopeId,
    ports: Vec<Port>,
    vars: Option<Vars>,
}

/// What is true of every node of a group, unless it differs.
#[derive(Clone)]
struct Body {
    /// `main` first.
    processes: Vec<(Name, Parts)>,
    files: Vec<NodeFile>,
    aliases: Vec<Template>,
    vars: Vars,
    rights: Rights,
}

/// Declares the groups, their nodes, processes and ports.
pub(super) fn declare<'d, 's>(root: &Table<'d, 's>, names: &mut Names<'_>) -> Option<Cast<'d, 's>> {
    let groups = declare_groups(root, names);
    if groups.is_none() {
        names.forgive_nodes();
    }
    let differences = differences::declare(root, names);
    Some(Cast { groups: groups?, differences })
}

fn declare_groups<'d, 's>(root: &Table<'d, 's>, names: &mut Names<'_>) -> Option<Vec<Group<'d, 's>>> {
    let help = "[nodes] for nodes of one kind, [groups.NAME] for several kinds";
    let item = root.exactly_one(&["nodes", "groups"], "a table of nodes", help)?;
    if item.key() == "nodes" {
        return Some(vec![Group::declare(item.table(nodes::KEYS, "[nodes]")?, None, names)]);
    }
    let entries = item.entries()?;
    if entries.is_empty() {
        let message = "`groups` has no group";
        let diagnostic = Diagnostic::error(diagnostic::EMPTY, message, item.span(), "nobody runs");
        root.report(diagnostic.help("[groups.NAME] with at least `count` and `command`"));
        return None;
    }
    let mut groups: Vec<Group<'d, 's>> = Vec::new();
    for entry in &entries {
        refuse_reserved(entry);
        if let Some(table) = entry.table(nodes::KEYS, "a group") {
            groups.push(Group::declare(table, Some(entry.key().into()), names));
        }
    }
    if groups.len() < entries.len() {
        return None;
    }
    refuse_taken(&entries, &groups);
    Some(groups)
}

/// A group's name is a file's nowhere, but a target and a word in placeholders.
fn refuse_reserved(entry: &Item<'_, '_>) {
    refuse_unsafe(entry.key(), &entry.key_span(), "a group's name", entry.problems());
    if nodes::is_reserved(entry.key()) {
        let message = format!("no group can be called `{}`", entry.key());
        let label = "a word of the language";
        entry.report(Diagnostic::error(diagnostic::RESERVED_NAME, message, entry.key_span(), label));
    }
}

/// Names of nodes and groups are given once; but a group of one node may be called as its node.
fn refuse_taken(entries: &[Item<'_, '_>], groups: &[Group<'_, '_>]) {
    for (index, group) in groups.iter().enumerate() {
        let place =
            |group: usize| groups[group].table.item("name").map_or(entries[group].key_span(), |name| name.span());
        let twin = |node: &Name| groups[..index].iter().position(|other| other.nodes.contains(node));
        if let Some((node, twin)) = group.nodes.iter().find_map(|node| Some((node, twin(node)?))) {
            let message = format!("two nodes are called `{node}`");
            let diagnostic = Diagnostic::error(diagnostic::DUPLICATE_NAME, message, place(index), "names it again");
            group.table.report(diagnostic.also(place(twin), "the first one").help("names are unique over all groups"));
        }
        let name = group.name.clone().unwrap_or_default();
        let is_its_own = |owner: &Group<'_, '_>| owner.name == group.name && owner.nodes.len() == 1;
        if let Some(owner) = groups.iter().position(|owner| owner.nodes.contains(&name) && !is_its_own(owner)) {
            let message = format!("no group can be called `{name}`");
            let diagnostic =
                Diagnostic::error(diagnostic::RESERVED_NAME, message, entries[index].key_span(), "a node is called so");
            group.table.report(diagnostic.also(place(owner), "named here"));
        }
    }
}

impl<'d, 's> Group<'d, 's> {
    fn declare(table: Table<'d, 's>, name: Option<Name>, names: &mut Names<'_>) -> Self {
        let scope = names.begin_group(name.clone());
        let count = table.required("count", |table, key| table.int(key, 1..=1000));
        let default = format!("{}{{id}}", name.as_deref().unwrap_or("peer"));
        let pattern = match table.item("name") {
            Some(_) => table.nonempty_text("name").map(|name| name.map(str::to_owned)),
            None => Some(Located { value: default, span: table.span() }),
        };
        let ports = read_ports(&table);
        for port in ports.iter().flatten() {
            names.add_port(port.name.clone());
        }
        let nodes = match (count, &pattern) {
            (Some(count), Some(pattern)) => name_nodes(count.value, pattern, table.problems()),
            _ => None,
        };
        let mut processes: Vec<Name> = vec![MAIN.into()];
        processes.extend(further(&table).iter().map(|process| Name::from(process.key())));
        for node in nodes.iter().flatten() {
            names.add_node(node.clone(), processes.iter().cloned());
        }
        if nodes.is_none() {
            names.forgive_nodes();
        }
        Self { name, table, nodes: nodes.unwrap_or_default(), scope, ports: ports.unwrap_or_default(), vars: None }
    }

    fn body(&self, names: &Names<'_>) -> Option<Body> {
        let (table, whose) = (&self.table, Whose::Of(self.scope));
        table.required("command", Table::item);
        let mut processes = vec![Parts::parse(table, whose, names).map(|parts| (MAIN.into(), parts))];
        for item in further(table) {
            let further = item.table(process::KEYS, "a process").and_then(|table| {
                table.required("command", Table::item);
                Parts::parse_further(&table, whose, names)
            });
            processes.push(further.map(|parts| (item.key().into(), parts)));
        }
        let files = files::parse(table, whose, names);
        let aliases = aliases(table, whose, names);
        let processes = processes.into_iter().collect::<Option<_>>();
        let rights = rights::parse(table, &self.ports, self.nodes.len(), names);
        Some(Body {
            processes: processes?,
            files: files?,
            aliases: aliases?,
            vars: self.vars.clone()?,
            rights: rights?,
        })
    }

    fn node(&self, name: &Name, id: u32, body: Body, names: &Names<'_>) -> Option<Node> {
        let turns: Vec<_> = body.processes.iter().map(|(name, parts)| (name.clone(), parts.turn())).collect();
        let elders = turns::settle(&turns, names)?;
        let processes =
            body.processes.into_iter().zip(elders).map(|((name, parts), after)| parts.complete(name, after));
        Some(Node {
            name: name.clone(),
            group: self.name.clone(),
            id,
            ports: self.ports.clone(),
            processes: processes.collect::<Option<_>>()?,
            files: body.files,
            aliases: body.aliases,
            vars: body.vars,
            rights: body.rights,
        })
    }
}

impl Body {
    /// With what is different at one node.
    fn but(mut self, changes: &Changes) -> Self {
        for (name, parts) in &changes.processes {
            match self.processes.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => *known = std::mem::take(known).but(parts.clone()),
                None => self.processes.push((name.clone(), parts.clone())),
            }
        }
        self.files.retain(|file| changes.files.iter().all(|changed| changed.path != file.path));
        self.files.extend(changes.files.iter().cloned());
        if let Some(aliases) = &changes.aliases {
            self.aliases.clone_from(aliases);
        }
        self.vars.extend(changes.vars.iter().map(|(name, var)| (name.clone(), var.clone())));
        self
    }
}

/// The further processes of a table; one that is called as the main process is refused.
pub(super) fn further<'d, 's>(table: &Table<'d, 's>) -> Vec<Item<'d, 's>> {
    let mut processes = table.map("process");
    processes.retain(|process| {
        refuse_unsafe(process.key(), &process.key_span(), "a process's name", table.problems());
        let message = match process.key() {
            MAIN => "`main` is the node's own command",
            // Under this name, and what ends in it, stands what prepares the processes.
            name if name == PREPARE || name.ends_with(".prepare") => "`prepare` is what comes before a process",
            _ => return true,
        };
        let label = "needs another name";
        table.report(Diagnostic::error(diagnostic::RESERVED_NAME, message, process.key_span(), label));
        false
    });
    processes
}

pub(super) fn aliases(table: &Table<'_, '_>, whose: Whose, names: &Names<'_>) -> Option<Vec<Template>> {
    let setting = Setting::NODE.of(whose);
    let aliases = table.texts("aliases").unwrap_or_default();
    let aliases: Vec<_> = aliases.iter().map(|alias| Template::parse(alias, setting, names)).collect();
    aliases.into_iter().collect()
}

impl Cast<'_, '_> {
    /// Declares the variables of the groups and of single nodes.
    pub(super) fn declare_vars(&mut self, names: &mut Names<'_>) {
        for group in &mut self.groups {
            group.vars = vars::parse_own(&group.table, group.scope, names);
        }
        for difference in &mut self.differences {
            difference.declare_vars(names);
        }
    }

    /// Reads everything that is said about the nodes.
    pub(super) fn parse(&self, names: &Names<'_>) -> Option<(Vec<Node>, StartOrder)> {
        let start = StartOrder::parse(&self.groups, &self.differences, names);
        let bodies: Vec<_> = self.groups.iter().map(|group| group.body(names)).collect();
        let changes: Vec<_> = self.differences.iter().map(|difference| difference.parse(names)).collect();
        let changes = changes.into_iter().collect::<Option<Vec<Changes>>>()?;
        let mut nodes = Vec::new();
        for (group, body) in self.groups.iter().zip(bodies) {
            let body = body?;
            for (name, id) in group.nodes.iter().zip(1..) {
                let changes = changes.iter().find(|changes| changes.node == *name);
                let body = changes.map_or_else(|| body.clone(), |changes| body.clone().but(changes));
                nodes.push(group.node(name, id, body, names)?);
            }
        }
        let group_of = |node: &Node| self.groups.iter().find(|group| group.name == node.group);
        let place = |node: &Node| group_of(node)?.table.item("expose").map(|item| item.span());
        rights::refuse_shared_doors(&nodes, place, names.problems());
        Some((nodes, start?))
    }
}
