//! The index beside each raw file: when which part of it arrived.
//!
//! One record of 32 bytes per read, little-endian, in the order of the file. With it every line's arrival can be told again, and the
//! merged view rebuilt, from the raw files alone.

use std::io::Read;

use dsbench_core::observation::Nanos;
use dsbench_core::time::RunTime;

/// Length of a record in bytes.
pub const INDEX_RECORD_BYTES: usize = 32;

/// The bytes from `offset` (until the next record's) were read at `at`, and had been written at most `uncertainty` before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexRecord {
    /// Byte offset in the raw file.
    pub offset: u64,
    /// How many `\n` stand before it.
    pub lines: u64,
    /// When it was read.
    pub at: RunTime,
    /// How long before that it may have been written.
    pub uncertainty: Nanos,
}

impl IndexRecord {
    /// As stored.
    pub(super) fn to_bytes(self) -> [u8; INDEX_RECORD_BYTES] {
        let mut bytes = [0; INDEX_RECORD_BYTES];
        let numbers = [self.offset, self.lines, self.at.0, self.uncertainty.0];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Reads the next record; none at the end, and none for a last one that a killed bench left incomplete.
    pub fn read(from: &mut impl Read) -> Option<Self> {
        let mut number = || {
            let mut bytes = [0; 8];
            from.read_exact(&mut bytes).ok().map(|()| u64::from_le_bytes(bytes))
        };
        Some(Self { offset: number()?, lines: number()?, at: RunTime(number()?), uncertainty: Nanos(number()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_a_torn_one_is_the_end() {
        let record = IndexRecord { offset: 1, lines: 2, at: RunTime(3), uncertainty: Nanos(u64::MAX) };
        let mut stored = record.to_bytes().to_vec();
        stored.extend([9; 31]);
        let mut from = stored.as_slice();
        assert_eq!(IndexRecord::read(&mut from), Some(record));
        assert_eq!(IndexRecord::read(&mut from), None);
    }
}
