//! How often leadership is offered to a higher node.

use std::time::Duration;

/// Spaces the offers of one node: a target that cannot lead (it dies half-way, or reaches no majority) must not cost the
/// cluster its leader again and again. Kept while others lead.
#[derive(Debug)]
pub(crate) struct Pacing {
    unit: Duration,
    failures: u32,
    not_before: Duration,
}

impl Pacing {
    /// After the first offer the next one waits for `unit`, then twice as long, up to [`LONGEST`](Self::LONGEST) units.
    pub(crate) fn new(unit: Duration) -> Self {
        Self { unit, failures: 0, not_before: Duration::ZERO }
    }

    /// The longest wait, in units.
    const LONGEST: u32 = 8;

    pub(crate) fn is_due(&self, now: Duration) -> bool {
        now >= self.not_before
    }

    /// An offer is made now. Until a success is known it counts as a failure.
    pub(crate) fn offered(&mut self, now: Duration) {
        let wait = (1 << self.failures.min(Self::LONGEST.ilog2())) * self.unit;
        self.not_before = now.saturating_add(wait);
        self.failures = self.failures.saturating_add(1);
    }

    /// The node to which leadership was offered leads.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_that_fail_become_rarer_up_to_a_limit() {
        let secs = Duration::from_secs;
        let mut pacing = Pacing::new(secs(1));
        let mut now = secs(0);
        let waits: Vec<_> = (0..6)
            .map(|_| {
                pacing.offered(now);
                let wait = pacing.not_before - now;
                assert!(!pacing.is_due(pacing.not_before - Duration::from_nanos(1)));
                now = pacing.not_before;
                wait
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 8, 8].map(secs));
        pacing.succeeded();
        pacing.offered(now);
        assert_eq!(pacing.not_before - now, secs(1));
    }
}
