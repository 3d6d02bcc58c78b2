//! The output of one program: its two pipes, and what becomes of what they carry.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use dsbench_core::observation::{Name, Nanos};
use dsbench_core::time::RunTime;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::unistd::read;

use super::stream::{Arrival, LineStream, Sink};
use super::tail::Tail;
use super::view::View;
use crate::clock::Clock;
use crate::outside::{Happening, Outside};

/// How much is read from one pipe before the others have their turn.
pub(super) const CHUNK_BYTES: usize = 256 * 1024;

/// Where the bytes of a pipe go.
pub(super) enum Into {
    /// A node's log.
    Log(Box<LineStream>),
    /// A helper program's tail.
    Tail(Tail),
}

/// Where the results of all streams go.
pub(super) struct Sinks<'a> {
    pub(super) views: &'a mut BTreeMap<Name, View>,
    pub(super) emit: &'a mut dyn FnMut(Outside),
}

impl Sinks<'_> {
    /// Lets a stream use them; then tells which of its files has failed.
    pub(super) fn with(
        &mut self,
        stream: &mut LineStream,
        at: RunTime,
        act: impl FnOnce(&mut LineStream, &mut Sink<'_>),
    ) {
        let view = self.views.get_mut(&stream.life().node).expect("a node's view is created before its streams");
        act(stream, &mut Sink { view, emit: self.emit });
        for (file, why) in [stream.take_failure(), view.take_failure()].into_iter().flatten() {
            (self.emit)(Outside { at, what: Happening::LogLost { file, why } });
        }
    }
}

/// One pipe.
pub(super) struct Pipe {
    /// The reading end; none once it has ended.
    pub(super) end: Option<OwnedFd>,
    /// True once its program has started: only then is it looked at.
    pub(super) is_polled: bool,
    pub(super) into: Into,
    /// It was seen empty at this time.
    pub(super) empty_at: RunTime,
}

/// What a read came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// There may be more.
    More,
    /// Nothing is in the pipe.
    Drained,
    /// It has ended.
    Ended,
}

impl Pipe {
    /// Reads once, at most a chunk.
    pub(super) fn read(&mut self, buffer: &mut [u8], clock: &Clock, sinks: &mut Sinks<'_>) -> Progress {
        let Some(pipe) = &self.end else { return Progress::Ended };
        let before = clock.now();
        let length = match read(pipe, buffer) {
            Ok(0) => return self.close(clock, sinks),
            Ok(length) => length,
            Err(Errno::EINTR) => return Progress::More,
            Err(Errno::EAGAIN) => {
                self.empty_at = before;
                return Progress::Drained;
            }
            // Pipes do not fail; if one did, its end is all that can be told.
            Err(_) => return self.close(clock, sinks),
        };
        let at = clock.now();
        let arrival = Arrival { at, uncertainty: nanos_between(self.empty_at, at) };
        match &mut self.into {
            Into::Log(stream) => sinks.with(stream, at, |stream, sink| stream.push(&buffer[..length], arrival, sink)),
            Into::Tail(tail) => tail.push(&buffer[..length]),
        }
        // A pipe gives less than it is asked for only when it has no more. And when it cannot hold more than was read, then all that it
        // held is read, and what comes next was written later - unless the program has enlarged its pipe.
        let is_drained = length < buffer.len();
        if is_drained || capacity(pipe) <= buffer.len() {
            self.empty_at = before;
        }
        if is_drained { Progress::Drained } else { Progress::More }
    }

    /// Gives up the pipe and completes its last line.
    pub(super) fn close(&mut self, clock: &Clock, sinks: &mut Sinks<'_>) -> Progress {
        if self.end.take().is_some()
            && let Into::Log(stream) = &mut self.into
        {
            let at = clock.now();
            let arrival = Arrival { at, uncertainty: nanos_between(self.empty_at, at) };
            sinks.with(stream, at, |stream, sink| stream.end(arrival, sink));
        }
        Progress::Ended
    }
}

/// How many bytes a pipe can hold.
fn capacity(pipe: &OwnedFd) -> usize {
    fcntl(pipe, FcntlArg::F_GETPIPE_SZ).ok().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX)
}

fn nanos_between(earlier: RunTime, later: RunTime) -> Nanos {
    Nanos(later.0.saturating_sub(earlier.0))
}
