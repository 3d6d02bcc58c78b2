//! What strangers send: counted, told once a second, and forgotten.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::emit::Log;

/// Whoever floods a node must not flood its log.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// The count of everything that was ignored.
#[derive(Debug)]
pub(super) struct Refused {
    log: Log,
    tally: Mutex<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    ignored: u64,
    told_at: Option<Instant>,
}

impl Refused {
    pub(super) fn new(log: Log) -> Self {
        Self { log, tally: Mutex::default() }
    }

    pub(super) fn count(&self) -> u64 {
        self.tally().ignored
    }

    /// Counts one more; tells it unless the last line is too recent. `ignored=` is the total, so the silence between is no secret.
    pub(super) fn ignore(&self, from: impl fmt::Display, reason: impl fmt::Display) {
        let mut tally = self.tally();
        tally.ignored += 1;
        let now = Instant::now();
        if tally.told_at.is_none_or(|told| now.duration_since(told) >= BETWEEN_LINES) {
            tally.told_at = Some(now);
            let ignored = tally.ignored;
            self.log.warn(format_args!("ignored input from={from} ignored={ignored}: {reason}"));
        }
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().expect("no holder of the tally panics")
    }
}
