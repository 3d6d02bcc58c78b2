//! Frames that are built, not received: what the switch answers itself, and what tests send.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::checksum::Sum;
use super::head::{ICMP, ICMPV6, IPV4, IPV6, Mac, TCP, UDP};

/// The Ethernet address of the endpoint with this number: locally administered, and nobody else's.
pub const fn mac(endpoint: u16) -> Mac {
    let [high, low] = endpoint.to_be_bytes();
    [2, 0, 0, 0, high, low]
}

/// The link-local IPv6 address that a host makes of its Ethernet address (EUI-64, RFC 4291 appendix A).
pub fn link_local(mac: Mac) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    let host = [a ^ 2, b, c, 0xff, 0xfe, d, e, f];
    let mut address = [0; 16];
    address[..2].copy_from_slice(&[0xfe, 0x80]);
    address[8..].copy_from_slice(&host);
    address.into()
}

/// Who sends an IP packet to whom.
#[derive(Debug, Clone, Copy)]
pub struct Envelope {
    /// The sender's Ethernet address.
    pub from_mac: Mac,
    /// The receiver's Ethernet address.
    pub to_mac: Mac,
    /// The sender's IP address.
    pub from: IpAddr,
    /// The receiver's IP address, of the same version.
    pub to: IpAddr,
}

/// The part of TCP's header that varies here.
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    /// The sender's and the receiver's port.
    pub ports: (u16, u16),
    /// The number of the first byte.
    pub sequence: u32,
    /// The number of the byte that is expected next.
    pub acknowledged: u32,
    /// FIN, SYN, RST, PSH, ACK, ...
    pub flags: u8,
}

impl Envelope {
    /// A TCP segment.
    pub fn tcp(&self, head: Segment, payload: &[u8]) -> Vec<u8> {
        let mut segment = Vec::with_capacity(20 + payload.len());
        segment.extend(head.ports.0.to_be_bytes());
        segment.extend(head.ports.1.to_be_bytes());
        segment.extend(head.sequence.to_be_bytes());
        segment.extend(head.acknowledged.to_be_bytes());
        let window = if head.flags & super::head::RST == 0 { [0xff, 0xff] } else { [0, 0] };
        segment.extend([5 << 4, head.flags, window[0], window[1], 0, 0, 0, 0]);
        segment.extend(payload);
        self.sealed(TCP, 64, segment, 16)
    }

    /// A UDP datagram.
    pub fn udp(&self, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
        let mut segment = Vec::with_capacity(8 + payload.len());
        segment.extend(ports.0.to_be_bytes());
        segment.extend(ports.1.to_be_bytes());
        segment.extend((8 + payload.len() as u16).to_be_bytes());
        segment.extend([0, 0]);
        segment.extend(payload);
        self.sealed(UDP, 64, segment, 6)
    }

    /// A message of ICMP or ICMPv6: type, code, the four bytes that depend on them, and the rest.
    pub fn icmp(&self, kind: u8, code: u8, rest: [u8; 4], payload: &[u8]) -> Vec<u8> {
        let mut segment = vec![kind, code, 0, 0];
        segment.extend(rest);
        segment.extend(payload);
        match self.from {
            IpAddr::V4(_) => self.sealed(ICMP, 64, segment, 2),
            // What manages the neighbourhood must come with the highest hop limit (RFC 4861, section 7.1).
            IpAddr::V6(_) => self.sealed(ICMPV6, 255, segment, 2),
        }
    }

    /// Fills in a segment's checksum and puts the headers before it.
    fn sealed(&self, number: u8, hops: u8, mut segment: Vec<u8>, checksum_at: usize) -> Vec<u8> {
        let mut sum = match (number, self.from) {
            (ICMP, IpAddr::V4(_)) => Sum::default(),
            _ => Sum::pseudo(self.from, self.to, number, segment.len()),
        };
        sum.add(&segment);
        let checksum = match sum.checksum() {
            // Zero would mean that there is none (RFC 768).
            0 if number == UDP => 0xffff,
            checksum => checksum,
        };
        segment[checksum_at..checksum_at + 2].copy_from_slice(&checksum.to_be_bytes());
        self.ip(number, hops, &segment)
    }

    /// An IP packet of any protocol.
    pub fn ip(&self, number: u8, hops: u8, segment: &[u8]) -> Vec<u8> {
        let mut frame = Vec::with_capacity(54 + segment.len());
        frame.extend(self.to_mac);
        frame.extend(self.from_mac);
        match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                frame.extend(IPV4.to_be_bytes());
                frame.extend(ipv4_header(from, to, number, hops, segment.len()));
            }
            (from, to) => {
                frame.extend(IPV6.to_be_bytes());
                frame.extend([0x60, 0, 0, 0]);
                frame.extend((segment.len() as u16).to_be_bytes());
                frame.extend([number, hops]);
                frame.extend(as_v6(from).octets());
                frame.extend(as_v6(to).octets());
            }
        }
        frame.extend(segment);
        frame
    }
}

fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn ipv4_header(from: Ipv4Addr, to: Ipv4Addr, number: u8, hops: u8, length: usize) -> [u8; 20] {
    let mut header = [0; 20];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&(20 + length as u16).to_be_bytes());
    // Not to be fragmented.
    header[6] = 0x40;
    (header[8], header[9]) = (hops, number);
    header[12..16].copy_from_slice(&from.octets());
    header[16..20].copy_from_slice(&to.octets());
    let mut sum = Sum::default();
    sum.add(&header);
    header[10..12].copy_from_slice(&sum.checksum().to_be_bytes());
    header
}

#[cfg(test)]
pub(crate) use testing::{Made, is_sound};

#[cfg(test)]
mod testing {
    use super::*;
    use crate::network::head::Head;

    /// What goes from one numbered endpoint to another, in tests.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Made {
        pub(crate) v6: bool,
        pub(crate) from: u16,
        pub(crate) to: u16,
    }

    impl Default for Made {
        fn default() -> Self {
            Self { v6: false, from: 1, to: 2 }
        }
    }

    impl Made {
        pub(crate) fn address(self, endpoint: u16) -> IpAddr {
            if self.v6 {
                Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, endpoint).into()
            } else {
                let [high, low] = endpoint.to_be_bytes();
                Ipv4Addr::new(10, 77, high, low).into()
            }
        }

        pub(crate) fn envelope(self) -> Envelope {
            let (from, to) = (self.address(self.from), self.address(self.to));
            Envelope { from_mac: mac(self.from), to_mac: mac(self.to), from, to }
        }

        pub(crate) fn udp(self, from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
            self.envelope().udp((from, to), payload)
        }

        pub(crate) fn tcp(
            self,
            from: u16,
            to: u16,
            sequence: u32,
            acknowledged: u32,
            flags: u8,
            payload: &[u8],
        ) -> Vec<u8> {
            self.envelope().tcp(Segment { ports: (from, to), sequence, acknowledged, flags }, payload)
        }
    }

    /// True if a kernel would find every checksum of this frame right.
    pub(crate) fn is_sound(frame: &[u8]) -> bool {
        let ip = Head::parse(frame).unwrap().ip.unwrap();
        let is_v4 = ip.from.is_ipv4();
        let mut header = Sum::default();
        header.add(&frame[14..34]);
        let segment = &frame[ip.segment..ip.end];
        let mut sum = match ip.number {
            ICMP if is_v4 => Sum::default(),
            _ => Sum::pseudo(ip.from, ip.to, ip.number, segment.len()),
        };
        sum.add(segment);
        (!is_v4 || header.checksum() == 0) && sum.checksum() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_has_right_checksums() {
        for v6 in [false, true] {
            let made = Made { v6, ..Made::default() };
            assert!(is_sound(&made.udp(1, 2, b"odd")));
            assert!(is_sound(&made.tcp(1, 2, 3, 4, 5, b"payload")));
            assert!(is_sound(&made.envelope().icmp(8, 0, [0, 1, 0, 2], b"ping")));
            let mut wrong = made.udp(1, 2, b"odd");
            *wrong.last_mut().unwrap() ^= 4;
            assert!(!is_sound(&wrong));
        }
    }

    #[test]
    fn a_link_local_address_is_made_as_the_kernel_makes_it() {
        assert_eq!(link_local(mac(258)), "fe80::ff:fe00:102".parse::<Ipv6Addr>().unwrap());
    }
}
