//! Reading a message log beside the node that writes it: from some place to the end, and on.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

use super::{Missing, Place, Told};

/// From here on, looking at every line is quick enough.
const SPAN: u64 = 64 << 10;
/// Gaps that are told at the end of a catch-up, so that it stays one line.
const GAPS_TOLD: usize = 256;
/// Lines are given together, up to so many bytes; a longer one alone.
const CHUNK: usize = 64 << 10;

/// A message log, for those who read it.
#[derive(Debug, Clone)]
pub struct Feed {
    path: Arc<Path>,
    told: watch::Receiver<Told>,
    /// What was read last. Whoever is up to date wants the same as all others who are.
    last: Arc<Mutex<Part>>,
}

/// A part of the file, in whole lines.
#[derive(Debug, Clone)]
struct Part {
    at: u64,
    /// How long the file was.
    length: u64,
    lines: Arc<[u8]>,
}

impl Feed {
    pub(super) fn new(path: Arc<Path>, told: watch::Receiver<Told>) -> Self {
        let nothing = Part { at: 0, length: 0, lines: Arc::default() };
        Self { path, told, last: Arc::new(Mutex::new(nothing)) }
    }

    /// One that has nothing.
    #[cfg(test)]
    pub(crate) fn nothing() -> Self {
        Self::new(Path::new("/dev/null").into(), watch::channel(Told::default()).1)
    }

    /// Everything after the place `after`, and what will come.
    ///
    /// # Errors
    /// When the file cannot be read, or is damaged.
    pub fn after(&self, after: u64) -> io::Result<Follower> {
        let mut told = self.told.clone();
        let end = told.borrow_and_update().length;
        let mut file = BufReader::new(File::open(&self.path)?);
        let at = begin(&mut file, end, after)?;
        Ok(Follower {
            file: file.into_inner(),
            last: Arc::clone(&self.last),
            at,
            told,
            after,
            upto: after,
            count: 0,
            missing: Vec::new(),
            is_upto_date: false,
            is_past: false,
        })
    }
}

/// Where a line begins, not far before the first one after `after`.
fn begin(file: &mut BufReader<File>, end: u64, after: u64) -> io::Result<u64> {
    let (mut low, mut high) = (0, end);
    while high - low > SPAN {
        let middle = low + (high - low) / 2;
        file.seek(SeekFrom::Start(middle))?;
        let next = middle + file.skip_until(b'\n')? as u64;
        let mut line = String::new();
        if next >= high {
            high = middle;
            continue;
        }
        file.read_line(&mut line)?;
        match serde_json::from_str::<Place>(&line) {
            Ok(place) if place.index <= after => low = next,
            Ok(_) => high = middle,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(low)
}

/// What ends the part that was there before somebody followed.
#[derive(Serialize)]
#[serde(tag = "type", rename = "CATCHUP_RESP")]
struct CaughtUp<'a> {
    /// The place of the last line that was sent.
    upto: u64,
    messages: u64,
    /// Nothing up to this place was left out, but what is missing.
    told: u64,
    /// After the first, up to the second of each two: no node had these.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    missing: &'a [(u64, u64)],
}

/// Reads a message log, to its end and on.
#[derive(Debug)]
pub struct Follower {
    file: File,
    last: Arc<Mutex<Part>>,
    /// Where the next line begins.
    at: u64,
    told: watch::Receiver<Told>,
    after: u64,
    upto: u64,
    count: u64,
    missing: Vec<(u64, u64)>,
    is_upto_date: bool,
    /// What comes is after `after`: nobody need look at it.
    is_past: bool,
}

impl Follower {
    /// Whether everything that was there when it began has been given, and what ends it.
    #[must_use]
    pub fn is_upto_date(&self) -> bool {
        self.is_upto_date
    }

    /// The next lines, whole and with their newlines, as soon as there are any; nothing when there will be none.
    ///
    /// # Errors
    /// When the file cannot be read, or is damaged: there is a hole, and whoever follows must not take it for silence.
    pub async fn next(&mut self) -> io::Result<Option<Arc<[u8]>>> {
        loop {
            let told = *self.told.borrow_and_update();
            if self.at < told.length {
                let lines = self.read(told.length)?;
                let wanted = if self.is_past && self.is_upto_date { 0..lines.len() } else { self.looks_at(&lines)? };
                self.at += wanted.end as u64;
                if wanted.len() == lines.len() {
                    return Ok(Some(lines));
                } else if !wanted.is_empty() {
                    return Ok(Some(lines[wanted].into()));
                }
                // A long log must not keep the one thread from the other connections.
                tokio::task::coop::consume_budget().await;
            } else if !self.is_upto_date {
                self.is_upto_date = true;
                let caught_up =
                    CaughtUp { upto: self.upto, messages: self.count, told: told.upto, missing: &self.missing };
                let line = serde_json::to_string(&caught_up).expect("numbers") + "\n";
                return Ok(Some(line.into_bytes().into()));
            } else if self.told.changed().await.is_err() {
                return Ok(None);
            }
        }
    }

    /// The next lines of a file of this length.
    fn read(&self, length: u64) -> io::Result<Arc<[u8]>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if (last.at, last.length) != (self.at, length) {
            let lines = self.read_file(length)?.into();
            *last = Part { at: self.at, length, lines };
        }
        Ok(Arc::clone(&last.lines))
    }

    fn read_file(&self, length: u64) -> io::Result<Vec<u8>> {
        let left = usize::try_from(length - self.at).unwrap_or(usize::MAX);
        let mut size = left.min(CHUNK);
        loop {
            let mut bytes = vec![0; size];
            self.file.read_exact_at(&mut bytes, self.at)?;
            if let Some(end) = bytes.iter().rposition(|&byte| byte == b'\n') {
                bytes.truncate(end + 1);
                return Ok(bytes);
            }
            if size == left {
                // It ends with a line.
                return Err(io::ErrorKind::InvalidData.into());
            }
            size = left.min(2 * size);
        }
    }

    /// The bytes of these lines that are after `after`. What is before a hole is given before the hole is an error.
    fn looks_at(&mut self, lines: &[u8]) -> io::Result<Range<usize>> {
        let (mut skipped, mut seen) = (0, 0);
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            match serde_json::from_slice(line) {
                Ok(Place { index }) if index <= self.after => skipped += line.len(),
                Ok(Place { index }) => {
                    self.is_past = true;
                    if self.is_upto_date {
                        return Ok(skipped..lines.len());
                    }
                    self.counts(line, index);
                }
                Err(_) if seen > 0 => break,
                Err(error) => return Err(error.into()),
            }
            seen += line.len();
        }
        Ok(skipped..seen)
    }

    fn counts(&mut self, line: &[u8], index: u64) {
        self.upto = index;
        if !line.starts_with(b"{\"type\":\"MISSING\"") {
            self.count += 1;
        } else if let Ok(Missing { after, index }) = serde_json::from_slice(line)
            && self.missing.len() < GAPS_TOLD
        {
            self.missing.push((after, index));
        }
    }
}
