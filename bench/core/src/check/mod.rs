//! The checks: each a pure function of its own specification and the history. This file is their table of contents.
//!
//! The next check is one new file and one line in [`CHECKS`].

mod ascent;
mod delivery;
pub(crate) mod disturbance;
mod due;
mod invariant;
mod moment;
mod must_end;
mod nemesis;
mod network;
mod occurrences;
pub(crate) mod quiescence;
mod said;
mod scope;
mod since;
mod spans;
mod trigger;
mod workload;

mod agree_on;
mod agreement;
mod always;
mod causal_order;
mod conserved;
mod deadline;
mod eventually;
mod exactly_once;
pub mod exec;
mod fifo;
mod leader_overlap;
mod monotonic;
mod never;
mod no_duplicates;
mod no_loss;
pub mod process;
mod single_leader;
mod sometimes;
mod total_order;
mod unique;
mod view_changes;

#[cfg(test)]
mod mutations;
#[cfg(test)]
mod testing;

pub use self::invariant::{Invariant, StepPlace, all, open_until, with_implicit};

use crate::filter::Filter;
use crate::history::History;
use crate::names::Names;
use crate::observation::Name;
use crate::table::{Item, Key, Table};
use crate::time::RunTime;
use crate::verdict::Finding;

/// A property that a history has or has not.
pub trait Check: std::fmt::Debug + Send {
    /// Looks at the whole history. Never panics on what a history may hold.
    fn judge(&self, history: &History) -> Finding;

    /// The instant up to which the run must go on for this check to be decided: a bound that is neither met nor elapsed; an instant in
    /// the past if it has elapsed since. `None` when nothing is open. It costs about as much as judging: ask when the steps are done,
    /// and again when that instant has come.
    fn open_until(&self, _history: &History) -> Option<RunTime> {
        None
    }

    /// The program that the shell runs to answer this check, if it is one that a program answers.
    fn program(&self) -> Option<&exec::Program> {
        None
    }
}

/// A kind of check: what a scenario may write, and what reads it.
#[derive(Debug, Clone, Copy)]
pub struct CheckKind {
    /// Its key in an invariant.
    pub name: &'static str,
    /// The keys of its table.
    pub keys: &'static [Key],
    /// The key that a bare value stands for, if the check allows one: `never = "panic"`.
    pub short: Option<&'static str>,
    /// What it says, in one sentence, for the reference.
    pub doc: &'static str,
    /// Reads its table; mistakes are reported, and then there is no check.
    pub parse: fn(&Table<'_, '_>, &Names<'_>) -> Option<Box<dyn Check>>,
}

/// Every kind of check, in the order of the reference.
pub const CHECKS: &[CheckKind] = &[
    single_leader::KIND,
    leader_overlap::KIND,
    agreement::KIND,
    deadline::KIND,
    eventually::KIND,
    always::KIND,
    never::KIND,
    sometimes::KIND,
    total_order::KIND,
    no_loss::KIND,
    no_duplicates::KIND,
    exactly_once::KIND,
    fifo::KIND,
    causal_order::KIND,
    view_changes::KIND,
    monotonic::KIND,
    agree_on::KIND,
    unique::KIND,
    conserved::KIND,
    process::KIND,
    exec::KIND,
];

/// `1 node`, `2 nodes`: how many of what.
fn counted(count: impl std::fmt::Display, what: &str) -> String {
    let count = count.to_string();
    let plural = if count == "1" { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Reads the key `where` against an event's fields; `None` means that it is wrong, which is reported.
fn filter(table: &Table<'_, '_>, event: &Name, names: &Names<'_>) -> Option<Filter> {
    match table.item("where") {
        Some(item) => Filter::parse(&item, event, names),
        None => Some(Filter::default()),
    }
}

/// Reads a key that may be absent; the outer `None` means that it is wrong, which is reported.
fn optional<'d, 's, T>(
    table: &Table<'d, 's>,
    key: &'static str,
    read: impl FnOnce(Item<'d, 's>) -> Option<T>,
) -> Option<Option<T>> {
    match table.item(key) {
        Some(item) => read(item).map(Some),
        None => Some(None),
    }
}
