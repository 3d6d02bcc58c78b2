//! Rooms of the chat, and how a request names one.
//!
//! A payload is a [`Header`], a line feed, and the text. The header is the room's name and, where the client said more than its request's
//! name tells, who spoke (` s=`) and under which UUID (` m=`). Every text is a payload: one that does not begin with a header and a line
//! feed belongs to the default room as a whole, so that what a log holds always has one meaning.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ClientId;
use crate::chat::is_uuid;
use crate::text::is_invisible;

/// The room that is meant where none is named.
pub const DEFAULT: &str = "general";

/// A room's name: 1 to 64 bytes, visible and without a space, because it stands in log lines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RoomId(Arc<str>);

/// Why a text names no room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoomError {
    /// Nothing, or more than [`RoomId::MAX_LEN`] bytes.
    #[error("a room's name has 1 to 64 bytes, this one has {0}")]
    Length(usize),
    /// A character that could forge a log line, or make one name look like another.
    #[error("a room's name is printable and has no space, not {0:?}")]
    Character(char),
}

impl RoomId {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for RoomId {
    fn default() -> Self {
        Self(DEFAULT.into())
    }
}

impl FromStr for RoomId {
    type Err = RoomError;

    fn from_str(text: &str) -> Result<Self, RoomError> {
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return Err(RoomError::Length(text.len()));
        }
        // As in log lines, where a line's last value may be anything but no other may have a space.
        let is_fine = |c: char| !c.is_control() && !c.is_whitespace() && !is_invisible(c);
        match text.chars().find(|&c| !is_fine(c)) {
            Some(c) => Err(RoomError::Character(c)),
            None => Ok(Self(text.into())),
        }
    }
}

impl TryFrom<String> for RoomId {
    type Error = RoomError;

    fn try_from(text: String) -> Result<Self, RoomError> {
        text.parse()
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands before a message's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// The room that it is for.
    pub room: RoomId,
    /// Who spoke, where that is not the name under which it was asked for.
    pub sender: Option<ClientId>,
    /// The UUID that its client gave it, where it does not follow from the request's name.
    pub msg_id: Option<Arc<str>>,
}

impl Header {
    /// What to ask for, so that `text` is delivered under this header.
    #[must_use]
    pub fn payload(&self, text: &str) -> String {
        format!("{}{}\n{text}", self.room, Extras(self))
    }

    /// All but the room, as it stands behind the room's name.
    #[must_use]
    pub(crate) fn extras(&self) -> String {
        Extras(self).to_string().trim_start().to_owned()
    }

    /// The header of a room with these [`extras`](Self::extras); nothing when they are none.
    pub(crate) fn with_extras(room: RoomId, extras: &str) -> Option<Self> {
        let mut header = Self { room, ..Self::default() };
        for extra in extras.split(' ').filter(|extra| !extra.is_empty()) {
            match extra.split_once('=')? {
                ("s", sender) if header.sender.is_none() => header.sender = Some(sender.parse().ok()?),
                ("m", uuid) if header.msg_id.is_none() && is_uuid(uuid) => header.msg_id = Some(uuid.into()),
                _ => return None,
            }
        }
        Some(header)
    }
}

impl From<RoomId> for Header {
    fn from(room: RoomId) -> Self {
        Self { room, ..Self::default() }
    }
}

struct Extras<'a>(&'a Header);

impl fmt::Display for Extras<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Header { sender, msg_id, .. } = self.0;
        sender.iter().try_for_each(|sender| write!(f, " s={sender}"))?;
        msg_id.iter().try_for_each(|msg_id| write!(f, " m={msg_id}"))
    }
}

/// What to ask for, so that `text` is delivered in `room`.
#[must_use]
pub fn payload(room: &RoomId, text: &str) -> String {
    format!("{room}\n{text}")
}

/// The header of a payload, and its text.
#[must_use]
pub fn of(payload: &str) -> (Header, &str) {
    named(payload).unwrap_or_else(|| (Header::default(), payload))
}

/// The same; nothing when it has none.
pub(crate) fn named(payload: &str) -> Option<(Header, &str)> {
    let (header, text) = payload.split_once('\n')?;
    let (room, extras) = header.split_once(' ').unwrap_or((header, ""));
    let header = Header::with_extras(room.parse().ok()?, extras)?;
    // One header has one spelling: what is written again is the same payload.
    (header.payload(text) == payload).then_some((header, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_names_its_room_whatever_its_text_says() {
        let dev: RoomId = "dev".parse().unwrap();
        for text in ["", "hello", "two\nlines", "general\nnot its room", "\n"] {
            assert_eq!(of(&payload(&dev, text)), (Header::from(dev.clone()), text));
        }
        for text in ["hello", "a b\nno name", "\nno name", "a s=1 s=2\n", "a m=7\n", "a \n", "a  s=1\n", "a m=7 s=1\n"]
        {
            assert_eq!(of(text), (Header::default(), text));
        }
    }

    #[test]
    fn a_header_keeps_what_the_client_said_of_itself() {
        let msg_id: Arc<str> = "550e8400-e29b-41d4-a716-446655440000".into();
        for sender in [None, Some("1"), Some("a=b")] {
            for msg_id in [None, Some(Arc::clone(&msg_id))] {
                let sender = sender.map(|sender| sender.parse().unwrap());
                let header = Header { room: "dev".parse().unwrap(), sender, msg_id: msg_id.clone() };
                assert_eq!(of(&header.payload("hi\nthere")), (header.clone(), "hi\nthere"));
                assert_eq!(Header::with_extras(header.room.clone(), &header.extras()), Some(header));
            }
        }
    }

    #[test]
    fn a_room_cannot_forge_a_log_line_or_look_like_another() {
        for forged in
            ["", "a b", "a\nb", "a\u{1b}[2J", "a\u{2028}b", "a\u{200b}", "a\u{202e}b", "a\u{feff}", &"x".repeat(65)]
        {
            assert!(forged.parse::<RoomId>().is_err(), "{forged:?}");
        }
        for fine in ["general", "küche", "#42"] {
            assert_eq!(fine.parse::<RoomId>().unwrap().to_string(), fine);
        }
    }
}
