//! The records of a node on its disk: append-only segments, and one snapshot beside them.
//!
//! ```text
//! log.0000000007   frames: whose it is, the last ballot, identity and applied index so far, then records
//! log.0000000008   the same; the last segment is the one that is written
//! snapshot         the state up to some index, replaced as a whole
//! lock             held while the node lives
//! ```
//!
//! A commit is one write and one fsync, however many records it has. A segment that exists under its name is whole up to its first
//! record, because it is written beside and renamed. Segments whose entries the snapshot covers are dropped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fault::Fault;
use super::frame::{Frame, HEADER, Kind};
use super::index::{At, Index, ReadError, Stored};
use super::medium::{Blob, Medium};
use super::recovery::Recovery;
use super::snapshot;

/// A full segment is closed, and the next one begun.
const SEGMENT_MAX: u64 = 64 << 20;
const SEGMENT_MIN: u64 = 64 << 10;
/// About what an entry takes when it is a long one.
const ENTRY_USUAL: u64 = 8 << 10;
/// Room is made in steps, small ones first: a demonstration has a hundred small logs.
const RESERVE: u64 = 256 << 10;
const RESERVE_MAX: u64 = 4 << 20;
/// The largest write; a commit with more has several.
const WRITE_MAX: usize = 4 << 20;
const FORMAT: &str = "dsbench-node-log 1";

/// What does not change while a log is open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Entries that stay although the snapshot covers them, so that a peer that was away for a while can be given them.
    pub(crate) retain: u64,
    pub(crate) segment_max: u64,
    /// The smallest step in which room is made in a segment.
    pub(crate) reserve: u64,
    /// A mistake, to show that it is seen: a torn tail stays, and what is new comes behind it.
    #[cfg(test)]
    pub(crate) keeps_torn_tail: bool,
}

impl Limits {
    /// For a log in which so many entries stay. Only whole segments are dropped, so those are small where few entries shall stay.
    pub(crate) fn of(retain: u64) -> Self {
        let segment_max = retain.saturating_mul(ENTRY_USUAL).clamp(SEGMENT_MIN, SEGMENT_MAX);
        Self {
            retain,
            segment_max,
            reserve: RESERVE,
            #[cfg(test)]
            keeps_torn_tail: false,
        }
    }
}

/// What the disk still held.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The last body of each kind of which only the last one counts.
    pub(crate) latest: BTreeMap<Kind, Vec<u8>>,
    pub(crate) snapshot: Option<Vec<u8>>,
    /// The first and the last entry; nothing for an empty log.
    pub(crate) entries: Option<(u64, u64)>,
    /// Index and term of the last entry, or of the snapshot's last one.
    pub(crate) last: (u64, u64),
    pub(crate) torn: Option<Torn>,
}

/// A torn tail that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Torn {
    pub(crate) file: String,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// The log of one node, open and written.
#[derive(Debug)]
pub(crate) struct Log {
    medium: Arc<dyn Medium>,
    node: String,
    limits: Limits,
    index: Arc<Mutex<Index>>,
    latest: BTreeMap<Kind, Vec<u8>>,
    active: Active,
    /// Frames that wait for the next write, which begins at `active.len`.
    buffer: Vec<u8>,
    /// Entries in the buffer and in what is written but not durable.
    undurable: Vec<(At, u64)>,
    /// After a failed fsync the kernel may have dropped the dirty pages and report success the next time.
    failed: bool,
}

/// The segment that is written.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) number: u64,
    blob: Arc<dyn Blob>,
    pub(super) len: u64,
    durable: u64,
    reserved: u64,
    /// Whether the last frame says that everything before it is durable.
    marked: bool,
}

/// Reads what is durable, beside the log.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    index: Arc<Mutex<Index>>,
}

impl Active {
    /// A segment that is whole and durable up to `len`, to go on there.
    pub(super) fn new(number: u64, blob: Arc<dyn Blob>, len: u64) -> Self {
        Self { number, blob, len, durable: len, reserved: len, marked: false }
    }
}

impl Log {
    /// Opens what `node` wrote on `medium`, and cuts a torn tail off.
    pub(crate) fn open(medium: Arc<dyn Medium>, node: &str, limits: Limits) -> Result<(Self, Found), Fault> {
        let names = medium.names().map_err(|source| Fault::io("list", "", source))?;
        for leftover in names.iter().filter(|name| name.ends_with(".new")) {
            medium.remove(leftover).map_err(|source| Fault::io("remove", leftover, source))?;
        }
        // The last life may have been killed between giving a file its name and making that durable, and this one writes on in it.
        medium.sync().map_err(|source| Fault::io("fsync", "", source))?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| number_of(name)).collect();
        numbers.sort_unstable();
        let snapshot = snapshot::read(medium.as_ref(), node)?;
        let mut recovery = Recovery {
            medium: medium.as_ref(),
            node,
            #[cfg(test)]
            keeps_torn_tail: limits.keeps_torn_tail,
            index: Index::default(),
            latest: BTreeMap::new(),
            entries_from: snapshot.as_ref().map_or(0, |(head, _)| head.entries_from),
            durable: snapshot.as_ref().map_or((0, 0), |(head, _)| head.durable),
            torn: None,
        };
        recovery.index.clear(snapshot.as_ref().map_or(At::default(), |(head, _)| head.at));
        let mut active = None;
        for (position, &number) in numbers.iter().enumerate() {
            let before = active.take().map(|before: Active| (before.number, before.len));
            active = Some(recovery.segment(number, before, position + 1 == numbers.len())?);
        }
        let Recovery { index, latest, entries_from, torn, durable, .. } = recovery;
        if active.as_ref().is_none_or(|last| last.number < durable.0) && snapshot.is_some() {
            return Err(Fault::damage(&name_of(durable.0), 0, "it is missing, and there is a snapshot"));
        }
        if !index.is_whole() {
            let oldest = numbers.first().copied().unwrap_or(1);
            let reason =
                format!("entry {} is the first one, and the snapshot ends at {}", index.first(), index.base().index);
            return Err(Fault::damage(&name_of(oldest), 0, &reason));
        }
        let active = match active {
            // A crash came between an installed snapshot and the segment that begins after it.
            Some(old) if old.number + 1 < entries_from => {
                return Err(Fault::damage(&name_of(old.number + 1), 0, "it is missing"));
            }
            Some(old) if old.number < entries_from => begin(medium.as_ref(), node, entries_from, old.len, &latest)?,
            Some(active) => active,
            None => begin(medium.as_ref(), node, 1, 0, &latest)?,
        };
        let mut log = Self {
            medium,
            node: node.to_owned(),
            limits,
            index: Arc::new(Mutex::new(index)),
            latest,
            active,
            buffer: Vec::new(),
            undurable: Vec::new(),
            failed: false,
        };
        log.discard_before(entries_from)?;
        let (first, last) = {
            let mut index = log.lock();
            if index.segments().last() != Some(log.active.number) {
                index.push_segment(log.active.number, Arc::clone(&log.active.blob));
            }
            (index.first(), index.last())
        };
        if let Some((head, _)) = &snapshot
            && last.index < head.at.index
        {
            let reason = format!("its last entry is {}, and there is a snapshot up to {}", last.index, head.at.index);
            return Err(Fault::damage(&name_of(log.active.number), log.active.len, &reason));
        }
        let found = Found {
            latest: log.latest.clone(),
            snapshot: snapshot.map(|(_, body)| body),
            entries: (first <= last.index).then_some((first, last.index)),
            last: (last.index, last.term),
            torn,
        };
        Ok((log, found))
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader { index: Arc::clone(&self.index) }
    }

    /// Adds a record to the next commit. Of an entry, `index` and `term`; else both 0.
    pub(crate) fn append(&mut self, kind: Kind, index: u64, term: u64, body: &[u8]) {
        let offset = self.active.len + self.buffer.len() as u64;
        Frame { kind, durable: self.active.durable, index, term, body }.write(
            self.active.number,
            offset,
            &mut self.buffer,
        );
        match kind {
            Kind::Entry => self.undurable.push((At { index, term }, offset)),
            _ if kind.last_counts() => {
                self.latest.insert(kind, body.to_vec());
            }
            _ => {}
        }
    }

    /// Makes every record so far durable: when this returns, a crash cannot undo them.
    pub(crate) fn commit(&mut self) -> Result<(), Fault> {
        self.guarded(|log| {
            if log.buffer.is_empty() && log.active.len == log.active.durable {
                return Ok(());
            }
            log.write()?;
            log.sync()?;
            if log.active.len >= log.limits.segment_max { log.rotate() } else { Ok(()) }
        })
    }

    /// Writes every record so far, so that it outlives this process, but not a power failure.
    pub(crate) fn write_lazily(&mut self) -> Result<(), Fault> {
        self.guarded(Self::write)
    }

    /// Says on the disk, where it does not say so yet, that what is durable is durable. Costs no fsync.
    pub(crate) fn mark(&mut self) -> Result<(), Fault> {
        if self.active.marked || !self.buffer.is_empty() || self.active.durable < self.active.len {
            return Ok(());
        }
        self.append(Kind::Mark, 0, 0, &[]);
        self.write_lazily()?;
        self.active.marked = true;
        Ok(())
    }

    /// Replaces the snapshot by one up to an entry that the log has, and drops what it makes superfluous.
    pub(crate) fn checkpoint(&mut self, index: u64, term: u64, body: &[u8]) -> Result<(), Fault> {
        self.commit()?;
        self.guarded(|log| {
            let oldest = log.lock().segments().next().unwrap_or(log.active.number);
            let durable = (log.active.number, log.active.durable);
            let head = snapshot::Head { entries_from: oldest, at: At { index, term }, durable };
            snapshot::write(log.medium.as_ref(), &log.node, head, body)?;
            log.lock().set_base(head.at);
            log.drop_superfluous()
        })
    }

    /// Replaces everything by a snapshot: the log is empty then, and begins after it.
    pub(crate) fn install(&mut self, index: u64, term: u64, body: &[u8]) -> Result<(), Fault> {
        self.commit()?;
        self.guarded(|log| {
            let next = log.active.number + 1;
            let durable = (log.active.number, log.active.durable);
            let head = snapshot::Head { entries_from: next, at: At { index, term }, durable };
            snapshot::write(log.medium.as_ref(), &log.node, head, body)?;
            log.rotate()?;
            log.lock().clear(head.at);
            log.discard_before(next)
        })
    }

    /// Any failure is the last: what the disk holds is unknown after it.
    fn guarded(&mut self, act: impl FnOnce(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        if self.failed {
            return Err(Fault::Unknown);
        }
        self.failed = true;
        act(self)?;
        self.failed = false;
        Ok(())
    }

    fn write(&mut self) -> Result<(), Fault> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let Active { number, blob, len, reserved, marked, .. } = &mut self.active;
        let end = *len + self.buffer.len() as u64;
        if end > *reserved {
            *reserved = end + (*len / 4).min(RESERVE_MAX).max(self.limits.reserve);
            blob.reserve(*reserved).map_err(|source| Fault::io("make room in", &name_of(*number), source))?;
        }
        for piece in self.buffer.chunks(WRITE_MAX) {
            blob.write_at(piece, *len).map_err(|source| Fault::io("write", &name_of(*number), source))?;
            *len += piece.len() as u64;
        }
        *marked = false;
        self.buffer.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Fault> {
        let Active { number, blob, len, durable, .. } = &mut self.active;
        blob.sync().map_err(|source| Fault::io("fsync", &name_of(*number), source))?;
        *durable = *len;
        let number = *number;
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        for (entry, offset) in self.undurable.drain(..) {
            index.add(entry, number, offset).expect("a core appends entries without a gap");
        }
        assert!(index.is_whole(), "a core appends the entry after its snapshot first");
        Ok(())
    }

    /// Closes the segment and begins the next one.
    fn rotate(&mut self) -> Result<(), Fault> {
        let Active { number, blob, len, durable, .. } = &mut self.active;
        let name = name_of(*number);
        blob.set_len(*len).and_then(|()| blob.sync()).map_err(|source| Fault::io("close", &name, source))?;
        *durable = *len;
        self.active = begin(self.medium.as_ref(), &self.node, *number + 1, *len, &self.latest)?;
        let (number, blob) = (self.active.number, Arc::clone(&self.active.blob));
        self.lock().push_segment(number, blob);
        Ok(())
    }

    fn drop_superfluous(&mut self) -> Result<(), Fault> {
        loop {
            let dropped = {
                let mut index = self.lock();
                let keep_from = index.keep_from(self.limits.retain);
                index.drop_oldest(keep_from)
            };
            let Some(number) = dropped else { return Ok(()) };
            self.remove(number)?;
        }
    }

    /// Removes every segment before `number`, whose entries a snapshot has replaced.
    fn discard_before(&mut self, number: u64) -> Result<(), Fault> {
        loop {
            let oldest = self.lock().take_oldest_before(number);
            let Some(oldest) = oldest else { return Ok(()) };
            self.remove(oldest)?;
        }
    }

    fn remove(&self, number: u64) -> Result<(), Fault> {
        let name = name_of(number);
        // In order, also after a power failure: a gap would look like a loss.
        self.medium.remove(&name).and_then(|()| self.medium.sync()).map_err(|source| Fault::io("remove", &name, source))
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    /// The durable entries from `from` on, until their bodies have `max_bytes`: at least one, if there is one.
    pub(crate) fn entries(&self, from: u64, max_bytes: usize) -> Result<Vec<Stored>, Fault> {
        self.lock().entries(from, max_bytes).map_err(|error| match error {
            ReadError::Io { segment, source } => Fault::io("read", &name_of(segment), source),
            ReadError::Damaged { segment, offset } => {
                Fault::damage(&name_of(segment), offset, "what was written there cannot be read back")
            }
        })
    }

    /// The term of a durable entry, or of the snapshot's last one.
    pub(crate) fn term_at(&self, index: u64) -> Option<u64> {
        self.lock().term_at(index)
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the beginning of a segment beside, and gives it its name when it is durable.
fn begin(
    medium: &dyn Medium,
    node: &str,
    number: u64,
    before: u64,
    latest: &BTreeMap<Kind, Vec<u8>>,
) -> Result<Active, Fault> {
    let name = name_of(number);
    let beside = format!("{name}.new");
    let mut bytes = Vec::new();
    let whose = format!("{FORMAT} {node}");
    let bodies = latest.values().map(Vec::len).sum::<usize>();
    let whole = (whose.len() + bodies + HEADER * (latest.len() + 2)) as u64;
    // It has its name only when all of this is durable: a head that is there says that the rest of the beginning was.
    Frame { kind: Kind::Head, durable: 0, index: before, term: whole, body: whose.as_bytes() }
        .write(number, 0, &mut bytes);
    for (&kind, body) in latest {
        let offset = bytes.len() as u64;
        Frame { kind, durable: 0, index: 0, term: 0, body: &body[..] }.write(number, offset, &mut bytes);
    }
    let durable = bytes.len() as u64;
    Frame { kind: Kind::Mark, durable, index: 0, term: 0, body: &[][..] }.write(number, durable, &mut bytes);
    assert_eq!(bytes.len() as u64, whole);
    let blob: Arc<dyn Blob> = medium.create(&beside).map_err(|source| Fault::io("create", &beside, source))?.into();
    blob.write_at(&bytes, 0)
        .and_then(|()| blob.sync())
        .and_then(|()| medium.rename(&beside, &name))
        .and_then(|()| medium.sync())
        .map_err(|source| Fault::io("begin", &name, source))?;
    let len = bytes.len() as u64;
    Ok(Active { marked: true, ..Active::new(number, blob, len) })
}

pub(super) fn name_of(number: u64) -> String {
    format!("log.{number:010}")
}

/// The number of a segment, from its name.
pub(super) fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("log.")?;
    (digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}
