//! What becomes of one frame on one link.
//!
//! A frame passes the rules in their order; the copies that one makes pass the next ones each on its own. Every choice is drawn by the seed,
//! the link, the rule, the frame's number on the link and the question: no rule moves the choices of another, and none depends on time.

use std::fmt;
use std::time::Duration;

use super::head::Head;
use super::rule::OnLink;
use super::{RuleTraffic, SeenBy};
use crate::time::RunTime;

/// One rule did something to a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// Which rule.
    pub rule: u64,
    /// What it did.
    pub did: Did,
}

/// What a rule can do to a frame. Times are in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Did {
    /// Dropped it: a partition.
    Cut,
    /// Dropped it at random.
    Lost,
    /// Dropped it, because too much was waiting for the link.
    Overflowed,
    /// Dropped it, because it was longer than this.
    TooBig(u32),
    /// Dropped it, and reset its connection.
    Reset,
    /// Delivered it later.
    Delayed(u64),
    /// Delivered it later, because the link was busy.
    Queued(u64),
    /// Delivered it twice.
    Duplicated,
    /// Let it be overtaken by so many.
    Reordered(u32),
    /// Changed it.
    Corrupted(SeenBy),
}

impl Did {
    /// True if the frame's way ended here.
    pub fn is_drop(self) -> bool {
        matches!(self, Self::Cut | Self::Lost | Self::Overflowed | Self::TooBig(_) | Self::Reset)
    }
}

impl fmt::Display for Note {
    /// As it stands in a recorded packet's comment: `delayed 50ms by rule 12`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = self.rule;
        let ns = Duration::from_nanos;
        match self.did {
            Did::Cut => write!(f, "dropped by rule {rule} (partition)"),
            Did::Lost => write!(f, "dropped by rule {rule} (loss)"),
            Did::Overflowed => write!(f, "dropped by rule {rule} (rate: its queue is full)"),
            Did::TooBig(mtu) => write!(f, "dropped by rule {rule} (mtu {mtu})"),
            Did::Reset => write!(f, "dropped by rule {rule} (reset)"),
            Did::Delayed(by) => write!(f, "delayed {:?} by rule {rule}", ns(by)),
            Did::Queued(by) => write!(f, "delayed {:?} by rule {rule} (rate)", ns(by)),
            Did::Duplicated => write!(f, "duplicated by rule {rule}"),
            Did::Reordered(by) => write!(f, "to be overtaken by {by}, by rule {rule} (reorder)"),
            Did::Corrupted(SeenBy::Kernel) => write!(f, "one bit changed by rule {rule} (wire)"),
            Did::Corrupted(SeenBy::Program) => write!(f, "one bit changed by rule {rule} (payload)"),
        }
    }
}

/// What the sender, or both, get instead of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Its packet was longer than this.
    TooBig(u32),
    /// Their connection is reset.
    Reset {
        /// By this rule's counters.
        slot: usize,
    },
}

/// One delivery of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delivery {
    /// When.
    pub(super) at: RunTime,
    /// After so many that came later.
    pub(super) behind: u32,
    /// One bit on the wire is changed by this draw.
    pub(super) wire: Option<u64>,
    /// One bit of the payload is changed by this draw.
    pub(super) payload: Option<u64>,
    /// Which of the copies it is; each has draws of its own.
    pub(super) copy: u64,
}

/// What becomes of a frame: deliveries, what the rules did, and answers. The vectors are used again for the next one.
#[derive(Debug, Default)]
pub(super) struct Fate {
    /// Empty if it never comes.
    pub(super) deliveries: Vec<Delivery>,
    /// In the order in which it happened.
    pub(super) notes: Vec<Note>,
    /// What is answered.
    pub(super) answer: Option<Answer>,
}

/// No frame is delivered more often than this, whatever rules there are.
const COPIES_MAX: usize = 8;

impl Fate {
    /// Begins with one delivery, now.
    pub(super) fn begin(&mut self, now: RunTime) {
        self.deliveries.clear();
        self.notes.clear();
        self.answer = None;
        self.deliveries.push(Delivery { at: now, behind: 0, wire: None, payload: None, copy: 0 });
    }

    /// True if it is delivered at once, once and as it was.
    pub(super) fn is_plain(&self, now: RunTime) -> bool {
        let plain = Delivery { at: now, behind: 0, wire: None, payload: None, copy: 0 };
        matches!(self.deliveries.as_slice(), [only] if *only == plain)
    }
}

/// One frame on a link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passing<'f> {
    /// Its headers.
    pub(super) head: &'f Head,
    /// Its bytes.
    pub(super) frame: &'f [u8],
    /// How many came before it on this link.
    pub(super) index: u64,
}

/// Decides. Only rules in force on the frame's link are given; what they remember of the link changes.
pub(super) fn decide(
    rules: &mut [OnLink],
    passing: Passing<'_>,
    now: RunTime,
    counters: &mut [RuleTraffic],
    fate: &mut Fate,
) {
    fate.begin(now);
    for rule in rules {
        if !rule.is_for(passing.head, passing.frame) {
            continue;
        }
        let counter = &mut counters[rule.slot()];
        // What a rule duplicates is not asked again by the same rule.
        let mut at = 0;
        for _ in 0..fate.deliveries.len() {
            counter.matched += 1;
            if rule.pass(passing, at, counter, fate) {
                at += 1;
            } else {
                fate.deliveries.remove(at);
            }
        }
        if fate.deliveries.is_empty() {
            return;
        }
    }
}

impl Fate {
    /// Adds a second delivery like the first, with draws of its own from here on. False if there are too many already.
    pub(super) fn duplicate(&mut self, delivery: usize) -> bool {
        if self.deliveries.len() >= COPIES_MAX {
            return false;
        }
        let copy = self.deliveries.iter().map(|delivery| delivery.copy).max().unwrap_or(0) + 1;
        self.deliveries.push(Delivery { copy, ..self.deliveries[delivery] });
        true
    }
}
