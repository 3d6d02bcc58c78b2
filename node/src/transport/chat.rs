//! The chat's lines: documented messages between nodes, and for clients the same words.
//!
//! ```text
//! > {"type":"CHAT","msg_id":"550e8400-e29b-41d4-a716-446655440000","room_id":"general","payload":"hello"}
//! > {"type":"CHAT","sender_id":"alice","serial":3,"room_id":"general","payload":"hello"}
//! < {"type":"ACKNOWLEDGED","msg":"alice/3","msg_id":"...","seq_no":7,"term":2,"index":9}
//! < {"type":"REFUSED","msg":"alice/4","msg_id":"...","reason":"busy"}
//! < {"type":"UNKNOWN","msg":"alice/5","msg_id":"...","reason":"leaving"}
//! > {"type":"STATUS"}
//! < {"type":"STATUS",...}
//! > {"type":"CATCHUP_REQ","after":9}
//! < {"type":"SEQ_CHAT",...}                               everything after index 9
//! < {"type":"CATCHUP_RESP","upto":12,"messages":3}        that was all so far; what comes follows by itself
//! ```
//!
//! A message is known by its `msg_id`, or by the name of its sender and the number that the sender gave it. The second also keeps the
//! order: of one sender, the lower number is delivered first. Asked again under the same name, it is delivered once. What a client says
//! in `sender_id` and `msg_id` stands in what is delivered, as it was said. What makes no sense is REFUSED as `malformed`, and `why`.

use dsbench_protocol::Answer;
use dsbench_wire::room::Header;
use dsbench_wire::{ClientId, Endpoint, Message, NodeId, RequestId, RoomId, chat};
use serde::{Deserialize, Serialize};

use super::dialect::{Asked, Dialect, Said};
use crate::messages::Feed;

/// The chat's dialect at one node.
#[derive(Debug)]
pub struct ChatLines {
    /// This node, and where others reach it.
    pub me: NodeId,
    /// Where others reach it.
    pub place: Endpoint,
    /// Its message log.
    pub feed: Feed,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
enum FromClient {
    Chat {
        #[serde(default)]
        msg_id: Option<String>,
        #[serde(default)]
        sender_id: Option<Sender>,
        #[serde(default)]
        serial: Option<u64>,
        #[serde(default)]
        room_id: Option<RoomId>,
        payload: String,
    },
    CatchupReq {
        #[serde(default)]
        after: u64,
    },
    Status,
}

/// Documented as a number, where a node sends; a person's client has a name.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Sender {
    Number(u64),
    Name(String),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
enum ToClient {
    Acknowledged {
        msg: String,
        msg_id: String,
        seq_no: u64,
        term: u64,
        index: u64,
    },
    Refused {
        #[serde(skip_serializing_if = "Option::is_none")]
        msg: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        msg_id: Option<String>,
        reason: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    Unknown {
        msg: String,
        msg_id: String,
        reason: String,
    },
}

impl Dialect for ChatLines {
    fn body(&self, message: &Message) -> String {
        chat::body(message, &self.me, &self.place)
    }

    fn line(&self, from: &NodeId, to: &NodeId, body: &str) -> String {
        chat::line(from, to, body)
    }

    fn read(&self, line: &[u8]) -> Result<Said, String> {
        let not_a_nodes = match chat::decode(line) {
            Ok(envelope) => return Ok(Said::Message(envelope)),
            Err(error) => error.to_string(),
        };
        let why = match serde_json::from_slice(line) {
            Ok(said) => match asked(said) {
                Ok(asked) => return Ok(Said::Asked(asked)),
                Err(why) => why,
            },
            Err(error) => error.to_string(),
        };
        match refused(line, &why) {
            Some(told) => Ok(Said::Asked(Asked::Nonsense { told, reason: format!("a client's line: {why}") })),
            None => Err(not_a_nodes),
        }
    }

    fn told(&self, answer: &Answer, given: Option<&str>) -> String {
        let name = |id: &RequestId| (id.to_string(), given.map_or_else(|| chat::msg_id(id), str::to_owned));
        let told = match answer {
            Answer::Acknowledged { id, seq, term, index } => {
                let (msg, msg_id) = name(id);
                ToClient::Acknowledged { msg, msg_id, seq_no: *seq, term: term.0, index: *index }
            }
            Answer::Refused { id, reason } => {
                let (msg, msg_id) = id.as_ref().map(name).unzip();
                let msg_id = msg_id.or_else(|| given.map(str::to_owned));
                ToClient::Refused { msg, msg_id, reason: reason.to_string(), why: None }
            }
            Answer::Unknown { id, reason } => {
                let (msg, msg_id) = name(id);
                ToClient::Unknown { msg, msg_id, reason: reason.to_string() }
            }
        };
        line_of(&told)
    }

    fn feed(&self) -> Option<&Feed> {
        Some(&self.feed)
    }
}

fn line_of(told: &ToClient) -> String {
    serde_json::to_string(told).expect("an answer has text keys and plain values only") + "\n"
}

/// What is told of a line that a client meant, and that makes no sense: under the names that it gave, as far as they can be read.
/// Nothing where it is no client's.
fn refused(line: &[u8], why: &str) -> Option<String> {
    let said: serde_json::Value = serde_json::from_slice(line).ok()?;
    let text = |key: &str| said.get(key).and_then(serde_json::Value::as_str);
    let is_clients =
        matches!(text("type"), Some("CHAT" | "CATCHUP_REQ" | "STATUS")) && said.get("receiver_id").is_none();
    let sender =
        said.get("sender_id").and_then(|id| id.as_str().map(str::to_owned).or(id.as_u64().map(|id| id.to_string())));
    let serial = said.get("serial").and_then(serde_json::Value::as_u64);
    let id = sender.zip(serial).and_then(|(sender, serial)| Some(RequestId { client: sender.parse().ok()?, serial }));
    is_clients.then(|| {
        line_of(&ToClient::Refused {
            msg: id.map(|id| id.to_string()),
            msg_id: text("msg_id").map(|given| given.chars().take(64).collect()),
            reason: "malformed".to_owned(),
            why: Some(why.to_owned()),
        })
    })
}

fn asked(said: FromClient) -> Result<Asked, String> {
    let (msg_id, sender_id, serial, room_id, payload) = match said {
        FromClient::Status => return Ok(Asked::Status),
        FromClient::CatchupReq { after } => return Ok(Asked::Follow { after }),
        FromClient::Chat { msg_id, sender_id, serial, room_id, payload } => {
            (msg_id, sender_id, serial, room_id, payload)
        }
    };
    let sender: Option<ClientId> = match sender_id {
        None => None,
        Some(Sender::Number(number)) => Some(number.to_string()),
        Some(Sender::Name(name)) => Some(name),
    }
    .map(|name| name.parse().map_err(|error| format!("a CHAT whose sender_id is none: {error}")))
    .transpose()?;
    if msg_id.as_deref().is_some_and(|msg_id| !chat::is_uuid(msg_id)) {
        return Err("a CHAT whose msg_id is no UUID".to_owned());
    }
    let mut header = Header::from(room_id.unwrap_or_default());
    let id = match (sender, serial, &msg_id) {
        (Some(client), Some(serial), _) => Some(RequestId { client, serial }),
        (None, Some(_), _) => return Err("a CHAT with a serial and without a sender_id".to_owned()),
        (sender, None, given) => {
            header.sender = sender;
            // A UUID has no case.
            let client = given.as_ref().and_then(|uuid| uuid.to_ascii_lowercase().parse().ok());
            client.map(|client| RequestId { client, serial: 1 })
        }
    };
    if let Some(given) = &msg_id
        && id.as_ref().is_none_or(|id| chat::msg_id(id) != *given)
    {
        header.msg_id = Some(given.as_str().into());
    }
    Ok(Asked::Request { id, payload: header.payload(&payload), msg_id })
}

#[cfg(test)]
mod tests {
    use dsbench_wire::Term;

    use super::*;

    fn read(line: &str) -> Result<Said, String> {
        let [me, place] = ["3", "127.0.0.1:5003"];
        let lines = ChatLines { me: me.parse().unwrap(), place: place.parse().unwrap(), feed: Feed::nothing() };
        lines.read(line.as_bytes())
    }

    fn request(id: Option<&str>, payload: &str, msg_id: Option<&str>) -> Result<Said, String> {
        let id = id.map(|id| id.parse().unwrap());
        Ok(Said::Asked(Asked::Request { id, payload: payload.to_owned(), msg_id: msg_id.map(str::to_owned) }))
    }

    const UUID: &str = "550e8400-e29b-41d4-a716-446655440000";

    #[test]
    fn a_client_says_as_much_as_it_knows() {
        assert_eq!(read(r#"{"type":"CHAT","payload":"hi"}"#), request(None, "general\nhi", None));
        let documented = format!(
            r#"{{"type":"CHAT","sender_id":1,"term":0,"msg_id":"{UUID}","seq_no":null,"room_id":"general","payload":"hi"}}"#
        );
        let id = format!("{UUID}/1");
        assert_eq!(read(&documented), request(Some(&id), "general s=1\nhi", Some(UUID)));
        let upper = UUID.to_uppercase();
        let line = format!(r#"{{"type":"CHAT","msg_id":"{upper}","room_id":"dev","payload":"hi"}}"#);
        let payload = format!("dev m={upper}\nhi");
        assert_eq!(read(&line), request(Some(&id), &payload, Some(&upper)), "a UUID has no case");
        let line = r#"{"type":"CHAT","sender_id":"alice","serial":3,"room_id":"dev","payload":"a\nb"}"#;
        assert_eq!(read(line), request(Some("alice/3"), "dev\na\nb", None));
        let line = format!(r#"{{"type":"CHAT","sender_id":"alice","serial":3,"msg_id":"{UUID}","payload":"hi"}}"#);
        let payload = format!("general m={UUID}\nhi");
        assert_eq!(read(&line), request(Some("alice/3"), &payload, Some(UUID)), "both names are kept");
        assert_eq!(read(r#"{"type":"STATUS"}"#), Ok(Said::Asked(Asked::Status)));
        assert_eq!(read(r#"{"type":"CATCHUP_REQ","after":7}"#), Ok(Said::Asked(Asked::Follow { after: 7 })));
    }

    #[test]
    fn what_is_neither_a_nodes_nor_a_clients_is_ignored_with_its_reason() {
        for (line, reason) in [
            ("", "malformed"),
            ("hello", "malformed"),
            (r#"{"type":"REBOOT","sender_id":1,"receiver_id":2,"term":1}"#, "unknown message type"),
            (r#"{"type":"CHAT","sender_id":1,"receiver_id":2,"room_id":"a b"}"#, "missing field"),
        ] {
            let refusal = read(line).expect_err(line);
            assert!(refusal.contains(reason), "{line}: {refusal}");
        }
    }

    #[test]
    fn a_clients_mistake_is_answered_with_its_reason() {
        for (line, answer) in [
            (
                r#"{"type":"CHAT","msg_id":"7","payload":"x"}"#,
                r#"{"type":"REFUSED","msg_id":"7","reason":"malformed","why":"a CHAT whose msg_id is no UUID"}"#,
            ),
            (
                r#"{"type":"CHAT","serial":7,"payload":"x"}"#,
                r#"{"type":"REFUSED","reason":"malformed","why":"a CHAT with a serial and without a sender_id"}"#,
            ),
            (r#"{"type":"CHAT","sender_id":"a b","serial":7,"payload":"x"}"#, "has no space"),
            (
                r#"{"type":"CHAT","sender_id":"a","serial":7,"room_id":"a b","payload":"x"}"#,
                r#""msg":"a/7","reason":"malformed""#,
            ),
            (r#"{"type":"CHAT","room_id":"general"}"#, "missing field `payload`"),
            (r#"{"type":"CATCHUP_REQ","after":-1}"#, "invalid value"),
        ] {
            let Ok(Said::Asked(Asked::Nonsense { told, .. })) = read(line) else { panic!("{line}") };
            assert!(told.contains(answer) && told.ends_with("}\n"), "{line}: {told}");
        }
    }

    #[test]
    fn an_answer_has_the_uuid_that_the_client_gave() {
        let [me, place] = ["3", "127.0.0.1:5003"];
        let lines = ChatLines { me: me.parse().unwrap(), place: place.parse().unwrap(), feed: Feed::nothing() };
        let answer = Answer::Acknowledged { id: "alice/3".parse().unwrap(), seq: 7, term: Term(2), index: 9 };
        let told = format!(
            "{{\"type\":\"ACKNOWLEDGED\",\"msg\":\"alice/3\",\"msg_id\":\"{UUID}\",\"seq_no\":7,\"term\":2,\"index\":9}}\n"
        );
        assert_eq!(lines.told(&answer, Some(UUID)), told);
    }

    #[test]
    fn a_nodes_message_is_one() {
        let envelope = read(r#"{"type":"HEARTBEAT","sender_id":1,"receiver_id":3,"term":2,"seq":5,"commit":4}"#);
        let message = Message::Heartbeat { term: Term(2), seq: 5, commit: 4 };
        let [from, to] = ["1", "3"].map(|id| id.parse().unwrap());
        assert_eq!(envelope, Ok(Said::Message(dsbench_wire::Envelope { from, to, message })));
    }
}
