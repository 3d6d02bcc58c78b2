//! A file that says "someone is at work here" for exactly as long as that someone lives.
//!
//! The kernel holds the lock and lets it go when the process ends, in whatever way; a file with a process id in it would outlive `kill -9`,
//! and the id may be another's by then.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

/// A locked file. Let go when it is dropped, and when the process ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not used")] Flock<File>);

impl Lock {
    /// Locks the file, which is made if it is not there; none if another has locked it. A link is never followed.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(path)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Self(lock))),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(errno.into()),
        }
    }

    /// True if someone has locked the file, or if that cannot be known.
    pub fn is_held(path: &Path) -> bool {
        match OpenOptions::new().read(true).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(path) {
            // Shared: two who look at the same time do not take each other for the owner.
            Ok(file) => Flock::lock(file, FlockArg::LockSharedNonblock).is_err(),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lock;

    #[test]
    fn a_lock_is_one_process_s_until_it_lets_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("running");
        assert!(!Lock::is_held(&path), "no file, no lock");
        let lock = Lock::take(&path).unwrap().unwrap();
        assert!(Lock::is_held(&path));
        assert!(Lock::take(&path).unwrap().is_none());
        drop(lock);
        assert!(path.exists() && !Lock::is_held(&path), "what is left of a process that died");
        assert!(Lock::take(&path).unwrap().is_some());
    }

    #[test]
    fn a_link_is_not_followed_and_what_cannot_be_known_counts_as_held() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("elsewhere"), dir.path().join("running"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(Lock::take(&link).is_err());
        assert!(Lock::is_held(&link));
        assert!(!target.exists());
    }
}
