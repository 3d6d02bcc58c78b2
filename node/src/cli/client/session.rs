//! What a chat client has to remember: what it said and is not sure of, and how far it has read. No sockets.
//!
//! A message keeps its name until it is answered, however often it is sent and to whichever node, so that it is delivered once. What is
//! delivered is shown once, because the order has places and the client knows the last one that it has seen.

use std::collections::BTreeMap;
use std::time::Duration;

use dsbench_wire::chat::Delivery;
use dsbench_wire::{ClientId, RoomId};
use serde::{Deserialize, Serialize};

/// Who leads and who is there, as a node tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Status {
    pub(super) node_id: u64,
    pub(super) role: String,
    pub(super) term: u64,
    pub(super) leader: Option<Place>,
    #[serde(default)]
    pub(super) nodes: Vec<Place>,
}

/// A node and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Place {
    pub(super) node_id: u64,
    pub(super) host: String,
    pub(super) port: u16,
    #[serde(default)]
    pub(super) role: Option<String>,
}

/// What a node says to a client.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
enum Said {
    Acknowledged { msg: String, seq_no: u64 },
    Refused { msg: Option<String>, reason: String },
    Unknown { msg: String, reason: String },
    CatchupResp {},
    Status(Status),
}

/// What came of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A message that was not seen before.
    Delivered(Delivery),
    /// A message of this client is delivered.
    Acknowledged {
        msg: String,
        seq_no: u64,
    },
    /// A message of this client is not delivered, and will not be.
    Refused {
        msg: String,
        reason: String,
    },
    /// What had been said before this client came is told.
    CaughtUp,
    Status(Status),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
enum Asks<'a> {
    Chat { sender_id: &'a ClientId, serial: u64, room_id: &'a RoomId, payload: &'a str },
    CatchupReq { after: u64 },
    Status,
}

impl Asks<'_> {
    fn line(&self) -> String {
        serde_json::to_string(self).expect("text keys and plain values only") + "\n"
    }
}

/// One client, over all its connections.
#[derive(Debug)]
pub(super) struct Session {
    name: ClientId,
    next: u64,
    /// Lines without an answer, by their numbers.
    open: BTreeMap<u64, String>,
    /// The place of the last delivery that was shown.
    seen: u64,
}

impl Session {
    pub(super) fn new(name: ClientId) -> Self {
        Self { name, next: 1, open: BTreeMap::new(), seen: 0 }
    }

    /// How many messages have no answer.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Says `text`. Gives the message's name, and the line to send.
    pub(super) fn says(&mut self, room: &RoomId, text: &str) -> (String, String) {
        let serial = self.next;
        self.next += 1;
        let line = Asks::Chat { sender_id: &self.name, serial, room_id: room, payload: text }.line();
        self.open.insert(serial, line.clone());
        (format!("{}/{serial}", self.name), line)
    }

    /// What a new connection begins with: what was missed, and what has no answer, in its order.
    pub(super) fn connected(&self) -> String {
        let mut lines = Asks::CatchupReq { after: self.seen }.line() + &Asks::Status.line();
        lines.extend(self.open.values().map(String::as_str));
        lines
    }

    pub(super) fn asks_status() -> String {
        Asks::Status.line()
    }

    /// What has no answer, to be asked again on the same connection.
    pub(super) fn asks_again(&self) -> String {
        self.open.values().map(String::as_str).collect()
    }

    /// A line of a node; nothing where it changes nothing.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn hears(&mut self, line: &[u8]) -> Result<Option<News>, serde_json::Error> {
        if let Ok(delivery) = serde_json::from_slice::<Delivery>(line) {
            if delivery.index <= self.seen {
                return Ok(None);
            }
            self.seen = delivery.index;
            return Ok(Some(News::Delivered(delivery)));
        }
        Ok(match serde_json::from_slice(line)? {
            Said::Acknowledged { msg, seq_no } => self.settled(&msg).then_some(News::Acknowledged { msg, seq_no }),
            // Asked again, here or elsewhere, it is still delivered once.
            Said::Refused { reason, .. } | Said::Unknown { reason, .. } if may_pass(&reason) => None,
            Said::Refused { msg: Some(msg), reason } | Said::Unknown { msg, reason } => {
                self.settled(&msg).then_some(News::Refused { msg, reason })
            }
            Said::Refused { msg: None, .. } => None,
            Said::CatchupResp {} => Some(News::CaughtUp),
            Said::Status(status) => Some(News::Status(status)),
        })
    }

    /// Whether that was a message of this client without an answer until now.
    fn settled(&mut self, msg: &str) -> bool {
        let serial = msg.rsplit_once('/').filter(|(name, _)| *name == self.name.as_str());
        serial
            .and_then(|(_, serial)| serial.parse().ok())
            .is_some_and(|serial: u64| self.open.remove(&serial).is_some())
    }
}

fn may_pass(reason: &str) -> bool {
    matches!(reason, "busy" | "leaving")
}

/// The pauses between two rounds over all nodes: 2 s, then half as long again each time, up to 30 s.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    const FIRST: Duration = Duration::from_secs(2);
    const LONGEST: Duration = Duration::from_secs(30);

    pub(super) fn new() -> Self {
        Self(Self::FIRST)
    }

    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 3 / 2).min(Self::LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session::new("alice.1".parse().unwrap())
    }

    fn delivery(index: u64) -> String {
        format!(
            "{{\"type\":\"SEQ_CHAT\",\"sender_id\":\"bob\",\"term\":1,\"msg_id\":\"x\",\"seq_no\":{index},\
             \"room_id\":\"general\",\"index\":{index},\"serial\":1,\"payload\":\"hi\"}}\n"
        )
    }

    #[test]
    fn what_has_no_answer_is_said_again_under_the_same_name_and_in_order() {
        let (mut session, room) = (session(), RoomId::default());
        let (first, line) = session.says(&room, "one");
        let (second, other) = session.says(&room, "two");
        assert_eq!((first.as_str(), second.as_str()), ("alice.1/1", "alice.1/2"));
        let begins = "{\"type\":\"CATCHUP_REQ\",\"after\":0}\n{\"type\":\"STATUS\"}\n";
        assert_eq!(session.connected(), format!("{begins}{line}{other}"));
        let answer =
            b"{\"type\":\"ACKNOWLEDGED\",\"msg\":\"alice.1/1\",\"msg_id\":\"x\",\"seq_no\":7,\"term\":1,\"index\":9}";
        assert_eq!(session.hears(answer).unwrap(), Some(News::Acknowledged { msg: first, seq_no: 7 }));
        assert_eq!(session.hears(answer).unwrap(), None, "once");
        assert_eq!(session.connected(), format!("{begins}{other}"));
    }

    #[test]
    fn an_answer_that_may_change_is_no_answer() {
        let mut session = session();
        session.says(&RoomId::default(), "one");
        for line in [
            "{\"type\":\"REFUSED\",\"msg\":\"alice.1/1\",\"reason\":\"busy\"}",
            "{\"type\":\"UNKNOWN\",\"msg\":\"alice.1/1\",\"reason\":\"leaving\"}",
            "{\"type\":\"REFUSED\",\"msg\":\"bob/1\",\"reason\":\"too-long\"}",
        ] {
            assert_eq!(session.hears(line.as_bytes()).unwrap(), None);
            assert_eq!(session.open(), 1, "{line}");
        }
        let line = "{\"type\":\"REFUSED\",\"msg\":\"alice.1/1\",\"reason\":\"too-long\"}";
        assert!(matches!(session.hears(line.as_bytes()), Ok(Some(News::Refused { .. }))));
        assert_eq!(session.open(), 0);
    }

    #[test]
    fn a_delivery_is_shown_once_whichever_node_tells_it() {
        let mut session = session();
        let shown: Vec<bool> =
            [1, 3, 3, 1, 2, 4].map(|n| session.hears(delivery(n).as_bytes()).unwrap().is_some()).into();
        assert_eq!(shown, [true, true, false, false, false, true]);
        assert!(session.connected().starts_with("{\"type\":\"CATCHUP_REQ\",\"after\":4}\n"));
    }

    #[test]
    fn lines_of_nobody_change_nothing() {
        let mut session = session();
        for line in ["", "hello", "{}", "{\"type\":\"REBOOT\"}", "{\"type\":\"SEQ_CHAT\",\"index\":99}"] {
            assert!(session.hears(line.as_bytes()).is_err(), "{line}");
        }
        assert!(session.connected().contains("\"after\":0"));
    }

    #[test]
    fn pauses_grow_by_half_up_to_half_a_minute() {
        let mut backoff = Backoff::new();
        let pauses: Vec<u128> = (0..9).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(pauses, [2000, 3000, 4500, 6750, 10125, 15187, 22781, 30000, 30000]);
    }
}
