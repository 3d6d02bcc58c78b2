//! Following log files while they grow: whole lines, as soon as they are written, nearly in the order in which they were.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// How much is read of one file before the others have their turn.
const CHUNK_BYTES: usize = 64 * 1024;
/// A line that is longer than this is given in pieces.
const LINE_BYTES: usize = 64 * 1024;

/// More than this is not shown to people at a terminal.
const FLOOD_BYTES: u64 = 1 << 20;

/// How soon to look again where the system does not tell of changes.
pub(crate) const WITHOUT_NOTICE: Duration = Duration::from_millis(100);

/// Several files of one directory; they need not exist yet.
#[derive(Debug)]
pub(crate) struct Follower {
    dir: PathBuf,
    /// None where the system gives none: then somebody has to look from time to time.
    notices: Option<Inotify>,
    files: BTreeMap<String, Followed>,
}

#[derive(Debug, Default)]
struct Followed {
    file: Option<File>,
    /// The beginning of the line that is not complete yet.
    begun: Vec<u8>,
    /// Where to begin when it is opened.
    from: u64,
}

impl Follower {
    /// From the beginning of each file.
    pub(crate) fn new(dir: &Path, names: impl IntoIterator<Item = String>) -> Self {
        let notices = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok();
        let notices = notices
            .filter(|notices| notices.add_watch(dir, AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE).is_ok());
        let files = names.into_iter().map(|name| (name, Followed::default())).collect();
        Self { dir: dir.to_owned(), notices, files }
    }

    /// Begins each file with its last so many lines.
    pub(crate) fn skip_to_last(&mut self, lines: usize) {
        for (name, followed) in &mut self.files {
            followed.from = beginning_of_last(&self.dir.join(name), lines).unwrap_or(0);
        }
    }

    /// Readable when it is worth to [`read`](Self::read) again; none if nobody tells.
    pub(crate) fn notices(&self) -> Option<BorrowedFd<'_>> {
        self.notices.as_ref().map(AsFd::as_fd)
    }

    /// Gives the new lines, each with its file and without its newline; true if there may be more at once.
    pub(crate) fn read(&mut self, line: &mut dyn FnMut(&str, &[u8])) -> bool {
        let mut has_more = false;
        // In the order in which they were written, as far as the system has told it; then all, because it may have lost count.
        for name in self.changed() {
            if let Some(followed) = self.files.get_mut(&name) {
                has_more |= followed.read(&self.dir, &name, line);
            }
        }
        for (name, followed) in &mut self.files {
            has_more |= followed.read(&self.dir, name, line);
        }
        has_more
    }

    /// Jumps in files of which too much is unread for anybody to look at; gives each with how many bytes were left out.
    pub(crate) fn skip_floods(&mut self) -> Vec<(String, u64)> {
        let mut skipped = Vec::new();
        for (name, followed) in &mut self.files {
            if let Some(bytes) = followed.skip_flood().filter(|bytes| *bytes > 0) {
                skipped.push((name.clone(), bytes));
            }
        }
        skipped
    }

    /// The rest of lines that were never finished.
    pub(crate) fn finish(&mut self, line: &mut dyn FnMut(&str, &[u8])) {
        while self.read(line) {}
        for (name, followed) in &mut self.files {
            if !followed.begun.is_empty() {
                line(name, &std::mem::take(&mut followed.begun));
            }
        }
    }

    fn changed(&self) -> Vec<String> {
        let events = self.notices.as_ref().and_then(|notices| notices.read_events().ok()).unwrap_or_default();
        let mut names: Vec<String> = events.into_iter().filter_map(|event| event.name?.into_string().ok()).collect();
        names.dedup();
        names
    }
}

impl Followed {
    fn skip_flood(&mut self) -> Option<u64> {
        let file = self.file.as_mut()?;
        let (at, end) = (file.stream_position().ok()?, file.metadata().ok()?.len());
        if end.saturating_sub(at) <= FLOOD_BYTES {
            return None;
        }
        // Begins in the middle of a line; what is shown then is a part of it.
        let to = end.saturating_sub(CHUNK_BYTES as u64);
        file.seek(SeekFrom::Start(to)).ok()?;
        self.begun.clear();
        Some(to - at)
    }

    fn read(&mut self, dir: &Path, name: &str, line: &mut dyn FnMut(&str, &[u8])) -> bool {
        if self.file.is_none() {
            let opened = File::open(dir.join(name)).and_then(|mut file| {
                file.seek(SeekFrom::Start(self.from))?;
                Ok(file)
            });
            self.file = opened.ok();
        }
        let Some(file) = &mut self.file else { return false };
        let mut chunk = [0; CHUNK_BYTES];
        let length = match file.read(&mut chunk) {
            Ok(length) => length,
            Err(error) => return error.kind() == io::ErrorKind::Interrupted,
        };
        for part in chunk[..length].split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(part);
            if let Some(whole) = self.begun.strip_suffix(b"\n") {
                line(name, whole);
                self.begun.clear();
            } else if self.begun.len() >= LINE_BYTES {
                line(name, &self.begun);
                self.begun.clear();
            }
        }
        length == CHUNK_BYTES
    }
}

/// Where the last so many lines of a file begin.
pub(super) fn beginning_of_last(path: &Path, lines: usize) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut end = file.metadata()?.len();
    // The newline at the very end ends the last line; it does not begin another.
    let mut newlines = 0;
    let mut chunk = vec![0; CHUNK_BYTES];
    let length = end;
    while end > 0 {
        let start = end.saturating_sub(CHUNK_BYTES as u64);
        let size = usize::try_from(end - start).unwrap_or(CHUNK_BYTES);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut chunk[..size])?;
        for (at, byte) in chunk[..size].iter().enumerate().rev() {
            let offset = start + at as u64;
            if *byte == b'\n' && offset + 1 < length {
                newlines += 1;
                if newlines == lines {
                    return Ok(offset + 1);
                }
            }
        }
        end = start;
    }
    Ok(if lines == 0 { length } else { 0 })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(follower: &mut Follower) -> Vec<String> {
        let mut lines = Vec::new();
        while follower.read(&mut |name, line| lines.push(format!("{name}: {}", String::from_utf8_lossy(line)))) {}
        lines
    }

    #[test]
    fn lines_come_when_they_are_whole_also_of_files_that_come_later() {
        let dir = tempfile::tempdir().unwrap();
        let mut a = File::create(dir.path().join("a")).unwrap();
        a.write_all(b"one\ntw").unwrap();
        let mut follower = Follower::new(dir.path(), ["a".to_owned(), "b".to_owned()]);
        assert_eq!(read(&mut follower), ["a: one"]);
        std::fs::write(dir.path().join("b"), "bee\n").unwrap();
        a.write_all(b"o\nrest").unwrap();
        assert_eq!(read(&mut follower), ["b: bee", "a: two"], "in the order in which they were written");
        let mut rest = Vec::new();
        follower.finish(&mut |name, line| rest.push(format!("{name}: {}", String::from_utf8_lossy(line))));
        assert_eq!(rest, ["a: rest"]);
    }

    #[test]
    fn of_a_flood_the_end_is_shown_and_how_much_was_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = File::create(dir.path().join("a")).unwrap();
        let mut follower = Follower::new(dir.path(), ["a".to_owned()]);
        file.write_all(b"first\n").unwrap();
        assert_eq!(read(&mut follower), ["a: first"]);
        assert_eq!(follower.skip_floods(), []);
        let flood = "flood\n".repeat(1 << 18);
        file.write_all(flood.as_bytes()).unwrap();
        let skipped = follower.skip_floods();
        assert_eq!(skipped, [("a".to_owned(), flood.len() as u64 - CHUNK_BYTES as u64)]);
        assert_eq!(read(&mut follower).last().map(String::as_str), Some("a: flood"));
    }

    #[test]
    fn a_line_without_end_is_given_in_pieces() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "x".repeat(3 * LINE_BYTES)).unwrap();
        let mut follower = Follower::new(dir.path(), ["a".to_owned()]);
        assert_eq!(read(&mut follower).len(), 3);
    }

    #[test]
    fn the_last_lines_are_counted_from_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let text: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
        std::fs::write(&path, &text).unwrap();
        let last = |lines| {
            let mut follower = Follower::new(dir.path(), ["a".to_owned()]);
            follower.skip_to_last(lines);
            read(&mut follower)
        };
        assert_eq!(last(2), ["a: line 19998", "a: line 19999"]);
        assert_eq!(last(15_000).first().map(String::as_str), Some("a: line 5000"));
        assert_eq!(last(50_000).len(), 20_000);
        assert_eq!(last(0), [""; 0]);
        std::fs::write(&path, "no newline").unwrap();
        assert_eq!(last(1), [""; 0]);
    }
}
