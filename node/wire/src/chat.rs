//! The chat's dialect: the same messages, with the names and fields that the chat documents.
//!
//! ```text
//! {"type":"ELECTION","sender_id":1,"receiver_id":3,"term":4}
//! {"type":"COORDINATOR","sender_id":3,"receiver_id":1,"term":5,"leader":{"node_id":3,"host":"127.0.0.1","port":5003}}
//! {"type":"CHAT","sender_id":1,"receiver_id":3,"term":5,"msg_id":"550e8400-e29b-41d4-a716-446655440000",...,"room_id":"general","payload":"hi"}
//! ```
//!
//! JOIN, JOIN_ACK, HEARTBEAT, ELECTION, ELECTION_OK, COORDINATOR, CHAT, SEQ_CHAT, CATCHUP_REQ and CATCHUP_RESP are documented; the others
//! are what a chat that survives faults needs beside them. SEQ_CHAT carries one message, as nearly always; several, a view, or none go as
//! CATCHUP_RESP, whether somebody had asked with CATCHUP_REQ or not. Between nodes a message is not committed yet, so it has its
//! `index` in the log; its `seq_no` in the room is known when it is delivered, and stands in what [`delivery`] writes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::codec::refusal;
use crate::room::Header;
use crate::{
    ClientId, Content, Endpoint, Entry, Envelope, MAX_LINE, Message, NodeId, Peer, Position, RequestId, RoomId, Term,
    View, WireError, room,
};

/// A node, in JSON a number where it is one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Id {
    Number(u64),
    Name(NodeId),
}

impl From<&NodeId> for Id {
    fn from(id: &NodeId) -> Self {
        match id.as_str().parse::<u64>() {
            // `007` and `+7` are other ids than `7`.
            Ok(number) if number.to_string() == id.as_str() => Self::Number(number),
            _ => Self::Name(id.clone()),
        }
    }
}

impl From<Id> for NodeId {
    fn from(id: Id) -> Self {
        match id {
            Id::Number(number) => number.to_string().parse().expect("digits are an id"),
            Id::Name(id) => id,
        }
    }
}

/// Where a node is, as the documentation writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct PeerInfo {
    node_id: Id,
    host: String,
    port: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    incarnation: Option<u64>,
}

impl PeerInfo {
    fn of(id: &NodeId, endpoint: &Endpoint, incarnation: Option<u64>) -> Self {
        Self { node_id: id.into(), host: endpoint.host().to_owned(), port: endpoint.port(), incarnation }
    }
}

/// A [`Peer`], checked as such.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "PeerInfo", into = "PeerInfo")]
struct Known(Peer);

impl From<Known> for PeerInfo {
    fn from(Known(peer): Known) -> Self {
        Self::of(&peer.id, &peer.endpoint, Some(peer.incarnation))
    }
}

impl TryFrom<PeerInfo> for Known {
    type Error = crate::EndpointError;

    fn try_from(info: PeerInfo) -> Result<Self, Self::Error> {
        let PeerInfo { node_id, host, port, incarnation } = info;
        let endpoint = Endpoint::new(&host, port)?;
        Ok(Self(Peer { id: node_id.into(), endpoint, incarnation: incarnation.unwrap_or_default() }))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Membership {
    id: u64,
    #[serde(default)]
    network: u64,
    members: Vec<Known>,
    #[serde(default)]
    learners: Vec<Known>,
}

impl From<&Arc<View>> for Membership {
    fn from(view: &Arc<View>) -> Self {
        let known = |peer: &Peer| Known(peer.clone());
        Self {
            id: view.id,
            network: view.network,
            members: view.members.values().map(known).collect(),
            learners: view.learners.values().map(known).collect(),
        }
    }
}

impl From<Membership> for Arc<View> {
    fn from(of: Membership) -> Self {
        let by_id = |peers: Vec<Known>| peers.into_iter().map(|Known(peer)| (peer.id.clone(), peer)).collect();
        Self::new(View { id: of.id, network: of.network, members: by_id(of.members), learners: by_id(of.learners) })
    }
}

/// A request's identity and what it asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Chat {
    client: ClientId,
    serial: u64,
    /// Absent where the payload names no room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    room_id: Option<RoomId>,
    /// What else its header says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    header: String,
    payload: String,
}

impl Chat {
    fn of(id: &RequestId, payload: &str) -> Self {
        let (room_id, header, payload) = match room::named(payload) {
            Some((header, text)) => (Some(header.room.clone()), header.extras(), text),
            None => (None, String::new(), payload),
        };
        Self { client: id.client.clone(), serial: id.serial, room_id, header, payload: payload.to_owned() }
    }

    fn parts(self) -> (RequestId, Arc<str>) {
        let payload = match self.room_id {
            // Another header than this node's own words is nobody's.
            Some(room) => Header::with_extras(room.clone(), &self.header).unwrap_or(room.into()).payload(&self.payload),
            None => self.payload,
        };
        (RequestId { client: self.client, serial: self.serial }, payload.into())
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Listed {
    index: u64,
    term: Term,
    #[serde(flatten)]
    content: What,
}

/// Not longer than [`Entry::weight`] says: batches are cut by that.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum What {
    Chat(Chat),
    View { view: Membership },
    NoOp { no_op: bool },
}

impl From<&Entry> for Listed {
    fn from(entry: &Entry) -> Self {
        let content = match &entry.content {
            Content::NoOp => What::NoOp { no_op: true },
            Content::View(view) => What::View { view: view.into() },
            Content::Command { id, payload } => What::Chat(Chat::of(id, payload)),
        };
        Self { index: entry.index, term: entry.term, content }
    }
}

impl From<Listed> for Entry {
    fn from(listed: Listed) -> Self {
        let content = match listed.content {
            What::NoOp { .. } => Content::NoOp,
            What::View { view } => Content::View(view.into()),
            What::Chat(chat) => {
                let (id, payload) = chat.parts();
                Content::Command { id, payload }
            }
        };
        Self { index: listed.index, term: listed.term, content }
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// What is the same for everybody who gets it. Every type has a `term`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
enum Said {
    Join {
        term: Term,
        peer: Known,
        is_new: bool,
        #[serde(default)]
        network: u64,
    },
    JoinAck {
        term: Term,
        view: Membership,
    },
    Heartbeat {
        term: Term,
        seq: u64,
        commit: u64,
    },
    HeartbeatAck {
        term: Term,
        seq: u64,
        matched: u64,
        incarnation: u64,
    },
    Election {
        term: Term,
    },
    ElectionOk {
        term: Term,
        last: Position,
    },
    /// The leader says where it is, for whoever reads along; nodes know each other's places from their views.
    Coordinator {
        term: Term,
        leader: Option<PeerInfo>,
    },
    PreVoteRequest {
        term: Term,
        round: u64,
        last: Position,
        transfer: bool,
    },
    PreVote {
        term: Term,
        round: u64,
        granted: bool,
        incarnation: u64,
    },
    VoteRequest {
        term: Term,
        last: Position,
    },
    Vote {
        term: Term,
        granted: bool,
        incarnation: u64,
    },
    TimeoutNow {
        term: Term,
    },
    Leave {
        term: Term,
    },
    Chat {
        term: Term,
        msg_id: String,
        after: u64,
        #[serde(flatten)]
        chat: Chat,
    },
    SeqChat {
        term: Term,
        prev: Position,
        commit: u64,
        #[serde(default, skip_serializing_if = "is_false")]
        multicast: bool,
        msg_id: String,
        index: u64,
        entry_term: Term,
        #[serde(flatten)]
        chat: Chat,
    },
    CatchupResp {
        term: Term,
        prev: Position,
        commit: u64,
        #[serde(default, skip_serializing_if = "is_false")]
        multicast: bool,
        messages: Vec<Listed>,
    },
    /// Asks for what comes after an index.
    CatchupReq {
        term: Term,
        after: u64,
        ordered: bool,
        incarnation: u64,
    },
    /// Has everything up to an index on its disk.
    SeqAck {
        term: Term,
        upto: u64,
        ordered: bool,
        incarnation: u64,
    },
    InstallSnapshot {
        term: Term,
        at: Position,
        view: Membership,
        size: u64,
        offset: u64,
        part: Arc<str>,
    },
    SnapshotAck {
        term: Term,
        at: Position,
        offset: u64,
        incarnation: u64,
    },
    ViewChange {
        term: Term,
        view: Membership,
    },
    PledgeRequest {
        term: Term,
        peer: Known,
    },
    Pledge {
        term: Term,
        granted: bool,
        peer: Known,
    },
}

/// The part of a line that is the same for all receivers. `sender` is this node, and `place` where others reach it.
#[must_use]
pub fn body(message: &Message, sender: &NodeId, place: &Endpoint) -> String {
    serde_json::to_string(&said(message, sender, place)).expect("a message has text keys and plain values only")
}

/// The line, its newline included, of what [`body`] gave.
#[must_use]
pub fn line(from: &NodeId, to: &NodeId, body: &str) -> String {
    let id = |id: &NodeId| serde_json::to_string(&Id::from(id)).expect("a number or a text");
    // The type comes first, as documented.
    let (r#type, rest) = body.split_once(',').expect("every type has a term");
    format!("{type},\"sender_id\":{},\"receiver_id\":{},{rest}\n", id(from), id(to))
}

/// The message that a line carries; its newline may be missing.
///
/// # Errors
///
/// When the line is too long, its type is unknown, or it is not a message at all.
pub fn decode(line: &[u8]) -> Result<Envelope, WireError> {
    #[derive(Deserialize)]
    struct Line {
        sender_id: Id,
        receiver_id: Id,
        #[serde(flatten)]
        said: Said,
    }
    if line.len() > MAX_LINE {
        return Err(WireError::Oversized(line.len()));
    }
    let Line { sender_id, receiver_id, said } = serde_json::from_slice(line).map_err(|error| refusal(line, error))?;
    Ok(Envelope { from: sender_id.into(), to: receiver_id.into(), message: heard(said) })
}

fn said(message: &Message, sender: &NodeId, place: &Endpoint) -> Said {
    match message.clone() {
        Message::NewPeerRequest { term, peer, is_new, network } => {
            Said::Join { term, peer: Known(peer), is_new, network }
        }
        Message::AddedToNetwork { term, view } => Said::JoinAck { term, view: (&view).into() },
        Message::Heartbeat { term, seq, commit } => Said::Heartbeat { term, seq, commit },
        Message::HeartbeatAck { term, seq, matched, incarnation } => {
            Said::HeartbeatAck { term, seq, matched, incarnation }
        }
        Message::Election { term } => Said::Election { term },
        Message::Ok { term, last } => Said::ElectionOk { term, last },
        Message::Coordinator { term } => Said::Coordinator { term, leader: Some(PeerInfo::of(sender, place, None)) },
        Message::PreVoteRequest { term, round, last, transfer } => Said::PreVoteRequest { term, round, last, transfer },
        Message::PreVote { term, round, granted, incarnation } => Said::PreVote { term, round, granted, incarnation },
        Message::VoteRequest { term, last } => Said::VoteRequest { term, last },
        Message::Vote { term, granted, incarnation } => Said::Vote { term, granted, incarnation },
        Message::TimeoutNow { term } => Said::TimeoutNow { term },
        Message::Leave { term } => Said::Leave { term },
        Message::SequencerRequest { term, id, after, payload } => {
            Said::Chat { term, msg_id: msg_id(&id), after, chat: Chat::of(&id, &payload) }
        }
        Message::Append { term, prev, commit, entries } => sequenced(term, prev, commit, &entries, false),
        Message::Ordered { term, prev, commit, entries } => sequenced(term, prev, commit, &entries, true),
        Message::AppendAck { term, granted: true, matched, ordered, incarnation } => {
            Said::SeqAck { term, upto: matched, ordered, incarnation }
        }
        Message::AppendAck { term, granted: false, matched, ordered, incarnation } => {
            Said::CatchupReq { term, after: matched, ordered, incarnation }
        }
        Message::InstallSnapshot { term, at, view, size, offset, part } => {
            Said::InstallSnapshot { term, at, view: (&view).into(), size, offset, part }
        }
        Message::SnapshotAck { term, at, offset, incarnation } => Said::SnapshotAck { term, at, offset, incarnation },
        Message::ViewChange { term, view } => Said::ViewChange { term, view: (&view).into() },
        Message::PledgeRequest { term, peer } => Said::PledgeRequest { term, peer: Known(peer) },
        Message::Pledge { term, granted, peer } => Said::Pledge { term, granted, peer: Known(peer) },
    }
}

fn sequenced(term: Term, prev: Position, commit: u64, entries: &[Entry], multicast: bool) -> Said {
    if let [Entry { index, term: entry_term, content: Content::Command { id, payload } }] = entries {
        let (index, entry_term, msg_id, chat) = (*index, *entry_term, msg_id(id), Chat::of(id, payload));
        return Said::SeqChat { term, prev, commit, multicast, msg_id, index, entry_term, chat };
    }
    Said::CatchupResp { term, prev, commit, multicast, messages: entries.iter().map(Listed::from).collect() }
}

fn heard(said: Said) -> Message {
    match said {
        Said::Join { term, peer: Known(peer), is_new, network } => {
            Message::NewPeerRequest { term, peer, is_new, network }
        }
        Said::JoinAck { term, view } => Message::AddedToNetwork { term, view: view.into() },
        Said::Heartbeat { term, seq, commit } => Message::Heartbeat { term, seq, commit },
        Said::HeartbeatAck { term, seq, matched, incarnation } => {
            Message::HeartbeatAck { term, seq, matched, incarnation }
        }
        Said::Election { term } => Message::Election { term },
        Said::ElectionOk { term, last } => Message::Ok { term, last },
        Said::Coordinator { term, .. } => Message::Coordinator { term },
        Said::PreVoteRequest { term, round, last, transfer } => Message::PreVoteRequest { term, round, last, transfer },
        Said::PreVote { term, round, granted, incarnation } => Message::PreVote { term, round, granted, incarnation },
        Said::VoteRequest { term, last } => Message::VoteRequest { term, last },
        Said::Vote { term, granted, incarnation } => Message::Vote { term, granted, incarnation },
        Said::TimeoutNow { term } => Message::TimeoutNow { term },
        Said::Leave { term } => Message::Leave { term },
        Said::Chat { term, after, chat, .. } => {
            let (id, payload) = chat.parts();
            Message::SequencerRequest { term, id, after, payload }
        }
        Said::SeqChat { term, prev, commit, multicast, index, entry_term, chat, .. } => {
            let (id, payload) = chat.parts();
            let entry = Entry { index, term: entry_term, content: Content::Command { id, payload } };
            appended(term, prev, commit, vec![entry], multicast)
        }
        Said::CatchupResp { term, prev, commit, multicast, messages } => {
            appended(term, prev, commit, messages.into_iter().map(Entry::from).collect(), multicast)
        }
        Said::SeqAck { term, upto: matched, ordered, incarnation } => {
            Message::AppendAck { term, granted: true, matched, ordered, incarnation }
        }
        Said::CatchupReq { term, after: matched, ordered, incarnation } => {
            Message::AppendAck { term, granted: false, matched, ordered, incarnation }
        }
        Said::InstallSnapshot { term, at, view, size, offset, part } => {
            Message::InstallSnapshot { term, at, view: view.into(), size, offset, part }
        }
        Said::SnapshotAck { term, at, offset, incarnation } => Message::SnapshotAck { term, at, offset, incarnation },
        Said::ViewChange { term, view } => Message::ViewChange { term, view: view.into() },
        Said::PledgeRequest { term, peer: Known(peer) } => Message::PledgeRequest { term, peer },
        Said::Pledge { term, granted, peer: Known(peer) } => Message::Pledge { term, granted, peer },
    }
}

fn appended(term: Term, prev: Position, commit: u64, entries: Vec<Entry>, multicast: bool) -> Message {
    if multicast {
        Message::Ordered { term, prev, commit, entries }
    } else {
        Message::Append { term, prev, commit, entries }
    }
}

/// The UUID of a request: its client's name, where that is one and names this request alone; otherwise one that follows from the
/// request's name (RFC 9562, version 8: FNV-1a of `client/serial`), and so is the same on every node and after every retry.
#[must_use]
pub fn msg_id(id: &RequestId) -> String {
    if id.serial == 1 && is_uuid(id.client.as_str()) {
        return id.client.to_string();
    }
    let hash = id.to_string().bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    });
    let marked = hash & !(0xf << 76) & !(0x3 << 62) | 0x8 << 76 | 0x2 << 62;
    let digits = format!("{marked:032x}");
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

/// Whether `text` is a UUID as everybody writes it: `550e8400-e29b-41d4-a716-446655440000`.
#[must_use]
pub fn is_uuid(text: &str) -> bool {
    let is_right = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(is_right)
}

/// A message that is delivered, as nodes keep it and clients get it: one line, with the documented fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "SEQ_CHAT")]
pub struct Delivery {
    /// Who spoke: a person's client, or a node for the person at it. In JSON a number where it is one, as documented.
    #[serde(with = "sender")]
    pub sender_id: ClientId,
    /// The term of its entry. Of one room, (term, `seq_no`) is unique for ever.
    pub term: u64,
    /// What its client gave it, or else see [`msg_id`].
    pub msg_id: String,
    /// Its number in its room, from 1 without a gap.
    pub seq_no: u64,
    /// Its room.
    pub room_id: RoomId,
    /// Its place in the order of all rooms together, with gaps.
    pub index: u64,
    /// The view in which it was delivered: the same on every node, where a majority decides.
    #[serde(default)]
    pub view: u64,
    /// In whose name it was asked for, where that is another than `sender_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
    /// The number of the request.
    pub serial: u64,
    /// What it says.
    pub payload: Arc<str>,
}

impl Delivery {
    /// What was done for the request `id` with this header.
    #[must_use]
    pub fn new(id: &RequestId, header: Header, (term, seq_no, index): (Term, u64, u64), payload: Arc<str>) -> Self {
        let sender_id = header.sender.unwrap_or_else(|| {
            // A node that came later adds to its name which life of it this is.
            let person = person(&id.client);
            let node = person.parse::<u64>().ok().filter(|number| number.to_string() == person);
            node.and_then(|_| person.parse().ok()).unwrap_or_else(|| id.client.clone())
        });
        Self {
            client: (id.client != sender_id).then(|| id.client.clone()),
            sender_id,
            term: term.0,
            msg_id: header.msg_id.map_or_else(|| msg_id(id), |given| given.to_string()),
            seq_no,
            room_id: header.room,
            index,
            view: 0,
            serial: id.serial,
            payload,
        }
    }

    /// The same, delivered in this view.
    #[must_use]
    pub fn in_view(self, view: u64) -> Self {
        Self { view, ..self }
    }

    /// The request that was done.
    #[must_use]
    pub fn request(&self) -> RequestId {
        let client = self.client.as_ref().unwrap_or(&self.sender_id).clone();
        RequestId { client, serial: self.serial }
    }
}

/// A name that is a number is one in JSON.
mod sender {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::ClientId;

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Sender {
        Number(u64),
        Name(ClientId),
    }

    pub(super) fn serialize<S: Serializer>(sender: &ClientId, serializer: S) -> Result<S::Ok, S::Error> {
        let number = sender.as_str().parse::<u64>().ok().filter(|number| number.to_string() == sender.as_str());
        number.map_or_else(|| Sender::Name(sender.clone()), Sender::Number).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ClientId, D::Error> {
        match Sender::deserialize(deserializer)? {
            Sender::Name(name) => Ok(name),
            Sender::Number(number) => number.to_string().parse().map_err(serde::de::Error::custom),
        }
    }
}

/// What people see of a sender's name: without the eight digits that tell its lives apart.
#[must_use]
pub fn person(sender: &ClientId) -> &str {
    match sender.as_str().rsplit_once('.') {
        Some((name, life))
            if life.len() == 8 && life.bytes().all(|byte| byte.is_ascii_hexdigit()) && !name.is_empty() =>
        {
            name
        }
        _ => sender.as_str(),
    }
}

/// The line of a delivery, its newline included.
#[must_use]
pub fn delivery(delivery: &Delivery) -> String {
    serde_json::to_string(delivery).expect("a delivery has text keys and plain values only") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> RequestId {
        text.parse().unwrap()
    }

    fn line_of(message: &Message) -> String {
        let [from, to] = ["1", "3"].map(|id| id.parse::<NodeId>().unwrap());
        line(&from, &to, &body(message, &from, &"127.0.0.1:5001".parse().unwrap()))
    }

    #[test]
    fn lines_read_as_the_documentation_writes_them() {
        assert_eq!(
            line_of(&Message::Election { term: Term(4) }),
            "{\"type\":\"ELECTION\",\"sender_id\":1,\"receiver_id\":3,\"term\":4}\n"
        );
        assert_eq!(
            line_of(&Message::Coordinator { term: Term(5) }),
            "{\"type\":\"COORDINATOR\",\"sender_id\":1,\"receiver_id\":3,\"term\":5,\
             \"leader\":{\"node_id\":1,\"host\":\"127.0.0.1\",\"port\":5001}}\n"
        );
        let entry = Entry {
            index: 9,
            term: Term(2),
            content: Content::Command {
                id: id("550e8400-e29b-41d4-a716-446655440000/1"),
                payload: "general\nHello, world!".into(),
            },
        };
        let prev = Position { term: Term(2), index: 8 };
        let sequenced = line_of(&Message::Append { term: Term(2), prev, commit: 7, entries: vec![entry] });
        for part in [
            "\"type\":\"SEQ_CHAT\",\"sender_id\":1,\"receiver_id\":3,\"term\":2,",
            "\"msg_id\":\"550e8400-e29b-41d4-a716-446655440000\"",
            "\"room_id\":\"general\",\"payload\":\"Hello, world!\"}",
        ] {
            assert!(sequenced.contains(part), "{part} in {sequenced}");
        }
    }

    #[test]
    fn a_delivery_has_the_documented_fields() {
        let said = Delivery::new(&id("alice/7"), Header::default(), (Term(2), 42, 50), "Hello, world!".into());
        let line = delivery(&said);
        assert!(line.starts_with("{\"type\":\"SEQ_CHAT\",\"sender_id\":\"alice\",\"term\":2,\"msg_id\":\""), "{line}");
        assert!(line.contains("\"seq_no\":42,\"room_id\":\"general\","), "{line}");
        assert_eq!(serde_json::from_str::<Delivery>(&line).unwrap(), said);
    }

    #[test]
    fn what_a_client_says_of_itself_comes_back_as_it_went_in() {
        let uuid = "550e8400-e29b-41d4-a716-446655440000";
        let header = Header { sender: Some("1".parse().unwrap()), ..Header::default() };
        let said = Delivery::new(&id(&format!("{uuid}/1")), header, (Term(2), 42, 50), "hi".into());
        let line = delivery(&said);
        assert!(line.contains(&format!("\"sender_id\":1,\"term\":2,\"msg_id\":\"{uuid}\"")), "{line}");
        assert_eq!(serde_json::from_str::<Delivery>(&line).unwrap(), said);
        assert_eq!(said.request(), id(&format!("{uuid}/1")));
        let header = Header { msg_id: Some(uuid.into()), ..Header::default() };
        let said = Delivery::new(&id("alice/3"), header, (Term(2), 42, 50), "hi".into());
        assert_eq!((said.sender_id.as_str(), said.msg_id.as_str(), said.client), ("alice", uuid, None));
        for (client, sender) in [("2", "2"), ("2.f8618c83", "2"), ("alice.f8618c83", "alice.f8618c83"), ("02", "02")] {
            let said = Delivery::new(&id(&format!("{client}/1")), Header::default(), (Term(2), 1, 5), "hi".into());
            assert_eq!((said.sender_id.as_str(), said.request().client.as_str()), (sender, client));
        }
    }

    #[test]
    fn people_see_who_speaks_and_not_in_which_life() {
        for (sender, person) in [("alice.9f3c21ab", "alice"), ("2.f8618c83", "2"), ("alice", "alice"), ("a.b", "a.b")] {
            assert_eq!(super::person(&sender.parse().unwrap()), person);
        }
    }

    #[test]
    fn a_request_keeps_its_uuid_and_others_get_one_that_follows_from_their_name() {
        let given = "550e8400-e29b-41d4-a716-446655440000";
        assert_eq!(msg_id(&id(&format!("{given}/1"))), given);
        let made = msg_id(&id("alice/7"));
        assert!(is_uuid(&made) && made != msg_id(&id("alice/8")), "{made}");
        assert_eq!(made, msg_id(&id("alice/7")));
        assert_eq!((&made[14..15], "89ab".contains(&made[19..20])), ("8", true), "version and variant: {made}");
    }

    #[test]
    fn what_is_not_a_message_is_refused_with_its_reason() {
        let refused = |line: &str| decode(line.as_bytes()).expect_err(line).to_string();
        assert!(refused("").contains("malformed"));
        assert!(refused(r#"{"type":"ELECTION","term":1}"#).contains("missing field"));
        assert!(refused(r#"{"type":"REBOOT","sender_id":1,"receiver_id":2}"#).contains("unknown message type"));
        assert!(refused(r#"{"type":"JOIN","sender_id":1,"receiver_id":2,"term":1,"is_new":true,"peer":{"node_id":1,"host":"a b","port":1}}"#)
            .contains("not an address"));
        assert!(matches!(decode(&vec![b'['; MAX_LINE + 1]), Err(WireError::Oversized(_))));
    }
}
