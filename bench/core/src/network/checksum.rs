//! The Internet checksum (RFC 1071), and its repair after a change (RFC 1624).

use std::net::IpAddr;

/// The sum of what a checksum covers, folded when it is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum(u64);

impl Sum {
    /// The pseudo-header that the checksum of a segment covers as well.
    pub(super) fn pseudo(from: IpAddr, to: IpAddr, number: u8, length: usize) -> Self {
        let mut sum = Self::default();
        for address in [from, to] {
            match address {
                IpAddr::V4(address) => sum.add(&address.octets()),
                IpAddr::V6(address) => sum.add(&address.octets()),
            }
        }
        sum.0 += u64::from(number) + length as u64;
        sum
    }

    /// Adds bytes; an odd last one counts as if a zero followed.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        // Four bytes at once: their two halves are folded together at the end.
        let mut fours = bytes.chunks_exact(4);
        for four in &mut fours {
            self.0 += u64::from(u32::from_be_bytes([four[0], four[1], four[2], four[3]]));
        }
        let mut rest = [0; 4];
        rest[..fours.remainder().len()].copy_from_slice(fours.remainder());
        self.0 += u64::from(u32::from_be_bytes(rest));
    }

    /// The checksum: the complement of the folded sum.
    pub(super) fn checksum(mut self) -> u16 {
        while self.0 > 0xffff {
            self.0 = (self.0 & 0xffff) + (self.0 >> 16);
        }
        !(self.0 as u16)
    }
}

/// The checksum after one 16-bit word that it covers has changed: `~(~sum + ~old + new)`.
pub(super) fn repaired(checksum: u16, old: u16, new: u16) -> u16 {
    let sum = u64::from(!checksum) + u64::from(!old) + u64::from(new);
    Sum(sum).checksum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::*;

    fn of(bytes: &[u8]) -> u16 {
        let mut sum = Sum::default();
        sum.add(bytes);
        sum.checksum()
    }

    #[test]
    fn the_example_of_the_standard_is_right() {
        // RFC 1071, section 3.
        assert_eq!(of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    proptest! {
        #[test]
        fn a_repaired_checksum_is_that_of_the_changed_bytes(
            mut bytes in prop::collection::vec(any::<u8>(), 2..100),
            at in any::<prop::sample::Index>(),
            new in any::<[u8; 2]>(),
        ) {
            // Data of nothing but zeros have no sum from which the other zero could be told.
            bytes.push(1);
            bytes.resize(bytes.len().next_multiple_of(2), 0);
            let before = of(&bytes);
            let at = at.index(bytes.len() / 2 - 1) * 2;
            let old = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
            bytes[at..at + 2].copy_from_slice(&new);
            assert_eq!(repaired(before, old, u16::from_be_bytes(new)), of(&bytes));
        }
    }
}
