//! Looking for a chat on a range of ports: whoever answers `STATUS` as a member of one is in it.
//!
//! The ports of a machine are everybody's. So it is told which chat is joined, and where there is more than one, none is: the person
//! says which.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use dsbench_wire::{Endpoint, MAX_LINE, NodeId};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::config::{self, SettingsError};
use super::console::PEER_HELP;
use crate::emit::Log;
use crate::terminal::Terminal;

/// A peer of this machine or network answers at once.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_secs(1);
/// Ports that are tried at the same time.
const AT_ONCE: usize = 64;

/// Ports, the first and the last included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PortRange {
    first: u16,
    last: u16,
}

impl FromStr for PortRange {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Self, SettingsError> {
        let refused = || SettingsError::PortRange(format!("{text:?}"));
        let (first, last) = text.split_once('-').ok_or_else(refused)?;
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if 0 < first && first <= last => Ok(Self { first, last }),
            _ => Err(refused()),
        }
    }
}

/// Why no chat is joined.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScanError {
    #[error(
        "there is more than one chat on the ports {first} to {last}: {chats} (say which one is meant: --seed {seed})"
    )]
    Several { first: u16, last: u16, chats: String, seed: String },
    #[error("a peer {id} is in that chat already, at {place} (choose another --id)")]
    Taken { id: NodeId, place: Endpoint },
    #[error("failed to look for peers")]
    System(#[from] io::Error),
}

/// What came of looking.
pub(super) enum Looked {
    Found(BTreeMap<NodeId, Endpoint>),
    /// The person has left meanwhile.
    Left,
}

/// Who looks, and what for.
pub(super) struct Scan<'a> {
    pub(super) me: &'a NodeId,
    pub(super) listen: &'a Endpoint,
    pub(super) range: PortRange,
    /// It is in a chat already, or was told of one: one look must do, and what is found only helps.
    pub(super) is_settled: bool,
    pub(super) log: &'a Log,
    pub(super) screen: Option<&'a Log>,
}

impl Scan<'_> {
    /// Looks until there is a chat to join, and obeys the person meanwhile. What is typed to be sent is kept.
    pub(super) async fn run(&self, terminal: &mut Terminal) -> Result<Looked, ScanError> {
        let (mut terminated, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut looks = std::pin::pin!(self.looks());
        let mut kept = Vec::new();
        let looked = loop {
            tokio::select! {
                found = &mut looks => break Looked::Found(found?),
                Some(()) = terminated.recv() => break Looked::Left,
                Some(()) = interrupted.recv() => break Looked::Left,
                line = terminal.next() => match line.as_deref() {
                    None | Some("/quit" | "/leave") => break Looked::Left,
                    Some("") => {}
                    Some("/help") => self.answers(PEER_HELP),
                    Some(command) if command.starts_with('/') => self.answers(&format!("status role=looking {}", self.told())),
                    Some(text) => kept.push(text.to_owned()),
                }
            }
        };
        kept.into_iter().for_each(|line| terminal.give_back(line));
        Ok(looked)
    }

    fn told(&self) -> String {
        let PortRange { first, last } = self.range;
        format!("for a chat on the ports {first} to {last} of {}", self.listen.host())
    }

    fn answers(&self, text: &str) {
        self.screen.unwrap_or(self.log).answer(text);
    }

    fn tells(&self, text: &str) {
        self.log.info(text);
        if let Some(screen) = self.screen {
            screen.answer(format_args!("* {text}"));
        }
    }

    async fn looks(&self) -> Result<BTreeMap<NodeId, Endpoint>, ScanError> {
        let mut was_told = false;
        loop {
            let found = self.look().await;
            let chats = chats(&found);
            if let [chat] = &chats[..] {
                self.is_free(&found)?;
                let places = chat.iter().filter_map(|id| Some((id, &found.get(id)?.place)));
                let (mut peers, mut told) = (BTreeMap::new(), String::new());
                for (id, place) in places.filter(|(id, _)| *id != self.me) {
                    self.log.info(format_args!("found peer={id} address={place}"));
                    // A string takes everything.
                    let _ = write!(told, "{}{id} at {place}", if peers.is_empty() { "" } else { ", " });
                    peers.insert(id.clone(), place.clone());
                }
                if !self.is_settled {
                    self.tells(&format!(
                        "joins the chat of {told}, found on the ports {} to {}",
                        self.range.first, self.range.last
                    ));
                }
                return Ok(peers);
            }
            if self.is_settled {
                // Of several chats, it knows its own.
                return Ok(BTreeMap::new());
            }
            if let [_, _, ..] = &chats[..] {
                return Err(self.several(&found, &chats));
            }
            if !was_told {
                was_told = true;
                let PortRange { first, last } = self.range;
                let host = self.listen.host();
                self.tells(&format!(
                    "no peer on the ports {first} to {last} of {host} yet, looking on (the first peer is started without --port-range)"
                ));
            }
            sleep(PAUSE).await;
        }
    }

    /// One look at every port.
    async fn look(&self) -> BTreeMap<NodeId, Found> {
        let mut found = BTreeMap::new();
        let mut asking = JoinSet::new();
        let mut ports = (self.range.first..=self.range.last).filter(|&port| port != self.listen.port());
        loop {
            while asking.len() < AT_ONCE
                && let Some(port) = ports.next()
            {
                if let Ok(place) = Endpoint::new(self.listen.host(), port) {
                    asking.spawn(timeout(PATIENCE, asks(place)));
                }
            }
            match asking.join_next().await {
                Some(Ok(Ok(Some((id, peer))))) => {
                    found.insert(id, peer);
                }
                Some(_) => {}
                None => return found,
            }
        }
    }

    /// Whoever is new cannot be called what another peer of the chat is called.
    fn is_free(&self, found: &BTreeMap<NodeId, Found>) -> Result<(), ScanError> {
        let namesake = found.values().find_map(|peer| peer.nodes.get(self.me));
        match namesake.filter(|place| !self.is_settled && *place != self.listen) {
            Some(place) => Err(ScanError::Taken { id: self.me.clone(), place: place.clone() }),
            None => Ok(()),
        }
    }

    fn several(&self, found: &BTreeMap<NodeId, Found>, chats: &[BTreeSet<NodeId>]) -> ScanError {
        let one = |chat: &BTreeSet<NodeId>| {
            let member = |id: &NodeId| found.get(id).map(|peer| format!("{id} at {}", peer.place));
            chat.iter().filter_map(member).collect::<Vec<_>>().join(", ")
        };
        let seed = found.iter().next().map_or_else(String::new, |(id, peer)| format!("{id}:{}", peer.place));
        let PortRange { first, last } = self.range;
        ScanError::Several { first, last, chats: chats.iter().map(one).collect::<Vec<_>>().join("; and "), seed }
    }
}

/// A peer that is in a chat.
#[derive(Debug)]
struct Found {
    place: Endpoint,
    /// Whom it says to be in it.
    nodes: BTreeMap<NodeId, Endpoint>,
}

/// The chats, each by those of its peers who answered: two are in the same one when either says so.
fn chats(found: &BTreeMap<NodeId, Found>) -> Vec<BTreeSet<NodeId>> {
    let mut chats: Vec<BTreeSet<NodeId>> = Vec::new();
    for (id, peer) in found {
        let knows = |other: &NodeId| {
            let same = |node: &NodeId, at: &Found| {
                at.nodes.get(node).is_some_and(|place| found.get(node).is_some_and(|peer| peer.place == *place))
            };
            same(other, peer) || found.get(other).is_some_and(|other| same(id, other))
        };
        let (same, mut others): (Vec<_>, Vec<_>) = chats.into_iter().partition(|chat| chat.iter().any(knows));
        others.push(same.into_iter().flatten().chain([id.clone()]).collect());
        chats = others;
    }
    chats
}

#[derive(Deserialize)]
struct Status {
    node_id: u64,
    nodes: Vec<Place>,
}

#[derive(Deserialize)]
struct Place {
    node_id: u64,
    host: String,
    port: u16,
}

/// Who is there; nothing where it is nobody, or nobody who is in a chat.
async fn asks(place: Endpoint) -> Option<(NodeId, Found)> {
    let mut stream = TcpStream::connect((place.host(), place.port())).await.ok()?;
    stream.write_all(b"{\"type\":\"STATUS\"}\n").await.ok()?;
    let mut line = Vec::new();
    BufReader::new(stream).take(MAX_LINE as u64).read_until(b'\n', &mut line).await.ok()?;
    let Status { node_id, nodes } = serde_json::from_slice(&line).ok()?;
    let endpoint = |Place { node_id, host, port }| {
        let text = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        Some((config::number(node_id), text.parse().ok()?))
    };
    let nodes: BTreeMap<NodeId, Endpoint> = nodes.into_iter().filter_map(endpoint).collect();
    let id = config::number(node_id);
    // Who still looks for a chat is in none.
    nodes.contains_key(&id).then_some((id, Found { place, nodes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_two_ends() {
        assert_eq!("6001-6010".parse::<PortRange>().ok(), Some(PortRange { first: 6001, last: 6010 }));
        for wrong in ["", "6001", "6010-6001", "0-5", "6001-70000", "a-b"] {
            assert!(wrong.parse::<PortRange>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn chats_are_told_apart_by_who_knows_whom() {
        let place = |id: u16| format!("127.0.0.1:{}", 6000 + id).parse::<Endpoint>().unwrap();
        let name = |id: u16| config::number(id.into());
        let knows = |id: u16, nodes: &[u16]| {
            (name(id), Found { place: place(id), nodes: nodes.iter().map(|&id| (name(id), place(id))).collect() })
        };
        let found = |peers: &[(u16, &[u16])]| peers.iter().map(|(id, nodes)| knows(*id, nodes)).collect();
        let of = |peers: &[(u16, &[u16])]| {
            let mut sizes: Vec<usize> = chats(&found(peers)).iter().map(BTreeSet::len).collect();
            sizes.sort_unstable();
            sizes
        };
        assert_eq!(of(&[]), [] as [usize; 0]);
        assert_eq!(of(&[(1, &[1, 2, 3]), (2, &[1, 2]), (3, &[3, 1])]), [3]);
        assert_eq!(of(&[(1, &[1]), (2, &[2, 1]), (5, &[5])]), [1, 2]);
        let mut namesakes: BTreeMap<NodeId, Found> = found(&[(1, &[1, 2]), (2, &[2])]);
        namesakes.get_mut(&name(2)).unwrap().place = place(7);
        assert_eq!(chats(&namesakes).len(), 2, "another 2, elsewhere");
    }
}
