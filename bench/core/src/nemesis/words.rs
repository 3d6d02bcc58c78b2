//! The schedule in people's words, before anything runs.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{Fault, Schedule, seconds};
use crate::scenario::Begin;

/// Nobody reads more lines than this.
const SHOWN: usize = 100;

/// Of faults that wait for events nobody knows how many will come.
const SHOWN_AIMED: usize = 20;

/// A plan need not hold more faults than this.
const STORED: usize = 1_000;

impl Schedule<'_> {
    /// What will happen, in a run of at most this length.
    pub(crate) fn describe(&self, timeout: Duration, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\nwhat the nemesis does\n  {}", self.frame())?;
        let is_aimed = self.nemesis.when.is_some();
        let shown = if is_aimed { SHOWN_AIMED } else { SHOWN };
        let mut planned = self.planned(timeout);
        for (earliest, fault) in planned.by_ref().take(shown) {
            writeln!(out, "  {:>3}. {:<28} {fault}", fault.index + 1, self.timing(earliest, &fault))?;
        }
        match planned.count() {
            0 => Ok(()),
            _ if is_aimed => writeln!(out, "       ... and so on, with every event"),
            more => writeln!(out, "       ... and {more} more"),
        }
    }

    /// The same as data.
    pub(crate) fn to_json(self, timeout: Duration) -> Json {
        let fault = |(earliest, fault): (Duration, Fault<'_>)| json!({ "when": self.timing(earliest, &fault), "what": fault.to_string() });
        let faults: Vec<Json> = self.planned(timeout).take(STORED).map(fault).collect();
        json!({ "line": self.nemesis.line, "when": self.frame(), "faults": faults })
    }

    /// Those for which there is time, if every event comes at once.
    fn planned(&self, timeout: Duration) -> impl Iterator<Item = (Duration, Fault<'_>)> {
        let room = self.room().map_or(timeout, |room| room.min(timeout));
        self.faults().take_while(move |(earliest, fault)| earliest.saturating_add(self.after(fault)) < room)
    }

    /// How long it goes on at most, if that is known beforehand.
    fn room(&self) -> Option<Duration> {
        let until_stop = match (self.nemesis.begin, self.nemesis.stop) {
            (Begin::At(start), Some(stop)) => Some(stop.saturating_sub(start)),
            _ => None,
        };
        self.nemesis.duration.into_iter().chain(until_stop).min()
    }

    /// From the event for which a fault waits until it comes.
    fn after(&self, fault: &Fault<'_>) -> Duration {
        if self.nemesis.when.is_some() { fault.after } else { Duration::ZERO }
    }

    /// From when to when, and how far it may go.
    fn frame(&self) -> String {
        let shown = |time: Duration| humantime::format_duration(time).to_string();
        let begin = match self.nemesis.begin {
            Begin::At(start) if start.is_zero() => "from the moment at which all nodes are ready".to_owned(),
            Begin::At(start) => format!("from {} after all nodes are ready", shown(start)),
            Begin::ByStep => "when a step starts it".to_owned(),
        };
        let end = match (self.nemesis.duration, self.nemesis.stop) {
            (Some(duration), None) => format!("for {}", shown(duration)),
            (None, Some(stop)) => format!("until {} after that moment", shown(stop)),
            (Some(duration), Some(stop)) => format!("for {}, and not after {}", shown(duration), shown(stop)),
            (None, None) => "until the steps stop it or are done".to_owned(),
        };
        let heals = if self.nemesis.heal_last { "; it undoes everything when it stops" } else { "" };
        let aim = self.nemesis.when.as_ref().map(|event| {
            let without = self.nemesis.within.map(|within| format!(", or after {} without it", shown(within)));
            format!("; each fault at the next {event}{}", without.unwrap_or_default())
        });
        format!("{begin}, {end}; at most {} down at once{heals}{}", self.nemesis.max_down, aim.unwrap_or_default())
    }

    /// When a fault comes.
    fn timing(&self, earliest: Duration, fault: &Fault<'_>) -> String {
        match (&self.nemesis.when, self.nemesis.begin) {
            (Some(_), _) if fault.gap.is_zero() => format!("{} after the event", seconds(fault.after)),
            (Some(_), _) => format!("{} later, {} after the event", seconds(fault.gap), seconds(fault.after)),
            (None, Begin::At(start)) => format!("at {}", seconds(start + earliest)),
            (None, Begin::ByStep) => format!("{} after its start", seconds(earliest)),
        }
    }
}
