//! One message, one line of JSON.

use serde::Deserialize;

use crate::Envelope;

/// The longest line that is read as a message, in bytes, its end included.
pub const MAX_LINE: usize = 64 * 1024;

/// Why some bytes are not a message. The text is safe to log: nothing from outside is quoted unescaped or at length.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Longer than [`MAX_LINE`].
    #[error("message of {0} bytes is longer than {MAX_LINE}")]
    Oversized(usize),
    /// A message, but of a type that this version does not know.
    #[error("unknown message type {0:?}")]
    UnknownType(String),
    /// Not JSON, or a message whose fields are missing or of a wrong type.
    #[error("malformed message: {}", shortened(&.0.to_string()))]
    Malformed(#[source] serde_json::Error),
}

/// The line that carries `envelope`, its newline included.
#[must_use]
pub fn encode(envelope: &Envelope) -> String {
    let mut line = serde_json::to_string(envelope).expect("an envelope has text keys and plain values only");
    line.push('\n');
    line
}

/// The message that `line` carries; its newline may be missing.
///
/// # Errors
///
/// When the line is too long, its type is unknown, or it is not a message at all.
pub fn decode(line: &[u8]) -> Result<Envelope, WireError> {
    if line.len() > MAX_LINE {
        return Err(WireError::Oversized(line.len()));
    }
    serde_json::from_slice(line).map_err(|error| refusal(line, error))
}

/// Tells a message of an unknown type, which a newer node may rightly send, from a malformed one.
pub(crate) fn refusal(line: &[u8], error: serde_json::Error) -> WireError {
    #[derive(Deserialize)]
    struct Kind {
        r#type: String,
    }
    match serde_json::from_slice::<Kind>(line) {
        Ok(kind) if error.to_string().starts_with("unknown variant") => WireError::UnknownType(shortened(&kind.r#type)),
        _ => WireError::Malformed(error),
    }
}

/// At most 80 characters, none of them a control character: it goes to a log.
fn shortened(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, NodeId, Term};

    fn refused(line: &str) -> String {
        decode(line.as_bytes()).expect_err(line).to_string()
    }

    #[test]
    fn a_message_reads_as_the_documentation_writes_it() {
        let [from, to] = ["peer1", "peer3"].map(|id| id.parse::<NodeId>().unwrap());
        let envelope = Envelope { from, to, message: Message::Election { term: Term(4) } };
        let line = "{\"from\":\"peer1\",\"to\":\"peer3\",\"type\":\"ELECTION\",\"term\":4}\n";
        assert_eq!(encode(&envelope), line);
        assert_eq!(decode(line.as_bytes()).unwrap(), envelope);
        assert_eq!(decode(line.trim_end().as_bytes()).unwrap(), envelope);
    }

    #[test]
    fn every_type_is_written_with_its_documented_name() {
        let [from, to] = ["a", "b"].map(|id| id.parse::<NodeId>().unwrap());
        let envelope = Envelope {
            from,
            to,
            message: Message::PreVoteRequest { term: Term(1), round: 2, last: Default::default(), transfer: false },
        };
        assert!(encode(&envelope).contains(&format!("\"type\":\"{}\"", envelope.message.name())));
    }

    #[test]
    fn what_is_not_a_message_is_refused_with_its_reason() {
        assert!(refused("").contains("malformed"), "{}", refused(""));
        assert!(refused("HEARTBEAT").contains("malformed"));
        assert!(refused(r#"{"from":"a","to":"b","type":"OK"}"#).contains("missing field"));
        assert!(refused(r#"{"from":"a","to":"b","type":"ELECTION","term":-1}"#).contains("malformed"));
        assert!(refused(r#"{"from":"a","to":"b","type":"ELECTION","term":1}{}"#).contains("trailing"));
        assert!(refused(r#"{"from":"a\nb","to":"b","type":"ELECTION","term":1}"#).contains("an id consists of"));
        let unknown = refused(r#"{"from":"a","to":"b","type":"REBOOT\n","term":1}"#);
        assert_eq!(unknown, "unknown message type \"REBOOT?\"");
    }

    #[test]
    fn an_oversized_line_is_refused_unread() {
        assert!(matches!(decode(&vec![b'['; MAX_LINE + 1]), Err(WireError::Oversized(n)) if n == MAX_LINE + 1));
        assert!(matches!(decode(&vec![b'['; MAX_LINE]), Err(WireError::Malformed(_))));
    }
}
