//! Writing the history while the run goes on: append-only, one line per observation, never ahead of what happened.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use dsbench_core::history::History;
use dsbench_core::lines;
use dsbench_core::observation::{Observation, What};
use dsbench_core::time::RunTime;

use super::history_file;
use crate::error::BenchError;

/// Bytes that may wait to be written while observations pour in.
const BUFFER: usize = 256 * 1024;

/// How much is held in memory if it is not needed.
const REMEMBERED: usize = 1024;

/// The history in memory and its file.
///
/// A line leaves the process at every [`flush`](Self::flush), so what `kill -9` can take is at most one torn last line, and what a power cut
/// can take is what the kernel had not written yet; the reader drops a torn line and says so.
#[derive(Debug)]
pub struct Recorder {
    history: History,
    path: PathBuf,
    file: File,
    waiting: Vec<u8>,
    /// True if only the file has all of it.
    forgets: bool,
    /// How many bytes of memory the history may take.
    most: usize,
    /// Why the file could not be written, from then on; the history in memory stays whole, so the verdict is not lost.
    lost: Option<io::Error>,
}

impl Recorder {
    /// Creates the file with its header.
    pub fn create(path: &Path) -> Result<Self, BenchError> {
        let file = File::create_new(path).map_err(BenchError::file("create", path))?;
        let mut recorder = Self {
            history: History::default(),
            path: path.to_owned(),
            file,
            waiting: lines::header().into_bytes(),
            forgets: false,
            most: history_file::most()?,
            lost: None,
        };
        recorder.flush();
        Ok(recorder)
    }

    /// What has been recorded so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// From now on only the file has all of it: nobody will judge, and a cluster may be up for weeks.
    pub(crate) fn forget(&mut self) {
        self.forgets = true;
    }

    /// The history so far, which is judged; what comes now is only in the file.
    pub(crate) fn seal(&mut self) -> History {
        self.flush();
        self.forgets = true;
        let next = self.history.next_number();
        std::mem::replace(&mut self.history, History::after(next))
    }

    /// Adds an observation.
    pub fn record(&mut self, at: RunTime, what: What) -> &Observation {
        if self.forgets && self.history.observations().len() >= REMEMBERED {
            self.history = History::after(self.history.next_number());
        }
        // Written before it is kept: the file has the texts that the memory leaves out.
        let observation = Observation { number: self.history.next_number(), at, what };
        if self.lost.is_none() {
            lines::encode(&observation, &mut self.waiting);
        }
        if self.waiting.len() >= BUFFER {
            self.flush();
        }
        self.history.push(observation.at, observation.what)
    }

    /// True if the history may not grow any more.
    pub(crate) fn is_full(&self) -> bool {
        self.history.bytes() >= self.most
    }

    /// False once something could not be written: the file is not the history then.
    pub fn is_whole(&self) -> bool {
        self.lost.is_none()
    }

    /// Hands everything to the kernel.
    pub fn flush(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        if let Err(error) = self.file.write_all(&self.waiting) {
            self.lost = Some(error);
        }
        self.waiting.clear();
    }

    /// The whole history, and why its file is not whole, if it is not.
    pub fn finish(mut self) -> (History, Option<BenchError>) {
        self.flush();
        (self.history, self.lost.map(|source| BenchError::File { doing: "write", path: self.path, source }))
    }
}

#[cfg(test)]
mod tests {
    use dsbench_core::observation::{Phase, What};
    use dsbench_core::time::RunTime;

    use super::Recorder;

    #[test]
    fn what_is_flushed_can_be_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.jsonl");
        let mut recorder = Recorder::create(&path).unwrap();
        recorder.record(RunTime(0), What::Run(Phase::Started));
        recorder.record(RunTime(5), What::Run(Phase::Ready));
        recorder.flush();
        let read = dsbench_core::lines::read(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(read.history.observations(), recorder.history().observations());
        assert!(read.torn.is_none());
    }

    #[test]
    fn what_is_forgotten_in_memory_is_whole_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.jsonl");
        let mut recorder = Recorder::create(&path).unwrap();
        recorder.forget();
        for n in 0..5000 {
            assert_eq!(recorder.record(RunTime(n), What::Run(Phase::Ready)).number, n);
            assert!(recorder.history().observations().len() <= super::REMEMBERED);
        }
        recorder.flush();
        let read = dsbench_core::lines::read(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(read.history.observations().len(), 5000);
    }

    #[test]
    fn a_full_disk_loses_the_file_but_not_the_history() {
        let dir = tempfile::tempdir().unwrap();
        let mut recorder = Recorder::create(&dir.path().join("history.jsonl")).unwrap();
        recorder.file = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        recorder.record(RunTime(0), What::Run(Phase::Started));
        let (history, lost) = recorder.finish();
        assert_eq!(history.observations().len(), 1);
        assert!(std::error::Error::source(&lost.unwrap()).unwrap().to_string().contains("No space"));
    }
}
