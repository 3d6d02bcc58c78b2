//! A packet is longer than a link can carry: its sender is told how long it may be.
//!
//! The answer comes from the address that the packet went to: there is no router on the way that could speak, and a host asks only if the
//! packet it quotes was its own (RFC 5927).

use std::net::IpAddr;

use super::frames::Envelope;
use super::head::{ETHERNET_BYTES, Head, ICMP, ICMPV6};

/// True if a frame carries an IP packet that is longer.
pub(super) fn is_too_big(head: &Head, mtu: u32) -> bool {
    head.ip.is_some_and(|ip| ip.end - ETHERNET_BYTES > mtu as usize)
}

/// The answer to a packet that is too big (RFC 1191; RFC 8201); none where there must be no answer: to a multicast, and to an error.
pub(super) fn answer(frame: &[u8], head: &Head, mtu: u32) -> Option<Vec<u8>> {
    let ip = head.ip?;
    if head.is_group() || ip.to.is_multicast() || is_error(frame, ip.number, ip.segment) {
        return None;
    }
    let back = Envelope { from_mac: head.to, to_mac: head.from, from: ip.to, to: ip.from };
    let packet = &frame[ETHERNET_BYTES..ip.end];
    match ip.from {
        IpAddr::V4(_) => {
            let [high, low] = u16::try_from(mtu).unwrap_or(u16::MAX).to_be_bytes();
            // As much as RFC 1812, section 4.3.2.3, wants quoted.
            let quoted = packet.len().min(576 - 28);
            Some(back.icmp(3, 4, [0, 0, high, low], &packet[..quoted]))
        }
        IpAddr::V6(_) => {
            let quoted = packet.len().min(1280 - 48);
            Some(back.icmp(2, 0, mtu.to_be_bytes(), &packet[..quoted]))
        }
    }
}

fn is_error(frame: &[u8], number: u8, segment: usize) -> bool {
    let kind = frame.get(segment).copied();
    match number {
        ICMP => matches!(kind, Some(3 | 4 | 5 | 11 | 12)),
        ICMPV6 => matches!(kind, Some(0..=127)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::frames::{Made, is_sound};

    #[test]
    fn the_sender_is_told_how_long_a_packet_may_be() {
        for v6 in [false, true] {
            let frame = Made { v6, ..Made::default() }.udp(1, 2, &[7; 1400]);
            let head = Head::parse(&frame).unwrap();
            assert!(is_too_big(&head, 1300) && !is_too_big(&head, 1448));
            let answer = answer(&frame, &head, 1300).unwrap();
            assert!(is_sound(&answer));
            let back = Head::parse(&answer).unwrap();
            assert_eq!((back.to, back.from), (head.from, head.to));
            let ip = back.ip.unwrap();
            let message = &answer[ip.segment..ip.end];
            assert_eq!(message[..2], if v6 { [2, 0] } else { [3, 4] });
            assert_eq!(message[6..8], 1300_u16.to_be_bytes());
            // What it quotes is what was sent.
            let quoted = &message[8..];
            assert_eq!(quoted, &frame[ETHERNET_BYTES..ETHERNET_BYTES + quoted.len()]);
        }
    }

    #[test]
    fn neither_a_multicast_nor_an_error_is_answered() {
        let made = Made::default();
        let mut group = made.envelope();
        group.to_mac = [1, 0, 0x5e, 1, 2, 3];
        let frame = group.udp((1, 2), &[7; 1400]);
        assert_eq!(answer(&frame, &Head::parse(&frame).unwrap(), 1300), None);
        let frame = made.envelope().icmp(3, 1, [0; 4], &[7; 1400]);
        assert_eq!(answer(&frame, &Head::parse(&frame).unwrap(), 1300), None);
    }
}
