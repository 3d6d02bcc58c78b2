//! The views that nodes told, and what must be true of each and of any two.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::nodes::{Members, Nodes};
use super::{Ids, ViewChanges};
use crate::check::ascent::{Ascent, Told};
use crate::history::{History, Seen};
use crate::observation::{Event, Life, Name, Value};
use crate::time::RunTime;

/// A view that a node told.
#[derive(Debug, Clone)]
pub(super) struct View<'h> {
    pub(super) seen: Seen<'h, Event>,
    pub(super) id: &'h Value,
    /// As the node told them.
    listed: &'h Vec<Name>,
    pub(super) members: Rc<Members>,
}

impl View<'_> {
    /// `{a,b} at a`
    fn told(&self) -> String {
        format!("{{{}}} at {}", self.listed.join(","), self.seen.what.of.node)
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Views<'h> {
    pub(super) nodes: Nodes,
    pub(super) by_number: Vec<View<'h>>,
    /// How often the event occurred.
    pub(super) lines: u64,
}

/// Something that is wrong, or may be.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) at: RunTime,
    pub(super) summary: String,
    /// Observations that show it, each with a word on its part where it needs one.
    pub(super) evidence: Vec<(u64, Option<String>)>,
}

impl Fault {
    pub(super) fn new(at: RunTime, summary: String, evidence: &[u64]) -> Self {
        Self { at, summary, evidence: evidence.iter().map(|number| (*number, None)).collect() }
    }
}

/// What was found of one rule, or of several.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) violations: u64,
    /// The first in time.
    pub(super) first: Option<Fault>,
    /// Why a rule could not be decided.
    pub(super) undecided: Option<Fault>,
}

impl Found {
    /// Violated; the fault is only told if it is the first one.
    pub(super) fn violated(&mut self, at: RunTime, fault: impl FnOnce() -> Fault) {
        self.violations += 1;
        if self.first.as_ref().is_none_or(|first| at < first.at) {
            self.first = Some(fault());
        }
    }

    pub(super) fn join(&mut self, other: Self) {
        let first = match (self.first.take(), other.first) {
            (Some(a), Some(b)) => Some(if b.at < a.at { b } else { a }),
            (a, b) => a.or(b),
        };
        let undecided = self.undecided.take().or(other.undecided);
        *self = Self { violations: self.violations + other.violations, first, undecided };
    }
}

impl<'h> Views<'h> {
    pub(super) fn of(check: &ViewChanges, history: &'h History) -> Self {
        let nodes = Nodes::of(&check.said.cluster);
        let mut by_number: Vec<View<'h>> = Vec::new();
        let mut lines = 0;
        for seen in check.said.by_number(history) {
            lines += 1;
            let (Some(id), Some(Value::Nodes(listed))) = (seen.what.field(&check.id), seen.what.field(&check.members))
            else {
                continue;
            };
            // The nodes of a group tell the same view one after the other.
            let members = match by_number.last().filter(|last| last.listed == listed) {
                Some(last) => Rc::clone(&last.members),
                None => Rc::new(nodes.members(listed)),
            };
            by_number.push(View { seen, id, listed, members });
        }
        Self { nodes, by_number, lines }
    }

    /// Lines that did not tell their id and their members.
    pub(super) fn without(&self) -> u64 {
        self.lines - self.by_number.len() as u64
    }

    /// Self-inclusion: a node that installs a view is a member of it.
    pub(super) fn include_their_node(&self) -> Found {
        let mut found = Found::default();
        for View { seen, id, members, .. } in &self.by_number {
            let node = &seen.what.of.node;
            if !self.nodes.index(node).is_some_and(|index| members.nodes.has(index)) {
                let summary = || format!("view {id} at {node} does not hold {node} itself");
                found.violated(seen.at, || Fault::new(seen.at, summary(), &[seen.number]));
            }
        }
        found
    }

    /// Same id, same members: wherever, whenever. Also how many different views there were, each with its first line.
    pub(super) fn are_one_by_id(&self) -> (Found, Vec<Seen<'h, Event>>) {
        let mut found = Found::default();
        let mut known: BTreeMap<&Value, &View<'h>> = BTreeMap::new();
        let mut last: Option<&View<'h>> = None;
        let mut different = Vec::new();
        for view in &self.by_number {
            let first = match last.filter(|last| last.id == view.id) {
                Some(last) => last,
                None => *known.entry(view.id).or_insert_with(|| {
                    different.push(view.seen);
                    view
                }),
            };
            last = Some(first);
            if !Rc::ptr_eq(&first.members, &view.members) && first.members != view.members {
                found.violated(view.seen.at, || {
                    let summary = format!("view {} is {} and {}", view.id, first.told(), view.told());
                    Fault::new(view.seen.at, summary, &[first.seen.number, view.seen.number])
                });
            }
        }
        (found, different)
    }

    /// Local monotonicity: at each node ids rise; ids that have no order do not come again.
    pub(super) fn ascend(&self, ids: Ids, over_lives: bool) -> Found {
        match ids {
            Ids::Increasing => self.rise(over_lives),
            Ids::Opaque => self.are_new(over_lives),
        }
    }

    fn rise(&self, over_lives: bool) -> Found {
        let told = |view: &View<'h>| {
            let of = &view.seen.what.of;
            ((&of.node, &of.process), Told { seen: view.seen, value: view.id })
        };
        let course = Ascent { strictly: true, over_lives }.course(self.by_number.iter().map(told));
        let fault =
            |from: Seen<'_, Event>, to: Seen<'_, Event>, summary| Fault::new(to.at, summary, &[from.number, to.number]);
        let first = course.first.map(|fall| {
            let (from, to) = (fall.from.value, fall.to.value);
            let node = &fall.to.seen.what.of.node;
            let summary = match from == to {
                true => format!("{node} installs view {to} again"),
                false => format!("{node} installs view {to} after view {from}"),
            };
            fault(fall.from.seen, fall.to.seen, summary)
        });
        let undecided = course.perhaps.map(|fall| {
            let (from, to) = (fall.from.value, fall.to.value);
            let node = &fall.to.seen.what.of.node;
            let summary =
                format!("{node} tells views {from} and {to} on two streams, and which was first is not sure enough");
            fault(fall.from.seen, fall.to.seen, summary)
        });
        Found { violations: course.falls, first, undecided }
    }

    fn are_new(&self, over_lives: bool) -> Found {
        // Sorted, not kept in a set: a million ids are sorted in less time, and in less memory.
        let key = |view: &View<'h>| {
            let Life { node, process, life } = &view.seen.what.of;
            (view.id, node, process, if over_lives { 0 } else { *life })
        };
        let mut views: Vec<&View<'h>> = self.by_number.iter().collect();
        views.sort_by(|a, b| key(a).cmp(&key(b)).then(a.seen.number.cmp(&b.seen.number)));
        let mut found = Found::default();
        for pair in views.windows(2).filter(|pair| key(pair[0]) == key(pair[1])) {
            let (first, View { seen, id, .. }) = (pair[0], pair[1]);
            let summary = || format!("{} installs view {id} again", seen.what.of.node);
            found.violated(seen.at, || Fault::new(seen.at, summary(), &[first.seen.number, seen.number]));
        }
        found
    }
}
