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
//! order: of one sender, the lower number is delivered first. Asked again under the same name, it is delivered once.

use dsbench_protocol::Answer;
use dsbench_wire::{Endpoint, Message, NodeId, RequestId, RoomId, chat, room};
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
        match serde_json::from_slice(line) {
            Ok(said) => asked(said).map(Said::Asked),
            Err(error) if error.to_string().contains("room") => Err(format!("a client's line: {error}")),
            Err(_) => Err(not_a_nodes),
        }
    }

    fn told(&self, answer: &Answer) -> String {
        let name = |id: &RequestId| (id.to_string(), chat::msg_id(id));
        let told = match answer {
            Answer::Acknowledged { id, seq, term, index } => {
                let (msg, msg_id) = name(id);
                ToClient::Acknowledged { msg, msg_id, seq_no: *seq, term: term.0, index: *index }
            }
            Answer::Refused { id, reason } => {
                let (msg, msg_id) = id.as_ref().map(name).unzip();
                ToClient::Refused { msg, msg_id, reason: reason.to_string() }
            }
            Answer::Unknown { id, reason } => {
                let (msg, msg_id) = name(id);
                ToClient::Unknown { msg, msg_id, reason: reason.to_string() }
            }
        };
        serde_json::to_string(&told).expect("an answer has text keys and plain values only") + "\n"
    }

    fn feed(&self) -> Option<&Feed> {
        Some(&self.feed)
    }
}

fn asked(said: FromClient) -> Result<Asked, String> {
    let (msg_id, sender_id, serial, room_id, payload) = match said {
        FromClient::Status => return Ok(Asked::Status),
        FromClient::CatchupReq { after } => return Ok(Asked::Follow { after }),
        FromClient::Chat { msg_id, sender_id, serial, room_id, payload } => {
            (msg_id, sender_id, serial, room_id, payload)
        }
    };
    let id = match (sender_id, serial, msg_id) {
        (Some(sender), Some(serial), _) => {
            let sender = match sender {
                Sender::Number(number) => number.to_string(),
                Sender::Name(name) => name,
            };
            let client = sender.parse().map_err(|error| format!("a CHAT whose sender_id is none: {error}"))?;
            Some(RequestId { client, serial })
        }
        (_, None, Some(uuid)) if chat::is_uuid(&uuid) => {
            let client =
                uuid.to_ascii_lowercase().parse().map_err(|error| format!("a CHAT whose msg_id is none: {error}"))?;
            Some(RequestId { client, serial: 1 })
        }
        (_, None, Some(_)) => return Err("a CHAT whose msg_id is no UUID".to_owned()),
        (None, Some(_), _) => return Err("a CHAT with a serial and without a sender_id".to_owned()),
        (_, None, None) => None,
    };
    Ok(Asked::Request { id, payload: room::payload(&room_id.unwrap_or_default(), &payload) })
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

    fn request(id: Option<&str>, payload: &str) -> Result<Said, String> {
        let id = id.map(|id| id.parse().unwrap());
        Ok(Said::Asked(Asked::Request { id, payload: payload.to_owned() }))
    }

    #[test]
    fn a_client_says_as_much_as_it_knows() {
        assert_eq!(read(r#"{"type":"CHAT","payload":"hi"}"#), request(None, "general\nhi"));
        let uuid = "550e8400-e29b-41d4-a716-446655440000";
        let documented = format!(
            r#"{{"type":"CHAT","sender_id":1,"term":0,"msg_id":"{uuid}","seq_no":null,"room_id":"general","payload":"hi"}}"#
        );
        assert_eq!(read(&documented), request(Some(&format!("{uuid}/1")), "general\nhi"));
        let line = format!(r#"{{"type":"CHAT","msg_id":"{}","room_id":"dev","payload":"hi"}}"#, uuid.to_uppercase());
        assert_eq!(read(&line), request(Some(&format!("{uuid}/1")), "dev\nhi"), "a UUID has no case");
        let line = r#"{"type":"CHAT","sender_id":"alice","serial":3,"room_id":"dev","payload":"a\nb"}"#;
        assert_eq!(read(line), request(Some("alice/3"), "dev\na\nb"));
        assert_eq!(read(r#"{"type":"STATUS"}"#), Ok(Said::Asked(Asked::Status)));
        assert_eq!(read(r#"{"type":"CATCHUP_REQ","after":7}"#), Ok(Said::Asked(Asked::Follow { after: 7 })));
    }

    #[test]
    fn what_is_neither_a_nodes_nor_a_clients_is_refused_with_its_reason() {
        for (line, reason) in [
            ("", "malformed"),
            ("hello", "malformed"),
            (r#"{"type":"REBOOT","sender_id":1,"receiver_id":2,"term":1}"#, "unknown message type"),
            (r#"{"type":"CHAT","msg_id":"7","payload":"x"}"#, "no UUID"),
            (r#"{"type":"CHAT","serial":7,"payload":"x"}"#, "without a sender_id"),
            (r#"{"type":"CHAT","sender_id":"a b","serial":7,"payload":"x"}"#, "has no space"),
            (r#"{"type":"CHAT","room_id":"a b","payload":"x"}"#, "a room's name"),
        ] {
            let refusal = read(line).expect_err(line);
            assert!(refusal.contains(reason), "{line}: {refusal}");
        }
    }

    #[test]
    fn a_nodes_message_is_one() {
        let envelope = read(r#"{"type":"HEARTBEAT","sender_id":1,"receiver_id":3,"term":2,"seq":5,"commit":4}"#);
        let message = Message::Heartbeat { term: Term(2), seq: 5, commit: 4 };
        let [from, to] = ["1", "3"].map(|id| id.parse().unwrap());
        assert_eq!(envelope, Ok(Said::Message(dsbench_wire::Envelope { from, to, message })));
    }
}
