//! A disk that takes its time, and loses what it was not given time to write.

use std::collections::VecDeque;

use dsbench_protocol::Durable;

/// One node's durable state, and what is on its way there.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// What a power loss leaves.
    synced: Option<Durable>,
    /// Written, not yet known to be synced, in order of their tickets.
    written: VecDeque<(u64, Durable)>,
    tickets: u64,
    syncing: Option<u64>,
    /// Says "synced" and keeps everything in a volatile cache.
    pub(crate) is_lying: bool,
    cache: Option<Durable>,
}

impl Disk {
    /// Hands a value to the operating system.
    pub(crate) fn write(&mut self, durable: Durable) -> u64 {
        self.tickets += 1;
        self.written.push_back((self.tickets, durable));
        self.tickets
    }

    /// Begins to sync all that is written, unless it is at it already or has nothing to do.
    pub(crate) fn begin_sync(&mut self) -> bool {
        if self.syncing.is_some() {
            return false;
        }
        self.syncing = self.written.back().map(|&(ticket, _)| ticket);
        self.syncing.is_some()
    }

    /// The sync has ended; everything up to the ticket is durable, or the disk lies.
    pub(crate) fn end_sync(&mut self) -> Option<u64> {
        let upto = self.syncing.take()?;
        while self.written.front().is_some_and(|&(ticket, _)| ticket <= upto) {
            let durable = self.written.pop_front().map(|(_, durable)| durable);
            if self.is_lying {
                self.cache = durable;
            } else {
                self.synced = durable;
            }
        }
        Some(upto)
    }

    /// The process was killed: the operating system still writes what it was handed.
    pub(crate) fn kill(&mut self) {
        if let Some((_, newest)) = self.written.drain(..).next_back() {
            self.synced = Some(newest);
        } else if let Some(cached) = self.cache.take() {
            self.synced = Some(cached);
        }
        self.syncing = None;
    }

    /// The power was lost: what was not synced is gone, but for the sync in progress, which may just have made it.
    pub(crate) fn lose_power(&mut self, is_in_time: bool) {
        if let (true, false, Some(upto)) = (is_in_time, self.is_lying, self.syncing) {
            let reached = self.written.iter().rfind(|&&(ticket, _)| ticket <= upto);
            self.synced = reached.map(|(_, durable)| durable.clone()).or(self.synced.take());
        }
        self.written.clear();
        self.cache = None;
        self.syncing = None;
    }

    /// What a process finds when it starts.
    pub(crate) fn read(&self) -> Option<Durable> {
        self.synced.clone()
    }
}
