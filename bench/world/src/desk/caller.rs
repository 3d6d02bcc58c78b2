//! One caller: the lines that it says, and what waits to be read by it.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::sys::epoll::EpollFlags;

use super::LINE_HEARD_MAX;

/// More than this is not held for a caller that does not read.
const WAITING_MAX: usize = 4 << 20;
/// From here on it is spared what it can live without, and not listened to.
const WAITING_MUCH: usize = 256 * 1024;
/// How much is read from one caller before the others have their turn.
const READ_BYTES: usize = 16 * 1024;

/// What came from a caller.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// A line, without its newline.
    Line(Vec<u8>),
    /// More than a line may be long; nothing that follows is read.
    TooMuch,
    /// Nothing more will come.
    End,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Caller {
    stream: UnixStream,
    /// The beginning of the line that is not complete yet.
    begun: Vec<u8>,
    /// Told, not read yet.
    waiting: Vec<u8>,
    /// True once nothing more is read from it.
    pub(super) has_ended: bool,
    /// True if it is hung up on as soon as nothing waits.
    pub(super) is_leaving: bool,
    /// What epoll was asked for.
    pub(super) polled: EpollFlags,
}

impl Caller {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let (begun, waiting) = (Vec::new(), Vec::new());
        Ok(Self { stream, begun, waiting, has_ended: false, is_leaving: false, polled: EpollFlags::EPOLLIN })
    }

    /// What to wait for.
    pub(super) fn interest(&self) -> EpollFlags {
        let mut interest = EpollFlags::empty();
        interest.set(EpollFlags::EPOLLIN, !self.has_ended && self.waiting.len() < WAITING_MUCH);
        interest.set(EpollFlags::EPOLLOUT, !self.waiting.is_empty());
        interest
    }

    /// True if there is nothing left to do for it.
    pub(super) fn is_done(&self) -> bool {
        self.is_leaving && self.waiting.is_empty()
    }

    /// Reads once; an error means that it is gone.
    pub(super) fn read(&mut self) -> io::Result<Vec<Said>> {
        let mut chunk = [0; READ_BYTES];
        let length = match self.stream.read(&mut chunk) {
            Ok(length) => length,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        if length == 0 {
            self.has_ended = true;
            return Ok(vec![Said::End]);
        }
        Ok(self.take(&chunk[..length]))
    }

    fn take(&mut self, chunk: &[u8]) -> Vec<Said> {
        let mut said = Vec::new();
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(part);
            if self.begun.len() > LINE_HEARD_MAX {
                self.has_ended = true;
                self.begun = Vec::new();
                said.push(Said::TooMuch);
                break;
            }
            if self.begun.ends_with(b"\n") {
                self.begun.pop();
                said.push(Said::Line(std::mem::take(&mut self.begun)));
            }
        }
        said
    }

    /// Adds a line and writes what can be written; an error means that it is gone, or lets too much wait.
    pub(super) fn tell(&mut self, line: &[u8], may_be_left_out: bool) -> io::Result<()> {
        if self.is_leaving || (may_be_left_out && self.waiting.len() > WAITING_MUCH) {
            return Ok(());
        }
        if self.waiting.len() + line.len() > WAITING_MAX {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.waiting.extend_from_slice(line);
        self.write()
    }

    /// Writes what can be written.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let mut written = 0;
        let result = loop {
            if written == self.waiting.len() {
                break Ok(());
            }
            match self.stream.write(&self.waiting[written..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => written += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.waiting.drain(..written);
        result
    }
}

impl AsFd for Caller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Caller, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Caller::new(ours).unwrap(), theirs)
    }

    #[test]
    fn lines_are_heard_however_they_come() {
        let (mut caller, mut theirs) = pair();
        let mut heard = Vec::new();
        for piece in ["one\ntw", "o", "\n\nunfinish"] {
            theirs.write_all(piece.as_bytes()).unwrap();
            heard.extend(caller.read().unwrap());
        }
        drop(theirs);
        heard.extend(caller.read().unwrap());
        let line = |text: &str| Said::Line(text.into());
        assert_eq!(heard, [line("one"), line("two"), line(""), Said::End]);
    }

    #[test]
    fn a_line_without_end_is_cut_off_and_not_held() {
        let (mut caller, mut theirs) = pair();
        theirs.set_nonblocking(true).unwrap();
        let mut heard = Vec::new();
        while !caller.has_ended {
            let _ = theirs.write(&[b'x'; 4096]);
            heard.extend(caller.read().unwrap());
            assert!(caller.begun.len() <= LINE_HEARD_MAX + READ_BYTES);
        }
        assert_eq!(heard, [Said::TooMuch]);
        assert!(!caller.interest().contains(EpollFlags::EPOLLIN));
    }

    #[test]
    fn one_that_does_not_read_misses_what_it_can_live_without_and_is_then_hung_up_on() {
        let (mut caller, _theirs) = pair();
        while caller.waiting.len() <= WAITING_MUCH {
            caller.tell(&[b'x'; 10_000], true).unwrap();
        }
        let waiting = caller.waiting.len();
        caller.tell(b"news\n", true).unwrap();
        assert_eq!(caller.waiting.len(), waiting);
        assert!(!caller.interest().contains(EpollFlags::EPOLLIN), "it is not listened to meanwhile");
        let gone = (0..2000).find_map(|_| caller.tell(&[b'x'; 10_000], false).err());
        assert_eq!(gone.unwrap().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn what_was_told_is_read_before_the_call_ends() {
        let (mut caller, mut theirs) = pair();
        while caller.waiting.is_empty() {
            caller.tell(&[b'x'; 10_000], false).unwrap();
        }
        caller.is_leaving = true;
        let mut total = 0;
        let mut buffer = vec![0; 1 << 20];
        while !caller.is_done() {
            total += theirs.read(&mut buffer).unwrap();
            caller.write().unwrap();
        }
        drop(caller);
        let mut rest = Vec::new();
        theirs.read_to_end(&mut rest).unwrap();
        assert_eq!((total + rest.len()) % 10_000, 0);
    }
}
