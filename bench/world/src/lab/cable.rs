//! The switch's end of a machine's eth0.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use dsbench_core::observation::Name;

use super::ioctl;
use super::netlink::{Message, Netlink};

/// One cable: each read of its descriptor gives a frame that the machine sends, each write sends it one. Neither ever waits.
pub struct Cable {
    /// Whose.
    pub name: Name,
    /// The descriptor.
    pub fd: OwnedFd,
    /// What it is.
    pub kind: CableKind,
    /// The hardware address at the machine's end.
    pub mac: [u8; 6],
    /// The addresses there, but for the link-local one.
    pub ips: Vec<IpAddr>,
    /// `/proc/net/dev` of the machine: what its kernel has dropped is counted there.
    pub statistics: OwnedFd,
}

/// What a cable is made of.
#[derive(Clone)]
pub enum CableKind {
    /// A TAP device: `read` and `write`.
    Tap,
    /// The same, with what is left to do on a frame before it: ten bytes (struct virtio_net_hdr).
    TapWithOffloads,
    /// A packet socket on one end of a pair of devices: `recv` and `send` work too, and many frames at once by `recvmmsg` and `sendmmsg`.
    Packet(Plug),
}

/// What pulls and plugs a cable that is no TAP device.
#[derive(Clone)]
pub struct Plug {
    pub(super) index: u32,
    pub(super) netlink: Arc<Netlink>,
}

impl Cable {
    /// Plugs the cable in or pulls it. The machine sees it: NO-CARRIER.
    ///
    /// # Errors
    /// If the system refuses, or the machine is gone.
    pub fn plug(&self, is_in: bool) -> io::Result<()> {
        match &self.kind {
            CableKind::Tap | CableKind::TapWithOffloads => Ok(ioctl::set_carrier(&self.fd, is_in)?),
            CableKind::Packet(plug) => plug.set(is_in),
        }
    }
}

impl Plug {
    /// Plugs in or pulls.
    ///
    /// # Errors
    /// If the system refuses, or the machine is gone.
    pub fn set(&self, is_in: bool) -> io::Result<()> {
        Ok(self.netlink.ask(Message::set_up(self.index, is_in))?)
    }
}

impl fmt::Debug for Cable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cable").field("name", &self.name).field("kind", &self.kind).field("fd", &self.fd).finish()
    }
}

impl fmt::Debug for CableKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tap => f.write_str("Tap"),
            Self::TapWithOffloads => f.write_str("TapWithOffloads"),
            Self::Packet(Plug { index, .. }) => write!(f, "Packet({index})"),
        }
    }
}

impl fmt::Debug for Plug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plug({})", self.index)
    }
}
