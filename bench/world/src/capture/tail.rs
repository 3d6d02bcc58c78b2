//! The end of a helper program's output: what a person needs to see why it failed, in bounded memory.

/// How much of each stream is kept.
const TAIL_BYTES: usize = 64 * 1024;

/// The last bytes of a stream.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Tail {
    /// Adds what was read.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
        // Twice the length before anything is moved, so that each byte is moved at most once.
        if self.bytes.len() > 2 * TAIL_BYTES {
            self.cut();
        }
    }

    /// The last 64 KiB, and whether there was more.
    pub(super) fn take(&mut self) -> (Vec<u8>, bool) {
        self.cut();
        (std::mem::take(&mut self.bytes), self.is_cut)
    }

    fn cut(&mut self) {
        if let Some(excess) = self.bytes.len().checked_sub(TAIL_BYTES).filter(|excess| *excess > 0) {
            self.bytes.drain(..excess);
            self.is_cut = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_the_cut_is_told() {
        let mut tail = Tail::default();
        tail.push(b"short");
        assert_eq!(tail.take(), (b"short".to_vec(), false));
        for _ in 0..10 {
            tail.push(&[b'x'; 30_000]);
        }
        tail.push(b"end");
        assert!(tail.bytes.capacity() < 4 * TAIL_BYTES);
        let (bytes, is_cut) = tail.take();
        assert_eq!(bytes.len(), TAIL_BYTES);
        assert!(bytes.ends_with(b"xend") && is_cut);
    }
}
