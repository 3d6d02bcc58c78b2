//! When something happened, as well as the bench can know it.
//!
//! A line is read some time after it was written. What happened lies in a closed interval, and comparing two instants of different
//! nodes can have three answers.

use std::time::Duration;

use crate::history::{History, Seen};
use crate::observation::Event;
use crate::time::RunTime;

/// How long a line may be on its way from a node to the history without the bench counting as late. A stall of the bench is told when
/// its readers wake up 60 ms late or more.
pub(super) const ON_ITS_WAY: Duration = Duration::from_millis(100);

/// Up to when silence means that nothing was written: what was written just before the horizon may still be on its way.
pub(super) fn known_until(history: &History) -> RunTime {
    history.horizon() - ON_ITS_WAY
}

/// From when on a bound that elapses at this instant is decided: at the instant itself it may still be met, and the line may be on its way.
pub(super) fn decided_after(elapses: RunTime) -> RunTime {
    elapses + ON_ITS_WAY + Duration::from_nanos(1)
}

/// An instant that lies between two known ones, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) earliest: RunTime,
    pub(super) latest: RunTime,
}

impl Moment {
    /// What the bench did or learnt from the kernel has no uncertainty worth speaking of.
    pub(super) fn exact(at: RunTime) -> Self {
        Self { earliest: at, latest: at }
    }

    /// When the line of an event was written.
    pub(super) fn of(event: &Seen<'_, Event>) -> Self {
        Self { earliest: event.at - event.what.uncertainty.into(), latest: event.at }
    }

    /// The earlier of two, bound by bound.
    pub(super) fn min(self, other: Self) -> Self {
        Self { earliest: self.earliest.min(other.earliest), latest: self.latest.min(other.latest) }
    }
}

/// A measured time for people: `0.84s`, `0.003s`.
pub(super) fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 0.1 { format!("{seconds:.3}s") } else { format!("{seconds:.2}s") }
}

/// A measured time that is over a bound, precisely enough that it is seen to be: `1.001s`.
pub(super) fn exactly(time: Duration) -> String {
    format!("{:.3}s", time.as_secs_f64())
}

/// A bound as the scenario has it: `3s`, `300ms`.
pub(super) fn bound(time: Duration) -> String {
    humantime::format_duration(time).to_string().replace(' ', "")
}
