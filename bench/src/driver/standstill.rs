//! How long the bench itself stood still: time that no bound counts.

use std::time::Duration;

use dsbench_core::time::RunTime;

/// All of it so far. What stands still is mostly the machine, the cluster included; several threads notice, one after the other.
#[derive(Debug, Default)]
pub(super) struct Standstill {
    total: Duration,
    /// What was before this is counted.
    until: RunTime,
}

impl Standstill {
    /// The bench stood still since then, and goes on now.
    pub(super) fn was(&mut self, since: RunTime, now: RunTime) {
        let since = since.max(self.until);
        if now > since {
            self.total += now.since(since);
            self.until = now;
        }
    }

    pub(super) fn total(&self) -> Duration {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_threads_notice_counts_once() {
        let ms = |n| RunTime::START + Duration::from_millis(n);
        let mut standstill = Standstill::default();
        standstill.was(ms(100), ms(400));
        standstill.was(ms(200), ms(500));
        standstill.was(ms(150), ms(450));
        assert_eq!(standstill.total(), Duration::from_millis(400));
        standstill.was(ms(900), ms(1000));
        assert_eq!(standstill.total(), Duration::from_millis(500));
    }
}
