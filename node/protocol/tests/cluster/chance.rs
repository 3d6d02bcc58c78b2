//! Keyed randomness: every choice has its own name, so that adding one does not move the others.

use std::time::Duration;

/// A stream of choices (SplitMix64) that belongs to one name.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The stream of `name` under `seed`.
    pub(crate) fn of(seed: u64, name: &str) -> Self {
        Self::keyed(key(seed, name), 0)
    }

    /// The stream of the `index`-th thing under a [`key`].
    pub(crate) fn keyed(key: u64, index: u64) -> Self {
        Self(mix(key ^ mix(index.wrapping_add(0x9e37_79b9_7f4a_7c15))))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// In `0..n`; 0 for an empty range.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    pub(crate) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        low + Duration::from_micros(self.below(high.saturating_sub(low).as_micros() as usize) as u64)
    }

    pub(crate) fn permille(&mut self, n: u32) -> bool {
        self.below(1000) < n as usize
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// The key of `name` under `seed`.
pub(crate) fn key(seed: u64, name: &str) -> u64 {
    mix(seed ^ mix(fnv(FNV_START, name.as_bytes())))
}

pub(crate) const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, continued from `hash`.
pub(crate) fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
