//! The state file: what a node must find again after a crash, in one small checksummed file.
//!
//! Every save replaces the file as a whole (write beside it, fsync, rename, fsync the directory), so a crash leaves either the old
//! state or the new one. What cannot be read back exactly is an error and never an empty state: a node that forgets its vote may
//! vote twice in one term, and then there are two leaders. The directory is locked while the node lives.

mod fault;
mod frame;
mod index;
mod log;
mod medium;
mod snapshot;
mod walk;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use dsbench_wire::NodeId;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const STATE: &str = "state";
const STATE_BEING_WRITTEN: &str = "state.new";
const LOCK: &str = "lock";
const FORMAT: &str = "dsbench-node-state 1";
/// No core keeps more than this; a larger file is not one of ours and is not read into memory.
const SIZE_MAX: u64 = 16 << 20;

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
    /// The file is there, but it is not what a node wrote.
    #[error(
        "state file {} is damaged: {reason} (the vote in it is lost, and a forgotten vote can elect two leaders in one term: restore \
         the file from a copy, or give the node an empty --data directory only while the other nodes agree on a leader)",
        path.display()
    )]
    Damaged {
        /// The state file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The state belongs to a node with another id.
    #[error(
        "data directory {} belongs to node {owner}, not to {node} (give each node its own --data)",
        directory.display()
    )]
    Foreign {
        /// The data directory.
        directory: PathBuf,
        /// Whose state it is.
        owner: NodeId,
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
    #[error("failed to save {}: an earlier save failed, so what the disk holds is unknown (restart the node)", path.display())]
    Unknown {
        /// The state file.
        path: PathBuf,
    },
}

#[derive(Serialize)]
struct Written<'a, S> {
    node: &'a NodeId,
    state: &'a S,
}

#[derive(Deserialize)]
struct Recovered<S> {
    node: NodeId,
    state: S,
}

/// An open and locked data directory with one state file in it.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    being_written: PathBuf,
    directory: File,
    node: NodeId,
    // After a failed fsync the kernel may have dropped the dirty pages and report success the next time.
    failed: bool,
    _lock: Flock<File>,
}

impl StateFile {
    /// Opens `directory` (made if absent) for `node`, and reads the state of its last life: `None` if it never had one.
    ///
    /// # Errors
    /// When another node uses the directory, when it belongs to another id, when the file is not exactly what was written, or when
    /// the system refuses.
    pub fn open<S: DeserializeOwned>(directory: &Path, node: &NodeId) -> Result<(Self, Option<S>), StorageError> {
        make_durable_directory(directory)?;
        let lock = lock(directory)?;
        let file = Self {
            path: directory.join(STATE),
            being_written: directory.join(STATE_BEING_WRITTEN),
            directory: File::open(directory).map_err(io_error("open", directory))?,
            node: node.clone(),
            failed: false,
            _lock: lock,
        };
        let state = file.read(directory)?;
        Ok((file, state))
    }

    /// Makes `state` the durable state. When this returns, a crash cannot undo it.
    ///
    /// # Errors
    /// When the system refuses; after that every save fails, and the node must stop.
    pub fn save<S: Serialize>(&mut self, state: &S) -> Result<(), StorageError> {
        if self.failed {
            return Err(StorageError::Unknown { path: self.path.clone() });
        }
        self.failed = true;
        let body = serde_json::to_string(&Written { node: &self.node, state })
            .map_err(|error| io_error("encode", &self.path)(error.into()))?;
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&self.being_written)
            .map_err(io_error("create", &self.being_written))?;
        file.write_all(framed(&body).as_bytes()).map_err(io_error("write", &self.being_written))?;
        file.sync_all().map_err(io_error("fsync", &self.being_written))?;
        fs::rename(&self.being_written, &self.path).map_err(io_error("replace", &self.path))?;
        self.directory.sync_all().map_err(io_error("fsync the directory of", &self.path))?;
        self.failed = false;
        Ok(())
    }

    fn read<S: DeserializeOwned>(&self, directory: &Path) -> Result<Option<S>, StorageError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("open", &self.path)(error)),
        };
        let mut bytes = Vec::new();
        file.take(SIZE_MAX + 1).read_to_end(&mut bytes).map_err(io_error("read", &self.path))?;
        let recovered: Recovered<S> = unframed(&bytes)
            .and_then(|body| serde_json::from_str(body).map_err(|error| error.to_string()))
            .map_err(|reason| StorageError::Damaged { path: self.path.clone(), reason })?;
        if recovered.node != self.node {
            return Err(StorageError::Foreign {
                directory: directory.to_owned(),
                owner: recovered.node,
                node: self.node.clone(),
            });
        }
        Ok(Some(recovered.state))
    }
}

/// One header line with the checksum of the body, then the body as one line: small, exact, and readable with `cat`.
fn framed(body: &str) -> String {
    format!("{FORMAT} crc32={:08x}\n{body}\n", crc32fast::hash(body.as_bytes()))
}

fn unframed(bytes: &[u8]) -> Result<&str, String> {
    if bytes.is_empty() {
        return Err("it is empty".to_owned());
    }
    if bytes.len() as u64 > SIZE_MAX {
        return Err(format!("it is larger than {SIZE_MAX} bytes"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let (header, rest) = text.split_once('\n').ok_or("its first line is cut off".to_owned())?;
    if !header.starts_with(FORMAT) {
        return Err(format!("it does not begin with `{FORMAT}`"));
    }
    let body = rest.strip_suffix('\n').ok_or("its end is cut off".to_owned())?;
    // Comparing the whole frame, not only the checksum: a header that differs in any bit was not written by us either.
    if framed(body) != text {
        return Err("its checksum does not match its content".to_owned());
    }
    Ok(body)
}

/// Makes the directory so that it is still there after a power failure: each new entry's parent is fsynced.
fn make_durable_directory(directory: &Path) -> Result<(), StorageError> {
    let missing: Vec<&Path> =
        directory.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    fs::create_dir_all(directory).map_err(io_error("create data directory", directory))?;
    for made in missing {
        let parent = match made.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(io_error("fsync", parent))?;
    }
    Ok(())
}

/// The kernel drops the lock with the process, however it dies: a crashed node leaves no stale lock behind.
fn lock(directory: &Path) -> Result<Flock<File>, StorageError> {
    let path = directory.join(LOCK);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io_error("open", &path))?;
    let mut lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => lock,
        Err((_, Errno::EWOULDBLOCK)) => {
            let holder = fs::read_to_string(&path).unwrap_or_default();
            let holder = match holder.trim().parse::<u32>() {
                Ok(process) => format!(" (process {process})"),
                Err(_) => String::new(),
            };
            return Err(StorageError::InUse { directory: directory.to_owned(), holder });
        }
        Err((_, errno)) => return Err(io_error("lock", &path)(errno.into())),
    };
    lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(io_error("write", &path))?;
    Ok(lock)
}

fn io_error<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StorageError + use<'a> {
    move |source| StorageError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod state_tests {
    use super::*;
    use proptest::prelude::*;

    fn node(id: &str) -> NodeId {
        id.parse().unwrap()
    }

    fn open(directory: &Path) -> Result<(StateFile, Option<Vec<u64>>), StorageError> {
        StateFile::open(directory, &node("peer1"))
    }

    #[test]
    fn a_saved_state_is_found_again_and_a_new_directory_has_none() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("deep/er");
        let (mut file, recovered) = open(&directory).unwrap();
        assert_eq!(recovered, None);
        file.save(&vec![1_u64, 2]).unwrap();
        file.save(&vec![u64::MAX]).unwrap();
        drop(file);
        assert_eq!(open(&directory).unwrap().1, Some(vec![u64::MAX]));
    }

    #[test]
    fn a_save_cut_short_by_a_crash_leaves_the_old_state() {
        let scratch = tempfile::tempdir().unwrap();
        let (mut file, _) = open(scratch.path()).unwrap();
        file.save(&vec![7_u64]).unwrap();
        drop(file);
        fs::write(scratch.path().join(STATE_BEING_WRITTEN), "dsbench-no").unwrap();
        let (mut file, recovered) = open(scratch.path()).unwrap();
        assert_eq!(recovered, Some(vec![7]));
        file.save(&vec![8_u64]).unwrap();
        drop(file);
        assert_eq!(open(scratch.path()).unwrap().1, Some(vec![8]));
    }

    #[test]
    fn a_directory_serves_one_node_at_a_time_and_one_id_for_ever() {
        let scratch = tempfile::tempdir().unwrap();
        let (mut file, _) = open(scratch.path()).unwrap();
        let refusal = open(scratch.path()).unwrap_err().to_string();
        let process = std::process::id();
        assert!(refusal.contains("in use by another node"), "{refusal}");
        assert!(refusal.contains(&format!("process {process}")), "{refusal}");
        file.save(&vec![1_u64]).unwrap();
        drop(file);
        let other = StateFile::open::<Vec<u64>>(scratch.path(), &node("peer2"));
        assert!(matches!(other, Err(StorageError::Foreign { .. })));
    }

    #[test]
    fn after_one_failed_save_every_save_fails() {
        let scratch = tempfile::tempdir().unwrap();
        let (mut file, _) = open(scratch.path()).unwrap();
        let obstacle = scratch.path().join(STATE_BEING_WRITTEN);
        fs::create_dir(&obstacle).unwrap();
        assert!(matches!(file.save(&vec![1_u64]), Err(StorageError::Io { .. })));
        fs::remove_dir(&obstacle).unwrap();
        assert!(matches!(file.save(&vec![1_u64]), Err(StorageError::Unknown { .. })));
    }

    #[test]
    fn an_empty_state_file_is_damage_and_not_a_first_start() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join(STATE), "").unwrap();
        let refusal = open(scratch.path()).unwrap_err().to_string();
        assert!(refusal.contains("damaged"), "{refusal}");
    }

    #[test]
    fn a_state_of_another_shape_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let (mut file, _) = open(scratch.path()).unwrap();
        file.save(&"not a list").unwrap();
        drop(file);
        assert!(matches!(open(scratch.path()), Err(StorageError::Damaged { .. })));
    }

    proptest! {
        #[test]
        fn every_frame_is_read_back(body in "[^\n]{0,200}") {
            let frame = framed(&body);
            prop_assert_eq!(unframed(frame.as_bytes()), Ok(body.as_str()));
        }

        #[test]
        fn every_truncation_is_detected(body in "[ -~]{0,200}", cut in any::<prop::sample::Index>()) {
            let bytes = framed(&body).into_bytes();
            prop_assert!(unframed(&bytes[..cut.index(bytes.len())]).is_err());
        }

        #[test]
        fn every_flipped_bit_is_detected(body in "[ -~]{0,200}", bit in any::<prop::sample::Index>()) {
            let mut bytes = framed(&body).into_bytes();
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(unframed(&bytes).is_err());
        }

        #[test]
        fn bytes_from_outside_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(unframed(&bytes).is_err());
        }
    }
}
