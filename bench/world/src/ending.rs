//! The end of a world: everything is killed, and that nothing is left is proven.

use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use dsbench_core::observation::Life;

use crate::desk::Desk;
use crate::network::Switch;
use crate::outside::Outside;
use crate::process::Order;
use crate::world::World;

/// How long a world that is dropped (a panic, an early error) may take to clean up.
const DROP_BOUND: Duration = Duration::from_secs(10);

/// What threads and guardian get to finish, even if the bound is over.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What was left to be done at the end.
#[derive(Debug, Default)]
pub struct Ended {
    /// What came in during the shutdown, in order: exits and proofs of emptiness, last lines.
    pub outside: Vec<Outside>,
    /// Lives that were still alive and had to be killed.
    pub killed: Vec<Life>,
    /// What could not be killed or proven dead within the bound, for people. Empty: nothing of the run is left, proven.
    pub survivors: Vec<String>,
    /// The callers at the desk, who can now be told what came of it.
    pub desk: Option<Desk>,
}

impl World {
    /// Kills, waits for the proofs, and ends threads and guardian; a second call finds nothing to do.
    pub(crate) fn end(&mut self, bound: Duration) -> Ended {
        let deadline = self.clock.now() + bound;
        let killed: Vec<Life> = self.alive.keys().cloned().collect();
        for life in &killed {
            self.order(life, &Order::Kill);
        }
        let Some(machinery) = self.machinery.take() else { return Ended::default() };
        let mut ended = Ended { killed, ..Ended::default() };
        while !self.alive.is_empty() {
            let Ok(outside) = self.inbox.recv_timeout(self.clock.until(deadline)) else { break };
            self.keep_book(&outside.what);
            ended.outside.push(outside);
        }
        ended
            .survivors
            .extend(self.alive.keys().map(|life| format!("{}/{} (life {})", life.node, life.process, life.life)));
        // From here on nobody gives orders. What helpers have left is killed by their keepers, who see the end of their channels.
        machinery.control.stop();
        machinery.capture.stop();
        ended.desk = machinery.desk;
        // Whoever waits for the end of the world's words would wait for this one, too.
        drop(machinery.outbox);
        if let Some(desk) = &ended.desk {
            desk.deafen();
        }
        // The last packets are written down.
        machinery.switch.and_then(Switch::stop);
        // The laboratory's process ends when nobody wants anything of it.
        drop((machinery.porter, machinery.exposed));
        self.alive.clear();
        self.execs.clear();
        loop {
            match self.inbox.recv_timeout(self.clock.until(deadline.max(self.clock.now() + LAST_WORDS))) {
                Ok(outside) => ended.outside.push(outside),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    ended.survivors.push("a thread that writes logs (is the disk stalled?)".to_owned());
                    break;
                }
            }
        }
        let left = self.clock.until(deadline).max(LAST_WORDS);
        if !machinery.guardian.end(left) {
            ended.survivors.push("processes whose end the guardian has not confirmed".to_owned());
        }
        ended
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.end(DROP_BOUND);
    }
}
