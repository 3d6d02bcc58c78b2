//! Operations: what a client asks of the cluster, and what it is told.
//!
//! An operation is two observations: that it was invoked, and how it ended. As in Jepsen's histories it ends `ok` (it happened), `fail` (it
//! certainly did not happen) or `info` (it may have happened, now or later). In doubt it is `info`, and the process that invoked it does
//! nothing more: its client goes on as another process.

use std::cmp::Ordering;
use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;

use crate::event::Value;
use crate::observation::Name;

/// What stands between a workload and a number in the name of a caller.
const CALLER: &str = "~call";

/// One of the two observations of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Which operation of the run, from 0: the invocation and its end have the same.
    pub id: u64,
    /// What was seen of it.
    #[serde(rename = "type")]
    pub kind: OperationKind,
    /// Its workload.
    pub workload: Name,
    /// Its name in the workload.
    pub op: Name,
    /// The client that performs it.
    pub client: Name,
    /// The process of the client: one thread of control, which does one operation after the other.
    pub process: u64,
    /// The node that it is for, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Name>,
    /// The key that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Datum>,
    /// What is written; at its end, what was answered (what was written, if the answer does not say).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some")]
    pub value: Option<Datum>,
    /// Why it failed, or why nobody knows; for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Box<str>>,
}

impl Operation {
    /// The client of the operation of this number, from 1, that a step calls: no client of a workload can be called so.
    pub fn caller(workload: &str, number: u64) -> Name {
        format!("{workload}{CALLER}{number}").into()
    }

    /// True if a step has called it, and it is none of the workload's own.
    pub fn is_called(&self) -> bool {
        self.client.strip_prefix(&*self.workload).is_some_and(|rest| rest.starts_with(CALLER))
    }

    /// The bytes that it takes beside the size of an observation, roughly.
    pub(crate) fn heap_bytes(&self) -> usize {
        let data = [&self.key, &self.value].into_iter().flatten().map(Datum::heap_bytes).sum::<usize>();
        size_of::<Self>() + data + self.why.as_deref().map_or(0, str::len)
    }
}

/// What was seen of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// It begins.
    Invoke,
    /// It happened.
    Ok,
    /// It certainly did not happen.
    Fail,
    /// It may have happened, or may happen later.
    Info,
}

impl OperationKind {
    /// The words for how an operation ends.
    pub const ENDS: &'static [&'static str] = &["ok", "fail", "info"];

    /// The end that a word means.
    pub fn end(word: &str) -> Option<Self> {
        [Self::Ok, Self::Fail, Self::Info].into_iter().find(|kind| kind.word() == word)
    }

    /// As the history has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Invoke => "invoke",
            Self::Ok => "ok",
            Self::Fail => "fail",
            Self::Info => "info",
        }
    }
}

/// What is written or answered: any JSON. Numbers and texts, which it nearly always is, take no memory of their own.
#[derive(Debug, Clone)]
pub enum Datum {
    /// A whole number.
    Int(i64),
    /// A text.
    Text(Name),
    /// Anything else.
    Json(Box<Json>),
}

/// A datum that is there, though it may be `null`.
fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Datum>, D::Error> {
    Datum::deserialize(deserializer).map(Some)
}

impl From<Json> for Datum {
    fn from(json: Json) -> Self {
        match json {
            Json::String(text) => Self::Text(text.into()),
            Json::Number(number) => match number.as_i64() {
                Some(number) => Self::Int(number),
                None => Self::Json(Box::new(Json::Number(number))),
            },
            json => Self::Json(Box::new(json)),
        }
    }
}

impl Datum {
    /// The same as JSON.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Int(number) => Json::from(*number),
            Self::Text(text) => Json::from(&**text),
            Self::Json(json) => (**json).clone(),
        }
    }

    /// The same as a field of an event has it: what is written as 7 is delivered as 7. None of lists, tables, `true`, `false` and `null`.
    pub fn to_value(&self) -> Option<Value> {
        match self {
            Self::Int(number) => Some(Value::Int(*number)),
            Self::Text(text) => Some(Value::Text(text.clone())),
            Self::Json(json) => json.as_f64().map(Value::Float),
        }
    }

    /// The bytes that it takes beside its own size, roughly.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Int(_) => 0,
            Self::Text(text) => text.len(),
            Self::Json(json) => weight(json),
        }
    }
}

fn weight(json: &Json) -> usize {
    let inner = match json {
        Json::String(text) => text.len(),
        Json::Array(list) => list.iter().map(weight).sum(),
        Json::Object(table) => table.iter().map(|(key, value)| key.len() + size_of::<String>() + weight(value)).sum(),
        Json::Null | Json::Bool(_) | Json::Number(_) => 0,
    };
    size_of::<Json>() + inner
}

impl Ord for Datum {
    /// By kind, then by value; what is neither a number nor a text by how it is written.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Json(a), Self::Json(b)) => a.to_string().cmp(&b.to_string()),
            (Self::Int(_), _) | (Self::Text(_), Self::Json(_)) => Ordering::Less,
            (_, Self::Int(_)) | (Self::Json(_), Self::Text(_)) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Datum {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Datum {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Datum {}

impl fmt::Display for Datum {
    /// As people write it: texts without quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
            Self::Json(json) => json.fmt(f),
        }
    }
}

impl Serialize for Datum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Json(json) => json.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Datum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Json::deserialize(deserializer).map(Self::from).map_err(D::Error::custom)
    }
}

/// A workload changed its state. What its clients do is told by [`Operation`]s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadChange {
    /// Which workload.
    pub name: Name,
    /// What became of it.
    pub state: WorkloadState,
}

/// Changes of a workload and of the programs that are its clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkloadState {
    /// The cluster is ready, and the workload has not begun.
    Waiting,
    /// Its operations come from now on.
    Begun,
    /// No more operations of it begin.
    Stopped {
        /// Operations whose time had come 100 ms before, and that were not begun because their clients still waited for answers.
        behind: u64,
    },
    /// Every operation of it has ended.
    Over,
    /// The program of a client runs.
    ClientStarted {
        /// Which client.
        client: Name,
        /// How often it was started, this time included.
        life: u32,
        /// Its process id.
        pid: i32,
    },
    /// The program of a client has ended, was given up, or could not be started.
    ClientEnded {
        /// Which client.
        client: Name,
        /// Which time it was.
        life: u32,
        /// How, for people.
        why: String,
    },
}

/// The operations that a name of a scenario means: those of one workload, or those of this name of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meant {
    /// As the scenario has it.
    pub told: Name,
    /// Each with its workload first.
    pub of: Vec<(Name, Name)>,
}

impl Meant {
    /// True if it is one of them.
    pub fn has(&self, operation: &Operation) -> bool {
        self.of.iter().any(|(workload, op)| *workload == operation.workload && *op == operation.op)
    }
}

impl fmt::Display for Meant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.told.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datum_is_the_json_that_it_came_from_and_null_is_one() {
        for text in ["7", "-1", "\"x\"", "null", "true", "[1,\"a\"]", "{\"k\":1.5}", "18446744073709551615", "0.1"] {
            let json: Json = serde_json::from_str(text).unwrap();
            let datum = Datum::from(json.clone());
            assert_eq!((datum.to_json(), serde_json::to_string(&datum).unwrap()), (json, text.to_owned()));
        }
        let read = |text: &str| serde_json::from_str::<Operation>(text).unwrap().value;
        let with = |value: &str| {
            format!(r#"{{"id":0,"type":"ok","workload":"w","op":"read","client":"c","process":0{value}}}"#)
        };
        assert_eq!(read(&with("")), None);
        assert_eq!(read(&with(r#","value":null"#)), Some(Datum::from(Json::Null)));
    }

    #[test]
    fn data_are_ordered_by_kind_and_then_by_value() {
        let json = |text: &str| Datum::from(serde_json::from_str::<Json>(text).unwrap());
        let mut data = [json("[1]"), json("\"b\""), json("10"), json("\"a\""), json("9")];
        data.sort();
        assert_eq!(data.map(|datum| datum.to_string()), ["9", "10", "a", "b", "[1]"]);
        assert_eq!(json("7").to_value(), Some(Value::Int(7)));
        assert_eq!(json("[7]").to_value(), None);
    }
}
