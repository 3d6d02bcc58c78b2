//! When a step begins.

use std::fmt;
use std::time::Duration;

use super::Place;
use crate::condition::{Condition, Origin};
use crate::diagnostic::{self, Diagnostic, Located};
use crate::names::Names;
use crate::table::{Item, Key, Kind, Table};

/// When a step begins. All that is given counts: `when` is waited for first, then `after` passes.
#[derive(Debug, Clone, Default)]
pub struct Timing {
    /// Not before this.
    pub at: Option<At>,
    /// This long after the previous step was done (after the condition, if there is one).
    pub after: Option<Delay>,
    /// Once this holds; how long it may take. A miss makes the run inconclusive: the scene was never set.
    pub when: Option<(Condition, Duration)>,
}

/// An offset from the beginning of the stage, or from that of a step before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The step from whose beginning it counts, by index from 0 and as people call it; none: all nodes were ready, and the setup done. (In
    /// a setup: all nodes were ready. In a teardown: the run had ended.)
    pub step: Option<(usize, String)>,
    /// How long after that.
    pub plus: Duration,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plus = humantime::format_duration(self.plus);
        match &self.step {
            Some((_, label)) => write!(f, "at {label} + {plus}"),
            None => write!(f, "at {plus}"),
        }
    }
}

/// The keys of `at`; a bare duration stands for `plus`.
pub(super) const AT_KEYS: &[Key] = &[
    Key::new("step", Kind::Text, "The step from whose beginning it counts."),
    Key::required("plus", Kind::Duration, "How long after that."),
];

/// Reads `at`, which is there.
pub(super) fn parse_at(table: &Table<'_, '_>, origin: &Origin, place: Place, names: &Names<'_>) -> Option<At> {
    let item = table.item("at")?;
    let at = item.table_or("plus", AT_KEYS, "at")?;
    let plus = at.required("plus", Table::duration);
    let step = at.item("step").map(|_| {
        let index = names.step_before(&at.nonempty_text("step")?, origin.step)?;
        Some((index, names.step_label(index)))
    });
    if step.is_none() && place.round.is_some() {
        let message = "`at` means nothing in a group that is repeated";
        let label = "over before the second round";
        item.report(
            Diagnostic::error(diagnostic::NO_MEANING_HERE, message, item.key_span(), label)
                .help("`after` counts from the step before; { step = .., plus = .. } from a step of the same round"),
        );
        return None;
    }
    let step = match step {
        None => None,
        Some(step) => Some(step?),
    };
    Some(At { step, plus: plus?.value })
}

/// A length of time, or a range from which the seed chooses one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// At least.
    pub low: Duration,
    /// At most; the same as `low` if it is no range.
    pub high: Duration,
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.low).fmt(f)?;
        if self.high > self.low {
            write!(f, "..{}", humantime::format_duration(self.high))?;
        }
        Ok(())
    }
}

/// `after = "1s"`, or a range: `after = "0ms..50ms"`.
pub(in crate::scenario) fn parse_delay(item: &Item<'_, '_>) -> Option<Delay> {
    if item.is_text()
        && let Some((low, high)) = item.text()?.value.split_once("..")
        && let (Ok(low), Ok(high)) = (humantime::parse_duration(low), humantime::parse_duration(high))
        && low <= high
    {
        return Some(Delay { low, high });
    }
    item.duration().map(|delay| Delay { low: delay.value, high: delay.value })
}

pub(super) fn refuse_going_back(table: &Table<'_, '_>, latest: &mut Option<Located<Duration>>) {
    let Some(at) = table.duration_quietly("at") else { return };
    if let Some(before) = latest.as_ref().filter(|before| at.value < before.value) {
        let shown = |at: Duration| humantime::format_duration(at).to_string();
        let message = format!("the step is at {}, and one before it at {}", shown(at.value), shown(before.value));
        table.report(
            Diagnostic::error(diagnostic::OUT_OF_ORDER, message, at.span, "earlier than the step before")
                .also(before.span.clone(), "the step before")
                .help("`after` counts from the step before; or move the step up"),
        );
        return;
    }
    *latest = Some(at);
}
