//! What log lines mean: event patterns with typed fields, and a matcher that is fast on the lines that mean nothing.
//!
//! A pattern searches one line (without its line ending) as text; bytes that are no UTF-8 are read as U+FFFD. All matches of a line
//! count, because threads glue lines together and prompts stick to them.
//!
//! [`Matcher`] does not look at each line by itself. Its [scan](crate::scan) over whole chunks gives the lines that may match, and only
//! those are looked at.

use std::collections::BTreeMap;

use regex::Regex;

use crate::diagnostic::{self, Diagnostic, Located, Problems};
use crate::expression::{Expression, NotOne};
use crate::names::FieldKind;
use crate::observation::{Name, Value};
use crate::scan::Scan;

/// All patterns of a scenario together.
pub(crate) const ALL_BYTES_MAX: usize = 64 << 20;

/// Which output of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file that is followed.
    File,
}

/// An event as the scenario defines it.
#[derive(Debug, Clone)]
pub struct EventPattern {
    /// The event's name.
    pub event: Name,
    /// Any of these makes the event.
    pub log: Vec<Expression>,
    /// Its fields, each a named group of the patterns.
    pub fields: Vec<(Name, FieldKind)>,
    /// Only this output is searched; none for both.
    pub stream: Option<Stream>,
    /// Only this process of a node is searched; none for all.
    pub process: Option<Name>,
    /// Names that the log uses for nodes, for this event only.
    pub alias: BTreeMap<String, Name>,
}

impl EventPattern {
    /// An event without fields, in any output of any process.
    pub fn plain(event: impl Into<Name>, log: impl Into<Expression>) -> Self {
        Self {
            event: event.into(),
            log: vec![log.into()],
            fields: Vec::new(),
            stream: None,
            process: None,
            alias: BTreeMap::new(),
        }
    }
}

/// Reads a pattern; reports what is wrong with it.
pub fn compile(pattern: &Located<&str>, problems: &Problems) -> Option<Expression> {
    let (why, label) = match Expression::new(pattern.value) {
        Ok(expression) => return Some(expression),
        Err(NotOne::TooBig(limit)) => (format!("it needs more than {limit} bytes"), "too big"),
        Err(NotOne::Syntax(why)) => (why, "in this pattern"),
    };
    let message = format!("the pattern is not a regular expression: {why}");
    problems.report(
        Diagnostic::error(diagnostic::BAD_PATTERN, message, pattern.span.clone(), label)
            .help("write it in single quotes, where a backslash is a backslash; `\\[` and `\\(` are literal brackets"),
    );
    None
}

/// What logs call the nodes: names, ids, addresses, aliases.
#[derive(Debug, Clone, Default)]
pub struct Aliases(BTreeMap<String, Name>);

impl Aliases {
    /// Every node by its own name.
    pub fn of_nodes<'n>(nodes: impl IntoIterator<Item = &'n Name>) -> Self {
        Self(nodes.into_iter().map(|node| (node.to_string(), node.clone())).collect())
    }

    /// One more way to call a node, unless it already means another.
    pub fn add(&mut self, alias: impl Into<String>, node: &Name) {
        self.0.entry(alias.into()).or_insert_with(|| node.clone());
    }

    /// The node that is meant.
    pub fn node(&self, text: &str) -> Option<&Name> {
        self.0.get(text)
    }
}

/// An occurrence of an event in a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The event.
    pub event: Name,
    /// The fields that took part in the match, in the order of the event's definition. What cannot be read as the field's type (a
    /// number too large, a node that nobody is) stays a text.
    pub fields: Vec<(Name, Value)>,
}

/// Finds the events of one stream of one process.
#[derive(Debug, Clone)]
pub struct Matcher {
    patterns: Vec<Pattern>,
    scan: Scan,
    aliases: Aliases,
}

#[derive(Debug, Clone)]
struct Pattern {
    event: Name,
    regex: Regex,
    /// Name, type and group of each field.
    fields: Vec<(Name, FieldKind, usize)>,
    alias: BTreeMap<String, Name>,
}

impl Matcher {
    /// A matcher for those events that can occur in this stream of this process.
    pub fn new(events: &[EventPattern], stream: Stream, process: &str, aliases: &Aliases) -> Self {
        let mut patterns = Vec::new();
        for event in events {
            let is_other_stream = event.stream.is_some_and(|wanted| wanted != stream);
            let is_other_process = event.process.as_deref().is_some_and(|wanted| wanted != process);
            if !is_other_stream && !is_other_process {
                patterns.extend(event.log.iter().map(|expression| Pattern::new(event, expression)));
            }
        }
        let scan = Scan::new(patterns.iter().map(|pattern| pattern.regex.as_str()));
        Self { patterns, scan, aliases: aliases.clone() }
    }

    /// All events of one line, given without its line ending; in the order of the definitions, then of the line.
    pub fn line(&self, line: &[u8]) -> Vec<Match> {
        let text = String::from_utf8_lossy(line);
        let mut found = Vec::new();
        for pattern in &self.patterns {
            pattern.find(&text, &self.aliases, &mut found);
        }
        found
    }

    /// Scans complete lines and calls `on_match` for each that has an event: with the line's index and byte offset in the chunk, the
    /// line without its ending, and what was found.
    pub fn scan(&self, chunk: &[u8], mut on_match: impl FnMut(usize, usize, &[u8], Vec<Match>)) {
        let mut position = Position::default();
        self.scan.candidates(chunk, |start, end| {
            let line = without_ending(&chunk[start..end]);
            let found = self.line(line);
            if !found.is_empty() {
                position.move_to(chunk, start);
                on_match(position.index, start, line, found);
            }
        });
    }
}

impl Pattern {
    fn new(event: &EventPattern, expression: &Expression) -> Self {
        let group = |name: &str| expression.groups().position(|group| group == Some(name));
        let fields = event.fields.iter().filter_map(|(name, kind)| Some((name.clone(), *kind, group(name)?))).collect();
        Self { event: event.event.clone(), regex: expression.regex().clone(), fields, alias: event.alias.clone() }
    }

    fn find(&self, line: &str, aliases: &Aliases, found: &mut Vec<Match>) {
        if self.fields.is_empty() {
            found.extend(self.regex.find_iter(line).map(|_| Match { event: self.event.clone(), fields: Vec::new() }));
            return;
        }
        for captures in self.regex.captures_iter(line) {
            let value = |(name, kind, group): &(Name, FieldKind, usize)| {
                let text = captures.get(*group)?.as_str();
                Some((name.clone(), self.value(*kind, text, aliases)))
            };
            found.push(Match { event: self.event.clone(), fields: self.fields.iter().filter_map(value).collect() });
        }
    }

    fn value(&self, kind: FieldKind, text: &str, aliases: &Aliases) -> Value {
        let node = |text: &str| self.alias.get(text).or_else(|| aliases.node(text)).cloned();
        let as_text = || Value::Text(text.into());
        match kind {
            FieldKind::Int => text.parse().map_or_else(|_| as_text(), Value::Int),
            FieldKind::Float => text.parse().map_or_else(|_| as_text(), Value::Float),
            FieldKind::Text => as_text(),
            FieldKind::Node => node(text).map_or_else(as_text, Value::Node),
            FieldKind::Nodes => {
                let names = text.split([',', ' ', '[', ']', '\'', '"']).filter(|part| !part.is_empty());
                Value::Nodes(names.map(|name| node(name).unwrap_or_else(|| name.into())).collect())
            }
        }
    }
}

/// Counts lines only up to those that are told.
#[derive(Debug, Default)]
struct Position {
    index: usize,
    offset: usize,
}

impl Position {
    fn move_to(&mut self, chunk: &[u8], start: usize) {
        self.index += chunk[self.offset..start].iter().filter(|byte| **byte == b'\n').count();
        self.offset = start;
    }
}

fn without_ending(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(name: &str, pattern: &str, fields: &[(&str, FieldKind)]) -> EventPattern {
        EventPattern {
            event: name.into(),
            log: vec![Regex::new(pattern).unwrap().into()],
            fields: fields.iter().map(|(name, kind)| ((*name).into(), *kind)).collect(),
            stream: None,
            process: None,
            alias: BTreeMap::new(),
        }
    }

    fn matcher(events: &[EventPattern]) -> Matcher {
        let nodes: [Name; 2] = ["peer1".into(), "peer2".into()];
        let mut aliases = Aliases::of_nodes(&nodes);
        aliases.add("2", &nodes[1]);
        Matcher::new(events, Stream::Stdout, "main", &aliases)
    }

    /// What the scan finds: index, offset, line, matches.
    fn scanned(matcher: &Matcher, chunk: &[u8]) -> Vec<(usize, usize, Vec<u8>, Vec<Match>)> {
        let mut found = Vec::new();
        matcher.scan(chunk, |index, offset, line, matches| found.push((index, offset, line.to_vec(), matches)));
        found
    }

    /// What the definition says: every line by itself.
    fn line_by_line(matcher: &Matcher, chunk: &[u8]) -> Vec<(usize, usize, Vec<u8>, Vec<Match>)> {
        let mut offset = 0;
        let mut found = Vec::new();
        for (index, whole) in chunk.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let line = whole.strip_suffix(b"\n").unwrap_or(whole);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let matches = matcher.line(line);
            if !matches.is_empty() {
                found.push((index, offset, line.to_vec(), matches));
            }
            offset += whole.len();
        }
        found
    }

    #[test]
    fn fields_have_their_types_and_nodes_their_aliases() {
        let kinds =
            [("term", FieldKind::Int), ("of", FieldKind::Node), ("votes", FieldKind::Nodes), ("x", FieldKind::Float)];
        let events = [event("led", r"led term=(?<term>\d+) of=(?<of>\w+) votes=(?<votes>\S*)( x=(?<x>\S+))?", &kinds)];
        let found = matcher(&events).line(b"INFO led term=3 of=2 votes=peer1,2,stranger");
        let nodes = Value::Nodes(vec!["peer1".into(), "peer2".into(), "stranger".into()]);
        let fields =
            vec![("term".into(), Value::Int(3)), ("of".into(), Value::Node("peer2".into())), ("votes".into(), nodes)];
        assert_eq!(found, [Match { event: "led".into(), fields }]);
        let found = matcher(&events).line(b"led term=99999999999999999999 of=nobody votes= x=1.5");
        let fields: Vec<_> = found[0].fields.iter().map(|(_, value)| value.clone()).collect();
        assert_eq!(fields[0], Value::Text("99999999999999999999".into()));
        assert_eq!(fields[1], Value::Text("nobody".into()));
        assert_eq!(fields[3], Value::Float(1.5));
    }

    #[test]
    fn glued_lines_give_all_their_events() {
        let events = [event("up", r"up (?<n>\d)", &[("n", FieldKind::Int)]), event("down", "down", &[])];
        let names: Vec<_> = matcher(&events).line(b"> up 1up 2 down up 3").iter().map(|m| m.event.clone()).collect();
        assert_eq!(names.iter().map(|name| &**name).collect::<Vec<_>>(), ["up", "up", "up", "down"]);
    }

    #[test]
    fn an_event_of_another_stream_or_process_is_not_looked_for() {
        let mut wrong_stream = event("a", "x", &[]);
        wrong_stream.stream = Some(Stream::Stderr);
        let mut wrong_process = event("b", "x", &[]);
        wrong_process.process = Some("sentinel".into());
        assert!(matcher(&[wrong_stream, wrong_process]).line(b"x").is_empty());
    }

    #[test]
    fn bytes_that_are_no_text_hide_nothing() {
        let events = [event("led", "became leader$", &[])];
        let chunk = b"\xff\xfe became leader\r\nother\n\x80\nbecame leader\n";
        let lines: Vec<_> = scanned(&matcher(&events), chunk).into_iter().map(|found| (found.0, found.1)).collect();
        assert_eq!(lines, [(0, 0), (3, 26)]);
    }

    #[test]
    fn a_pattern_that_explodes_is_refused_with_a_reason() {
        let problems = Problems::new();
        for pattern in [r"(\w{200}){200}", "(", r"(?=x)", r"\d{9999999999}"] {
            assert!(compile(&Located { value: pattern, span: 0..1 }, &problems).is_none(), "{pattern}");
        }
        let found = problems.into_sorted();
        assert!(found.len() == 4 && found.iter().all(|d| d.code == diagnostic::BAD_PATTERN));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn scanning_chunks_finds_what_looking_at_every_line_finds(
            patterns in prop::collection::vec(pattern_text(), 1..4),
            lines in prop::collection::vec(line_bytes(), 0..12),
            ends_with_newline in any::<bool>(),
        ) {
            let events: Vec<EventPattern> = patterns.iter().map(|pattern| event("e", pattern, &[])).collect();
            let mut chunk = lines.concat();
            if !ends_with_newline {
                chunk.pop();
            }
            let matcher = matcher(&events);
            prop_assert_eq!(scanned(&matcher, &chunk), line_by_line(&matcher, &chunk), "{:?} {:?}", patterns, chunk);
        }
    }

    /// Patterns from pieces that disagree about where a line begins and ends.
    fn pattern_text() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "a",
            "b",
            "ab",
            "^",
            "$",
            r"\A",
            r"\z",
            r"\b",
            r"\B",
            ".",
            ".*",
            r"\s",
            r"\s+",
            r"[^a]",
            r"[^a]*",
            "(?m:^)",
            "(?m:$)",
            "(?s:.)",
            "(?s:.*)",
            r"\n",
            r"\r",
            "a|b",
            "(a|^)",
            "b?",
            "(?R:$)",
            "(?Rm:^)",
            "(?Rm:$)",
            "ä",
            "abab",
            "bab",
            "(?:ab ){1,3}",
            "(?:aba|ä b)",
            r"\w+",
            "(?-u:b)",
            "(?-u:\\s)",
        ]);
        prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat())
    }

    fn line_bytes() -> impl Strategy<Value = Vec<u8>> {
        let part = prop::sample::select(vec![
            &b"a"[..],
            b"b",
            b" ",
            b"\r",
            b"\xff",
            "ä".as_bytes(),
            b"ab",
            b"abab",
            b"ab ab ",
            b"\xc3",
        ]);
        let ending = prop::sample::select(vec![&b"\n"[..], b"\r\n"]);
        (prop::collection::vec(part, 0..5), ending)
            .prop_map(|(parts, ending)| [parts.concat(), ending.to_vec()].concat())
    }
}
