//! `caps`, `user`, `expose`: what only the laboratory can give to a node.

use super::nodes::{Port, Rights};
use crate::diagnostic::{self, Diagnostic, Located, suggestion};
use crate::names::Names;
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
pub(super) fn parse(table: &Table<'_, '_>, ports: &[Port], names: &Names<'_>) -> Option<Rights> {
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
    let expose: Vec<_> = table.texts("expose").unwrap_or_default();
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
    let expose: Vec<_> = expose.iter().map(known).collect();
    let rights = Rights { caps: caps?, user: user?, expose: expose.into_iter().collect::<Option<_>>()? };
    is_in_place.then_some(rights)
}
