//! What a node must find again after a crash: its records, in a data directory that is locked while it lives.
//!
//! Below this file, records are frames in segments ([`log`]) and know nothing of a protocol; here they get their meaning. What cannot be
//! read back exactly is an error and never an empty state: a node that forgets its vote may vote twice in one term, and then there are
//! two leaders.

mod archive;
mod directory;
mod fault;
mod frame;
mod index;
mod inspect;
mod log;
mod medium;
mod recovery;
mod snapshot;
mod walk;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dsbench_wire::{NodeId, Position, Record, Recovered, Snapshot, Term};
use nix::fcntl::Flock;
use serde::de::DeserializeOwned;

pub use archive::DiskArchive;
use fault::{Damage, Fault};
use frame::Kind;
pub use inspect::{InspectError, Inspected, inspect};
use log::{Found, Limits, Log};
use medium::{Directory, Medium};

/// Why the durable state cannot be used. None of these is survivable: the node stops.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Another process holds the directory's lock.
    #[error(
        "data directory {} is in use by another node{holder} (give each node its own --data, or stop the other one)",
        directory.display()
    )]
    InUse {
        /// The data directory.
        directory: PathBuf,
        /// ` (process 123)`, or nothing when it is not known.
        holder: String,
    },
    /// A file is there, but it is not what a node wrote.
    #[error(
        "{} is damaged at byte {offset}: {reason} (a forgotten vote can elect two leaders, and a forgotten entry is lost: restore the \
         directory from a copy; or, only while the other nodes agree on a leader, give this one an empty directory, and let it join them \
         as a new member that gets everything from them: `--join ID=ADDRESS` of one of them, without --bootstrap, --expect and --peers, \
         with which it may found another network)",
        path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The directory is one of an earlier version.
    #[error(
        "data directory {} holds the state file of an earlier version, which kept no log (give the node an empty --data directory)",
        directory.display()
    )]
    Old {
        /// The data directory.
        directory: PathBuf,
    },
    /// The directory belongs to a node with another id.
    #[error(
        "data directory {} belongs to node {owner}, not to {node} (give each node its own --data)",
        directory.display()
    )]
    Foreign {
        /// The data directory.
        directory: PathBuf,
        /// Whose state it is.
        owner: String,
        /// Who wanted to use it.
        node: NodeId,
    },
    /// The operating system refused.
    #[error("failed to {action} {} (is the disk full, read-only or gone?)", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// An earlier save failed, and what the disk holds now is unknown.
    #[error("failed to save in {}: an earlier save failed, so what the disk holds is unknown (restart the node)", directory.display())]
    Unknown {
        /// The data directory.
        directory: PathBuf,
    },
}

/// An open and locked data directory with the records of one node.
#[derive(Debug)]
pub struct Storage {
    log: Log,
    directory: PathBuf,
    _lock: Flock<std::fs::File>,
}

/// What was found when a directory was opened.
#[derive(Debug)]
pub struct Opened {
    /// The directory, to write to.
    pub storage: Storage,
    /// To read what is durable.
    pub archive: DiskArchive,
    /// What the last life left.
    pub recovered: Recovered,
    /// Which file was cut, where, by how many bytes, if a crash had left its end half-written.
    pub torn: Option<String>,
}

impl Storage {
    /// Opens `directory` (made if absent) for `node`, cuts a torn tail off, and reads what its last life left. `retain` entries stay in
    /// the log although a checkpoint covers them.
    ///
    /// # Errors
    /// When another node uses the directory, when it belongs to another id or another version, when a file is not exactly what was
    /// written, or when the system refuses.
    pub fn open(directory: &Path, node: &NodeId, retain: u64) -> Result<Opened, StorageError> {
        directory::make_durable(directory)?;
        let lock = directory::lock(directory)?;
        directory::refuse_old(directory)?;
        let medium = Directory::open(directory.to_owned()).map_err(io_error("open", directory))?;
        Self::on(Arc::new(medium), lock, directory, node, retain)
    }

    fn on(
        medium: Arc<dyn Medium>,
        lock: Flock<std::fs::File>,
        directory: &Path,
        node: &NodeId,
        retain: u64,
    ) -> Result<Opened, StorageError> {
        let limits = Limits::of(retain);
        let told = |fault| StorageError::of(fault, directory, node);
        let (log, found) = Log::open(medium, node.as_str(), limits).map_err(told)?;
        let torn = found.torn.as_ref().map(|torn| {
            let path = directory.join(&torn.file);
            format!("file={} at={} bytes={}", path.display(), torn.offset, torn.bytes)
        });
        let recovered = recovered(&found).map_err(told)?;
        let archive = DiskArchive::new(log.reader(), directory, node);
        Ok(Opened { storage: Self { log, directory: directory.to_owned(), _lock: lock }, archive, recovered, torn })
    }

    /// The same on a medium that a test has made.
    #[cfg(test)]
    pub(crate) fn open_on(medium: Arc<dyn Medium>, directory: &Path, node: &NodeId) -> Result<Opened, StorageError> {
        Self::on(medium, directory::lock(directory)?, directory, node, 0)
    }

    /// Saves `records`, in order: when this returns, a crash cannot undo them. One fsync, however many there are. For what is worth none
    /// ([`Record::Applied`]), there is none: that outlives this process, but perhaps not a power failure.
    ///
    /// # Errors
    /// When the system refuses; after that every save fails, and the node must stop.
    pub fn save(&mut self, node: &NodeId, records: impl IntoIterator<Item = Record>) -> Result<(), StorageError> {
        let mut forced = false;
        let result = (records.into_iter())
            .try_for_each(|record| {
                forced |= !matches!(record, Record::Applied { .. });
                self.append(&record)
            })
            .and_then(|()| if forced { self.log.commit() } else { self.log.write_lazily() });
        result.map_err(|fault| StorageError::of(fault, &self.directory, node))
    }

    /// Nothing is to be saved for a moment: notes that all before is durable, so that damage to it is not taken for a torn tail.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub fn rest(&mut self, node: &NodeId) -> Result<(), StorageError> {
        self.log.mark().map_err(|fault| StorageError::of(fault, &self.directory, node))
    }

    fn append(&mut self, record: &Record) -> Result<(), Fault> {
        let whole = || json(record);
        match record {
            Record::Identity { .. } => self.log.append(Kind::Identity, 0, 0, &whole()),
            Record::Pledge { .. } => self.log.append(Kind::Pledge, 0, 0, &whole()),
            Record::Serials { .. } => self.log.append(Kind::Serials, 0, 0, &whole()),
            Record::Ballot(_) => self.log.append(Kind::Ballot, 0, 0, &whole()),
            Record::Applied { .. } => self.log.append(Kind::Applied, 0, 0, &whole()),
            Record::Entry(entry) => self.log.append(Kind::Entry, entry.index, entry.term.0, &json(&entry.content)),
            Record::Checkpoint(snapshot) => {
                let Position { term, index } = snapshot.at;
                self.log.checkpoint(index, term.0, &json(snapshot))?;
            }
            Record::Install(snapshot) => {
                let Position { term, index } = snapshot.at;
                self.log.install(index, term.0, &json(snapshot))?;
            }
        }
        Ok(())
    }
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("records have text keys and plain values only")
}

fn parsed<T: DeserializeOwned>(file: &str, body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault::damage(file, 0, &error.to_string()))
}

fn recovered(found: &Found) -> Result<Recovered, Fault> {
    let mut recovered = Recovered::default();
    for body in found.latest.values() {
        match parsed::<Record>("log", body)? {
            Record::Identity { incarnation } => recovered.incarnation = Some(incarnation),
            Record::Pledge { to } => recovered.pledge = Some(to),
            Record::Serials { client, below } => {
                (recovered.client, recovered.serials_below) = (Some(client), below);
            }
            Record::Ballot(ballot) => recovered.ballot = ballot,
            Record::Applied { index } => recovered.applied = index,
            Record::Entry(_) | Record::Checkpoint(_) | Record::Install(_) => {}
        }
    }
    recovered.snapshot = found.snapshot.as_ref().map(|body| parsed::<Snapshot>("snapshot", body)).transpose()?;
    let (last, term) = found.last;
    recovered.last = Position { term: Term(term), index: last };
    recovered.first = found.entries.map_or(last + 1, |(first, _)| first);
    recovered.torn = found.torn.as_ref().map_or(0, |torn| torn.bytes);
    Ok(recovered)
}

impl StorageError {
    fn of(fault: Fault, directory: &Path, node: &NodeId) -> Self {
        match fault {
            Fault::Io { action, file, source } => Self::Io { action, path: directory.join(file), source },
            Fault::Damaged(Damage { file, offset, reason }) => {
                Self::Damaged { path: directory.join(file), offset, reason }
            }
            Fault::Foreign { owner } => Self::Foreign { directory: directory.to_owned(), owner, node: node.clone() },
            Fault::Unknown => Self::Unknown { directory: directory.to_owned() },
        }
    }
}

fn io_error<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StorageError + use<'a> {
    move |source| StorageError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
pub(crate) mod tests;
