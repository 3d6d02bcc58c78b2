//! The bounds of invariants: a run goes on after its last step until each is met or elapsed.

use std::time::Duration;

use dsbench_core::check;
use dsbench_core::observation::Ending;
use dsbench_core::time::RunTime;

use super::{Driver, Due};

/// How soon a bound is looked at again when something was seen that may have met it.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Checks look at the whole history, so looking may take a while on a large one: at most this share of the time is spent on it.
const SHARE: u32 = 10;

/// How far the looking has come.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    /// The history's length at the last look.
    looked_at: u64,
    open_until: Option<RunTime>,
}

impl Driver<'_> {
    /// Ends the run if no bound is open, else looks again when one elapses or something was seen.
    pub(super) fn look_at_bounds(&mut self) {
        // While the nemesis acts and clients ask, bounds open again and again; their end comes back here.
        if self.ending.because.is_some() || !self.nemesis.is_over() || !self.workloads.are_over() {
            return;
        }
        let begun = self.now();
        let length = self.recorder.history().next_number();
        if length != self.bounds.looked_at {
            let open = check::open_until(&self.plan.scenario.invariants, self.recorder.history());
            self.bounds = Bounds { looked_at: length, open_until: open };
        }
        let now = self.now();
        match self.bounds.open_until {
            Some(until) if until > now => {
                let pause = LOOK_AGAIN.max(now.since(begun) * SHARE);
                self.agenda.push(until.min(now + pause), Due::Bounds);
            }
            _ if self.jobs.is_empty() && !self.undos.are_ahead() => self.end(Ending::Complete),
            // A `for` is not undone yet, or a process is on its way.
            _ => _ = self.agenda.push(now + LOOK_AGAIN, Due::Bounds),
        }
    }
}
