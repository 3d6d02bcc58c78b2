//! `exec = ["program", ...]`: runs a command, from the bench or as a node.

use std::fmt;
use std::time::Duration;

use super::{StepTable, Verb, VerbKind};
use crate::condition::parse_command;
use crate::groups::Whose;
use crate::observation::Name;
use crate::table::{Key, Kind};
use crate::target::{Purpose, Target};
use crate::template::{Setting, Template, told};

/// A command to run.
#[derive(Debug, Clone)]
pub struct Exec {
    /// The program and its arguments.
    pub command: Vec<Template>,
    /// Once for each of these nodes, in its directory and environment; none: from the bench.
    pub on: Option<Target>,
    /// From this client of the network.
    pub as_client: Option<Name>,
    /// The exit code that it must have.
    pub exit: i32,
    /// The longest that it may take.
    pub within: Duration,
}

pub(super) const EXEC: VerbKind = VerbKind {
    key: Key::new(
        "exec",
        Kind::Command,
        "Runs a command: the program and its arguments. What it prints `on` a node, at most 64 KiB, counts as said by that node.",
    ),
    modifiers: &["on", "as", "exit", "within"],
    acts: true,
    parse,
};

fn parse(step: &StepTable<'_, '_, '_>) -> Option<Verb> {
    let on = step.table.item("on").map(|on| Target::parse(&on, step.names, Purpose::Act));
    let setting = match &on {
        None => Setting::BENCH,
        Some(on) => Setting::NODE.of(on.as_ref().map_or(Whose::Anybody, |on| on.whose(step.names))),
    };
    let command = parse_command(&step.item, setting, step.names);
    let as_client = step.table.item("as").map(|item| {
        let instead = "without `as` it runs from the bench";
        step.names.needs_lab("`as`", &item.key_span(), instead)?;
        step.names.client(&item.nonempty_text()?)
    });
    let as_client = match as_client {
        None => None,
        Some(client) => Some(client?),
    };
    step.table.at_most_one(&["on", "as"]);
    let exit = step.table.int("exit", 0..=255).map_or(0, |exit| i32::try_from(exit.value).unwrap_or(0));
    let on = match on {
        None => None,
        Some(on) => Some(on?),
    };
    Some(Verb::Exec(Exec { command: command?, on, as_client, exit, within: step.within() }))
}

impl fmt::Display for Exec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run `{}`", told(&self.command))?;
        match (&self.on, &self.as_client) {
            (Some(on), _) => write!(f, " on {on}"),
            (None, Some(client)) => write!(f, " as {client}"),
            (None, None) => Ok(()),
        }
    }
}
