//! Stopping a tree as a whole, and letting it go on.

use std::time::Duration;

use nix::poll::{PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::sys::PidFd;
use super::tree;
use crate::clock::Monotonic;

/// A freeze that takes longer than this is told as it is.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was stopped by a pause, and only that: what had stopped itself before stays so after the thaw.
#[derive(Debug, Default)]
pub(super) struct Frozen(Vec<PidFd>);

impl Frozen {
    /// Stops every thread of every descendant of `root`; gives the names of those that would not stop in time.
    // SIGSTOP, not SIGTSTP: a node may catch SIGTSTP, and the pause would be its choice.
    pub(super) fn freeze(&mut self, root: Pid) -> Vec<String> {
        let since = Monotonic::now();
        let mut told: Vec<i32> = Vec::new();
        loop {
            let running: Vec<_> = tree::descendants(root.as_raw())
                .into_iter()
                .filter(|process| !process.is_dead() && !process.is_stopped(told.contains(&process.pid)))
                .collect();
            // Nothing runs, so nothing can have been forked since: this look is final.
            if running.is_empty() {
                return Vec::new();
            }
            if Monotonic::now().since(since) > PATIENCE {
                return tree::names(&running);
            }
            for process in &running {
                if !told.contains(&process.pid)
                    && let Some(handle) = process.open()
                    && handle.signal(Signal::SIGSTOP as i32).is_ok()
                {
                    told.push(process.pid);
                    self.0.push(handle);
                }
            }
            // Stopping takes each thread a moment; a millisecond is many.
            let _ = poll(&mut [], PollTimeout::from(1u8));
        }
    }

    /// Lets run what was stopped.
    pub(super) fn thaw(&mut self) {
        for process in self.0.drain(..) {
            // It may have been killed meanwhile.
            let _ = process.signal(Signal::SIGCONT as i32);
        }
    }
}
