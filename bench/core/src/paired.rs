//! Operations put together: each invocation with its end.

use std::collections::BTreeMap;

use crate::history::Seen;
use crate::observation::Name;
use crate::operation::{Datum, Operation, OperationKind};

/// An operation: its invocation, and how it ended.
#[derive(Debug, Clone, Copy)]
pub struct Performed<'h> {
    /// That it was invoked.
    pub invoked: Seen<'h, Operation>,
    /// How it ended; none if the history ends before it. Then nobody knows, as with `info`.
    pub ended: Option<Seen<'h, Operation>>,
}

impl<'h> Performed<'h> {
    /// How it ended: ok, fail or info; an operation without an end is info.
    pub fn kind(&self) -> OperationKind {
        self.ended.map_or(OperationKind::Info, |ended| ended.what.kind)
    }

    /// True if it happened.
    pub fn is_ok(&self) -> bool {
        self.kind() == OperationKind::Ok
    }

    /// Its name.
    pub fn op(&self) -> &'h Name {
        &self.invoked.what.op
    }

    /// What it was to write.
    pub fn written(&self) -> Option<&'h Datum> {
        self.invoked.what.value.as_ref()
    }

    /// What it was answered, if it was.
    pub fn answer(&self) -> Option<&'h Datum> {
        self.ended.filter(|ended| ended.what.kind == OperationKind::Ok).and_then(|ended| ended.what.value.as_ref())
    }
}

/// Finds the end of each invocation, as the observations come.
///
/// An operation ends once: what else is told of it, and ends of what was never invoked, are passed over.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pairs {
    /// The places of invocations and of their ends, by invocation.
    all: Vec<(u32, Option<u32>)>,
    /// The operations that have not ended, by id, as indexes of `all`.
    open: BTreeMap<u64, u32>,
    /// Ids below this were used; others may have been, of a history that nobody wrote like this.
    next: u64,
    /// Ids that came out of turn.
    late: std::collections::BTreeSet<u64>,
}

impl Pairs {
    /// Takes in the operation at a place of the history.
    pub(crate) fn observe(&mut self, place: u32, operation: &Operation) {
        if operation.kind == OperationKind::Invoke {
            if self.is_new(operation.id) {
                self.open.insert(operation.id, u32::try_from(self.all.len()).unwrap_or(u32::MAX));
                self.all.push((place, None));
            }
        } else if let Some(index) = self.open.remove(&operation.id)
            && let Some((_, ended)) = self.all.get_mut(index as usize)
        {
            *ended = Some(place);
        }
    }

    /// Ids are counted from 0, so that remembering them takes no memory.
    fn is_new(&mut self, id: u64) -> bool {
        if id < self.next || !self.late.insert(id) {
            return false;
        }
        while self.late.remove(&self.next) {
            self.next += 1;
        }
        true
    }

    /// The places of invocations and of their ends.
    pub(crate) fn all(&self) -> &[(u32, Option<u32>)] {
        &self.all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::history::History;
    use crate::observation::What;
    use crate::time::RunTime;

    fn operation(id: u64, kind: OperationKind) -> Operation {
        let name = || Name::from("x");
        Operation {
            id,
            kind,
            workload: name(),
            op: name(),
            client: name(),
            process: 0,
            node: None,
            key: None,
            value: None,
            why: None,
        }
    }

    const KINDS: [OperationKind; 4] =
        [OperationKind::Invoke, OperationKind::Ok, OperationKind::Fail, OperationKind::Info];

    proptest! {
        /// The oracle looks through the whole history for each: the first invocation of an id counts, and the first end after it.
        #[test]
        fn every_invocation_has_the_first_end_after_it(story in prop::collection::vec((0_u64..6, 0_usize..4), 0..40)) {
            let mut history = History::default();
            for (id, kind) in &story {
                history.push(RunTime::START, What::Operation(Box::new(operation(*id, KINDS[*kind]))));
            }
            let mut expected = Vec::new();
            for (at, (id, kind)) in story.iter().enumerate() {
                if *kind == 0 && !story[..at].contains(&(*id, 0)) {
                    let end = story[at..].iter().position(|(other, kind)| other == id && *kind != 0);
                    expected.push((at as u64, end.map(|end| (at + end) as u64)));
                }
            }
            let found: Vec<_> = history.operations().map(|performed| (performed.invoked.number, performed.ended.map(|ended| ended.number))).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_has_not_ended_is_in_doubt() {
        let mut history = History::default();
        history.push(RunTime::START, What::Operation(Box::new(operation(0, OperationKind::Invoke))));
        let performed = history.operations().next().unwrap();
        assert_eq!((performed.kind(), performed.is_ok(), performed.answer()), (OperationKind::Info, false, None));
    }
}
