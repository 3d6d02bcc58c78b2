//! The checks: each a pure function of its own specification and the history. This file is their table of contents.

use crate::history::History;
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
