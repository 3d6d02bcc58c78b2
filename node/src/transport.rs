//! TCP between nodes: one message per line of JSON.
//!
//! A node dials every other member and only writes on that connection; what it hears comes on connections that others dialled. The
//! tasks here move bytes and decide nothing. They promise the network's own promise and no more: a message arrives unchanged, late,
//! or never. To a peer that is not connected or does not read, messages are dropped, because the protocol asks again and an old
//! message is worth less than none. Whoever connects can cost a bounded amount of memory, and nothing else.

mod incoming;
mod outgoing;
mod refused;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dsbench_wire::{Envelope, Message, NodeId};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::timeout;

pub use dsbench_wire::{Endpoint as Address, EndpointError as AddressError};

use crate::emit::Log;
use incoming::Gate;
use outgoing::{Line, Pace, Peer};
use refused::Refused;

/// Messages that are read but not yet handled. Full means that readers wait, and TCP slows the senders down.
const INBOX: usize = 256;

/// Why a node cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The host of the address has no IP address.
    #[error("failed to listen on {address}: its host is not known (use an IP address of this machine)")]
    Unresolved {
        /// As it was given.
        address: Address,
        /// The resolver's answer.
        source: io::Error,
    },
    /// Somebody else listens there.
    #[error(
        "failed to listen on {address}: port {port} is already in use (stop the program that holds it, which `ss -ltnp 'sport = :{port}'` \
         shows, or choose another port with --listen)"
    )]
    InUse {
        /// As it was given.
        address: Address,
        /// The port that is taken.
        port: u16,
    },
    /// The system refused.
    #[error("failed to listen on {address} (is it an address of this machine? 0.0.0.0 listens on all of them)")]
    Refused {
        /// As it was given.
        address: Address,
        /// The system's answer.
        source: io::Error,
    },
}

/// Takes the address, before anything else of the node exists.
///
/// # Errors
/// When somebody else has it, or it is not this machine's.
pub async fn listen(address: &Address) -> Result<TcpListener, ListenError> {
    let unresolved = |source| ListenError::Unresolved { address: address.clone(), source };
    let at = tokio::net::lookup_host((address.host(), address.port()))
        .await
        .map_err(unresolved)?
        .next()
        .ok_or_else(|| unresolved(io::ErrorKind::NotFound.into()))?;
    let bound = || {
        let socket = if at.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A node that is started again at once finds its port in TIME_WAIT.
        socket.set_reuseaddr(true)?;
        socket.bind(at)?;
        socket.listen(256)
    };
    bound().map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse { address: address.clone(), port: at.port() },
        _ => ListenError::Refused { address: address.clone(), source },
    })
}

/// How much came and went, for `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Peers to which a connection stands.
    pub connected: usize,
    /// Lines and connections from outside that were not a member's message to this node.
    pub ignored: u64,
    /// Messages that were not sent, because the peer was away or did not read.
    pub dropped: u64,
}

/// The connections to all peers.
#[derive(Debug)]
pub struct Transport {
    me: NodeId,
    local: SocketAddr,
    inbox: mpsc::Receiver<Envelope>,
    peers: BTreeMap<NodeId, Peer>,
    dialling: Vec<JoinHandle<()>>,
    accepting: AbortHandle,
    refused: Arc<Refused>,
}

impl Transport {
    /// Begins to accept on `listener` and to dial `peers` (without `me`). `heartbeat` is the scale of its patience: how often it dials
    /// again and when it gives a silent connection up. Within a tokio runtime.
    ///
    /// # Errors
    /// When the listener has no address any more.
    pub fn start(
        listener: TcpListener,
        me: &NodeId,
        peers: BTreeMap<NodeId, Address>,
        heartbeat: Duration,
        log: &Log,
    ) -> io::Result<Self> {
        let (heard, inbox) = mpsc::channel(INBOX);
        let refused = Arc::new(Refused::new(log.clone()));
        let local = listener.local_addr()?;
        let gate = Gate::new(me.clone(), peers.keys().cloned().collect(), heard, Arc::clone(&refused));
        let accepting = tokio::spawn(gate.accept(listener)).abort_handle();
        let mut dialling = Vec::new();
        let peers = peers
            .into_iter()
            .map(|(id, address)| {
                let (peer, task) = Peer::dial(id.clone(), address, Pace::of(heartbeat), log.clone());
                dialling.push(tokio::spawn(task));
                (id, peer)
            })
            .collect();
        Ok(Self { me: me.clone(), local, inbox, peers, dialling, accepting, refused })
    }

    /// Where it listens.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// How much came and went.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        Traffic {
            connected: self.peers.values().filter(|peer| peer.is_connected()).count(),
            ignored: self.refused.count(),
            dropped: self.peers.values().map(Peer::dropped).sum(),
        }
    }

    /// The next message of a member to this node. Dropping the future loses nothing.
    pub async fn receive(&mut self) -> Envelope {
        match self.inbox.recv().await {
            Some(envelope) => self.noted(envelope),
            // The accepting task holds a sender until this transport is dropped, and with it this future.
            None => std::future::pending().await,
        }
    }

    /// The next message that has already been read.
    pub fn try_receive(&mut self) -> Option<Envelope> {
        let envelope = self.inbox.try_recv().ok()?;
        Some(self.noted(envelope))
    }

    /// Sends, or drops when `to` is away or does not read.
    pub fn send(&mut self, to: NodeId, message: Message) {
        let Some(peer) = self.peers.get(&to) else { return };
        let envelope = Envelope { from: self.me.clone(), to, message };
        peer.send(Line::from(dsbench_wire::encode(&envelope)));
    }

    /// Sends what is queued, closes all connections and waits for the ends, but no longer than `patience`.
    pub async fn close(mut self, patience: Duration) {
        self.peers.clear();
        let sent = async {
            for task in &mut self.dialling {
                // It ends, or it panicked: nothing to be done about it any more.
                let _ = task.await;
            }
        };
        // Whoever does not read the goodbye learns of it from its heartbeats.
        let _ = timeout(patience, sent).await;
    }

    /// Who speaks is alive: dial at once what was waiting for its next attempt, so that the answer finds a connection.
    fn noted(&self, envelope: Envelope) -> Envelope {
        if let Some(peer) = self.peers.get(&envelope.from) {
            peer.is_alive();
        }
        envelope
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.accepting.abort();
        for task in &self.dialling {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests;
