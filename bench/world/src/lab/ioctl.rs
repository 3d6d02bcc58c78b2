//! The few ioctls and socket options of network devices that nix does not wrap.
#![expect(unsafe_code, reason = "ioctls have no safe wrapper")]

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// The kernel's `struct ifreq`: a name and a union of 24 bytes.
#[repr(C)]
struct Request<T> {
    name: [u8; libc::IFNAMSIZ],
    value: T,
    rest: [u64; 2],
}

impl<T> Request<T> {
    fn new(name: &str, value: T) -> Self {
        let mut bytes = [0; libc::IFNAMSIZ];
        // The last byte stays the end.
        for (to, from) in bytes[..libc::IFNAMSIZ - 1].iter_mut().zip(name.as_bytes()) {
            *to = *from;
        }
        Self { name: bytes, value, rest: [0; 2] }
    }
}

/// Makes an open `/dev/net/tun` the other end of a new Ethernet device in the network namespace in which it was opened. Frames come as
/// they are on the wire; or with `offloads`, with what is left to do on them before them.
pub(super) fn become_tap(tun: &OwnedFd, name: &str, offloads: bool) -> nix::Result<()> {
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | if offloads { libc::IFF_VNET_HDR } else { 0 };
    // A short in the first two bytes of the union.
    let [low, high] = u16::try_from(flags).expect("two bytes of flags").to_ne_bytes();
    let mut request = Request::new(name, [low, high, 0, 0, 0, 0, 0, 0]);
    ioctl(tun, libc::TUNSETIFF, &mut request)?;
    if offloads {
        const SET_OFFLOAD: libc::Ioctl = 0x4004_54d0;
        // TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6. A kernel that knows less does the work itself, and then nothing is left to do.
        // SAFETY: this request takes a number.
        let _ = unsafe { libc::ioctl(tun.as_raw_fd(), SET_OFFLOAD, 7) };
    }
    // It goes with its network namespace, together with all others; if it went with the descriptor, each alone would take 30 ms.
    const SET_PERSIST: libc::Ioctl = 0x4004_54cb;
    // SAFETY: this request takes a number.
    Errno::result(unsafe { libc::ioctl(tun.as_raw_fd(), SET_PERSIST, 1) }).map(drop)
}

/// Plugs the cable of a TAP device in or out: its owner sees the carrier come or go.
pub(super) fn set_carrier(tap: &OwnedFd, is_on: bool) -> nix::Result<()> {
    const SET_CARRIER: libc::Ioctl = 0x4004_54e2;
    ioctl(tap, SET_CARRIER, &mut libc::c_int::from(is_on))
}

/// Turns off what a device does for packets instead of the kernel. Else the far end of a packet socket would see packets of 64 KB and
/// without checksums.
pub(super) fn no_offloads(name: &str) -> nix::Result<()> {
    const ETHTOOL: libc::Ioctl = 0x8946;
    const SET_TSO: u32 = 0x1f;
    const SET_GSO: u32 = 0x24;
    const SET_GRO: u32 = 0x2c;
    const SET_TX_CHECKSUM: u32 = 0x17;
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    for command in [SET_TSO, SET_GSO, SET_GRO, SET_TX_CHECKSUM] {
        let mut setting = [command, 0];
        ioctl(&socket, ETHTOOL, &mut Request::new(name, setting.as_mut_ptr()))?;
    }
    Ok(())
}

/// Makes a packet socket hear and speak on one device, and nothing but what comes from the other side.
pub(super) fn bind_packets(socket: &OwnedFd, index: u32, queue_bytes: libc::c_int) -> nix::Result<()> {
    const IGNORE_OUTGOING: libc::c_int = 23;
    set(socket, libc::SOL_PACKET, IGNORE_OUTGOING, 1)?;
    // A moment less per frame; not worth a failure.
    let _ = set(socket, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1);
    // As long as the system allows.
    let _ = set(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, queue_bytes);
    let _ = set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, queue_bytes);
    let all = u16::try_from(libc::ETH_P_ALL).expect("two bytes").to_be();
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).expect("families are small"),
        sll_protocol: all,
        sll_ifindex: i32::try_from(index).map_err(|_| Errno::ENODEV)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).expect("it is small");
    // SAFETY: the address lives until the call returns and is as long as said.
    Errno::result(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) }).map(drop)
}

fn set(socket: &OwnedFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> nix::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("it is small");
    // SAFETY: the value lives until the call returns and is as long as said.
    let done = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), length) };
    Errno::result(done).map(drop)
}

fn ioctl<T>(fd: &impl AsFd, request: libc::Ioctl, value: &mut T) -> nix::Result<()> {
    // SAFETY: every caller passes what its request reads and writes: an ifreq of full length, or an int.
    Errno::result(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), request, std::ptr::from_mut(value)) }).map(drop)
}
