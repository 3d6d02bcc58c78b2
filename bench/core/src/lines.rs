//! The history on disk: JSON lines.
//!
//! The first line names the format and its version, then each observation is one line, in the order of the numbers:
//!
//! ```json
//! {"dsbench_history":1}
//! {"n":0,"t":0,"run":"started"}
//! {"n":1,"t":1203344,"process":{"node":"peer1","life":1,"change":{"started":{"pid":812}}}}
//! {"n":2,"t":98120555,"event":{"name":"became_leader","node":"peer1","life":1,"fields":{"term":4},"early":200000,"log":{"offset":911,"line":12,"text":"..."}}}
//! ```
//!
//! `n` is the number, `t` the nanoseconds of run time; beside them stands exactly one of `run`, `process`, `event`, `action`, `step`,
//! `sample`, `stall`, `answer`. `process` is left out where it is `main`. A field is a number (with a fraction or an exponent: a float), a
//! text, `{"node": "peer1"}`, `{"nodes": [..]}` or `{"float": "NaN"}`.
//!
//! Within one version the format only grows by keys, and a reader passes over keys that it does not know. A new kind of observation or a
//! new meaning is a new version.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::history::History;
use crate::observation::{
    Action, Answer, Change, Event, Life, LogLine, MAIN, Name, Nanos, Observation, Phase, ProcessChange, Sample, Stall,
    StepChange, Value, What,
};
use crate::time::RunTime;

/// The version of the format that is written, and the newest that is read.
pub const VERSION: u32 = 1;

/// The first line, with its newline.
pub fn header() -> String {
    format!("{{\"dsbench_history\":{VERSION}}}\n")
}

/// Appends the line of an observation, with its newline.
pub fn encode(observation: &Observation, out: &mut Vec<u8>) {
    serde_json::to_writer(&mut *out, observation).expect("writing to memory does not fail");
    out.push(b'\n');
}

/// A history as it was read.
#[derive(Debug)]
pub struct Recorded {
    /// Every whole line.
    pub history: History,
    /// The last line, if it was not finished: the writer was killed while it wrote. It is not part of the history.
    pub torn: Option<Torn>,
}

/// A line without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Torn {
    /// Its line number, from 1.
    pub line: u64,
    /// How much of it there is.
    pub bytes: usize,
}

/// Why a stored history cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ReadError {
    /// The first line is not there or is something else.
    #[error(
        "read the history: the first line is not `{{\"dsbench_history\":{VERSION}}}` (is this a history of dsbench?)"
    )]
    NotAHistory,
    /// It was written by a newer dsbench.
    #[error(
        "read the history: it has format {version}, and this dsbench reads up to {VERSION} (use the dsbench that wrote it, or a newer one)"
    )]
    Newer {
        /// The version that it names.
        version: u32,
    },
    /// A line is not an observation, or not the next one.
    #[error("read line {line} of the history: {why} (was the file edited?)")]
    Line {
        /// Line number, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// Reads a whole history.
///
/// # Errors
///
/// If the first line is not ours or newer than us, or if a line is not the observation that should come next. A last line without
/// newline is no error: it is dropped and named in [`Recorded::torn`].
pub fn read(bytes: &[u8]) -> Result<Recorded, ReadError> {
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let (lines, rest) = bytes.split_at(whole);
    let lines = utf8(lines)?;
    let count = lines.bytes().filter(|&byte| byte == b'\n').count();
    let mut lines = lines.split_terminator('\n');
    read_header(lines.next().ok_or(ReadError::NotAHistory)?)?;

    let mut history = History::with_capacity(count);
    let mut symbols = Symbols::default();
    let mut line = 1;
    for text in lines {
        line += 1;
        let observation = read_line(text, &mut symbols).map_err(|why| ReadError::Line { line, why })?;
        let expected = history.next_number();
        if observation.number != expected {
            let why = format!("it is number {}, and {expected} comes next", observation.number);
            return Err(ReadError::Line { line, why });
        }
        history.push(observation.at, observation.what);
    }
    let torn = (!rest.is_empty()).then_some(Torn { line: line + 1, bytes: rest.len() });
    Ok(Recorded { history, torn })
}

fn utf8(lines: &[u8]) -> Result<&str, ReadError> {
    std::str::from_utf8(lines).map_err(|error| {
        let line = 1 + lines[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() as u64;
        ReadError::Line { line, why: "it is not UTF-8".into() }
    })
}

fn read_header(line: &str) -> Result<(), ReadError> {
    #[derive(Deserialize)]
    struct Header {
        dsbench_history: u32,
    }
    let header: Header = serde_json::from_str(line).map_err(|_| ReadError::NotAHistory)?;
    match header.dsbench_history {
        VERSION => Ok(()),
        version if version > VERSION => Err(ReadError::Newer { version }),
        _ => Err(ReadError::NotAHistory),
    }
}

fn read_line(text: &str, symbols: &mut Symbols) -> Result<Observation, String> {
    let line: Line<'_> = serde_json::from_str(text).map_err(|error| {
        // The parser counts lines within this one line.
        error.to_string().replace(" at line 1 column ", " at column ")
    })?;
    line.observation(symbols)
}

/// One line. A struct of options, not a tagged enum: serde would copy the whole line before it looked at the tag.
#[derive(Serialize, Deserialize, Default)]
struct Line<'a> {
    n: u64,
    t: RunTime,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    event: Option<EventLine<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    sample: Option<SampleLine<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    process: Option<ProcessLine<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<Cow<'a, Phase>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<Cow<'a, Action>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<Cow<'a, StepChange>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stall: Option<Cow<'a, Stall>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<Cow<'a, Answer>>,
}

#[derive(Serialize, Deserialize)]
struct EventLine<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    node: Text<'a>,
    #[serde(default, skip_serializing_if = "Text::is_main")]
    process: Text<'a>,
    life: u32,
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    fields: Fields<'a>,
    early: Nanos,
    log: LogText<'a>,
}

#[derive(Serialize, Deserialize)]
struct LogText<'a> {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    stderr: bool,
    offset: u64,
    line: u64,
    #[serde(borrow)]
    text: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct SampleLine<'a> {
    #[serde(borrow)]
    node: Text<'a>,
    #[serde(default, skip_serializing_if = "Text::is_main")]
    process: Text<'a>,
    life: u32,
    cpu: Nanos,
    rss_bytes: u64,
    open_files: u32,
}

#[derive(Serialize, Deserialize)]
struct ProcessLine<'a> {
    #[serde(borrow)]
    node: Text<'a>,
    #[serde(default, skip_serializing_if = "Text::is_main")]
    process: Text<'a>,
    life: u32,
    change: Cow<'a, Change>,
}

impl Serialize for Observation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = Line { n: self.number, t: self.at, ..Line::default() };
        match &self.what {
            What::Run(phase) => line.run = Some(Cow::Borrowed(phase)),
            What::Process(change) => line.process = Some(change.into()),
            What::Event(event) => line.event = Some(event.into()),
            What::Action(action) => line.action = Some(Cow::Borrowed(action)),
            What::Step(step) => line.step = Some(Cow::Borrowed(step)),
            What::Sample(sample) => line.sample = Some(sample.into()),
            What::Stall(stall) => line.stall = Some(Cow::Borrowed(stall)),
            What::Answer(answer) => line.answer = Some(Cow::Borrowed(answer)),
        }
        line.serialize(serializer)
    }
}

impl<'a> From<&'a Event> for EventLine<'a> {
    fn from(event: &'a Event) -> Self {
        let fields = event.fields.iter().map(|(name, value)| (Text::of(name), value.into()));
        let log = &event.log;
        Self {
            name: Text::of(&event.name),
            node: Text::of(&event.of.node),
            process: Text::of(&event.of.process),
            life: event.of.life,
            fields: Fields(fields.collect()),
            early: event.uncertainty,
            log: LogText { stderr: log.stderr, offset: log.offset, line: log.line, text: Text::of(&log.text) },
        }
    }
}

impl<'a> From<&'a Sample> for SampleLine<'a> {
    fn from(sample: &'a Sample) -> Self {
        Self {
            node: Text::of(&sample.of.node),
            process: Text::of(&sample.of.process),
            life: sample.of.life,
            cpu: sample.cpu,
            rss_bytes: sample.rss_bytes,
            open_files: sample.open_files,
        }
    }
}

impl<'a> From<&'a ProcessChange> for ProcessLine<'a> {
    fn from(process: &'a ProcessChange) -> Self {
        Self {
            node: Text::of(&process.of.node),
            process: Text::of(&process.of.process),
            life: process.of.life,
            change: Cow::Borrowed(&process.change),
        }
    }
}

impl Line<'_> {
    fn observation(self, symbols: &mut Symbols) -> Result<Observation, String> {
        let mut kinds = [
            self.event.map(|line| What::Event(line.event(symbols))),
            self.sample.map(|line| What::Sample(line.sample(symbols))),
            self.process.map(|line| What::Process(line.change(symbols))),
            self.run.map(|phase| What::Run(phase.into_owned())),
            self.action.map(|action| What::Action(action.into_owned())),
            self.step.map(|step| What::Step(step.into_owned())),
            self.stall.map(|stall| What::Stall(stall.into_owned())),
            self.answer.map(|answer| What::Answer(answer.into_owned())),
        ]
        .into_iter()
        .flatten();
        match (kinds.next(), kinds.next()) {
            (Some(what), None) => Ok(Observation { number: self.n, at: self.t, what }),
            (None, _) => Err("it holds no kind of observation that this dsbench knows".into()),
            (Some(_), Some(_)) => Err("it holds two observations".into()),
        }
    }
}

impl EventLine<'_> {
    fn event(self, symbols: &mut Symbols) -> Event {
        let fields = self.fields.0.into_iter().map(|(name, value)| (symbols.name(&name.0), value.value(symbols)));
        let fields = fields.collect();
        Event {
            name: symbols.name(&self.name.0),
            of: Life { node: symbols.name(&self.node.0), process: symbols.name(&self.process.0), life: self.life },
            fields,
            uncertainty: self.early,
            log: LogLine {
                stderr: self.log.stderr,
                offset: self.log.offset,
                line: self.log.line,
                text: self.log.text.0.into_owned(),
            },
        }
    }
}

impl SampleLine<'_> {
    fn sample(self, symbols: &mut Symbols) -> Sample {
        Sample {
            of: Life { node: symbols.name(&self.node.0), process: symbols.name(&self.process.0), life: self.life },
            cpu: self.cpu,
            rss_bytes: self.rss_bytes,
            open_files: self.open_files,
        }
    }
}

impl ProcessLine<'_> {
    fn change(self, symbols: &mut Symbols) -> ProcessChange {
        ProcessChange {
            of: Life { node: symbols.name(&self.node.0), process: symbols.name(&self.process.0), life: self.life },
            change: self.change.into_owned(),
        }
    }
}

/// A text that borrows from the line where it can. (serde never borrows into a `Cow` inside an option or a list.)
struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    fn of(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }

    fn is_main(&self) -> bool {
        self.0 == MAIN
    }
}

/// The process that a line does not name.
impl Default for Text<'_> {
    fn default() -> Self {
        Self(Cow::Borrowed(MAIN))
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;
        impl<'de> Visitor<'de> for Borrowing {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrowing)
    }
}

/// The fields of an event, in the order of the line.
#[derive(Default)]
struct Fields<'a>(Vec<(Text<'a>, ValueText<'a>)>);

impl Fields<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of fields")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

enum ValueText<'a> {
    Int(i64),
    Float(f64),
    Text(Text<'a>),
    Node(Text<'a>),
    Nodes(Vec<Text<'a>>),
}

impl<'a> From<&'a Value> for ValueText<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Int(value) => Self::Int(*value),
            Value::Float(value) => Self::Float(*value),
            Value::Text(text) => Self::Text(Text::of(text)),
            Value::Node(node) => Self::Node(Text::of(node)),
            Value::Nodes(nodes) => Self::Nodes(nodes.iter().map(|node| Text::of(node)).collect()),
        }
    }
}

impl ValueText<'_> {
    fn value(self, symbols: &mut Symbols) -> Value {
        match self {
            Self::Int(value) => Value::Int(value),
            Self::Float(value) => Value::Float(value),
            // Texts are mostly unique (messages), and a table of them would only cost.
            Self::Text(text) => Value::Text(text.0.into()),
            Self::Node(node) => Value::Node(symbols.name(&node.0)),
            Self::Nodes(nodes) => Value::Nodes(nodes.iter().map(|node| symbols.name(&node.0)).collect()),
        }
    }
}

impl Serialize for ValueText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fn tagged<S: Serializer>(serializer: S, tag: &str, value: impl Serialize) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(Some(1))?;
            map.serialize_entry(tag, &value)?;
            map.end()
        }
        match self {
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) if value.is_finite() => serializer.serialize_f64(*value),
            // JSON has no number for these.
            Self::Float(value) => tagged(serializer, "float", value.to_string()),
            Self::Text(text) => text.serialize(serializer),
            Self::Node(node) => tagged(serializer, "node", node),
            Self::Nodes(nodes) => tagged(serializer, "nodes", nodes),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for ValueText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;
        impl<'de> Visitor<'de> for AnyValue {
            type Value = ValueText<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, a text or an object of `node`, `nodes` or `float`")
            }
            fn visit_i64<E>(self, value: i64) -> Result<ValueText<'de>, E> {
                Ok(ValueText::Int(value))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<ValueText<'de>, E> {
                i64::try_from(value).map(ValueText::Int).map_err(|_| E::custom("the number is too large"))
            }
            fn visit_f64<E>(self, value: f64) -> Result<ValueText<'de>, E> {
                Ok(ValueText::Float(value))
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<ValueText<'de>, E> {
                Ok(ValueText::Text(Text(Cow::Borrowed(text))))
            }
            fn visit_str<E>(self, text: &str) -> Result<ValueText<'de>, E> {
                Ok(ValueText::Text(Text(Cow::Owned(text.to_owned()))))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ValueText<'de>, A::Error> {
                let tag: Text<'de> =
                    map.next_key()?.ok_or_else(|| de::Error::custom("the value is an empty object"))?;
                let value = match &*tag.0 {
                    "node" => ValueText::Node(map.next_value()?),
                    "nodes" => ValueText::Nodes(map.next_value()?),
                    "float" => {
                        let text: Text<'de> = map.next_value()?;
                        ValueText::Float(text.0.parse().map_err(|_| de::Error::custom("`float` is not a number"))?)
                    }
                    other => return Err(de::Error::unknown_field(other, &["node", "nodes", "float"])),
                };
                match map.next_key::<Text<'de>>()? {
                    None => Ok(value),
                    Some(_) => Err(de::Error::custom("the value has more than one kind")),
                }
            }
        }
        deserializer.deserialize_any(AnyValue)
    }
}

/// Gives equal names the same memory: a history repeats a few names a million times. It forgets where two names meet in one slot, which
/// costs a little memory and nothing else.
struct Symbols(Vec<Option<Name>>);

impl Default for Symbols {
    fn default() -> Self {
        Self(vec![None; 1024])
    }
}

impl Symbols {
    fn name(&mut self, text: &str) -> Name {
        // FNV-1a: names are short, and nobody gains by making them meet.
        let hash = text
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        let slot = &mut self.0[(hash >> 32) as usize % 1024];
        match slot {
            Some(name) if **name == *text => Arc::clone(name),
            _ => Arc::clone(slot.insert(text.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stories::{Story, wild};

    fn written(history: &History) -> Vec<u8> {
        let mut bytes = header().into_bytes();
        history.observations().iter().for_each(|observation| encode(observation, &mut bytes));
        bytes
    }

    fn three_lines() -> Vec<u8> {
        let mut bytes = header().into_bytes();
        bytes.extend_from_slice(b"{\"n\":0,\"t\":0,\"run\":\"started\"}\n{\"n\":1,\"t\":5,\"run\":\"ready\"}\n");
        bytes
    }

    #[test]
    fn a_line_reads_like_its_meaning() {
        let mut story = Story::of(&["peer1"]);
        story.at(1).early(2).says("peer1", "leads", &[("term", Value::Int(4)), ("id", Value::Node("p2".into()))]);
        story.says("peer1", "rate", &[("x", Value::Float(1.0)), ("inf", Value::Float(f64::INFINITY))]);
        let bytes = written(&story.history);
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], r#"{"dsbench_history":1}"#);
        assert_eq!(lines[2], r#"{"n":1,"t":0,"process":{"node":"peer1","life":1,"change":{"started":{"pid":100}}}}"#);
        assert_eq!(
            lines[5],
            r#"{"n":4,"t":1000000,"event":{"name":"leads","node":"peer1","life":1,"fields":{"term":4,"id":{"node":"p2"}},"early":2000000,"log":{"offset":40,"line":4,"text":"peer1 leads"}}}"#
        );
        assert!(lines[6].contains(r#""fields":{"x":1.0,"inf":{"float":"inf"}}"#));
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_named() {
        let whole = three_lines();
        let recorded = read(&whole[..whole.len() - 1]).unwrap();
        assert_eq!((recorded.history.observations().len(), recorded.torn), (1, Some(Torn { line: 3, bytes: 27 })));
        let recorded = read(&whole).unwrap();
        assert_eq!((recorded.history.observations().len(), recorded.torn), (2, None));
    }

    #[test]
    fn an_edited_line_is_named_with_its_reason() {
        let refused = |from: &str, to: &str| {
            let text = String::from_utf8(three_lines()).unwrap().replace(from, to);
            read(text.as_bytes()).unwrap_err().to_string()
        };
        let why = refused("\"t\":0,", "\"t\":zero,");
        assert_eq!(why, "read line 2 of the history: expected value at column 12 (was the file edited?)");
        assert!(refused("\"n\":0", "\"n\":7").contains("line 2 of the history: it is number 7, and 0 comes next"));
        assert!(refused("\"run\":\"started\"", "\"walk\":1").contains("line 2 of the history: it holds no kind"));
        assert!(refused("\"t\":5,", "\"t\":5,\"stall\":{\"since\":1,\"of\":\"loop\"},").contains("line 3"));
        assert!(
            refused("\"n\":0,\"t\":0,\"run\":\"started\"", "").contains("line 2 of the history: missing field `n`")
        );
    }

    #[test]
    fn a_newer_format_is_refused_and_keys_that_came_later_are_passed_over() {
        let newer = String::from_utf8(three_lines()).unwrap().replace("history\":1", "history\":2");
        assert_eq!(read(newer.as_bytes()).unwrap_err(), ReadError::Newer { version: 2 });
        let grown = String::from_utf8(three_lines()).unwrap().replace("\"t\":5", "\"t\":5,\"since\":{\"x\":[1]}");
        assert_eq!(read(grown.as_bytes()).unwrap().history.observations().len(), 2);
        for other in ["", "{}", "\n", "{\"dsbench_history\":0}\n", "\0\0\0\n"] {
            assert_eq!(read(other.as_bytes()).unwrap_err(), ReadError::NotAHistory, "{other:?}");
        }
    }

    #[test]
    fn invalid_utf8_is_an_error_of_its_line() {
        let mut bytes = three_lines();
        let last = bytes.len() - 4;
        bytes[last] = 0xff;
        assert!(matches!(read(&bytes).unwrap_err(), ReadError::Line { line: 3, .. }));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(history in wild()) {
            let recorded = read(&written(&history)).unwrap();
            prop_assert_eq!(recorded.history.observations(), history.observations());
            prop_assert_eq!(recorded.torn, None);
            prop_assert_eq!(recorded.history.nodes().collect::<Vec<_>>(), history.nodes().collect::<Vec<_>>());
        }

        #[test]
        fn a_history_cut_anywhere_gives_its_whole_lines(history in wild(), cut in any::<prop::sample::Index>()) {
            let bytes = written(&history);
            let cut = header().len() + cut.index(bytes.len() + 1 - header().len());
            let recorded = read(&bytes[..cut]).unwrap();
            let whole = bytes[..cut].iter().filter(|&&byte| byte == b'\n').count() - 1;
            prop_assert_eq!(recorded.history.observations(), &history.observations()[..whole]);
            prop_assert_eq!(recorded.torn.is_some(), bytes[cut - 1] != b'\n');
        }

        #[test]
        fn no_bytes_make_the_reader_panic(history in wild(), edits in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..6)) {
            let mut bytes = written(&history);
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let _ = read(&bytes);
        }

        #[test]
        fn no_text_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
            let _ = read(&[header().as_bytes(), &bytes, b"\n"].concat());
        }
    }
}
