//! Standard input of one life: written without ever waiting for the node.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use dsbench_core::time::RunTime;
use nix::errno::Errno;
use nix::unistd::write;

use crate::outside::InputId;

/// How much may wait for a node that does not read (beside the 64 KiB in its pipe).
const PENDING_BYTES_MAX: usize = 1 << 20;
/// How long a node may read nothing while something waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of one input.
pub(super) type Written = (InputId, Result<(), String>);

/// The writing end and what waits for it.
#[derive(Debug)]
pub(super) struct Input {
    pipe: OwnedFd,
    waiting: VecDeque<(InputId, Vec<u8>)>,
    waiting_bytes: usize,
    /// How much of the first one is written.
    written: usize,
    /// When the node last read something, or had nothing to read.
    progress_at: RunTime,
    /// Why nothing more can be written.
    broken: Option<String>,
}

impl Input {
    /// A pipe that does not block.
    pub(super) fn new(pipe: OwnedFd, now: RunTime) -> Self {
        Self { pipe, waiting: VecDeque::new(), waiting_bytes: 0, written: 0, progress_at: now, broken: None }
    }

    /// True while something waits for room in the pipe.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When it will be given up if the node goes on not reading.
    pub(super) fn deadline(&self) -> Option<RunTime> {
        self.is_waiting().then(|| self.progress_at + PATIENCE)
    }

    /// Adds an input and writes what can be written.
    pub(super) fn push(&mut self, id: InputId, bytes: Vec<u8>, now: RunTime) -> Vec<Written> {
        if let Some(why) = &self.broken {
            return vec![(id, Err(why.clone()))];
        }
        if self.waiting_bytes + bytes.len() > PENDING_BYTES_MAX && self.is_waiting() {
            return vec![(id, Err(format!("it does not read its standard input ({} bytes wait)", self.waiting_bytes)))];
        }
        if !self.is_waiting() {
            self.progress_at = now;
        }
        self.waiting_bytes += bytes.len();
        self.waiting.push_back((id, bytes));
        self.write(now)
    }

    /// Writes until the pipe is full or nothing waits; gives what is done.
    pub(super) fn write(&mut self, now: RunTime) -> Vec<Written> {
        let mut done = Vec::new();
        while let Some((id, bytes)) = self.waiting.front() {
            if self.written == bytes.len() {
                done.push((*id, Ok(())));
                self.written = 0;
                self.waiting.pop_front();
                continue;
            }
            match write(&self.pipe, &bytes[self.written..]) {
                Ok(length) => {
                    self.written += length;
                    self.waiting_bytes -= length;
                    self.progress_at = now;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(_) => {
                    done.extend(self.give_up("it has closed its standard input"));
                    break;
                }
            }
        }
        done
    }

    /// Fails everything that waits. Later input fails too: it would continue a line that was cut.
    pub(super) fn give_up(&mut self, why: &str) -> Vec<Written> {
        self.broken = Some(why.to_owned());
        self.waiting_bytes = 0;
        self.waiting.drain(..).map(|(id, _)| (id, Err(why.to_owned()))).collect()
    }

    /// Fails everything that waits if the node has read nothing for too long.
    pub(super) fn check_patience(&mut self, now: RunTime) -> Vec<Written> {
        match self.deadline() {
            Some(deadline) if now >= deadline => {
                let why =
                    format!("it does not read its standard input ({} bytes wait for {PATIENCE:?})", self.waiting_bytes);
                self.give_up(&why)
            }
            _ => Vec::new(),
        }
    }
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;
    use nix::unistd::{pipe2, read};

    fn pair() -> (OwnedFd, Input) {
        let (reader, writer) = pipe2(OFlag::O_NONBLOCK).unwrap();
        (reader, Input::new(writer, RunTime::START))
    }

    fn at(seconds: u64) -> RunTime {
        Duration::from_secs(seconds).into()
    }

    #[test]
    fn inputs_are_written_in_order_as_the_node_reads() {
        let (reader, mut input) = pair();
        assert_eq!(input.push(InputId(1), b"one\n".to_vec(), at(0)), [(InputId(1), Ok(()))]);
        assert_eq!(input.push(InputId(2), vec![b'x'; 100_000], at(1)), []);
        assert_eq!(input.push(InputId(3), b"end\n".to_vec(), at(1)), []);
        let mut seen = Vec::new();
        let mut done = Vec::new();
        let mut buffer = [0; 50_000];
        while let Ok(length) = read(&reader, &mut buffer) {
            seen.extend_from_slice(&buffer[..length]);
            done.extend(input.write(at(2)));
        }
        assert_eq!(done, [(InputId(2), Ok(())), (InputId(3), Ok(()))]);
        assert_eq!(seen.len(), 100_008);
        assert!(seen.starts_with(b"one\nxx") && seen.ends_with(b"xend\n"));
        assert_eq!(input.deadline(), None);
    }

    #[test]
    fn a_node_that_does_not_read_is_given_up_after_a_bound_in_bytes_and_in_time() {
        let (_reader, mut input) = pair();
        assert_eq!(input.push(InputId(1), vec![b'x'; PENDING_BYTES_MAX], at(0)), []);
        let refused = input.push(InputId(2), vec![b'x'; PENDING_BYTES_MAX], at(1));
        assert!(matches!(&refused[..], [(InputId(2), Err(why))] if why.contains("does not read")));
        assert_eq!(input.check_patience(at(4)), []);
        assert!(matches!(&input.check_patience(at(5))[..], [(InputId(1), Err(_))]));
        assert!(matches!(&input.push(InputId(3), vec![], at(6))[..], [(InputId(3), Err(_))]));
    }

    #[test]
    fn a_closed_standard_input_is_told() {
        let (reader, mut input) = pair();
        drop(reader);
        let told = input.push(InputId(1), b"x".to_vec(), at(0));
        assert_eq!(told, [(InputId(1), Err("it has closed its standard input".to_owned()))]);
    }
}
