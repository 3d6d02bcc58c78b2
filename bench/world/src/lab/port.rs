//! The switch's end of a machine's eth0.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use dsbench_core::observation::Name;

use super::ioctl;
use super::netlink::{Message, Netlink};

/// One port of the switch: a descriptor from which each read gives one frame, and to which each write sends one. It never blocks.
pub struct Port {
    /// Whose.
    pub name: Name,
    /// The descriptor.
    pub fd: OwnedFd,
    /// What it is.
    pub kind: PortKind,
    /// The hardware address at the other end.
    pub mac: [u8; 6],
    /// The address there.
    pub ip4: Ipv4Addr,
    /// The address there in IPv6.
    pub ip6: Ipv6Addr,
}

/// What a port is.
#[derive(Clone)]
pub enum PortKind {
    /// A TAP device: `read` and `write`.
    Tap,
    /// A packet socket on one end of a pair of devices: `recv` and `send` work too, and many frames at once by `recvmmsg` and `sendmmsg`.
    Packet(Cable),
}

/// The switch's end of a pair of devices, as the kernel knows it.
#[derive(Clone)]
pub struct Cable {
    pub(super) index: u32,
    pub(super) netlink: Arc<Netlink>,
}

impl Port {
    /// Plugs the cable in or out. The other side sees it: NO-CARRIER.
    ///
    /// # Errors
    /// If the system refuses, or the machine is gone.
    pub fn plug(&self, is_in: bool) -> io::Result<()> {
        Ok(match &self.kind {
            PortKind::Tap => ioctl::set_carrier(&self.fd, is_in)?,
            PortKind::Packet(Cable { index, netlink }) => netlink.ask(Message::set_up(*index, is_in))?,
        })
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("name", &self.name).field("kind", &self.kind).field("fd", &self.fd).finish()
    }
}

impl fmt::Debug for PortKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tap => f.write_str("Tap"),
            Self::Packet(Cable { index, .. }) => write!(f, "Packet({index})"),
        }
    }
}

impl fmt::Debug for Cable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cable({})", self.index)
    }
}
