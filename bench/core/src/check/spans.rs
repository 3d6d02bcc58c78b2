//! Sets of run time: when a process was frozen, when the bench was late.

use std::time::Duration;

use crate::history::{History, LifeSpan};
use crate::time::RunTime;

/// Disjoint intervals `[from, until)`, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Spans {
    spans: Vec<(u64, u64)>,
    /// The time covered before each span.
    before: Vec<u64>,
}

impl Spans {
    /// The union of any intervals.
    pub(super) fn new(mut intervals: Vec<(RunTime, RunTime)>) -> Self {
        intervals.sort_unstable();
        let mut union = Self::default();
        let mut covered = 0;
        for (from, until) in intervals.into_iter().filter(|(from, until)| from < until) {
            match union.spans.last_mut() {
                Some((_, last)) if from.0 <= *last => {
                    let grown = until.0.max(*last);
                    covered += grown - *last;
                    *last = grown;
                }
                _ => {
                    union.before.push(covered);
                    union.spans.push((from.0, until.0));
                    covered += until.0 - from.0;
                }
            }
        }
        union
    }

    /// When the bench was late.
    pub(super) fn stalls(history: &History) -> Self {
        Self::new(history.stalls().map(|stall| (stall.what.since, stall.at)).collect())
    }

    /// When a process was frozen, up to the horizon.
    pub(super) fn pauses(life: &LifeSpan, horizon: RunTime) -> Self {
        Self::new(life.pauses.iter().map(|pause| (pause.from, pause.until.unwrap_or(horizon))).collect())
    }

    /// How much of the time between two instants is covered.
    pub(super) fn covered(&self, from: RunTime, until: RunTime) -> Duration {
        Duration::from_nanos(self.covered_before(until.0).saturating_sub(self.covered_before(from.0)))
    }

    fn covered_before(&self, at: u64) -> u64 {
        let next = self.spans.partition_point(|&(from, _)| from < at);
        let Some(last) = next.checked_sub(1) else { return 0 };
        let (from, until) = self.spans[last];
        self.before[last] + until.min(at) - from
    }

    /// The union of both, between two instants.
    pub(super) fn union_within(&self, other: &Self, from: RunTime, until: RunTime) -> Self {
        let within = |spans: &Self| {
            let first = spans.spans.partition_point(|&(_, end)| end <= from.0);
            let last = spans.spans.partition_point(|&(start, _)| start < until.0);
            let clipped = spans.spans.get(first..last).unwrap_or_default().iter();
            clipped.map(|&(start, end)| (RunTime(start).max(from), RunTime(end).min(until))).collect::<Vec<_>>()
        };
        Self::new([within(self), within(other)].concat())
    }

    /// The instant at which so much uncovered time has passed since another.
    pub(super) fn after_uncovered(&self, from: RunTime, mut time: Duration) -> RunTime {
        let mut now = from;
        for &(start, end) in &self.spans[self.spans.partition_point(|&(_, end)| end <= from.0)..] {
            let free = RunTime(start).since(now);
            if time <= free {
                break;
            }
            time -= free;
            now = now.max(RunTime(end));
        }
        now + time
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn covered_time_is_what_counting_instants_gives(
            spans in vec((0..50_u64, 0..50_u64), 0..8), other in vec((0..50_u64, 0..50_u64), 0..8),
            from in 0..60_u64, until in 0..60_u64,
        ) {
            let of = |spans: &[(u64, u64)]| Spans::new(spans.iter().map(|&(a, b)| (RunTime(a), RunTime(b))).collect());
            let is_in = |spans: &[(u64, u64)], at: u64| spans.iter().any(|&(a, b)| a <= at && at < b);
            let (a, b) = (of(&spans), of(&other));
            let counted = (from..until).filter(|&at| is_in(&spans, at)).count();
            prop_assert_eq!(a.covered(RunTime(from), RunTime(until)).as_nanos(), counted as u128);

            let both = a.union_within(&b, RunTime(from), RunTime(until));
            let counted = (from..until).filter(|&at| is_in(&spans, at) || is_in(&other, at)).count();
            prop_assert_eq!(both.covered(RunTime(0), RunTime(99)).as_nanos(), counted as u128);

            let free = (from..until.max(from)).filter(|&at| !is_in(&spans, at)).count();
            let reached = a.after_uncovered(RunTime(from), Duration::from_nanos(free as u64));
            prop_assert_eq!((from..reached.0).filter(|&at| !is_in(&spans, at)).count(), free);
        }
    }
}
