//! What the program of a client says: a line of JSON for each operation, on its standard output.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dsbench_core::observation::{Event, Value};
use dsbench_core::operation::{Datum, OperationKind};
use dsbench_world::{Found, LINE_CONSIDERED, Meaning, Patterns};
use serde_json::Value as Json;

use super::End;

/// Lines of a program that may wait to be read; what comes beyond them is only stored.
const UNREAD_MOST: usize = 64;

/// Deeper JSON than this is no answer: the history is JSON, too, and could not be read again.
const DEPTH_MOST: usize = 64;

const ANSWER: &str = "dsbench.answer";
const NO_TEXT: &str = "dsbench.no_text";
const LINE: &str = "line";

/// Every line is an answer.
pub(super) struct Answers {
    /// How many lines were found that nobody has read yet.
    pub(super) unread: Arc<AtomicUsize>,
}

impl Patterns for Answers {
    fn scan(&mut self, lines: &[u8], found: &mut dyn FnMut(Found)) {
        let mut start = 0;
        for (index, line) in lines.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let at = start..start + text.len();
            start += line.len();
            if text.trim_ascii().is_empty() || self.unread.load(Ordering::Relaxed) >= UNREAD_MOST {
                continue;
            }
            self.unread.fetch_add(1, Ordering::Relaxed);
            let name = if std::str::from_utf8(text).is_ok() { ANSWER } else { NO_TEXT };
            let text = String::from_utf8_lossy(text);
            let fields = vec![(LINE.into(), Value::Text(text.as_ref().into()))];
            found(Found { index, line: at, meaning: Meaning::Event { name: name.into(), fields } });
        }
    }
}

/// What a program says of an operation.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) id: u64,
    pub(super) end: End,
}

impl Answer {
    /// Reads what [`Answers`] has found. The error says what is wrong with it.
    pub(super) fn read(event: &Event) -> Result<Self, String> {
        match event.field(LINE) {
            Some(Value::Text(line)) if &*event.name == ANSWER => Self::parse(line),
            _ => Err("a line that is no UTF-8".to_owned()),
        }
    }

    /// Reads a line.
    fn parse(line: &str) -> Result<Self, String> {
        if line.len() >= LINE_CONSIDERED {
            return Err(format!("a line of {} KiB or more", LINE_CONSIDERED >> 10));
        }
        let shown = || line.chars().take(120).collect::<String>();
        let json: Json = serde_json::from_str(line).map_err(|_| format!("a line that is no JSON: {}", shown()))?;
        if is_too_deep(&json) {
            return Err(format!("JSON that is more than {DEPTH_MOST} deep"));
        }
        let Json::Object(mut table) = json else { return Err(format!("no JSON object: {}", shown())) };
        let id =
            table.get("id").and_then(Json::as_u64).ok_or_else(|| format!("an answer without an id: {}", shown()))?;
        let kind = table.get("type").and_then(Json::as_str).and_then(OperationKind::end);
        let kind = kind.ok_or_else(|| format!("an answer whose type is not ok, fail or info: {}", shown()))?;
        let why = table.get("why").and_then(Json::as_str).map(str::to_owned);
        let end = match kind {
            OperationKind::Ok => End::ok(table.remove("value").map(Datum::from)),
            OperationKind::Fail => End::fail(why.unwrap_or_else(|| "the client says so".to_owned())),
            _ => End::info(why.unwrap_or_else(|| "the client does not know".to_owned())),
        };
        Ok(Self { id, end })
    }
}

/// True if it could not be read again from the history.
pub(super) fn is_too_deep(json: &Json) -> bool {
    depth(json) > DEPTH_MOST
}

fn depth(json: &Json) -> usize {
    1 + match json {
        Json::Array(list) => list.iter().map(depth).max().unwrap_or(0),
        Json::Object(table) => table.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(line: &str) -> Result<(u64, OperationKind, Option<String>), String> {
        Answer::parse(line).map(|Answer { id, end }| (id, end.kind, end.value.map(|value| value.to_string())))
    }

    #[test]
    fn an_answer_says_which_operation_ended_and_how() {
        assert_eq!(read(r#"{"id":7,"type":"ok","value":41}"#), Ok((7, OperationKind::Ok, Some("41".into()))));
        assert_eq!(read(r#"{"id":7,"type":"ok","value":null}"#), Ok((7, OperationKind::Ok, Some("null".into()))));
        assert_eq!(read(r#"{"id":7,"type":"ok"}"#), Ok((7, OperationKind::Ok, None)));
        assert_eq!(read(r#" {"type":"fail","id":0,"more":[1]} "#), Ok((0, OperationKind::Fail, None)));
        assert_eq!(read(r#"{"id":7,"type":"info","why":"lost"}"#), Ok((7, OperationKind::Info, None)));
    }

    #[test]
    fn whatever_is_no_answer_is_told_as_what_it_is() {
        let deep = format!(r#"{{"id":7,"type":"ok","value":{}{}}}"#, "[".repeat(100), "]".repeat(100));
        let long = format!(r#"{{"id":7,"type":"ok","value":"{}"}}"#, "x".repeat(LINE_CONSIDERED));
        for (line, wrong) in [
            ("connected", "no JSON"),
            ("[7]", "no JSON object"),
            ("{}", "without an id"),
            (r#"{"id":-7,"type":"ok"}"#, "without an id"),
            (r#"{"id":"7","type":"ok"}"#, "without an id"),
            (r#"{"id":7}"#, "type is not"),
            (r#"{"id":7,"type":"OK"}"#, "type is not"),
            (r#"{"id":7,"type":"invoke"}"#, "type is not"),
            (&*deep, "deep"),
            (&*long, "64 KiB"),
        ] {
            let told = read(line).expect_err(wrong);
            assert!(told.contains(wrong), "{told}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange_to_be_read(line in prop_oneof![any::<String>(), r#"\{("(id|type|value|why)":(1|-1|"ok"|"x"|null|\[\]|\{\}),?)*\}?"#]) {
            let _ = Answer::parse(&line);
        }
    }

    #[test]
    fn a_flood_is_read_only_as_far_as_the_driver_keeps_up() {
        let unread = Arc::<AtomicUsize>::default();
        let mut answers = Answers { unread: Arc::clone(&unread) };
        let mut count = 0;
        answers.scan("x\n".repeat(1000).as_bytes(), &mut |_| count += 1);
        assert_eq!((count, unread.load(Ordering::Relaxed)), (UNREAD_MOST, UNREAD_MOST));
        unread.store(0, Ordering::Relaxed);
        let mut found = Vec::new();
        answers.scan(b"\n  \na\n\xff\n", &mut |one| found.push((one.index, one.line)));
        assert_eq!(found, [(2, 4..5), (3, 6..7)]);
    }
}
