//! `caps`, `user`, `expose`: what only the laboratory can give to a node.

use std::collections::{BTreeMap, BTreeSet};

use super::nodes::{Door, Node, Port, Rights};
use crate::diagnostic::{self, Diagnostic, Located, Problems, Span, suggestion};
use crate::names::Names;
use crate::observation::Name;
use crate::table::Table;

/// The capabilities of Linux that are about what a node of a laboratory has for itself: its network, its mounts, its processes, its files.
/// Those that are about the machine (its clock, its modules, its log) nobody can be given.
pub(super) const CAPABILITIES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_ADMIN",
    "SYS_CHROOT",
    "SYS_NICE",
    "SYS_PTRACE",
    "SYS_RESOURCE",
];

/// Reads them from the table of a group.
pub(super) fn parse(table: &Table<'_, '_>, ports: &[Port], nodes: usize, names: &Names<'_>) -> Option<Rights> {
    let mut is_in_place = true;
    for (key, instead) in [
        ("caps", "in host mode nodes may do what dsbench may"),
        ("user", "in host mode nodes run as whoever runs dsbench"),
        ("expose", "in host mode every port of a node is one of 127.0.0.1: {addr}"),
    ] {
        if let Some(item) = table.item(key) {
            is_in_place &= names.needs_lab(&format!("`{key}`"), &item.key_span(), instead).is_some();
        }
    }
    let caps = table.item("caps").map_or(Some(Vec::new()), |item| {
        let words: Vec<_> = item.array()?.iter().map(|item| item.word(CAPABILITIES)).collect();
        words.into_iter().map(|word| word.map(|word| word.value)).collect()
    });
    let user = match table.item("user") {
        Some(_) => table.nonempty_text("user").map(|user| Some(user.value.to_owned())),
        None => Some(None),
    };
    let rights = Rights { caps: caps?, user: user?, expose: expose(table, ports, nodes)? };
    is_in_place.then_some(rights)
}

/// Which ports can be reached, and where.
fn expose(table: &Table<'_, '_>, ports: &[Port], nodes: usize) -> Option<Vec<Door>> {
    let known = |name: &Located<&str>| {
        let found = ports.iter().find(|port| &*port.name == name.value);
        if found.is_none() {
            let message = format!("no port is called `{}`", name.value.escape_debug());
            let help = suggestion(name.value, "ports", ports.iter().map(|port| &*port.name));
            let diagnostic = Diagnostic::error(diagnostic::UNKNOWN_PORT, message, name.span.clone(), "unknown port");
            table.report(diagnostic.help(help));
        }
        found.map(|port| port.name.clone())
    };
    let Some(item) = table.item("expose") else { return Some(Vec::new()) };
    if !item.is_table() {
        let doors: Vec<_> = item.texts()?.iter().map(|name| Some(Door { port: known(name)?, first: None })).collect();
        return doors.into_iter().collect();
    }
    let doors: Vec<_> = item
        .entries()?
        .iter()
        .map(|entry| {
            let (port, first) = (known(&entry.located_key()), entry.int(1..=65_535)?);
            let number = u16::try_from(first.value).ok()?;
            if usize::from(u16::MAX - number) < nodes.saturating_sub(1) {
                let message = format!("there are no {nodes} ports from {number} on");
                let diagnostic = Diagnostic::error(diagnostic::TAKEN_PORT, message, first.span, "too high");
                table.report(diagnostic.help("each node of the group has the next number; the last is 65535"));
                return None;
            }
            Some(Door { port: port?, first: Some(number) })
        })
        .collect();
    doors.into_iter().collect()
}

/// Two ports that should be reached on one port of this machine are a mistake. The places are those of the groups' `expose`.
pub(super) fn refuse_shared_doors(nodes: &[Node], place: impl Fn(&Node) -> Option<Span>, problems: &Problems) {
    let mut taken: BTreeMap<u16, (&Node, &Name)> = BTreeMap::new();
    let mut told = BTreeSet::new();
    for node in nodes {
        for door in &node.rights.expose {
            let Some(number) = door.number(node) else { continue };
            let Some((other, port)) = taken.insert(number, (node, &door.port)) else { continue };
            let (Some(here), Some(there)) = (place(node), place(other)) else { continue };
            // Of two groups that overlap, every further node would say the same.
            if told.insert((here.start, there.start)) {
                let message = format!(
                    "port {number} of this machine would be {}'s `{}` and {}'s `{port}`",
                    node.name, door.port, other.name
                );
                let diagnostic = Diagnostic::error(diagnostic::TAKEN_PORT, message, here.clone(), "given twice");
                let diagnostic = if here == there { diagnostic } else { diagnostic.also(there, "the first one") };
                problems.report(diagnostic.help("from its number on, a group takes one for each of its nodes"));
            }
        }
    }
}
