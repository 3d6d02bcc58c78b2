//! Reading a message log beside the node that writes it: from some place to the end, and on.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;

use super::{Missing, Place, Told};

/// From here on, looking at every line is quick enough.
const SPAN: u64 = 64 << 10;
/// Gaps that are told at the end of a catch-up, so that it stays one line.
const GAPS_TOLD: usize = 256;

/// A message log, for those who read it.
#[derive(Debug, Clone)]
pub struct Feed {
    path: Arc<Path>,
    told: watch::Receiver<Told>,
}

impl Feed {
    pub(super) fn new(path: Arc<Path>, told: watch::Receiver<Told>) -> Self {
        Self { path, told }
    }

    /// One that has nothing.
    #[cfg(test)]
    pub(crate) fn nothing() -> Self {
        Self { path: Path::new("/dev/null").into(), told: watch::channel(Told::default()).1 }
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
        file.seek(SeekFrom::Start(at))?;
        Ok(Follower { file, at, told, after, upto: after, count: 0, missing: Vec::new(), is_upto_date: false })
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
    file: BufReader<File>,
    at: u64,
    told: watch::Receiver<Told>,
    after: u64,
    upto: u64,
    count: u64,
    missing: Vec<(u64, u64)>,
    is_upto_date: bool,
}

impl Follower {
    /// Whether everything that was there when it began has been given, and what ends it.
    #[must_use]
    pub fn is_upto_date(&self) -> bool {
        self.is_upto_date
    }

    /// The next line, its newline included, as soon as there is one; nothing when there will be none.
    ///
    /// # Errors
    /// When the file cannot be read, or is damaged: there is a hole, and whoever follows must not take it for silence.
    pub async fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            let told = *self.told.borrow_and_update();
            if self.at < told.length {
                let mut line = String::new();
                let read = self.file.read_line(&mut line)? as u64;
                if read == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                let Place { index } = serde_json::from_str(&line)?;
                self.at += read;
                if index > self.after {
                    if !self.is_upto_date {
                        self.counts(&line, index);
                    }
                    return Ok(Some(line));
                }
                // A long log must not keep the one thread from the other connections.
                tokio::task::coop::consume_budget().await;
            } else if !self.is_upto_date {
                self.is_upto_date = true;
                let caught_up =
                    CaughtUp { upto: self.upto, messages: self.count, told: told.upto, missing: &self.missing };
                return Ok(Some(serde_json::to_string(&caught_up).expect("numbers") + "\n"));
            } else if self.told.changed().await.is_err() {
                return Ok(None);
            }
        }
    }

    fn counts(&mut self, line: &str, index: u64) {
        self.upto = index;
        if !line.starts_with("{\"type\":\"MISSING\"") {
            self.count += 1;
        } else if let Ok(Missing { after, index }) = serde_json::from_str(line)
            && self.missing.len() < GAPS_TOLD
        {
            self.missing.push((after, index));
        }
    }
}
