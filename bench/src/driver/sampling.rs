//! Resources of the processes, measured once a second.

use std::time::Duration;

use dsbench_core::observation::What;

use super::{Driver, Due};

/// The first measurement: when most programs have reached their working size.
pub(super) const FIRST: Duration = Duration::from_millis(500);
const EVERY: Duration = Duration::from_secs(1);

impl Driver<'_> {
    pub(super) fn sample(&mut self) {
        let now = self.now();
        self.look_for_socket();
        // Where nothing is judged, nobody asks for it, and looking at all processes is most of what an idle cluster would cost.
        let samples = if self.hands.is_none() { self.world.sample() } else { Vec::new() };
        for sample in samples {
            // What prepares a process is none of the scenario's, and clients are the bench's.
            if self.prepares(&sample.of) || self.is_client(&sample.of) {
                continue;
            }
            self.record(now, What::Sample(sample));
        }
        self.agenda.push(now + EVERY, Due::Sample);
    }
}
