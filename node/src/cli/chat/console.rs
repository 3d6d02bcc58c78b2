//! What a person can ask of a chat node.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use dsbench_protocol::{Answer, Chat, Event, Rooms};
use dsbench_wire::{Endpoint, NodeId, RoomId, chat, room};
use serde::Serialize;

use super::Role;
use super::keeping::Keeper;
use crate::cli::group::{self, by_priority, everybody, list, view};
use crate::emit::{Escaped, Log};
use crate::runtime::{Console, Reply, Saying};
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

/// Rooms in a status line.
const ROOMS_SHOWN: usize = 32;
/// Rooms in what a client is told, so that it is one line.
const ROOMS_TOLD: usize = 128;

/// Answers from what the core knows, and keeps what it tells.
#[derive(Debug)]
pub(super) struct ChatConsole {
    me: NodeId,
    place: Endpoint,
    role: Role,
    keeper: Keeper,
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
    /// Those that spoke last.
    rooms: BTreeMap<&'a str, u64>,
    rooms_total: usize,
    delivered: u64,
}

impl ChatConsole {
    pub(super) fn new(
        (me, place): (NodeId, Endpoint),
        role: Role,
        keeper: Keeper,
        log: Log,
        screen: Option<Log>,
    ) -> Self {
        Self { me, place, role, keeper, room: RefCell::default(), log, screen, shown_last: String::new() }
    }

    /// The rooms that spoke last with their last numbers, at most so many, and how many rooms there are.
    fn rooms<'a>(&'a self, chat: &'a Chat, count: usize) -> (Vec<(&'a RoomId, u64)>, usize) {
        match self.keeper.classroom_rooms() {
            Some(rooms) => {
                let mut latest: Vec<_> = rooms.iter().map(|(room, &last)| (room, last)).collect();
                latest.sort_by_key(|&(_, last)| std::cmp::Reverse(last));
                latest.truncate(count);
                (latest, rooms.len())
            }
            None => (chat.machine().latest(count), chat.machine().len()),
        }
    }

    fn status(&self, chat: &Chat, traffic: Traffic) -> String {
        let role = group::role(&self.me, chat);
        let term = chat.term();
        let leader = chat.leader().map_or("none", NodeId::as_str);
        let members = list(by_priority::<Rooms>(view(chat)).into_iter().map(|peer| &peer.id));
        let Traffic { connected, ignored, dropped } = traffic;
        let (id, last, committed) = (view(chat).id, chat.last().index, chat.committed());
        let (delivered, seq, open) = (chat.delivered(), chat.seq(), chat.open_requests());
        let room = self.room.borrow();
        let mut status = format!(
            "status role={role} term={term} leader={leader} members={members} connected={connected} ignored={ignored} \
             dropped={dropped} view={id} last={last} committed={committed} delivered={delivered} seq={seq} open={open} \
             room={room} rooms="
        );
        let (mut rooms, total) = self.rooms(chat, ROOMS_SHOWN);
        rooms.sort_unstable();
        for (n, (room, last)) in rooms.iter().enumerate() {
            // A string takes everything.
            let _ = write!(status, "{}{room}:{last}", if n == 0 { "" } else { "," });
        }
        if total > rooms.len() {
            let _ = write!(status, ",+{}", total - rooms.len());
        }
        status
    }

    /// What a person at a terminal wants to know.
    fn status_for_people(&self, chat: &Chat, traffic: Traffic) -> String {
        let (me, role, term) = (&self.me, group::role(&self.me, chat), chat.term());
        let leader = match chat.leader() {
            Some(leader) if *leader == self.me => String::new(),
            Some(leader) => format!(", {leader} leads"),
            None => ", nobody leads".to_owned(),
        };
        let members: Vec<&str> = by_priority::<Rooms>(view(chat)).into_iter().map(|peer| peer.id.as_str()).collect();
        let (members, room, connected) = (members.join(", "), self.room.borrow(), traffic.connected);
        let (peers, last) = (
            if connected == 1 { "peer" } else { "peers" },
            match self.keeper.classroom_rooms() {
                Some(rooms) => rooms.get(&*room).copied(),
                None => chat.machine().iter().find(|(name, _)| **name == *room).map(|(_, last)| last),
            }
            .unwrap_or(0),
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
        group::listed(format!("view={}", view(chat).id), chat)
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
}

impl Console<Chat> for ChatConsole {
    fn decided(&mut self, event: &Event) {
        self.keeper.decided(event);
    }

    fn told(&mut self, event: &Event) -> Saying {
        let saying = match event {
            Event::Delivered { .. } => self.keeper.told(event),
            Event::BecameLeader { term, .. } => {
                // The word that the documentation tells people to look for.
                self.log.info(format_args!("LEADER node={} term={term}", self.me));
                Saying::Plain
            }
            // The names that the chat documents.
            Event::NewPeerRequest { .. } => Saying::Words(event.to_string().replacen("NEW_PEER_REQUEST", "JOIN", 1)),
            Event::AddedToNetwork { .. } => {
                Saying::Words(event.to_string().replacen("ADDED TO NETWORK", "JOIN_ACK", 1))
            }
            // Without it, nobody could tell why the numbers jump.
            Event::Installed { .. } => Saying::Sure,
            _ => Saying::Plain,
        };
        if let Some(screen) = &self.screen
            && saying != Saying::Nothing
            && let Some(shown) = shown(event)
            && shown != self.shown_last
        {
            screen.answer(&shown);
            self.shown_last = shown;
        }
        saying
    }

    fn caught_up(&mut self, chat: &Chat) {
        self.keeper.is_whole(chat.delivered());
    }

    fn lets_go(&mut self, index: u64) {
        self.keeper.is_whole(index);
    }

    async fn settles(&mut self, chat: &Chat) {
        self.keeper.settles(&self.me, chat).await;
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
        self.keeper.failure()
    }

    fn introduction(&self, chat: &Chat) -> String {
        let leader = chat.leader();
        let (rooms, rooms_total) = self.rooms(chat, ROOMS_TOLD);
        let introduction = Introduction {
            r#type: "STATUS",
            node_id: number(&self.me),
            role: group::role(&self.me, chat),
            term: chat.term().0,
            leader: leader.and_then(|leader| self.place_of(leader, chat)),
            nodes: everybody::<Rooms>(view(chat))
                .map(|(peer, role)| Member { place: info(&peer.id, &peer.endpoint), role })
                .collect(),
            rooms: rooms.into_iter().map(|(room, last)| (room.as_str(), last)).collect(),
            rooms_total,
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

/// What a person at a terminal sees.
pub(super) fn shown(event: &Event) -> Option<String> {
    Some(match event {
        Event::Delivered { seq, id, room, text, .. } => {
            let room = room.clone().unwrap_or_default().room;
            format!("[{} #{seq}] {}: {}", Escaped(room.as_str()), chat::person(&id.client), Escaped(text))
        }
        Event::BecameLeader { term, .. } => format!("* this peer leads (term {term})"),
        Event::ReceivedCoordinator { leader, term } | Event::Follows { leader, term } => {
            format!("* {leader} leads (term {term})")
        }
        Event::Failed { peer, .. } => format!("* {peer} is gone"),
        Event::Left { peer, .. } => format!("* {peer} has left"),
        Event::ViewChange { view, .. } => {
            let peers: Vec<&str> = by_priority::<Rooms>(view).into_iter().map(|peer| peer.id.as_str()).collect();
            format!("* in the chat: {}", peers.join(", "))
        }
        Event::Answered(answer @ Answer::Refused { .. }) => format!("! {answer} (it is not delivered)"),
        Event::Answered(answer @ Answer::Unknown { .. }) => format!("! {answer} (it may be delivered or not)"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use dsbench_protocol::{Config, Founding, Quorum};
    use dsbench_wire::chat::Delivery;
    use dsbench_wire::room::Header;

    use super::*;
    use crate::messages::MessageLog;

    const TRAFFIC: Traffic = Traffic { connected: 2, ignored: 1, dropped: 0 };

    fn console(role: Role, scratch: &tempfile::TempDir) -> (ChatConsole, Chat) {
        let place: Endpoint = "127.0.0.1:6001".parse().unwrap();
        let chat = Chat::new(Config::new(place.clone(), Founding::Bootstrap)).unwrap();
        let me: NodeId = "1".parse().unwrap();
        let log = Log::to(me.clone(), None::<std::fs::File>, None).unwrap();
        let path = scratch.path().join("node1.jsonl");
        let (messages, _) = MessageLog::open(&path, scratch.path(), Quorum::Majority, false).unwrap();
        let keeper = Keeper::new(messages, false, log.clone(), None);
        (ChatConsole::new((me, place), role, keeper, log, None), chat)
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
    fn however_many_rooms_there_are_what_a_client_is_told_is_one_line() {
        let scratch = tempfile::tempdir().unwrap();
        let (mut console, chat) = console(Role::Node, &scratch);
        let path = scratch.path().join("classroom.jsonl");
        let records = tempfile::tempdir().unwrap();
        let (messages, _) = MessageLog::open(&path, records.path(), Quorum::None, false).unwrap();
        console.keeper = Keeper::new(messages, true, console.log.clone(), None);
        for seq in 1..=3000 {
            let room: RoomId = format!("{}{seq:04}", "\"".repeat(60)).parse().unwrap();
            let text = "hello".into();
            let (id, term, room) = ("alice/3".parse().unwrap(), dsbench_wire::Term(2), Some(Header::from(room)));
            console.told(&Event::Delivered { seq, term, index: seq, id, view: 1, room, text });
        }
        let introduction = console.introduction(&chat);
        assert!(introduction.len() < dsbench_wire::MAX_LINE, "{}", introduction.len());
        assert!(introduction.contains("3000\":3000") && introduction.contains("\"rooms_total\":1024"));
        let Reply::Answer(status) = console.command("status", &chat, TRAFFIC) else { panic!("an answer") };
        assert!(status.ends_with(",+992"), "{status}");
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
            room: Some(Header::default()),
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
