//! Rooms of the chat, and how a request names one.
//!
//! A payload is the room's name, a line feed, and the text. Every text is a payload: one that does not begin with a name and a line
//! feed belongs to the default room as a whole, so that what a log holds always has one meaning.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The room that is meant where none is named.
pub const DEFAULT: &str = "general";

/// A room's name: 1 to 64 bytes, printable and without a space, because it stands in log lines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RoomId(Arc<str>);

/// Why a text names no room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoomError {
    /// Nothing, or more than [`RoomId::MAX_LEN`] bytes.
    #[error("a room's name has 1 to 64 bytes, this one has {0}")]
    Length(usize),
    /// A character that could forge a log line.
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
        let is_fine = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '\u{2028}' | '\u{2029}');
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

/// What to ask for, so that `text` is delivered in `room`.
#[must_use]
pub fn payload(room: &RoomId, text: &str) -> String {
    format!("{room}\n{text}")
}

/// The room that a payload is for, and its text.
#[must_use]
pub fn of(payload: &str) -> (RoomId, &str) {
    named(payload).unwrap_or_else(|| (RoomId::default(), payload))
}

/// The same; nothing when it names no room.
pub(crate) fn named(payload: &str) -> Option<(RoomId, &str)> {
    let (room, text) = payload.split_once('\n')?;
    Some((room.parse().ok()?, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_names_its_room_whatever_its_text_says() {
        let dev: RoomId = "dev".parse().unwrap();
        for text in ["", "hello", "two\nlines", "general\nnot its room", "\n"] {
            assert_eq!(of(&payload(&dev, text)), (dev.clone(), text));
        }
        for text in ["hello", "a b\nno name", "\nno name"] {
            assert_eq!(of(text), (RoomId::default(), text));
        }
    }

    #[test]
    fn a_room_cannot_forge_a_log_line() {
        for forged in ["", "a b", "a\nb", "a\u{1b}[2J", "a\u{2028}b", &"x".repeat(65)] {
            assert!(forged.parse::<RoomId>().is_err(), "{forged:?}");
        }
        for fine in ["general", "küche", "#42"] {
            assert_eq!(fine.parse::<RoomId>().unwrap().to_string(), fine);
        }
    }
}
