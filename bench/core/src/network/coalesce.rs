//! Datagrams that are handed to a kernel together: it looks up their route and their socket once, and then cuts them apart again.
//!
//! What a kernel does for a long TCP segment it does for many datagrams of one size and one flow as well (UDP segmentation offload), so a
//! switch that is behind catches up. Each datagram has passed its link alone before that, counted and recorded, and the program that reads
//! gets each alone, as it was sent. Only what the sending kernel vouches for is joined: a frame whose checksum was left to the card. What a
//! rule has seen never is, for its checksum is complete, and may be wrong on purpose.

use super::checksum::{Sum, repaired};
use super::head::{ETHERNET_BYTES, IPV4, IPV6, UDP, be16};
use super::offload::{OFFLOAD_BYTES, Offload};

/// So many are handed over together at most, for the first waits for the last: what a kernel does only once is a fraction of its work by then.
pub const DATAGRAMS_MAX: usize = 16;
/// What the length of an IP packet can say.
const PACKET_BYTES_MAX: usize = 65_535;
/// UDP's header.
const UDP_BYTES: usize = 8;
/// The longest headers: Ethernet, IPv6, UDP.
const HEADERS_MAX: usize = ETHERNET_BYTES + 40 + UDP_BYTES;
/// Where IPv4 says which packet it is, whether that may be cut, and the sum of its header.
const IDENTIFICATION: usize = ETHERNET_BYTES + 4;
const FRAGMENT: usize = ETHERNET_BYTES + 6;
const HEADER_SUM: usize = ETHERNET_BYTES + 10;
/// What it says there if it may not be cut, and is not.
const WHOLE: u16 = 0x4000;
/// Of struct virtio_net_hdr: the checksum is left to do; and this is to be cut into datagrams.
const NEEDS_CHECKSUM: u8 = 1;
const CUT_DATAGRAMS: u8 = 5;

/// Datagrams that wait to be handed over, in their order.
#[derive(Debug, Clone)]
pub struct Coalesced {
    /// What is left to do on the first one, its headers, and all payloads.
    bytes: Vec<u8>,
    /// The headers of the first one as they came.
    headers: [u8; HEADERS_MAX],
    /// How long they are, and where UDP's begins.
    headers_end: usize,
    udp: usize,
    /// How long each frame is, and how many there are.
    frame_bytes: usize,
    count: usize,
}

impl Default for Coalesced {
    fn default() -> Self {
        let (bytes, headers) = (Vec::new(), [0; HEADERS_MAX]);
        Self { bytes, headers, headers_end: 0, udp: 0, frame_bytes: 0, count: 0 }
    }
}

impl Coalesced {
    /// How many wait.
    pub fn count(&self) -> usize {
        self.count
    }

    /// True if no more of them can wait.
    fn is_full(&self) -> bool {
        let payload = self.frame_bytes - self.headers_end;
        self.count >= DATAGRAMS_MAX || self.bytes.len() + payload > OFFLOAD_BYTES + PACKET_BYTES_MAX
    }

    /// Lets a frame wait with the others. False if it cannot: it is no such datagram, or not like them.
    pub fn add(&mut self, frame: &[u8], offload: &Offload) -> bool {
        if self.count == 0 {
            let Some(udp) = udp_of(frame, offload) else { return false };
            (self.udp, self.headers_end, self.frame_bytes) = (udp, udp + UDP_BYTES, frame.len());
            self.headers[..self.headers_end].copy_from_slice(&frame[..self.headers_end]);
            self.bytes.extend_from_slice(offload.bytes());
            self.bytes.extend_from_slice(frame);
        } else if !self.is_full() && self.is_alike(frame, offload) {
            self.bytes.extend_from_slice(&frame[self.headers_end..]);
        } else {
            return false;
        }
        self.count += 1;
        true
    }

    /// True if a kernel that cuts them apart makes this frame again.
    fn is_alike(&self, frame: &[u8], offload: &Offload) -> bool {
        let first = &self.headers[..self.headers_end];
        let is_left_alike = offload.bytes()[..] == self.bytes[..OFFLOAD_BYTES];
        if !is_left_alike || frame.len() != self.frame_bytes || frame[..IDENTIFICATION] != first[..IDENTIFICATION] {
            return false;
        }
        // The same EtherType, and so the same version.
        if self.udp != ETHERNET_BYTES + 20 {
            return frame[IDENTIFICATION..self.headers_end] == first[IDENTIFICATION..];
        }
        let number = |frame: &[u8], at| be16(frame, at).unwrap_or(0);
        let (id, first_id) = (number(frame, IDENTIFICATION), number(first, IDENTIFICATION));
        frame[FRAGMENT..HEADER_SUM] == first[FRAGMENT..HEADER_SUM]
            && frame[HEADER_SUM + 2..self.headers_end] == first[HEADER_SUM + 2..]
            && number(frame, HEADER_SUM) == repaired(number(first, HEADER_SUM), first_id, id)
            // It counts them; what may not be cut needs no name (RFC 6864).
            && (number(frame, FRAGMENT) == WHOLE || id == first_id.wrapping_add(self.count as u16))
    }

    /// All of them as one frame, behind what is left to do on it. One that waits alone is as it came.
    pub fn joined(&mut self) -> &[u8] {
        if self.count > 1 {
            let (bytes, offload) = (self.bytes.len() - OFFLOAD_BYTES, &mut self.bytes[..OFFLOAD_BYTES]);
            offload[1] = CUT_DATAGRAMS;
            offload[2..4].copy_from_slice(&(self.headers_end as u16).to_ne_bytes());
            offload[4..6].copy_from_slice(&((self.frame_bytes - self.headers_end) as u16).to_ne_bytes());
            let udp = self.udp;
            lengthen(&mut self.bytes[OFFLOAD_BYTES..], udp, bytes - udp);
        }
        &self.bytes
    }

    /// Gives each alone, behind what is left to do on it, as if it had never been joined.
    pub fn each(&self, mut each: impl FnMut(&Offload, &[u8])) {
        let mut offload = [0; OFFLOAD_BYTES];
        if self.count == 0 {
            return;
        }
        offload.copy_from_slice(&self.bytes[..OFFLOAD_BYTES]);
        offload[1..6].fill(0);
        let mut frame = self.headers[..self.headers_end].to_vec();
        let payloads = &self.bytes[OFFLOAD_BYTES + self.headers_end..];
        for (number, payload) in payloads.chunks_exact(self.frame_bytes - self.headers_end).enumerate() {
            frame.truncate(self.headers_end);
            frame.extend_from_slice(payload);
            if number > 0 && self.udp == ETHERNET_BYTES + 20 {
                count_up(&mut frame);
            }
            each(&Offload::new(offload), &frame);
        }
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }
}

/// Where the UDP header of a frame begins, if it is a whole datagram with payload whose checksum is all that is left to do, and whose headers
/// hold nothing unusual.
fn udp_of(frame: &[u8], offload: &Offload) -> Option<usize> {
    let left = offload.bytes();
    let number = |at: usize| usize::from(u16::from_ne_bytes([left[at], left[at + 1]]));
    if left[..2] != [NEEDS_CHECKSUM, 0] || number(8) != 6 {
        return None;
    }
    let udp = number(6);
    let at = ETHERNET_BYTES;
    let is_plain = match be16(frame, 12)? {
        // Five words of header, and their sum; no fragment; UDP; no padding behind it.
        IPV4 => {
            let mut sum = Sum::default();
            sum.add(frame.get(at..at + 20)?);
            udp == at + 20
                && frame[at] == 0x45
                && be16(frame, FRAGMENT)? & !WHOLE == 0
                && frame[at + 9] == UDP
                && usize::from(be16(frame, at + 2)?) == frame.len() - at
                && sum.checksum() == 0
        }
        IPV6 => {
            udp == at + 40
                && frame.get(at)? >> 4 == 6
                && *frame.get(at + 6)? == UDP
                && usize::from(be16(frame, at + 4)?) + 40 == frame.len() - at
        }
        _ => false,
    };
    let bytes = frame.len().checked_sub(udp)?;
    let is_whole = usize::from(be16(frame, udp + 4)?) == bytes && bytes > UDP_BYTES;
    (is_plain && is_whole && be16(frame, udp + 6)? == begun(frame, udp, bytes as u16)).then_some(udp)
}

/// What a kernel leaves in the field of UDP's checksum for a card to complete: the sum of the pseudo-header.
fn begun(frame: &[u8], udp: usize, udp_bytes: u16) -> u16 {
    let mut sum = Sum::default();
    let addresses = if udp == ETHERNET_BYTES + 20 { 8 } else { 32 };
    sum.add(&frame[udp - addresses..udp]);
    sum.add(&[0, UDP]);
    sum.add(&udp_bytes.to_be_bytes());
    !sum.checksum()
}

/// Makes the headers of one datagram those of a longer one.
fn lengthen(frame: &mut [u8], udp: usize, udp_bytes: usize) {
    let begun = begun(frame, udp, udp_bytes as u16);
    put(frame, udp + 4, udp_bytes as u16);
    put(frame, udp + 6, begun);
    if udp == ETHERNET_BYTES + 20 {
        put(frame, ETHERNET_BYTES + 2, (20 + udp_bytes) as u16);
        put(frame, HEADER_SUM, 0);
        let mut sum = Sum::default();
        sum.add(&frame[ETHERNET_BYTES..udp]);
        put(frame, HEADER_SUM, sum.checksum());
    } else {
        put(frame, ETHERNET_BYTES + 4, udp_bytes as u16);
    }
}

/// Makes an IPv4 packet the next one after itself.
fn count_up(frame: &mut [u8]) {
    let (id, sum) = (be16(frame, IDENTIFICATION).unwrap_or(0), be16(frame, HEADER_SUM).unwrap_or(0));
    put(frame, IDENTIFICATION, id.wrapping_add(1));
    put(frame, HEADER_SUM, repaired(sum, id, id.wrapping_add(1)));
}

fn put(frame: &mut [u8], at: usize, value: u16) {
    frame[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::*;
    use crate::network::frames::{Made, is_sound};
    use crate::network::head::Head;

    /// A datagram as a kernel hands it over: with the checksum of the pseudo-header only.
    fn left_undone(made: Made, payload: &[u8]) -> (Vec<u8>, Offload) {
        numbered(made, payload, 0, true)
    }

    /// The same with an identification, and perhaps to be fragmented on its way.
    fn numbered(made: Made, payload: &[u8], id: u16, is_whole: bool) -> (Vec<u8>, Offload) {
        let mut frame = made.udp(7, 8, payload);
        if !made.v6 {
            put(&mut frame, IDENTIFICATION, id);
            put(&mut frame, FRAGMENT, if is_whole { WHOLE } else { 0 });
            put(&mut frame, HEADER_SUM, 0);
            let mut sum = Sum::default();
            sum.add(&frame[14..34]);
            put(&mut frame, HEADER_SUM, sum.checksum());
        }
        let ip = Head::parse(&frame).unwrap().ip.unwrap();
        let partial = !Sum::pseudo(ip.from, ip.to, UDP, ip.end - ip.segment).checksum();
        put(&mut frame, ip.segment + 6, partial);
        let mut bytes = [0; OFFLOAD_BYTES];
        bytes[0] = 1;
        bytes[6..8].copy_from_slice(&(ip.segment as u16).to_ne_bytes());
        bytes[8..10].copy_from_slice(&6_u16.to_ne_bytes());
        (frame, Offload::new(bytes))
    }

    /// What a kernel makes of it: complete packets, as they would be on a wire.
    fn as_a_kernel_cuts(joined: &[u8]) -> Vec<Vec<u8>> {
        let (left, frame) = joined.split_at(OFFLOAD_BYTES);
        let number = |at: usize| usize::from(u16::from_ne_bytes([left[at], left[at + 1]]));
        let finish = |frame: &[u8]| {
            let offload = Offload::new([1, 0, 0, 0, 0, 0, left[6], left[7], left[8], left[9]]);
            let mut done = Vec::new();
            offload.finish(&Head::parse(frame).unwrap(), frame, &mut Vec::new(), |_, packet| done = packet.to_vec());
            assert!(is_sound(&done));
            done
        };
        // As it is handed over, it must be sound itself.
        finish(frame);
        if left[1] == 0 {
            return vec![finish(frame)];
        }
        assert_eq!(left[1], CUT_DATAGRAMS);
        let udp = number(6);
        let cut = |(index, payload): (usize, &[u8])| {
            let mut one = [&frame[..udp + 8], payload].concat();
            if udp == 34 {
                let id = be16(frame, IDENTIFICATION).unwrap();
                put(&mut one, IDENTIFICATION, id.wrapping_add(index as u16));
            }
            let bytes = one.len() - udp;
            lengthen(&mut one, udp, bytes);
            finish(&one)
        };
        frame[number(2)..].chunks(number(4)).enumerate().map(cut).collect()
    }

    fn completed(frame: &[u8], offload: &Offload) -> Vec<u8> {
        as_a_kernel_cuts(&[&offload.bytes()[..], frame].concat()).remove(0)
    }

    proptest! {
        #[test]
        fn what_was_joined_and_cut_is_what_was_sent(
            v6: bool,
            is_whole: bool,
            id: u16,
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 33), 1..40),
        ) {
            let mut waiting = Coalesced::default();
            let mut came = Vec::new();
            let mut sent = Vec::new();
            for (number, payload) in payloads.iter().enumerate() {
                let made = Made { v6, ..Made::default() };
                let (frame, offload) = numbered(made, payload, id.wrapping_add(number as u16), is_whole);
                sent.push(completed(&frame, &offload));
                if !waiting.add(&frame, &offload) {
                    assert_eq!(waiting.count(), DATAGRAMS_MAX);
                    came.extend(as_a_kernel_cuts(waiting.joined()));
                    waiting.clear();
                    assert!(waiting.add(&frame, &offload));
                }
            }
            let mut alone = Vec::new();
            waiting.each(|offload, frame| alone.push(completed(frame, offload)));
            let last = as_a_kernel_cuts(waiting.joined());
            assert_eq!(alone, last);
            // And once more, after it was joined in vain.
            let mut again = Vec::new();
            waiting.each(|offload, frame| again.push(completed(frame, offload)));
            assert_eq!(again, last);
            came.extend(last);
            assert_eq!(came, sent);
        }

        #[test]
        fn only_a_frame_that_differs_in_nothing_but_its_payload_is_joined(
            v6: bool,
            at in 0_usize..62,
            bit in 0_u32..8,
        ) {
            let (first, offload) = left_undone(Made { v6, ..Made::default() }, b"first");
            let headers = first.len() - 5;
            let mut other = first.clone();
            let at = at % headers;
            other[at] ^= 1 << bit;
            let mut waiting = Coalesced::default();
            assert!(waiting.add(&first, &offload));
            assert!(!waiting.add(&other, &offload));
            assert!(waiting.add(&first, &offload));
        }

        #[test]
        fn what_may_be_fragmented_is_joined_only_in_the_order_of_its_names(first: u16, second: u16, is_whole: bool) {
            let mut waiting = Coalesced::default();
            let (frame, offload) = numbered(Made::default(), b"first", first, is_whole);
            assert!(waiting.add(&frame, &offload));
            let (frame, offload) = numbered(Made::default(), b"other", second, is_whole);
            assert_eq!(waiting.add(&frame, &offload), is_whole || second == first.wrapping_add(1));
            let (next, _) = numbered(Made::default(), b"third", first.wrapping_add(waiting.count() as u16), is_whole);
            assert!(waiting.add(&next, &offload));
        }

        #[test]
        fn a_datagram_with_a_wrong_sum_stays_wrong(v6: bool, bit in 0_u32..16) {
            let (mut frame, offload) = left_undone(Made { v6, ..Made::default() }, b"wrong");
            let at = if v6 { 54 + 6 } else { HEADER_SUM };
            let sum = be16(&frame, at).unwrap();
            put(&mut frame, at, sum ^ (1 << bit));
            assert!(!Coalesced::default().add(&frame, &offload));
        }

        #[test]
        fn no_frame_is_too_strange_to_be_asked_about(
            v6: bool,
            left: [u8; OFFLOAD_BYTES],
            length in 0_usize..90,
            damage in prop::collection::vec((0_usize..90, any::<u8>()), 0..4),
            is_left_whole: bool,
        ) {
            let (mut frame, offload) = left_undone(Made { v6, ..Made::default() }, &[7; 30]);
            let offload = if is_left_whole { offload } else { Offload::new(left) };
            damage.iter().for_each(|(at, byte)| if let Some(place) = frame.get_mut(*at) { *place = *byte });
            frame.truncate(length);
            let mut waiting = Coalesced::default();
            if waiting.add(&frame, &offload) {
                waiting.add(&frame, &offload);
                waiting.joined();
            }
        }
    }

    #[test]
    fn what_has_its_checksum_or_has_no_payload_or_another_length_goes_alone() {
        let made = Made::default();
        let mut waiting = Coalesced::default();
        assert!(!waiting.add(&made.udp(7, 8, b"complete, perhaps damaged by a rule"), &Offload::NONE));
        let (empty, offload) = left_undone(made, b"");
        assert!(!waiting.add(&empty, &offload));
        let (frame, offload) = left_undone(made, b"four");
        let (longer, _) = left_undone(made, b"fives");
        assert!(waiting.add(&frame, &offload) && !waiting.add(&longer, &offload));
        assert!(!waiting.add(&made.udp(7, 8, b"four"), &Offload::NONE));
        assert_eq!(waiting.count(), 1);
    }

    #[test]
    fn together_they_are_no_longer_than_a_packet_can_be() {
        let (frame, offload) = left_undone(Made::default(), &[7; 30_000]);
        let mut waiting = Coalesced::default();
        assert!(waiting.add(&frame, &offload) && waiting.add(&frame, &offload));
        assert!(waiting.is_full() && !waiting.add(&frame, &offload));
        assert_eq!(as_a_kernel_cuts(waiting.joined()).len(), 2);
    }
}
