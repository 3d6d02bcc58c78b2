//! A node's data directory: made, locked, and refused where an older version has used it.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::{StorageError, io_error};

const LOCK: &str = "lock";
/// What a version before the log kept instead of one.
const OLD_STATE: &str = "state";

pub(super) fn refuse_old(directory: &Path) -> Result<(), StorageError> {
    if directory.join(OLD_STATE).exists() {
        return Err(StorageError::Old { directory: directory.to_owned() });
    }
    Ok(())
}

/// Makes the directory so that it is still there after a power failure: the parent of each new entry is fsynced. So are those of
/// entries that were there already, where this process may: an earlier life may have been killed before it had done so.
pub(super) fn make_durable(directory: &Path) -> Result<(), StorageError> {
    let all = directory.ancestors().filter(|path| !path.as_os_str().is_empty());
    let all: Vec<(&Path, bool)> = all.map(|path| (path, path.exists())).collect();
    fs::create_dir_all(directory).map_err(io_error("create data directory", directory))?;
    for (entry, was_there) in all {
        let parent = match entry.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            None if entry.has_root() => continue,
            _ => Path::new("."),
        };
        match File::open(parent).and_then(|parent| parent.sync_all()) {
            Err(error) if !was_there => return Err(io_error("fsync", parent)(error)),
            _ => {}
        }
    }
    Ok(())
}

/// The kernel drops the lock with the process, however it dies: a crashed node leaves no stale lock behind.
pub(super) fn lock(directory: &Path) -> Result<Flock<File>, StorageError> {
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
