//! The thread that saves: an fsync may take seconds, and heartbeats must not wait behind it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dsbench_protocol::Mark;
use dsbench_wire::{NodeId, Record};
use tokio::sync::Notify;

use super::Beside;
use crate::storage::{Storage, StorageError};

/// The data directory, behind a thread. Records that are wanted while others are saved are saved together, with one fsync.
#[derive(Debug)]
pub(super) struct Disk {
    shared: Arc<Shared>,
    /// Empty between two calls of the core; kept for its capacity.
    taken: Vec<Record>,
    asked: Mark,
    /// The last record that something must wait for.
    needed: Mark,
    reached: Mark,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    wanted: Condvar,
    done: Notify,
}

#[derive(Debug, Default)]
struct State {
    records: Vec<Record>,
    /// The number of the last one of them.
    upto: Mark,
    end: bool,
    /// The thread waits for records.
    waits: bool,
    saved: Mark,
    /// The longest save since it was asked for.
    took: Duration,
    failure: Option<StorageError>,
    ended: bool,
}

/// A node whose disk thread is gone would wait for it for ever.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

impl Disk {
    /// `beside` is made durable before each record that lets the storage forget something.
    pub(super) fn new(storage: Storage, beside: Option<Arc<dyn Beside>>, node: NodeId) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let orders = Arc::clone(&shared);
        std::thread::Builder::new().name("disk".to_owned()).spawn(move || {
            let _guard = AbortOnPanic;
            let result = orders.save_all(storage, beside.as_deref(), &node);
            let mut state = orders.state();
            (state.failure, state.ended) = (result.err(), true);
            drop(state);
            orders.done.notify_one();
        })?;
        Ok(Self { shared, taken: Vec::new(), asked: Mark(0), needed: Mark(0), reached: Mark(0) })
    }

    /// Takes `record` for the next [`begin`](Self::begin).
    pub(super) fn save(&mut self, record: Record) {
        self.asked.0 += 1;
        if !matches!(record, Record::Applied { .. }) {
            self.needed = self.asked;
        }
        self.taken.push(record);
    }

    /// Begins to save what was taken: all records since the last one together.
    pub(super) fn begin(&mut self) {
        if self.taken.is_empty() {
            return;
        }
        let mut state = self.shared.state();
        state.records.append(&mut self.taken);
        state.upto = self.asked;
        let waits = std::mem::take(&mut state.waits);
        drop(state);
        // A call to the system that is mostly not needed: under load the thread is at work.
        if waits {
            self.shared.wanted.notify_one();
        }
    }

    /// What is sent now must wait for this record.
    pub(super) fn needed(&self) -> Mark {
        self.needed
    }

    /// Everything up to this one is durable.
    pub(super) fn reached(&self) -> Mark {
        self.reached
    }

    /// Waits until later records are durable, and gives how long the slowest save of them took. Dropping the future loses nothing.
    pub(super) async fn saved(&mut self) -> Result<Duration, StorageError> {
        loop {
            {
                let mut state = self.shared.state();
                if state.saved > self.reached {
                    self.reached = state.saved;
                    return Ok(std::mem::take(&mut state.took));
                }
                if let Some(failure) = state.failure.take() {
                    return Err(failure);
                }
            }
            self.shared.done.notified().await;
        }
    }

    /// Ends the thread when everything is saved, and waits for it, but no longer than `patience`: the directory is free then.
    pub(super) async fn close(self, patience: Duration) {
        let shared = Arc::clone(&self.shared);
        drop(self);
        let ended = async {
            while !shared.state().ended {
                shared.done.notified().await;
            }
        };
        // A disk that hangs must not keep a node from leaving.
        let _ = tokio::time::timeout(patience, ended).await;
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.shared.state().end = true;
        self.shared.wanted.notify_one();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save_all(&self, mut storage: Storage, beside: Option<&dyn Beside>, node: &NodeId) -> Result<(), StorageError> {
        loop {
            let mut state = self.state();
            if state.records.is_empty() && !state.end {
                drop(state);
                storage.rest(node)?;
                state = self.state();
            }
            while state.records.is_empty() && !state.end {
                state.waits = true;
                state = self.wanted.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.records.is_empty() {
                drop(state);
                return storage.rest(node);
            }
            let (records, upto) = (std::mem::take(&mut state.records), state.upto);
            drop(state);
            let began = Instant::now();
            if let Some(beside) = beside
                && records.iter().any(|record| matches!(record, Record::Checkpoint(_) | Record::Install(_)))
            {
                // It was told before the record was asked for, and is written by now.
                beside.sync()?;
            }
            storage.save(node, records)?;
            let took = began.elapsed();
            let mut state = self.state();
            state.saved = upto;
            state.took = state.took.max(took);
            drop(state);
            self.done.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use dsbench_wire::{Ballot, Term};

    use super::*;

    fn ballot(term: u64) -> Record {
        Record::Ballot(Ballot { term: Term(term), voted_for: None })
    }

    #[test]
    fn records_are_reported_in_order_and_the_last_one_is_on_the_disk() {
        let scratch = tempfile::tempdir().unwrap();
        let node: NodeId = "peer1".parse().unwrap();
        let opened = Storage::open(scratch.path(), &node, 0).unwrap();
        let mut disk = Disk::new(opened.storage, None, node.clone()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            for term in 1..=1000 {
                disk.save(ballot(term));
                disk.begin();
            }
            let mut before = Mark(0);
            while disk.reached() < disk.needed() {
                disk.saved().await.unwrap();
                assert!(disk.reached() > before);
                before = disk.reached();
            }
            disk.close(Duration::from_secs(30)).await;
        });
        let opened = Storage::open(scratch.path(), &node, 0).unwrap();
        assert_eq!(opened.recovered.ballot.term, Term(1000));
    }

    #[derive(Debug, Default)]
    struct Counted(Mutex<Vec<bool>>);

    impl Beside for Counted {
        fn sync(&self) -> Result<(), StorageError> {
            let is_full = self.0.lock().unwrap().pop();
            let path = "beside".into();
            match is_full {
                Some(true) => {
                    Err(StorageError::Io { action: "fsync", path, source: io::ErrorKind::StorageFull.into() })
                }
                _ => Ok(()),
            }
        }
    }

    #[test]
    fn nothing_is_forgotten_before_what_stands_beside_it_is_durable() {
        let scratch = tempfile::tempdir().unwrap();
        let node: NodeId = "peer1".parse().unwrap();
        let opened = Storage::open(scratch.path(), &node, 0).unwrap();
        let beside = Arc::new(Counted(Mutex::new(vec![true, false])));
        let mut disk = Disk::new(opened.storage, Some(Arc::clone(&beside) as Arc<dyn Beside>), node.clone()).unwrap();
        let entry =
            |index| Record::Entry(dsbench_wire::Entry { index, term: Term(1), content: dsbench_wire::Content::NoOp });
        let checkpoint = |index| {
            let at = dsbench_wire::Position { term: Term(1), index };
            Record::Checkpoint(dsbench_wire::Snapshot { at, view: Arc::default(), state: "{}".into() })
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            for (index, left) in [(1, 2), (2, 1)] {
                disk.save(entry(index));
                disk.begin();
                disk.saved().await.unwrap();
                assert_eq!(beside.0.lock().unwrap().len(), left, "an entry lets nothing go");
                disk.save(checkpoint(index));
                disk.begin();
                assert_eq!(disk.saved().await.is_ok(), index == 1);
            }
            disk.close(Duration::from_secs(30)).await;
        });
        let recovered = Storage::open(scratch.path(), &node, 0).unwrap().recovered;
        assert_eq!(recovered.snapshot.unwrap().at.index, 1, "the second checkpoint was not made");
    }

    #[test]
    fn nothing_waits_for_what_is_worth_no_fsync_and_it_is_written_nevertheless() {
        let scratch = tempfile::tempdir().unwrap();
        let node: NodeId = "peer1".parse().unwrap();
        let opened = Storage::open(scratch.path(), &node, 0).unwrap();
        let mut disk = Disk::new(opened.storage, None, node.clone()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            disk.save(Record::Applied { index: 7 });
            disk.begin();
            assert_eq!(disk.needed(), Mark(0));
            disk.saved().await.unwrap();
            assert_eq!(disk.reached(), Mark(1));
            disk.close(Duration::from_secs(30)).await;
        });
        assert_eq!(Storage::open(scratch.path(), &node, 0).unwrap().recovered.applied, 7);
    }
}
