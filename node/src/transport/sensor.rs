//! The sensor network's lines.
//!
//! ```text
//! > {"type":"SEQUENCER_REQUEST","msg":"alice/3","payload":"hello"}
//! > {"type":"STATUS"}
//! < {"type":"ACKNOWLEDGED","msg":"alice/3","seq":7,"term":2,"index":9}
//! < {"type":"REFUSED","msg":"alice/4","reason":"out-of-order"}
//! < {"type":"UNKNOWN","msg":"alice/5","reason":"busy"}
//! < {"type":"STATUS",...}
//! ```
//!
//! Without `msg`, the node gives the request a name.
//!
//! REFUSED is final: the request is not done, and under this name it never will be (`too-long`, `out-of-order`, `name-of-a-node`,
//! `bad-serial`). UNKNOWN is not: asked again under the same name, it is done once. After `busy`, the node takes nothing later of the
//! same client until it asks for that request again, or ten seconds have passed: whoever goes on to later ones gives it up, and it is
//! `out-of-order` once one of those is done. How long a retry is known again is said in the protocol's `sessions`.

use dsbench_protocol::Answer;
use dsbench_wire::{Message, NodeId, RequestId};
use serde::{Deserialize, Serialize};

use super::dialect::{self, Asked, Dialect};

/// The sensor network's lines.
#[derive(Debug, Clone, Copy)]
pub struct SensorLines;

impl Dialect for SensorLines {
    fn body(&self, message: &Message) -> String {
        serde_json::to_string(message).expect("a message has text keys and plain values only")
    }

    fn line(&self, from: &NodeId, to: &NodeId, body: &str) -> String {
        // The envelope's own fields come first, and then the message's: the line that `dsbench_wire::encode` writes.
        let fields = body.strip_prefix('{').unwrap_or(body);
        format!("{{\"from\":\"{from}\",\"to\":\"{to}\",{fields}\n")
    }

    fn read(&self, line: &[u8]) -> Result<dialect::Said, String> {
        // A node's message begins so; all others are looked at as a client's first.
        if !line.starts_with(b"{\"from\":")
            && let Some(asked) = asked(line)
        {
            return asked.map(dialect::Said::Asked);
        }
        dsbench_wire::decode(line).map(dialect::Said::Message).map_err(|error| error.to_string())
    }

    fn told(&self, answer: &Answer, _: Option<&str>) -> String {
        told(answer)
    }
}

/// What a client says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
enum Said {
    SequencerRequest {
        #[serde(default)]
        msg: Option<String>,
        payload: String,
    },
    Status,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
enum Told {
    Acknowledged {
        msg: String,
        seq: u64,
        term: u64,
        index: u64,
    },
    Refused {
        #[serde(skip_serializing_if = "Option::is_none")]
        msg: Option<String>,
        reason: String,
    },
    Unknown {
        msg: String,
        reason: String,
    },
}

/// What a line asks for; nothing when it is no client's.
fn asked(line: &[u8]) -> Option<Result<Asked, String>> {
    Some(match serde_json::from_slice(line).ok()? {
        Said::Status => Ok(Asked::Status),
        Said::SequencerRequest { msg, payload } => match msg.map(|msg| msg.parse()).transpose() {
            Ok(id) => Ok(Asked::Request { id, payload, msg_id: None }),
            Err(error) => Err(format!("a SEQUENCER_REQUEST whose msg is none: {error}")),
        },
    })
}

/// The line that tells a client what became of its request.
fn told(answer: &Answer) -> String {
    let told = match answer {
        Answer::Acknowledged { id, seq, term, index } => {
            Told::Acknowledged { msg: id.to_string(), seq: *seq, term: term.0, index: *index }
        }
        Answer::Refused { id, reason } => {
            Told::Refused { msg: id.as_ref().map(RequestId::to_string), reason: reason.to_string() }
        }
        Answer::Unknown { id, reason } => Told::Unknown { msg: id.to_string(), reason: reason.to_string() },
    };
    let mut line = serde_json::to_string(&told).expect("an answer has text keys and plain values only");
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use dsbench_protocol::Refusal;
    use dsbench_wire::Term;

    use super::*;

    #[test]
    fn a_question_is_read_and_anything_else_is_not_one() {
        let line = br#"{"type":"SEQUENCER_REQUEST","msg":"alice/3","payload":"hello"}"#;
        let id = Some("alice/3".parse().unwrap());
        assert_eq!(asked(line), Some(Ok(Asked::Request { id, payload: "hello".to_owned(), msg_id: None })));
        let unnamed = asked(br#"{"type":"SEQUENCER_REQUEST","payload":""}"#);
        assert_eq!(unnamed, Some(Ok(Asked::Request { id: None, payload: String::new(), msg_id: None })));
        assert_eq!(asked(br#"{"type":"STATUS"}"#), Some(Ok(Asked::Status)));
        assert!(matches!(asked(br#"{"type":"SEQUENCER_REQUEST","msg":"a b/3","payload":"x"}"#), Some(Err(_))));
        for other in ["", "{}", "[]", r#"{"type":"ELECTION","term":1}"#, r#"{"type":"SEQUENCER_REQUEST"}"#] {
            assert_eq!(asked(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn an_answer_names_its_request() {
        let id: RequestId = "alice/3".parse().unwrap();
        let done = Answer::Acknowledged { id: id.clone(), seq: 7, term: Term(2), index: 9 };
        assert_eq!(told(&done), "{\"type\":\"ACKNOWLEDGED\",\"msg\":\"alice/3\",\"seq\":7,\"term\":2,\"index\":9}\n");
        let refused = Answer::Refused { id: None, reason: Refusal::Busy };
        assert_eq!(told(&refused), "{\"type\":\"REFUSED\",\"reason\":\"busy\"}\n");
        let unknown = Answer::Unknown { id, reason: Refusal::Leaving };
        assert_eq!(told(&unknown), "{\"type\":\"UNKNOWN\",\"msg\":\"alice/3\",\"reason\":\"leaving\"}\n");
    }
}
