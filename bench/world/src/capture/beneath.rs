//! Finding a file that a node writes: never outside its directory, never waiting, and without a trace at the node.
//!
//! A node can put anything in the place of its log: a link to somebody else's file, a named pipe whose writer would be let go by being
//! opened, a device. So the name is first resolved to a handle that opens nothing (`O_PATH`), and only a regular file is opened then,
//! by that handle and not by its name again.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

/// Which file it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

/// What a name stands for at the moment.
#[derive(Debug)]
pub(crate) enum Named {
    /// A regular file, not opened yet.
    File { handle: OwnedFd, id: Identity, size: u64 },
    /// Nothing.
    Nothing,
    /// Something that is not read; why, for people.
    Refused(String),
}

/// A handle on a directory, by which files are found even if it is renamed.
pub(crate) fn directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty()).map_err(io::Error::from)
}

/// Looks at what a relative path stands for. Links are followed as long as they stay in the directory.
pub(crate) fn find(dir: &OwnedFd, path: &Path) -> Named {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    match openat2(dir, path, how) {
        Ok(handle) => look(handle),
        // An old kernel, or a container that does not know the call.
        Err(Errno::ENOSYS | Errno::EPERM) => find_by_steps(dir, path),
        Err(errno) => missing(errno),
    }
}

/// The same with the calls of old kernels: a link, wherever it leads, is not followed.
fn find_by_steps(dir: &OwnedFd, path: &Path) -> Named {
    let mut place: Option<OwnedFd> = None;
    for part in path.components() {
        let Component::Normal(name) = part else { return Named::Refused("it leads out of the data directory".into()) };
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match openat(place.as_ref().unwrap_or(dir).as_fd(), name, flags, Mode::empty()) {
            Ok(next) => place = Some(next),
            Err(errno) => return missing(errno),
        }
    }
    place.map_or(Named::Nothing, look)
}

fn missing(errno: Errno) -> Named {
    match errno {
        // EAGAIN: something was renamed in the middle of it; the next look will tell.
        Errno::ENOENT | Errno::ENOTDIR | Errno::EAGAIN => Named::Nothing,
        Errno::EXDEV => Named::Refused("it is a link that leads out of the data directory".into()),
        Errno::ELOOP => Named::Refused("its links go in a circle".into()),
        errno => Named::Refused(io::Error::from(errno).to_string()),
    }
}

fn look(handle: OwnedFd) -> Named {
    let stat = match fstat(&handle) {
        Ok(stat) => stat,
        Err(errno) => return Named::Refused(io::Error::from(errno).to_string()),
    };
    let kind = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
    let what = match kind {
        SFlag::S_IFREG => {
            let (id, size) = (identity(&stat), u64::try_from(stat.st_size).unwrap_or_default());
            return Named::File { handle, id, size };
        }
        SFlag::S_IFIFO => "a named pipe",
        SFlag::S_IFDIR => "a directory",
        SFlag::S_IFSOCK => "a socket",
        SFlag::S_IFLNK => "a link",
        _ => "a device",
    };
    Named::Refused(format!("it is {what}, and only files are followed"))
}

fn identity(stat: &FileStat) -> Identity {
    Identity { device: stat.st_dev, inode: stat.st_ino }
}

/// Opens what was found: exactly that, whatever has come into its place since.
pub(crate) fn open_found(handle: &OwnedFd) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(format!("/proc/self/fd/{}", handle.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use nix::unistd::mkfifo;

    use super::*;

    fn told(named: Named) -> String {
        match named {
            Named::File { size, .. } => format!("a file of {size}"),
            Named::Nothing => "nothing".into(),
            Named::Refused(why) => why,
        }
    }

    #[test]
    fn only_a_file_within_the_directory_is_found_and_nothing_is_waited_for() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("data");
        fs::create_dir_all(path.join("logs")).unwrap();
        fs::write(path.join("logs/real.log"), "12345").unwrap();
        fs::write(temp.path().join("secret"), "of somebody else").unwrap();
        symlink("logs/real.log", path.join("inner")).unwrap();
        symlink("../secret", path.join("outer")).unwrap();
        symlink("/etc/passwd", path.join("absolute")).unwrap();
        symlink("..", path.join("up")).unwrap();
        symlink("round", path.join("round")).unwrap();
        mkfifo(&path.join("pipe"), Mode::S_IRWXU).unwrap();
        let dir = directory(&path).unwrap();
        let seen = |name: &str| told(find(&dir, Path::new(name)));
        assert_eq!(seen("logs/real.log"), "a file of 5");
        assert_eq!(seen("inner"), "a file of 5");
        assert_eq!(seen("nowhere") + &seen("logs/real.log/x"), "nothingnothing");
        for name in ["outer", "absolute", "up/secret"] {
            assert_eq!(seen(name), "it is a link that leads out of the data directory", "{name}");
        }
        assert_eq!(seen("round"), "its links go in a circle");
        assert_eq!(seen("pipe"), "it is a named pipe, and only files are followed");
        assert_eq!(seen("logs"), "it is a directory, and only files are followed");
    }

    #[test]
    fn an_old_kernel_finds_files_and_follows_no_link() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("logs")).unwrap();
        fs::write(temp.path().join("logs/real.log"), "12345").unwrap();
        symlink("logs/real.log", temp.path().join("inner")).unwrap();
        symlink("logs", temp.path().join("linked")).unwrap();
        let dir = directory(temp.path()).unwrap();
        let seen = |name: &str| told(find_by_steps(&dir, Path::new(name)));
        assert_eq!(seen("logs/real.log"), "a file of 5");
        assert_eq!(seen("inner"), "it is a link, and only files are followed");
        assert_eq!(seen("linked/real.log"), "nothing");
        assert_eq!(seen("../x"), "it leads out of the data directory");
    }

    #[test]
    fn what_was_found_is_opened_and_not_what_took_its_place() {
        let temp = tempfile::tempdir().unwrap();
        let log = temp.path().join("log");
        fs::write(&log, "first").unwrap();
        let dir = directory(temp.path()).unwrap();
        let Named::File { handle, .. } = find(&dir, Path::new("log")) else { panic!("it is there") };
        fs::remove_file(&log).unwrap();
        mkfifo(&log, Mode::S_IRWXU).unwrap();
        assert_eq!(io::read_to_string(open_found(&handle).unwrap()).unwrap(), "first");
    }
}
