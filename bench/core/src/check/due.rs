//! What must follow within a bound: the common part of [`deadline`](super::deadline) and [`eventually`](super::eventually).
//!
//! From each start, an arrival must come within `limit`. Both are known only within the uncertainty of their lines; the order of two
//! lines of one stream is known exactly. A stall of the bench extends the limit by its length: what comes later than that is late, what
//! comes between the limit and that is unknown.

use std::time::Duration;

use super::moment::{Moment, bound, exactly, seconds};
use super::spans::Spans;
use crate::history::Seen;
use crate::observation::{Event, Name, Source};
use crate::time::RunTime;
use crate::verdict::Finding;

/// An instant from which the bound runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start<'h> {
    pub(super) number: u64,
    pub(super) when: Moment,
    /// None for what the bench did itself.
    pub(super) source: Option<Source<'h>>,
}

/// What ends the wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival<'h> {
    number: u64,
    when: Moment,
    source: Source<'h>,
}

impl<'h> Arrival<'h> {
    pub(super) fn of(event: &Seen<'h, Event>) -> Self {
        let source = event.what.source();
        Self { number: event.number, when: Moment::of(event), source }
    }

    fn is_certainly_after(&self, start: &Start<'_>) -> bool {
        match start.source {
            Some(source) if source == self.source => self.number > start.number,
            _ => self.when.earliest >= start.when.latest,
        }
    }

    fn is_possibly_after(&self, start: &Start<'_>) -> bool {
        match start.source {
            Some(source) if source == self.source => self.number > start.number,
            _ => self.when.latest >= start.when.earliest,
        }
    }
}

/// Arrivals in the order in which they were read.
#[derive(Debug, Default)]
pub(super) struct Arrivals<'h> {
    by_latest: Vec<Arrival<'h>>,
    /// The largest uncertainty of them all.
    widest: Duration,
}

impl<'h> Arrivals<'h> {
    pub(super) fn new(mut arrivals: Vec<Arrival<'h>>) -> Self {
        arrivals.sort_by_key(|arrival| (arrival.when.latest, arrival.number));
        let widest = arrivals.iter().map(|arrival| arrival.when.latest.since(arrival.when.earliest)).max();
        Self { by_latest: arrivals, widest: widest.unwrap_or_default() }
    }

    /// All that was not read before the start could have been.
    fn from(&self, start: &Start<'_>) -> &[Arrival<'h>] {
        &self.by_latest[self.by_latest.partition_point(|arrival| arrival.when.latest < start.when.earliest)..]
    }
}

/// What became of one bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// An arrival came in time, by this one.
    Met { by: u64, after: Duration },
    /// No arrival came in time; perhaps one came later.
    Missed { late: Option<(u64, Duration)> },
    /// The run ended before the bound, which elapses then.
    Cut { until: RunTime },
    /// It was late, but the bench was late too.
    Stalled,
    /// It was late or not, depending on when within their uncertainty the lines were written.
    Uncertain,
    /// Too many uncertain lines to compare.
    OverBudget,
}

/// The rule by which bounds are judged.
#[derive(Debug)]
pub(super) struct Rule<'h> {
    pub(super) limit: Duration,
    pub(super) stalls: &'h Spans,
    /// Up to when silence means that nothing was written.
    pub(super) known_until: RunTime,
    /// Comparisons that are left: many lines of one late reading, each compared with each, would take for ever.
    pub(super) budget: u64,
}

/// Comparisons that one check may make.
pub(super) const BUDGET: u64 = 100_000_000;

impl Rule<'_> {
    /// When the bound has elapsed for certain, the bench's own lateness taken off.
    pub(super) fn elapses(&self, start: &Start<'_>) -> RunTime {
        self.stalls.after_uncovered(start.when.latest, self.limit)
    }

    /// Judges one bound.
    pub(super) fn judge(&mut self, start: &Start<'_>, arrivals: &Arrivals<'_>) -> Due {
        let candidates = arrivals.from(start);
        let mut certain = None;
        for arrival in candidates {
            if !self.spend() {
                return Due::OverBudget;
            }
            if arrival.is_certainly_after(start) {
                certain = Some(arrival);
                break;
            }
        }
        if let Some(arrival) = certain
            && arrival.when.latest.since(start.when.earliest) <= self.limit
        {
            return Due::Met { by: arrival.number, after: arrival.when.latest.since(start.when.latest) };
        }

        let elapses = self.elapses(start);
        let mut earliest = None::<RunTime>;
        for arrival in candidates {
            // No later one can have been written in time.
            if arrival.when.latest - arrivals.widest > elapses {
                break;
            }
            if !self.spend() {
                return Due::OverBudget;
            }
            if arrival.is_possibly_after(start) {
                let when = arrival.when.earliest.max(start.when.earliest);
                earliest = Some(earliest.map_or(when, |earliest| earliest.min(when)));
            }
        }
        let in_time = start.when.latest + self.limit;
        match earliest {
            Some(when) if when <= in_time => Due::Uncertain,
            Some(when) if when <= elapses => Due::Stalled,
            _ if self.known_until > elapses => {
                let late = certain.map(|late| (late.number, late.when.latest.since(start.when.latest)));
                Due::Missed { late }
            }
            _ if self.known_until > in_time => Due::Stalled,
            _ => Due::Cut { until: elapses },
        }
    }

    fn spend(&mut self) -> bool {
        self.budget = self.budget.saturating_sub(1);
        self.budget > 0
    }
}

/// One bound with what became of it, and how people call it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judged<'h> {
    pub(super) start: Start<'h>,
    pub(super) due: Due,
    /// The node at which the arrival was due; none if any would do.
    pub(super) node: Option<&'h Name>,
}

/// Words for a finding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'w> {
    /// What the bound runs from: `fault.kill`.
    pub(super) from: &'w str,
    /// What was due: `became_leader`.
    pub(super) until: &'w str,
}

/// Puts the bounds of one check together.
pub(super) fn finding(judged: &[Judged<'_>], rule: &Rule<'_>, words: Words<'_>) -> Finding {
    let checked = judged.len() as u64;
    let limit = bound(rule.limit);
    let Words { from, until } = words;
    let missed = judged.iter().filter(|judged| matches!(judged.due, Due::Missed { .. }));
    let violations = missed.clone().count() as u64;
    if let Some(first) = missed.min_by_key(|missed| (rule.elapses(&missed.start), missed.start.number)) {
        let at_node = first.node.map(|node| format!(" at {node}")).unwrap_or_default();
        let late = if let Due::Missed { late } = first.due { late } else { None };
        let summary = match late {
            Some((_, after)) => format!("{until}{at_node} came {} after {from} (limit {limit})", exactly(after)),
            None => format!("no {until}{at_node} within {limit} of {from}"),
        };
        let finding = Finding::violated(checked, violations, rule.elapses(&first.start), summary);
        let finding = finding.showing_as(first.start.number, format!("{limit} from here"));
        return match late {
            Some((number, _)) => finding.showing_as(number, "too late"),
            None => finding,
        };
    }
    let undecided = judged.iter().filter_map(|judged| Some((judged, why_undecided(judged.due)?)));
    let unknown = undecided.clone().count();
    if let Some((first, why)) = undecided.min_by_key(|(judged, _)| judged.start.number) {
        let at_node = first.node.map(|node| format!(" at {node}")).unwrap_or_default();
        let of = if checked == 1 { String::new() } else { format!("{unknown} of {checked} undecided: ") };
        let summary = format!("{of}{until}{at_node} within {limit} of {from}: {why}");
        return Finding::unknown(checked, summary).showing(first.start.number);
    }
    let worst = judged
        .iter()
        .filter_map(|judged| if let Due::Met { by, after } = judged.due { Some((after, by)) } else { None });
    match worst.max() {
        Some((after, by)) => Finding::held(checked, format!("worst {} of {limit}", seconds(after))).showing(by),
        None => Finding::never_exercised(format_args!("nobody had to answer to {from}")),
    }
}

fn why_undecided(due: Due) -> Option<&'static str> {
    match due {
        Due::Met { .. } | Due::Missed { .. } => None,
        Due::Cut { .. } => Some("the run ended before the limit"),
        Due::Stalled => Some("the bench itself was late"),
        Due::Uncertain => Some("the times of the lines are not sure enough"),
        Due::OverBudget => Some("too many lines of uncertain time to compare"),
    }
}
