//! Links, addresses and routes by raw rtnetlink (RFC 3549, rtnetlink(7)): six messages.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const REQUEST_AND_ACK: u16 = 1 | 4;
const CREATE: u16 = 0x200 | 0x400;
const ERROR: u16 = 2;
const HEADER_BYTES: usize = 16;

/// Up, as a flag of a link.
const UP: u32 = 1;
/// Up, and what is at its other end too: frames pass.
const RUNNING: u32 = 0x40;

/// A socket that speaks about the network namespace in which it was made, wherever it is used.
#[derive(Debug)]
pub(super) struct Netlink(OwnedFd);

/// One request.
pub(super) struct Message(Vec<u8>);

impl Netlink {
    pub(super) fn new() -> nix::Result<Self> {
        let kind = SockType::Raw;
        socket(AddressFamily::Netlink, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute).map(Self)
    }

    /// Sends a request and waits for the kernel's answer, which comes at once.
    pub(super) fn ask(&self, message: Message) -> nix::Result<()> {
        match self.exchange(message)? {
            (ERROR, answer) if number(&answer, 0) == Some(0) => Ok(()),
            (kind, answer) => Err(reason(kind, &answer)),
        }
    }

    /// True if frames pass over a link. (Asked this way, the kernel first does what it has put off about the link.)
    pub(super) fn is_running(&self, index: u32) -> nix::Result<bool> {
        const FLAGS: usize = 8;
        match self.exchange(Message::about(index))? {
            (NEW_LINK, answer) => number(&answer, FLAGS).map(|flags| flags & RUNNING != 0).ok_or(Errno::EBADMSG),
            (kind, answer) => Err(reason(kind, &answer)),
        }
    }

    /// Sends a request; gives the kind of the answer and what follows its header, of which the end may be cut off.
    fn exchange(&self, message: Message) -> nix::Result<(u16, Vec<u8>)> {
        let mut bytes = message.0;
        let length = u32::try_from(bytes.len()).expect("messages are short");
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        send(self.0.as_raw_fd(), &bytes, MsgFlags::empty())?;
        let mut answer = vec![0; 4096];
        let length = loop {
            match recv(self.0.as_raw_fd(), &mut answer, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                result => break result?,
            }
        };
        answer.truncate(length);
        let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
        let rest = answer.get(HEADER_BYTES..).map(<[u8]>::to_vec);
        kind.zip(rest).ok_or(Errno::EBADMSG)
    }
}

impl From<OwnedFd> for Netlink {
    fn from(socket: OwnedFd) -> Self {
        Self(socket)
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Message {
    /// Asks about a link. The answer is no mere yes.
    fn about(index: u32) -> Self {
        const REQUEST: u16 = 1;
        let mut message = Self::new(GET_LINK, 0, &link(index, 0, 0));
        message.0[6..8].copy_from_slice(&REQUEST.to_ne_bytes());
        message
    }

    /// Sets a link up or down.
    pub(super) fn set_up(index: u32, is_up: bool) -> Self {
        Self::new(NEW_LINK, 0, &link(index, if is_up { UP } else { 0 }, UP))
    }

    /// Gives a link its properties and sets it up.
    pub(super) fn configure(index: u32, mac: [u8; 6], mtu: u32, queue: u32) -> Self {
        let mut message = Self::new(NEW_LINK, 0, &link(index, UP, UP));
        message.attribute(libc::IFLA_ADDRESS, &mac);
        message.attribute(libc::IFLA_MTU, &mtu.to_ne_bytes());
        message.attribute(libc::IFLA_TXQLEN, &queue.to_ne_bytes());
        message
    }

    /// Keeps a link from giving itself an address.
    pub(super) fn no_address(index: u32) -> Self {
        const AF_INET6: u16 = 10;
        const ADDRESS_MODE: u16 = 8;
        const NONE: [u8; 1] = [1];
        let mut message = Self::new(NEW_LINK, 0, &link(index, 0, 0));
        message.nest(libc::IFLA_AF_SPEC, |message| {
            message.nest(AF_INET6, |message| message.attribute(ADDRESS_MODE, &NONE));
        });
        message
    }

    /// Makes a pair of devices: one here, and one called eth0 in another network namespace.
    pub(super) fn pair(name: &str, mtu: u32, there: &impl AsFd) -> Self {
        let there = there.as_fd().as_raw_fd().unsigned_abs();
        let mut message = Self::new(NEW_LINK, CREATE, &link(0, 0, 0));
        message.attribute(libc::IFLA_IFNAME, &terminated(name));
        message.attribute(libc::IFLA_MTU, &mtu.to_ne_bytes());
        message.nest(libc::IFLA_LINKINFO, |message| {
            message.attribute(libc::IFLA_INFO_KIND, b"veth");
            message.nest(libc::IFLA_INFO_DATA, |message| {
                const PEER: u16 = 1;
                message.nest(PEER, |message| {
                    message.raw(&link(0, 0, 0));
                    message.attribute(libc::IFLA_IFNAME, &terminated("eth0"));
                    message.attribute(libc::IFLA_MTU, &mtu.to_ne_bytes());
                    message.attribute(libc::IFLA_NET_NS_FD, &there.to_ne_bytes());
                });
            });
        });
        message
    }

    /// Gives a link an address, usable at once.
    pub(super) fn address(index: u32, address: IpAddr, prefix: u8) -> Self {
        const NO_DUPLICATE_DETECTION: u8 = 2;
        let (family, bytes) = wire(address);
        let mut header = [family, prefix, 0, 0, 0, 0, 0, 0];
        if address.is_ipv6() {
            header[2] = NO_DUPLICATE_DETECTION;
        }
        header[4..].copy_from_slice(&index.to_ne_bytes());
        let mut message = Self::new(NEW_ADDRESS, CREATE, &header);
        message.attribute(libc::IFA_LOCAL, &bytes);
        message.attribute(libc::IFA_ADDRESS, &bytes);
        if let IpAddr::V4(address) = address {
            let broadcast = u32::from(address) | u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
            message.attribute(libc::IFA_BROADCAST, &Ipv4Addr::from(broadcast).octets());
        }
        message
    }

    /// Sends everything that has no other way over a link: multicast and the limited broadcast too.
    pub(super) fn default_route(index: u32, is_ip6: bool) -> Self {
        const MAIN_TABLE: u8 = 254;
        const BOOT: u8 = 3;
        const LINK_SCOPE: u8 = 253;
        const UNICAST: u8 = 1;
        let family = if is_ip6 { libc::AF_INET6 } else { libc::AF_INET };
        let scope = if is_ip6 { 0 } else { LINK_SCOPE };
        let family = u8::try_from(family).expect("families are small");
        let mut message =
            Self::new(NEW_ROUTE, CREATE, &[family, 0, 0, 0, MAIN_TABLE, BOOT, scope, UNICAST, 0, 0, 0, 0]);
        message.attribute(libc::RTA_OIF, &index.to_ne_bytes());
        message
    }

    fn new(kind: u16, flags: u16, header: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | REQUEST_AND_ACK).to_ne_bytes());
        let mut message = Self(bytes);
        message.raw(header);
        message
    }

    /// Everything begins at a multiple of four.
    fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(value.len() + 4).expect("attributes are short");
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.raw(value);
    }

    fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.attribute(kind, &[]);
        fill(self);
        let length = u16::try_from(self.0.len() - start).expect("attributes are short");
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }
}

/// A number in an answer.
fn number(answer: &[u8], at: usize) -> Option<u32> {
    answer.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

/// Why there is no other answer.
fn reason(kind: u16, answer: &[u8]) -> Errno {
    match number(answer, 0) {
        Some(code) if kind == ERROR => Errno::from_raw(code.cast_signed().wrapping_neg()),
        _ => Errno::EBADMSG,
    }
}

/// The header of a message about a link.
fn link(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..].copy_from_slice(&change.to_ne_bytes());
    header
}

fn terminated(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

fn wire(address: IpAddr) -> (u8, Vec<u8>) {
    let (family, bytes) = match address {
        IpAddr::V4(address) => (libc::AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6, address.octets().to_vec()),
    };
    (u8::try_from(family).expect("families are small"), bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_nested_ones_count_their_contents() {
        let mut message = Message::new(NEW_LINK, 0, &[]);
        message.nest(7, |message| message.attribute(3, b"veth0"));
        let nest = 4_u16 + 4 + 8;
        let expected = [nest.to_ne_bytes(), 7_u16.to_ne_bytes(), 9_u16.to_ne_bytes(), 3_u16.to_ne_bytes()].concat();
        assert_eq!(message.0[HEADER_BYTES..HEADER_BYTES + 8], expected);
        assert_eq!(&message.0[HEADER_BYTES + 8..], b"veth0\0\0\0");
    }

    #[test]
    fn the_kernel_answers_with_its_reason() {
        let netlink = Netlink::new().unwrap();
        let nowhere = netlink.ask(Message::set_up(u32::MAX / 2, true));
        // Who may not ask learns only that.
        assert!(matches!(nowhere, Err(Errno::ENODEV | Errno::EPERM)), "{nowhere:?}");
        // About a link everybody may ask.
        assert_eq!(netlink.is_running(u32::MAX / 2), Err(Errno::ENODEV));
        const LOOPBACK: u32 = 1;
        let flags = std::fs::read_to_string("/sys/class/net/lo/flags").unwrap();
        let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).unwrap();
        assert_eq!(netlink.is_running(LOOPBACK), Ok(flags & UP != 0));
    }
}
