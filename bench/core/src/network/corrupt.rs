//! One bit of a frame is changed: so that the kernel finds it, or so that only the program can.

use super::SeenBy;
use super::checksum::repaired;
use super::head::{ETHERNET_BYTES, Head, ICMP, ICMPV6, IpHead, TCP, UDP};

/// Changes one bit of a frame, which follows from `drawn`. Gives the place of the byte; none if the frame has nothing that could be changed
/// in this way, and then it is as it was.
pub(super) fn corrupt(frame: &mut [u8], head: &Head, seen_by: SeenBy, drawn: u64) -> Option<usize> {
    match seen_by {
        SeenBy::Kernel => on_the_wire(frame, head, drawn),
        SeenBy::Program => in_the_payload(frame, head, drawn),
    }
}

/// True if a frame has something that could be changed in this way.
pub(super) fn is_possible(frame: &[u8], head: &Head, seen_by: SeenBy) -> bool {
    match seen_by {
        SeenBy::Kernel => frame.len() > ETHERNET_BYTES && head.ip.is_none_or(|ip| ip.end > ip.segment),
        SeenBy::Program => head.ip.is_some_and(|ip| ip.transport.is_some_and(|transport| transport.payload < ip.end)),
    }
}

/// The bit lies where a checksum covers it, so that the packet is dropped for certain: of the segment if it has one, else of the header.
fn on_the_wire(frame: &mut [u8], head: &Head, drawn: u64) -> Option<usize> {
    let Some(ip) = &head.ip else {
        let at = ETHERNET_BYTES + pick(drawn, frame.len().checked_sub(ETHERNET_BYTES)?)?;
        return Some(flip(frame, at, drawn));
    };
    let segment = ip.segment..ip.end;
    let covered = match (ip.number, checksum_at(ip)) {
        (TCP | ICMP | ICMPV6, _) => segment,
        // Not the length, which says how much is covered, and not the checksum, which may become the zero that means "none".
        (UDP, Some(at)) if frame.get(at..at + 2)? != [0, 0] => {
            let at = pick(drawn, segment.len().checked_sub(4)?)?;
            let at = if at < 4 { at } else { at + 4 };
            return Some(flip(frame, segment.start + at, drawn));
        }
        (UDP, None) if ip.is_fragment => segment,
        _ if ip.from.is_ipv4() => ETHERNET_BYTES..ETHERNET_BYTES + 20,
        _ => segment,
    };
    let at = covered.start + pick(drawn, covered.len())?;
    Some(flip(frame, at, drawn))
}

/// The bit lies above TCP, UDP or ICMP, and their checksum follows it.
fn in_the_payload(frame: &mut [u8], head: &Head, drawn: u64) -> Option<usize> {
    let ip = head.ip?;
    let transport = ip.transport?;
    let at = transport.payload + pick(drawn, ip.end - transport.payload)?;
    let word = at - (at - ip.segment) % 2;
    // An odd last byte is summed with a zero.
    let read = |frame: &[u8]| u16::from_be_bytes([frame[word], if word + 1 < ip.end { frame[word + 1] } else { 0 }]);
    let old = read(frame);
    let at = flip(frame, at, drawn);
    let sum = checksum_at(&ip)?;
    let before = u16::from_be_bytes([*frame.get(sum)?, *frame.get(sum + 1)?]);
    // A UDP datagram without a checksum needs none.
    if before != 0 || ip.number != UDP {
        let after = match repaired(before, old, read(frame)) {
            0 if ip.number == UDP => 0xffff,
            after => after,
        };
        frame[sum..sum + 2].copy_from_slice(&after.to_be_bytes());
    }
    Some(at)
}

/// Where the checksum of TCP, UDP or ICMP stands; none where their header is not in this frame.
fn checksum_at(ip: &IpHead) -> Option<usize> {
    ip.transport?;
    let offset = match ip.number {
        TCP => 16,
        UDP => 6,
        ICMP | ICMPV6 => 2,
        _ => return None,
    };
    Some(ip.segment + offset)
}

/// One of `length` places.
fn pick(drawn: u64, length: usize) -> Option<usize> {
    (length > 0).then(|| ((u128::from(drawn) * length as u128) >> 64) as usize)
}

fn flip(frame: &mut [u8], at: usize, drawn: u64) -> usize {
    // The place was taken from the high bits.
    frame[at] ^= 1 << (drawn & 7);
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::*;
    use crate::network::frames::{Made, is_sound};

    fn frames(v6: bool, payload: &[u8]) -> [Vec<u8>; 3] {
        let made = Made { v6, ..Made::default() };
        let icmp = made.envelope().icmp(if v6 { 128 } else { 8 }, 0, [0; 4], payload);
        [made.tcp(1, 2, 3, 4, 0x10, payload), made.udp(1, 2, payload), icmp]
    }

    fn changed_bits(before: &[u8], after: &[u8]) -> u32 {
        before.iter().zip(after).map(|(before, after)| (before ^ after).count_ones()).sum()
    }

    proptest! {
        #[test]
        fn on_the_wire_one_bit_changes_and_a_checksum_is_wrong(
            v6: bool, payload in prop::collection::vec(any::<u8>(), 0..80), drawn: u64,
        ) {
            for before in frames(v6, &payload) {
                let mut after = before.clone();
                let head = Head::parse(&before).unwrap();
                corrupt(&mut after, &head, SeenBy::Kernel, drawn).unwrap();
                assert_eq!(changed_bits(&before, &after), 1);
                assert!(!is_sound(&after));
            }
        }

        #[test]
        fn in_the_payload_the_program_gets_one_wrong_bit_and_every_checksum_is_right(
            v6: bool, payload in prop::collection::vec(any::<u8>(), 1..80), drawn: u64,
        ) {
            for before in frames(v6, &payload) {
                let mut after = before.clone();
                let head = Head::parse(&before).unwrap();
                corrupt(&mut after, &head, SeenBy::Program, drawn).unwrap();
                assert_eq!(changed_bits(head.payload(&before), head.payload(&after)), 1);
                assert!(is_sound(&after));
            }
        }

        #[test]
        fn no_bytes_are_too_strange_to_be_corrupted(mut frame in prop::collection::vec(any::<u8>(), 0..80), drawn: u64, v6: bool) {
            if frame.len() > 20 {
                frame[12..15].copy_from_slice(if v6 { &[0x86, 0xdd, 0x60] } else { &[8, 0, 0x45] });
            }
            if let Some(head) = Head::parse(&frame) {
                for seen_by in [SeenBy::Kernel, SeenBy::Program] {
                    let is_possible = is_possible(&frame, &head, seen_by);
                    let changed = corrupt(&mut frame, &head, seen_by, drawn);
                    assert!(changed.is_some() || !is_possible);
                }
            }
        }
    }

    #[test]
    fn a_segment_without_payload_cannot_be_corrupted_for_the_program() {
        let mut frame = Made::default().tcp(1, 2, 3, 4, 0x10, b"");
        let (before, head) = (frame.clone(), Head::parse(&frame).unwrap());
        assert_eq!(corrupt(&mut frame, &head, SeenBy::Program, 7), None);
        assert_eq!(frame, before);
    }
}
