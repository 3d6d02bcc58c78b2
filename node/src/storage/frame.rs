//! One record on the disk: a header of 40 bytes, and a body.
//!
//! ```text
//! 0  magic          4   "dsn1"
//! 4  checksum       4   crc32 of the segment's number, the frame's offset in it, and everything below
//! 8  length         4   of the body
//! 12 kind           1   then three zeros
//! 16 durable        8   an offset in this segment: everything before it was durable when this frame was written
//! 24 index          8   of an entry, else 0
//! 32 term           8   of an entry, else 0
//! 40 body
//! ```
//!
//! Numbers are little-endian. Number and offset are in the checksum, so that a block that a file system put in a wrong place is no
//! frame. `durable` tells a crash from damage: see [`walk`](super::walk).

/// The bytes before a body.
pub(super) const HEADER: usize = 40;
/// The longest body. The largest record is an entry with a payload of 32 KiB, at worst six times as long in JSON.
pub(super) const BODY_MAX: usize = 1 << 20;
pub(super) const MAGIC: [u8; 4] = *b"dsn1";

/// What a frame is, one byte on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The first frame of a segment: whose it is.
    Head,
    /// Nothing but its `durable`: so that damage to what was saved before it is not taken for a crash.
    Mark,
    /// An entry of the replicated log; one at an index that the log already has replaces it and all that follow.
    Entry,
    // Of the others, the last one counts.
    Ballot,
    Identity,
    Pledge,
    Serials,
    Applied,
}

const KINDS: [(u8, Kind); 8] = [
    (b'H', Kind::Head),
    (b'M', Kind::Mark),
    (b'E', Kind::Entry),
    (b'B', Kind::Ballot),
    (b'I', Kind::Identity),
    (b'P', Kind::Pledge),
    (b'S', Kind::Serials),
    (b'A', Kind::Applied),
];

impl Kind {
    /// Whether only the last record of this kind counts.
    pub(super) fn last_counts(self) -> bool {
        !matches!(self, Self::Head | Self::Mark | Self::Entry)
    }

    fn byte(self) -> u8 {
        KINDS.iter().find(|(_, kind)| *kind == self).expect("every kind has a byte").0
    }

    fn of(byte: u8) -> Option<Self> {
        KINDS.iter().find(|(known, _)| *known == byte).map(|(_, kind)| *kind)
    }
}

/// One frame, as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<B> {
    pub(crate) kind: Kind,
    pub(crate) durable: u64,
    pub(crate) index: u64,
    pub(crate) term: u64,
    pub(crate) body: B,
}

impl<B> Frame<B> {
    /// The same with another body.
    pub(super) fn map<C>(self, other: impl FnOnce(B) -> C) -> Frame<C> {
        let Self { kind, durable, index, term, body } = self;
        Frame { kind, durable, index, term, body: other(body) }
    }
}

impl Frame<&[u8]> {
    /// Appends the frame to `out`, for `offset` in `segment`.
    pub(super) fn write(&self, segment: u64, offset: u64, out: &mut Vec<u8>) {
        assert!(
            self.body.len() <= BODY_MAX,
            "a record of {} bytes is larger than any that a core keeps",
            self.body.len()
        );
        let start = out.len();
        out.extend(MAGIC);
        out.extend([0; 4]);
        out.extend(u32::try_from(self.body.len()).expect("bodies are bounded").to_le_bytes());
        out.extend([self.kind.byte(), 0, 0, 0]);
        for number in [self.durable, self.index, self.term] {
            out.extend(number.to_le_bytes());
        }
        out.extend(self.body);
        let checksum = checksum(segment, offset, &out[start + 8..]);
        out[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It would be this long, header included, and there are fewer bytes.
    Short(usize),
    /// Not what was written there.
    Wrong(&'static str),
}

/// The frame at the beginning of `bytes`, which stand at `offset` in `segment`. Bytes after it do not matter.
pub(super) fn read(bytes: &[u8], segment: u64, offset: u64) -> Result<Frame<&[u8]>, Flaw> {
    let Some(header) = bytes.get(..HEADER) else { return Err(Flaw::Short(HEADER)) };
    if header[..4] != MAGIC {
        return Err(Flaw::Wrong("it does not begin as a record does"));
    }
    let length = u32_at(header, 8) as usize;
    if length > BODY_MAX {
        return Err(Flaw::Wrong("it is longer than any record"));
    }
    let Some(body) = bytes.get(HEADER..HEADER + length) else { return Err(Flaw::Short(HEADER + length)) };
    if u32_at(header, 4) != checksum(segment, offset, &bytes[8..HEADER + length]) {
        return Err(Flaw::Wrong("its checksum does not match its content"));
    }
    let Some(kind) = Kind::of(header[12]) else {
        return Err(Flaw::Wrong("it is of a kind that this version does not know"));
    };
    let [durable, index, term] = [16, 24, 32].map(|at| u64_at(header, at));
    Ok(Frame { kind, durable, index, term, body })
}

fn checksum(segment: u64, offset: u64, rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&segment.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(rest);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(body: &[u8], offset: u64) -> Vec<u8> {
        let mut out = Vec::new();
        Frame { kind: Kind::Entry, durable: 7, index: 8, term: 9, body }.write(3, offset, &mut out);
        out
    }

    proptest! {
        #[test]
        fn every_frame_is_read_back_where_it_was_written_and_nowhere_else(
            body in prop::collection::vec(any::<u8>(), 0..200), offset in any::<u64>(), elsewhere in any::<u64>(),
        ) {
            let bytes = written(&body, offset);
            prop_assert_eq!(read(&bytes, 3, offset), Ok(Frame { kind: Kind::Entry, durable: 7, index: 8, term: 9, body: &body[..] }));
            prop_assume!(elsewhere != offset);
            prop_assert!(read(&bytes, 3, elsewhere).is_err());
            prop_assert!(read(&bytes, 4, offset).is_err());
        }

        #[test]
        fn every_truncation_is_told_as_short(body in prop::collection::vec(any::<u8>(), 0..200), cut in any::<prop::sample::Index>()) {
            let bytes = written(&body, 40);
            let cut = cut.index(bytes.len());
            let needed = if cut < HEADER { HEADER } else { bytes.len() };
            prop_assert_eq!(read(&bytes[..cut], 3, 40), Err(Flaw::Short(needed)));
        }

        #[test]
        fn every_flipped_bit_is_detected(body in prop::collection::vec(any::<u8>(), 0..200), bit in any::<prop::sample::Index>()) {
            let mut bytes = written(&body, 40);
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(read(&bytes, 3, 40).is_err());
        }

        #[test]
        fn bytes_from_outside_are_no_frame_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read(&bytes, 3, 40).is_err());
            let after_a_good_start = [&MAGIC[..], &bytes].concat();
            prop_assert!(read(&after_a_good_start, 3, 40).is_err());
        }
    }
}
