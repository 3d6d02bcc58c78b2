//! What a laboratory shall be.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::identity::Owner;

/// A laboratory to be built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabSpec {
    /// The machines of the nodes, in plan order.
    pub endpoints: Vec<EndpointSpec>,
    /// The bench's own machine, for clients and helper programs that belong to no node.
    pub bench: EndpointSpec,
    /// How many bits of an IPv4 address name the network.
    pub prefix: u8,
    /// Longest IP packet on a link, in bytes.
    pub mtu: u32,
    /// Lines for `/etc/hosts`, besides one for each endpoint.
    pub hosts: Vec<String>,
    /// What carries frames between a machine and the switch.
    pub link: LinkKind,
    /// Lets machines leave checksums and the cutting of long segments to their card, if that is a TAP device. What is left to do then stands
    /// before each frame, and the switch must know that.
    pub offloads: bool,
    /// Whom programs run as that name no user, if dsbench was started as root. None: they stay root within the laboratory.
    pub root_user: Option<super::User>,
    /// Directories that programs must see even where machines have a private one above them (`/run`, `/dev/shm`).
    pub visible: Vec<PathBuf>,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSpec {
    /// What it is called in the scenario.
    pub name: String,
    /// Its own name for itself.
    pub hostname: String,
    /// The address of its eth0.
    pub ip4: Ipv4Addr,
    /// The same in IPv6, in a network of 64 bits.
    pub ip6: Ipv6Addr,
    /// The hardware address of its eth0.
    pub mac: [u8; 6],
}

/// What carries frames between a machine and the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkKind {
    /// A TAP device: fast, and nothing is lost unseen. Needs `/dev/net/tun`.
    Tap,
    /// A pair of virtual Ethernet devices, and a packet socket at the switch's end.
    Packet,
    /// A TAP device where that is allowed, else the pair.
    Any,
}

impl LabSpec {
    /// All machines: the nodes', then the bench's.
    pub(crate) fn all(&self) -> impl Iterator<Item = &EndpointSpec> {
        self.endpoints.iter().chain([&self.bench])
    }

    /// Whom a program runs as that names nobody; none for the user who started dsbench.
    pub(crate) fn usual_owner(&self) -> Option<&Owner> {
        self.root_user.as_ref().map(super::User::owner).filter(|_| nix::unistd::geteuid().is_root())
    }
}
