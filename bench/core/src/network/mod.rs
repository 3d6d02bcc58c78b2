//! What the network does to frames: rules on directed links, and what they did.
//!
//! A network fault is data. The rules in force form one set, which is replaced as a whole: there is no instant between two sets. What
//! becomes of one frame follows from the seed, the link, the frame's index on that link and the rule, and from nothing else.

mod calendar;
mod chance;
mod checksum;
mod coalesce;
mod corrupt;
mod effect;
mod fabric;
mod fate;
pub mod frames;
mod harm;
mod head;
mod in_force;
mod layout;
pub mod messages;
mod neighbours;
mod offload;
mod paths;
pub mod pcapng;
mod reach;
mod reset;
mod rule;
mod shape;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod too_big;
mod wiring;

use std::collections::BTreeSet;
use std::time::Duration;

pub use harm::Harm;
pub use in_force::InForce;
pub use layout::{Layout, Machine, Subnet};
pub use paths::Paths;
pub use reach::cut_off;
use serde::{Deserialize, Serialize};
pub use shape::{SMALLEST_RING, bridge, halves, ring};

use crate::observation::Name;

pub use coalesce::{Coalesced, DATAGRAMS_MAX};
pub use fabric::{Endpoint, Fabric, Passage, Wire};
pub use fate::{Did, Note};
pub use head::{ETHERNET_BYTES, Head, IpHead, Mac, TcpHead, Transport};
pub use offload::{OFFLOAD_BYTES, Offload};
pub use wiring::{ReadyRules, Wiring};

/// One direction between two endpoints: what `from` sends and `to` would get.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Link {
    /// Who sends.
    pub from: Name,
    /// Who would get it.
    pub to: Name,
}

/// All the rules in force, in the order in which they apply to a frame.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleSet {
    /// The rules. A frame passes each that has its link and whose filter it meets; the first that drops it ends its way.
    pub rules: Vec<Rule>,
}

/// One fault on some links.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The observation number of the action that made it. It names the rule in counters, packets and reports, and keys its choices.
    pub id: u64,
    /// Where it is in force.
    pub links: BTreeSet<Link>,
    /// Which frames it is for; none for all.
    pub only: Option<Filter>,
    /// What it does to them.
    pub effect: Effect,
}

/// What a rule does to the frames that it matches. The default does nothing. Probabilities are from 0 to 1, per frame.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effect {
    /// Drops every frame: a partition.
    pub cut: bool,
    /// Drops frames.
    pub loss: Option<Loss>,
    /// Delivers a frame twice.
    pub duplicate: f64,
    /// Lets a frame be overtaken by the next one, two or three that pass the link, if they do within 50 ms.
    pub reorder: f64,
    /// Changes a bit of a frame.
    pub corrupt: Option<Corrupt>,
    /// Delivers frames later.
    pub delay: Option<Delay>,
    /// Delivers no more than this.
    pub rate: Option<Rate>,
    /// Drops IP packets that are longer, in bytes, and tells the sender so (ICMP "fragmentation needed", "packet too big").
    pub mtu: Option<u32>,
    /// Answers TCP segments with a reset to both sides instead of delivering them.
    pub reset: bool,
}

/// Frames are lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// How much of all frames, in the long run.
    pub share: f64,
    /// The mean number of frames that are lost in a row; 1 is random loss. (Gilbert's model.)
    pub burst: f64,
}

/// Frames are changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Corrupt {
    /// How many.
    pub share: f64,
    /// Who sees it.
    pub seen_by: SeenBy,
}

/// Where a corruption is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeenBy {
    /// On the wire: the kernel finds a wrong checksum and drops the packet.
    Kernel,
    /// In the payload, with the checksum repaired: the program gets wrong bytes.
    Program,
}

/// Frames are late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// The middle.
    pub mean: Duration,
    /// Each frame's own delay lies between `mean - jitter` (at least 0) and `mean + jitter`, evenly. Frames of one link keep their order
    /// unless `reorder` says otherwise.
    pub jitter: Duration,
}

/// A link has a bandwidth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Bits per second, of whole frames.
    pub bits_per_second: u64,
    /// How many bytes may wait; what comes when they do is dropped.
    pub queue_bytes: u64,
}

/// Which frames a rule is for. All that is given must be so.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The protocol.
    pub protocol: Option<Protocol>,
    /// A TCP or UDP port, of either side.
    pub port: Option<u16>,
    /// What the payload (above TCP, UDP or ICMP) must have in it.
    pub payload: Option<regex::bytes::Regex>,
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        let text = |filter: &Self| filter.payload.as_ref().map(|payload| payload.as_str().to_owned());
        (self.protocol, self.port, text(self)) == (other.protocol, other.port, text(other))
    }
}

/// Protocols that a filter can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP over IPv4 or IPv6.
    Tcp,
    /// UDP over IPv4 or IPv6.
    Udp,
    /// ICMP and ICMPv6.
    Icmp,
}

/// What went over the links, and what the rules did, since the network began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// One for each link that saw a frame.
    pub links: Vec<LinkTraffic>,
    /// One for each rule that was ever in force.
    pub rules: Vec<RuleTraffic>,
    /// Frames that the bench itself could not carry (a full queue of the system). They are the bench's fault, not the cluster's.
    #[serde(default)]
    pub overruns: u64,
    /// Frames that claimed to be from another endpoint. They were not carried.
    #[serde(default)]
    pub forged: u64,
    /// Frames for nobody, or too short for a header.
    #[serde(default)]
    pub stray: u64,
    /// Frames from and to endpoints that were unplugged.
    #[serde(default)]
    pub unplugged: u64,
    /// Packets and messages that are in no record, because the disk was too slow or full.
    #[serde(default)]
    pub unrecorded: u64,
}

/// What went over one link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkTraffic {
    /// Which.
    #[serde(flatten)]
    pub link: Link,
    /// Frames that were sent over it.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames that never came, because of a rule.
    pub dropped: u64,
}

/// What one rule did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleTraffic {
    /// Which.
    pub rule: u64,
    /// Frames on its links that its filter met.
    pub matched: u64,
    /// Of them, dropped by it.
    pub dropped: u64,
    /// Delivered late because of it.
    pub delayed: u64,
    /// Delivered twice.
    pub duplicated: u64,
    /// Overtaken.
    pub reordered: u64,
    /// Changed.
    pub corrupted: u64,
    /// Connections that it reset.
    pub reset: u64,
}

impl RuleTraffic {
    /// True if it did something to a frame.
    pub fn acted(&self) -> bool {
        [self.dropped, self.delayed, self.duplicated, self.reordered, self.corrupted, self.reset].iter().any(|n| *n > 0)
    }
}
