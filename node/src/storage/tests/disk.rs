//! A disk in memory. Power fails between any two calls, and then of what was not synced any part may be there.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

use crate::storage::medium::{Blob, Medium};

/// A disk writes whole sectors, in any order.
const SECTOR: usize = 512;

#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    renamed: Vec<Entry>,
    calls: u64,
    /// From this call on, every call fails.
    off_at: Option<u64>,
    /// This one call fails.
    fails_at: Option<u64>,
    /// The next fsync of a file waits for a word on this, and then fails.
    hangs: Option<Receiver<()>>,
}

#[derive(Debug, Clone)]
enum Entry {
    Is(String, usize),
    Gone(String),
}

#[derive(Debug, Clone, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Len(usize),
}

fn chance(rng: &mut Pcg64Mcg) -> bool {
    rng.next_u64() >> 63 == 1
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(offset, new) => {
            if bytes.len() < offset + new.len() {
                bytes.resize(offset + new.len(), 0);
            }
            bytes[*offset..offset + new.len()].copy_from_slice(new);
        }
        Change::Len(len) => bytes.resize(*len, 0),
    }
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn call<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        state.calls += 1;
        if state.off_at.is_some_and(|off| state.calls > off) {
            return Err(io::Error::other("the power is off"));
        }
        if state.fails_at == Some(state.calls) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        act(&mut state)
    }

    /// How many calls that change something there were.
    pub(super) fn calls(&self) -> u64 {
        self.state().calls
    }

    pub(super) fn off_after(calls: u64) -> Self {
        let disk = Self::default();
        disk.state().off_at = Some(calls);
        disk
    }

    pub(super) fn failing_at(call: u64) -> Self {
        let disk = Self::default();
        disk.state().fails_at = Some(call);
        disk
    }

    /// The next fsync of a file hangs until something is sent, and then fails.
    pub(crate) fn hang(&self) -> Sender<()> {
        let (go_on, waits) = channel();
        self.state().hangs = Some(waits);
        go_on
    }

    /// The same disk, which goes off after so many calls.
    pub(super) fn limited_to(self, calls: u64) -> Self {
        self.state().off_at = Some(calls);
        self
    }

    /// The disk of a process that was killed: everything that was written is there, and no more of it is durable than before.
    pub(super) fn after_a_kill(&self) -> Self {
        let state = self.state();
        Self(Arc::new(Mutex::new(State {
            files: state.files.clone(),
            names: state.names.clone(),
            durable_names: state.durable_names.clone(),
            renamed: state.renamed.clone(),
            ..State::default()
        })))
    }

    /// The same after some time: the kernel has written everything by itself.
    fn after_a_while(&self) -> Self {
        let state = self.state();
        let files = (state.files.iter())
            .map(|file| Content { now: file.now.clone(), durable: file.now.clone(), unsynced: Vec::new() })
            .collect();
        let names = state.names.clone();
        Self(Arc::new(Mutex::new(State { files, durable_names: names.clone(), names, ..State::default() })))
    }

    /// The disk after a power failure: of each file what was synced, and any part of the rest.
    pub(super) fn after_a_power_failure(&self, rng: &mut Pcg64Mcg) -> Self {
        let state = self.state();
        let mut files = Vec::new();
        for file in &state.files {
            let mut bytes = file.durable.clone();
            for change in &file.unsynced {
                match change {
                    Change::Write(offset, new) => {
                        let mut at = *offset;
                        while at < offset + new.len() {
                            let end = ((at / SECTOR + 1) * SECTOR).min(offset + new.len());
                            if chance(rng) {
                                apply(&mut bytes, &Change::Write(at, new[at - offset..end - offset].to_vec()));
                            }
                            at = end;
                        }
                    }
                    len @ Change::Len(_) if chance(rng) => apply(&mut bytes, len),
                    Change::Len(_) => {}
                }
            }
            files.push(Content { now: bytes.clone(), durable: bytes, unsynced: Vec::new() });
        }
        // A journal keeps the order of names.
        let kept = rng.next_u64() as usize % (state.renamed.len() + 1);
        let mut names = state.durable_names.clone();
        for entry in &state.renamed[..kept] {
            entry.enter(&mut names);
        }
        Self(Arc::new(Mutex::new(State { files, durable_names: names.clone(), names, ..State::default() })))
    }

    /// A copy in which `name` is changed.
    pub(super) fn with(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let copy = self.after_a_kill();
        {
            let mut state = copy.state();
            let file = state.names[name];
            change(&mut state.files[file].now);
        }
        copy.after_a_while()
    }

    pub(super) fn bytes(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.files[state.names[name]].now.clone()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.state().names.contains_key(name)
    }
}

impl Entry {
    fn enter(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Is(name, file) => {
                // A rename takes the other name away in the same step.
                names.retain(|_, other| other != file);
                names.insert(name.clone(), *file);
            }
            Self::Gone(name) => {
                names.remove(name);
            }
        }
    }
}

impl State {
    fn enter(&mut self, entry: Entry) {
        entry.enter(&mut self.names);
        self.renamed.push(entry);
    }

    fn file(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or(io::ErrorKind::NotFound.into())
    }
}

impl Medium for Disk {
    fn names(&self) -> io::Result<Vec<String>> {
        self.call(|state| Ok(state.names.keys().cloned().collect()))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Blob>> {
        self.call(|state| {
            state.files.push(Content::default());
            let file = state.files.len() - 1;
            state.enter(Entry::Is(name.to_owned(), file));
            Ok(Box::new(Open { disk: self.clone(), file }) as Box<dyn Blob>)
        })
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Blob>> {
        let file = self.call(|state| state.file(name))?;
        Ok(Box::new(Open { disk: self.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.call(|state| {
            let file = state.file(from)?;
            state.enter(Entry::Is(to.to_owned(), file));
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.call(|state| {
            state.file(name)?;
            state.enter(Entry::Gone(name.to_owned()));
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.call(|state| {
            state.durable_names = state.names.clone();
            state.renamed.clear();
            Ok(())
        })
    }
}

#[derive(Debug)]
struct Open {
    disk: Disk,
    file: usize,
}

impl Open {
    fn change(&self, change: Change) -> io::Result<()> {
        self.disk.call(|state| {
            let file = &mut state.files[self.file];
            apply(&mut file.now, &change);
            file.unsynced.push(change);
            Ok(())
        })
    }
}

impl Blob for Open {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.file].now.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.state();
        let rest = state.files[self.file].now.get(offset as usize..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.change(Change::Write(offset as usize, bytes.to_vec()))
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        let len = self.len()?.max(len);
        self.change(Change::Len(len as usize))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Len(len as usize))
    }

    fn sync(&self) -> io::Result<()> {
        let hangs = self.disk.state().hangs.take();
        if let Some(waits) = hangs {
            let _ = waits.recv();
            return Err(io::Error::other("the disk is broken"));
        }
        self.disk.call(|state| {
            let file = &mut state.files[self.file];
            file.durable = file.now.clone();
            file.unsynced.clear();
            Ok(())
        })
    }
}
