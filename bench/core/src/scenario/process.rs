//! One process of a node: what its keys say, and how they differ from those of another.

use std::collections::BTreeMap;

use super::by_itself::{self, ByItself};
use super::logs;
use super::prepare::{self, Prepare};
use super::ready::{self, Ready};
use super::stop::{self, Stop};
use super::turns::{self, Turn};
use crate::condition;
use crate::diagnostic::{self, Diagnostic};
use crate::expected::Expected;
use crate::groups::Whose;
use crate::names::Names;
use crate::observation::Name;
use crate::table::{Item, Key, Kind, Table};
use crate::template::{Setting, Template};

/// A process of a node.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its name, `main` for the node's own command.
    pub name: Name,
    /// The program and its arguments.
    pub command: Vec<Template>,
    /// The same for every start but the first, where it differs.
    pub restart_command: Option<Vec<Template>>,
    /// What its environment has besides the usual.
    pub env: BTreeMap<String, Template>,
    /// True adds the bench's own environment.
    pub inherit_env: bool,
    /// Its working directory, if it is not the node's data directory.
    pub cwd: Option<Template>,
    /// When it is ready; none: as soon as it runs.
    pub ready: Option<Ready>,
    /// How it is asked to end.
    pub stop: Stop,
    /// Files in its node's data directory that are followed as its further outputs.
    pub logs: Vec<Template>,
    /// What is done before it starts for the first time.
    pub prepare: Option<Prepare>,
    /// What it is expected to do by itself.
    pub expected: Expected,
    /// The processes of its node that are ready before it starts, where they start too.
    pub after: Vec<Name>,
    /// False leaves it to `start` steps, even when its node starts.
    pub starts_with_node: bool,
}

impl Process {
    /// Every command that it needs.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &Vec<Template>> {
        let ready = self.ready.as_ref().and_then(|ready| ready.exec.as_ref());
        let prepare = self.prepare.iter().flat_map(|prepare| &prepare.commands);
        prepare.chain([Some(&self.command), self.restart_command.as_ref(), ready].into_iter().flatten())
    }
}

pub(super) const START_WORDS: &[&str] = &["auto", "manual"];

/// The keys that `[nodes]` has for its main process, and `[nodes.process.NAME]` for others.
pub(super) const COMMON_KEYS: &[Key] =
    &Key::join::<{ RUN_KEYS.len() + by_itself::KEYS.len() }>(RUN_KEYS, by_itself::KEYS);

const RUN_KEYS: &[Key] = &[
    Key::required("command", Kind::Command, "The program and its arguments, with placeholders."),
    Key::new("restart_command", Kind::Command, "The same for every start but the first, where it differs."),
    Key::new("env", Kind::Map(&Kind::Text), "Variables of its environment."),
    Key::new("inherit_env", Kind::Bool, "true adds the environment of dsbench itself; false if not given."),
    Key::new("cwd", Kind::Text, "Its working directory; its node's data directory if not given."),
    Key::new(
        "ready",
        Kind::TableOr("log", ready::KEYS),
        "When it is ready: a line of its log, an open port, a command that succeeds.",
    ),
    Key::new("stop", Kind::Table(stop::KEYS), "How it is asked to end: { signal = \"TERM\", grace = \"5s\" }."),
    Key::new(
        "logs",
        Kind::Table(logs::KEYS),
        "Files that it writes and that are read like its output: { file = \"server.log\" }.",
    ),
    Key::new(
        "prepare",
        Kind::TableOr("commands", prepare::KEYS),
        "Commands before its first start, as the node: [[\"initdb\", \"-D\", \".\"]]; those of the main process come before anything of the node starts.",
    ),
];

/// The keys of `[nodes.process.NAME]`.
pub(super) const KEYS: &[Key] = &Key::join::<{ START_KEYS.len() + COMMON_KEYS.len() }>(COMMON_KEYS, START_KEYS);

const START_KEYS: &[Key] = &Key::join::<{ 1 + turns::KEYS.len() }>(
    &[Key::new("start", Kind::OneOf(START_WORDS), "\"auto\" (with its node) or \"manual\" (by a `start` step).")],
    turns::KEYS,
);

/// What a table says of a process: of a whole one, or how it differs from another.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts {
    command: Option<Vec<Template>>,
    restart_command: Option<Vec<Template>>,
    env: BTreeMap<String, Template>,
    inherit_env: Option<bool>,
    cwd: Option<Template>,
    ready: Option<Ready>,
    stop: Option<Stop>,
    logs: Option<Vec<Template>>,
    prepare: Option<Prepare>,
    by_itself: ByItself,
    turn: Turn,
    starts_with_node: Option<bool>,
}

impl Parts {
    /// Reads the keys of a process, all of which may be left out.
    pub(super) fn parse(table: &Table<'_, '_>, whose: Whose, names: &Names<'_>) -> Option<Self> {
        let setting = Setting::NODE.of(whose);
        let command = |key| table.item(key).map(|item| condition::parse_command(&item, setting, names));
        let (command, restart_command) = (command("command"), command("restart_command"));
        let env: Vec<_> = table.map("env").iter().map(|item| parse_variable(item, setting, names)).collect();
        let inherit_env = table.boolean("inherit_env").map(|value| value.value);
        let cwd = table.item("cwd").map(|item| Template::parse(&item.nonempty_text()?, setting, names));
        let ready = table.item("ready").map(|item| ready::parse(&item, setting, names));
        let stop = table.table("stop", "stop").map(|stop| Stop::parse(&stop));
        let logs = table.item("logs").map(|_| logs::parse(&table.table("logs", "logs")?, whose, names));
        let prepare = table.item("prepare").map(|item| prepare::parse(&item, setting, names));
        let by_itself = ByItself::parse(table);
        Some(Self {
            command: optional(command)?,
            restart_command: optional(restart_command)?,
            env: env.into_iter().collect::<Option<_>>()?,
            inherit_env,
            cwd: optional(cwd)?,
            ready: optional(ready)?,
            stop,
            logs: optional(logs)?,
            prepare: optional(prepare)?,
            by_itself: by_itself?,
            turn: Turn::default(),
            starts_with_node: None,
        })
    }

    /// Reads the keys of a further process, which can be left to `start` steps.
    pub(super) fn parse_further(table: &Table<'_, '_>, whose: Whose, names: &Names<'_>) -> Option<Self> {
        let starts_with_node = table.word("start").map(|word| word.value == "auto");
        let turn = Turn::parse(table);
        Self::parse(table, whose, names).map(|parts| Self { starts_with_node, turn, ..parts })
    }

    /// With these differences: what they say replaces what was said before, and the environment is merged.
    pub(super) fn but(self, other: Self) -> Self {
        let mut env = self.env;
        env.extend(other.env);
        // Another command is another command at every start, unless it too comes with one for the later starts.
        let restart_command = if other.command.is_some() { None } else { self.restart_command };
        Self {
            command: other.command.or(self.command),
            restart_command: other.restart_command.or(restart_command),
            env,
            inherit_env: other.inherit_env.or(self.inherit_env),
            cwd: other.cwd.or(self.cwd),
            ready: other.ready.or(self.ready),
            stop: other.stop.or(self.stop),
            logs: other.logs.or(self.logs),
            prepare: other.prepare.or(self.prepare),
            by_itself: self.by_itself.but(other.by_itself),
            turn: self.turn.but(other.turn),
            starts_with_node: other.starts_with_node.or(self.starts_with_node),
        }
    }

    /// When it starts, among the others of its node.
    pub(super) fn turn(&self) -> Turn {
        self.turn.clone()
    }

    /// The process, if it has a command. It starts after these.
    pub(super) fn complete(self, name: Name, after: Vec<Name>) -> Option<Process> {
        Some(Process {
            name,
            command: self.command?,
            restart_command: self.restart_command,
            env: self.env,
            inherit_env: self.inherit_env.unwrap_or_default(),
            cwd: self.cwd,
            ready: self.ready,
            stop: self.stop.unwrap_or(Stop::USUAL),
            logs: self.logs.unwrap_or_default(),
            prepare: self.prepare,
            expected: self.by_itself.complete(),
            after,
            starts_with_node: self.starts_with_node.unwrap_or(true),
        })
    }
}

/// A part that was not given is fine, one that could not be read is not.
pub(super) fn optional<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    match part {
        None => Some(None),
        Some(part) => part.map(Some),
    }
}

fn parse_variable(item: &Item<'_, '_>, setting: Setting, names: &Names<'_>) -> Option<(String, Template)> {
    let name = item.key();
    if name.is_empty() || name.contains(['=', '\0']) {
        let message = format!("`{}` cannot be a variable of the environment", name.escape_debug());
        item.report(Diagnostic::error(diagnostic::UNSAFE_NAME, message, item.key_span(), "no `=` in its name"));
        return None;
    }
    Some((name.to_owned(), Template::parse(&item.text()?, setting, names)?))
}
