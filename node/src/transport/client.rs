//! Programs that are no member: they ask on a connection, and are answered on it.
//!
//! ```text
//! > {"type":"SEQUENCER_REQUEST","msg":"alice/3","payload":"hello"}
//! > {"type":"STATUS"}
//! < {"type":"ACKNOWLEDGED","msg":"alice/3","seq":7,"term":2,"index":9}
//! < {"type":"REFUSED","msg":"alice/4","reason":"out-of-order"}
//! < {"type":"UNKNOWN","msg":"alice/5","reason":"busy"}
//! < {"type":"STATUS",...}
//! ```
//!
//! Without `msg`, the node gives the request a name. Many may be open at once; answers come in the order in which they are known, and
//! each names its request. Whoever asks more than it reads is not read any further.
//!
//! REFUSED is final: the request is not done, and under this name it never will be (`too-long`, `out-of-order`, `name-of-a-node`,
//! `bad-serial`). UNKNOWN is not: asked again under the same name, it is done once. After `busy`, the node takes nothing later of the
//! same client until it asks for that request again, or ten seconds have passed: whoever goes on to later ones gives it up, and it is
//! `out-of-order` once one of those is done. How long a retry is known again is said in the protocol's `sessions`.

use std::sync::Arc;

use dsbench_protocol::Answer;
use dsbench_wire::RequestId;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;

use super::dialect::Asked;
use crate::messages::Follower;

/// Open requests of one connection.
const OPEN_MAX: u32 = 1024;
/// Answers that wait are written together, up to so many bytes.
const WRITE_MAX: usize = 64 << 10;

/// What a client says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
enum Said {
    SequencerRequest {
        #[serde(default)]
        msg: Option<String>,
        payload: String,
    },
    Status,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
enum Told {
    Acknowledged {
        msg: String,
        seq: u64,
        term: u64,
        index: u64,
    },
    Refused {
        #[serde(skip_serializing_if = "Option::is_none")]
        msg: Option<String>,
        reason: String,
    },
    Unknown {
        msg: String,
        reason: String,
    },
}

/// What a line asks for; nothing when it is no client's.
pub(super) fn asked(line: &[u8]) -> Option<Result<Asked, String>> {
    Some(match serde_json::from_slice(line).ok()? {
        Said::Status => Ok(Asked::Status),
        Said::SequencerRequest { msg, payload } => match msg.map(|msg| msg.parse()).transpose() {
            Ok(id) => Ok(Asked::Request { id, payload }),
            Err(error) => Err(format!("a SEQUENCER_REQUEST whose msg is none: {error}")),
        },
    })
}

/// The line that tells a client what became of its request.
pub(super) fn told(answer: &Answer) -> String {
    let told = match answer {
        Answer::Acknowledged { id, seq, term, index } => {
            Told::Acknowledged { msg: id.to_string(), seq: *seq, term: term.0, index: *index }
        }
        Answer::Refused { id, reason } => {
            Told::Refused { msg: id.as_ref().map(RequestId::to_string), reason: reason.to_string() }
        }
        Answer::Unknown { id, reason } => Told::Unknown { msg: id.to_string(), reason: reason.to_string() },
    };
    let mut line = serde_json::to_string(&told).expect("an answer has text keys and plain values only");
    line.push('\n');
    line
}

/// Where one answer goes. Dropped unused, the client gets none.
#[derive(Debug)]
pub struct ReplyTo {
    lines: mpsc::UnboundedSender<(String, OwnedSemaphorePermit)>,
    place: OwnedSemaphorePermit,
}

impl ReplyTo {
    /// Sends one line, its newline included.
    pub(super) fn send(self, line: String) {
        // The connection may be gone: then nobody waits.
        let _ = self.lines.send((line, self.place));
    }
}

/// The writing half of a client's connection.
#[derive(Debug)]
pub(super) struct Client {
    lines: mpsc::UnboundedSender<(String, OwnedSemaphorePermit)>,
    places: Arc<Semaphore>,
    writing: AbortHandle,
    following: Option<AbortHandle>,
}

impl Client {
    pub(super) fn start(stream: OwnedWriteHalf) -> Self {
        let (lines, queue) = mpsc::unbounded_channel();
        let writing = tokio::spawn(write(stream, queue)).abort_handle();
        Self { lines, places: Arc::new(Semaphore::new(OPEN_MAX as usize)), writing, following: None }
    }

    /// A place for one more answer, as soon as there is one.
    pub(super) async fn place(&self) -> ReplyTo {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
        ReplyTo { lines: self.lines.clone(), place }
    }

    /// Sends every line that `follower` gives, from now on and in place of an earlier one: as fast as the client reads.
    pub(super) fn follow(&mut self, mut follower: Follower) {
        let (lines, places) = (self.lines.clone(), Arc::clone(&self.places));
        let following = tokio::spawn(async move {
            while let Some(line) = follower.next().await {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                if lines.send((line, place)).is_err() {
                    return;
                }
            }
        });
        if let Some(earlier) = self.following.replace(following.abort_handle()) {
            earlier.abort();
        }
    }

    /// Waits until every answer is written: a program may end its questions before it reads.
    pub(super) async fn is_answered(&self) {
        // Fails only when it is closed, which it never is.
        let _ = self.places.acquire_many(OPEN_MAX).await;
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.writing.abort();
        if let Some(following) = &self.following {
            following.abort();
        }
    }
}

async fn write(mut stream: OwnedWriteHalf, mut queue: mpsc::UnboundedReceiver<(String, OwnedSemaphorePermit)>) {
    // Nothing to be done where it is refused: answers are small, and go out at once.
    let _ = stream.as_ref().set_nodelay(true);
    let mut together = Vec::new();
    let mut places = Vec::new();
    while let Some((line, place)) = queue.recv().await {
        together.clear();
        together.extend(line.as_bytes());
        places.push(place);
        while together.len() < WRITE_MAX
            && let Ok((line, place)) = queue.try_recv()
        {
            together.extend(line.as_bytes());
            places.push(place);
        }
        if stream.write_all(&together).await.is_err() {
            return;
        }
        places.clear();
    }
}

#[cfg(test)]
mod tests {
    use dsbench_protocol::Refusal;
    use dsbench_wire::Term;

    use super::*;

    #[test]
    fn a_question_is_read_and_anything_else_is_not_one() {
        let line = br#"{"type":"SEQUENCER_REQUEST","msg":"alice/3","payload":"hello"}"#;
        let id = Some("alice/3".parse().unwrap());
        assert_eq!(asked(line), Some(Ok(Asked::Request { id, payload: "hello".to_owned() })));
        let unnamed = asked(br#"{"type":"SEQUENCER_REQUEST","payload":""}"#);
        assert_eq!(unnamed, Some(Ok(Asked::Request { id: None, payload: String::new() })));
        assert_eq!(asked(br#"{"type":"STATUS"}"#), Some(Ok(Asked::Status)));
        assert!(matches!(asked(br#"{"type":"SEQUENCER_REQUEST","msg":"a b/3","payload":"x"}"#), Some(Err(_))));
        for other in ["", "{}", "[]", r#"{"type":"ELECTION","term":1}"#, r#"{"type":"SEQUENCER_REQUEST"}"#] {
            assert_eq!(asked(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn an_answer_names_its_request() {
        let id: RequestId = "alice/3".parse().unwrap();
        let done = Answer::Acknowledged { id: id.clone(), seq: 7, term: Term(2), index: 9 };
        assert_eq!(told(&done), "{\"type\":\"ACKNOWLEDGED\",\"msg\":\"alice/3\",\"seq\":7,\"term\":2,\"index\":9}\n");
        let refused = Answer::Refused { id: None, reason: Refusal::Busy };
        assert_eq!(told(&refused), "{\"type\":\"REFUSED\",\"reason\":\"busy\"}\n");
        let unknown = Answer::Unknown { id, reason: Refusal::Leaving };
        assert_eq!(told(&unknown), "{\"type\":\"UNKNOWN\",\"msg\":\"alice/3\",\"reason\":\"leaving\"}\n");
    }
}
