//! The headers of a frame, as far as rules, counters and records ask for them.
//!
//! By hand, because it is asked for every frame and only a dozen fields of it matter. A frame is data: whatever its bytes say about lengths
//! is believed only within its bounds, and what is not understood is carried like any other frame.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Protocol;

/// An Ethernet address.
pub type Mac = [u8; 6];

/// The length of an Ethernet header.
pub const ETHERNET_BYTES: usize = 14;
/// The EtherType of IPv4.
pub(super) const IPV4: u16 = 0x0800;
/// The EtherType of ARP.
pub(super) const ARP: u16 = 0x0806;
/// The EtherType of IPv6.
pub(super) const IPV6: u16 = 0x86dd;

/// IP protocol numbers.
pub(super) const ICMP: u8 = 1;
pub(super) const IGMP: u8 = 2;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ICMPV6: u8 = 58;

/// TCP flags.
pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const ACK: u8 = 0x10;

/// How many extension headers of IPv6 are looked behind.
const EXTENSIONS_MAX: usize = 8;

/// What stands at the beginning of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The receiver's address.
    pub to: Mac,
    /// The sender's address.
    pub from: Mac,
    /// What the frame carries.
    pub ethertype: u16,
    /// The IP packet in it, if there is a sound one.
    pub ip: Option<IpHead>,
}

/// The header of an IP packet. Offsets count from the frame's first byte and lie within the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpHead {
    /// Who sent it.
    pub from: IpAddr,
    /// Who shall get it.
    pub to: IpAddr,
    /// The number of the protocol above IP, behind all extension headers.
    pub number: u8,
    /// That protocol, if a filter can name it.
    pub protocol: Option<Protocol>,
    /// Where what IP carries begins.
    pub segment: usize,
    /// Where the packet ends; what comes after it is padding.
    pub end: usize,
    /// True if it is a part of a larger packet.
    pub is_fragment: bool,
    /// The header above IP, if it is there and whole. Only the first fragment of a packet has it.
    pub transport: Option<Transport>,
}

/// The header of a TCP segment, a UDP datagram or an ICMP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transport {
    /// The sender's and the receiver's port; ICMP has none.
    pub ports: Option<(u16, u16)>,
    /// Where the payload begins.
    pub payload: usize,
    /// What only TCP has.
    pub tcp: Option<TcpHead>,
}

/// The part of TCP's header that a reset must fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpHead {
    /// The number of the first byte.
    pub sequence: u32,
    /// The number of the byte that is expected next.
    pub acknowledged: u32,
    /// FIN, SYN, RST, PSH, ACK, URG, ...
    pub flags: u8,
}

impl Head {
    /// Reads a frame's headers; none if it has not even one of Ethernet.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let ethertype = be16(frame, 12)?;
        let ip = match ethertype {
            IPV4 => ipv4(frame),
            IPV6 => ipv6(frame),
            _ => None,
        };
        Some(Self { to: array(frame, 0)?, from: array(frame, 6)?, ethertype, ip })
    }

    /// True if more than one endpoint may be meant: broadcast and multicast.
    pub fn is_group(&self) -> bool {
        self.to[0] & 1 == 1
    }

    /// What is above TCP, UDP or ICMP; empty if the frame has nothing of that kind.
    pub fn payload<'f>(&self, frame: &'f [u8]) -> &'f [u8] {
        let Some(ip) = &self.ip else { return &[] };
        let start = match &ip.transport {
            Some(transport) => transport.payload,
            // The later fragments are payload from their beginning.
            None if ip.is_fragment && ip.protocol.is_some() => ip.segment,
            None => return &[],
        };
        frame.get(start..ip.end).unwrap_or(&[])
    }

    /// The ports of TCP or UDP.
    pub fn ports(&self) -> Option<(u16, u16)> {
        self.ip?.transport?.ports
    }

    /// The protocol above IP, if a filter can name it.
    pub fn protocol(&self) -> Option<Protocol> {
        self.ip?.protocol
    }
}

fn ipv4(frame: &[u8]) -> Option<IpHead> {
    let at = ETHERNET_BYTES;
    let first = *frame.get(at)?;
    let header = usize::from(first & 0x0f) * 4;
    let total = usize::from(be16(frame, at + 2)?);
    let end = at + total;
    if first >> 4 != 4 || header < 20 || total < header || end > frame.len() {
        return None;
    }
    let fragment = be16(frame, at + 6)?;
    let offset = fragment & 0x1fff;
    let packet = IpHead {
        from: Ipv4Addr::from(array::<4>(frame, at + 12)?).into(),
        to: Ipv4Addr::from(array::<4>(frame, at + 16)?).into(),
        number: *frame.get(at + 9)?,
        protocol: None,
        segment: at + header,
        end,
        is_fragment: offset != 0 || fragment & 0x2000 != 0,
        transport: None,
    };
    Some(with_transport(frame, packet, offset == 0))
}

fn ipv6(frame: &[u8]) -> Option<IpHead> {
    let at = ETHERNET_BYTES;
    let end = at + 40 + usize::from(be16(frame, at + 4)?);
    if frame.get(at)? >> 4 != 6 || end > frame.len() {
        return None;
    }
    let mut packet = IpHead {
        from: Ipv6Addr::from(array::<16>(frame, at + 8)?).into(),
        to: Ipv6Addr::from(array::<16>(frame, at + 24)?).into(),
        number: *frame.get(at + 6)?,
        protocol: None,
        segment: at + 40,
        end,
        is_fragment: false,
        transport: None,
    };
    let mut is_first = true;
    for _ in 0..EXTENSIONS_MAX {
        let length = match packet.number {
            // Hop-by-hop options, routing, destination options.
            0 | 43 | 60 => 8 + 8 * usize::from(*frame.get(packet.segment + 1)?),
            44 => {
                packet.is_fragment = true;
                is_first = be16(frame, packet.segment + 2)? & 0xfff8 == 0;
                8
            }
            _ => break,
        };
        let next = *frame.get(packet.segment)?;
        if packet.segment + length > end {
            return None;
        }
        (packet.number, packet.segment) = (next, packet.segment + length);
        if !is_first {
            break;
        }
    }
    Some(with_transport(frame, packet, is_first))
}

fn with_transport(frame: &[u8], mut packet: IpHead, is_first: bool) -> IpHead {
    packet.protocol = match (packet.number, packet.from) {
        (TCP, _) => Some(Protocol::Tcp),
        (UDP, _) => Some(Protocol::Udp),
        (ICMP, IpAddr::V4(_)) | (ICMPV6, IpAddr::V6(_)) => Some(Protocol::Icmp),
        _ => None,
    };
    if let (Some(protocol), true) = (packet.protocol, is_first) {
        packet.transport = transport(&frame[..packet.end], packet.segment, protocol);
    }
    packet
}

/// The header at `at` of a packet that ends where `frame` does.
fn transport(frame: &[u8], at: usize, protocol: Protocol) -> Option<Transport> {
    let ports = || Some((be16(frame, at)?, be16(frame, at + 2)?));
    let (ports, header, tcp) = match protocol {
        Protocol::Tcp => {
            let header = usize::from(frame.get(at + 12)? >> 4) * 4;
            let (sequence, acknowledged) = (be32(frame, at + 4)?, be32(frame, at + 8)?);
            (Some(ports()?), header.max(20), Some(TcpHead { sequence, acknowledged, flags: *frame.get(at + 13)? }))
        }
        Protocol::Udp => (Some(ports()?), 8, None),
        Protocol::Icmp => (None, 8, None),
    };
    (at + header <= frame.len()).then_some(Transport { ports, payload: at + header, tcp })
}

pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::*;
    use crate::network::frames::{self, Made};

    #[test]
    fn a_frame_that_was_built_is_read_as_it_was_built() {
        for v6 in [false, true] {
            let frame = Made { v6, ..Made::default() }.udp(1000, 2000, b"hello");
            let head = Head::parse(&frame).unwrap();
            assert_eq!((head.from, head.to), (frames::mac(1), frames::mac(2)));
            assert_eq!((head.protocol(), head.ports()), (Some(Protocol::Udp), Some((1000, 2000))));
            assert_eq!(head.payload(&frame), b"hello");
            let frame = Made { v6, ..Made::default() }.tcp(1000, 2000, 7, 8, SYN | ACK, b"");
            let tcp = Head::parse(&frame).unwrap().ip.unwrap().transport.unwrap().tcp.unwrap();
            assert_eq!(tcp, TcpHead { sequence: 7, acknowledged: 8, flags: SYN | ACK });
        }
    }

    #[test]
    fn padding_is_no_payload() {
        let mut frame = Made::default().udp(1, 2, b"x");
        frame.resize(60, 0xee);
        assert_eq!(Head::parse(&frame).unwrap().payload(&frame), b"x");
    }

    #[test]
    fn a_later_fragment_has_a_protocol_and_no_ports() {
        let mut frame = Made::default().udp(1, 2, &[7; 64]);
        frame[ETHERNET_BYTES + 7] = 4;
        let head = Head::parse(&frame).unwrap();
        assert_eq!((head.protocol(), head.ports()), (Some(Protocol::Udp), None));
        assert_eq!(head.payload(&frame).len(), 72);
    }

    #[test]
    fn a_packet_that_claims_more_than_its_frame_is_no_packet() {
        let mut frame = Made::default().udp(1, 2, b"x");
        frame[ETHERNET_BYTES + 2] = 0xff;
        assert_eq!(Head::parse(&frame).unwrap().ip, None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange_to_be_read(frame in prop::collection::vec(any::<u8>(), 0..120)) {
            if let Some(head) = Head::parse(&frame) {
                head.payload(&frame);
            }
        }

        #[test]
        fn no_damage_to_a_sound_frame_is_too_strange_to_be_read(
            v6 in any::<bool>(),
            damage in prop::collection::vec((0_usize..100, any::<u8>()), 0..8),
            length in 0_usize..140,
        ) {
            let mut frame = Made { v6, ..Made::default() }.tcp(1, 2, 3, 4, ACK, &[5; 60]);
            for (at, byte) in damage {
                frame[at] = byte;
            }
            frame.truncate(length);
            if let Some(head) = Head::parse(&frame) {
                head.payload(&frame);
                if let Some(ip) = head.ip {
                    assert!(ip.segment <= ip.end && ip.end <= frame.len());
                    assert!(ip.transport.is_none_or(|transport| transport.payload <= ip.end));
                }
            }
        }
    }
}
