//! Conditions: what a step waits for, expects, or starts at.
//!
//! A condition is read into parts that must all hold; [`Watch`](crate::watch::Watch) says whether they do. What can only be found out by
//! asking the world (a command's exit, an open port) is a [`Probe`], which the driver runs and answers.

mod operations;

use std::time::Duration;

pub use self::operations::{OperationPart, OperationsSeen};

use crate::diagnostic::{self, Diagnostic, Located};
use crate::filter::Filter;
use crate::groups::Whose;
use crate::names::Names;
use crate::observation::Name;
use crate::operation::OperationKind;
use crate::table::{Item, Key, Kind, Need, Table};
use crate::target::{Purpose, Target};
use crate::template::{Setting, Template, told};

/// How long a step waits for its condition if it does not say: long enough for a slow machine, short enough to be watched.
pub const WITHIN: Duration = Duration::from_secs(30);

/// What must hold: all of the parts.
#[derive(Debug, Clone)]
pub struct Condition {
    /// At least one.
    pub parts: Vec<Part>,
}

/// One thing that must hold.
#[derive(Debug, Clone)]
pub enum Part {
    /// Events were said, or are the newest ones.
    Event(EventPart),
    /// Operations have ended.
    Operation(OperationPart),
    /// The world has to be asked.
    Probe(Probe),
}

/// Events that have to be in the history.
#[derive(Debug, Clone)]
pub struct EventPart {
    /// The event.
    pub event: Name,
    /// True: a state - the newest such event of a node in its current life counts. False: an occurrence.
    pub is_latest: bool,
    /// Who has to say it.
    pub who: Who,
    /// Which occurrences count.
    pub filter: Filter,
    /// How many.
    pub at_least: u64,
    /// In the log of which process.
    pub process: Option<Name>,
    /// From when on.
    pub since: Since,
}

/// Whether one of the nodes is enough.
#[derive(Debug, Clone)]
pub enum Who {
    /// These together.
    From(Target),
    /// Each of these. Nobody is not enough.
    Each(Target),
}

/// From when on a condition looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// The start of the run.
    Start,
    /// The moment at which a step began to act.
    Step {
        /// The step, by index from 0.
        index: usize,
        /// How people call it: `step 2 (crash)`.
        label: String,
    },
}

impl std::fmt::Display for Since {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start => f.write_str("the start"),
            Self::Step { label, .. } => f.write_str(label),
        }
    }
}

impl std::fmt::Display for Condition {
    /// In people's words: `` `became_leader` from !killed``.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<String> = self.parts.iter().map(ToString::to_string).collect();
        f.write_str(&parts.join(" and "))
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Event(event) => event.fmt(f),
            Self::Operation(operation) => operation.fmt(f),
            Self::Probe(probe) => probe.fmt(f),
        }
    }
}

impl std::fmt::Display for EventPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.at_least > 1 {
            write!(f, "{} times ", self.at_least)?;
        }
        write!(f, "{}`{}`{}", if self.is_latest { "the newest " } else { "" }, self.event, self.filter)?;
        match &self.who {
            Who::From(target) if *target == Target::all() => Ok(()),
            Who::From(target) => write!(f, " from {target}"),
            Who::Each(target) => write!(f, " from each of {target}"),
        }
    }
}

/// A question to the world. The driver asks it again and again until it is answered well, or the time is over.
#[derive(Debug, Clone)]
pub enum Probe {
    /// The command exits as it should.
    Exec {
        /// The program and its arguments.
        command: Vec<Template>,
        /// Once for each of these nodes, as that node; none: from the bench.
        on: Option<Target>,
        /// The exit code that is good.
        exit: i32,
    },
    /// Somebody accepts connections at this address.
    Tcp {
        /// `host:port`.
        address: Template,
    },
    /// A GET is answered well.
    Http(Http),
}

/// A GET, and the answer that is good.
#[derive(Debug, Clone)]
pub struct Http {
    /// `http://host:port/path`.
    pub url: Template,
    /// The status that is good; any 2xx if none.
    pub status: Option<u16>,
}

impl Http {
    /// Reads the keys `http` and `status` of a table, if there is the first.
    pub(crate) fn parse(table: &Table<'_, '_>, setting: Setting, names: &Names<'_>) -> Option<Option<Self>> {
        let status = table.int("status", 100..=599);
        let Some(item) = table.item("http") else { return Some(None) };
        let text = item.nonempty_text()?;
        let url = Template::parse(&text, setting, names)?;
        let refuse = |label: &str, help: &str| {
            let message = format!("`{}` is no address to ask", text.value.escape_debug());
            let diagnostic = Diagnostic::error(diagnostic::BAD_ADDRESS, message, text.span.clone(), label);
            names.problems().report(diagnostic.help(help));
            None
        };
        let status = status.and_then(|status| u16::try_from(status.value).ok());
        if text.value.starts_with('{') && url.plain().is_none() {
            return Some(Some(Self { url, status }));
        }
        let Some(rest) = text.value.strip_prefix("http://") else {
            let encrypted = "what is encrypted is asked by a program: exec = [\"curl\", \"-fsS\", \"https://..\"]";
            let is_encrypted = text.value.starts_with("https://");
            return refuse(
                "no http://",
                if is_encrypted { encrypted } else { "a whole one: \"http://{addr}/health\"" },
            );
        };
        if rest.is_empty() || rest.starts_with(['/', '?', '#', ':']) {
            return refuse("nobody is asked", "a host and a port: \"http://{addr}/health\"");
        }
        Some(Some(Self { url, status }))
    }
}

impl std::fmt::Display for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.status {
            Some(status) => write!(f, "{} to answer with {status}", self.url),
            None => write!(f, "{} to answer with 2xx", self.url),
        }
    }
}

impl std::fmt::Display for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exec { command, .. } => write!(f, "`{}`", told(command)),
            Self::Tcp { address } => write!(f, "a connection to {address}"),
            Self::Http(http) => http.fmt(f),
        }
    }
}

const SUBJECT: Need = Need::OneOf("a subject");
const WHO: Need = Need::AtMostOneOf("who says it");

/// The keys of a condition.
pub const KEYS: &[Key] = &[
    Key::new("event", Kind::Event, "This event must occur.").with(SUBJECT),
    Key::new("latest", Kind::Event, "The newest event of this name, in a node's current life, must fit.").with(SUBJECT),
    Key::new("from", Kind::Target, "Only events of these nodes count; one of them is enough.").with(WHO),
    Key::new("each", Kind::Target, "Each of these nodes must say it.").with(WHO),
    Key::new("where", Kind::Where, "Only events with these fields count: { term = \">= 2\" }."),
    Key::new("at_least", Kind::IntIn(1, 1_000_000_000), "So many of them; 1 if not given."),
    Key::new("process", Kind::Text, "Only the log of this process of a node counts."),
    Key::new("since", Kind::Text, "From \"start\" or a step's name on; if not given, from the last step that acted."),
    Key::new("op", Kind::Text, "So many operations of this name have ended: OP, or WORKLOAD.OP.").with(SUBJECT),
    Key::new(
        "is",
        Kind::OneOf(OperationKind::ENDS),
        "How they ended: \"ok\" if not given, \"fail\" (it certainly did not happen) or \"info\" (it may have).",
    ),
    Key::new("exec", Kind::Command, "This command must exit as it should; it is repeated until it does.").with(SUBJECT),
    Key::new("on", Kind::Target, "Runs the command once for each of these nodes, as that node."),
    Key::new("exit", Kind::IntIn(0, 255), "The exit code that is good; 0 if not given."),
    Key::new("tcp", Kind::Text, "Somebody must accept connections at this address: \"{peer1.addr}\".").with(SUBJECT),
    Key::new("http", Kind::Text, HTTP).with(SUBJECT),
    Key::new("status", Kind::IntIn(100, 599), STATUS),
];

/// What `http` says, also where a process becomes ready.
pub(crate) const HTTP: &str = "A GET to this URL must be answered, with any 2xx if `status` is not given: \"http://{addr}/health\". Without encryption, and redirects are answers like others.";

/// What `status` says, beside it.
pub(crate) const STATUS: &str = "The status of the answer that `http` wants.";

/// The keys of which a condition has exactly one, and those that go with each.
const SUBJECTS: &[(&str, &[&str])] = &[
    ("event", &["from", "each", "where", "at_least", "process", "since"]),
    ("latest", &["from", "each", "where", "process", "since"]),
    ("op", &["is", "at_least", "since"]),
    ("exec", &["on", "exit"]),
    ("tcp", &[]),
    ("http", &["status"]),
];

/// What a condition may look at, by the key that says so.
#[cfg(test)]
pub(crate) fn subjects() -> impl Iterator<Item = &'static str> {
    SUBJECTS.iter().map(|(subject, _)| *subject)
}

/// Which subjects each of the other keys goes with.
pub(crate) fn companions() -> Vec<(&'static str, Vec<&'static str>)> {
    let is_subject = |key: &&Key| SUBJECTS.iter().any(|(subject, _)| *subject == key.name);
    let subjects = |key: &Key| {
        SUBJECTS.iter().filter(|(_, allowed)| allowed.contains(&key.name)).map(|(subject, _)| *subject).collect()
    };
    KEYS.iter().filter(|key| !is_subject(key)).map(|key| (key.name, subjects(key))).collect()
}

/// What a condition's words refer to: the steps before it.
#[derive(Debug, Clone)]
pub struct Origin {
    /// From when on it looks if it does not say.
    pub since: Since,
    /// The index of the step that it belongs to; `since` can only name earlier ones.
    pub step: usize,
}

impl Condition {
    /// Reads a condition, or a list of them.
    pub fn parse(item: &Item<'_, '_>, origin: &Origin, names: &Names<'_>) -> Option<Self> {
        let items = item.one_or_more();
        if items.is_empty() {
            let message = format!("`{}` asks for nothing", item.key());
            item.report(Diagnostic::error(diagnostic::EMPTY, message, item.span(), "an empty list"));
        }
        let parts: Vec<_> = items.iter().map(|item| Part::parse(item, origin, names)).collect();
        let parts: Vec<Part> = parts.into_iter().collect::<Option<_>>()?;
        (!parts.is_empty()).then_some(Self { parts })
    }
}

impl Part {
    fn parse(item: &Item<'_, '_>, origin: &Origin, names: &Names<'_>) -> Option<Self> {
        let table = item.table_or("event", KEYS, "a condition")?;
        let subjects = SUBJECTS.iter().map(|(subject, _)| *subject).collect::<Vec<_>>();
        let subject =
            table.exactly_one(&subjects, "a subject", "what must hold: event, latest, op, exec, tcp or http")?;
        let (subject, allowed) = SUBJECTS.iter().find(|(name, _)| *name == subject.key())?;
        refuse_misplaced(&table, subject, allowed);
        match *subject {
            "op" => OperationPart::parse(&table, origin, names).map(Self::Operation),
            "exec" => parse_exec(&table, names).map(Self::Probe),
            "tcp" => {
                let address = parse_address(&table.nonempty_text("tcp")?, Setting::BENCH, names)?;
                Some(Self::Probe(Probe::Tcp { address }))
            }
            "http" => Http::parse(&table, Setting::BENCH, names)?.map(|http| Self::Probe(Probe::Http(http))),
            subject => EventPart::parse(&table, subject, origin, names).map(Self::Event),
        }
    }
}

/// A key that its condition does not look at is a mistake.
fn refuse_misplaced(table: &Table<'_, '_>, subject: &str, allowed: &[&str]) {
    for key in KEYS {
        if SUBJECTS.iter().any(|(name, _)| *name == key.name) || allowed.contains(&key.name) {
            continue;
        }
        if let Some(item) = table.item(key.name) {
            let message = format!("`{}` does nothing beside `{subject}`", key.name);
            let help = match allowed {
                [] => format!("`{subject}` stands alone"),
                allowed => format!("beside `{subject}`: {}", allowed.join(", ")),
            };
            table.report(
                Diagnostic::error(diagnostic::MISPLACED_MODIFIER, message, item.key_span(), "does nothing here")
                    .help(help),
            );
        }
    }
}

/// Reads an address to connect to. What stands in the place of a placeholder may bring the port, plain text has to have it.
pub(crate) fn parse_address(text: &Located<&str>, setting: Setting, names: &Names<'_>) -> Option<Template> {
    let address = Template::parse(text, setting, names)?;
    let has_port = |text: &str| {
        text.rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
    };
    if address.plain().is_none_or(has_port) {
        return Some(address);
    }
    let message = format!("`{}` is no address to connect to", text.value.escape_debug());
    let help = "a host and a port: \"{peer1.addr}\", \"127.0.0.1:8080\", \"[::1]:8080\"";
    names
        .problems()
        .report(Diagnostic::error(diagnostic::BAD_ADDRESS, message, text.span.clone(), "no port").help(help));
    None
}

fn parse_exec(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Probe> {
    let on = table.item("on").map(|on| Target::parse(&on, names, Purpose::Look));
    let setting = match &on {
        None => Setting::BENCH,
        Some(on) => Setting::NODE.of(on.as_ref().map_or(Whose::Anybody, |on| on.whose(names))),
    };
    let command = parse_command(&table.item("exec")?, setting, names);
    let exit = table.int("exit", 0..=255).map_or(0, |exit| i32::try_from(exit.value).unwrap_or(0));
    let on = match on {
        Some(on) => Some(on?),
        None => None,
    };
    Some(Probe::Exec { command: command?, on, exit })
}

/// Reads a command: a list of texts, of which the first is the program.
pub fn parse_command(item: &Item<'_, '_>, setting: Setting, names: &Names<'_>) -> Option<Vec<Template>> {
    let arguments: Vec<_> = item.texts()?.iter().map(|text| Template::parse(text, setting, names)).collect();
    let arguments: Vec<Template> = arguments.into_iter().collect::<Option<_>>()?;
    if arguments.first().is_none_or(|program| program.plain() == Some("")) {
        let message = format!("`{}` names no program", item.key());
        let label = "no program to run";
        item.report(
            Diagnostic::error(diagnostic::EMPTY, message, item.span(), label)
                .help("the program and its arguments, one text each: [\"redis-cli\", \"ping\"]"),
        );
        return None;
    }
    if item.is_text() && arguments[0].plain().is_some_and(|text| text.contains(' ')) {
        let message = format!("`{}` is one text, and commands are lists of arguments", item.key());
        let shell = "for a shell's line: [\"sh\", \"-c\", \"...\"]";
        item.report(
            Diagnostic::error(diagnostic::WRONG_TYPE, message, item.span(), "no shell splits this").help(shell),
        );
        return None;
    }
    Some(arguments)
}

/// From when on a condition looks.
fn parse_since(table: &Table<'_, '_>, origin: &Origin, names: &Names<'_>) -> Option<Since> {
    match table.text("since") {
        None => Some(origin.since.clone()),
        Some(since) if since.value == "start" => Some(Since::Start),
        Some(since) => {
            let index = names.step_before(&since, origin.step);
            index.map(|index| Since::Step { index, label: names.step_label(index) })
        }
    }
}

impl EventPart {
    /// Reads the next occurrence of an event: of the keys of a condition, `event`, `from`, `where` and `process`.
    pub(crate) fn parse_occurrence(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Self> {
        let event = table.required("event", Table::text).and_then(|name| names.event(&name));
        let from = table.item("from").map_or(Some(Target::all()), |item| Target::parse(&item, names, Purpose::Look));
        let filter = match (table.item("where"), &event) {
            (Some(filter), Some(event)) => Filter::parse(&filter, event, names),
            (Some(_), None) => None,
            (None, _) => Some(Filter::default()),
        };
        let process = match table.text("process") {
            Some(process) => names.process(&process).map(Some),
            None => Some(None),
        };
        let (event, who, since) = (event?, Who::From(from?), Since::Start);
        Some(Self { event, is_latest: false, who, filter: filter?, at_least: 1, process: process?, since })
    }

    fn parse(table: &Table<'_, '_>, subject: &'static str, origin: &Origin, names: &Names<'_>) -> Option<Self> {
        let is_latest = subject == "latest";
        let event = table.text(subject).and_then(|name| names.event(&name));
        let who = match table.at_most_one(&["from", "each"]) {
            None => Some(Who::From(Target::all())),
            Some(item) => {
                let target = Target::parse(&item, names, Purpose::Look);
                target.map(if item.key() == "each" { Who::Each } else { Who::From })
            }
        };
        let filter = match (table.item("where"), &event) {
            (Some(filter), Some(event)) => Filter::parse(&filter, event, names),
            (Some(_), None) => None,
            (None, _) => Some(Filter::default()),
        };
        let at_least = table.int("at_least", 1..=1_000_000_000).map_or(1, |n| n.value.unsigned_abs());
        let process = match table.text("process") {
            Some(process) => names.process(&process).map(Some),
            None => Some(None),
        };
        let since = match is_latest && !table.has("since") {
            true => Some(Since::Start),
            false => parse_since(table, origin, names),
        };
        Some(Self { event: event?, is_latest, who: who?, filter: filter?, at_least, process: process?, since: since? })
    }
}
