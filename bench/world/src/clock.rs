//! The run clock: the only file of the bench that reads the system's clocks.
//!
//! Run time is CLOCK_MONOTONIC since the run began. Guardian and keepers are other processes on the same machine, so the instants that
//! they report are readings of the same clock, and [`Clock::at`] places them in the run. A virtual clock would be a second
//! constructor here; nobody else would notice.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, SystemTime};

use dsbench_core::time::RunTime;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{self, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId, clock_gettime};

/// The clock of one run. Copies show the same time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Monotonic,
    wall_start: SystemTime,
}

impl Clock {
    /// Begins run time now.
    pub fn start() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the run's start is also a date, for names of directories and headers of reports"
        )]
        let wall_start = SystemTime::now();
        Self { origin: Monotonic::now(), wall_start }
    }

    /// Time since the run began.
    pub fn now(&self) -> RunTime {
        self.at(Monotonic::now())
    }

    /// The date at which the run began: for names and headers, never for arithmetic.
    pub fn wall_start(&self) -> SystemTime {
        self.wall_start
    }

    /// The same in nanoseconds since 1970, which is what packets are recorded with.
    pub(crate) fn epoch_ns(&self) -> u64 {
        let since = self.wall_start.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Places an instant that another process of the bench has measured; one before the run began counts as its beginning.
    pub(crate) fn at(&self, instant: Monotonic) -> RunTime {
        RunTime(instant.0.saturating_sub(self.origin.0))
    }

    /// How long it is until `deadline`; zero if it has passed.
    pub fn until(&self, deadline: RunTime) -> Duration {
        deadline.since(self.now())
    }
}

/// A descriptor that can be read when an instant of the run clock has come. Unlike a timeout it is exact to the kernel's timers: no slack is
/// added to it.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: TimerFd,
    set_to: Option<RunTime>,
}

impl Alarm {
    /// One that is not set.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        Ok(Self { timer: TimerFd::new(timerfd::ClockId::CLOCK_MONOTONIC, flags)?, set_to: None })
    }

    /// Sets it, also to an instant that has passed. Costs nothing if it is set to that instant already.
    pub(crate) fn set(&mut self, clock: &Clock, to: RunTime) {
        if self.set_to == Some(to) {
            return;
        }
        let instant = clock.origin.0.saturating_add(to.0).min(i64::MAX as u64);
        let instant = Expiration::OneShot(TimeSpec::from_duration(Duration::from_nanos(instant)));
        self.timer.set(instant, TimerSetTimeFlags::TFD_TIMER_ABSTIME).expect("a sane time is accepted");
        self.set_to = Some(to);
    }

    /// Silences it, once it was heard.
    pub(crate) fn heard(&mut self) {
        // What was heard is not waited for: the timer does not block.
        let mut count = [0; 8];
        let _ = nix::unistd::read(&self.timer, &mut count);
        self.set_to = None;
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

/// A reading of CLOCK_MONOTONIC in nanoseconds, comparable between processes of one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct Monotonic(pub(crate) u64);

impl Monotonic {
    /// Reads the clock.
    pub(crate) fn now() -> Self {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux has a monotonic clock");
        Self(now.tv_sec().unsigned_abs() * 1_000_000_000 + now.tv_nsec().unsigned_abs())
    }

    /// Time since an earlier instant; zero if it is not earlier.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_time_starts_at_zero_and_never_goes_back() {
        let before = Monotonic::now();
        let clock = Clock::start();
        assert_eq!(clock.at(before), RunTime::START);
        let first = clock.now();
        let second = clock.now();
        assert!(first <= second);
        assert_eq!(clock.until(RunTime::START), Duration::ZERO);
        assert!(clock.until(second + Duration::from_secs(60)) > Duration::from_secs(50));
    }
}
