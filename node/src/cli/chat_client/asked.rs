//! What is typed: by a person, by a program that speaks JSON, or by a workload.

use dsbench_wire::{RoomError, RoomId};
use serde::Deserialize;
use serde_json::Value;

use crate::emit::Escaped;
use crate::terminal::LINE_MAX;

/// What a line asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Asked {
    Nothing,
    /// Send this, to the room that is used if no other one is named. An operation of a workload has a number.
    Say {
        room: Option<RoomId>,
        text: String,
        operation: Option<u64>,
    },
    /// Use this room from now on, or say which one is used.
    Room(Option<RoomId>),
    Status,
    Nodes,
    Help,
    Quit,
    /// It makes no sense.
    Wrong(String),
}

/// Who types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Person,
    Json,
    Workload,
}

impl Style {
    pub(super) fn read(self, line: &str) -> Asked {
        if line.len() >= LINE_MAX {
            return Asked::Wrong(format!("not sent: the line has more than {} KiB", LINE_MAX >> 10));
        }
        match self {
            Self::Person => person(line),
            Self::Json => program(line),
            Self::Workload => workload(line),
        }
    }
}

fn person(line: &str) -> Asked {
    let Some(command) = line.strip_prefix('/') else {
        return if line.is_empty() {
            Asked::Nothing
        } else {
            Asked::Say { room: None, text: line.to_owned(), operation: None }
        };
    };
    let (command, rest) = command.split_once(' ').unwrap_or((command, ""));
    match (command, rest.trim()) {
        ("quit", "") => Asked::Quit,
        ("status", "") => Asked::Status,
        ("nodes", "") => Asked::Nodes,
        ("help", "") => Asked::Help,
        ("room", "") => Asked::Room(None),
        ("room", name) => {
            let named: Result<RoomId, RoomError> = name.parse();
            named.map_or_else(|error| Asked::Wrong(error.to_string()), |room| Asked::Room(Some(room)))
        }
        _ => {
            let unknown: String = line.chars().take(40).collect();
            let there_are = "there are: /status, /nodes, /room, /help, /quit; a message begins with no slash";
            Asked::Wrong(format!("unknown command `{}` ({there_are})", Escaped(&unknown)))
        }
    }
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
enum Command {
    Status {},
    Nodes {},
    Quit {},
    Chat {
        #[serde(default)]
        room_id: Option<RoomId>,
        payload: String,
    },
}

/// A message, whose type may be left out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    #[serde(default)]
    room_id: Option<RoomId>,
    payload: String,
}

fn program(line: &str) -> Asked {
    if line.is_empty() {
        return Asked::Nothing;
    }
    let object: Value = match serde_json::from_str(line) {
        Ok(object) => object,
        Err(error) => return Asked::Wrong(error.to_string()),
    };
    let command = if object.get("type").is_some() {
        serde_json::from_value(object)
    } else {
        serde_json::from_value(object).map(|Message { room_id, payload }| Command::Chat { room_id, payload })
    };
    match command {
        Ok(Command::Status {}) => Asked::Status,
        Ok(Command::Nodes {}) => Asked::Nodes,
        Ok(Command::Quit {}) => Asked::Quit,
        Ok(Command::Chat { room_id: room, payload: text }) => Asked::Say { room, text, operation: None },
        Err(error) => Asked::Wrong(error.to_string()),
    }
}

/// What the bench tells the program of a workload's client; other keys are for others.
#[derive(Deserialize)]
struct Operation {
    id: u64,
    #[serde(default)]
    value: Value,
}

fn workload(line: &str) -> Asked {
    match serde_json::from_str(line) {
        Ok(Operation { id, value }) => {
            let text = if let Value::String(text) = value { text } else { value.to_string() };
            Asked::Say { room: None, text, operation: Some(id) }
        }
        Err(error) => Asked::Wrong(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(room: Option<&str>, text: &str) -> Asked {
        Asked::Say { room: room.map(|room| room.parse().unwrap()), text: text.to_owned(), operation: None }
    }

    #[test]
    fn a_person_says_what_begins_with_no_slash() {
        let read = |line| Style::Person.read(line);
        assert_eq!(read("hello"), say(None, "hello"));
        assert_eq!(read(""), Asked::Nothing);
        assert_eq!(read("/quit"), Asked::Quit);
        assert_eq!(read("/room dev"), Asked::Room(Some("dev".parse().unwrap())));
        assert!(matches!(read("/room a b"), Asked::Wrong(told) if told.contains("no space")));
        assert!(matches!(read("/stauts\u{1b}[2J"), Asked::Wrong(told) if told.contains("`/stauts\\u{1b}[2J`")));
    }

    #[test]
    fn a_program_sends_objects_and_is_told_what_is_wrong_with_them() {
        let read = |line| Style::Json.read(line);
        assert_eq!(read(r#"{"payload":"hi"}"#), say(None, "hi"));
        assert_eq!(read(r#"{"type":"CHAT","room_id":"dev","payload":"/quit"}"#), say(Some("dev"), "/quit"));
        assert_eq!(read(r#"{"type":"QUIT"}"#), Asked::Quit);
        assert_eq!(read(r#"{"type":"STATUS"}"#), Asked::Status);
        for (line, reason) in [
            ("hello", "expected value"),
            ("{}", "missing field `payload`"),
            (r#"{"payload":7}"#, "expected a string"),
            (r#"{"payload":"x","room":"dev"}"#, "unknown field `room`"),
            (r#"{"payload":"x","room_id":"a b"}"#, "no space"),
            (r#"{"type":"REBOOT"}"#, "unknown variant `REBOOT`"),
        ] {
            assert!(matches!(read(line), Asked::Wrong(told) if told.contains(reason)), "{line}");
        }
    }

    #[test]
    fn a_workload_s_value_is_what_is_said() {
        let read = |line| Style::Workload.read(line);
        let said = |text: &str| Asked::Say { room: None, text: text.to_owned(), operation: Some(7) };
        assert_eq!(read(r#"{"id":7,"op":"write","key":3,"target":"peer1","value":1000041}"#), said("1000041"));
        assert_eq!(read(r#"{"id":7,"op":"write","value":"m7"}"#), said("m7"));
        assert!(matches!(read(r#"{"op":"write"}"#), Asked::Wrong(_)));
    }
}
