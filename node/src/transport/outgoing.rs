//! The connection that this node dials: writes lines, dials again when it is lost.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dsbench_wire::NodeId;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};

use super::Address;
use crate::emit::Log;

/// One encoded message, its newline included.
pub(super) type Line = Box<str>;

/// Lines that wait for a peer to read, and their bytes. Full means that it does not, and that more lines would only be old when it does.
const QUEUE: usize = 1024;
const QUEUE_BYTES: usize = 4 << 20;
/// Lines that wait are written together, up to so many bytes.
const WRITE_MAX: usize = 64 << 10;
/// A refused dial on loopback costs microseconds: the first attempts may come quickly.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// A connection that has stood this long was a real one; the next loss begins with short pauses again.
const STEADY: Duration = Duration::from_secs(1);

/// How patient a connection is, on the scale of the heartbeats that it carries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// The longest dial and the longest pause between two.
    dial_max: Duration,
    /// Data unacknowledged for this long means that the path is gone. Without this, TCP would double its own pauses through a
    /// partition, and sit in the last of them long after the network has healed.
    unacknowledged_max: Duration,
}

impl Pace {
    pub(super) fn of(heartbeat: Duration) -> Self {
        Self {
            dial_max: heartbeat.clamp(Duration::from_millis(100), Duration::from_secs(1)),
            unacknowledged_max: heartbeat.saturating_mul(4).clamp(Duration::from_millis(500), Duration::from_secs(5)),
        }
    }
}

/// The sending end, in the node's hands. Dropping it lets the task write the rest and end.
#[derive(Debug)]
pub(super) struct Peer {
    lines: mpsc::Sender<Line>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    connected: AtomicBool,
    /// Where the connection leads; kept when it is lost.
    reached: Mutex<Option<SocketAddr>>,
    queued_bytes: AtomicUsize,
    dropped: AtomicU64,
    alive: Notify,
}

impl Peer {
    pub(super) fn dial(
        id: NodeId,
        address: Address,
        pace: Pace,
        ended: mpsc::Sender<NodeId>,
        log: Log,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (lines, queue) = mpsc::channel(QUEUE);
        let state = Arc::new(State::default());
        let dialler = Dialler { id, address, pace, ended, log, queue, state: Arc::clone(&state) };
        (Self { lines, state }, dialler.run())
    }

    pub(super) fn send(&self, line: Line) {
        let bytes = line.len();
        let has_room = self.state.queued_bytes.load(Ordering::Relaxed) + bytes <= QUEUE_BYTES;
        // Counted first: the task that takes it away may be quicker.
        self.state.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        if !has_room || self.lines.try_send(line).is_err() {
            self.state.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.state.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Where the connection leads, while it stands.
    pub(super) fn reached(&self) -> Option<SocketAddr> {
        if !self.is_connected() {
            return None;
        }
        *self.state.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_alive(&self) {
        if !self.is_connected() {
            self.state.alive.notify_one();
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.state.connected.load(Ordering::Relaxed)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.state.dropped.load(Ordering::Relaxed)
    }
}

struct Dialler {
    id: NodeId,
    address: Address,
    pace: Pace,
    /// Where it tells that the peer's process seems to have ended.
    ended: mpsc::Sender<NodeId>,
    log: Log,
    queue: mpsc::Receiver<Line>,
    state: Arc<State>,
}

/// The node has dropped its [`Peer`]: it leaves.
struct Leaving;

impl Dialler {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        let mut was_told = false;
        // By the peer's side: a path that fails says nothing about who is at its end.
        let mut was_closed = false;
        loop {
            let since = Instant::now();
            let (id, address) = (&self.id, &self.address);
            match self.connect().await {
                Ok(stream) => {
                    self.log.info(format_args!("connected to peer={id} address={address}"));
                    *self.state.reached.lock().unwrap_or_else(PoisonError::into_inner) = stream.peer_addr().ok();
                    self.state.connected.store(true, Ordering::Relaxed);
                    let end = talk(stream, &mut self.queue, &self.state.queued_bytes).await;
                    self.state.connected.store(false, Ordering::Relaxed);
                    match end {
                        Ok(Leaving) => return,
                        Err(error) => {
                            was_closed = is_closed(&error);
                            was_told = !was_closed;
                            self.log.warn(format_args!("lost the connection to peer={id} address={address}: {error}"))
                        }
                    }
                }
                // The host is there, and nobody listens. Where nobody reads this, it is told again after the next attempt.
                Err(error) if was_closed && error.kind() == io::ErrorKind::ConnectionRefused => {
                    if !was_told {
                        was_told = true;
                        self.log.info(format_args!(
                            "peer={id} address={address} refuses connections, its process seems to have ended: {error}"
                        ));
                    }
                    let _ = self.ended.try_send(id.clone());
                }
                // Once per absence, not once per attempt.
                Err(error) if !was_told => {
                    was_told = true;
                    self.log
                        .info(format_args!("peer={id} address={address} does not answer yet, dialling on: {error}"));
                }
                Err(_) => {}
            }
            if since.elapsed() >= STEADY {
                pause = FIRST_PAUSE;
            }
            if since.elapsed() > FIRST_PAUSE {
                self.discard_queued();
            }
            if let Some(Leaving) = self.discard_for(pause - FIRST_PAUSE).await {
                return;
            }
            // What is sent from here on finds the next connection, if there is one: an answer to a peer that has just come and spoken
            // first would otherwise be lost. The pause itself stays, so that a peer that speaks and does not listen costs little.
            sleep(FIRST_PAUSE).await;
            if self.queue.is_closed() && self.queue.is_empty() {
                return;
            }
            pause = (pause * 2).min(self.pace.dial_max);
        }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let dial = TcpStream::connect((self.address.host(), self.address.port()));
        let stream = timeout(self.pace.dial_max, dial)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer"))??;
        if reached_itself(&stream)? {
            let reason = "the connection reached itself, nobody listens there";
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, reason));
        }
        stream.set_nodelay(true)?;
        let milliseconds = u32::try_from(self.pace.unacknowledged_max.as_millis()).unwrap_or(u32::MAX);
        setsockopt(&stream, sockopt::TcpUserTimeout, &milliseconds)?;
        Ok(stream)
    }

    fn discard_queued(&mut self) {
        while let Ok(line) = self.queue.try_recv() {
            self.state.queued_bytes.fetch_sub(line.len(), Ordering::Relaxed);
            self.state.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Drops what is sent meanwhile; a sign of life of the peer ends it.
    async fn discard_for(&mut self, pause: Duration) -> Option<Leaving> {
        let state = Arc::clone(&self.state);
        let over = timeout(pause, state.alive.notified());
        tokio::pin!(over);
        loop {
            tokio::select! {
                // The end first: a line that was sent after the sign of life must not be dropped.
                biased;
                _ = &mut over => return None,
                line = self.queue.recv() => match line {
                    Some(line) => {
                        self.state.queued_bytes.fetch_sub(line.len(), Ordering::Relaxed);
                        self.state.dropped.fetch_add(1, Ordering::Relaxed)
                    }
                    None => return Some(Leaving),
                },
            };
        }
    }
}

/// Whether a connection was lost because its other end closed it: with a reset, where it had not read everything.
fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe)
}

/// Dialling a port in the kernel's ephemeral range where nobody listens may draw that very port as its own, and TCP then connects the
/// socket to itself. Kept, it would keep the real peer from ever listening there.
fn reached_itself(stream: &TcpStream) -> io::Result<bool> {
    Ok(stream.local_addr()? == stream.peer_addr()?)
}

/// Writes each line as it comes, and those that wait together. The peer says nothing on this connection, so that whatever is read is its end.
async fn talk(
    mut stream: TcpStream,
    queue: &mut mpsc::Receiver<Line>,
    queued_bytes: &AtomicUsize,
) -> io::Result<Leaving> {
    let (mut read, mut write) = stream.split();
    let mut together = Vec::new();
    let mut unexpected = [0; 1];
    loop {
        tokio::select! {
            biased;
            got = read.read(&mut unexpected) => return Err(match got {
                Ok(0) => io::Error::new(io::ErrorKind::UnexpectedEof, "closed by the peer"),
                Ok(_) => io::Error::new(io::ErrorKind::InvalidData, "it talks back, so it is not a node"),
                Err(error) => error,
            }),
            line = queue.recv() => match line {
                Some(line) => {
                    together.clear();
                    together.extend(line.as_bytes());
                    while together.len() < WRITE_MAX && let Ok(line) = queue.try_recv() {
                        together.extend(line.as_bytes());
                    }
                    queued_bytes.fetch_sub(together.len(), Ordering::Relaxed);
                    write.write_all(&together).await?;
                }
                None => {
                    write.shutdown().await?;
                    return Ok(Leaving);
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[tokio::test]
    async fn a_socket_that_is_connected_to_itself_is_recognised() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let own = socket.local_addr().unwrap();
        assert!(reached_itself(&socket.connect(own).await.unwrap()).unwrap());

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let other = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(!reached_itself(&other).unwrap());
    }
}
