//! Work on frames that a kernel has left to the card: checksums, and cutting a long TCP segment into packets.
//!
//! On a link without rules it is left to the receiving kernel, which skips it. As soon as a rule could see a frame, the switch does the work
//! first: one frame is one packet, or loss, rate and delay would mean nothing.

use super::Protocol;
use super::checksum::Sum;
use super::head::{ETHERNET_BYTES, FIN, Head, be16};

/// The length of what stands before a frame (struct virtio_net_hdr).
pub const OFFLOAD_BYTES: usize = 10;

/// Only the first packet of a long segment says that the sender has slowed down, and only the last one that it is to be read, or the end.
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;

/// What is left to do on a frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offload([u8; OFFLOAD_BYTES]);

impl Offload {
    /// Nothing: the frame is as it is on a wire.
    pub const NONE: Self = Self([0; OFFLOAD_BYTES]);

    /// Takes what stands before a frame.
    pub fn new(bytes: [u8; OFFLOAD_BYTES]) -> Self {
        Self(bytes)
    }

    /// What is to stand before the frame.
    pub fn bytes(&self) -> &[u8; OFFLOAD_BYTES] {
        &self.0
    }

    /// True if there is something to do.
    pub fn is_some(&self) -> bool {
        self.needs_checksum() || self.segment_bytes().is_some()
    }

    fn needs_checksum(&self) -> bool {
        self.0[0] & 1 != 0
    }

    /// How much payload each packet gets.
    fn segment_bytes(&self) -> Option<usize> {
        let size = usize::from(self.number(4));
        (self.0[1] != 0 && size > 0).then_some(size)
    }

    /// A number of the header: in the machine's byte order.
    fn number(&self, at: usize) -> u16 {
        u16::from_ne_bytes([self.0[at], self.0[at + 1]])
    }

    /// How many packets the frame will be, and how many bytes they have together.
    pub(super) fn packets(&self, head: &Head, frame: &[u8]) -> (u64, u64) {
        let length = frame.len() as u64;
        let Some((start, end, size)) = self.cuts(head) else { return (1, length) };
        let count = (end - start).div_ceil(size).max(1) as u64;
        (count, length + (count - 1) * start as u64)
    }

    /// Where the payload begins and ends that is to be cut, and into pieces of which size.
    fn cuts(&self, head: &Head) -> Option<(usize, usize, usize)> {
        let ip = head.ip.filter(|ip| ip.protocol == Some(Protocol::Tcp))?;
        Some((ip.transport?.payload, ip.end, self.segment_bytes()?))
    }

    /// Does the work: gives each packet to `each`, as it is on a wire. `room` is used for them.
    pub(super) fn finish(&self, head: &Head, frame: &[u8], room: &mut Vec<u8>, mut each: impl FnMut(&Head, &[u8])) {
        let Some((start, end, size)) = self.cuts(head) else {
            room.clear();
            room.extend_from_slice(frame);
            if self.needs_checksum() {
                fill_in(room, usize::from(self.number(6)), usize::from(self.number(8)));
            }
            return each(head, room);
        };
        for (number, from) in (start..end.max(start + 1)).step_by(size).enumerate() {
            let to = end.min(from + size);
            room.clear();
            room.extend_from_slice(&frame[..start]);
            room.extend_from_slice(&frame[from..to]);
            cut_out(room, head, number as u32, (from - start) as u32, to == end);
            if let Some(head) = Head::parse(room) {
                each(&head, room);
            }
        }
    }
}

/// Completes a checksum: its field holds the sum of the pseudo-header so far.
fn fill_in(frame: &mut [u8], start: usize, offset: usize) {
    let Some(covered) = frame.get(start..) else { return };
    let mut sum = Sum::default();
    sum.add(covered);
    let checksum = match sum.checksum() {
        // Zero would mean to UDP that there is none, and is the same number to everyone else.
        0 => 0xffff,
        checksum => checksum,
    };
    if let Some(field) = frame.get_mut(start + offset..start + offset + 2) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
}

/// Makes the copied headers of a long segment those of one packet of it.
fn cut_out(packet: &mut [u8], long: &Head, number: u32, offset: u32, is_last: bool) {
    let Some(ip) = long.ip else { return };
    let length = packet.len() - ETHERNET_BYTES;
    let tcp = ip.segment;
    if ip.from.is_ipv4() {
        put16(packet, ETHERNET_BYTES + 2, length as u16);
        let name = be16(packet, ETHERNET_BYTES + 4).unwrap_or(0);
        put16(packet, ETHERNET_BYTES + 4, name.wrapping_add(number as u16));
        put16(packet, ETHERNET_BYTES + 10, 0);
        let mut sum = Sum::default();
        sum.add(&packet[ETHERNET_BYTES..tcp]);
        put16(packet, ETHERNET_BYTES + 10, sum.checksum());
    } else {
        put16(packet, ETHERNET_BYTES + 4, (length - 40) as u16);
    }
    if let Some(tcp) = ip.transport.and_then(|transport| transport.tcp) {
        let sequence = tcp.sequence.wrapping_add(offset).to_be_bytes();
        packet[ip.segment + 4..ip.segment + 8].copy_from_slice(&sequence);
    }
    if number > 0 {
        packet[tcp + 13] &= !CWR;
    }
    if !is_last {
        packet[tcp + 13] &= !(FIN | PSH);
    }
    put16(packet, tcp + 16, 0);
    let mut sum = Sum::pseudo(ip.from, ip.to, ip.number, packet.len() - tcp);
    sum.add(&packet[tcp..]);
    put16(packet, tcp + 16, sum.checksum());
}

fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::*;
    use crate::network::frames::{Made, is_sound};
    use crate::network::head::ACK;

    /// What a kernel hands over: the checksum of the pseudo-header only.
    fn left_undone(frame: &mut [u8], segment_bytes: u16) -> Offload {
        let ip = Head::parse(frame).unwrap().ip.unwrap();
        let offset = if ip.number == 6 { 16 } else { 6 };
        let partial = !Sum::pseudo(ip.from, ip.to, ip.number, ip.end - ip.segment).checksum();
        put16(frame, ip.segment + offset, partial);
        let mut bytes = [0; OFFLOAD_BYTES];
        (bytes[0], bytes[1]) = (1, u8::from(segment_bytes > 0));
        bytes[4..6].copy_from_slice(&segment_bytes.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(ip.segment as u16).to_ne_bytes());
        bytes[8..10].copy_from_slice(&(offset as u16).to_ne_bytes());
        Offload::new(bytes)
    }

    fn finished(offload: Offload, frame: &[u8]) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        let head = Head::parse(frame).unwrap();
        offload.finish(&head, frame, &mut Vec::new(), |_, packet| packets.push(packet.to_vec()));
        packets
    }

    proptest! {
        #[test]
        fn a_checksum_is_completed(v6: bool, is_tcp: bool, payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let made = Made { v6, ..Made::default() };
            let sound = if is_tcp { made.tcp(1, 2, 3, 4, ACK, &payload) } else { made.udp(1, 2, &payload) };
            let mut frame = sound.clone();
            let offload = left_undone(&mut frame, 0);
            let packets = finished(offload, &frame);
            assert_eq!(packets.len(), 1);
            assert!(is_sound(&packets[0]));
        }

        #[test]
        fn a_long_segment_becomes_packets_that_say_the_same(
            v6: bool,
            payload in prop::collection::vec(any::<u8>(), 0..5_000),
            size in 1_u16..1_500,
            sequence: u32,
        ) {
            let flags = ACK | FIN | PSH | CWR;
            let mut frame = Made { v6, ..Made::default() }.tcp(1, 2, sequence, 4, flags, &payload);
            let offload = left_undone(&mut frame, size);
            let packets = finished(offload, &frame);
            let head = Head::parse(&frame).unwrap();
            let bytes: usize = packets.iter().map(Vec::len).sum();
            assert_eq!(offload.packets(&head, &frame), (packets.len() as u64, bytes as u64));
            let mut said: Vec<u8> = Vec::new();
            for (number, packet) in packets.iter().enumerate() {
                assert!(is_sound(packet));
                let head = Head::parse(packet).unwrap();
                let tcp = head.ip.unwrap().transport.unwrap().tcp.unwrap();
                assert_eq!(tcp.sequence, sequence.wrapping_add(said.len() as u32));
                let is_last = number + 1 == packets.len();
                let first = if number == 0 { CWR } else { 0 };
                assert_eq!(tcp.flags, ACK | first | if is_last { FIN | PSH } else { 0 });
                assert!(head.payload(packet).len() <= usize::from(size));
                said.extend(head.payload(packet));
            }
            assert_eq!(said, payload);
        }

        #[test]
        fn no_work_is_too_strange_to_be_done(
            bytes: [u8; OFFLOAD_BYTES],
            v6: bool,
            length in 14_usize..200,
            damage in prop::collection::vec((0_usize..200, any::<u8>()), 0..6),
        ) {
            let mut frame = Made { v6, ..Made::default() }.tcp(1, 2, 3, 4, ACK, &[7; 160]);
            frame.truncate(length);
            for (at, byte) in damage {
                if let Some(place) = frame.get_mut(at) {
                    *place = byte;
                }
            }
            finished(Offload::new(bytes), &frame);
        }
    }
}
