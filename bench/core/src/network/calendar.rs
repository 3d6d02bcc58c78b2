//! Frames that are on their way: which come when, and which wait to be overtaken.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::fate::Note;
use crate::time::RunTime;

/// A frame that nobody overtakes waits no longer than this.
pub(super) const OVERTAKEN_WITHIN: Duration = Duration::from_millis(50);

/// A frame on its way.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// The endpoint that sent it.
    pub(super) from: usize,
    /// The endpoint that gets it.
    pub(super) to: usize,
    /// When it was sent.
    pub(super) sent: RunTime,
    /// When it would come if nobody had to overtake it.
    at: RunTime,
    /// Its bytes.
    pub(super) frame: Vec<u8>,
    /// What the rules did to it.
    pub(super) notes: Vec<Note>,
    /// The number of the entry that counts; others of this frame are void.
    entry: u64,
}

type Slot = usize;

/// Names a frame that waits to be overtaken, for as long as it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    slot: Slot,
    entry: u64,
}

/// All frames that are on their way, by the time at which they come. Those of one time come in the order in which they were put in.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    entries: BinaryHeap<Reverse<(RunTime, u64, Slot)>>,
    /// Used again and again: a frame on its way allocates only until there were that many.
    slots: Vec<Waiting>,
    free: Vec<Slot>,
    last_entry: u64,
    bytes: usize,
}

impl Calendar {
    /// How many bytes are on their way.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Puts a frame in. The rest of it is for the caller to fill in.
    pub(super) fn put(&mut self, at: RunTime, is_overtaken: bool, frame: &[u8]) -> (Held, &mut Waiting) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Waiting::default());
            self.slots.len() - 1
        });
        let comes = if is_overtaken { at + OVERTAKEN_WITHIN } else { at };
        self.enter(slot, comes);
        let waiting = &mut self.slots[slot];
        waiting.at = at;
        waiting.frame.clear();
        waiting.frame.extend_from_slice(frame);
        waiting.notes.clear();
        self.bytes += frame.len();
        (Held { slot, entry: waiting.entry }, waiting)
    }

    /// A frame has been overtaken by enough, the last of which comes at `after`.
    pub(super) fn let_go(&mut self, held: Held, after: RunTime) {
        if self.holds(held) {
            let comes = self.slots[held.slot].at.max(after);
            self.enter(held.slot, comes);
        }
    }

    /// True if a frame still waits to be overtaken.
    pub(super) fn holds(&self, held: Held) -> bool {
        self.slots[held.slot].entry == held.entry
    }

    /// When the next one comes.
    pub(super) fn next(&mut self) -> Option<RunTime> {
        while let Some(Reverse((at, entry, slot))) = self.entries.peek() {
            if self.slots[*slot].entry == *entry {
                return Some(*at);
            }
            self.entries.pop();
        }
        None
    }

    /// The next one that comes until `now`. It must be given [back](Self::give_back).
    pub(super) fn take(&mut self, now: RunTime) -> Option<(usize, RunTime, Waiting)> {
        let at = self.next().filter(|at| *at <= now)?;
        let Reverse((_, _, slot)) = self.entries.pop()?;
        self.bytes -= self.slots[slot].frame.len();
        Some((slot, at, std::mem::take(&mut self.slots[slot])))
    }

    /// Gives the room of a frame back.
    pub(super) fn give_back(&mut self, slot: usize, waiting: Waiting) {
        self.slots[slot] = Waiting { entry: 0, ..waiting };
        self.free.push(slot);
    }

    fn enter(&mut self, slot: Slot, at: RunTime) {
        self.last_entry += 1;
        self.slots[slot].entry = self.last_entry;
        self.entries.push(Reverse((at, self.last_entry, slot)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> RunTime {
        RunTime(ms * 1_000_000)
    }

    fn all(calendar: &mut Calendar, now: RunTime) -> Vec<u8> {
        let mut came = Vec::new();
        while let Some((slot, _, waiting)) = calendar.take(now) {
            came.push(waiting.frame[0]);
            calendar.give_back(slot, waiting);
        }
        came
    }

    #[test]
    fn frames_come_in_the_order_of_their_times_and_those_of_one_time_in_their_own() {
        let mut calendar = Calendar::default();
        for (byte, at) in [(1, 5), (2, 3), (3, 5), (4, 9)] {
            calendar.put(ms(at), false, &[byte]);
        }
        assert_eq!(calendar.next(), Some(ms(3)));
        assert_eq!(all(&mut calendar, ms(5)), [2, 1, 3]);
        assert_eq!((calendar.next(), calendar.bytes()), (Some(ms(9)), 1));
    }

    #[test]
    fn a_frame_that_is_to_be_overtaken_waits_for_that_and_not_for_ever() {
        let mut calendar = Calendar::default();
        let (held, _) = calendar.put(ms(5), true, &[1]);
        calendar.put(ms(6), true, &[2]);
        assert!(all(&mut calendar, ms(10)).is_empty());
        calendar.put(ms(10), false, &[3]);
        calendar.let_go(held, ms(10));
        assert_eq!(all(&mut calendar, ms(10)), [3, 1]);
        assert_eq!(calendar.next(), Some(ms(6) + OVERTAKEN_WITHIN));
        assert_eq!(all(&mut calendar, ms(60)), [2]);
        assert_eq!((calendar.next(), calendar.bytes()), (None, 0));
    }

    #[test]
    fn room_is_used_again() {
        let mut calendar = Calendar::default();
        for round in 0..100 {
            calendar.put(ms(round), false, &[1]);
            assert_eq!(all(&mut calendar, ms(round)), [1]);
        }
        assert_eq!(calendar.slots.len(), 1);
    }
}
