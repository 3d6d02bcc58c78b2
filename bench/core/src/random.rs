//! Keyed randomness: one independent stream per purpose, the same on every machine and in every version.
//!
//! A seed is an interface: it is printed, stored and given back to reproduce a schedule. So the generator is named (PCG XSL RR 128/64,
//! M. O'Neill 2014), and what is drawn from it is written here and held by golden vectors, not taken from a library whose algorithms may
//! change. Streams are keyed by their purpose, so that one more client does not move the faults.

use std::time::Duration;

use rand_core::Rng;
use rand_pcg::Pcg64Mcg;

/// The stream of one purpose under one seed.
#[derive(Debug, Clone)]
pub struct Keyed {
    generator: Pcg64Mcg,
}

impl Keyed {
    /// The stream for a purpose: `Keyed::new(seed, "step/3")`.
    pub fn new(seed: u64, key: &str) -> Self {
        Self::indexed(seed, key, 0)
    }

    /// One of many streams for a purpose, such as that of the n-th frame of a link.
    pub fn indexed(seed: u64, key: &str, index: u64) -> Self {
        // FNV-1a of the key, then splitmix64 over seed, key and index: neighbouring seeds and keys share nothing.
        let key = key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let high = splitmix(splitmix(splitmix(seed) ^ key) ^ index);
        let low = splitmix(high);
        Self { generator: Pcg64Mcg::new(u128::from(high) << 64 | u128::from(low)) }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.generator.next_u64()
    }

    /// A number from 0 to `bound - 1`, each equally likely; 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // D. Lemire 2019, "Fast Random Integer Generation in an Interval": the few low products that would favour small numbers are
        // drawn again.
        loop {
            let product = u128::from(self.bits()) * u128::from(bound);
            let low = product as u64;
            if low >= bound || low >= bound.wrapping_neg() % bound.max(1) {
                return (product >> 64) as u64;
            }
        }
    }

    /// A length of time from `low` to `high`, both included, in whole microseconds.
    pub fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let span = high.saturating_sub(low).as_micros() as u64;
        low + Duration::from_micros(self.below(span.saturating_add(1)))
    }

    /// An element, each equally likely; none of an empty slice.
    pub fn choose<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let index = self.below(from.len() as u64) as usize;
        from.get(index)
    }

    /// The index of an element drawn by its weight; none if all weights are 0.
    pub fn weighted(&mut self, weights: &[u32]) -> Option<usize> {
        let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let mut drawn = self.below(total);
        weights.iter().position(|weight| {
            let weight = u64::from(*weight);
            let is_hit = drawn < weight;
            drawn = drawn.saturating_sub(weight);
            is_hit
        })
    }

    /// Brings the elements into a random order (Fisher and Yates, from the end).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// Draws that are found by their number, in any order: for choices that are made hundreds of thousands of times a second.
#[derive(Debug, Clone, Copy)]
pub struct Numbered {
    base: u64,
}

impl Numbered {
    /// The draws for a purpose.
    pub fn new(seed: u64, key: &str) -> Self {
        Self { base: Keyed::new(seed, key).bits() }
    }

    /// 64 bits for the `index`-th time, and the `lane`-th question that is asked then.
    pub fn bits(self, index: u64, lane: u64) -> u64 {
        splitmix(splitmix(self.base.wrapping_add(index)) ^ lane)
    }
}

/// The index of the winner of a raffle: every entry has as many tickets as its weight, and the highest of them all wins; none if nobody
/// has a ticket.
///
/// An entry's tickets follow from its name. So adding or removing one, or changing its weight, moves only the draws that it wins or loses,
/// where one number drawn below the sum of all weights would move nearly all of them.
pub fn raffle<'e>(
    seed: u64,
    key: &str,
    index: u64,
    entries: impl IntoIterator<Item = (&'e str, u32)>,
) -> Option<usize> {
    let best = |(name, weight): (&str, u32)| {
        let mut tickets = Keyed::indexed(seed, &format!("{key}/{name}"), index);
        (0..weight).map(|_| tickets.bits()).max()
    };
    let bests = entries.into_iter().map(best).enumerate();
    // Of equal tickets, which nobody will ever see, the first wins.
    let winner = bests.filter_map(|(entry, best)| Some((best?, std::cmp::Reverse(entry)))).max();
    winner.map(|(_, std::cmp::Reverse(entry))| entry)
}

/// One step of splitmix64 (Steele, Lea, Flood 2014).
fn splitmix(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_stream_for_ever() {
        let mut stream = Keyed::new(42, "nemesis");
        assert_eq!([stream.bits(), stream.bits(), stream.bits()], GOLDEN_BITS);
        let mut stream = Keyed::new(42, "nemesis");
        let drawn: Vec<u64> = (0..12).map(|_| stream.below(6)).collect();
        assert_eq!(drawn, GOLDEN_BELOW_SIX);
        let mut order: Vec<u8> = (0..8).collect();
        Keyed::new(42, "nemesis").shuffle(&mut order);
        assert_eq!(order, GOLDEN_ORDER);
    }

    const GOLDEN_BITS: [u64; 3] = [4_537_209_404_061_311_322, 14_886_105_849_482_413_627, 7_079_113_562_107_090_209];
    const GOLDEN_BELOW_SIX: [u64; 12] = [1, 4, 2, 4, 2, 2, 4, 4, 4, 0, 5, 4];
    const GOLDEN_ORDER: [u8; 8] = [0, 6, 4, 7, 3, 2, 5, 1];

    #[test]
    fn purposes_seeds_and_indexes_have_streams_of_their_own() {
        let first = Keyed::new(1, "a").bits();
        assert_ne!(first, Keyed::new(1, "b").bits());
        assert_ne!(first, Keyed::new(2, "a").bits());
        assert_ne!(first, Keyed::indexed(1, "a", 1).bits());
    }

    #[test]
    fn every_number_below_the_bound_comes_equally_often() {
        let mut stream = Keyed::new(7, "dice");
        let mut seen = [0_u32; 6];
        for _ in 0..60_000 {
            seen[stream.below(6) as usize] += 1;
        }
        assert!(seen.iter().all(|count| (9_500..10_500).contains(count)), "{seen:?}");
    }

    #[test]
    fn nothing_to_choose_from_is_no_choice() {
        let mut stream = Keyed::new(7, "none");
        assert_eq!(stream.below(0), 0);
        assert_eq!(stream.choose::<u8>(&[]), None);
        assert_eq!(stream.weighted(&[0, 0]), None);
        assert_eq!(stream.weighted(&[0, 3, 0]), Some(1));
    }

    #[test]
    fn a_raffle_is_won_by_weight() {
        let mut wins = [0_u32; 3];
        for draw in 0..60_000 {
            wins[raffle(7, "kind", draw, [("a", 3), ("b", 2), ("c", 1)]).unwrap()] += 1;
        }
        for (wins, expected) in wins.into_iter().zip([30_000_u32, 20_000, 10_000]) {
            assert!(wins.abs_diff(expected) < 600, "{wins} of {expected}");
        }
        assert_eq!(raffle(7, "kind", 0, [("a", 0), ("b", 2)]), Some(1));
        assert_eq!(raffle(7, "kind", 0, [("a", 0)]), None);
    }

    #[test]
    fn a_raffle_without_one_of_its_entries_is_won_as_before_where_that_did_not_win() {
        let all = [("a", 3), ("b", 2), ("c", 1)];
        for draw in 0..1_000 {
            let winner = all[raffle(7, "kind", draw, all).unwrap()].0;
            let fewer = [all[0], all[2]];
            let now = fewer[raffle(7, "kind", draw, fewer).unwrap()].0;
            assert!(winner == "b" || now == winner);
            let more = [all[0], all[1], ("c", 5)];
            let now = more[raffle(7, "kind", draw, more).unwrap()].0;
            assert!(now == winner || now == "c");
        }
    }

    #[test]
    fn a_raffle_has_the_same_winners_for_ever() {
        let winners: Vec<_> =
            (0..12).filter_map(|draw| raffle(42, "kind", draw, [("a", 3), ("b", 2), ("c", 1)])).collect();
        assert_eq!(winners, GOLDEN_RAFFLE);
    }

    const GOLDEN_RAFFLE: [usize; 12] = [1, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2];

    #[test]
    fn a_numbered_draw_is_the_same_for_ever() {
        let draws = Numbered::new(42, "network");
        let drawn = [draws.bits(0, 0), draws.bits(0, 1), draws.bits(1, 0)];
        assert_eq!(drawn, GOLDEN_NUMBERED);
    }

    const GOLDEN_NUMBERED: [u64; 3] =
        [8_302_498_818_051_034_724, 16_359_572_539_854_523_828, 7_238_590_791_457_222_095];

    #[test]
    fn numbered_draws_are_even_over_their_numbers_and_over_their_lanes() {
        let draws = Numbered::new(7, "even");
        let low = |bits: u64| bits < u64::MAX / 10;
        let by_number = (0..100_000).filter(|index| low(draws.bits(*index, 0))).count();
        let by_lane = (0..100_000).filter(|lane| low(draws.bits(5, *lane))).count();
        let both = (0..100_000).filter(|index| low(draws.bits(*index, 0)) && low(draws.bits(*index, 1))).count();
        assert!((9_600..10_400).contains(&by_number), "{by_number}");
        assert!((9_600..10_400).contains(&by_lane), "{by_lane}");
        assert!((850..1_150).contains(&both), "{both}");
    }

    #[test]
    fn a_length_of_time_stays_within_its_bounds() {
        let mut stream = Keyed::new(7, "time");
        let (low, high) = (Duration::from_millis(2), Duration::from_millis(4));
        for _ in 0..1_000 {
            let drawn = stream.between(low, high);
            assert!(low <= drawn && drawn <= high);
        }
        assert_eq!(stream.between(high, low), high);
    }
}
