//! What capture asks of a matcher: to find event lines in whole chunks of complete lines.

use std::ops::Range;

use dsbench_core::observation::{Name, Value};

/// How much of a line is considered by patterns; what stands behind it in a longer line is stored, but not matched.
pub const LINE_CONSIDERED: usize = 64 * 1024;

/// Finds the lines that matter.
pub trait Patterns: Send {
    /// Reports every match in `lines`, in order.
    ///
    /// `lines` are complete lines: each ends with `\n`, but for the last one of a stream, which may not. No line is longer than
    /// [`LINE_CONSIDERED`] (not counting the `\n`). Lines may be any bytes.
    fn scan(&mut self, lines: &[u8], found: &mut dyn FnMut(Found));
}

/// One match.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Which line of the chunk, from 0.
    pub index: usize,
    /// The line's bytes within the chunk, without its ending.
    pub line: Range<usize>,
    /// What the line means.
    pub meaning: Meaning,
}

/// What a matching line means.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// The process is ready.
    Ready,
    /// An event of the scenario.
    Event {
        /// The event's name.
        name: Name,
        /// Its fields.
        fields: Vec<(Name, Value)>,
    },
}
