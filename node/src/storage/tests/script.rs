//! Random lives of a log, and what it must hold after each of their acts.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::disk::Disk;
use crate::storage::fault::Fault;
use crate::storage::frame::Kind;
use crate::storage::log::{Found, Limits, Log};

/// Small segments, so that a short life has several.
pub(super) const LIMITS: Limits = Limits { retain: 3, segment_max: 4000, reserve: 700, keeps_torn_tail: false };

#[derive(Debug, Clone)]
pub(super) enum Act {
    /// An entry, so many before the end of the log (0 appends), with a body of so many bytes.
    Entry {
        back: u64,
        size: usize,
    },
    Ballot(u8),
    Applied(u8),
    Commit,
    WriteLazily,
    Mark,
    /// A snapshot so many entries before the end of the log.
    Checkpoint {
        back: u64,
    },
    /// A snapshot so many entries after the end of the log.
    Install {
        ahead: u64,
    },
}

pub(super) fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (prop_oneof![4 => Just(0), 1 => 0..4_u64], 0..700_usize).prop_map(|(back, size)| Act::Entry { back, size }),
        2 => any::<u8>().prop_map(Act::Ballot),
        2 => any::<u8>().prop_map(Act::Applied),
        5 => Just(Act::Commit),
        2 => Just(Act::WriteLazily),
        3 => Just(Act::Mark),
        1 => (0..6_u64).prop_map(|back| Act::Checkpoint { back }),
        1 => (0..3_u64).prop_map(|ahead| Act::Install { ahead }),
    ]
}

/// What a log holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) entries: BTreeMap<u64, (u64, Vec<u8>)>,
    pub(super) latest: BTreeMap<Kind, Vec<u8>>,
    /// Index, term, body.
    pub(super) snapshot: Option<(u64, u64, Vec<u8>)>,
}

impl Held {
    fn last(&self) -> u64 {
        let base = self.snapshot.as_ref().map_or(0, |(index, ..)| *index);
        self.entries.keys().last().copied().unwrap_or(base)
    }

    /// The same without the entries before `first`, which a snapshot has made superfluous.
    pub(super) fn from(&self, first: u64) -> Self {
        Self {
            entries: self.entries.range(first..).map(|(&index, entry)| (index, entry.clone())).collect(),
            ..self.clone()
        }
    }
}

/// Everything that a log could hold in the course of a life: one state for each record.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) log: Log,
    pub(super) states: Vec<Held>,
    /// The states before this one may be lost no more.
    pub(super) safe: usize,
    term: u64,
}

impl Life {
    pub(super) fn begin(disk: &Disk) -> Result<Self, Fault> {
        let (log, found) = Log::open(Arc::new(disk.clone()), "peer1", LIMITS)?;
        assert_eq!(found, Found::default());
        Ok(Self { log, states: vec![Held::default()], safe: 0, term: 1 })
    }

    fn now(&self) -> Held {
        self.states.last().unwrap().clone()
    }

    fn becomes(&mut self, held: Held) {
        self.states.push(held);
    }

    pub(super) fn act(&mut self, act: &Act) -> Result<(), Fault> {
        let mut held = self.now();
        let floor = held.snapshot.as_ref().map_or(0, |(index, ..)| *index);
        match *act {
            Act::Entry { back, size } => {
                let index = (held.last() + 1).saturating_sub(back).max(floor + 1);
                if index <= held.last() {
                    // Only another leader's entry replaces one.
                    self.term += 1;
                }
                let body: Vec<u8> = (0..size).map(|n| (n as u64 * 31 + index * 7 + self.term) as u8).collect();
                self.log.append(Kind::Entry, index, self.term, &body);
                held.entries.split_off(&index);
                held.entries.insert(index, (self.term, body));
                self.becomes(held);
            }
            Act::Ballot(byte) => self.note(Kind::Ballot, byte, held),
            Act::Applied(byte) => self.note(Kind::Applied, byte, held),
            Act::Commit => {
                self.log.commit()?;
                self.safe = self.states.len() - 1;
            }
            Act::WriteLazily => self.log.write_lazily()?,
            Act::Mark => self.log.mark()?,
            Act::Checkpoint { back } => {
                let at = held.last().saturating_sub(back);
                let Some((term, _)) = held.entries.get(&at).cloned().filter(|_| at > floor) else { return Ok(()) };
                let body = format!("{{\"upto\":{at}}}").into_bytes();
                held.snapshot = Some((at, term, body.clone()));
                self.becomes(held);
                self.log.checkpoint(at, term, &body)?;
                self.safe = self.states.len() - 1;
            }
            Act::Install { ahead } => {
                let at = held.last() + 1 + ahead;
                let body = format!("{{\"installed\":{at}}}").into_bytes();
                held.entries.clear();
                held.snapshot = Some((at, self.term, body.clone()));
                self.becomes(held);
                self.log.install(at, self.term, &body)?;
                self.safe = self.states.len() - 1;
            }
        }
        Ok(())
    }

    fn note(&mut self, kind: Kind, byte: u8, mut held: Held) {
        self.log.append(kind, 0, 0, &[byte]);
        held.latest.insert(kind, vec![byte]);
        self.becomes(held);
    }
}

/// Opens a disk, and reads back all that it holds.
pub(super) fn reopened(disk: &Disk) -> Result<(Log, Found, Held), Fault> {
    let (log, found) = Log::open(Arc::new(disk.clone()), "peer1", LIMITS)?;
    let held = read_back(&log, &found);
    Ok((log, found, held))
}

pub(super) fn read_back(log: &Log, found: &Found) -> Held {
    let reader = log.reader();
    let mut entries = BTreeMap::new();
    if let Some((first, last)) = found.entries {
        let mut next = first;
        while next <= last {
            // A batch size that cuts runs in odd places.
            let batch = reader.entries(next, 1500).unwrap();
            assert!(!batch.is_empty(), "entry {next} of {first}..={last} cannot be read");
            for stored in batch {
                assert_eq!(stored.index, next);
                assert_eq!(reader.term_at(next), Some(stored.term));
                entries.insert(next, (stored.term, stored.body));
                next += 1;
            }
        }
        assert_eq!(reader.term_at(last + 1), None);
    }
    let snapshot = found.snapshot.clone().map(|body| {
        let text = String::from_utf8(body.clone()).unwrap();
        let index = text.rsplit(':').next().unwrap().trim_end_matches('}').parse().unwrap();
        (index, reader.term_at(index).unwrap(), body)
    });
    Held { entries, latest: found.latest.clone(), snapshot }
}

/// The state, from `from` on, that is the one that was read back.
pub(super) fn which(states: &[Held], from: usize, held: &Held) -> Option<usize> {
    (from..states.len()).find(|&state| {
        let expected = &states[state];
        let first = held.entries.keys().next().copied().unwrap_or(u64::MAX);
        let covered = expected.snapshot.as_ref().map_or(0, |(index, ..)| *index) + 1;
        // What is before the first one must be in the snapshot; and only that may be missing.
        let first = if held.entries.is_empty() { covered } else { first };
        first <= covered.max(1) && expected.from(first) == *held
    })
}
