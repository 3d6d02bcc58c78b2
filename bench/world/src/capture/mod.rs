//! Output of nodes: read without loss, stored as it is, shown as people read it, and searched for events.

pub(crate) mod beneath;
mod file;
mod follow;
mod index;
mod output;
mod patterns;
mod reports;
mod stream;
mod tail;
mod text;
mod thread;
mod view;

pub(crate) use follow::Follow;
pub use index::{INDEX_RECORD_BYTES, IndexRecord};
pub use patterns::{Found, LINE_CONSIDERED, Meaning, Patterns};
pub(crate) use thread::{Capture, Opening, Task};

/// How many newlines there are.
fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// The lines, each with its `\n` (but for a last one without).
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newlines_are_counted_also_where_there_is_nothing_else() {
        for length in [0, 1, 254, 255, 256, 1000] {
            assert_eq!(newlines(&vec![b'\n'; length]), length as u64);
            assert_eq!(newlines(&vec![b'x'; length]), 0);
        }
        assert_eq!(newlines(b"a\nb\n\nc"), 3);
        assert_eq!(lines(b"a\n\nb").collect::<Vec<_>>(), [&b"a\n"[..], b"\n", b"b"]);
    }
}
