//! Reads a segment from a frame on, and tells how it ends.
//!
//! What was written last before a crash may be there in part, in any order of its pages: nobody was told that it is durable, and it is
//! cut off (a torn tail). What was durable is never cut off. The frames themselves tell the two apart: each says how far the segment was
//! durable when it was written, so that a whole frame behind a bad place shows whether that place had been durable.

use std::io;
use std::sync::Arc;

use super::frame::{self, BODY_MAX, Flaw, Frame, HEADER, MAGIC};
use super::medium::Blob;

/// Walks one segment, front to back, with a bounded buffer.
#[derive(Debug)]
pub(super) struct Walk {
    blob: Arc<dyn Blob>,
    segment: u64,
    /// Where the next frame is.
    at: u64,
    chunk: usize,
    /// The bytes from `base` on.
    buffer: Vec<u8>,
    base: u64,
}

/// What stands where the next frame would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing, or room that was never written.
    Clean,
    /// The rest of a write that a crash cut short: so many bytes.
    Torn {
        /// Up to the last byte that is not zero.
        bytes: u64,
    },
    /// What had been durable is there no more.
    Damaged {
        /// Why the bytes there are no frame.
        reason: &'static str,
    },
}

/// A step of the walk.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// A frame, and where it begins.
    Frame(u64, Frame<&'a [u8]>),
    /// No more frames.
    End,
}

impl Walk {
    /// From `at` on, reading `chunk` bytes at a time.
    pub(super) fn new(blob: Arc<dyn Blob>, segment: u64, at: u64, chunk: usize) -> Self {
        Self { blob, segment, at, chunk, buffer: Vec::new(), base: at }
    }

    pub(super) fn segment(&self) -> u64 {
        self.segment
    }

    /// Where the next frame is or would be.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Goes on at `at`, in the bytes that are already read where it is among them.
    pub(super) fn seek(&mut self, at: u64) {
        self.at = at;
    }

    /// The next frame.
    pub(super) fn next(&mut self) -> io::Result<Step<'_>> {
        let at = self.at;
        let Ok(Frame { kind, durable, index, term, body: length }) = self.look(at)? else { return Ok(Step::End) };
        self.at += (HEADER + length) as u64;
        let body = &self.bytes(at, HEADER + length)?[HEADER..];
        Ok(Step::Frame(at, Frame { kind, durable, index, term, body }))
    }

    /// What stands where [`next`](Self::next) found no frame.
    pub(super) fn end(&mut self) -> io::Result<End> {
        let bad = self.at;
        let Err(flaw) = self.look(bad)? else { return Ok(End::Clean) };
        let (mut at, mut last) = (bad, bad);
        loop {
            let window = self.bytes(at, self.chunk)?;
            if window.is_empty() {
                break;
            }
            let whole = window.len();
            let written = window.chunks(64).rposition(|bytes| bytes.iter().any(|&byte| byte != 0));
            if let Some(chunk) = written {
                let end = whole.min((chunk + 1) * 64);
                let position = window[..end].iter().rposition(|&byte| byte != 0).unwrap_or_default();
                last = at + position as u64 + 1;
            }
            // The last three bytes may be the beginning of a frame that the next window shows.
            let next = at + (whole.saturating_sub(MAGIC.len() - 1)).max(1) as u64;
            if written.is_none() {
                at = next;
                continue;
            }
            let candidates: Vec<u64> = (window.windows(MAGIC.len()).enumerate())
                .filter(|(_, bytes)| *bytes == MAGIC)
                .map(|(position, _)| at + position as u64)
                .collect();
            for candidate in candidates.into_iter().filter(|&candidate| candidate > bad) {
                if self.look(candidate)?.is_ok_and(|frame| frame.durable > bad) {
                    let reason = match flaw {
                        Flaw::Wrong(reason) => reason,
                        Flaw::Short(_) => "it is longer than the file",
                    };
                    return Ok(End::Damaged { reason });
                }
            }
            at = next;
        }
        Ok(if last == bad { End::Clean } else { End::Torn { bytes: last - bad } })
    }

    /// The frame at `at`, with the length of its body, or why there is none.
    fn look(&mut self, at: u64) -> io::Result<Result<Frame<usize>, Flaw>> {
        let segment = self.segment;
        let mut wanted = HEADER;
        loop {
            let bytes = self.bytes(at, wanted)?;
            match frame::read(bytes, segment, at) {
                Ok(frame) => return Ok(Ok(frame.map(<[u8]>::len))),
                // There is no more in the file than was asked for before.
                Err(Flaw::Short(needed)) if bytes.len() < wanted || needed <= wanted => {
                    return Ok(Err(Flaw::Short(needed)));
                }
                Err(Flaw::Short(needed)) => wanted = needed,
                Err(wrong) => return Ok(Err(wrong)),
            }
        }
    }

    /// Up to `wanted` bytes from `at` on; fewer only at the end of the file.
    fn bytes(&mut self, at: u64, wanted: usize) -> io::Result<&[u8]> {
        debug_assert!(wanted <= (HEADER + BODY_MAX).max(self.chunk), "the buffer is bounded");
        let from = usize::try_from(at.wrapping_sub(self.base)).ok().filter(|from| from + wanted <= self.buffer.len());
        let from = match from {
            Some(from) if at >= self.base => from,
            _ => {
                let left = usize::try_from(self.blob.len()?.saturating_sub(at)).unwrap_or(usize::MAX);
                let size = wanted.max(self.chunk).min(left);
                self.buffer.resize(size, 0);
                let read = self.blob.read_at(&mut self.buffer, at)?;
                self.buffer.truncate(read);
                self.base = at;
                0
            }
        };
        let end = self.buffer.len().min(from + wanted);
        Ok(&self.buffer[from..end])
    }
}
