//! Where the entries of the log are: a few numbers for each 32 KiB of it.
//!
//! Storage never overwrites, so that entries that were replaced stay in the files, dead. The living ones are runs of consecutive
//! frames; every run begins with an anchor, and so does every segment and every 32 KiB of a run. From an anchor up to the next one's
//! index, the frames of entries in the file are the living ones, in order.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::frame::Kind;
use super::medium::Blob;
use super::walk::{Step, Walk};

/// Bytes between two anchors of a run.
const SPAN: u64 = 32 << 10;
/// An anchor's span and a batch of entries are mostly read at once.
const CHUNK: usize = 128 << 10;

/// Term and index: where a log begins or ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct At {
    pub(super) index: u64,
    pub(super) term: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Anchor {
    index: u64,
    segment: u64,
    offset: u64,
}

/// An entry as it stands on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) index: u64,
    pub(crate) term: u64,
    pub(crate) body: Vec<u8>,
}

/// The index of what is durable.
#[derive(Debug, Default)]
pub(super) struct Index {
    segments: VecDeque<(u64, Arc<dyn Blob>)>,
    anchors: VecDeque<Anchor>,
    /// Of each term, where its entries begin. Terms never fall along a log.
    terms: VecDeque<At>,
    first: u64,
    /// `first - 1` where there is none.
    last: u64,
    /// The snapshot's.
    base: At,
    /// Set while the run goes on from the last anchor.
    runs: bool,
}

impl Index {
    /// A log without an entry, after `base`.
    pub(super) fn clear(&mut self, base: At) {
        self.anchors.clear();
        self.terms.clear();
        (self.base, self.first, self.last, self.runs) = (base, base.index + 1, base.index, false);
    }

    pub(super) fn set_base(&mut self, base: At) {
        if self.is_empty() {
            self.clear(base);
        }
        self.base = base;
    }

    pub(super) fn push_segment(&mut self, number: u64, blob: Arc<dyn Blob>) {
        self.segments.push_back((number, blob));
        self.runs = false;
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = u64> {
        self.segments.iter().map(|(number, _)| *number)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.last < self.first
    }

    /// The end of the snapshot.
    pub(super) fn base(&self) -> At {
        self.base
    }

    /// Whether nothing is missing between the snapshot and the first entry.
    pub(super) fn is_whole(&self) -> bool {
        self.is_empty() || self.first <= self.base.index + 1
    }

    pub(super) fn first(&self) -> u64 {
        self.first
    }

    pub(super) fn last(&self) -> At {
        let term = self.terms.back().map_or(self.base.term, |at| at.term);
        At { index: self.last, term }
    }

    /// An entry was written there. Says why that cannot be.
    pub(super) fn add(&mut self, entry: At, segment: u64, offset: u64) -> Result<(), String> {
        let At { index, term } = entry;
        if index == 0 {
            return Err("an entry has index 0".to_owned());
        }
        if self.is_empty() || index < self.first {
            // The entries before it are in the snapshot, and everything that is here was replaced. While a log is read again, the first
            // entries of the oldest segment may be dead ones, at whatever index: where the log begins is known at the end.
            let base = self.base;
            self.clear(At { index: index - 1, term: 0 });
            self.base = base;
        } else if index > self.last + 1 {
            return Err(format!("entry {index} follows entry {}", self.last));
        } else {
            self.truncate(index);
        }
        if self.terms.back().is_some_and(|before| before.term > term) {
            return Err(format!("entry {index} is of an earlier term than the one before it"));
        }
        if self.terms.back().is_none_or(|before| before.term < term) {
            self.terms.push_back(entry);
        }
        let far = self.anchors.back().is_none_or(|anchor| anchor.segment != segment || offset >= anchor.offset + SPAN);
        if far || !self.runs {
            self.anchors.push_back(Anchor { index, segment, offset });
        }
        (self.last, self.runs) = (index, true);
        Ok(())
    }

    /// Forgets the entries from `index` on.
    fn truncate(&mut self, index: u64) {
        if index > self.last {
            return;
        }
        while self.anchors.back().is_some_and(|anchor| anchor.index >= index) {
            self.anchors.pop_back();
        }
        while self.terms.back().is_some_and(|at| at.index >= index) {
            self.terms.pop_back();
        }
        (self.last, self.runs) = (index - 1, false);
    }

    /// Takes the oldest segment out if none of its entries is at `keep_from` or later, and it is not the one that is written.
    pub(super) fn drop_oldest(&mut self, keep_from: u64) -> Option<u64> {
        if self.segments.len() < 2 {
            return None;
        }
        let (oldest, _) = *self.segments.front()?;
        let of_oldest = self.anchors.iter().take_while(|anchor| anchor.segment == oldest).count();
        let next = self.anchors.get(of_oldest).map_or(self.last + 1, |anchor| anchor.index);
        if of_oldest > 0 && next > keep_from {
            return None;
        }
        self.anchors.drain(..of_oldest);
        self.segments.pop_front();
        if of_oldest > 0 {
            self.first = next;
            while self.terms.get(1).is_some_and(|at| at.index <= next) {
                self.terms.pop_front();
            }
            if self.is_empty() {
                self.terms.clear();
            }
        }
        Some(oldest)
    }

    /// The first entry that must stay.
    pub(super) fn keep_from(&self, retain: u64) -> u64 {
        (self.base.index + 1).min((self.last + 1).saturating_sub(retain))
    }

    /// Takes the oldest segment out if it is before `number`, whatever it holds: its entries count no more.
    pub(super) fn take_oldest_before(&mut self, number: u64) -> Option<u64> {
        let (oldest, _) = *self.segments.front().filter(|(oldest, _)| *oldest < number)?;
        self.segments.pop_front();
        Some(oldest)
    }

    pub(super) fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        if index < self.first || index > self.last {
            return None;
        }
        let after = self.terms.partition_point(|at| at.index <= index);
        self.terms.get(after.checked_sub(1)?).map(|at| at.term)
    }

    /// The entries from `from` on, until their bodies have `max_bytes`: at least one, if there is one.
    pub(super) fn entries(&self, from: u64, max_bytes: usize) -> Result<Vec<Stored>, ReadError> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        if from < self.first {
            return Ok(found);
        }
        let mut wanted = from;
        let mut walk: Option<Walk> = None;
        'anchors: while wanted <= self.last && bytes < max_bytes {
            let after = self.anchors.partition_point(|anchor| anchor.index <= wanted);
            let anchor = self.anchors[after - 1];
            let until = self.anchors.get(after).map_or(self.last + 1, |next| next.index);
            let walk = match &mut walk {
                Some(walk) if walk.segment() == anchor.segment => {
                    walk.seek(anchor.offset);
                    walk
                }
                _ => walk.insert(self.walk(anchor)),
            };
            while wanted < until {
                let (segment, bad) = (walk.segment(), walk.at());
                let step = walk.next().map_err(|source| ReadError::Io { segment, source })?;
                let Step::Frame(_, frame) = step else { return Err(ReadError::Damaged { segment, offset: bad }) };
                if frame.kind != Kind::Entry || frame.index < wanted {
                    continue;
                }
                if frame.index != wanted {
                    return Err(ReadError::Damaged { segment, offset: bad });
                }
                if !found.is_empty() && bytes + frame.body.len() > max_bytes {
                    break 'anchors;
                }
                bytes += frame.body.len();
                found.push(Stored { index: frame.index, term: frame.term, body: frame.body.to_vec() });
                wanted += 1;
            }
        }
        Ok(found)
    }

    fn walk(&self, anchor: Anchor) -> Walk {
        let blob = self.segments.iter().find(|(number, _)| *number == anchor.segment);
        let (number, blob) = blob.expect("an anchor's segment is open");
        Walk::new(Arc::clone(blob), *number, anchor.offset, CHUNK)
    }
}

/// Why entries cannot be read again.
#[derive(Debug)]
pub(super) enum ReadError {
    Io { segment: u64, source: io::Error },
    Damaged { segment: u64, offset: u64 },
}
