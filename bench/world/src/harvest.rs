//! Copies files out of nodes' data directories when the nodes are gone.
//!
//! What lies there is the nodes' own doing: a million files, a named pipe, a device, a link to somebody else's secret, a file that says
//! that it has a terabyte. So everything is bounded, nothing outside of the directory is read, and nothing is waited for.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::capture::beneath::{Named, directory, find, open_found};

/// The most files of one run.
const MOST_FILES: u64 = 10_000;
/// The most entries that are looked at in one run, wanted or not: a tree that no one can walk must not hold up the run's end.
const MOST_ENTRIES: u64 = 200_000;
/// So many of what was left out are named; the others are counted.
const MOST_NAMED: usize = 20;

/// What is copied of one run.
#[derive(Debug)]
pub struct Harvest {
    /// Files copied so far.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What was wanted and not copied; the first of them.
    pub left_out: Vec<LeftOut>,
    /// How much more was left out.
    pub more_left_out: u64,
    bytes_max: u64,
    entries: u64,
}

/// Something that was wanted and not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Where it is in the data directory; the directory itself if all of it was left out.
    pub path: PathBuf,
    /// Why, for people.
    pub why: String,
}

impl Harvest {
    /// Nothing yet, and room for so many bytes.
    pub fn new(bytes_max: u64) -> Self {
        Self { files: 0, bytes: 0, left_out: Vec::new(), more_left_out: 0, bytes_max, entries: 0 }
    }

    /// Copies what is wanted of a data directory to `into`, which is made if there is something. Paths are relative to the directory.
    pub fn take(&mut self, data_dir: &Path, into: &Path, wanted: &dyn Fn(&Path) -> bool) {
        if let Err(error) = self.walk(data_dir, into, wanted) {
            self.leave_out(Path::new(""), error.to_string());
        }
    }

    fn walk(&mut self, data_dir: &Path, into: &Path, wanted: &dyn Fn(&Path) -> bool) -> io::Result<()> {
        // A node that puts a link in the place of its directory shows another one.
        if fs::canonicalize(data_dir)? != data_dir {
            return Err(io::Error::other("it is not where it was made"));
        }
        let root = directory(data_dir)?;
        let mut open = vec![PathBuf::new()];
        while let Some(below) = open.pop() {
            let mut entries = Vec::new();
            let listed = fs::read_dir(data_dir.join(&below)).and_then(|listing| {
                for entry in listing {
                    self.entries += 1;
                    if self.entries > MOST_ENTRIES {
                        return Err(io::Error::other(format!("there are more than {MOST_ENTRIES} files")));
                    }
                    entries.push(entry?);
                }
                Ok(())
            });
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in &entries {
                let path = below.join(entry.file_name());
                match entry.file_type() {
                    // A link to a directory is none: it is not entered.
                    Ok(kind) if kind.is_dir() => open.push(path),
                    _ if wanted(&path) => self.copy(&root, &path, into),
                    _ => {}
                }
            }
            if let Err(error) = listed {
                self.leave_out(&below, error.to_string());
                if self.entries > MOST_ENTRIES {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn copy(&mut self, root: &OwnedFd, path: &Path, into: &Path) {
        match self.try_copy(root, path, into) {
            Ok(bytes) => {
                self.files += 1;
                self.bytes += bytes;
            }
            Err(why) => self.leave_out(path, why),
        }
    }

    fn try_copy(&self, root: &OwnedFd, path: &Path, into: &Path) -> Result<u64, String> {
        let (handle, size) = match find(root, path) {
            Named::File { handle, size, .. } => (handle, size),
            Named::Nothing => return Err("it is gone".into()),
            Named::Refused(why) => return Err(why),
        };
        if self.files >= MOST_FILES {
            return Err(format!("{MOST_FILES} files were kept"));
        }
        let room = self.bytes_max - self.bytes;
        if size > room {
            return Err(format!("it has {size} bytes, and of {} in all {room} are left", self.bytes_max));
        }
        let from = open_found(&handle).map_err(|error| error.to_string())?;
        let to = into.join(path);
        copy_to(from, &to, room).map_err(|error| {
            // A part of a file looks like a file.
            let _ = fs::remove_file(&to);
            error.to_string()
        })
    }

    fn leave_out(&mut self, path: &Path, why: String) {
        if self.left_out.len() < MOST_NAMED {
            self.left_out.push(LeftOut { path: path.to_owned(), why });
        } else {
            self.more_left_out += 1;
        }
    }
}

/// Copies at most so many bytes into a new file, in directories that are made where they are missing.
fn copy_to(from: File, to: &Path, room: u64) -> io::Result<u64> {
    if let Some(parent) = to.parent() {
        DirBuilder::new().mode(0o755).recursive(true).create(parent)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(to)?;
    // It may have grown since it was measured.
    let copied = io::copy(&mut from.take(room.saturating_add(1)), &mut file)?;
    if copied > room {
        return Err(io::Error::other("it grew while it was copied"));
    }
    Ok(copied)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        let data = root.join("data");
        fs::create_dir_all(data.join("js/deep")).unwrap();
        (temp, data, root.join("kept"))
    }

    fn why(harvest: &Harvest) -> Vec<String> {
        harvest.left_out.iter().map(|left| format!("{}: {}", left.path.display(), left.why)).collect()
    }

    #[test]
    fn wanted_files_are_copied_and_only_those() {
        let (_temp, data, kept) = place();
        fs::write(data.join("js/a.json"), "aaa").unwrap();
        fs::write(data.join("js/deep/b"), "bb").unwrap();
        fs::write(data.join("other"), "o").unwrap();
        let mut harvest = Harvest::new(100);
        harvest.take(&data, &kept, &|path| path.starts_with("js"));
        assert_eq!((harvest.files, harvest.bytes, why(&harvest)), (2, 5, vec![]));
        assert_eq!(fs::read_to_string(kept.join("js/deep/b")).unwrap(), "bb");
        assert!(!kept.join("other").exists());
    }

    #[test]
    fn links_pipes_and_sockets_are_neither_followed_nor_opened() {
        let (temp, data, kept) = place();
        fs::write(temp.path().join("secret"), "of somebody else").unwrap();
        fs::create_dir(temp.path().join("elsewhere")).unwrap();
        fs::write(temp.path().join("elsewhere/x"), "x").unwrap();
        symlink("../../secret", data.join("js/out")).unwrap();
        symlink("/etc/passwd", data.join("js/absolute")).unwrap();
        symlink(temp.path().join("elsewhere"), data.join("js/dir")).unwrap();
        mkfifo(&data.join("js/pipe"), Mode::S_IRWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(data.join("js/socket")).unwrap();
        let mut harvest = Harvest::new(100);
        harvest.take(&data, &kept, &|_| true);
        assert_eq!((harvest.files, harvest.left_out.len()), (0, 5), "{:?}", why(&harvest));
        assert!(!kept.exists());
        // A directory that became a link shows another one.
        fs::rename(&data, temp.path().join("moved")).unwrap();
        symlink(temp.path().join("elsewhere"), &data).unwrap();
        harvest.take(&data, &kept, &|_| true);
        assert_eq!((harvest.files, why(&harvest).pop().unwrap().as_str()), (0, ": it is not where it was made"));
    }

    #[test]
    fn what_is_too_large_or_too_much_is_left_out_and_named() {
        let (_temp, data, kept) = place();
        fs::write(data.join("a"), vec![b'a'; 60]).unwrap();
        fs::write(data.join("b"), vec![b'b'; 60]).unwrap();
        fs::write(data.join("c"), vec![b'c'; 40]).unwrap();
        File::create(data.join("sparse")).unwrap().set_len(1 << 40).unwrap();
        let mut harvest = Harvest::new(100);
        harvest.take(&data, &kept, &|_| true);
        assert_eq!((harvest.files, harvest.bytes), (2, 100));
        assert_eq!(why(&harvest).len(), 2, "{:?}", why(&harvest));
        for index in 0..30 {
            symlink("/dev/zero", data.join(format!("zero{index}"))).unwrap();
        }
        let mut harvest = Harvest::new(10);
        harvest.take(&data, &data.join("never"), &|_| true);
        assert_eq!((harvest.files, harvest.left_out.len(), harvest.more_left_out), (0, MOST_NAMED, 14));
    }
}
