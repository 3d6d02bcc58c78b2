//! The file of a report: opened before the first run, written again when there is more to say.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::error::BenchError;

/// An open file.
#[derive(Debug)]
pub(super) struct Target {
    path: PathBuf,
    file: File,
    /// A pipe or a device is written once, when everything is known.
    is_regular: bool,
    is_final: bool,
}

impl Target {
    /// Opens it; the directories above it are made.
    pub(super) fn create(path: &Path) -> Result<Self, BenchError> {
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).map_err(BenchError::file("create", above))?;
        }
        let failed = |error| BenchError::file("create", path)(error);
        let file = File::options().write(true).create(true).truncate(false).open(path).map_err(failed)?;
        let is_regular = file.metadata().map_err(failed)?.is_file();
        Ok(Self { path: path.to_owned(), file, is_regular, is_final: false })
    }

    /// Replaces what stands there: first with what stands there until the end, then with the result.
    pub(super) fn write(&mut self, text: &str) -> Result<(), BenchError> {
        let is_first = !std::mem::replace(&mut self.is_final, true);
        if is_first && !self.is_regular {
            return Ok(());
        }
        self.replace(text).map_err(BenchError::file("write", &self.path))
    }

    fn replace(&mut self, text: &str) -> io::Result<()> {
        if self.is_regular {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
        }
        self.file.write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn the_last_text_stands_alone_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/junit.xml");
        let mut target = Target::create(&path).unwrap();
        target.write("a long text that says that nothing is known").unwrap();
        target.write("short").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "short");
        assert!(Target::create(dir.path()).is_err(), "a directory is no file");
    }
}
