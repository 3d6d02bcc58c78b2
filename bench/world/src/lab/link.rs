//! A machine's eth0 and what is at its other end.

use std::fs::OpenOptions;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::ioctl;
use super::netlink::{Message, Netlink};
use super::spec::EndpointSpec;
use crate::clock::Monotonic;

/// Frames that a machine's device keeps while the switch is busy. (At 1000, one TCP stream loses some.)
const QUEUE_FRAMES: u32 = 10_000;
/// The same for a packet socket, in bytes.
const QUEUE_BYTES: libc::c_int = 8 << 20;

/// Makes eth0 as a TAP device in this network namespace, not yet configured. Born here: moving it here later would take 30 ms.
pub(super) fn tap(offloads: bool) -> nix::Result<OwnedFd> {
    let tun = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun");
    let tun = OwnedFd::from(tun.map_err(errno_of)?);
    ioctl::become_tap(&tun, "eth0", offloads)?;
    Ok(tun)
}

/// Makes pairs of devices, whose one end each is in a network namespace of the switch's own.
pub(super) struct Pairs {
    netns: OwnedFd,
    netlink: Netlink,
}

impl Pairs {
    /// In this network namespace, where nothing else may be.
    pub(super) fn here(netns: OwnedFd) -> nix::Result<Self> {
        super::sysctl::mute();
        Ok(Self { netns, netlink: Netlink::new()? })
    }

    /// Makes eth0 in the network namespace `there`, in which this process is, and a packet socket on its other end; with the index of
    /// that.
    pub(super) fn add(&self, number: usize, mtu: u32, there: &OwnedFd) -> nix::Result<(OwnedFd, u32)> {
        setns(&self.netns, CloneFlags::CLONE_NEWNET)?;
        let made = self.make(number, mtu, there);
        setns(there, CloneFlags::CLONE_NEWNET)?;
        let made = made?;
        ioctl::no_offloads("eth0")?;
        Ok(made)
    }

    fn make(&self, number: usize, mtu: u32, there: &OwnedFd) -> nix::Result<(OwnedFd, u32)> {
        let name = format!("port{number}");
        self.netlink.ask(Message::pair(&name, mtu, there))?;
        let index = if_nametoindex(name.as_str())?;
        ioctl::no_offloads(&name)?;
        // Refused where IPv6 is switched off already: by a setting above, or altogether.
        let _ = self.netlink.ask(Message::no_address(index));
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        // Of no protocol yet, so that nothing comes before it knows its device.
        let socket = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
        self.netlink.ask(Message::set_up(index, true))?;
        ioctl::bind_packets(&socket, index, QUEUE_BYTES)?;
        Ok((socket, index))
    }

    /// Waits until frames pass over the switch's end of this index, as [`settle`] does at the other.
    pub(super) fn settle(&self, index: u32) -> nix::Result<()> {
        until_running(&self.netlink, index)
    }

    /// A socket that speaks about the switch's ends.
    pub(super) fn netlink(&self) -> &Netlink {
        &self.netlink
    }
}

/// Configures the loopback device and eth0 of this network namespace. False if there is no IPv6 here.
pub(super) fn configure(spec: &EndpointSpec, prefix: u8, mtu: u32) -> nix::Result<bool> {
    const LOOPBACK: u32 = 1;
    const PREFIX_IP6: u8 = 64;
    let netlink = Netlink::new()?;
    let eth0 = if_nametoindex("eth0")?;
    netlink.ask(Message::set_up(LOOPBACK, true))?;
    netlink.ask(Message::configure(eth0, spec.mac, mtu, QUEUE_FRAMES))?;
    netlink.ask(Message::address(eth0, IpAddr::V4(spec.ip4), prefix))?;
    netlink.ask(Message::default_route(eth0, false))?;
    match netlink.ask(Message::address(eth0, IpAddr::V6(spec.ip6), PREFIX_IP6)) {
        // Switched off in this kernel.
        Err(Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT | Errno::EACCES) => return Ok(false),
        result => result?,
    }
    netlink.ask(Message::default_route(eth0, true))?;
    Ok(true)
}

/// Waits until frames pass over eth0 of this network namespace.
///
/// One end of a pair of devices learns late, up to a second later, that the other is up. Until then eth0 has no carrier for programs that
/// look, and frames may be lost.
pub(super) fn settle() -> nix::Result<()> {
    until_running(&Netlink::new()?, if_nametoindex("eth0")?)
}

fn until_running(netlink: &Netlink, index: u32) -> nix::Result<()> {
    const LONGEST: Duration = Duration::from_secs(10);
    const BETWEEN_LOOKS: Duration = Duration::from_millis(2);
    let since = Monotonic::now();
    while !netlink.is_running(index)? {
        if Monotonic::now().since(since) > LONGEST {
            return Err(Errno::ENETDOWN);
        }
        std::thread::park_timeout(BETWEEN_LOOKS);
    }
    Ok(())
}

fn errno_of(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
