//! One operation of a workload: what it takes, and one way to perform it.

use std::fmt;
use std::time::Duration;

use super::wording::{Own, Wording};
use crate::diagnostic::{self, Diagnostic, Located};
use crate::names::{FieldKind, Names};
use crate::observation::Name;
use crate::pattern;
use crate::table::{Item, Key, Kind, Need, Table};
use crate::target::{Purpose, Target};

/// An operation.
#[derive(Debug, Clone)]
pub struct Op {
    /// Its name.
    pub name: Name,
    /// How often it comes, in relation to the others.
    pub weight: u32,
    /// It is about a key.
    pub has_key: bool,
    /// It writes a value.
    pub has_value: bool,
    /// How long it may take, if that is not the workload's.
    pub within: Option<Duration>,
    /// How it is performed.
    pub way: Way,
}

/// How an operation is performed.
#[derive(Debug, Clone)]
pub enum Way {
    /// A line is typed into a node's standard input.
    Input {
        /// The line.
        line: Wording,
        /// How one knows that it was done.
        ack: Ack,
    },
    /// A command is executed.
    Exec {
        /// The program and its arguments.
        command: Vec<Wording>,
        /// The exit codes that say that it certainly did not happen.
        fails: Vec<i32>,
    },
    /// The client's program is asked.
    Client,
}

/// How one knows that a line that was typed has done what it should.
#[derive(Debug, Clone)]
pub enum Ack {
    /// The node has taken it: its promise is that typing is enough.
    Written,
    /// An event says so.
    Event {
        /// The event.
        event: Name,
        /// Who says it; none: the node that the line was typed into.
        from: Option<Target>,
        /// What its fields have to be.
        tests: Vec<(Name, AckTest)>,
    },
}

/// What a field of the acknowledgement has to be.
#[derive(Debug, Clone)]
pub enum AckTest {
    /// Just this, as a text.
    Is(Wording),
    /// What matches this pattern.
    Matches(Wording),
}

impl AckTest {
    fn wording(&self) -> &Wording {
        let (Self::Is(wording) | Self::Matches(wording)) = self;
        wording
    }

    /// True if it holds for this operation of the workload alone: it has its whole number, and not a part of another.
    fn is_of_serial(&self) -> bool {
        match self {
            Self::Is(wording) => wording.has(Own::Serial),
            Self::Matches(wording) => wording.has(Own::Serial) && wording.bounds_serial(),
        }
    }

    fn has_value(&self) -> bool {
        self.wording().has(Own::Value)
    }
}

impl Op {
    /// The event that acknowledges it, if only its number tells it from others: numbers are the workload's own.
    pub(super) fn acknowledged_by_number(&self, is_unique: bool) -> Option<&Name> {
        match &self.way {
            Way::Input { ack: Ack::Event { event, tests, .. }, .. } => {
                let has_value = tests.iter().any(|(_, test)| is_unique && test.has_value());
                (!has_value).then_some(event)
            }
            _ => None,
        }
    }

    /// The event that acknowledges it.
    pub(super) fn acknowledged_by(&self) -> Option<&Name> {
        match &self.way {
            Way::Input { ack: Ack::Event { event, .. }, .. } => Some(event),
            _ => None,
        }
    }
}

impl fmt::Display for Op {
    /// In people's words: ``say: type "send {value}" to the node, until `delivered` where text = "{value}"``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.way {
            Way::Input { line, ack } => {
                write!(f, "type \"{line}\" to the node, {ack}")?;
            }
            Way::Exec { command, .. } => {
                let command: Vec<String> = command.iter().map(ToString::to_string).collect();
                write!(f, "run `{}`", command.join(" "))?;
            }
            Way::Client => write!(f, "ask the client's program")?,
        }
        match self.within {
            Some(within) => write!(f, ", within {}", humantime::format_duration(within)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Event { event, from, tests } = self else { return f.write_str("done when it is taken") };
        write!(f, "done when ")?;
        match from {
            Some(from) => write!(f, "{from} says `{event}`")?,
            None => write!(f, "it says `{event}`")?,
        }
        tests.iter().enumerate().try_for_each(|(index, (field, test))| {
            let and = if index == 0 { " where" } else { "," };
            match test {
                AckTest::Is(wording) => write!(f, "{and} {field} = \"{wording}\""),
                AckTest::Matches(wording) => write!(f, "{and} {field} ~ '{wording}'"),
            }
        })
    }
}

/// More tickets than this would only take longer to draw.
const HEAVIEST: i64 = 1_000;

const WAY: Need = Need::AtMostOneOf("how it is performed");

const ACK_KEYS: &[Key] = &[
    Key::required("event", Kind::Event, "The event that says that it was done."),
    Key::required(
        "where",
        Kind::Map(&Kind::Either(&[Kind::Text, Kind::Int])),
        "What its fields have to be: a text or number, or '~pattern', in which {value} is the operation's.",
    ),
    Key::new("from", Kind::Target, "Who says it; if not given, the node that the line was typed into."),
];

const ACK_WORDS: &[&str] = &["written"];

/// The keys of an operation.
pub(super) const KEYS: &[Key] = &[
    Key::new(
        "weight",
        Kind::IntIn(0, HEAVIEST),
        "How often it comes in relation to the other operations of the workload; 1 if not given.",
    ),
    Key::new("within", Kind::Duration, "How long it may take, if that is not what the workload says."),
    Key::new("input", Kind::Text, "Types this line into the standard input of the node: \"send {value}\".").with(WAY),
    Key::new(
        "ack",
        Kind::Either(&[Kind::OneOf(ACK_WORDS), Kind::Table(ACK_KEYS)]),
        "How one knows that the line has done what it should: an event that has its {value}, or \"written\" if it is enough that the node has taken it.",
    )
    .with(Need::Beside(&["input"])),
    Key::new("exec", Kind::Command, "Runs this command for each operation: exit code 0 is ok, and its last line is the answer.")
        .with(WAY),
    Key::new(
        "fails",
        FAILS,
        "Exit codes of the command which say that it certainly did not happen; after any other but 0 it may have.",
    )
    .with(Need::Beside(&["exec"])),
    Key::new(
        "takes",
        TAKES,
        "What the client's program is told: [\"value\"] if not given, and \"key\" if the workload has `keys`; [] for neither.",
    ),
];

const CODE: Kind = Kind::IntIn(1, 255);
const FAILS: Kind = Kind::Either(&[CODE, Kind::List(&CODE)]);
const TAKES: Kind = Kind::List(&Kind::OneOf(TAKES_WORDS));
const TAKES_WORDS: &[&str] = &["key", "value"];

/// What all operations of a workload have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Common {
    /// Only steps perform it.
    pub(super) is_called: bool,
    /// Its clients are programs that perform everything.
    pub(super) by_program: bool,
    /// There are several keys.
    pub(super) has_keys: bool,
    /// What is written tells operations from each other.
    pub(super) is_unique: bool,
}

/// Reads an operation.
pub(super) fn parse(item: &Item<'_, '_>, common: Common, names: &Names<'_>) -> Option<Op> {
    let table = item.table(KEYS, "an operation")?;
    let weight = table.int("weight", 0..=HEAVIEST).map_or(1, |weight| u32::try_from(weight.value).unwrap_or(0));
    if let (Some(weight), true) = (table.item("weight"), common.is_called) {
        let message = "`weight` does nothing for an operation that only steps call";
        let label = "it never comes by itself";
        table.report(Diagnostic::error(diagnostic::NO_WAY, message, weight.key_span(), label).help("leave it out"));
        return None;
    }
    let within = table.duration("within").map(|within| within.value);
    let way = table.at_most_one(&["input", "exec"]);
    if let (Some(ack), false) = (table.item("ack"), table.has("input")) {
        let message = "`ack` does nothing without `input`";
        let label = "does nothing here";
        table.report(
            Diagnostic::error(diagnostic::MISPLACED_MODIFIER, message, ack.key_span(), label)
                .help("a line that is typed is acknowledged; commands and programs answer by themselves"),
        );
    }
    if let (Some(fails), false) = (table.item("fails"), table.has("exec")) {
        let message = "`fails` does nothing without `exec`";
        let label = "does nothing here";
        table.report(
            Diagnostic::error(diagnostic::MISPLACED_MODIFIER, message, fails.key_span(), label)
                .help("only commands have exit codes"),
        );
    }
    let way = match (way, common.by_program) {
        (Some(way), false) if way.key() == "exec" => parse_exec(&table, &way, names),
        (Some(way), false) => parse_input(&table, &way, common, names),
        (None, true) => Some(Way::Client),
        (Some(way), true) => refuse_way(
            &table,
            format!("`{}` and the workload's `client` perform the same operation", way.key()),
            "the program performs it",
        ),
        (None, false) => {
            refuse_way(&table, format!("nobody performs the operation `{}`", item.key().escape_debug()), "how?")
        }
    };
    let takes = match table.item("takes") {
        None => None,
        Some(item) if common.by_program => Some(parse_takes(&item)?),
        Some(item) => {
            let message = "`takes` is for operations of a program";
            let help = "a line or a command says itself what it takes: {key}, {value}";
            let label = "nobody is told";
            table.report(Diagnostic::error(diagnostic::NO_WAY, message, item.key_span(), label).help(help));
            return None;
        }
    };
    let way = way?;
    let (has_key, has_value) = match &way {
        Way::Input { line, .. } => (line.has(Own::Key), line.has(Own::Value)),
        Way::Exec { command, .. } => {
            let has = |own| command.iter().any(|argument| argument.has(own));
            (has(Own::Key), has(Own::Value))
        }
        Way::Client => takes.unwrap_or((common.has_keys, true)),
    };
    Some(Op { name: item.key().into(), weight, has_key, has_value, within, way })
}

/// Whether an operation takes a key, and a value.
fn parse_takes(item: &Item<'_, '_>) -> Option<(bool, bool)> {
    let words: Vec<_> = item.array()?.iter().map(|word| word.word(TAKES_WORDS)).collect();
    let words: Vec<_> = words.into_iter().collect::<Option<_>>()?;
    let has = |wanted: &str| words.iter().any(|word| word.value == wanted);
    Some((has("key"), has("value")))
}

/// Reads a command of a client: the program and its arguments.
pub(super) fn parse_command(item: &Item<'_, '_>, names: &Names<'_>) -> Option<Vec<Wording>> {
    let arguments: Vec<_> = item.texts()?.iter().map(|text| Wording::parse(text, names)).collect();
    let arguments: Vec<Wording> = arguments.into_iter().collect::<Option<_>>()?;
    if arguments.first().is_none_or(|program| program.plain() == Some("")) {
        let message = format!("`{}` names no program", item.key());
        let help = "the program and its arguments, one text each: [\"./client.py\", \"{target.addr}\"]";
        item.report(Diagnostic::error(diagnostic::EMPTY, message, item.span(), "no program to run").help(help));
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

fn refuse_way<T>(table: &Table<'_, '_>, message: String, label: &str) -> Option<T> {
    let help = "an operation types a line (`input`) or runs a command (`exec`); an event or \"written\" says that the line was done (`ack`); or the workload has a `client` program";
    table.report(Diagnostic::error(diagnostic::NO_WAY, message, table.span(), label).help(help));
    None
}

fn parse_exec(table: &Table<'_, '_>, item: &Item<'_, '_>, names: &Names<'_>) -> Option<Way> {
    let command = parse_command(item, names);
    let codes = table.item("fails").map(|item| item.one_or_more()).unwrap_or_default();
    let codes: Vec<_> = codes.iter().map(|code| code.int(1..=255)).collect();
    let fails = codes.into_iter().map(|code| i32::try_from(code?.value).ok()).collect::<Option<_>>();
    Some(Way::Exec { command: command?, fails: fails? })
}

fn parse_input(table: &Table<'_, '_>, item: &Item<'_, '_>, common: Common, names: &Names<'_>) -> Option<Way> {
    let text = item.nonempty_text();
    let line = text.as_ref().and_then(|text| {
        if text.value.contains(['\n', '\r']) {
            let message = "`input` is more than one line";
            item.report(Diagnostic::error(diagnostic::NO_WAY, message, text.span.clone(), "one line is typed"));
            return None;
        }
        Wording::parse(text, names)
    });
    let ack = match table.item("ack") {
        Some(ack) => parse_ack(&ack, common, names),
        None => refuse_way(table, format!("nobody knows whether `{}` was done", item.key()), "how does one know?"),
    };
    Some(Way::Input { line: line?, ack: ack? })
}

fn parse_ack(item: &Item<'_, '_>, common: Common, names: &Names<'_>) -> Option<Ack> {
    if item.is_text() {
        return item.word(ACK_WORDS).map(|_| Ack::Written);
    }
    let table = item.table(ACK_KEYS, "an acknowledgement")?;
    let event = table.required("event", Table::text).and_then(|event| names.event(&event));
    let from = table.item("from").map(|item| Target::parse(&item, names, Purpose::Look));
    let tests = table.required("where", |table, key| {
        let entries = table.item(key)?.entries()?;
        let tests: Vec<_> = entries.iter().map(|entry| parse_test(entry, event.as_ref()?, names)).collect();
        tests.into_iter().collect::<Option<Vec<_>>>()
    })?;
    let tells_apart = |test: &AckTest| test.is_of_serial() || common.is_unique && test.has_value();
    if !tests.iter().any(|(_, test)| tells_apart(test)) {
        let message = "the acknowledgement could be another operation's";
        let open = tests.iter().map(|(_, test)| test.wording()).find(|wording| wording.has(Own::Serial));
        let (label, help) = match (open, common.is_unique) {
            (Some(open), _) => {
                let bounded = open.to_string().replace("{serial}", r"\b{serial}\b");
                let help = format!("say where the number begins and ends: '~{bounded}'");
                ("the number of operation 1 is also found in 10", help)
            }
            (None, true) => (
                "nothing in it is this operation's alone",
                "a field that has the {value}, which no other operation writes: where = { text = \"m{value}\" }"
                    .to_owned(),
            ),
            (None, false) => (
                "nothing in it is this operation's alone",
                "values are not unique here: a field that has the {serial}, or leave out `values`".to_owned(),
            ),
        };
        item.report(Diagnostic::error(diagnostic::AMBIGUOUS_ACK, message, item.span(), label).help(help));
        return None;
    }
    let from = match from {
        Some(from) => Some(from?),
        None => None,
    };
    Some(Ack::Event { event: event?, from, tests })
}

fn parse_test(entry: &Item<'_, '_>, event: &Name, names: &Names<'_>) -> Option<(Name, AckTest)> {
    let field = names.field(event, &entry.located_key())?;
    if !entry.is_text() {
        let number = entry.int(i64::MIN..=i64::MAX)?.value.to_string();
        let at = Located { value: number.as_str(), span: entry.span() };
        return Some((field.field, AckTest::Is(Wording::parse(&at, names)?)));
    }
    let text = entry.text()?;
    let (pattern, is_pattern) = match text.value.strip_prefix('~') {
        Some(pattern) => (pattern, true),
        None => (text.value, false),
    };
    if matches!(field.kind, FieldKind::Nodes | FieldKind::Float) || is_pattern && field.kind != FieldKind::Text {
        let message = format!("`{}.{}` cannot be an acknowledgement", field.event, field.field);
        let label = format!("it is of the type {}", field.kind.word());
        let help =
            "a field of the type text or int (or node) that has what the operation wrote; '~pattern' is for texts";
        entry.report(Diagnostic::error(diagnostic::FIELD_TYPE, message, text.span, label).help(help));
        return None;
    }
    let wording = Wording::parse(&Located { value: pattern, span: text.span.clone() }, names)?;
    if is_pattern {
        let outline = wording.outline("0");
        pattern::compile(&Located { value: outline.as_str(), span: text.span }, names.problems())?;
        return Some((field.field, AckTest::Matches(wording)));
    }
    Some((field.field, AckTest::Is(wording)))
}
