//! What is decided by a draw: a share of all frames, and losses that come in bursts.

use super::Loss;

/// A probability, ready to be compared with 64 drawn bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chance {
    below: u64,
    is_certain: bool,
}

impl Chance {
    /// A probability from 0 to 1; what is outside counts as the nearer end.
    pub(super) fn new(probability: f64) -> Self {
        // The conversion saturates.
        Self { below: (probability * 2.0_f64.powi(64)) as u64, is_certain: probability >= 1.0 }
    }

    /// True for a share of all draws.
    pub(super) fn hits(self, drawn: u64) -> bool {
        drawn < self.below || self.is_certain
    }
}

/// Gilbert's model (1960): in the bad state every frame is lost, in the good state none.
///
/// With a share p of lost frames and bursts of b in the mean, the bad state is left with 1/b and entered with p / (b (1 - p)). Losses without
/// memory come in runs of 1 / (1 - p): there both ways into the bad state are p, and nothing shorter is meant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gilbert {
    first: Chance,
    when_good: Chance,
    when_bad: Chance,
}

impl Gilbert {
    /// The model for a share and a mean.
    pub(super) fn new(loss: Loss) -> Self {
        let share = loss.share.clamp(0.0, 1.0);
        if share >= 1.0 {
            let always = Chance::new(1.0);
            return Self { first: always, when_good: always, when_bad: always };
        }
        let first = Chance::new(share);
        let burst = loss.burst;
        if burst * (1.0 - share) <= 1.0 {
            return Self { first, when_good: first, when_bad: first };
        }
        Self {
            first,
            when_good: Chance::new(share / (burst * (1.0 - share))),
            when_bad: Chance::new(1.0 - 1.0 / burst),
        }
    }

    /// True if a frame's loss does not depend on the one before it.
    pub(super) fn has_no_memory(&self) -> bool {
        self.when_good == self.when_bad
    }

    /// True if this frame is lost; `was_lost` is what became of the one before, if there was one.
    pub(super) fn loses(&self, was_lost: Option<bool>, drawn: u64) -> bool {
        let chance = match was_lost {
            None => self.first,
            Some(false) => self.when_good,
            Some(true) => self.when_bad,
        };
        chance.hits(drawn)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, proptest};

    use super::*;
    use crate::random::Numbered;

    const FRAMES: u32 = 60_000;

    /// Which of many frames are lost.
    fn lost(share: f64, burst: f64, seed: u64) -> Vec<bool> {
        let (model, draws) = (Gilbert::new(Loss { share, burst }), Numbered::new(seed, "loss"));
        let mut before = None;
        let mut next = |index| {
            before = Some(model.loses(before, draws.bits(u64::from(index), 0)));
            before == Some(true)
        };
        (0..FRAMES).map(&mut next).collect()
    }

    fn mean_run(lost: &[bool]) -> f64 {
        let runs = lost.split(|lost| !lost).filter(|run| !run.is_empty()).count();
        lost.iter().filter(|lost| **lost).count() as f64 / runs as f64
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn bursts_have_their_mean_length_and_the_share_is_kept(seed: u64, share in 0.02_f64..0.5, burst in 3.0_f64..12.0) {
            let lost = lost(share, burst, seed);
            let run = mean_run(&lost);
            // A run is geometric: its spread is its mean. Six deviations of the mean over the number of runs.
            let runs = f64::from(FRAMES) * share / burst;
            assert!((run - burst).abs() < 6.0 * burst / runs.sqrt(), "{run} instead of {burst}");
            let measured = lost.iter().filter(|lost| **lost).count() as f64 / f64::from(FRAMES);
            assert!((measured - share).abs() < 6.0 * share * (2.0 / runs).sqrt(), "{measured} instead of {share}");
        }

        #[test]
        fn a_burst_of_one_is_loss_without_memory(seed: u64, share in 0.02_f64..0.9) {
            let (model, draws) = (Gilbert::new(Loss { share, burst: 1.0 }), Numbered::new(seed, "loss"));
            for index in 0..1_000 {
                let drawn = draws.bits(index, 0);
                assert_eq!(model.loses(Some(true), drawn), model.loses(Some(false), drawn));
            }
        }
    }

    #[test]
    fn certain_is_always_and_impossible_is_never() {
        assert!(Chance::new(1.0).hits(u64::MAX));
        assert!(!Chance::new(0.0).hits(0));
        assert!(!Chance::new(-1.0).hits(0));
        assert!(!Chance::new(f64::NAN).hits(0));
        assert!(lost(1.0, 1.0, 1).iter().all(|lost| *lost));
        assert!(!lost(0.0, 5.0, 1).contains(&true));
    }
}
