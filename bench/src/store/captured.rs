//! What nodes printed around a moment, read back from the raw logs and their arrival times.
//!
//! Only a window of each file is read: a log may be larger than memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use dsbench_core::history::History;
use dsbench_core::observation::Life;
use dsbench_core::time::RunTime;
use dsbench_world::{INDEX_RECORD_BYTES, IndexRecord};

/// So much is read on each side of the moment, of each stream.
const WINDOW: u64 = 256 * 1024;

/// A line of a node's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// When its end was read.
    pub at: RunTime,
    /// Who said it.
    pub of: Life,
    /// On standard error.
    pub is_stderr: bool,
    /// Its bytes, without the newline.
    pub bytes: Vec<u8>,
}

/// The lines around a moment, in the order of their arrival.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Around {
    /// Up to the moment: the last lines of each node.
    pub before: Vec<Spoken>,
    /// After it: the first lines of each node.
    pub after: Vec<Spoken>,
}

/// At most so many lines of each node before and after a moment. `logs` is the log directory of the run; what is not there was not said.
pub fn around(logs: &Path, history: &History, moment: RunTime, before: usize, after: usize) -> Around {
    let mut all = Around::default();
    for node in history.nodes() {
        // A stored history is a file like any other; a name that leads elsewhere is none of ours.
        if node.contains('/') || node.starts_with('.') {
            continue;
        }
        let mut of_node = Around::default();
        for life in history.lives(node).map(|span| &span.of).filter(|life| !life.process.contains('/')) {
            for (stream, is_stderr) in [("stdout", false), ("stderr", true)] {
                let raw = logs.join("raw").join(format!("{node}.{}.{}.{stream}", life.process, life.life));
                let Ok(lines) = Lines::around(&raw, moment) else { continue };
                let spoken = |(at, bytes)| Spoken { at, of: life.clone(), is_stderr, bytes };
                of_node.before.extend(lines.before.into_iter().map(spoken));
                of_node.after.extend(lines.after.into_iter().map(spoken));
            }
        }
        // Stable: lines of one stream that arrived together stay in their order.
        of_node.before.sort_by_key(|line| line.at);
        of_node.after.sort_by_key(|line| line.at);
        let superfluous = of_node.before.len().saturating_sub(before);
        all.before.extend(of_node.before.drain(superfluous..));
        all.after.extend(of_node.after.into_iter().take(after));
    }
    all.before.sort_by_key(|line| line.at);
    all.after.sort_by_key(|line| line.at);
    all
}

/// Lines of one stream with their arrival, in order.
#[derive(Debug, Default)]
struct Lines {
    before: Vec<(RunTime, Vec<u8>)>,
    after: Vec<(RunTime, Vec<u8>)>,
}

impl Lines {
    fn around(raw: &Path, moment: RunTime) -> io::Result<Self> {
        let mut index = raw.as_os_str().to_owned();
        index.push(".index");
        let (file, index) = (File::open(raw)?, Index::open(Path::new(&index))?);
        let length = file.metadata()?.len();
        let split = index.first(|record| record.at > moment)?.map_or(length, |record| record.offset.min(length));
        let (from, to) = (split.saturating_sub(WINDOW), split.saturating_add(WINDOW).min(length));
        let mut window = vec![0; usize::try_from(to - from).expect("a window fits into memory")];
        file.read_exact_at(&mut window, from)?;

        let mut lines = Self::default();
        let mut begin = from;
        for piece in window.split_inclusive(|byte| *byte == b'\n') {
            let end = begin + piece.len() as u64;
            let line = piece.strip_suffix(b"\n");
            // Cut off by the window: shown only if the window holds nothing else of it.
            let is_cut_before = begin == from && from > 0 && line.is_some();
            let is_cut_after = line.is_none() && to < length;
            if !is_cut_before && !is_cut_after || piece.len() == window.len() {
                let last = index.last(|record| record.offset < end)?;
                let at = last.map_or(RunTime::START, |record| record.at);
                let side = if end <= split { &mut lines.before } else { &mut lines.after };
                side.push((at, line.unwrap_or(piece).to_vec()));
            }
            begin = end;
        }
        Ok(lines)
    }
}

/// The arrival times of one raw file, searched on disk.
struct Index {
    file: File,
    records: u64,
}

impl Index {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let records = file.metadata()?.len() / INDEX_RECORD_BYTES as u64;
        Ok(Self { file, records })
    }

    fn record(&self, number: u64) -> io::Result<IndexRecord> {
        let mut bytes = [0; INDEX_RECORD_BYTES];
        self.file.read_exact_at(&mut bytes, number * INDEX_RECORD_BYTES as u64)?;
        Ok(IndexRecord::read(&mut bytes.as_slice()).expect("a whole record was read"))
    }

    /// How many records at the beginning have this property, which no later one has.
    fn count(&self, has: impl Fn(&IndexRecord) -> bool) -> io::Result<u64> {
        let (mut low, mut high) = (0, self.records);
        while low < high {
            let middle = low + (high - low) / 2;
            if has(&self.record(middle)?) { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    fn first(&self, is_after: impl Fn(&IndexRecord) -> bool) -> io::Result<Option<IndexRecord>> {
        let number = self.count(|record| !is_after(record))?;
        if number < self.records { self.record(number).map(Some) } else { Ok(None) }
    }

    fn last(&self, is_before: impl Fn(&IndexRecord) -> bool) -> io::Result<Option<IndexRecord>> {
        match self.count(is_before)? {
            0 => Ok(None),
            count => self.record(count - 1).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use dsbench_core::observation::{Change, MAIN, ProcessChange, What};

    use super::*;

    fn life(node: &str, nth: u32) -> Life {
        Life { node: node.into(), process: MAIN.into(), life: nth }
    }

    fn history(lives: &[(&str, u32)]) -> History {
        let mut history = History::default();
        for (node, nth) in lives {
            let change = Change::Started { pid: 1 };
            history.push(RunTime(0), What::Process(ProcessChange { of: life(node, *nth), change }));
        }
        history
    }

    /// Writes a stream as the capture does: chunks with their arrival in milliseconds.
    fn stream(logs: &Path, name: &str, chunks: &[(u64, &str)]) {
        std::fs::create_dir_all(logs.join("raw")).unwrap();
        let (mut raw, mut index, mut newlines) = (Vec::new(), Vec::new(), 0_u64);
        for (at, text) in chunks {
            for number in [raw.len() as u64, newlines, at * 1_000_000, 0] {
                index.extend(number.to_le_bytes());
            }
            newlines += text.matches('\n').count() as u64;
            raw.extend(text.bytes());
        }
        std::fs::write(logs.join("raw").join(name), raw).unwrap();
        std::fs::write(logs.join("raw").join(format!("{name}.index")), index).unwrap();
    }

    fn told(lines: &[Spoken]) -> Vec<String> {
        let text = |line: &Spoken| {
            let mark = if line.is_stderr { "!" } else { "" };
            let text = String::from_utf8_lossy(&line.bytes).into_owned();
            format!("{} {}{}{mark} {text}", line.at.0 / 1_000_000, line.of.node, line.of.life)
        };
        lines.iter().map(text).collect()
    }

    #[test]
    fn lines_of_all_lives_and_streams_are_merged_by_arrival() {
        let dir = tempfile::tempdir().unwrap();
        stream(dir.path(), "a.main.1.stdout", &[(1, "one\ntwo\nthr"), (3, "ee\n"), (9, "late\n")]);
        stream(dir.path(), "a.main.1.stderr", &[(2, "oh\n")]);
        stream(dir.path(), "a.main.2.stdout", &[(4, "again\nunfinished")]);
        stream(dir.path(), "b.main.1.stdout", &[(2, "b\n"), (5, "exactly\n"), (6, "after\n")]);
        let history = history(&[("a", 1), ("a", 2), ("b", 1)]);
        let lines = around(dir.path(), &history, RunTime(5_000_000), 4, 1);
        let before = ["2 a1! oh", "2 b1 b", "3 a1 three", "4 a2 again", "4 a2 unfinished", "5 b1 exactly"];
        assert_eq!(told(&lines.before), before, "the last four of each node");
        assert_eq!(told(&lines.after), ["6 b1 after", "9 a1 late"]);
    }

    #[test]
    fn of_a_large_log_a_window_is_read_and_cut_lines_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let flood = "0123456789\n".repeat(100_000);
        stream(dir.path(), "a.main.1.stdout", &[(1, &flood), (2, "here\n"), (3, &flood)]);
        let lines = around(dir.path(), &history(&[("a", 1)]), RunTime(2_500_000), usize::MAX, usize::MAX);
        assert_eq!(lines.before.last().map(|line| &*line.bytes), Some(&b"here"[..]));
        assert!(lines.before.len() > 20_000 && lines.after.len() > 20_000);
        assert!(lines.before[..lines.before.len() - 1].iter().all(|line| line.bytes == b"0123456789"));
        assert!(lines.after.iter().all(|line| line.bytes == b"0123456789"));
        stream(dir.path(), "a.main.1.stdout", &[(1, &"x".repeat(1_000_000))]);
        let lines = around(dir.path(), &history(&[("a", 1)]), RunTime(5_000_000), 3, 3);
        assert_eq!(lines.before.len(), 1, "of a line without an end, its end");
    }

    #[test]
    fn names_that_lead_elsewhere_and_files_that_are_damaged_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        stream(&logs, "a.main.1.stdout", &[(1, "fine\n")]);
        stream(&dir.path().join("logs"), "b.main.1.stdout", &[(1, "short\n")]);
        std::fs::write(logs.join("raw/b.main.1.stdout"), "").unwrap();
        std::fs::write(logs.join("raw/c.main.1.stdout"), "no index\n").unwrap();
        stream(dir.path(), "d.main.1.stdout", &[(1, "outside\n")]);
        let history = history(&[("a", 1), ("b", 1), ("c", 1), ("../../raw/d", 1), ("e", 1)]);
        assert_eq!(told(&around(&logs, &history, RunTime(9_000_000), 9, 9).before), ["1 a1 fine"]);
    }
}
