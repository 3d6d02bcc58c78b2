//! What a person can ask of a chat node, and what becomes of its deliveries: each goes into the message log.

use std::cell::RefCell;
use std::fmt::Write as _;

use dsbench_protocol::{Answer, Chat, Event, Machine, Rooms};
use dsbench_wire::chat::{self, Delivery};
use dsbench_wire::{Endpoint, NodeId, Peer, RoomId, View, room};
use serde::Serialize;

use super::Role;
use crate::emit::{Escaped, Log};
use crate::messages::{MessageLog, MessageLogError};
use crate::runtime::{Console, Reply};
use crate::storage::StorageError;
use crate::transport::Traffic;

const HELP: &str = "\
send TEXT   send TEXT to the room, in the same order for everybody
room NAME   from now on send to this room; `room` alone says which one it is
status      role, term, leader, members, and how far the log and the rooms are
nodes       the nodes, the one of the highest id first, and where they are reached
help        this list
quit        leave gracefully, as Ctrl-C, Ctrl-D and SIGTERM do";
/// What a peer's person can type.
pub(super) const PEER_HELP: &str = "\
/status     role, term, leader, peers, and how far the log and the rooms are
/nodes      the peers, the one of the highest id first, and where they are reached
/room NAME  from now on send to this room; `/room` alone says which one it is
/help       this list
/quit       leave gracefully, as Ctrl-C, Ctrl-D and SIGTERM do
What begins with no slash is sent to the room.";

/// Answers from what the core knows.
#[derive(Debug)]
pub(super) struct ChatConsole {
    me: NodeId,
    place: Endpoint,
    role: Role,
    messages: MessageLog,
    room: RefCell<RoomId>,
    log: Log,
    /// Where a person at a terminal chats, apart from the log.
    screen: Option<Log>,
    /// What was shown there last: one thing can be told by several events.
    shown_last: String,
}

/// A node, as the documentation writes it.
#[derive(Serialize)]
struct PeerInfo {
    node_id: serde_json::Value,
    host: String,
    port: u16,
}

#[derive(Serialize)]
struct Member {
    #[serde(flatten)]
    place: PeerInfo,
    role: &'static str,
}

/// For a client.
#[derive(Serialize)]
struct Introduction<'a> {
    r#type: &'static str,
    node_id: serde_json::Value,
    role: &'static str,
    term: u64,
    leader: Option<PeerInfo>,
    nodes: Vec<Member>,
    rooms: std::collections::BTreeMap<&'a str, u64>,
    delivered: u64,
}

impl ChatConsole {
    pub(super) fn new(
        (me, place): (NodeId, Endpoint),
        role: Role,
        messages: MessageLog,
        log: Log,
        screen: Option<Log>,
    ) -> Self {
        Self { me, place, role, messages, room: RefCell::default(), log, screen, shown_last: String::new() }
    }

    fn role(&self, chat: &Chat) -> &'static str {
        match chat.leader() {
            Some(leader) if *leader == self.me => "leader",
            Some(_) => "follower",
            None if chat.is_member() => "electing",
            None => "joining",
        }
    }

    fn status(&self, chat: &Chat, traffic: Traffic) -> String {
        let role = self.role(chat);
        let term = chat.term();
        let leader = chat.leader().map_or("none", NodeId::as_str);
        let members: Vec<&str> = by_priority(view(chat)).into_iter().map(|peer| peer.id.as_str()).collect();
        let members = if members.is_empty() { "none".to_owned() } else { members.join(",") };
        let Traffic { connected, ignored, dropped } = traffic;
        let (id, last, committed) = (view(chat).id, chat.last().index, chat.committed());
        let (delivered, seq, open) = (chat.delivered(), chat.seq(), chat.open_requests());
        let room = self.room.borrow();
        let mut status = format!(
            "status role={role} term={term} leader={leader} members={members} connected={connected} ignored={ignored} \
             dropped={dropped} view={id} last={last} committed={committed} delivered={delivered} seq={seq} open={open} \
             room={room} rooms="
        );
        for (n, (room, last)) in chat.machine().iter().enumerate() {
            // A string takes everything.
            let _ = write!(status, "{}{room}:{last}", if n == 0 { "" } else { "," });
        }
        status
    }

    /// What a person at a terminal wants to know.
    fn status_for_people(&self, chat: &Chat, traffic: Traffic) -> String {
        let (me, role, term) = (&self.me, self.role(chat), chat.term());
        let leader = match chat.leader() {
            Some(leader) if *leader == self.me => String::new(),
            Some(leader) => format!(", {leader} leads"),
            None => ", nobody leads".to_owned(),
        };
        let members: Vec<&str> = by_priority(view(chat)).into_iter().map(|peer| peer.id.as_str()).collect();
        let (members, room, connected) = (members.join(", "), self.room.borrow(), traffic.connected);
        let (peers, last) = (
            if connected == 1 { "peer" } else { "peers" },
            chat.machine().iter().find(|(name, _)| **name == *room).map_or(0, |(_, last)| last),
        );
        let mut told = format!(
            "peer {me}: {role}{leader} (term {term})\nin the chat: {members}; connected to {connected} {peers}\nroom {}, {last} messages",
            Escaped(room.as_str())
        );
        if chat.open_requests() > 0 {
            // A string takes everything.
            let _ = write!(told, "; not delivered yet: {}", chat.open_requests());
        }
        told
    }

    fn nodes(&self, chat: &Chat) -> String {
        let view = view(chat);
        let mut told = format!("view={}", view.id);
        let learners = view.learners.values().map(|peer| (peer, "learner"));
        for (peer, what) in by_priority(view).into_iter().map(|peer| (peer, "member")).chain(learners) {
            let leads = if chat.leader() == Some(&peer.id) { " leads" } else { "" };
            let _ = write!(told, "\n  {} {} {what}{leads}", peer.id, peer.endpoint);
        }
        told
    }

    fn change_room(&self, name: &str) -> String {
        if !name.is_empty() {
            match name.parse() {
                Ok(room) => {
                    self.room.replace(room);
                }
                Err(error) => return format!("{}: {error}", Escaped(name)),
            }
        }
        format!("room {}", self.room.borrow())
    }

    fn obey(&self, line: &str, chat: &Chat, traffic: Traffic) -> Reply {
        let send = |text: &str| Reply::Request(room::payload(&self.room.borrow(), text));
        let command = match (self.role, line.strip_prefix('/')) {
            (_, Some(command)) => command,
            (Role::Node, None) => line,
            (Role::Peer, None) if line.is_empty() => return Reply::Nothing,
            (Role::Peer, None) => return send(line),
        };
        let (command, rest) = command.split_once(' ').unwrap_or((command, ""));
        let rest = rest.trim();
        match command {
            "" if line.is_empty() => Reply::Nothing,
            "send" if rest.is_empty() => Reply::Answer("send takes what to send: `send hello`".to_owned()),
            "send" => send(rest),
            "room" => Reply::Answer(self.change_room(rest)),
            "status" if rest.is_empty() && self.screen.is_some() => {
                Reply::Answer(self.status_for_people(chat, traffic))
            }
            "status" if rest.is_empty() => Reply::Answer(self.status(chat, traffic)),
            "nodes" | "view" if rest.is_empty() => Reply::Answer(self.nodes(chat)),
            "help" if rest.is_empty() => {
                Reply::Answer(if self.role == Role::Peer { PEER_HELP } else { HELP }.to_owned())
            }
            "quit" | "leave" if rest.is_empty() => Reply::Leave,
            _ => {
                let unknown: String = line.chars().take(40).collect();
                Reply::Answer(format!(
                    "unknown command `{}` (there are: send, room, status, nodes, help, quit)",
                    Escaped(&unknown)
                ))
            }
        }
    }

    fn place_of(&self, peer: &NodeId, chat: &Chat) -> Option<PeerInfo> {
        let place = if *peer == self.me { &self.place } else { &view(chat).peer(peer)?.endpoint };
        Some(info(peer, place))
    }

    /// What a person at a terminal sees.
    fn shown(event: &Event) -> Option<String> {
        Some(match event {
            Event::Delivered { seq, id, room, text, .. } => {
                let room = room.clone().unwrap_or_default();
                format!("[{} #{seq}] {}: {}", Escaped(room.as_str()), chat::person(&id.client), Escaped(text))
            }
            Event::BecameLeader { term, .. } => format!("* this peer leads (term {term})"),
            Event::ReceivedCoordinator { leader, term } | Event::Follows { leader, term } => {
                format!("* {leader} leads (term {term})")
            }
            Event::Failed { peer, .. } => format!("* {peer} is gone"),
            Event::Left { peer, .. } => format!("* {peer} has left"),
            Event::ViewChange { view, .. } => {
                let peers: Vec<&str> = by_priority(view).into_iter().map(|peer| peer.id.as_str()).collect();
                format!("* in the chat: {}", peers.join(", "))
            }
            Event::Answered(answer @ Answer::Refused { .. }) => format!("! {answer} (it is not delivered)"),
            Event::Answered(answer @ Answer::Unknown { .. }) => format!("! {answer} (it may be delivered or not)"),
            _ => return None,
        })
    }
}

impl Console<Chat> for ChatConsole {
    fn told(&mut self, event: &Event) {
        match event {
            Event::Delivered { seq, term, index, id, room, text, .. } => self.messages.append(&Delivery {
                sender_id: id.client.clone(),
                term: term.0,
                msg_id: chat::msg_id(id),
                seq_no: *seq,
                room_id: room.clone().unwrap_or_default(),
                index: *index,
                serial: id.serial,
                payload: text.clone(),
            }),
            // The word that the documentation tells people to look for.
            Event::BecameLeader { term, .. } => self.log.info(format_args!("LEADER node={} term={term}", self.me)),
            _ => {}
        }
        if let Some(screen) = &self.screen
            && let Some(shown) = Self::shown(event)
            && shown != self.shown_last
        {
            screen.answer(&shown);
            self.shown_last = shown;
        }
    }

    fn is_sure(&self, event: &Event) -> bool {
        matches!(event, Event::Delivered { .. })
    }

    fn command(&self, line: &str, chat: &Chat, traffic: Traffic) -> Reply {
        let reply = self.obey(line, chat, traffic);
        let Some(screen) = &self.screen else { return reply };
        match reply {
            Reply::Answer(text) => {
                screen.answer(text);
                Reply::Nothing
            }
            Reply::Nothing | Reply::Request(_) => {
                screen.prompt();
                reply
            }
            other => other,
        }
    }

    fn failure(&mut self) -> Option<StorageError> {
        Some(match self.messages.failure()? {
            MessageLogError::Io { action, path, source } => StorageError::Io { action, path, source },
            MessageLogError::Damaged { path } => {
                let reason = "it does not end with a message".to_owned();
                StorageError::Damaged { path, offset: 0, reason }
            }
        })
    }

    fn introduction(&self, chat: &Chat) -> String {
        let leader = chat.leader();
        let view = view(chat);
        let members = by_priority(view).into_iter().map(|peer| (peer, "member"));
        let learners = view.learners.values().map(|peer| (peer, "learner"));
        let introduction = Introduction {
            r#type: "STATUS",
            node_id: number(&self.me),
            role: self.role(chat),
            term: chat.term().0,
            leader: leader.and_then(|leader| self.place_of(leader, chat)),
            nodes: (members.chain(learners))
                .map(|(peer, role)| Member { place: info(&peer.id, &peer.endpoint), role })
                .collect(),
            rooms: chat.machine().iter().map(|(room, last)| (room.as_str(), last)).collect(),
            delivered: chat.delivered(),
        };
        serde_json::to_string(&introduction).expect("an introduction has text keys and plain values only")
    }
}

fn info(id: &NodeId, place: &Endpoint) -> PeerInfo {
    PeerInfo { node_id: number(id), host: place.host().to_owned(), port: place.port() }
}

/// A number, as all ids of this system are.
fn number(id: &NodeId) -> serde_json::Value {
    id.as_str().parse::<u64>().map_or_else(|_| id.as_str().into(), Into::into)
}

/// The committed view; before there is one, who is known to be a founder.
fn view(chat: &Chat) -> &View {
    let committed = chat.committed_view();
    if committed.members.is_empty() { chat.view() } else { committed }
}

/// The members, the one of the highest priority first.
fn by_priority(view: &View) -> Vec<&Peer> {
    let mut members: Vec<&Peer> = view.members.values().collect();
    members.sort_by(|a, b| Rooms::priority(&b.id).cmp(&Rooms::priority(&a.id)));
    members
}

#[cfg(test)]
mod tests {
    use dsbench_protocol::{Config, Founding};

    use super::*;

    const TRAFFIC: Traffic = Traffic { connected: 2, ignored: 1, dropped: 0 };

    fn console(role: Role, scratch: &tempfile::TempDir) -> (ChatConsole, Chat) {
        let place: Endpoint = "127.0.0.1:6001".parse().unwrap();
        let chat = Chat::new(Config::new(place.clone(), Founding::Bootstrap)).unwrap();
        let me: NodeId = "1".parse().unwrap();
        let log = Log::to(me.clone(), None::<std::fs::File>, None).unwrap();
        let (messages, _) = MessageLog::open(&scratch.path().join("node1.jsonl"), false).unwrap();
        (ChatConsole::new((me, place), role, messages, log, None), chat)
    }

    #[test]
    fn a_peer_sends_what_is_typed_and_obeys_what_begins_with_a_slash() {
        let scratch = tempfile::tempdir().unwrap();
        let (console, chat) = console(Role::Peer, &scratch);
        let command = |line: &str| console.command(line, &chat, TRAFFIC);
        assert_eq!(command("Hello from peer 1!"), Reply::Request("general\nHello from peer 1!".to_owned()));
        assert_eq!(command("status"), Reply::Request("general\nstatus".to_owned()));
        assert_eq!(command(""), Reply::Nothing);
        assert_eq!(command("/room dev"), Reply::Answer("room dev".to_owned()));
        assert_eq!(command("hi"), Reply::Request("dev\nhi".to_owned()));
        assert!(matches!(command("/room a b"), Reply::Answer(told) if told.contains("has no space")));
        assert_eq!(command("/quit"), Reply::Leave);
        let Reply::Answer(status) = command("/status") else { panic!("an answer") };
        assert_eq!(
            status,
            "status role=joining term=0 leader=none members=none connected=2 ignored=1 dropped=0 view=0 last=0 committed=0 \
             delivered=0 seq=0 open=0 room=dev rooms="
        );
        assert!(matches!(command("/stauts\u{1b}[2J"), Reply::Answer(told) if told.contains("`/stauts\\u{1b}[2J`")));
    }

    #[test]
    fn a_node_takes_commands_and_sends_only_what_it_is_told_to() {
        let scratch = tempfile::tempdir().unwrap();
        let (console, chat) = console(Role::Node, &scratch);
        let command = |line: &str| console.command(line, &chat, TRAFFIC);
        assert_eq!(command("send hello world"), Reply::Request("general\nhello world".to_owned()));
        assert!(matches!(command("hello"), Reply::Answer(told) if told.starts_with("unknown command")));
        assert_eq!(command("quit"), Reply::Leave);
    }

    #[test]
    fn every_delivery_is_kept_once() {
        let scratch = tempfile::tempdir().unwrap();
        let (mut console, _) = console(Role::Node, &scratch);
        let delivered = |seq: u64| Event::Delivered {
            seq,
            term: dsbench_wire::Term(2),
            index: seq + 1,
            id: "alice/3".parse().unwrap(),
            view: 1,
            room: Some(RoomId::default()),
            text: "hello".into(),
        };
        for seq in [1, 2, 2, 1, 3] {
            console.told(&delivered(seq));
        }
        let kept = std::fs::read_to_string(scratch.path().join("node1.jsonl")).unwrap();
        let numbers: Vec<u64> =
            kept.lines().map(|line| serde_json::from_str::<Delivery>(line).unwrap().seq_no).collect();
        assert_eq!(numbers, [1, 2, 3]);
    }
}
