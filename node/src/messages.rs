//! The message log: what a chat node has delivered, one JSON line each, in a file that only grows.
//!
//! A line is [`Delivery`] as clients get it. Lines stand in the order of their `index`, so that the last one says where to go on after a
//! crash: what the node tells again is not written again. Each is one `write`; the record log beside it is what is durable, and what a
//! power failure takes from the end of this file is told again from there, as far back as the last checkpoint.
//!
//! Clients that follow read the file, each at its own pace: who reads slowly costs nobody anything.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dsbench_wire::chat::{self, Delivery};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// No line is longer: a payload of which every byte is escaped, and its frame.
const LINE_MAX: u64 = 256 << 10;
/// From here on, looking at every line is quick enough.
const SPAN: u64 = 64 << 10;

/// Why a message log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MessageLogError {
    /// The system refused.
    #[error("failed to {action} message log {} (is the disk full, read-only or gone?)", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Its last whole line is not one of a message log.
    #[error(
        "message log {} does not end with a message (move the file away: the node begins a new one, and what its records still hold is \
         written again)", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

/// The file, open to be appended to.
#[derive(Debug)]
pub struct MessageLog {
    file: File,
    path: Arc<Path>,
    last: u64,
    length: u64,
    told: watch::Sender<u64>,
    failure: Option<MessageLogError>,
    /// Every delivery is new, whatever its place: without a quorum, places may come again.
    takes_all: bool,
}

#[derive(Deserialize)]
struct Place {
    index: u64,
}

impl MessageLog {
    /// Opens the file, made if absent, and cuts off a line that a crash has left half-written. With `takes_all`, lines need not be in
    /// the order of their places. Gives how many bytes were cut off.
    ///
    /// # Errors
    /// When the system refuses, or the file is no message log.
    pub fn open(path: &Path, takes_all: bool) -> Result<(Self, u64), MessageLogError> {
        let io_error = |action| move |source| MessageLogError::Io { action, path: path.to_owned(), source };
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(io_error("open"))?;
        let size = file.metadata().map_err(io_error("open"))?.len();
        let from = size.saturating_sub(2 * LINE_MAX);
        let mut end = Vec::new();
        file.seek(SeekFrom::Start(from)).and_then(|_| file.read_to_end(&mut end)).map_err(io_error("read"))?;
        let whole = end.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let length = if whole == 0 { 0 } else { from + whole as u64 };
        let damaged = || MessageLogError::Damaged { path: path.to_owned() };
        if whole == 0 && from > 0 {
            return Err(damaged());
        }
        let last = match whole.checked_sub(1) {
            None => 0,
            Some(newline) => {
                let begin = end[..newline].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
                serde_json::from_slice::<Delivery>(&end[begin..newline]).map_err(|_| damaged())?.index
            }
        };
        if length < size {
            file.set_len(length).map_err(io_error("cut"))?;
        }
        let (told, _) = watch::channel(length);
        let log = Self { file, path: path.into(), last, length, told, failure: None, takes_all };
        Ok((log, size - length))
    }

    /// The place of the last message; 0 before the first.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// For those who follow it.
    #[must_use]
    pub fn feed(&self) -> Feed {
        Feed { path: Arc::clone(&self.path), length: self.told.subscribe() }
    }

    /// Adds a message, unless it is there already.
    pub fn append(&mut self, delivery: &Delivery) {
        if self.failure.is_some() || !self.takes_all && delivery.index <= self.last {
            return;
        }
        let line = chat::delivery(delivery);
        if let Err(source) = self.file.write_all(line.as_bytes()) {
            self.failure = Some(MessageLogError::Io { action: "append to", path: self.path.to_path_buf(), source });
            return;
        }
        self.last = delivery.index;
        self.length += line.len() as u64;
        self.told.send_replace(self.length);
    }

    /// Why a message could not be added, once. The node must stop then: it would say that it told what nobody can read.
    pub fn failure(&mut self) -> Option<MessageLogError> {
        self.failure.take()
    }
}

/// A message log, for those who read it.
#[derive(Debug, Clone)]
pub struct Feed {
    path: Arc<Path>,
    length: watch::Receiver<u64>,
}

impl Feed {
    /// One that has nothing.
    #[cfg(test)]
    pub(crate) fn nothing() -> Self {
        Self { path: Path::new("/dev/null").into(), length: watch::channel(0).1 }
    }

    /// Everything after the place `after`, and what will come.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn after(&self, after: u64) -> io::Result<Follower> {
        let mut length = self.length.clone();
        let end = *length.borrow_and_update();
        let mut file = BufReader::new(File::open(&self.path)?);
        let at = begin(&mut file, end, after)?;
        file.seek(SeekFrom::Start(at))?;
        Ok(Follower { file, at, length, after, upto: after, count: 0, is_upto_date: false })
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
struct CaughtUp {
    upto: u64,
    messages: u64,
}

/// Reads a message log, to its end and on.
#[derive(Debug)]
pub struct Follower {
    file: BufReader<File>,
    at: u64,
    length: watch::Receiver<u64>,
    after: u64,
    upto: u64,
    count: u64,
    is_upto_date: bool,
}

impl Follower {
    /// The next line, its newline included, as soon as there is one; nothing when there will be none.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            let length = *self.length.borrow_and_update();
            if self.at < length {
                let mut line = String::new();
                self.at += self.file.read_line(&mut line).ok().filter(|&read| read > 0)? as u64;
                if self.is_upto_date {
                    return Some(line);
                }
                let Place { index } = serde_json::from_str(&line).ok()?;
                if index > self.after {
                    (self.upto, self.count) = (index, self.count + 1);
                    return Some(line);
                }
                // A long log must not keep the one thread from the other connections.
                tokio::task::coop::consume_budget().await;
            } else if !self.is_upto_date {
                self.is_upto_date = true;
                let caught_up = CaughtUp { upto: self.upto, messages: self.count };
                return Some(serde_json::to_string(&caught_up).expect("two numbers") + "\n");
            } else {
                self.length.changed().await.ok()?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(index: u64) -> Delivery {
        Delivery {
            sender_id: "alice".parse().unwrap(),
            term: 1,
            msg_id: "550e8400-e29b-41d4-a716-446655440000".to_owned(),
            seq_no: index / 2,
            room_id: "general".parse().unwrap(),
            index,
            serial: index,
            payload: format!("message {index} {}", "x".repeat(index as usize % 400)).into(),
        }
    }

    fn open(path: &Path) -> (MessageLog, u64) {
        MessageLog::open(path, false).unwrap()
    }

    fn places(path: &Path) -> Vec<u64> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str::<Delivery>(line).unwrap().index).collect()
    }

    #[test]
    fn what_is_told_again_after_a_crash_is_not_written_again() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("node1.jsonl");
        let (mut log, _) = open(&path);
        for index in [2, 4, 5] {
            log.append(&delivery(index));
        }
        drop(log);
        let (mut log, cut) = open(&path);
        assert_eq!((log.last(), cut), (5, 0));
        for index in [4, 5, 6] {
            log.append(&delivery(index));
        }
        assert_eq!(places(&path), [2, 4, 5, 6]);
    }

    #[test]
    fn a_line_cut_anywhere_is_cut_off_and_written_again() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("node1.jsonl");
        let (mut log, _) = open(&path);
        log.append(&delivery(1));
        let one = std::fs::metadata(&path).unwrap().len();
        log.append(&delivery(2));
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() as u64 {
            std::fs::write(&path, &whole[..cut as usize]).unwrap();
            let (mut log, lost) = open(&path);
            assert_eq!((log.last(), lost), if cut < one { (0, cut) } else { (1, cut - one) });
            for index in [1, 2] {
                log.append(&delivery(index));
            }
            assert_eq!(std::fs::read(&path).unwrap(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_file_that_is_no_message_log_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("node1.jsonl");
        std::fs::write(&path, "to do: buy milk\n").unwrap();
        let refusal = MessageLog::open(&path, false).unwrap_err().to_string();
        assert!(refusal.contains("does not end with a message"), "{refusal}");
        std::fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
        assert!(MessageLog::open(&path, false).is_err());
    }

    #[tokio::test]
    async fn a_follower_gets_all_after_its_place_once_and_then_what_comes() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("node1.jsonl");
        let (mut log, _) = open(&path);
        for index in (1..=2000).map(|n| 2 * n) {
            log.append(&delivery(index));
        }
        for after in [0, 1, 2, 3, 1777, 2000, 3999, 4000, 9000] {
            let mut follower = log.feed().after(after).unwrap();
            let mut got = Vec::new();
            let end = loop {
                let line = follower.next().await.unwrap();
                match serde_json::from_str::<Delivery>(&line) {
                    Ok(delivery) => got.push(delivery.index),
                    Err(_) => break line,
                }
            };
            let expected: Vec<u64> = (1..=2000).map(|n| 2 * n).filter(|&index| index > after).collect();
            assert_eq!(got, expected, "after {after}");
            let upto = expected.last().copied().unwrap_or(after);
            assert_eq!(end, format!("{{\"type\":\"CATCHUP_RESP\",\"upto\":{upto},\"messages\":{}}}\n", got.len()));
        }
        let mut follower = log.feed().after(4000).unwrap();
        follower.next().await.unwrap();
        log.append(&delivery(4002));
        assert!(follower.next().await.unwrap().contains("\"index\":4002"));
        drop(log);
        assert_eq!(follower.next().await, None);
    }
}
