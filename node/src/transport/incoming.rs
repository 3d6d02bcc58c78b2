//! The connections that others dial: reads lines, and lets through only what somebody says to this node.
//!
//! Anybody may connect, and any node may speak: whom to believe is the core's decision. But peers that the core knows are heard first,
//! through a queue of their own. The number of connections and the length of a line are bounded; when all places are taken, the
//! connection that was of the least use makes room: strangers first, then clients, then peers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use dsbench_wire::{MAX_LINE, NodeId};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::client::Client;
use super::datagrams::Ears;
use super::dialect::{Asked, Dialect, Said};
use super::{Address, Heard};

/// With a buffer and at most one line each, all strangers together cost less than 80 MiB.
const CONNECTIONS_MAX: usize = 1024;
/// A node writes a line at once. Who takes longer over one is holding a place.
const LINE_PATIENCE: Duration = Duration::from_secs(10);
/// Out of file descriptors: accepting again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A moment of a peer is later than any of a client.
const OF_A_PEER: u64 = 1 << 63;

/// The peers that the core knows, and where.
#[derive(Debug, Clone, Default)]
pub(super) struct Known(Arc<RwLock<BTreeMap<NodeId, Address>>>);

impl Known {
    pub(super) fn has(&self, id: &NodeId) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains_key(id)
    }

    pub(super) fn is_at(&self, id: &NodeId, address: &Address) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id) == Some(address)
    }

    pub(super) fn insert(&self, id: NodeId, address: Address) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(id, address);
    }

    pub(super) fn remove(&self, id: &NodeId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// What every connection needs to know.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    ears: Ears,
    dialect: Arc<dyn Dialect>,
    /// Counts what was heard: the clock by which connections are compared.
    moment: Arc<AtomicU64>,
}

impl Gate {
    pub(super) fn new(ears: Ears, dialect: Arc<dyn Dialect>) -> Self {
        Self { ears, dialect, moment: Arc::default() }
    }

    pub(super) async fn accept(self, listener: TcpListener) {
        let mut places = Places::default();
        loop {
            let (stream, from) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.ears.refused.ignore("listener", format_args!("failed to accept: {error}"));
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if let Some(evicted) = places.make_room() {
                self.ears.refused.ignore(
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
        let (stream, write) = stream.into_split();
        let mut stream = BufReader::with_capacity(8192, stream);
        let (mut unused, mut client) = (Some(write), None::<Client>);
        let mut line = Vec::new();
        loop {
            line.clear();
            // Silence between two lines may last for ever, within one it may not.
            let more = tokio::select! {
                more = stream.fill_buf() => more,
                failure = failure(&mut client) => {
                    return self.ears.refused.ignore(from, format_args!("cannot be told more: {failure}, closed"));
                }
            };
            match more {
                Ok([]) | Err(_) => break,
                Ok(_) => {}
            }
            let mut limited = (&mut stream).take(MAX_LINE as u64 + 1);
            match timeout(LINE_PATIENCE, limited.read_until(b'\n', &mut line)).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return,
                Err(_) => return self.ears.refused.ignore(from, "a line without an end, closed"),
            }
            if line.last() != Some(&b'\n') {
                let reason =
                    if line.len() > MAX_LINE { "a line that is too long, closed" } else { "a line that is cut off" };
                return self.ears.refused.ignore(from, reason);
            }
            let heard = match self.admitted(&line) {
                Ok(Said::Message(envelope)) if self.ears.known.has(&envelope.from) => {
                    last_heard.store(self.next_moment() | OF_A_PEER, Ordering::Relaxed);
                    self.ears.members.send(envelope).await.is_ok()
                }
                Ok(Said::Message(envelope)) => self.ears.strangers.send(Heard::Message(envelope)).await.is_ok(),
                Ok(Said::Asked(asked)) => {
                    last_heard.fetch_max(self.next_moment(), Ordering::Relaxed);
                    if let Some(write) = unused.take() {
                        client = Some(Client::start(write));
                    }
                    let client = client.as_mut().expect("it was started a moment ago");
                    let heard = match asked {
                        Asked::Follow { after } => {
                            if let Some(feed) = self.dialect.feed() {
                                client.follow(feed, after);
                            }
                            // A buffer full of these must not keep the one thread either.
                            tokio::task::coop::consume_budget().await;
                            continue;
                        }
                        Asked::Nonsense { told, reason } => {
                            self.ears.refused.ignore(from, reason);
                            client.place().await.send(told);
                            continue;
                        }
                        Asked::Request { id, payload, msg_id } => {
                            Heard::Request { id, payload, reply_to: client.place().await.of(msg_id) }
                        }
                        Asked::Status => Heard::Status { reply_to: client.place().await },
                    };
                    self.ears.strangers.send(heard).await.is_ok()
                }
                Err(reason) => {
                    self.ears.refused.ignore(from, reason);
                    // A buffer full of rubbish must not keep the one thread from the other connections.
                    tokio::task::coop::consume_budget().await;
                    true
                }
            };
            if !heard {
                return;
            }
        }
        if let Some(mut client) = client {
            client.is_answered().await;
        }
    }

    fn next_moment(&self) -> u64 {
        self.moment.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn admitted(&self, line: &[u8]) -> Result<Said, String> {
        let said = self.dialect.read(line)?;
        let Said::Message(envelope) = &said else { return Ok(said) };
        let me = &self.ears.me;
        if envelope.from == *me {
            return Err(format!("a message that claims to come from {me} itself"));
        }
        if envelope.to != *me {
            return Err(format!("a message for {} (is its address in the member list right?)", envelope.to));
        }
        Ok(said)
    }
}

/// Why a client cannot be told more; for ever pending while it can.
async fn failure(client: &mut Option<Client>) -> std::io::Error {
    match client {
        Some(client) => client.failure().await,
        None => std::future::pending().await,
    }
}

#[derive(Debug)]
struct Place {
    from: SocketAddr,
    /// The moment of the last message of a peer or request of a client, 0 before the first.
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
    /// Frees a place if none is: the one that was heard the longest ago, strangers (who never were) first and peers last.
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
