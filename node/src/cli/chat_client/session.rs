//! What a chat client has to remember: what it said and is not sure of, and how far it has read. No sockets.
//!
//! A message keeps its name until it is answered, however often it is sent and to whichever node, so that it is delivered once. What is
//! delivered is shown once, because the order has places and the client knows the last one that it has seen.

use std::collections::BTreeMap;
use std::time::Duration;

use dsbench_wire::chat::Delivery;
use dsbench_wire::{ClientId, MAX_LINE, PAYLOAD_MAX, RoomId};
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    Missing { after: u64, index: u64 },
    Status(Status),
}

/// What came of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A message that was not seen before.
    Delivered(Delivery),
    /// A message of this client is delivered.
    Acknowledged {
        serial: u64,
        seq_no: u64,
    },
    /// A message of this client is not delivered, and will not be.
    Refused {
        serial: u64,
        reason: String,
    },
    /// A message of this client is delivered or is not, and the node cannot say which.
    Unknown {
        serial: u64,
        reason: String,
    },
    /// Messages between these two places are lost to the node, and nobody could give them back.
    Missing {
        after: u64,
        index: u64,
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

/// The longest text, whatever its room is called.
const TEXT_MAX: usize = PAYLOAD_MAX - RoomId::MAX_LEN - 1;

/// Why a text cannot be said.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsayable {
    #[error("not sent: a message has at most {TEXT_MAX} bytes, and this one {0}")]
    TooLong(usize),
    #[error(
        "not sent: its line has {0} bytes, and a line at most {MAX_LINE} (characters that JSON escapes take up to six)"
    )]
    TooLongLine(usize),
}

/// One client, over all its connections.
#[derive(Debug)]
pub(super) struct Session {
    name: ClientId,
    next: u64,
    /// What has no answer, by its number.
    open: BTreeMap<u64, Open>,
    /// Their lines in bytes.
    bytes: usize,
    /// How many numbers from the lowest open one on may be under way.
    window: u64,
    /// The node was busy: nothing is sent before [`try_again`](Self::try_again).
    is_held: bool,
    /// The lowest number for which it was: as long as it has no answer, no other one is sent.
    busy_at: u64,
    /// The place of the last delivery that was shown.
    seen: u64,
}

#[derive(Debug)]
struct Open {
    line: String,
    /// On this connection, and the node did not say that it was busy.
    is_sent: bool,
}

/// The most that is under way. A node remembers the last 128 results of a client: what was done while its answer got lost is still
/// among them when it is asked for again, as long as nothing is sent that is further away.
const WINDOW: u64 = 128;

impl Session {
    pub(super) fn new(name: ClientId) -> Self {
        let open = BTreeMap::new();
        Self { name, next: 1, open, bytes: 0, window: WINDOW, is_held: false, busy_at: 0, seen: 0 }
    }

    /// How many messages have no answer.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// How many bytes they have.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Says `text` as soon as it may be sent. Gives the message's number.
    ///
    /// # Errors
    /// When no node would take it. Then it has no number.
    pub(super) fn says(&mut self, room: &RoomId, text: &str) -> Result<u64, Unsayable> {
        if text.len() > TEXT_MAX {
            return Err(Unsayable::TooLong(text.len()));
        }
        let serial = self.next;
        let line = Asks::Chat { sender_id: &self.name, serial, room_id: room, payload: text }.line();
        if line.len() > MAX_LINE {
            return Err(Unsayable::TooLongLine(line.len()));
        }
        self.next += 1;
        self.bytes += line.len();
        self.open.insert(serial, Open { line, is_sent: false });
        Ok(serial)
    }

    /// What a message is called.
    pub(super) fn msg(&self, serial: u64) -> String {
        format!("{}/{serial}", self.name)
    }

    /// What a new connection begins with, with what was missed or without. What has no answer is due again.
    pub(super) fn connected(&mut self, wants_missed: bool) -> String {
        self.open.values_mut().for_each(|open| open.is_sent = false);
        (self.window, self.is_held, self.busy_at) = (WINDOW, false, 0);
        let missed = if wants_missed { Asks::CatchupReq { after: self.seen }.line() } else { String::new() };
        missed + &Asks::Status.line()
    }

    pub(super) fn asks_status() -> String {
        Asks::Status.line()
    }

    /// What may be sent now, in its order.
    pub(super) fn due(&mut self) -> String {
        let mut lines = String::new();
        if let Some((&lowest, _)) = self.open.first_key_value()
            && !self.is_held
        {
            for open in self.open.range_mut(..lowest + self.window).map(|(_, open)| open).filter(|open| !open.is_sent) {
                open.is_sent = true;
                lines.push_str(&open.line);
            }
        }
        lines
    }

    /// Whether the node was busy, and is not asked at once.
    pub(super) fn is_held(&self) -> bool {
        self.is_held
    }

    /// The node had time: it is asked for one message, and when that is answered for more and more.
    pub(super) fn try_again(&mut self) {
        self.is_held = false;
    }

    /// A line of a node: what is new in it.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn hears(&mut self, line: &[u8]) -> Result<Vec<News>, serde_json::Error> {
        if let Ok(delivery) = serde_json::from_slice::<Delivery>(line) {
            return Ok(self.delivered(delivery));
        }
        let news = match serde_json::from_slice(line)? {
            Said::Acknowledged { msg, seq_no } => {
                self.settled(&msg).map(|serial| News::Acknowledged { serial, seq_no })
            }
            Said::Refused { msg: Some(msg), reason } | Said::Unknown { msg, reason } if may_pass(&reason) => {
                self.must_wait(&msg);
                None
            }
            Said::Refused { msg: Some(msg), reason } => {
                self.settled(&msg).map(|serial| News::Refused { serial, reason })
            }
            Said::Unknown { msg, reason } => self.settled(&msg).map(|serial| News::Unknown { serial, reason }),
            Said::Refused { msg: None, .. } => None,
            Said::Missing { after, index } => (index > self.seen).then(|| {
                self.seen = index;
                News::Missing { after, index }
            }),
            Said::CatchupResp {} => Some(News::CaughtUp),
            Said::Status(status) => Some(News::Status(status)),
        };
        Ok(news.into_iter().collect())
    }

    fn delivered(&mut self, delivery: Delivery) -> Vec<News> {
        let mut news = Vec::new();
        // Better than any answer, which may have been lost.
        if delivery.sender_id == self.name && self.answered(delivery.serial) {
            news.push(News::Acknowledged { serial: delivery.serial, seq_no: delivery.seq_no });
        }
        if delivery.index > self.seen {
            self.seen = delivery.index;
            news.push(News::Delivered(delivery));
        }
        news
    }

    /// The number of a message of this client that had no answer until now.
    fn settled(&mut self, msg: &str) -> Option<u64> {
        let serial = self.own(msg)?;
        self.answered(serial).then_some(serial)
    }

    fn answered(&mut self, serial: u64) -> bool {
        let Some(open) = self.open.remove(&serial) else { return false };
        self.bytes -= open.line.len();
        if serial >= self.busy_at {
            self.window = (2 * self.window).min(WINDOW);
        }
        true
    }

    /// Asked again, here or elsewhere, it is still delivered once. What is later must not overtake it: a node refuses for ever what is
    /// earlier than what it has done.
    fn must_wait(&mut self, msg: &str) {
        let Some(serial) = self.own(msg) else { return };
        if let Some(open) = self.open.get_mut(&serial) {
            open.is_sent = false;
            self.busy_at = if self.window == 1 { self.busy_at.min(serial) } else { serial };
            (self.window, self.is_held) = (1, true);
        }
    }

    fn own(&self, msg: &str) -> Option<u64> {
        let (name, serial) = msg.rsplit_once('/')?;
        serial.parse().ok().filter(|_| name == self.name.as_str())
    }
}

fn may_pass(reason: &str) -> bool {
    matches!(reason, "busy" | "leaving")
}

/// The pauses between two rounds over all nodes: 2 s, then half as long again each time, up to 30 s.
#[derive(Debug)]
pub(super) struct Backoff {
    pause: Duration,
    /// Nodes in a row that were of no use.
    failed: usize,
}

impl Backoff {
    const FIRST: Duration = Duration::from_secs(2);
    const LONGEST: Duration = Duration::from_secs(30);
    /// A node that was of use for so long is a good one. Another one may be lost again at once, and again.
    const GOOD: Duration = Duration::from_secs(2);

    pub(super) fn new() -> Self {
        Self { pause: Self::FIRST, failed: 0 }
    }

    /// One of so many `nodes` was of use for this time, and then lost. How long to wait before the next one is tried.
    pub(super) fn after(&mut self, was_of_use: Duration, nodes: usize) -> Duration {
        if was_of_use >= Self::GOOD {
            *self = Self::new();
        }
        self.failed += 1;
        if self.failed < nodes {
            return Duration::ZERO;
        }
        self.failed = 0;
        let pause = self.pause;
        self.pause = (pause * 3 / 2).min(Self::LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn session() -> Session {
        Session::new("alice.1".parse().unwrap())
    }

    fn delivery(sender: &str, serial: u64, index: u64) -> String {
        format!(
            "{{\"type\":\"SEQ_CHAT\",\"sender_id\":\"{sender}\",\"term\":1,\"msg_id\":\"x\",\"seq_no\":{index},\
             \"room_id\":\"general\",\"index\":{index},\"serial\":{serial},\"payload\":\"hi\"}}\n"
        )
    }

    fn answer(kind: &str, serial: u64, rest: &str) -> String {
        format!("{{\"type\":\"{kind}\",\"msg\":\"alice.1/{serial}\",{rest}}}")
    }

    fn says(session: &mut Session, messages: usize) {
        for n in 0..messages {
            session.says(&RoomId::default(), &n.to_string()).unwrap();
        }
    }

    /// The numbers in what is due.
    fn due(session: &mut Session) -> Vec<u64> {
        let lines = session.due();
        let serial = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["serial"].as_u64().unwrap();
        lines.lines().map(serial).collect()
    }

    #[test]
    fn what_has_no_answer_is_said_again_under_the_same_name_and_in_order() {
        let mut session = session();
        says(&mut session, 3);
        assert_eq!(session.connected(true), "{\"type\":\"CATCHUP_REQ\",\"after\":0}\n{\"type\":\"STATUS\"}\n");
        assert_eq!(due(&mut session), [1, 2, 3]);
        assert_eq!(due(&mut session), [] as [u64; 0], "once");
        let line = answer("ACKNOWLEDGED", 2, "\"msg_id\":\"x\",\"seq_no\":7,\"term\":1,\"index\":9");
        assert_eq!(session.hears(line.as_bytes()).unwrap(), [News::Acknowledged { serial: 2, seq_no: 7 }]);
        assert_eq!(session.hears(line.as_bytes()).unwrap(), [], "once");
        session.connected(true);
        assert_eq!(due(&mut session), [1, 3]);
    }

    #[test]
    fn no_more_is_under_way_than_a_node_remembers() {
        let mut session = session();
        says(&mut session, 1000);
        assert_eq!(due(&mut session), (1..=128).collect::<Vec<_>>());
        for serial in 2..=100 {
            session.hears(answer("ACKNOWLEDGED", serial, "\"seq_no\":7").as_bytes()).unwrap();
        }
        assert_eq!(
            due(&mut session),
            [] as [u64; 0],
            "the result of the first must still be known when the last is done"
        );
        session.hears(answer("ACKNOWLEDGED", 1, "\"seq_no\":7").as_bytes()).unwrap();
        assert_eq!(due(&mut session), (129..=228).collect::<Vec<_>>());
    }

    #[test]
    fn after_busy_nothing_newer_is_sent_until_the_lowest_is_answered() {
        let mut session = session();
        says(&mut session, 300);
        assert_eq!(due(&mut session).len(), 128);
        for serial in 3..=128 {
            assert_eq!(session.hears(answer("REFUSED", serial, "\"reason\":\"busy\"").as_bytes()).unwrap(), []);
        }
        assert!(session.is_held());
        for serial in 1..=2 {
            session.hears(answer("ACKNOWLEDGED", serial, "\"seq_no\":7").as_bytes()).unwrap();
        }
        assert_eq!(due(&mut session), [] as [u64; 0], "not at once");
        session.try_again();
        assert_eq!(due(&mut session), [3]);
        assert_eq!(due(&mut session), [] as [u64; 0]);
        session.hears(answer("ACKNOWLEDGED", 3, "\"seq_no\":7").as_bytes()).unwrap();
        assert_eq!(due(&mut session), [4, 5]);
        session.hears(answer("REFUSED", 4, "\"reason\":\"busy\"").as_bytes()).unwrap();
        session.hears(answer("REFUSED", 5, "\"reason\":\"busy\"").as_bytes()).unwrap();
        session.try_again();
        assert_eq!(due(&mut session), [4]);
    }

    #[test]
    fn an_answer_that_may_change_is_no_answer() {
        let mut session = session();
        says(&mut session, 1);
        due(&mut session);
        for line in [
            answer("REFUSED", 1, "\"reason\":\"busy\""),
            answer("UNKNOWN", 1, "\"reason\":\"leaving\""),
            "{\"type\":\"REFUSED\",\"msg\":\"bob/1\",\"reason\":\"too-long\"}".to_owned(),
        ] {
            assert_eq!(session.hears(line.as_bytes()).unwrap(), []);
            assert_eq!(session.open(), 1, "{line}");
        }
        let line = answer("REFUSED", 1, "\"reason\":\"too-long\"");
        assert!(matches!(session.hears(line.as_bytes()).unwrap()[..], [News::Refused { serial: 1, .. }]));
        assert_eq!((session.open(), session.bytes()), (0, 0));
    }

    #[test]
    fn what_the_node_does_not_know_is_not_called_refused() {
        let mut session = session();
        says(&mut session, 1);
        let line = answer("UNKNOWN", 1, "\"reason\":\"forgotten\"");
        assert!(matches!(session.hears(line.as_bytes()).unwrap()[..], [News::Unknown { serial: 1, .. }]));
        assert_eq!(session.open(), 0);
    }

    #[test]
    fn a_message_that_is_seen_among_the_delivered_ones_needs_no_answer() {
        let mut session = session();
        says(&mut session, 2);
        session.hears(delivery("bob", 2, 8).as_bytes()).unwrap();
        assert_eq!(session.open(), 2, "another one's");
        let news = session.hears(delivery("alice.1", 2, 9).as_bytes()).unwrap();
        assert!(matches!(news[..], [News::Acknowledged { serial: 2, seq_no: 9 }, News::Delivered(_)]), "{news:?}");
        let news = session.hears(delivery("alice.1", 1, 5).as_bytes()).unwrap();
        assert!(matches!(news[..], [News::Acknowledged { serial: 1, seq_no: 5 }]), "shown before: {news:?}");
        let line = answer("UNKNOWN", 2, "\"reason\":\"forgotten\"");
        assert_eq!(session.hears(line.as_bytes()).unwrap(), []);
    }

    #[test]
    fn what_no_node_would_take_is_refused_before_it_is_sent() {
        let mut session = session();
        let mut says = |text: &str| session.says(&RoomId::default(), text);
        assert!(matches!(says(&"x".repeat(70_000)), Err(Unsayable::TooLong(70_000))));
        assert!(matches!(says(&"x".repeat(TEXT_MAX + 1)), Err(Unsayable::TooLong(_))));
        assert!(matches!(says(&"\u{1}".repeat(20_000)), Err(Unsayable::TooLongLine(_))));
        assert_eq!(says(&"x".repeat(TEXT_MAX)), Ok(1), "what was not sent has no number");
    }

    #[test]
    fn a_delivery_is_shown_once_whichever_node_tells_it() {
        let mut session = session();
        let shown: Vec<bool> =
            [1, 3, 3, 1, 2, 4].map(|n| !session.hears(delivery("bob", 1, n).as_bytes()).unwrap().is_empty()).into();
        assert_eq!(shown, [true, true, false, false, false, true]);
        assert!(session.connected(true).starts_with("{\"type\":\"CATCHUP_REQ\",\"after\":4}\n"));
        let missing = session.hears(b"{\"type\":\"MISSING\",\"after\":4,\"index\":9}").unwrap();
        assert_eq!(missing, [News::Missing { after: 4, index: 9 }]);
        assert!(session.connected(true).contains("\"after\":9"));
    }

    #[test]
    fn lines_of_nobody_change_nothing() {
        let mut session = session();
        for line in ["", "hello", "{}", "{\"type\":\"REBOOT\"}", "{\"type\":\"SEQ_CHAT\",\"index\":99}"] {
            assert!(session.hears(line.as_bytes()).is_err(), "{line}");
        }
        assert!(session.connected(true).contains("\"after\":0"));
    }

    #[test]
    fn pauses_grow_by_half_up_to_half_a_minute_as_long_as_no_node_is_of_use() {
        let mut backoff = Backoff::new();
        // As behind a proxy whose backend is dead: it answers, and hangs up.
        let mut pause = || backoff.after(Duration::from_millis(100), 1).as_millis();
        let pauses: Vec<u128> = (0..9).map(|_| pause()).collect();
        assert_eq!(pauses, [2000, 3000, 4500, 6750, 10125, 15187, 22781, 30000, 30000]);
        assert_eq!(backoff.after(Duration::from_secs(60), 1), Duration::from_secs(2));
    }

    #[test]
    fn of_several_nodes_the_next_one_is_tried_at_once_and_all_of_them_before_there_is_a_pause() {
        let mut backoff = Backoff::new();
        let pauses = [60, 0, 0, 0, 0, 0, 60, 0].map(|of_use| backoff.after(Duration::from_secs(of_use), 3).as_millis());
        assert_eq!(pauses, [0, 0, 2000, 0, 0, 3000, 0, 0]);
    }

    /// A node that takes so many at a time, and in the order of their numbers, as nodes do.
    #[derive(Debug, Default)]
    struct Node {
        done: Vec<u64>,
        waiting: Vec<u64>,
    }

    #[derive(Debug, Clone, Copy)]
    enum Happens {
        /// It asks for what is due; the node has places for so many.
        Asks {
            places: usize,
        },
        /// Everything that waits is done, and its answers get lost or not.
        Done {
            is_told: bool,
        },
        Reconnects,
    }

    fn happens() -> impl Strategy<Value = Happens> {
        proptest::prop_oneof![
            4 => (0..200_usize).prop_map(|places| Happens::Asks { places }),
            4 => prop::bool::weighted(0.7).prop_map(|is_told| Happens::Done { is_told }),
            1 => proptest::strategy::Just(Happens::Reconnects),
        ]
    }

    impl Node {
        fn is_asked(&mut self, serial: u64, places: usize) -> Option<String> {
            if let Some(place) = self.done.iter().position(|&done| done == serial) {
                let is_known = self.done.len() - place <= 128;
                let kind = if is_known { "ACKNOWLEDGED" } else { "UNKNOWN" };
                return Some(answer(kind, serial, "\"seq_no\":7,\"reason\":\"forgotten\""));
            }
            if self.done.iter().chain(&self.waiting).any(|&other| other > serial) && !self.waiting.contains(&serial) {
                return Some(answer("REFUSED", serial, "\"reason\":\"out-of-order\""));
            }
            if self.waiting.len() >= places {
                return Some(answer("REFUSED", serial, "\"reason\":\"busy\""));
            }
            if !self.waiting.contains(&serial) {
                self.waiting.push(serial);
            }
            None
        }
    }

    proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_is_lost_and_however_busy_the_node_is_everything_is_done_once_in_order(
            messages in 1..400_usize,
            story in prop::collection::vec(happens(), 0..60),
        ) {
            let (mut session, mut node) = (session(), Node::default());
            says(&mut session, messages);
            session.connected(true);
            let calm = [Happens::Reconnects, Happens::Asks { places: 1000 }, Happens::Done { is_told: true }];
            for happens in story.into_iter().chain(calm.into_iter().cycle().take(3 * 20)) {
                let answers: Vec<String> = match happens {
                    Happens::Asks { places } => {
                        session.try_again();
                        due(&mut session).into_iter().filter_map(|serial| node.is_asked(serial, places)).collect()
                    }
                    Happens::Done { is_told } => {
                        let done = std::mem::take(&mut node.waiting);
                        node.done.extend(&done);
                        let answers = done.into_iter().map(|serial| answer("ACKNOWLEDGED", serial, "\"seq_no\":7"));
                        answers.filter(|_| is_told).collect()
                    }
                    Happens::Reconnects => {
                        session.connected(true);
                        Vec::new()
                    }
                };
                for answer in answers {
                    let news = session.hears(answer.as_bytes()).unwrap();
                    prop_assert!(news.iter().all(|news| matches!(news, News::Acknowledged { .. })), "{answer}");
                }
            }
            prop_assert_eq!(node.done, (1..=messages as u64).collect::<Vec<_>>());
            prop_assert_eq!(session.open(), 0);
        }
    }
}
