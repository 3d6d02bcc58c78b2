//! What a cluster that is up says: answers, news, and the last word.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::VERSION;
use crate::report::tell;

/// One line from a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    /// What was asked for is done.
    Done(Done),
    /// What was asked for is not done.
    Refused {
        /// The request; none if it could not be read.
        id: Option<u64>,
        /// For people, with what to do instead.
        why: String,
    },
    /// For those who watch: what every node does now.
    Status(Status),
    /// For those who watch: something was done or seen.
    Told(Told),
    /// For those who watch: all nodes that start by themselves are ready.
    Ready {},
    /// For whoever has asked for a run: it did not pass, and its cluster is kept up.
    Kept {
        /// The run's exit code.
        code: u8,
    },
    /// The last word: nothing of the cluster is left (or what is left is named).
    End {
        /// The exit code for whoever has waited for this.
        code: u8,
        /// For people.
        text: String,
    },
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Done {
    /// The request.
    pub(crate) id: u64,
    /// The nodes that it hit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) nodes: Vec<String>,
    /// In one line for people: `kill peer2`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) text: String,
    /// The answer to `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<Status>,
}

/// Something that was done or seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Counts what is told, without gaps; one who did not read in time sees a gap.
    pub(crate) number: u64,
    /// When: `T+1.204s`.
    pub(crate) at: String,
    /// A node, or `dsbench`.
    pub(crate) who: String,
    /// In people's words.
    pub(crate) what: String,
}

/// A cluster as it is now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// The scenario's name.
    pub(crate) scenario: String,
    /// `0x5eed`.
    pub(crate) seed: String,
    /// The run's directory, absolute.
    pub(crate) run: String,
    /// The process that holds it.
    pub(crate) pid: u32,
    /// `starting`, `up`, `kept` (after a run that did not pass), `ending`.
    pub(crate) phase: String,
    /// Seconds since the first start.
    pub(crate) seconds: f64,
    /// The roles of the scenario.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) roles: Vec<String>,
    /// In the order of the scenario.
    pub(crate) nodes: Vec<NodeStatus>,
}

impl Status {
    /// Where the ports of its nodes can be reached that can be, in words.
    pub(crate) fn exposed(&self) -> impl Iterator<Item = String> {
        let of = |node: &NodeStatus| {
            node.exposed.iter().map(|(port, addr)| tell::exposed(&node.name, port, addr)).collect::<Vec<_>>()
        };
        self.nodes.iter().flat_map(of)
    }
}

/// A node as it is now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct NodeStatus {
    /// Its name.
    pub(crate) name: String,
    /// `waits`, `starts`, `up`, `paused`, `killed`, `stopped`, `EXITED`.
    pub(crate) state: String,
    /// The roles that it holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) roles: Vec<String>,
    /// Its main program, while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pid: Option<i32>,
    /// How often it was started.
    pub(crate) life: u32,
    /// Its ports that the machine can reach, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) exposed: BTreeMap<String, String>,
    /// Its newest event, or how it ended.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) said: String,
}

/// A word as it is written.
#[derive(Serialize, Deserialize)]
struct Line<W> {
    v: u32,
    #[serde(flatten)]
    word: W,
}

impl Word {
    /// As a line.
    pub(crate) fn to_line(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(&Line { v: VERSION, word: self }).expect("plain data has JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Reads a line; none if it is no word that this version knows.
    pub(crate) fn read(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok().filter(|line: &Line<Self>| line.v == VERSION).map(|line| line.word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_were_written() {
        let status = Status {
            scenario: "x".into(),
            seconds: 1.5,
            nodes: vec![NodeStatus { name: "peer1".into(), state: "up".into(), pid: Some(7), ..NodeStatus::default() }],
            ..Status::default()
        };
        for word in [
            Word::Done(Done { id: 1, nodes: vec!["peer1".into()], text: "kill peer1".into(), status: None }),
            Word::Done(Done { id: 2, status: Some(status.clone()), ..Done::default() }),
            Word::Refused { id: None, why: "two\nlines".into() },
            Word::Status(status),
            Word::Told(Told { number: 3, at: "T+1s".into(), who: "peer1".into(), what: "ready".into() }),
            Word::Ready {},
            Word::Kept { code: 1 },
            Word::End { code: 5, text: String::new() },
        ] {
            let line = word.to_line();
            assert!(line.starts_with(b"{\"v\":1,") && line.iter().filter(|byte| **byte == b'\n').count() == 1);
            assert_eq!(Word::read(&line), Some(word));
        }
        assert_eq!(Word::read(br#"{"v":2,"ready":{}}"#), None);
        assert_eq!(Word::read(br#"{"v":1,"tomorrow":{}}"#), None);
    }
}
