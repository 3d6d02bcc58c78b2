//! What a client tells, for people and for programs: each case in both forms. Whatever came from a node is escaped for people, because
//! a node can be anybody's.

use std::fmt::Write as _;
use std::time::Duration;

use dsbench_wire::chat::{self, Delivery};
use dsbench_wire::{Endpoint, RoomId};
use serde_json::{Value, json};

use super::session::{Place, Status};
use crate::emit::Escaped;

/// The longest reason of a node that is shown.
const REASON_MAX: usize = 200;

/// How things are.
#[derive(Debug)]
pub(super) struct Now<'a> {
    /// The node that is used, or tried next.
    pub(super) at: &'a Endpoint,
    /// What it said, if it is connected.
    pub(super) status: Option<&'a Status>,
    pub(super) room: &'a RoomId,
    /// Messages without an answer.
    pub(super) open: usize,
}

/// One thing to tell.
#[derive(Debug)]
pub(super) enum Told<'a> {
    Connected {
        at: &'a Endpoint,
        status: &'a Status,
    },
    /// Somebody else leads, or nobody.
    Leader(&'a Status),
    Lost {
        at: &'a Endpoint,
        was_connected: bool,
        reason: &'a str,
        retry: Duration,
        next: &'a Endpoint,
    },
    Sent {
        msg: &'a str,
        room: &'a RoomId,
        text: &'a str,
    },
    Acknowledged {
        msg: &'a str,
        seq_no: u64,
    },
    Refused {
        msg: &'a str,
        reason: &'a str,
    },
    Unknown {
        msg: &'a str,
        reason: &'a str,
    },
    Missing {
        after: u64,
        index: u64,
    },
    Delivered(&'a Delivery),
    Status(Now<'a>),
    Nodes(&'a Status),
    Room(&'a RoomId),
    /// What was typed makes no sense, or cannot be sent.
    Wrong(&'a str),
}

impl Told<'_> {
    pub(super) fn for_people(&self) -> String {
        match self {
            Self::Connected { at, status } => {
                format!("* connected to node {} at {at}, {}", status.node_id, leader(status))
            }
            Self::Leader(status) if status.leader.is_none() => {
                "* no leader: what is said now is delivered when there is one again".to_owned()
            }
            Self::Leader(status) => format!("* {}", leader(status)),
            Self::Lost { at, was_connected, reason, retry, next } => {
                let what = if *was_connected { "lost the node at" } else { "no connection to" };
                let then = if retry.is_zero() {
                    format!("trying {next}")
                } else {
                    format!("trying again in {}s", (retry.as_secs_f64() * 10.0).round() / 10.0)
                };
                format!("* {what} {at} ({}), {then}", Escaped(reason))
            }
            // Seen when it is delivered.
            Self::Sent { .. } => String::new(),
            Self::Acknowledged { msg, seq_no } => format!("acknowledged msg={msg} seq={seq_no}"),
            Self::Refused { msg, reason } => {
                format!("! refused msg={msg} reason={} (it is not delivered)", shortened(reason))
            }
            Self::Unknown { msg, reason } => {
                format!("! unknown msg={msg} reason={} (it may be delivered or not)", shortened(reason))
            }
            Self::Missing { after, index } => {
                format!("* the messages from place {} to {index} are lost to this node", after + 1)
            }
            Self::Delivered(Delivery { room_id, seq_no, sender_id, payload, .. }) => {
                let (room, person) = (Escaped(room_id.as_str()), chat::person(sender_id));
                format!("[{room} #{seq_no}] {}: {}", Escaped(person), Escaped(payload))
            }
            Self::Status(now) => now.for_people(),
            Self::Nodes(Status { nodes, leader, .. }) => {
                let told = nodes.iter().map(|node| {
                    let leads = if leader.as_ref().is_some_and(|leader| leader.node_id == node.node_id) {
                        " leads"
                    } else {
                        ""
                    };
                    let Place { node_id, host, port, role } = node;
                    let role = role.as_deref().unwrap_or("member");
                    format!("{node_id} {}:{port} {}{leads}", Escaped(host), Escaped(role))
                });
                told.collect::<Vec<_>>().join("\n")
            }
            Self::Room(room) => format!("room {}", Escaped(room.as_str())),
            Self::Wrong(reason) => (*reason).to_owned(),
        }
    }

    pub(super) fn for_programs(&self) -> Value {
        match self {
            // Who leads is told beside it.
            Self::Connected { at, .. } => json!({ "type": "CONNECTED", "node": at.to_string() }),
            Self::Leader(Status { node_id, term, leader, .. }) => {
                let leader = leader.as_ref().map(|leader| leader.node_id);
                json!({ "type": "LEADER", "node_id": node_id, "leader": leader, "term": term })
            }
            Self::Lost { at, reason, retry, .. } => {
                json!({ "type": "DISCONNECTED", "node": at.to_string(), "reason": reason, "retry_ms": retry.as_millis() as u64 })
            }
            Self::Sent { msg, room, text } => json!({ "type": "SENT", "msg": msg, "room_id": room, "payload": text }),
            Self::Acknowledged { msg, seq_no } => json!({ "type": "ACKNOWLEDGED", "msg": msg, "seq_no": seq_no }),
            Self::Refused { msg, reason } => json!({ "type": "REFUSED", "msg": msg, "reason": reason }),
            Self::Unknown { msg, reason } => json!({ "type": "UNKNOWN", "msg": msg, "reason": reason }),
            Self::Missing { after, index } => json!({ "type": "MISSING", "after": after, "index": index }),
            Self::Delivered(delivery) => serde_json::to_value(delivery).expect("text keys and plain values only"),
            Self::Status(now) => now.for_programs(),
            Self::Nodes(Status { nodes, .. }) => json!({ "type": "NODES", "nodes": nodes }),
            Self::Room(room) => json!({ "type": "ROOM", "room_id": room }),
            Self::Wrong(reason) => json!({ "type": "ERROR", "reason": reason }),
        }
    }
}

fn leader(status: &Status) -> String {
    match &status.leader {
        Some(leader) => format!("node {} leads (term {})", leader.node_id, status.term),
        None => "which knows no leader yet".to_owned(),
    }
}

fn shortened(reason: &str) -> String {
    Escaped(&reason.chars().take(REASON_MAX).collect::<String>()).to_string()
}

impl Now<'_> {
    fn for_people(&self) -> String {
        let Self { at, status, room, open } = self;
        let mut told = match status {
            Some(Status { node_id, role, term, leader, .. }) => {
                let leader = leader.as_ref().map_or("none".to_owned(), |leader| leader.node_id.to_string());
                format!("node={node_id} at={at} role={} leader={leader} term={term} connection=up", Escaped(role))
            }
            None => format!("connection=down next={at}"),
        };
        // A string takes everything.
        let _ = write!(told, " room={} unacknowledged={open}", Escaped(room.as_str()));
        told
    }

    fn for_programs(&self) -> Value {
        let Self { at, status, room, open } = self;
        let (node_id, leader) = (status.map(|s| s.node_id), status.and_then(|s| Some(s.leader.as_ref()?.node_id)));
        let (role, term) = (status.map(|s| s.role.as_str()), status.map(|s| s.term));
        let connection = if status.is_some() { "up" } else { "down" };
        json!({
            "type": "STATUS", "connection": connection, "node": at.to_string(), "node_id": node_id, "role": role, "leader": leader,
            "term": term, "room_id": room, "unacknowledged": open,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_node_moves_the_cursor_or_turns_the_text() {
        let evil = "\u{1b}]0;x\u{7}\u{9b}2J\n\u{202e}\u{200b}";
        let at: Endpoint = "127.0.0.1:5001".parse().unwrap();
        let place = Place { node_id: 3, host: evil.to_owned(), port: 1, role: Some(evil.to_owned()) };
        let status =
            Status { node_id: 1, role: evil.to_owned(), term: 2, leader: Some(place.clone()), nodes: vec![place] };
        let room: RoomId = "dev".parse().unwrap();
        let delivery = Delivery {
            sender_id: "alice".parse().unwrap(),
            term: 2,
            msg_id: evil.to_owned(),
            seq_no: 42,
            room_id: room.clone(),
            index: 50,
            view: 3,
            client: None,
            serial: 7,
            payload: evil.into(),
        };
        let now = Now { at: &at, status: Some(&status), room: &room, open: 3 };
        for told in [
            Told::Connected { at: &at, status: &status },
            Told::Leader(&status),
            Told::Lost { at: &at, was_connected: true, reason: evil, retry: Duration::ZERO, next: &at },
            Told::Refused { msg: "alice/1", reason: evil },
            Told::Unknown { msg: "alice/1", reason: evil },
            Told::Delivered(&delivery),
            Told::Status(now),
            Told::Nodes(&status),
            Told::Room(&room),
        ] {
            let text = told.for_people();
            let is_harmful = |c: char| c.is_control() || matches!(c, '\u{202e}' | '\u{200b}');
            assert!(!text.contains(is_harmful), "{text:?}");
        }
        let refused = Told::Refused { msg: "alice/1", reason: &"x".repeat(100_000) }.for_people();
        assert!(refused.len() < 300);
    }
}
