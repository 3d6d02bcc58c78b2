//! Files that are written while the run goes on, and that may fail without taking the run with them.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::path::Path;

/// One file of captured output. After its first failure nothing more is written: a file with a hole would be believed.
#[derive(Debug)]
pub(super) struct LogFile {
    /// Relative to the log directory, for people.
    name: String,
    file: Option<File>,
    /// The failure that nobody has been told of yet.
    failure: Option<io::Error>,
}

impl LogFile {
    /// Creates `dir`/`name`, or empties it.
    pub(super) fn create(dir: &Path, name: String) -> Self {
        match OpenOptions::new().write(true).create(true).truncate(true).open(dir.join(&name)) {
            Ok(file) => Self { name, file: Some(file), failure: None },
            Err(error) => Self { name, file: None, failure: Some(error) },
        }
    }

    /// Appends all parts, in one system call where possible.
    pub(super) fn write(&mut self, parts: &mut [IoSlice<'_>]) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = write_all(file, parts) {
            self.file = None;
            self.failure = Some(error);
        }
    }

    /// What went wrong: told once, with the file's name.
    pub(super) fn take_failure(&mut self) -> Option<(String, String)> {
        self.failure.take().map(|error| (self.name.clone(), error.to_string()))
    }
}

fn write_all(file: &mut File, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
    // Leading empty parts would make "nothing written" look like a full disk.
    IoSlice::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        match file.write_vectored(parts) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut parts, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
