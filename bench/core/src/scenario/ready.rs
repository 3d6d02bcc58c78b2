//! `ready` of a process: when it counts as started.

use std::time::Duration;

use super::process::optional;
use crate::condition;
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
    /// This command exits with 0, in the node's directory and environment.
    pub exec: Option<Vec<Template>>,
    /// The longest that it may take, from its start on.
    pub within: Duration,
}

/// How long a process may take to become ready if the scenario does not say.
const WITHIN: Duration = Duration::from_secs(10);

const HOLDS: Need = Need::SomeOf("a condition");

pub(super) const KEYS: &[Key] = &[
    Key::new("log", Kind::Text, "A line of its output matches this pattern.").with(HOLDS),
    Key::new("tcp", Kind::Text, "It accepts connections at this address: \"{addr}\".").with(HOLDS),
    Key::new("exec", Kind::Command, "This command exits with 0; it is repeated until it does.").with(HOLDS),
    Key::new("within", Kind::Duration, "The longest that it may take; 10s if not given."),
    Key::new("http", Kind::Later, "An HTTP request that is answered: until then, exec = [\"curl\", \"-fs\", ...]."),
];

pub(super) fn parse(item: &Item<'_, '_>, setting: Setting, names: &Names<'_>) -> Option<Ready> {
    let table = item.table_or("log", KEYS, "ready")?;
    if !["log", "tcp", "exec"].iter().any(|key| table.has(key)) {
        table.exactly_one(&["log", "tcp", "exec"], "a condition", "log = 'a pattern', tcp = \"{addr}\" or exec = [..]");
        return None;
    }
    let log = table.nonempty_text("log").map(|text| pattern::compile(&text, names.problems()));
    let tcp = table.nonempty_text("tcp").map(|text| condition::parse_address(&text, setting, names));
    let exec = table.item("exec").map(|item| condition::parse_command(&item, setting, names));
    let within = table.duration("within").map_or(WITHIN, |within| within.value);
    Some(Ready { log: optional(log)?, tcp: optional(tcp)?, exec: optional(exec)?, within })
}
