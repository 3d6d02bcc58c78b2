//! When operations are due: each has its own instant, reckoned from the beginning, so that no lateness adds up.

use std::time::Duration;

use crate::scenario::{Pace, Phase};

const SECOND: u128 = 1_000_000_000;

impl Pace {
    /// How long after the beginning the operation of this number (from 0) is due. None: there are not so many.
    ///
    /// At the pace of answers every operation is due at once.
    pub fn due(&self, serial: u64) -> Option<Duration> {
        let Self::Phases(phases) = self else { return Some(Duration::ZERO) };
        let (mut began, mut left) = (Duration::ZERO, serial);
        for phase in phases {
            match phase.operations() {
                Some(operations) if left >= operations => {
                    left -= operations;
                    began = began.saturating_add(phase.lasts.unwrap_or_default());
                }
                _ => return began.checked_add(phase.due(left)?),
            }
        }
        None
    }
}

impl Phase {
    /// How many operations are due in it: those at 0, 1/rate, 2/rate ... before its end.
    fn operations(&self) -> Option<u64> {
        let nanos = self.lasts?.as_nanos();
        let operations = (nanos * u128::from(self.rate)).div_ceil(SECOND);
        Some(u64::try_from(operations).unwrap_or(u64::MAX))
    }

    fn due(&self, number: u64) -> Option<Duration> {
        let nanos = (u128::from(number) * SECOND).checked_div(u128::from(self.rate))?;
        Some(Duration::from_nanos(u64::try_from(nanos).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn phase(lasts: Option<u64>, rate: u32) -> Phase {
        Phase { lasts: lasts.map(Duration::from_millis), rate }
    }

    #[test]
    fn operations_are_due_at_their_own_instants() {
        let pace = Pace::Phases(vec![phase(None, 3)]);
        let due: Vec<_> = (0..4).map(|serial| pace.due(serial).unwrap().as_nanos()).collect();
        assert_eq!(due, [0, 333_333_333, 666_666_666, 1_000_000_000]);
        assert_eq!(pace.due(3_000_000_000), Some(Duration::from_secs(1_000_000_000)));
        assert_eq!(Pace::AsAnswersCome.due(u64::MAX), Some(Duration::ZERO));
        let rest = Pace::Phases(vec![phase(Some(1000), 2), phase(Some(500), 0), phase(Some(1000), 1)]);
        let due: Vec<_> = (0..5).map(|serial| rest.due(serial).map(|due| due.as_millis())).collect();
        assert_eq!(due, [Some(0), Some(500), Some(1500), None, None]);
    }

    proptest! {
        /// The oracle goes through time in steps of the rates' common divisor and counts.
        #[test]
        fn as_many_are_due_in_a_phase_as_its_rate_and_length_say(phases in prop::collection::vec((0_u64..40, 0_u32..6), 1..5)) {
            let pace = Pace::Phases(phases.iter().map(|(tenths, rate)| phase(Some(tenths * 100), *rate)).collect());
            let (mut expected, mut began) = (Vec::new(), 0_u64);
            for (tenths, rate) in &phases {
                let end = began + tenths * 100_000_000;
                let mut number = 0;
                while *rate > 0 && began + number * 1_000_000_000 / u64::from(*rate) < end {
                    expected.push(began + number * 1_000_000_000 / u64::from(*rate));
                    number += 1;
                }
                began = end;
            }
            let due: Vec<u64> = (0..).map_while(|serial| pace.due(serial)).map(|due| due.as_nanos() as u64).collect();
            prop_assert_eq!(due, expected);
        }
    }
}
