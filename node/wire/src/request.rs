//! Who asked for what: the identity of a request, which stays the same however often it is asked.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A client's name, as it chose it or as the node chose for it: `peer1`, `peer1.9f3c`, `alice`.
///
/// 1 to 96 bytes (an id of 64 and something that tells its lives apart), printable and without a space: it stands in log lines.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ClientId(Arc<str>);

/// Which request of which client: `peer1/3`. A client numbers its requests upwards from 1, gaps allowed; asked again, a
/// request keeps its number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId {
    /// Who asks.
    pub client: ClientId,
    /// Its number. Of two requests of one client, the one with the lower number is done first.
    pub serial: u64,
}

/// Why a text names no client or request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestIdError {
    /// Nothing, or more than [`ClientId::MAX_LEN`] bytes.
    #[error("a client's name has 1 to 96 bytes, this one has {0}")]
    Length(usize),
    /// A character that could forge a log line.
    #[error("a client's name is printable and has no space, not {0:?}")]
    Character(char),
    /// No `/serial` at its end.
    #[error("expected client/serial, such as alice/3")]
    Shape,
}

impl ClientId {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 96;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientId {
    type Err = RequestIdError;

    fn from_str(text: &str) -> Result<Self, RequestIdError> {
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return Err(RequestIdError::Length(text.len()));
        }
        match text.chars().find(|c| !c.is_ascii_graphic()) {
            Some(c) => Err(RequestIdError::Character(c)),
            None => Ok(Self(text.into())),
        }
    }
}

impl TryFrom<String> for ClientId {
    type Error = RequestIdError;

    fn try_from(text: String) -> Result<Self, RequestIdError> {
        text.parse()
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RequestId {
    type Err = RequestIdError;

    fn from_str(text: &str) -> Result<Self, RequestIdError> {
        let (client, serial) = text.rsplit_once('/').ok_or(RequestIdError::Shape)?;
        let serial = serial.parse().map_err(|_| RequestIdError::Shape)?;
        Ok(Self { client: client.parse()?, serial })
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.client, self.serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_is_printed() {
        for text in ["peer1/3", "peer1.9f3c/1001", "a/b/18446744073709551615"] {
            assert_eq!(text.parse::<RequestId>().unwrap().to_string(), text);
        }
        for text in ["peer1", "peer1/", "/3", "peer1/-1", "a b/1", "a\n/1"] {
            assert!(text.parse::<RequestId>().is_err(), "{text:?}");
        }
    }
}
