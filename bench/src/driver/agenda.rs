//! The one heap: everything that is due in a run, by (run time, order of arrival).
//!
//! Nothing in a run waits anywhere else, so the same loop can later run on a clock that jumps.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::collections::BinaryHeap;

use dsbench_core::time::RunTime;

/// Names an entry, so that it can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryId(u64);

/// What is due, and when. Entries of one instant come out in the order in which they went in.
#[derive(Debug)]
pub(crate) struct Agenda<D> {
    heap: BinaryHeap<Reverse<(RunTime, EntryId, Opaque<D>)>>,
    cancelled: BTreeSet<EntryId>,
    next: u64,
}

/// Takes no part in the order.
#[derive(Debug)]
struct Opaque<D>(D);

impl<D> PartialEq for Opaque<D> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl<D> Eq for Opaque<D> {}
impl<D> PartialOrd for Opaque<D> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<D> Ord for Opaque<D> {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl<D> Agenda<D> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), cancelled: BTreeSet::new(), next: 0 }
    }

    /// Puts something on the agenda.
    pub(crate) fn push(&mut self, at: RunTime, due: D) -> EntryId {
        let id = EntryId(self.next);
        self.next += 1;
        self.heap.push(Reverse((at, id, Opaque(due))));
        id
    }

    /// Takes an entry back; nothing happens if it has already come out.
    pub(crate) fn cancel(&mut self, id: EntryId) {
        if self.heap.iter().any(|Reverse((_, entry, _))| *entry == id) {
            self.cancelled.insert(id);
        }
    }

    /// When the earliest entry is due; [`RunTime::NEVER`] if there is none.
    pub(crate) fn head(&mut self) -> RunTime {
        while let Some(Reverse((at, id, _))) = self.heap.peek() {
            if !self.cancelled.remove(id) {
                return *at;
            }
            self.heap.pop();
        }
        RunTime::NEVER
    }

    /// The earliest entry that is due at `now`, with the time for which it was set.
    pub(crate) fn pop_due(&mut self, now: RunTime) -> Option<(RunTime, D)> {
        if self.head() > now {
            return None;
        }
        self.heap.pop().map(|Reverse((at, _, Opaque(due)))| (at, due))
    }
}

#[cfg(test)]
mod tests {
    use super::Agenda;
    use dsbench_core::time::RunTime;

    #[test]
    fn entries_come_out_by_time_and_then_by_arrival() {
        let mut agenda = Agenda::new();
        for (at, what) in [(5, "c"), (1, "a"), (5, "d"), (1, "b")] {
            agenda.push(RunTime(at), what);
        }
        let out: Vec<_> = std::iter::from_fn(|| agenda.pop_due(RunTime(9))).map(|(_, what)| what).collect();
        assert_eq!(out, ["a", "b", "c", "d"]);
    }

    #[test]
    fn nothing_comes_out_before_its_time_and_nothing_that_was_cancelled() {
        let mut agenda = Agenda::new();
        let early = agenda.push(RunTime(1), "early");
        agenda.push(RunTime(3), "late");
        agenda.cancel(early);
        assert_eq!(agenda.head(), RunTime(3));
        assert_eq!(agenda.pop_due(RunTime(2)), None);
        assert_eq!(agenda.pop_due(RunTime(3)), Some((RunTime(3), "late")));
        assert_eq!(agenda.head(), RunTime::NEVER);
        agenda.cancel(early);
        assert_eq!(agenda.pop_due(RunTime(9)), None);
    }
}
