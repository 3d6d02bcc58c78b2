//! `prepare = [["initdb", "-D", "."]]`: commands before a first start, as the node.

use std::time::Duration;

use crate::condition::parse_command;
use crate::diagnostic::{self, Diagnostic};
use crate::names::Names;
use crate::table::{Item, Key, Kind};
use crate::template::{Setting, Template};

/// What is done before a process starts for the first time: for a node's main process, before anything of the node starts.
#[derive(Debug, Clone)]
pub struct Prepare {
    /// The programs with their arguments, one after the other.
    pub commands: Vec<Vec<Template>>,
    /// The longest that each may take.
    pub within: Duration,
}

/// How long a command may take if the scenario does not say: long enough to make a database on a slow disk.
const WITHIN: Duration = Duration::from_secs(60);

/// The name under which the output of these commands stands in a node's log, and which no process can have.
pub const PREPARE: &str = "prepare";

pub(super) const KEYS: &[Key] = &[
    Key::required(
        "commands",
        Kind::List(&Kind::List(&Kind::Text)),
        "The commands, one after the other: each a program and its arguments, and each must exit with 0.",
    ),
    Key::new("within", Kind::Duration, "The longest that each command may take; 60s if not given."),
];

pub(super) fn parse(item: &Item<'_, '_>, setting: Setting, names: &Names<'_>) -> Option<Prepare> {
    let table = item.table_or("commands", KEYS, "prepare")?;
    let within = table.item("within").map(|item| item.duration());
    let commands = table.required("commands", |table, key| parse_commands(&table.item(key)?, setting, names));
    let within = match within {
        None => WITHIN,
        Some(within) => within?.value,
    };
    Some(Prepare { commands: commands?, within })
}

fn parse_commands(item: &Item<'_, '_>, setting: Setting, names: &Names<'_>) -> Option<Vec<Vec<Template>>> {
    let commands = item.array()?;
    if commands.is_empty() {
        let message = format!("`{}` has no command", item.key());
        item.report(Diagnostic::error(diagnostic::EMPTY, message, item.span(), "an empty list"));
        return None;
    }
    let parse = |command: &Item<'_, '_>| {
        if command.is_array() {
            return parse_command(command, setting, names);
        }
        let message = format!("`{}` is a list of commands, and each is a list of texts", item.key());
        let help = "also where there is only one: prepare = [[\"initdb\", \"-D\", \".\"]]";
        command.report(Diagnostic::error(diagnostic::WRONG_TYPE, message, command.span(), "not a command").help(help));
        None
    };
    let commands: Vec<_> = commands.iter().map(parse).collect();
    commands.into_iter().collect()
}
