//! Names of nodes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A node's id as its user chose it: `peer1`.
///
/// 1 to 64 bytes of ASCII letters, digits, `-`, `_` and `.`: an id stands in log lines and in file names, and one that came
/// over the network must not be able to forge either. Ordered as text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct NodeId(Arc<str>);

/// Why a text is not a node's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing, or more than [`NodeId::MAX_LEN`] bytes.
    #[error("an id has 1 to 64 bytes, this one has {0}")]
    Length(usize),
    /// A character that could forge a log line or a path.
    #[error("an id consists of letters, digits, '-', '_' and '.', not {0:?}")]
    Character(char),
}

impl NodeId {
    /// The longest id, in bytes.
    pub const MAX_LEN: usize = 64;

    /// The id as its user wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return Err(IdError::Length(text.len()));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        match text.chars().find(|&c| !allowed(c)) {
            Some(c) => Err(IdError::Character(c)),
            None => Ok(Self(text.into())),
        }
    }
}

impl TryFrom<String> for NodeId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_forge_a_log_line_or_a_path() {
        for forged in ["a\nb", "a b", "../x/y", "a=b", "", "ü"] {
            assert!(forged.parse::<NodeId>().is_err(), "{forged:?}");
        }
        assert_eq!("p".repeat(65).parse::<NodeId>(), Err(IdError::Length(65)));
        assert_eq!("peer_1.lab-2".parse::<NodeId>().map(|id| id.to_string()).as_deref(), Ok("peer_1.lab-2"));
    }

    #[test]
    fn ids_are_ordered_as_text_which_is_the_documented_priority() {
        let [one, two, ten]: [NodeId; 3] = ["peer1", "peer2", "peer10"].map(|id| id.parse().unwrap());
        assert!(one < two && ten < two, "peer10 < peer2: lexicographic, as documented");
    }
}
