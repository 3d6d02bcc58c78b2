//! The connections that others dial: reads lines, and lets through only what a member says to this node.
//!
//! Anybody may connect. The number of connections and the length of a line are bounded; when all places are taken, the connection
//! that was of the least use makes room, and members' connections are of more use than any other.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dsbench_wire::{Envelope, MAX_LINE, NodeId};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::refused::Refused;

/// With a buffer and at most one line each, all strangers together cost less than 10 MiB.
const CONNECTIONS_MAX: usize = 128;
/// A node writes a line at once. Who takes longer over one is holding a place.
const LINE_PATIENCE: Duration = Duration::from_secs(10);
/// Out of file descriptors: accepting again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What every connection needs to know.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    me: NodeId,
    members: Arc<BTreeSet<NodeId>>,
    heard: mpsc::Sender<Envelope>,
    refused: Arc<Refused>,
    /// Counts members' messages: the clock by which connections are compared.
    moment: Arc<AtomicU64>,
}

impl Gate {
    pub(super) fn new(
        me: NodeId,
        members: BTreeSet<NodeId>,
        heard: mpsc::Sender<Envelope>,
        refused: Arc<Refused>,
    ) -> Self {
        Self { me, members: Arc::new(members), heard, refused, moment: Arc::default() }
    }

    pub(super) async fn accept(self, listener: TcpListener) {
        let mut places = Places::default();
        loop {
            let (stream, from) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.refused.ignore("listener", format_args!("failed to accept: {error}"));
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if let Some(evicted) = places.make_room() {
                self.refused.ignore(
                    evicted,
                    format_args!("more than {CONNECTIONS_MAX} connections, the least useful one is closed"),
                );
            }
            let last_heard = Arc::new(AtomicU64::new(0));
            let task = tokio::spawn(self.clone().read(stream, from, Arc::clone(&last_heard)));
            places.0.push(Place { from, last_heard, task: task.abort_handle() });
        }
    }

    /// Reads one connection to its end.
    async fn read(self, stream: TcpStream, from: SocketAddr, last_heard: Arc<AtomicU64>) {
        let mut stream = BufReader::with_capacity(4096, stream);
        let mut line = Vec::new();
        loop {
            line.clear();
            // Silence between two lines may last for ever, within one it may not.
            match stream.fill_buf().await {
                Ok([]) | Err(_) => return,
                Ok(_) => {}
            }
            let mut limited = (&mut stream).take(MAX_LINE as u64 + 1);
            match timeout(LINE_PATIENCE, limited.read_until(b'\n', &mut line)).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return,
                Err(_) => return self.refused.ignore(from, "a line without an end, closed"),
            }
            if line.last() != Some(&b'\n') {
                let reason =
                    if line.len() > MAX_LINE { "a line that is too long, closed" } else { "a line that is cut off" };
                return self.refused.ignore(from, reason);
            }
            match self.admitted(&line) {
                Ok(envelope) => {
                    last_heard.store(self.moment.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    if self.heard.send(envelope).await.is_err() {
                        return;
                    }
                }
                Err(reason) => {
                    self.refused.ignore(from, reason);
                    // A buffer full of rubbish must not keep the one thread from the other connections.
                    tokio::task::coop::consume_budget().await;
                }
            }
        }
    }

    fn admitted(&self, line: &[u8]) -> Result<Envelope, String> {
        let envelope = dsbench_wire::decode(line).map_err(|error| error.to_string())?;
        if envelope.from == self.me {
            return Err(format!("a message that claims to come from {} itself", self.me));
        }
        if !self.members.contains(&envelope.from) {
            return Err(format!("{} is not a member", envelope.from));
        }
        if envelope.to != self.me {
            return Err(format!("a message for {} (is its address in the member list right?)", envelope.to));
        }
        Ok(envelope)
    }
}

#[derive(Debug)]
struct Place {
    from: SocketAddr,
    /// The moment of the last message of a member, 0 before the first.
    last_heard: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// In the order in which they were accepted.
#[derive(Debug, Default)]
struct Places(Vec<Place>);

impl Places {
    /// Frees a place if none is: the one without a member's message for the longest time, strangers (who never had one) first.
    fn make_room(&mut self) -> Option<SocketAddr> {
        self.0.retain(|place| !place.task.is_finished());
        if self.0.len() < CONNECTIONS_MAX {
            return None;
        }
        let (least, _) =
            (self.0.iter().enumerate()).min_by_key(|(_, place)| place.last_heard.load(Ordering::Relaxed))?;
        Some(self.0.remove(least).from)
    }
}
