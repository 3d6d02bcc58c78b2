//! A disk that takes its time, and loses what it was not given time to write.

use std::collections::VecDeque;

use dsbench_protocol::Archive;
use dsbench_wire::{Entry, Position, Record, Recovered, Term};

/// One node's durable state, and what is on its way there.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// What a power loss leaves.
    synced: Image,
    /// Written, not yet known to be synced, in order of their tickets.
    written: VecDeque<(u64, Record)>,
    tickets: u64,
    syncing: Option<u64>,
    /// Says "synced" and keeps everything in a volatile cache.
    pub(crate) is_lying: bool,
    cache: Vec<Record>,
}

/// What the records come to.
#[derive(Debug, Clone, Default)]
struct Image {
    /// All but the log.
    state: Recovered,
    log: Vec<Entry>,
    /// How many entries are kept that a checkpoint covers; all where nothing is said.
    retention: Option<u64>,
}

impl Image {
    fn apply(&mut self, record: Record) {
        match record {
            Record::Identity { incarnation } => self.state.incarnation = Some(incarnation),
            Record::Pledge { to } => self.state.pledge = Some(to),
            Record::Serials { client, below } => {
                self.state.client = Some(client);
                self.state.serials_below = below;
            }
            Record::Ballot(ballot) => self.state.ballot = ballot,
            Record::Applied { index } => self.state.applied = index,
            Record::Checkpoint(snapshot) => {
                if let Some(retention) = self.retention {
                    let keep_from = (snapshot.at.index + 1).saturating_sub(retention);
                    let dropped = keep_from.saturating_sub(self.first()) as usize;
                    self.log.drain(..dropped.min(self.log.len()));
                }
                self.state.snapshot = Some(snapshot);
            }
            Record::Install(snapshot) => {
                self.log.clear();
                self.state.snapshot = Some(snapshot);
            }
            Record::Entry(entry) => {
                let at = entry.index - self.first();
                assert!(at <= self.log.len() as u64, "no gap before {entry:?}");
                self.log.truncate(at as usize);
                self.log.push(entry);
            }
        }
    }

    fn first(&self) -> u64 {
        self.log.first().map_or_else(|| self.covered().index + 1, |entry| entry.index)
    }

    fn covered(&self) -> Position {
        self.state.snapshot.as_ref().map(|snapshot| snapshot.at).unwrap_or_default()
    }

    fn recover(&self) -> Recovered {
        let last = self.log.last().map_or(self.covered(), Entry::position);
        Recovered { first: self.first(), last, ..self.state.clone() }
    }
}

impl Archive for Disk {
    fn entries(&self, from: u64, max_bytes: usize) -> Vec<Entry> {
        let Some(skipped) = from.checked_sub(self.synced.first()) else { return Vec::new() };
        let mut weight = 0;
        let entries = self.synced.log.iter().skip(skipped as usize).enumerate();
        let fitting = entries.take_while(|(n, entry)| {
            weight += entry.weight();
            *n == 0 || weight <= max_bytes
        });
        fitting.map(|(_, entry)| entry.clone()).collect()
    }

    fn term_at(&self, index: u64) -> Option<Term> {
        let at = index.checked_sub(self.synced.first())?;
        self.synced.log.get(at as usize).map(|entry| entry.term)
    }
}

impl Disk {
    /// Keeps only so many entries that a checkpoint covers.
    pub(crate) fn retain(&mut self, entries: u64) {
        self.synced.retention = Some(entries);
    }

    /// A new disk takes its place.
    pub(crate) fn wipe(&mut self) {
        let retention = self.synced.retention;
        *self = Self { is_lying: self.is_lying, ..Self::default() };
        self.synced.retention = retention;
    }

    /// The log as it is once everything that is on its way has arrived.
    pub(crate) fn whole_log(&self) -> Vec<Entry> {
        let mut image = self.synced.clone();
        for record in self.cache.iter().chain(self.written.iter().map(|(_, record)| record)) {
            image.apply(record.clone());
        }
        image.log
    }

    /// The view in force by the durable log.
    pub(crate) fn latest_view(&self) -> Option<std::sync::Arc<dsbench_wire::View>> {
        let views = self.synced.log.iter().rev().filter_map(|entry| match &entry.content {
            dsbench_wire::Content::View(view) => Some(std::sync::Arc::clone(view)),
            _ => None,
        });
        views
            .take(1)
            .next()
            .or_else(|| self.synced.state.snapshot.as_ref().map(|snapshot| std::sync::Arc::clone(&snapshot.view)))
    }

    /// Which disk this is, once a node has lived on it.
    pub(crate) fn incarnation(&self) -> Option<u64> {
        self.synced.state.incarnation
    }

    /// Hands a record to the operating system.
    pub(crate) fn write(&mut self, record: Record) -> u64 {
        self.tickets += 1;
        self.written.push_back((self.tickets, record));
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
        while self.written.front().is_some_and(|&(ticket, _)| ticket <= upto)
            && let Some((_, record)) = self.written.pop_front()
        {
            if self.is_lying {
                self.cache.push(record);
            } else {
                self.synced.apply(record);
            }
        }
        Some(upto)
    }

    /// The process was killed: the operating system still writes what it was handed.
    pub(crate) fn kill(&mut self) {
        for record in self.cache.drain(..).chain(self.written.drain(..).map(|(_, record)| record)) {
            self.synced.apply(record);
        }
        self.end_life();
    }

    /// The power was lost: what was not synced is gone, but for the sync in progress, which may just have made it.
    pub(crate) fn lose_power(&mut self, is_in_time: bool) {
        if let (true, false, Some(upto)) = (is_in_time, self.is_lying, self.syncing) {
            for (_, record) in self.written.drain(..).take_while(|&(ticket, _)| ticket <= upto) {
                self.synced.apply(record);
            }
        }
        self.written.clear();
        self.cache.clear();
        self.end_life();
    }

    fn end_life(&mut self) {
        self.syncing = None;
        self.tickets = 0;
    }

    /// What a process finds when it starts.
    pub(crate) fn recover(&self) -> Recovered {
        self.synced.recover()
    }
}
