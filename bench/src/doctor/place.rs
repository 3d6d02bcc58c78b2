//! Where runs are stored: whether everything that a run does to its directory can be done here, and how much room there is.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use dsbench_world::{Lock, space as free_space};

use super::{Finding, Look};
use crate::report::terminal::clean;

/// A directory for what is tried, removed when it is over.
#[derive(Debug)]
pub(super) struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    /// Where runs are stored; if that is not there yet, where it would be made.
    pub(super) fn below(logs: &Path) -> io::Result<Self> {
        let parent = if logs.is_dir() { logs } else { logs.parent().unwrap_or(logs) };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        Self::make(parent)
    }

    /// Where temporary files go: what is tried there says nothing of the runs' place.
    pub(super) fn elsewhere() -> io::Result<Self> {
        Self::make(&std::env::temp_dir())
    }

    fn make(parent: &Path) -> io::Result<Self> {
        let dir = parent.canonicalize()?.join(format!(".dsbench-doctor-{}", std::process::id()));
        fs::create_dir(&dir)?;
        Ok(Self { dir })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

pub(super) fn logs(look: &Look<'_>) -> Vec<Finding> {
    let logs = clean(&look.patient.logs.display().to_string()).into_owned();
    let scratch = match look.scratch {
        Ok(scratch) => scratch,
        Err(error) => {
            let remedy = "start dsbench in a directory that you may write to; its runs are stored in ./logs";
            return vec![Finding::missing("logs", format!("{logs} cannot be written: {error}"), remedy)];
        }
    };
    let file = scratch.dir().join("file");
    let written = fs::write(&file, [b'x'; 64 * 1024]).and_then(|()| fs::File::open(&file)?.sync_all());
    if let Err(error) = written {
        return vec![Finding::missing(
            "logs",
            format!("a file in {logs} cannot be written: {error}"),
            "is the disk full, or a quota used up?",
        )];
    }
    let mut findings = vec![Finding::fine("logs", format!("{logs} can be written"))];
    if let Err(error) = symlink("file", scratch.dir().join("link")) {
        let told = format!("no symbolic links in {logs} ({error}): logs/runs/latest will not be there");
        findings.push(Finding::warning("logs", told, "use a directory on a file system of Linux"));
    }
    if !matches!(Lock::take(&scratch.dir().join("lock")), Ok(Some(_))) {
        let told = format!("no locks in {logs}: a run in progress cannot be told from one that was killed");
        findings.push(Finding::warning("logs", told, "use a local directory, not a network share"));
    }
    findings
}

pub(super) fn space(look: &Look<'_>) -> Vec<Finding> {
    const SCARCE: u64 = 1 << 30;
    const TOO_LITTLE: u64 = 16 << 20;
    let Ok(scratch) = look.scratch else { return Vec::new() };
    let remedy = "remove old runs below logs/runs, or start dsbench on another disk";
    vec![match free_space(scratch.dir()) {
        Err(error) => Finding::warning("disk", format!("what is free is not known: {error}"), remedy),
        Ok(space) => {
            let told = format!("{} MB free", space.bytes >> 20);
            let files = space.files.unwrap_or(u64::MAX);
            match (space.bytes, files) {
                (..TOO_LITTLE, _) => Finding::missing("disk", format!("only {told}"), remedy),
                (_, ..100) => Finding::missing("disk", format!("{told}, but only {files} more files"), remedy),
                (..SCARCE, _) => Finding::warning("disk", format!("only {told}"), remedy),
                _ => Finding::fine("disk", told),
            }
        }
    }]
}
