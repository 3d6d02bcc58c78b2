//! The snapshot file: the state up to some entry, replaced as a whole.
//!
//! Three lines: format and checksum, a head, the snapshot. A crash while it is replaced leaves the old one or the new one.

use std::io;

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::index::At;
use super::medium::{Blob, Medium};

pub(super) const NAME: &str = "snapshot";
const BESIDE: &str = "snapshot.new";
const FORMAT: &str = "dsbench-node-snapshot 1";
/// No core keeps more than this; a larger file is none of ours and is not read into memory.
const SIZE_MAX: u64 = 1 << 30;

/// What the storage itself needs to know of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Entries in segments before this one do not count: the snapshot has replaced them.
    pub(super) entries_from: u64,
    pub(super) at: At,
    /// A segment, and how much of it was durable before the snapshot was written.
    pub(super) durable: (u64, u64),
}

#[derive(Serialize, Deserialize)]
struct Line {
    node: String,
    entries_from: u64,
    index: u64,
    term: u64,
    durable: (u64, u64),
}

pub(super) fn write(medium: &dyn Medium, node: &str, head: Head, body: &[u8]) -> Result<(), Fault> {
    let Head { entries_from, at: At { index, term }, durable } = head;
    let line = Line { node: node.to_owned(), entries_from, index, term, durable };
    let mut rest = serde_json::to_vec(&line).expect("a line of text and numbers");
    rest.push(b'\n');
    rest.extend(body);
    let mut bytes = format!("{FORMAT} crc32={:08x}\n", crc32fast::hash(&rest)).into_bytes();
    bytes.extend(rest);
    let beside = |action| move |source| Fault::Io { action, file: BESIDE.to_owned(), source };
    let blob = medium.create(BESIDE).map_err(beside("create"))?;
    blob.write_at(&bytes, 0).map_err(beside("write"))?;
    blob.sync().map_err(beside("fsync"))?;
    medium.rename(BESIDE, NAME).and_then(|()| medium.sync()).map_err(|source| Fault::Io {
        action: "replace",
        file: NAME.to_owned(),
        source,
    })
}

/// The snapshot of `node`, if it has one.
pub(super) fn read(medium: &dyn Medium, node: &str) -> Result<Option<(Head, Vec<u8>)>, Fault> {
    let reading = |source| Fault::Io { action: "read", file: NAME.to_owned(), source };
    let blob = match medium.open(NAME) {
        Ok(blob) => blob,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(reading(error)),
    };
    let bytes = all(blob.as_ref()).map_err(reading)?;
    let (owner, head, body) = parse(&bytes).map_err(|reason| Fault::damage(NAME, 0, reason))?;
    if owner != node {
        return Err(Fault::Foreign { owner });
    }
    Ok(Some((head, body.to_vec())))
}

fn all(blob: &dyn Blob) -> io::Result<Vec<u8>> {
    let len = blob.len()?;
    if len > SIZE_MAX {
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    let read = blob.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Owner, head and body of a snapshot file.
pub(super) fn parse(bytes: &[u8]) -> Result<(String, Head, &[u8]), &'static str> {
    let cut = "it is empty, cut off, or much too large";
    let line_end = bytes.iter().position(|&byte| byte == b'\n').ok_or(cut)?;
    let (first, rest) = (&bytes[..line_end], &bytes[line_end + 1..]);
    if first != format!("{FORMAT} crc32={:08x}", crc32fast::hash(rest)).as_bytes() {
        return Err("its checksum does not match its content");
    }
    let line_end = rest.iter().position(|&byte| byte == b'\n').ok_or(cut)?;
    let line: Line = serde_json::from_slice(&rest[..line_end]).map_err(|_| "its second line is not a snapshot's")?;
    let Line { node, entries_from, index, term, durable } = line;
    let head = Head { entries_from, at: At { index, term }, durable };
    Ok((node, head, &rest[line_end + 1..]))
}
