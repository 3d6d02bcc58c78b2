//! The armed timers of a core.

use std::collections::BTreeMap;
use std::time::Duration;

/// Each timer is armed at most once. Times are since the node's start.
#[derive(Debug)]
pub(super) struct Timers<T> {
    armed: BTreeMap<T, Duration>,
}

impl<T: Copy + Ord> Timers<T> {
    pub(super) fn new() -> Self {
        Self { armed: BTreeMap::new() }
    }

    pub(super) fn arm(&mut self, timer: T, at: Duration) {
        self.armed.insert(timer, at);
    }

    pub(super) fn disarm(&mut self, timer: T) {
        self.armed.remove(&timer);
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.armed.values().min().copied()
    }

    /// Takes the one that is due first, if any is by `now`.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<T> {
        let (&timer, &at) = self.armed.iter().min_by_key(|&(timer, at)| (at, timer))?;
        if at > now {
            return None;
        }
        self.armed.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_once_in_the_order_of_their_times_and_rearming_replaces() {
        let at = Duration::from_secs;
        let mut timers = Timers::new();
        for (timer, time) in [('a', 3), ('b', 1), ('c', 2), ('d', 1), ('a', 9)] {
            timers.arm(timer, at(time));
        }
        timers.disarm('c');
        assert_eq!(timers.next(), Some(at(1)));
        let fired: Vec<char> = std::iter::from_fn(|| timers.take_due(at(5))).collect();
        assert_eq!(fired, ['b', 'd']);
        assert_eq!(timers.next(), Some(at(9)));
    }
}
