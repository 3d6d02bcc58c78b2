//! The replicated log: its newest entries in memory, the rest in the archive, and how much of it is durable.
//!
//! Entries are appended at the end, and cut off from an index on where a leader says otherwise (Raft, 5.3). What is not durable
//! yet is always in memory; of what is, only so much as fits into [`CACHE`], so that a log of any length costs the same.

use std::collections::VecDeque;

use dsbench_wire::{Entry, Position, Term};

use crate::{Archive, Mark};

/// Durable entries that are kept in memory, by their weight: followers that keep up are served from here.
const CACHE: usize = 1 << 20;

/// One node's copy of the log.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Without a gap, up to the last.
    tail: VecDeque<Entry>,
    weight: usize,
    last: Position,
    /// Where the newest snapshot ends: its term is known although the entry may be gone.
    covered: Position,
    /// Entries up to here are durable, as they are now.
    synced: u64,
    /// Entries on their way to the disk, each with its mark.
    unsynced: VecDeque<(Mark, u64)>,
}

impl Log {
    /// The log that a disk still has.
    pub(crate) fn recovered(last: Position, covered: Position) -> Self {
        Self { last, covered, synced: last.index, ..Self::default() }
    }

    pub(crate) fn last(&self) -> Position {
        self.last
    }

    /// How far the log is durable.
    pub(crate) fn synced(&self) -> u64 {
        self.synced
    }

    /// Appends what the disk was asked to keep under `mark`.
    pub(crate) fn append(&mut self, entry: Entry, mark: Mark) {
        debug_assert_eq!(entry.index, self.last.index + 1, "no gap");
        self.last = entry.position();
        self.weight += entry.weight();
        self.unsynced.push_back((mark, entry.index));
        self.tail.push_back(entry);
    }

    /// Cuts off `from` and everything after it.
    pub(crate) fn truncate(&mut self, from: u64, archive: &dyn Archive) {
        let before = from - 1;
        let term = self.term_at(before, archive).unwrap_or_default();
        while self.tail.back().is_some_and(|entry| entry.index >= from)
            && let Some(entry) = self.tail.pop_back()
        {
            self.weight -= entry.weight();
        }
        self.unsynced.retain(|&(_, index)| index < from);
        self.synced = self.synced.min(before);
        self.last = Position { term, index: before };
    }

    /// A snapshot takes the place of everything.
    pub(crate) fn install(&mut self, at: Position, mark: Mark) {
        *self = Self { last: at, covered: at, ..Self::default() };
        self.unsynced.push_back((mark, at.index));
    }

    /// The entries up to `at` may be dropped from now on.
    pub(crate) fn cover(&mut self, at: Position) {
        self.covered = at;
    }

    /// Everything up to `mark` is durable.
    pub(crate) fn persisted(&mut self, mark: Mark) {
        while self.unsynced.front().is_some_and(|&(wanted, _)| wanted <= mark)
            && let Some((_, index)) = self.unsynced.pop_front()
        {
            self.synced = index;
        }
        while self.weight > CACHE
            && self.tail.front().is_some_and(|entry| entry.index <= self.synced)
            && let Some(entry) = self.tail.pop_front()
        {
            self.weight -= entry.weight();
        }
    }

    /// The term of an entry; nothing beyond the end, and where the log does not go back so far.
    pub(crate) fn term_at(&self, index: u64, archive: &dyn Archive) -> Option<Term> {
        if index == 0 {
            return Some(Term::default());
        }
        if index > self.last.index {
            return None;
        }
        if index == self.last.index {
            return Some(self.last.term);
        }
        if let Some(entry) = self.place(index).and_then(|place| self.tail.get(place)) {
            return Some(entry.term);
        }
        if index == self.covered.index {
            return Some(self.covered.term);
        }
        archive.term_at(index).filter(|_| index <= self.synced)
    }

    /// Entries from `from` to `upto`, as many as fit into `max_weight`, but one at least. Empty where the log does not have
    /// `from` any more.
    pub(crate) fn entries(&self, from: u64, upto: u64, max_weight: usize, archive: &dyn Archive) -> Vec<Entry> {
        let upto = upto.min(self.last.index);
        if from > upto {
            return Vec::new();
        }
        let Some(place) = self.place(from) else {
            let mut entries = archive.entries(from, max_weight);
            // What the archive has beyond may be what was cut off meanwhile.
            let upto = upto.min(self.synced);
            entries.truncate((upto + 1).saturating_sub(from) as usize);
            return entries;
        };
        let mut weight = 0;
        let count = (upto + 1 - from) as usize;
        let fitting = self.tail.range(place..).take(count).enumerate().take_while(|(n, entry)| {
            weight += entry.weight();
            *n == 0 || weight <= max_weight
        });
        fitting.map(|(_, entry)| entry.clone()).collect()
    }

    /// The first entry after `above` whose term is `term` or later: terms only grow along a log.
    pub(crate) fn first_of(&self, term: Term, above: u64, archive: &dyn Archive) -> u64 {
        let (mut low, mut high) = (above + 1, self.last.index + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.term_at(middle, archive).is_some_and(|at| at < term) { low = middle + 1 } else { high = middle }
        }
        low
    }

    fn place(&self, index: u64) -> Option<usize> {
        let front = self.tail.front()?.index;
        index.checked_sub(front).map(|place| place as usize)
    }
}

#[cfg(test)]
mod tests {
    use dsbench_wire::Content;

    use super::*;

    /// What the disk has, which may be older than the log.
    struct Durable(Vec<Entry>);

    impl Archive for Durable {
        fn entries(&self, from: u64, max_bytes: usize) -> Vec<Entry> {
            let mut weight = 0;
            let entries = self.0.iter().filter(|entry| entry.index >= from).enumerate();
            let fitting = entries.take_while(|(n, entry)| {
                weight += entry.weight();
                *n == 0 || weight <= max_bytes
            });
            fitting.map(|(_, entry)| entry.clone()).collect()
        }
        fn term_at(&self, index: u64) -> Option<Term> {
            self.0.iter().find(|entry| entry.index == index).map(|entry| entry.term)
        }
    }

    fn entry(index: u64, term: u64) -> Entry {
        Entry { index, term: Term(term), content: Content::NoOp }
    }

    fn of(terms: &[u64]) -> Log {
        let mut log = Log::default();
        for (n, &term) in (1..).zip(terms) {
            log.append(entry(n, term), Mark(n));
        }
        log
    }

    #[test]
    fn what_is_cut_off_is_not_durable_whatever_the_disk_still_says() {
        let nothing = Durable(Vec::new());
        let mut log = of(&[1, 1, 1]);
        log.truncate(2, &nothing);
        log.append(entry(2, 2), Mark(4));
        log.persisted(Mark(3));
        assert_eq!((log.synced(), log.last()), (1, Position { term: Term(2), index: 2 }));
        log.persisted(Mark(4));
        assert_eq!(log.synced(), 2);
    }

    #[test]
    fn the_archive_is_believed_only_as_far_as_the_log_is_durable() {
        let mut disk = Durable((1..=5).map(|index| entry(index, 1)).collect());
        let mut log = Log::recovered(Position { term: Term(1), index: 5 }, Position::default());
        assert_eq!(log.entries(2, 9, 1 << 20, &disk).len(), 4);
        log.truncate(3, &disk);
        log.append(entry(3, 2), Mark(1));
        assert_eq!(log.entries(1, 9, 1 << 20, &disk), disk.0[..2], "the rest comes with the next call");
        assert_eq!(log.entries(3, 9, 1 << 20, &disk), [entry(3, 2)]);
        assert_eq!((log.term_at(2, &disk), log.term_at(4, &disk)), (Some(Term(1)), None));
        disk.0.remove(0);
        assert_eq!(log.term_at(1, &disk), None, "dropped");
    }

    #[test]
    fn memory_is_bounded_by_the_cache_once_entries_are_durable() {
        let mut log = Log::default();
        for index in 1..=50_000 {
            log.append(entry(index, 1), Mark(index));
        }
        assert_eq!(log.tail.len(), 50_000, "nothing of it is durable");
        log.persisted(Mark(50_000));
        assert!(log.weight <= CACHE && log.tail.len() > 1000, "{}", log.tail.len());
    }

    #[test]
    fn the_first_entry_of_a_term_is_found() {
        let log = of(&[1, 1, 3, 3, 3, 7]);
        let nothing = Durable(Vec::new());
        let first = |term, above| log.first_of(Term(term), above, &nothing);
        assert_eq!([first(1, 0), first(3, 0), first(3, 3), first(7, 0), first(2, 0), first(9, 0)], [1, 3, 4, 6, 3, 7]);
    }
}
