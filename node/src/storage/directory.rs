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

/// Makes the directory so that it is still there after a power failure: each new entry's parent is fsynced.
pub(super) fn make_durable(directory: &Path) -> Result<(), StorageError> {
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
