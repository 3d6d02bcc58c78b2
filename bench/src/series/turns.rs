//! Whose turn it is: the runs of a series in their order, round by round.

use dsbench_world::Clock;

use super::Series;
use crate::run::Order;

/// The runs that are still to be made.
#[derive(Debug)]
pub(super) struct Turns<'s> {
    series: &'s Series,
    clock: Clock,
    round: u64,
    index: usize,
}

impl<'s> Turns<'s> {
    /// All of them; time runs from now on.
    pub(super) fn of(series: &'s Series) -> Self {
        Self { series, clock: Clock::start(), round: 1, index: 0 }
    }
}

impl Iterator for Turns<'_> {
    type Item = Order;

    /// The next one, if it is still wanted. Planned just before it is run: a series of any length holds few plans at a time.
    fn next(&mut self) -> Option<Order> {
        let Self { series, round, index, .. } = *self;
        let selected = series.runs.get(index)?;
        if !series.goes_on(round, self.clock.now().elapsed()) {
            return None;
        }
        self.index += 1;
        if self.index == series.runs.len() {
            (self.index, self.round) = (0, round + 1);
        }
        let Series { keep, pcap, .. } = *series;
        Some(Order { keep, pcap, jobs: series.side_by_side(), ..selected.order(&series.logs, index, round) })
    }
}
