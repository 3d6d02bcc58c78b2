//! The socket that callers connect to: in a directory of its own that only its owner may enter, and of any length of path.
//!
//! A socket's address holds 108 bytes, and the path of a run's directory may be longer. So the directory is opened, and the address is the
//! short path of that descriptor in /proc.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::sys::stat::Mode;
use nix::unistd::geteuid;

/// The socket's name in its directory.
const NAME: &str = "socket";

/// A directory with a socket in it.
#[derive(Debug, Clone)]
pub struct Socket {
    dir: PathBuf,
}

impl Socket {
    /// The socket in this directory, whether it exists or not.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// True if there is one: somebody listens, or was killed while listening.
    pub fn exists(&self) -> bool {
        fs::symlink_metadata(self.dir.join(NAME)).is_ok()
    }

    /// Makes the directory and the socket, for nobody but this user.
    ///
    /// # Errors
    /// If the directory exists, or the file system knows no sockets.
    pub fn listen(&self) -> io::Result<UnixListener> {
        DirBuilder::new().mode(0o700).create(&self.dir)?;
        let dir = self.open()?;
        let path = short(&dir);
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Connects. `ConnectionRefused` means that whoever listened is dead.
    ///
    /// # Errors
    /// Also if the directory, or who listens, is another user's: what is said there is not for strangers.
    pub fn connect(&self) -> io::Result<UnixStream> {
        let dir = self.open()?;
        let stream = UnixStream::connect(short(&dir))?;
        if !is_one_of_us(&stream)? {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
        }
        Ok(stream)
    }

    /// Takes it away.
    pub fn remove(&self) {
        // What is not there need not be removed.
        let _ = fs::remove_file(self.dir.join(NAME));
        let _ = fs::remove_dir(&self.dir);
    }

    /// Not through a link: whoever could put one in the directory's place would choose the socket.
    fn open(&self) -> io::Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(open(&self.dir, flags, Mode::empty())?)
    }
}

fn short(dir: &OwnedFd) -> PathBuf {
    Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(NAME)
}

/// True if the process at the other end is this user's, or root's.
pub(super) fn is_one_of_us(stream: &UnixStream) -> io::Result<bool> {
    let uid = getsockopt(stream, PeerCredentials)?.uid();
    Ok(uid == geteuid().as_raw() || uid == 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn is_private(path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|meta| meta.mode() & 0o077 == 0)
    }

    #[test]
    fn a_path_longer_than_an_address_is_listened_on_and_connected_to() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("x".repeat(150)).join("y".repeat(150));
        fs::create_dir_all(&deep).unwrap();
        let socket = Socket::at(deep.join("control"));
        assert!(!socket.exists());
        assert_eq!(socket.connect().unwrap_err().kind(), io::ErrorKind::NotFound);
        let listener = socket.listen().unwrap();
        assert!(is_private(&deep.join("control")) && is_private(&deep.join("control").join(NAME)));
        socket.connect().unwrap();
        assert_eq!(socket.listen().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        drop(listener);
        assert!(socket.exists(), "it outlives who listened");
        assert_eq!(socket.connect().unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        socket.remove();
        assert!(!deep.join("control").exists());
    }

    #[test]
    fn a_link_in_the_directorys_place_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let real = Socket::at(root.path().join("real"));
        let _listener = real.listen().unwrap();
        std::os::unix::fs::symlink("real", root.path().join("link")).unwrap();
        assert!(Socket::at(root.path().join("link")).connect().is_err());
    }

    #[test]
    fn a_process_of_this_user_is_one_of_us() {
        let (one, _other) = UnixStream::pair().unwrap();
        assert!(is_one_of_us(&one).unwrap());
    }
}
