//! `ready` of a process: when it counts as started.

use std::time::Duration;

use super::process::optional;
use crate::condition::{self, Http};
use crate::diagnostic::{self, Diagnostic};
use crate::expression::Expression;
use crate::names::Names;
use crate::pattern;
use crate::table::{Item, Key, Kind, Need};
use crate::template::{Setting, Template};

/// When a process is ready: all that is given must hold.
#[derive(Debug, Clone)]
pub struct Ready {
    /// A line of its output matches.
    pub log: Option<Expression>,
    /// It accepts connections at this address.
    pub tcp: Option<Template>,
    /// It answers this well.
    pub http: Option<Http>,
    /// This command exits with 0, in the node's directory and environment.
    pub exec: Option<Vec<Template>>,
    /// The longest that it may take, from its start on.
    pub within: Duration,
}

/// How long a process may take to become ready if the scenario does not say.
const WITHIN: Duration = Duration::from_secs(10);

/// What can be asked for.
const CONDITIONS: &[&str] = &["log", "tcp", "http", "exec"];

const HOLDS: Need = Need::SomeOf("a condition");

pub(super) const KEYS: &[Key] = &[
    Key::new("log", Kind::Text, "A line of its output matches this pattern.").with(HOLDS),
    Key::new("tcp", Kind::Text, "It accepts connections at this address: \"{addr}\".").with(HOLDS),
    Key::new("http", Kind::Text, condition::HTTP).with(HOLDS),
    Key::new("status", Kind::IntIn(100, 599), condition::STATUS).with(Need::Beside(&["http"])),
    Key::new("exec", Kind::Command, "This command exits with 0; it is repeated until it does.").with(HOLDS),
    Key::new("within", Kind::Duration, "The longest that it may take; 10s if not given."),
];

pub(super) fn parse(item: &Item<'_, '_>, setting: Setting, names: &Names<'_>) -> Option<Ready> {
    let table = item.table_or("log", KEYS, "ready")?;
    if !CONDITIONS.iter().any(|key| table.has(key)) {
        let example = "log = 'a pattern', tcp = \"{addr}\", http = \"http://{addr}/\" or exec = [..]";
        table.exactly_one(CONDITIONS, "a condition", example);
        return None;
    }
    if let Some(status) = table.item("status").filter(|_| !table.has("http")) {
        let message = "`status` does nothing without `http`";
        let label = "does nothing here";
        status.report(Diagnostic::error(diagnostic::MISPLACED_MODIFIER, message, status.key_span(), label));
        return None;
    }
    let log = table.nonempty_text("log").map(|text| pattern::compile(&text, names.problems()));
    let tcp = table.nonempty_text("tcp").map(|text| condition::parse_address(&text, setting, names));
    let http = Http::parse(&table, setting, names);
    let exec = table.item("exec").map(|item| condition::parse_command(&item, setting, names));
    let within = table.duration("within").map_or(WITHIN, |within| within.value);
    Some(Ready { log: optional(log)?, tcp: optional(tcp)?, http: http?, exec: optional(exec)?, within })
}
