//! What can be asked of a cluster that is up. Every byte of it may come from anybody, so nothing in it is believed.

use dsbench_core::diagnostic::suggestion;
use dsbench_core::observation::ActionVerb;
use serde::{Deserialize, Serialize};

use super::VERSION;

/// Something that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// Chosen by who asks, and part of the answer.
    pub(crate) id: u64,
    /// What.
    pub(crate) ask: Ask,
}

/// The kinds of [`Request`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// What every node does.
    Status,
    /// The same whenever it changes, and everything that is done.
    Watch,
    /// Start, stop, kill, restart, pause or resume; partition, link, unplug or heal.
    Act(ActionVerb, Vec<String>),
    /// A signal to main programs.
    Signal(String, Vec<String>),
    /// A line to standard inputs.
    Input(String, Vec<String>),
    /// End the cluster; `now` without its graces.
    Down {
        /// Kills at once.
        now: bool,
    },
    /// The cluster lives on without the one that has launched it.
    Release,
}

/// Every word that can be asked, with what comes after it for people.
pub(crate) const VERBS: &[(&str, &str)] = &[
    ("kill", "TARGET..."),
    ("restart", "TARGET..."),
    ("pause", "TARGET..."),
    ("resume", "TARGET..."),
    ("stop", "TARGET..."),
    ("start", "TARGET..."),
    ("signal", "SIGNAL TARGET..."),
    ("input", "TARGET TEXT"),
    ("partition", "TARGET... | TARGET..."),
    ("link", "TARGET <-> TARGET KEY=VALUE..."),
    ("unplug", "TARGET..."),
    ("heal", ""),
    ("status", ""),
    ("watch", ""),
    ("down", ""),
    ("release", ""),
];

/// The words of them that people type; the others are what two programs say to each other.
pub(crate) fn typed_verbs() -> impl Iterator<Item = &'static str> {
    VERBS.iter().map(|(verb, _)| *verb).filter(|verb| !matches!(*verb, "watch" | "release"))
}

/// Why something that was said is no request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoRequest {
    /// The request's number, if that much could be read.
    pub(crate) id: Option<u64>,
    /// For people.
    pub(crate) why: String,
}

/// A request as it is written.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Line {
    v: u32,
    #[serde(default)]
    id: u64,
    #[serde(rename = "do", default)]
    verb: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    target: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    now: bool,
}

impl Request {
    /// Reads a line.
    pub(crate) fn read(line: &[u8]) -> Result<Self, NoRequest> {
        let unreadable = |error: serde_json::Error| NoRequest { id: None, why: format!("not a request: {error}") };
        let line: Line = serde_json::from_slice(line).map_err(unreadable)?;
        let id = line.id;
        let refused = |why: String| NoRequest { id: Some(id), why };
        if line.v != VERSION {
            let v = line.v;
            return Err(refused(format!(
                "the cluster was launched by a dsbench that speaks version {VERSION}, not {v}: use that one"
            )));
        }
        line.ask().map(|ask| Self { id, ask }).map_err(refused)
    }

    /// As a line.
    pub(crate) fn to_line(&self) -> Vec<u8> {
        let mut line = Line { v: VERSION, id: self.id, verb: self.ask.verb().to_owned(), ..Line::default() };
        match &self.ask {
            Ask::Status | Ask::Watch | Ask::Release => {}
            Ask::Act(_, target) => line.target.clone_from(target),
            Ask::Signal(signal, target) => {
                (line.signal, line.target) = (Some(signal.clone()), target.clone());
            }
            Ask::Input(text, target) => (line.text, line.target) = (Some(text.clone()), target.clone()),
            Ask::Down { now } => line.now = *now,
        }
        let mut bytes = serde_json::to_vec(&line).expect("plain data has JSON");
        bytes.push(b'\n');
        bytes
    }
}

impl Line {
    fn ask(self) -> Result<Ask, String> {
        let acts = [
            ActionVerb::Start,
            ActionVerb::Stop,
            ActionVerb::Kill,
            ActionVerb::Restart,
            ActionVerb::Pause,
            ActionVerb::Resume,
            ActionVerb::Partition,
            ActionVerb::Link,
            ActionVerb::Unplug,
            ActionVerb::Heal,
        ];
        if let Some(act) = acts.into_iter().find(|act| act.key() == self.verb) {
            return Ok(Ask::Act(act, self.target));
        }
        let missing = |what: &str| format!("`{}` needs `{what}`", self.verb);
        Ok(match self.verb.as_str() {
            "status" => Ask::Status,
            "watch" => Ask::Watch,
            "release" => Ask::Release,
            "down" => Ask::Down { now: self.now },
            "signal" => Ask::Signal(self.signal.ok_or_else(|| missing("signal"))?, self.target),
            "input" => Ask::Input(self.text.ok_or_else(|| missing("text"))?, self.target),
            unknown => return Err(no_such_verb(unknown)),
        })
    }
}

/// Why a word is nothing that can be asked.
pub(crate) fn no_such_verb(word: &str) -> String {
    let known = typed_verbs();
    format!("nothing is called `{}` here ({})", word.escape_debug(), suggestion(word, "commands", known))
}

impl Ask {
    fn verb(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Watch => "watch",
            Self::Act(verb, _) => verb.key(),
            Self::Signal(..) => "signal",
            Self::Input(..) => "input",
            Self::Down { .. } => "down",
            Self::Release => "release",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(line: &str) -> NoRequest {
        Request::read(line.as_bytes()).unwrap_err()
    }

    #[test]
    fn what_is_no_request_is_told_why_and_with_its_number_where_it_has_one() {
        assert_eq!(refused("").id, None);
        assert!(refused("kill peer1").why.starts_with("not a request"));
        assert_eq!(refused(r#"{"v":1,"id":7,"do":"kil"}"#).id, Some(7));
        assert!(refused(r#"{"v":1,"id":7,"do":"kil"}"#).why.contains("did you mean `kill`?"));
        assert!(refused(r#"{"v":2,"do":"kill"}"#).why.contains("version 1, not 2"));
        assert!(refused(r#"{"v":1,"do":"input","target":["peer1"]}"#).why.contains("`input` needs `text`"));
    }

    #[test]
    fn keys_of_a_later_dsbench_are_passed_over() {
        let line = br#"{"v":1,"id":3,"do":"kill","target":["leader"],"politely":true}"#;
        let ask = Ask::Act(ActionVerb::Kill, vec!["leader".into()]);
        assert_eq!(Request::read(line), Ok(Request { id: 3, ask }));
    }

    fn ask() -> impl Strategy<Value = Ask> {
        let target = || proptest::collection::vec(any::<String>(), 0..3);
        prop_oneof![
            Just(Ask::Status),
            Just(Ask::Watch),
            Just(Ask::Release),
            any::<bool>().prop_map(|now| Ask::Down { now }),
            target().prop_map(|target| Ask::Act(ActionVerb::Pause, target)),
            (any::<String>(), target()).prop_map(|(signal, target)| Ask::Signal(signal, target)),
            (any::<String>(), target()).prop_map(|(text, target)| Ask::Input(text, target)),
        ]
    }

    proptest! {
        #[test]
        fn a_request_is_read_as_it_was_written(id in any::<u64>(), ask in ask()) {
            let request = Request { id, ask };
            let line = request.to_line();
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            prop_assert_eq!(Request::read(&line), Ok(request));
        }

        #[test]
        fn any_bytes_are_a_request_or_a_reason(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Err(refused) = Request::read(&bytes) {
                prop_assert!(!refused.why.is_empty());
            }
        }

        #[test]
        fn any_json_is_a_request_or_a_reason(
            verb in "[a-z]{0,8}|kill|input|signal|down",
            value in prop_oneof![Just("null"), Just("[]"), Just("{}"), Just("-1"), Just("1e99"), Just("\"x\""), Just("[[[]]]")],
            key in "v|id|do|target|signal|text|now",
        ) {
            let line = format!(r#"{{"v":1,"do":"{verb}","{key}":{value}}}"#);
            let _ = Request::read(line.as_bytes());
        }
    }
}
