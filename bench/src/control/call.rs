//! A call to a cluster that is up.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use super::{Ask, Done, Request, Word};
use crate::error::BenchError;

/// The longest word that is waited for: a status of a thousand nodes is far below it.
const WORD_MAX: usize = 16 << 20;

/// A connection to the desk of a run.
#[derive(Debug)]
pub(crate) struct Call {
    stream: UnixStream,
    /// The beginning of the line that is not complete yet.
    begun: Vec<u8>,
    next: u64,
}

/// What was heard at once.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// In order.
    pub(crate) words: Vec<Word>,
    /// True if nothing more will come.
    pub(crate) is_over: bool,
}

impl Call {
    /// Over a connection.
    pub(crate) fn over(stream: UnixStream) -> Self {
        Self { stream, begun: Vec::new(), next: 1 }
    }

    /// Asks for something; gives the number of the request, which is part of its answer.
    pub(crate) fn send(&mut self, ask: Ask) -> io::Result<u64> {
        let id = self.next;
        self.next += 1;
        self.stream.write_all(&Request { id, ask }.to_line())?;
        Ok(id)
    }

    /// Waits until something is said, and gives all that has come.
    pub(crate) fn hear(&mut self) -> io::Result<Heard> {
        let mut chunk = [0; 64 * 1024];
        let length = loop {
            match self.stream.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The other side was killed.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break 0,
                read => break read?,
            }
        };
        let mut heard = Heard { words: Vec::new(), is_over: length == 0 };
        for part in chunk[..length].split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(part);
            if self.begun.ends_with(b"\n") {
                heard.words.extend(Word::read(&self.begun));
                self.begun.clear();
            } else if self.begun.len() > WORD_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(heard)
    }

    /// Asks for something and waits until it is done.
    pub(crate) fn ask(&mut self, ask: Ask) -> Result<Done, BenchError> {
        let lost = || {
            BenchError::Environment(
                "the dsbench that held the cluster is gone before it has answered; its guardian kills the nodes".into(),
            )
        };
        let id = self.send(ask).map_err(|_| lost())?;
        loop {
            let heard = self.hear().map_err(|_| lost())?;
            for word in heard.words {
                match word {
                    Word::Done(done) if done.id == id => return Ok(done),
                    Word::Refused { id: of, why } if of == Some(id) || of.is_none() => {
                        return Err(BenchError::Refused(why));
                    }
                    _ => {}
                }
            }
            if heard.is_over {
                return Err(lost());
            }
        }
    }
}

impl AsFd for Call {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
