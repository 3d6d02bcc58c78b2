//! A connection is reset: forged segments that both sides must believe.
//!
//! A reset is believed only if its number is the very next one that its receiver waits for (RFC 5961, section 3). The segment at hand says
//! what both wait for, unless others are on their way; then the receiver asks with an acknowledgement, and the reset to that one fits.

use std::net::IpAddr;

use super::frames::{Envelope, Segment};
use super::head::{ACK, FIN, Head, RST, SYN};

/// The resets to a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resets {
    /// For the one who sent it.
    pub(super) to_sender: Vec<u8>,
    /// For the one who would have got it; none if that one knows of no connection yet.
    pub(super) to_receiver: Option<Vec<u8>>,
}

/// True if a reset can answer this frame: a TCP segment that is none itself.
pub(super) fn is_resettable(head: &Head) -> bool {
    let tcp = head.ip.and_then(|ip| ip.transport?.tcp);
    tcp.is_some_and(|tcp| tcp.flags & RST == 0) && !head.is_group()
}

/// Both ends of a connection, the same in whichever direction it is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Connection([(IpAddr, u16); 2]);

impl Connection {
    /// The one that a frame belongs to.
    pub(super) fn of(head: &Head) -> Option<Self> {
        let ip = head.ip?;
        let (from, to) = ip.transport?.ports?;
        let mut ends = [(ip.from, from), (ip.to, to)];
        ends.sort_unstable();
        Some(Self(ends))
    }
}

/// What both sides get instead of a segment; none if it is not TCP, or a reset already.
pub(super) fn resets(head: &Head) -> Option<Resets> {
    let ip = head.ip.filter(|_| is_resettable(head))?;
    let transport = ip.transport?;
    let (tcp, (from_port, to_port)) = (transport.tcp?, transport.ports?);
    let length = (ip.end - transport.payload) as u32;
    let length = length + u32::from(tcp.flags & SYN != 0) + u32::from(tcp.flags & FIN != 0);
    let next = tcp.sequence.wrapping_add(length);
    let back = Envelope { from_mac: head.to, to_mac: head.from, from: ip.to, to: ip.from };
    // RFC 9293, section 3.5.2: what was acknowledged is what the sender waits for; without that, the reset acknowledges the segment.
    let answer = if tcp.flags & ACK != 0 {
        Segment { ports: (to_port, from_port), sequence: tcp.acknowledged, acknowledged: 0, flags: RST }
    } else {
        Segment { ports: (to_port, from_port), sequence: 0, acknowledged: next, flags: RST | ACK }
    };
    let opens = tcp.flags & (SYN | ACK) == SYN;
    let to_receiver = (!opens).then(|| {
        let forth = Envelope { from_mac: head.from, to_mac: head.to, from: ip.from, to: ip.to };
        // To the answer of an opening, the receiver has no number to compare but the acknowledgement (RFC 9293, section 3.10.7.3).
        let flags = RST | (tcp.flags & ACK);
        let (sequence, acknowledged) = (tcp.sequence, tcp.acknowledged);
        forth.tcp(Segment { ports: (from_port, to_port), sequence, acknowledged, flags }, &[])
    });
    Some(Resets { to_sender: back.tcp(answer, &[]), to_receiver })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::frames::{Made, is_sound};
    use crate::network::head::TcpHead;

    fn tcp(frame: &[u8]) -> TcpHead {
        assert!(is_sound(frame));
        Head::parse(frame).unwrap().ip.unwrap().transport.unwrap().tcp.unwrap()
    }

    #[test]
    fn both_sides_get_the_number_that_they_wait_for() {
        for v6 in [false, true] {
            let frame = Made { v6, ..Made::default() }.tcp(1000, 2000, 50, 70, ACK, b"data");
            let resets = resets(&Head::parse(&frame).unwrap()).unwrap();
            assert_eq!(tcp(&resets.to_sender).sequence, 70);
            let to_receiver = resets.to_receiver.unwrap();
            assert_eq!(tcp(&to_receiver).sequence, 50);
            let back = Head::parse(&resets.to_sender).unwrap();
            let forth = Head::parse(&to_receiver).unwrap();
            assert_eq!((back.ports(), forth.ports()), (Some((2000, 1000)), Some((1000, 2000))));
            assert_eq!((back.to, forth.to), (forth.from, back.from));
        }
    }

    #[test]
    fn an_opening_is_refused_and_its_receiver_never_hears_of_it() {
        let frame = Made::default().tcp(1000, 2000, u32::MAX, 0, SYN, b"");
        let resets = resets(&Head::parse(&frame).unwrap()).unwrap();
        assert_eq!(tcp(&resets.to_sender), TcpHead { sequence: 0, acknowledged: 0, flags: RST | ACK });
        assert_eq!(resets.to_receiver, None);
    }

    #[test]
    fn a_reset_is_not_answered() {
        let reset = Made::default().tcp(1000, 2000, 50, 70, RST, b"");
        assert_eq!(resets(&Head::parse(&reset).unwrap()), None);
        let other = Made::default().udp(1000, 2000, b"data");
        assert_eq!(resets(&Head::parse(&other).unwrap()), None);
    }
}
