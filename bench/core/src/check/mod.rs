//! The checks: each a pure function of its own specification and the history. This file is their table of contents.

use crate::history::History;
use crate::names::Names;
use crate::table::{Key, Table};
use crate::time::RunTime;
use crate::verdict::Finding;

/// A property that a history has or has not.
pub trait Check: std::fmt::Debug + Send {
    /// Looks at the whole history. Never panics on what a history may hold.
    fn judge(&self, history: &History) -> Finding;

    /// The instant up to which the run must go on for this check to be decided: a bound that is neither met nor elapsed.
    /// `None` when nothing is open.
    fn open_until(&self, _history: &History) -> Option<RunTime> {
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
pub const CHECKS: &[CheckKind] = &[];
