//! Opening a message log: what is durable is taken as it is, what came after it is looked at line by line.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use dsbench_protocol::Quorum;
use dsbench_wire::chat::Delivery;
use tokio::sync::watch;

use super::kept::Kept;
use super::{Durable, MessageLog, MessageLogError, Missing, Told};

/// No line is longer: a payload of which every byte is escaped, and its frame.
pub(super) const LINE_MAX: u64 = 256 << 10;
/// Every line begins so.
const BEGINNING: &[u8] = b"{\"type\":\"";

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Bytes that a crash had left half-written or out of order. They are cut off, and told again.
    pub cut: u64,
}

impl MessageLog {
    /// Opens the file at `path`, made if absent, of the node whose records are in the directory `records`, which is locked. `is_new` says
    /// that there are none yet.
    ///
    /// # Errors
    /// When the system refuses, when the file is not the one that this node wrote, or when it was made with another quorum.
    pub fn open(path: &Path, records: &Path, quorum: Quorum, is_new: bool) -> Result<(Self, Opened), MessageLogError> {
        let io_error = |action| move |source| MessageLogError::Io { action, path: path.to_owned(), source };
        let damaged = |reason| MessageLogError::Damaged { path: path.to_owned(), reason };
        let found = Kept::read(records).map_err(io_error("read what is noted of"))?;
        if let Some(Kept { quorum: was, .. }) = found.filter(|kept| kept.quorum != quorum) {
            let (path, records) = (path.to_owned(), records.to_owned());
            return Err(MessageLogError::OtherQuorum { path, records, was, is: quorum });
        }
        let mut kept = found.unwrap_or(Kept::nothing(quorum));
        let file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(io_error("open"))?;
        let size = file.metadata().map_err(io_error("open"))?.len();
        if is_new && size > 0 {
            return Err(MessageLogError::Orphaned { path: path.to_owned(), records: records.to_owned() });
        }
        if size == 0 {
            make_durable(path).map_err(io_error("make"))?;
        }
        if size == 0 && kept.bytes > 0 {
            // Somebody has moved it away, and its messages are to come again.
            kept = Kept::nothing(quorum);
        }
        if found != Some(kept) {
            // Before any record is made under this quorum.
            kept.save(records).map_err(io_error("make a note of"))?;
        }
        let saved = kept;
        if size < kept.bytes || !ends_with(&file, &kept).map_err(io_error("read"))? {
            return Err(damaged("is not the one that this node wrote"));
        }
        let mut first = [0; BEGINNING.len()];
        let read = file.read_at(&mut first, 0).map_err(io_error("read"))?;
        if size > 0 && !BEGINNING.starts_with(&first[..read]) && first.iter().any(|&byte| byte != 0) {
            return Err(damaged("does not begin with a message"));
        }
        scan(&file, &mut kept).map_err(io_error("read"))?;
        if kept.bytes < size {
            file.set_len(kept.bytes).map_err(io_error("cut"))?;
        }
        kept.upto = kept.upto.max(kept.last);
        let (told, _) = watch::channel(Told { length: kept.bytes, upto: kept.upto });
        let (file, path, place) = (Arc::new(file), Arc::<Path>::from(path), Arc::new(Mutex::new(kept)));
        let durable = Arc::new(Durable {
            file: Arc::clone(&file),
            path: Arc::clone(&path),
            records: records.to_owned(),
            place: Arc::clone(&place),
            saved: Mutex::new(saved),
        });
        let is_classroom = quorum == Quorum::None;
        let log = Self { file, path, place, durable, told, failure: None, is_classroom };
        Ok((log, Opened { cut: size - kept.bytes }))
    }
}

/// A file that was just made is still there after a power failure.
fn make_durable(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)?.sync_all()
}

/// Whether the durable part ends as was noted.
fn ends_with(file: &File, kept: &Kept) -> io::Result<bool> {
    if kept.bytes == 0 {
        return Ok(true);
    }
    let from = kept.bytes.saturating_sub(LINE_MAX);
    let mut end = vec![0; usize::try_from(kept.bytes - from).map_err(io::Error::other)?];
    file.read_exact_at(&mut end, from)?;
    let Some((b'\n', whole)) = end.split_last() else { return Ok(false) };
    let begin = whole.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    Ok(index_of(&whole[begin..]) == Some(kept.last))
}

/// Goes on from what is durable, as far as lines are whole and in order. A power failure leaves what was written after an fsync in any
/// state: cut off, with holes of zeros, or not there.
fn scan(file: &File, kept: &mut Kept) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(64 << 10, file);
    reader.seek(SeekFrom::Start(kept.bytes))?;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut reader).take(LINE_MAX).read_until(b'\n', &mut line)? as u64;
        let Some((b'\n', whole)) = line.split_last() else { return Ok(()) };
        match index_of(whole) {
            Some(index) if index > kept.last => (kept.bytes, kept.last) = (kept.bytes + read, index),
            _ => return Ok(()),
        }
    }
}

/// The place of a line, if it is one.
fn index_of(line: &[u8]) -> Option<u64> {
    match serde_json::from_slice::<Delivery>(line) {
        Ok(Delivery { index, .. }) => Some(index),
        Err(_) => serde_json::from_slice::<Missing>(line).ok().map(|missing| missing.index),
    }
}
