//! One process of a node: how it is started, when it is ready, how it is stopped.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::expression::Expression;

use super::logs;
use crate::condition;
use crate::diagnostic::{self, Diagnostic, Located, suggestion};
use crate::groups::Whose;
use crate::names::Names;
use crate::observation::Name;
use crate::pattern;
use crate::table::{Item, Key, Kind, Need, Table};
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
    /// False leaves it to `start` steps, even when its node starts.
    pub starts_with_node: bool,
}

impl Process {
    /// Every command that it needs.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &Vec<Template>> {
        let ready = self.ready.as_ref().and_then(|ready| ready.exec.as_ref());
        [Some(&self.command), self.restart_command.as_ref(), ready].into_iter().flatten()
    }
}

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

/// How a process is asked to end: by a signal, and by SIGKILL when the grace is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// The polite signal.
    pub signal: Signal,
    /// How long it may take.
    pub grace: Duration,
}

/// A signal by its name without `SIG`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// `TERM`
    pub name: &'static str,
    /// Its number on Linux.
    pub number: i32,
}

/// The signals that a scenario may send. SIGKILL, SIGSTOP and SIGCONT have verbs of their own.
const SIGNALS: &[Signal] = &[
    Signal { name: "HUP", number: 1 },
    Signal { name: "INT", number: 2 },
    Signal { name: "QUIT", number: 3 },
    Signal { name: "ABRT", number: 6 },
    Signal { name: "USR1", number: 10 },
    Signal { name: "SEGV", number: 11 },
    Signal { name: "USR2", number: 12 },
    Signal { name: "PIPE", number: 13 },
    Signal { name: "ALRM", number: 14 },
    Signal { name: "TERM", number: 15 },
    Signal { name: "CHLD", number: 17 },
    Signal { name: "TSTP", number: 20 },
    Signal { name: "WINCH", number: 28 },
];

/// How a scenario may write them: each as it is, then each with `SIG`.
pub(super) const SIGNAL_WORDS: &[&str] = &[
    "HUP", "INT", "QUIT", "ABRT", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "CHLD", "TSTP", "WINCH", "SIGHUP",
    "SIGINT", "SIGQUIT", "SIGABRT", "SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGCHLD",
    "SIGTSTP", "SIGWINCH",
];

const TERM: Signal = Signal { name: "TERM", number: 15 };

impl Signal {
    /// Reads a signal's name, with or without `SIG`.
    pub(super) fn parse(text: &Located<&str>, table: &Table<'_, '_>) -> Option<Self> {
        Self::named(text.value)
            .map_err(|unknown| {
                let UnknownSignal { message, help } = unknown;
                let diagnostic = Diagnostic::error(diagnostic::BAD_WORD, message, text.span.clone(), "unknown signal");
                table.report(diagnostic.help(help));
            })
            .ok()
    }

    /// The signal that this word means, with or without `SIG`.
    ///
    /// # Errors
    /// If there is none that may be sent, with what to write instead.
    pub fn named(word: &str) -> Result<Self, UnknownSignal> {
        let name = word.strip_prefix("SIG").unwrap_or(word);
        if let Some(signal) = SIGNALS.iter().find(|signal| signal.name == name) {
            return Ok(*signal);
        }
        let message = format!("no signal to send is called `{}`", word.escape_debug());
        let help = match name {
            "KILL" => "the verb `kill` does that".to_owned(),
            "STOP" => "the verb `pause` does that".to_owned(),
            "CONT" => "the verb `resume` does that".to_owned(),
            name => suggestion(name, "signals", SIGNALS.iter().map(|signal| signal.name)),
        };
        Err(UnknownSignal { message, help })
    }
}

/// A word that is no signal which may be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}: {help}")]
pub struct UnknownSignal {
    message: String,
    help: String,
}

/// How long a process may take to become ready if the scenario does not say.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How long a process may take to end if the scenario does not say.
const GRACE: Duration = Duration::from_secs(5);

pub(super) const START_WORDS: &[&str] = &["auto", "manual"];

/// The keys that `[nodes]` has for its main process, and `[nodes.process.NAME]` for others.
pub(super) const COMMON_KEYS: &[Key] = &[
    Key::required("command", Kind::Command, "The program and its arguments, with placeholders."),
    Key::new("restart_command", Kind::Command, "The same for every start but the first, where it differs."),
    Key::new("env", Kind::Map(&Kind::Text), "Variables of its environment."),
    Key::new("inherit_env", Kind::Bool, "true adds the environment of dsbench itself; false if not given."),
    Key::new("cwd", Kind::Text, "Its working directory; its node's data directory if not given."),
    Key::new(
        "ready",
        Kind::TableOr("log", READY_KEYS),
        "When it is ready: a line of its log, an open port, a command that succeeds.",
    ),
    Key::new("stop", Kind::Table(STOP_KEYS), "How it is asked to end: { signal = \"TERM\", grace = \"5s\" }."),
    Key::new(
        "logs",
        Kind::Table(logs::KEYS),
        "Files that it writes and that are read like its output: { file = \"server.log\" }.",
    ),
];

/// The keys of `[nodes.process.NAME]`.
pub(super) const KEYS: &[Key] = &Key::join::<{ START_KEYS.len() + COMMON_KEYS.len() }>(COMMON_KEYS, START_KEYS);

const START_KEYS: &[Key] =
    &[Key::new("start", Kind::OneOf(START_WORDS), "\"auto\" (with its node) or \"manual\" (by a `start` step).")];

const HOLDS: Need = Need::SomeOf("a condition");

const READY_KEYS: &[Key] = &[
    Key::new("log", Kind::Text, "A line of its output matches this pattern.").with(HOLDS),
    Key::new("tcp", Kind::Text, "It accepts connections at this address: \"{addr}\".").with(HOLDS),
    Key::new("exec", Kind::Command, "This command exits with 0; it is repeated until it does.").with(HOLDS),
    Key::new("within", Kind::Duration, "The longest that it may take; 10s if not given."),
    Key::new("http", Kind::Later, "An HTTP request that is answered: until then, exec = [\"curl\", \"-fs\", ...]."),
];

const STOP_KEYS: &[Key] = &[
    Key::new("signal", Kind::OneOf(SIGNAL_WORDS), "The signal that asks it to end; \"TERM\" if not given."),
    Key::new("grace", Kind::Duration, "How long it may take before it is killed; 5s if not given."),
];

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
        let ready = table.item("ready").map(|item| parse_ready(&item, setting, names));
        let stop = table.table("stop", "stop").map(|stop| Stop {
            signal: stop.text("signal").and_then(|signal| Signal::parse(&signal, &stop)).unwrap_or(TERM),
            grace: stop.duration("grace").map_or(GRACE, |grace| grace.value),
        });
        let logs = table.item("logs").map(|_| logs::parse(&table.table("logs", "logs")?, whose, names));
        Some(Self {
            command: optional(command)?,
            restart_command: optional(restart_command)?,
            env: env.into_iter().collect::<Option<_>>()?,
            inherit_env,
            cwd: optional(cwd)?,
            ready: optional(ready)?,
            stop,
            logs: optional(logs)?,
            starts_with_node: None,
        })
    }

    /// Reads the keys of a further process, which can be left to `start` steps.
    pub(super) fn parse_further(table: &Table<'_, '_>, whose: Whose, names: &Names<'_>) -> Option<Self> {
        let starts_with_node = table.word("start").map(|word| word.value == "auto");
        Self::parse(table, whose, names).map(|parts| Self { starts_with_node, ..parts })
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
            starts_with_node: other.starts_with_node.or(self.starts_with_node),
        }
    }

    /// The process, if it has a command.
    pub(super) fn complete(self, name: Name) -> Option<Process> {
        Some(Process {
            name,
            command: self.command?,
            restart_command: self.restart_command,
            env: self.env,
            inherit_env: self.inherit_env.unwrap_or_default(),
            cwd: self.cwd,
            ready: self.ready,
            stop: self.stop.unwrap_or(Stop { signal: TERM, grace: GRACE }),
            logs: self.logs.unwrap_or_default(),
            starts_with_node: self.starts_with_node.unwrap_or(true),
        })
    }
}

/// A part that was not given is fine, one that could not be read is not.
fn optional<T>(part: Option<Option<T>>) -> Option<Option<T>> {
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

fn parse_ready(item: &Item<'_, '_>, setting: Setting, names: &Names<'_>) -> Option<Ready> {
    let table = item.table_or("log", READY_KEYS, "ready")?;
    if !["log", "tcp", "exec"].iter().any(|key| table.has(key)) {
        table.exactly_one(&["log", "tcp", "exec"], "a condition", "log = 'a pattern', tcp = \"{addr}\" or exec = [..]");
        return None;
    }
    let log = table.nonempty_text("log").map(|text| pattern::compile(&text, names.problems()));
    let tcp = table.nonempty_text("tcp").map(|text| Template::parse(&text, setting, names));
    let exec = table.item("exec").map(|item| condition::parse_command(&item, setting, names));
    let within = table.duration("within").map_or(READY_WITHIN, |within| within.value);
    Some(Ready { log: optional(log)?, tcp: optional(tcp)?, exec: optional(exec)?, within })
}
