//! The history on disk: JSON lines.
//!
//! The first line names the format and its version, then each observation is one line, in the order of the numbers:
//!
//! ```json
//! {"dsbench_history":3}
//! {"n":0,"t":0,"run":"started"}
//! {"n":1,"t":1203344,"process":{"node":"peer1","life":1,"change":{"started":{"pid":812}}}}
//! {"n":2,"t":98120555,"event":{"name":"became_leader","node":"peer1","life":1,"fields":{"term":4},"early":200000,"log":{"offset":911,"line":12,"text":"..."}}}
//! ```
//!
//! `n` is the number, `t` the nanoseconds of run time; beside them stands exactly one of `run`, `process`, `event`, `action`, `operation`,
//! `workload`, `step`, `nemesis`, `sample`, `traffic`, `stall`, `answer`. `process` is left out where it is `main`. A field is a number (with
//! a fraction or an exponent: a float), a text, `{"node": "peer1"}`, `{"nodes": [..]}` or `{"float": "NaN"}`.
//!
//! Version 2 is version 1 with `traffic` and the verbs of the network; version 3 is version 2 with `operation` and `workload`. Within one
//! version the format only grows by keys, and a reader passes over keys that it does not know. A new kind of observation or a new meaning
//! is a new version.

mod read;
mod write;

use serde::Deserialize;
use thiserror::Error;

use self::read::{Symbols, read_line};
use crate::history::History;
use crate::observation::Observation;

/// The version of the format that is written, and the newest that is read.
pub const VERSION: u32 = 3;

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
    /// There is more of it than may be held in memory.
    #[error("read the history: it takes more than {mib} MiB of memory, from line {line} on")]
    TooLarge {
        /// Line number, from 1, of the first that is too much.
        line: u64,
        /// What it may take.
        mib: usize,
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

/// The longest line that is read: far beyond what an observation takes.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// Reads a whole history.
///
/// # Errors
///
/// If the first line is not ours or newer than us, or if a line is not the observation that should come next. A last line without
/// newline is no error: it is dropped and named in [`Recorded::torn`].
pub fn read(bytes: &[u8]) -> Result<Recorded, ReadError> {
    let mut reading = Reading::of_at_most(usize::MAX);
    reading.take(bytes)?;
    reading.finish()
}

/// Reads one line of a history, without its newline.
///
/// # Errors
///
/// What is wrong with it, for people.
pub fn read_one(line: &str) -> Result<Observation, String> {
    read_line(line, &mut Symbols::default())
}

/// Reads a history piece by piece, so that a large one never lies in memory twice.
#[derive(Debug)]
pub struct Reading {
    history: History,
    symbols: Symbols,
    /// Bytes of memory that the history may take.
    most: usize,
    /// Lines that were read, the header among them.
    lines: u64,
    /// The beginning of the line that is not complete yet.
    rest: Vec<u8>,
}

impl Reading {
    /// Of a history that may take so many bytes of memory.
    pub fn of_at_most(most: usize) -> Self {
        Self { history: History::default(), symbols: Symbols::default(), most, lines: 0, rest: Vec::new() }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// As [`read`], and if the history takes more memory than it may. After an error nothing more can be read.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        let Some(last) = bytes.iter().rposition(|&byte| byte == b'\n') else { return self.hold(bytes) };
        let (mut whole, rest) = bytes.split_at(last + 1);
        if !self.rest.is_empty() {
            let first = whole.iter().position(|&byte| byte == b'\n').unwrap_or(last) + 1;
            self.hold(&whole[..first])?;
            let line = std::mem::take(&mut self.rest);
            self.take_lines(&line)?;
            whole = &whole[first..];
        }
        self.take_lines(whole)?;
        self.hold(rest)
    }

    /// The end: what was read.
    ///
    /// # Errors
    ///
    /// If not even the first line was whole.
    pub fn finish(self) -> Result<Recorded, ReadError> {
        if self.lines == 0 {
            return Err(ReadError::NotAHistory);
        }
        let torn = (!self.rest.is_empty()).then_some(Torn { line: self.lines + 1, bytes: self.rest.len() });
        Ok(Recorded { history: self.history, torn })
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        if self.rest.len() + bytes.len() > LINE_BYTES_MAX {
            let why = format!("it is longer than {} MiB", LINE_BYTES_MAX >> 20);
            return Err(ReadError::Line { line: self.lines + 1, why });
        }
        self.rest.extend_from_slice(bytes);
        Ok(())
    }

    /// Takes complete lines. What comes before one that is no text is read first, so that the first mistake is told.
    fn take_lines(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        let (text, is_text) = match std::str::from_utf8(bytes) {
            Ok(text) => (text, true),
            Err(error) => {
                let text = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
                (&text[..text.rfind('\n').map_or(0, |last| last + 1)], false)
            }
        };
        for line in text.split_terminator('\n') {
            self.lines += 1;
            match self.lines {
                1 => read_header(line)?,
                _ => self.take_line(line)?,
            }
        }
        match (is_text, self.lines) {
            (true, _) => Ok(()),
            (false, 0) => Err(ReadError::NotAHistory),
            (false, lines) => Err(ReadError::Line { line: lines + 1, why: "it is not UTF-8".into() }),
        }
    }

    fn take_line(&mut self, text: &str) -> Result<(), ReadError> {
        let line = self.lines;
        let observation = read_line(text, &mut self.symbols).map_err(|why| ReadError::Line { line, why })?;
        let expected = self.history.next_number();
        if observation.number != expected {
            let why = format!("it is number {}, and {expected} comes next", observation.number);
            return Err(ReadError::Line { line, why });
        }
        self.history.push(observation.at, observation.what);
        match self.history.bytes() > self.most {
            true => Err(ReadError::TooLarge { line, mib: self.most >> 20 }),
            false => Ok(()),
        }
    }
}

fn read_header(line: &str) -> Result<(), ReadError> {
    #[derive(Deserialize)]
    struct Header {
        dsbench_history: u32,
    }
    let header: Header = serde_json::from_str(line).map_err(|_| ReadError::NotAHistory)?;
    match header.dsbench_history {
        1..=VERSION => Ok(()),
        version if version > VERSION => Err(ReadError::Newer { version }),
        _ => Err(ReadError::NotAHistory),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::observation::{Action, ActionVerb, Origin, Phase, Value, What};
    use crate::stories::{Story, wild};
    use crate::time::RunTime;

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
        assert_eq!(lines[0], r#"{"dsbench_history":3}"#);
        assert_eq!(lines[2], r#"{"n":1,"t":0,"process":{"node":"peer1","life":1,"change":{"started":{"pid":100}}}}"#);
        assert_eq!(
            lines[5],
            r#"{"n":4,"t":1000000,"event":{"name":"leads","node":"peer1","life":1,"fields":{"term":4,"id":{"node":"p2"}},"early":2000000,"log":{"offset":40,"line":4,"text":"peer1 leads"}}}"#
        );
        assert!(lines[6].contains(r#""fields":{"x":1.0,"inf":{"float":"inf"}}"#));
    }

    #[test]
    fn an_action_says_who_asked_for_it_and_one_without_a_word_is_the_benchs_own() {
        let mut history = History::default();
        let action = || Action::new(ActionVerb::Kill, vec!["a".into()], Vec::new());
        for origin in [Origin::Bench, Origin::Step(2), Origin::Nemesis(3), Origin::Hand] {
            history.push(RunTime::START, What::Action(action().asked_by(origin).into()));
        }
        let text = String::from_utf8(written(&history)).unwrap();
        let asked: Vec<_> = text.lines().skip(1).map(|line| line.split("\"hit\":[]").nth(1).unwrap()).collect();
        assert_eq!(asked, ["}}", ",\"step\":2}}", ",\"nemesis\":3}}", ",\"by_hand\":true}}"]);
        let read = read(text.as_bytes()).unwrap().history;
        let origins: Vec<_> = read.actions().map(|action| action.what.origin()).collect();
        assert_eq!(origins, [Origin::Bench, Origin::Step(2), Origin::Nemesis(3), Origin::Hand]);
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
        let newer = String::from_utf8(three_lines()).unwrap().replace("history\":3", "history\":4");
        assert_eq!(read(newer.as_bytes()).unwrap_err(), ReadError::Newer { version: 4 });
        for version in ["1", "2"] {
            let older = format!("history\":{version}");
            let older = String::from_utf8(three_lines()).unwrap().replace("history\":3", &older);
            assert_eq!(read(older.as_bytes()).unwrap().history.observations().len(), 2);
        }
        let grown = String::from_utf8(three_lines()).unwrap().replace("\"t\":5", "\"t\":5,\"since\":{\"x\":[1]}");
        assert_eq!(read(grown.as_bytes()).unwrap().history.observations().len(), 2);
        for other in ["", "{}", "\n", "{\"dsbench_history\":0}\n", "\0\0\0\n"] {
            assert_eq!(read(other.as_bytes()).unwrap_err(), ReadError::NotAHistory, "{other:?}");
        }
        assert_eq!(read(b"\xff\n").unwrap_err(), ReadError::NotAHistory);
    }

    #[test]
    fn invalid_utf8_is_an_error_of_its_line() {
        let mut bytes = three_lines();
        let last = bytes.len() - 4;
        bytes[last] = 0xff;
        assert!(matches!(read(&bytes).unwrap_err(), ReadError::Line { line: 3, .. }));
    }

    const DOCS: &str = include_str!("../../../../docs/machines.md");

    /// Every key of a value, but those that a scenario chooses.
    fn keys(value: &serde_json::Value, found: &mut std::collections::BTreeSet<String>) {
        match value {
            serde_json::Value::Object(object) => object.iter().for_each(|(key, value)| {
                found.insert(key.clone());
                if !["fields", "key", "value"].contains(&&**key) {
                    keys(value, found);
                }
            }),
            serde_json::Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
            _ => {}
        }
    }

    #[test]
    fn a_history_that_takes_too_much_memory_is_refused_where_it_does() {
        let mut reading = Reading::of_at_most(150);
        assert_eq!(reading.take(&three_lines()), Err(ReadError::TooLarge { line: 3, mib: 0 }));
        let mut reading = Reading::of_at_most(usize::MAX);
        reading.take(&three_lines()).unwrap();
        let part = vec![b'x'; LINE_BYTES_MAX / 2 + 1];
        assert_eq!(reading.take(&part), Ok(()));
        let refused = reading.take(&part).unwrap_err().to_string();
        assert_eq!(refused, "read line 4 of the history: it is longer than 16 MiB (was the file edited?)");
    }

    #[test]
    fn one_line_is_read_by_itself() {
        let observation = read_one(r#"{"n":7,"t":5,"run":"ready"}"#).unwrap();
        assert_eq!((observation.number, observation.what), (7, What::Run(Phase::Ready)));
        assert!(read_one("{}").is_err());
    }

    proptest! {
        #[test]
        fn every_key_is_documented(history in wild()) {
            let mut found = std::collections::BTreeSet::new();
            for line in String::from_utf8(written(&history)).unwrap().lines() {
                keys(&serde_json::from_str(line).unwrap(), &mut found);
            }
            for key in found {
                let is_told = [format!("`{key}`"), format!("\"{key}\"")].iter().any(|told| DOCS.contains(told));
                prop_assert!(is_told, "docs/machines.md says nothing of {key:?}");
            }
        }

        #[test]
        fn how_the_bytes_come_changes_nothing(history in wild(), edits in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..2), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
            let mut bytes = written(&history);
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            cuts.sort_unstable();
            let mut reading = Reading::of_at_most(usize::MAX);
            let mut pieces = std::iter::once(0).chain(cuts.iter().copied()).zip(cuts.iter().copied().chain([bytes.len()]));
            let in_pieces = pieces.try_for_each(|(from, until)| reading.take(&bytes[from..until])).and_then(|()| reading.finish());
            let observed = |read: Result<Recorded, ReadError>| read.map(|read| (read.history.observations().to_vec(), read.torn));
            prop_assert_eq!(observed(in_pieces), observed(read(&bytes)));
        }

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
