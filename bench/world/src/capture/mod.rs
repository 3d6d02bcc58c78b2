//! Output of nodes: read without loss, stored as it is, shown as people read it, and searched for events.

mod file;
mod index;
mod output;
mod patterns;
mod stream;
mod tail;
mod text;
mod thread;
mod view;

pub use index::{INDEX_RECORD_BYTES, IndexRecord};
pub use patterns::{Found, LINE_CONSIDERED, Meaning, Patterns};
pub(crate) use thread::{Capture, Opening, Task};

/// How many newlines there are.
fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// The lines, each with its `\n` (but for a last one without).
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}
