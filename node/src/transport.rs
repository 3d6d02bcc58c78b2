//! TCP between nodes, one message per line of JSON; UDP for discovery and multicast; TCP for programs that are no member.
//!
//! A node dials every peer that its core names and only writes on that connection; what it hears comes on connections that others
//! dialled. The tasks here move bytes and decide nothing. They promise the network's own promise and no more: a message arrives
//! unchanged, late, or never. To a peer that is not connected or does not read, messages are dropped, because the protocol asks again
//! and an old message is worth less than none. Whoever connects can cost a bounded amount of memory, and nothing else.

mod chat;
mod client;
mod datagrams;
mod dialect;
mod incoming;
mod outgoing;
mod refused;
mod sensor;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket as StdSocket};
use std::sync::Arc;
use std::time::Duration;

use dsbench_protocol::{Answer, Asker};
use dsbench_wire::{Envelope, Message, NodeId, RequestId};
use rand_pcg::Pcg64Mcg;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::timeout;

pub use chat::ChatLines;
pub use client::ReplyTo;
pub use datagrams::{Datagrams, Multicast};
pub use dialect::{Asked, Dialect, Said};
pub use dsbench_wire::{Endpoint as Address, EndpointError as AddressError};
pub use sensor::SensorLines;

use crate::emit::Log;
use datagrams::{Ears, Udp, UdpError};
use incoming::{Gate, Known};
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
    /// Another program has the port of discovery, and does not share it.
    #[error(
        "failed to listen for broadcasts: UDP port {port} is already in use by a program that does not share it (stop that program, \
         which `ss -lunp 'sport = :{port}'` shows, or choose another --broadcast-port for all nodes, or use --no-discover)"
    )]
    BroadcastInUse {
        /// The port that is taken.
        port: u16,
    },
    /// Another program has the port of multicast.
    #[error(
        "failed to receive multicast on {at}: the UDP port is already in use (stop the program that holds it, which \
         `ss -lunp 'sport = :{port}'` shows, or choose another port, or use --multicast off)", port = at.port()
    )]
    MulticastInUse {
        /// What is taken.
        at: SocketAddr,
    },
    /// The system refused a UDP socket.
    #[error("failed to open UDP on {at} (--no-discover and --multicast off do without UDP)")]
    Udp {
        /// Where.
        at: SocketAddr,
        /// The system's answer.
        source: io::Error,
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
    /// Lines, datagrams and connections from outside that were not for this node.
    pub ignored: u64,
    /// Messages that were not sent, because the peer was away or did not read.
    pub dropped: u64,
}

/// What a transport is told once.
#[derive(Debug)]
pub struct Setup {
    /// Where it accepts, from [`listen`].
    pub listener: TcpListener,
    /// Who listens there.
    pub me: NodeId,
    /// Where others reach it.
    pub advertise: Address,
    /// The scale of its patience: how often it dials again and when it gives a silent connection up.
    pub heartbeat: Duration,
    /// How it writes over TCP.
    pub dialect: Arc<dyn Dialect>,
    /// What it speaks over UDP.
    pub datagrams: Datagrams,
    /// Draws what is thrown away.
    pub rng: Pcg64Mcg,
}

/// What has arrived.
#[derive(Debug)]
pub enum Heard {
    /// A message of a node.
    Message(Envelope),
    /// The process of this peer seems to have ended: it closed the connection to it, and its host refuses another. Told again with
    /// every refusal, until it is reached.
    Ended(NodeId),
    /// A request of a program that is no member.
    Request {
        /// Its name, if the program gave it one.
        id: Option<RequestId>,
        /// What it asks for.
        payload: String,
        /// Where the answer goes, by way of [`Transport::asks`].
        reply_to: ReplyTo,
    },
    /// Such a program wants to know who leads.
    Status {
        /// Where the answer goes.
        reply_to: ReplyTo,
    },
}

/// All connections and sockets of a node.
#[derive(Debug)]
pub struct Transport {
    me: NodeId,
    dialect: Arc<dyn Dialect>,
    local: SocketAddr,
    pace: Pace,
    members: mpsc::Receiver<Envelope>,
    strangers: mpsc::Receiver<Heard>,
    ended: mpsc::Receiver<NodeId>,
    for_ended: mpsc::Sender<NodeId>,
    known: Known,
    peers: BTreeMap<NodeId, (Address, Peer)>,
    /// Of peers that are gone.
    dropped: u64,
    dialling: Vec<JoinHandle<()>>,
    accepting: AbortHandle,
    udp: Udp,
    /// Who waits for an answer. 0 is nobody here.
    askers: BTreeMap<u64, ReplyTo>,
    next_asker: u64,
    /// The last message that was encoded: the same goes to many.
    encoded: Option<(Message, String)>,
    log: Log,
}

impl Transport {
    /// Begins to accept, and to listen on UDP. Within a tokio runtime.
    ///
    /// # Errors
    /// When a UDP socket cannot be had.
    pub async fn start(setup: Setup, log: &Log) -> Result<Self, ListenError> {
        let Setup { listener, me, advertise, heartbeat, dialect, mut datagrams, rng } = setup;
        let (for_members, members) = mpsc::channel(INBOX);
        let (for_strangers, strangers) = mpsc::channel(INBOX);
        let (for_ended, ended) = mpsc::channel(INBOX);
        let local =
            listener.local_addr().map_err(|source| ListenError::Refused { address: advertise.clone(), source })?;
        let ears = Ears {
            me: me.clone(),
            known: Known::default(),
            members: for_members,
            strangers: for_strangers,
            refused: Arc::new(Refused::new(log.clone())),
        };
        let reached = reached_at(&advertise, local).await;
        if datagrams.multicast == Multicast::Peers && StdSocket::bind(local).is_err() {
            // Whoever asked for nothing special must not fail for want of an accelerator.
            let port = local.port();
            log.warn(format_args!(
                "entries go over TCP alone, because UDP port {port} is in use (`ss -lunp 'sport = :{port}'`)"
            ));
            datagrams.multicast = Multicast::Off;
        }
        let udp = Udp::open(&datagrams, local, (&advertise, reached), &ears, rng).map_err(|error| match error {
            UdpError::Broadcast(port, error) if error.kind() == io::ErrorKind::AddrInUse => {
                ListenError::BroadcastInUse { port }
            }
            UdpError::Broadcast(port, source) => {
                ListenError::Udp { at: SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), source }
            }
            UdpError::Multicast(at, error) if error.kind() == io::ErrorKind::AddrInUse => {
                ListenError::MulticastInUse { at }
            }
            UdpError::Multicast(at, source) => ListenError::Udp { at, source },
        })?;
        let known = ears.known.clone();
        let accepting = tokio::spawn(Gate::new(ears, Arc::clone(&dialect)).accept(listener)).abort_handle();
        Ok(Self {
            me,
            dialect,
            local,
            pace: Pace::of(heartbeat),
            members,
            strangers,
            ended,
            for_ended,
            known,
            peers: BTreeMap::new(),
            dropped: 0,
            dialling: Vec::new(),
            accepting,
            udp,
            askers: BTreeMap::new(),
            next_asker: 0,
            encoded: None,
            log: log.clone(),
        })
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
            connected: self.peers.values().filter(|(_, peer)| peer.is_connected()).count(),
            ignored: self.udp.refused().count(),
            dropped: self.dropped + self.peers.values().map(|(_, peer)| peer.dropped()).sum::<u64>(),
        }
    }

    /// Dials `id` at `address` from now on, and not where it was dialled before.
    pub fn connect(&mut self, id: NodeId, address: Address) {
        if id == self.me || self.peers.get(&id).is_some_and(|(dialled, _)| *dialled == address) {
            return;
        }
        self.forget(&id);
        let (peer, task) = Peer::dial(id.clone(), address.clone(), self.pace, self.for_ended.clone(), self.log.clone());
        self.dialling.retain(|task| !task.is_finished());
        self.dialling.push(tokio::spawn(task));
        self.known.insert(id.clone(), address.clone());
        self.peers.insert(id, (address, peer));
    }

    /// Sends nothing more to `id`, after what is queued.
    pub fn forget(&mut self, id: &NodeId) {
        self.known.remove(id);
        if let Some((_, peer)) = self.peers.remove(id) {
            self.dropped += peer.dropped();
        }
    }

    /// The next thing that arrives; of what waits, peers' messages first, and then whose processes have ended. Dropping the future loses nothing.
    pub async fn receive(&mut self) -> Heard {
        tokio::select! {
            biased;
            Some(envelope) = self.members.recv() => self.noted(envelope),
            Some(peer) = self.ended.recv() => Heard::Ended(peer),
            Some(heard) = self.strangers.recv() => heard,
            // The accepting task holds a sender until this transport is dropped, and with it this future.
            else => std::future::pending().await,
        }
    }

    /// The next thing that has already been read.
    pub fn try_receive(&mut self) -> Option<Heard> {
        if let Ok(envelope) = self.members.try_recv() {
            return Some(self.noted(envelope));
        }
        let ended = self.ended.try_recv().map(Heard::Ended);
        ended.or_else(|_| self.strangers.try_recv()).ok()
    }

    /// Sends, or drops when `to` is away or does not read.
    pub fn send(&mut self, to: &NodeId, message: Message) {
        let Some((_, peer)) = self.peers.get(to) else { return };
        if self.encoded.as_ref().is_none_or(|(last, _)| *last != message) {
            let body = self.dialect.body(&message);
            self.encoded = Some((message, body));
        }
        let body = self.encoded.as_ref().map_or("", |(_, body)| body);
        peer.send(Line::from(self.dialect.line(&self.me, to, body)));
    }

    /// Sends to all peers at once, over UDP.
    pub fn multicast(&mut self, message: &Message) {
        let peers = (self.peers.values()).filter_map(|(address, peer)| {
            peer.reached().map(|reached| SocketAddr::from((reached.ip(), address.port())))
        });
        if !self.udp.multicast(message, peers) {
            self.dropped += 1;
        }
    }

    /// Tells whoever is in the network, over UDP.
    pub fn broadcast(&mut self, message: &Message) {
        self.udp.broadcast(message);
    }

    /// A name for who waits for an answer.
    pub fn asks(&mut self, reply_to: ReplyTo) -> Asker {
        self.next_asker += 1;
        self.askers.insert(self.next_asker, reply_to);
        Asker(self.next_asker)
    }

    /// Answers who asked, if it is still there.
    pub fn answer(&mut self, asker: Asker, answer: &Answer) {
        if let Some(reply_to) = self.askers.remove(&asker.0) {
            let told = self.dialect.told(answer, reply_to.msg_id());
            reply_to.send(told);
        }
    }

    /// Answers a question about this node, in one line.
    pub fn reply(&mut self, reply_to: ReplyTo, line: String) {
        reply_to.send(line + "\n");
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
    fn noted(&self, envelope: Envelope) -> Heard {
        if let Some((_, peer)) = self.peers.get(&envelope.from) {
            peer.is_alive();
        }
        Heard::Message(envelope)
    }
}

/// The address under which other machines see this node.
async fn reached_at(advertise: &Address, local: SocketAddr) -> IpAddr {
    if !local.ip().is_unspecified() {
        return local.ip();
    }
    let found = tokio::net::lookup_host((advertise.host(), advertise.port())).await;
    found.ok().and_then(|mut found| found.find(SocketAddr::is_ipv4)).map_or(local.ip(), |at| at.ip())
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
