//! The message log: what a chat node has delivered, one JSON line each, in a file that only grows.
//!
//! ```text
//! {"type":"SEQ_CHAT",...,"index":9,...}              a delivery, as clients get it
//! {"type":"MISSING","after":9,"index":40}            no node had the messages between; nearly never there
//! ```
//!
//! Lines stand in the order of their `index`, and nothing is missing before the last one but what a line says. Each is one `write`. The
//! record log beside it is what is durable at once; before a checkpoint lets that forget entries, this file is fsynced ([`Durable`]), so
//! that the end that a power failure takes from it is always told again from there.
//!
//! Clients that follow read the file, each at its own pace: who reads slowly costs nobody anything.

mod feed;
mod kept;
mod opening;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use dsbench_protocol::Quorum;
use dsbench_wire::chat::{self, Delivery};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use feed::{Feed, Follower};
use kept::Kept;
pub use opening::Opened;

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
    /// It is not what this node wrote.
    #[error(
        "message log {} {reason} (move the file away: the node begins a new one, and gets the messages from its records and from the other \
         nodes)", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It has messages, and the records of the node that wrote them are not there.
    #[error(
        "message log {} has messages, but the records in {} that it belongs to are gone (move the file away, or bring the records back: a \
         node without records is a new one, and gets all messages from the others)", path.display(), records.display()
    )]
    Orphaned {
        /// The file.
        path: PathBuf,
        /// Where the records should be.
        records: PathBuf,
    },
    /// What is there was made with another quorum.
    #[error(
        "{} was made with quorum = \"{was}\", and this node is to run with \"{is}\": what was numbered without a majority means nothing to \
         one (use another log_dir, or move {} and {} away, on all nodes)", records.display(), records.display(), path.display()
    )]
    OtherQuorum {
        /// The file.
        path: PathBuf,
        /// The directory of the records.
        records: PathBuf,
        /// How it was made.
        was: Quorum,
        /// How it should be used.
        is: Quorum,
    },
}

/// The file, open to be appended to.
#[derive(Debug)]
pub struct MessageLog {
    file: Arc<File>,
    path: Arc<Path>,
    place: Arc<Mutex<Kept>>,
    durable: Arc<Durable>,
    told: watch::Sender<Told>,
    failure: Option<MessageLogError>,
    /// Without a quorum, places come again: every delivery is new, and its index is its place in this file alone.
    is_classroom: bool,
}

/// How far the file goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Told {
    length: u64,
    /// It lacks nothing up to here, but what its lines say that it lacks.
    upto: u64,
}

/// A line, of which only the place matters.
#[derive(Deserialize)]
struct Place {
    index: u64,
}

/// Messages that no node had when this one needed them: those after `after`, up to `index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "MISSING")]
pub(crate) struct Missing {
    pub(crate) after: u64,
    pub(crate) index: u64,
}

impl MessageLog {
    /// The place of the last line; 0 before the first.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.kept().last
    }

    /// It lacks nothing up to here.
    #[must_use]
    pub fn upto(&self) -> u64 {
        self.kept().upto
    }

    /// For those who follow it.
    #[must_use]
    pub fn feed(&self) -> Feed {
        Feed::new(Arc::clone(&self.path), self.told.subscribe())
    }

    /// To fsync it, from any thread.
    #[must_use]
    pub fn durable(&self) -> Arc<Durable> {
        Arc::clone(&self.durable)
    }

    /// Adds a message, unless it is there already.
    pub fn append(&mut self, delivery: &Delivery) {
        let last = self.last();
        if self.is_classroom {
            let delivery = Delivery { index: last + 1, ..delivery.clone() };
            self.write(&chat::delivery(&delivery), delivery.index);
        } else if delivery.index > last {
            self.write(&chat::delivery(delivery), delivery.index);
        }
    }

    /// Notes that the messages up to `index` that are not there are nowhere.
    pub(crate) fn lacks(&mut self, missing: Missing) {
        if missing.index > self.last() {
            let line = serde_json::to_string(&missing).expect("two numbers") + "\n";
            self.write(&line, missing.index);
        }
    }

    /// Whatever there was up to this place in the order is there: what comes is later.
    pub fn is_whole(&mut self, upto: u64) {
        if upto > self.upto() {
            self.kept().upto = upto;
            self.told.send_modify(|told| told.upto = upto);
        }
    }

    /// Why a message could not be added, once. The node must stop then: it would say that it told what nobody can read.
    pub fn failure(&mut self) -> Option<MessageLogError> {
        self.failure.take()
    }

    fn write(&mut self, line: &str, index: u64) {
        if self.failure.is_some() {
            return;
        }
        if let Err(source) = self.file.as_ref().write_all(line.as_bytes()) {
            self.failure = Some(MessageLogError::Io { action: "append to", path: self.path.to_path_buf(), source });
            return;
        }
        let told = {
            let mut kept = self.kept();
            kept.bytes += line.len() as u64;
            (kept.last, kept.upto) = (index, kept.upto.max(index));
            Told { length: kept.bytes, upto: kept.upto }
        };
        self.told.send_replace(told);
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a message log durable.
#[derive(Debug)]
pub struct Durable {
    file: Arc<File>,
    path: Arc<Path>,
    records: PathBuf,
    /// What is written.
    place: Arc<Mutex<Kept>>,
    /// What is known to be durable.
    saved: Mutex<Kept>,
}

impl Durable {
    /// Makes everything durable that is written so far, and notes how far that is.
    ///
    /// # Errors
    /// When the system refuses. Then it is not known what is durable, and the node must stop.
    pub fn sync(&self) -> Result<(), MessageLogError> {
        // Held to the end: of two at once, the later one knows more.
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let written = *self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if *saved == written {
            return Ok(());
        }
        let io_error = |action| move |source| MessageLogError::Io { action, path: self.path.to_path_buf(), source };
        if saved.bytes != written.bytes {
            self.file.sync_data().map_err(io_error("fsync"))?;
        }
        written.save(&self.records).map_err(io_error("note the durable length of"))?;
        *saved = written;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
