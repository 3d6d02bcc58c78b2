//! The thread that saves: an fsync may take seconds, and heartbeats must not wait behind it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::mpsc;

use crate::storage::{StateFile, StorageError};

/// What a save has to tell: which one it was, and how long it took.
type Saved = Result<(Save, Duration), StorageError>;

/// Counts the states that a core wanted saved. Saving one saves all before it.
pub(super) type Save = u64;

/// The state file, behind a thread. States that are wanted while a save is under way are saved together: the last one wins.
#[derive(Debug)]
pub(super) struct Disk<D> {
    wanted: Arc<Wanted<D>>,
    done: mpsc::Receiver<Saved>,
    asked: Save,
    reached: Save,
}

#[derive(Debug)]
struct Wanted<D> {
    next: Mutex<Next<D>>,
    changed: Condvar,
}

#[derive(Debug)]
enum Next<D> {
    Nothing,
    Save(Save, D),
    End,
}

impl<D: Serialize + Send + 'static> Disk<D> {
    pub(super) fn new(file: StateFile) -> io::Result<Self> {
        let wanted = Arc::new(Wanted { next: Mutex::new(Next::Nothing), changed: Condvar::new() });
        let (result, done) = mpsc::channel(1);
        let orders = Arc::clone(&wanted);
        std::thread::Builder::new().name("disk".to_owned()).spawn(move || save_all(file, &orders, &result))?;
        Ok(Self { wanted, done, asked: 0, reached: 0 })
    }

    /// Begins to save `state`.
    pub(super) fn save(&mut self, state: D) {
        self.asked += 1;
        *self.wanted.next() = Next::Save(self.asked, state);
        self.wanted.changed.notify_one();
    }

    /// The last save that was asked for: what is sent now must wait for it.
    pub(super) fn asked(&self) -> Save {
        self.asked
    }

    /// Everything up to this one is durable.
    pub(super) fn reached(&self) -> Save {
        self.reached
    }

    /// Waits until a later save is durable, and gives how long it took. Dropping the future loses nothing.
    pub(super) async fn saved(&mut self) -> Result<Duration, StorageError> {
        match self.done.recv().await {
            Some(result) => {
                let (save, took) = result?;
                self.reached = save;
                Ok(took)
            }
            // The thread ends after it has reported a failure, and with it this node.
            None => std::future::pending().await,
        }
    }
}

impl<D> Wanted<D> {
    fn next(&self) -> MutexGuard<'_, Next<D>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D> Drop for Disk<D> {
    fn drop(&mut self) {
        *self.wanted.next() = Next::End;
        self.wanted.changed.notify_one();
    }
}

fn save_all<D: Serialize>(mut file: StateFile, wanted: &Wanted<D>, done: &mpsc::Sender<Saved>) {
    loop {
        let mut next = wanted.next();
        while matches!(*next, Next::Nothing) {
            next = wanted.changed.wait(next).unwrap_or_else(PoisonError::into_inner);
        }
        let order = std::mem::replace(&mut *next, Next::Nothing);
        drop(next);
        let Next::Save(save, state) = order else { return };
        let began = Instant::now();
        let result = file.save(&state).map(|()| (save, began.elapsed()));
        let failed = result.is_err();
        if done.blocking_send(result).is_err() || failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saves_are_reported_in_order_and_the_last_one_is_on_the_disk() {
        let scratch = tempfile::tempdir().unwrap();
        let node = "peer1".parse().unwrap();
        let (file, _) = StateFile::open::<u64>(scratch.path(), &node).unwrap();
        let mut disk = Disk::new(file).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for state in 1..=1000_u64 {
                disk.save(state);
            }
            let mut before = 0;
            while disk.reached() < disk.asked() {
                disk.saved().await.unwrap();
                assert!(disk.reached() > before);
                before = disk.reached();
            }
        });
        drop(disk);
        // The thread lets go of the directory when it ends, which may be a moment later.
        let recovered = loop {
            match StateFile::open::<u64>(scratch.path(), &node) {
                Ok((_, recovered)) => break recovered,
                Err(StorageError::InUse { .. }) => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(recovered, Some(1000));
    }

    #[test]
    fn a_failed_save_is_reported_and_nothing_is_saved_after_it() {
        let scratch = tempfile::tempdir().unwrap();
        let (file, _) = StateFile::open::<u64>(scratch.path(), &"peer1".parse().unwrap()).unwrap();
        std::fs::create_dir(scratch.path().join("state.new")).unwrap();
        let mut disk = Disk::new(file).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        disk.save(1_u64);
        assert!(runtime.block_on(disk.saved()).is_err());
        assert_eq!(disk.reached(), 0);
    }
}
