//! When a step begins.

use std::fmt;
use std::time::Duration;

use crate::condition::Condition;
use crate::diagnostic::{self, Diagnostic, Located};
use crate::table::{Item, Table};

/// When a step begins. All that is given counts: `when` is waited for first, then `after` passes.
#[derive(Debug, Clone, Default)]
pub struct Timing {
    /// Not before this time since all nodes were ready.
    pub at: Option<Duration>,
    /// This long after the previous step was done (after the condition, if there is one).
    pub after: Option<Delay>,
    /// Once this holds; how long it may take. A miss makes the run inconclusive: the scene was never set.
    pub when: Option<(Condition, Duration)>,
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
