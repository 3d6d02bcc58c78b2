//! UDP: discovery by broadcast, and the leader's entries by multicast. Both may lose, repeat and reorder; nothing rests on them.
//!
//! A datagram is one message as JSON, with its sender and the name of its cluster: two clusters on one machine or in one network hear
//! each other's datagrams, and must not become one. Nor must two of the same name whose peers have the same ids, on one multicast group:
//! a datagram also says where its sender is reached, and entries are taken only from a peer who is there.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket as StdSocket};
use std::sync::Arc;

use dsbench_wire::{Envelope, Message, NodeId};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn, setsockopt, sockopt};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;
use serde::{Deserialize, Serialize};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::Address;
use super::incoming::Known;
use super::refused::Refused;

/// What one datagram over IPv4 carries at most, with some room for headers of tunnels. It travels in fragments then.
const DATAGRAM_MAX: usize = 60_000;

/// How the leader's entries reach everybody at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Multicast {
    /// Not at all: entries go over TCP alone.
    Off,
    /// A datagram to each peer, on the port that it listens on: works everywhere, also on loopback.
    Peers,
    /// To a group that all have joined.
    Group(SocketAddrV4),
}

/// What the datagrams of a node have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Datagrams {
    /// Datagrams of another name are not for this node.
    pub cluster: String,
    /// Where discovery is spoken, if it is.
    pub broadcast_port: Option<u16>,
    /// How the leader's entries travel.
    pub multicast: Multicast,
    /// The share of received multicast that is thrown away, 0 to 1: to show and to test that nothing rests on it.
    pub multicast_loss: f64,
}

#[derive(Serialize)]
struct Sent<'a> {
    cluster: &'a str,
    from: &'a NodeId,
    at: &'a Address,
    #[serde(flatten)]
    message: &'a Message,
}

#[derive(Deserialize)]
struct Received {
    cluster: String,
    from: NodeId,
    at: Address,
    #[serde(flatten)]
    message: Message,
}

/// The UDP sockets of a node.
#[derive(Debug)]
pub(super) struct Udp {
    me: NodeId,
    at: Address,
    cluster: String,
    discovery: Option<(Arc<UdpSocket>, SocketAddr)>,
    multicast: Option<(Arc<UdpSocket>, Option<SocketAddr>)>,
    refused: Arc<Refused>,
    tasks: Vec<tokio::task::AbortHandle>,
}

/// Whose socket could not be had.
#[derive(Debug)]
pub(super) enum UdpError {
    Broadcast(u16, io::Error),
    Multicast(SocketAddr, io::Error),
}

/// Where what is heard goes.
#[derive(Debug, Clone)]
pub(super) struct Ears {
    pub(super) me: NodeId,
    pub(super) known: Known,
    pub(super) members: mpsc::Sender<Envelope>,
    pub(super) strangers: mpsc::Sender<super::Heard>,
    pub(super) refused: Arc<Refused>,
}

impl Udp {
    /// Opens what `datagrams` asks for. `listens` is where TCP listens, `at` where others reach this node, and
    /// `reached` the IP address of that.
    pub(super) fn open(
        datagrams: &Datagrams,
        listens: SocketAddr,
        (at, reached): (&Address, IpAddr),
        ears: &Ears,
        rng: Pcg64Mcg,
    ) -> Result<Self, UdpError> {
        let mut udp = Self {
            me: ears.me.clone(),
            at: at.clone(),
            cluster: datagrams.cluster.clone(),
            discovery: None,
            multicast: None,
            refused: Arc::clone(&ears.refused),
            tasks: Vec::new(),
        };
        if let Some(port) = datagrams.broadcast_port {
            let socket = discovery_socket(port).map_err(|error| UdpError::Broadcast(port, error))?;
            // The limited broadcast does not leave through loopback.
            let target = if reached.is_loopback() { Ipv4Addr::new(127, 255, 255, 255) } else { Ipv4Addr::BROADCAST };
            // It leaves by the interface that has the sender's address.
            let sender = match reached {
                IpAddr::V4(ip) => sending_socket(ip),
                IpAddr::V6(_) => sending_socket(Ipv4Addr::UNSPECIFIED),
            };
            let sender = sender.map_err(|error| UdpError::Broadcast(port, error))?;
            udp.tasks.push(tokio::spawn(hear_discovery(socket, udp.cluster.clone(), ears.clone())).abort_handle());
            udp.discovery = Some((Arc::new(sender), SocketAddr::from((target, port))));
        }
        let opened = match datagrams.multicast {
            Multicast::Off => None,
            Multicast::Peers => {
                let socket = StdSocket::bind(listens).and_then(adopted).map(Arc::new);
                let socket = socket.map_err(|error| UdpError::Multicast(listens, error))?;
                Some((Arc::clone(&socket), socket, None))
            }
            Multicast::Group(group) => {
                let target = SocketAddr::V4(group);
                let pair = group_sockets(group, reached).map_err(|error| UdpError::Multicast(target, error))?;
                Some((Arc::new(pair.0), Arc::new(pair.1), Some(target)))
            }
        };
        if let Some((sender, receiver, target)) = opened {
            let hearing = hear_multicast(receiver, udp.cluster.clone(), ears.clone(), datagrams.multicast_loss, rng);
            udp.tasks.push(tokio::spawn(hearing).abort_handle());
            udp.multicast = Some((sender, target));
        }
        Ok(udp)
    }

    /// Tells whoever is in the network.
    pub(super) fn broadcast(&self, message: &Message) {
        if let Some((socket, target)) = &self.discovery {
            let datagram = self.encode(message);
            // A network that is down loses it, as any network may.
            let _ = socket.try_send_to(&datagram, *target);
        }
    }

    /// Tells all peers at once. False when it is too large for a datagram, or there is no multicast.
    pub(super) fn multicast(&self, message: &Message, peers: impl Iterator<Item = SocketAddr>) -> bool {
        let Some((socket, group)) = &self.multicast else { return false };
        let datagram = self.encode(message);
        if datagram.len() > DATAGRAM_MAX {
            return false;
        }
        match group {
            Some(group) => {
                let _ = socket.try_send_to(&datagram, *group);
            }
            None => peers.for_each(|peer| {
                let _ = socket.try_send_to(&datagram, peer);
            }),
        }
        true
    }

    fn encode(&self, message: &Message) -> Vec<u8> {
        let sent = Sent { cluster: &self.cluster, from: &self.me, at: &self.at, message };
        serde_json::to_vec(&sent).expect("a message has text keys and plain values only")
    }

    pub(super) fn refused(&self) -> &Refused {
        &self.refused
    }
}

impl Drop for Udp {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// The port of discovery, shared with every other node of this machine: each gets a copy of every broadcast.
fn discovery_socket(port: u16) -> io::Result<UdpSocket> {
    shared_socket(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port))
}

fn shared_socket(at: SocketAddrV4) -> io::Result<UdpSocket> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket::socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    socket::bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &SockaddrIn::from(at))?;
    adopted(StdSocket::from(socket))
}

fn sending_socket(ip: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = StdSocket::bind((ip, 0)).or_else(|_| StdSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
    socket.set_broadcast(true)?;
    adopted(socket)
}

/// A sender and a receiver.
fn group_sockets(group: SocketAddrV4, reached: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
    let interface = match reached {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    };
    // Bound to the group, it hears nothing else that comes to this port.
    let receiver = shared_socket(group)?;
    receiver.join_multicast_v4(*group.ip(), interface)?;
    let sender = StdSocket::bind((interface, 0)).or_else(|_| StdSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
    Ok((adopted(sender)?, receiver))
}

fn adopted(socket: StdSocket) -> io::Result<UdpSocket> {
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

async fn hear_discovery(socket: UdpSocket, cluster: String, ears: Ears) {
    let mut buffer = vec![0; 65_536];
    loop {
        // An error here is about something that was sent earlier.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        match received(&buffer[..length], &cluster, &ears.me) {
            Ok(Some(Received { from, message: message @ Message::NewPeerRequest { .. }, .. })) => {
                let envelope = Envelope { from, to: ears.me.clone(), message };
                // Whoever floods the port must not cost memory; it is asked again and again.
                let _ = ears.strangers.try_send(super::Heard::Message(envelope));
            }
            Ok(Some(_)) => ears.refused.ignore(from, "a broadcast that is no NEW_PEER_REQUEST"),
            Ok(None) => {}
            Err(error) => ears.refused.ignore(from, format_args!("a broadcast that is no message: {error}")),
        }
        tokio::task::coop::consume_budget().await;
    }
}

async fn hear_multicast(socket: Arc<UdpSocket>, cluster: String, ears: Ears, loss: f64, mut rng: Pcg64Mcg) {
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        if loss > 0.0 && share(&mut rng) < loss {
            continue;
        }
        match received(&buffer[..length], &cluster, &ears.me) {
            Ok(Some(Received { from: sender, at, message: message @ Message::Ordered { .. }, .. })) => {
                // One that is not known yet is nothing wrong. A node that is behind gets the same over TCP.
                if ears.known.is_at(&sender, &at) {
                    let envelope = Envelope { from: sender, to: ears.me.clone(), message };
                    let _ = ears.members.try_send(envelope);
                }
            }
            Ok(Some(_)) => ears.refused.ignore(from, "a datagram that is no ORDERED"),
            Ok(None) => {}
            Err(error) => ears.refused.ignore(from, format_args!("a datagram that is no message: {error}")),
        }
        tokio::task::coop::consume_budget().await;
    }
}

/// Uniform in [0, 1).
fn share(rng: &mut Pcg64Mcg) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Nothing for another cluster's, and for what this node has sent itself.
fn received(datagram: &[u8], cluster: &str, me: &NodeId) -> Result<Option<Received>, String> {
    let received: Received = serde_json::from_slice(datagram).map_err(|error| shortened(&error.to_string()))?;
    Ok(Some(received).filter(|received| received.cluster == cluster && received.from != *me))
}

/// It goes to a log.
fn shortened(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect()
}
