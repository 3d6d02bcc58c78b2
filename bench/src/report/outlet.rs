//! Standard output for a machine that reads along, standard error for people who watch a run. A thread of its own writes, so that a reader that is slow, stuck or gone never holds up
//! a run.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use dsbench_world::Signals;

use crate::error::BenchError;

/// So much may wait for the reader before what can be left out is left out.
const ROOM: usize = 32 * 1024 * 1024;

/// How long an outlet that nobody closed (a bug elsewhere) waits for its reader.
const PATIENCE: Duration = Duration::from_secs(2);

/// The way to the reader. Lines come out in the order in which they were sent, as soon as the reader takes them.
#[derive(Debug)]
pub struct Outlet {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// What was taken out of `waiting` is on its way to the reader.
    is_writing: bool,
    is_closed: bool,
    is_done: bool,
    failure: Option<io::Error>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while they hold it")
    }
}

impl Outlet {
    /// To this process's standard output.
    pub fn stdout() -> Result<Self, BenchError> {
        Self::of(&io::stdout(), "stdout").map_err(BenchError::file("open", "standard output"))
    }

    /// To this process's standard error.
    pub(super) fn stderr() -> io::Result<Self> {
        Self::of(&io::stderr(), "stderr")
    }

    fn of(stream: &impl AsFd, name: &str) -> io::Result<Self> {
        let out = File::from(stream.as_fd().try_clone_to_owned()?);
        // Signals are the driver's: a thread that does not block them would die of them at once, and the run with it.
        let _blocked = Signals::block().map_err(io::Error::other)?;
        Self::to(out, name)
    }

    fn to(mut out: impl Write + Send + 'static, name: &str) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let its = Arc::clone(&shared);
        let writer = std::thread::Builder::new().name(name.into()).spawn(move || its.write_to(&mut out))?;
        Ok(Self { shared, writer: Some(writer) })
    }

    /// Sends a line, without its end.
    pub(crate) fn send(&self, line: &str) {
        self.send_all(&[line, "\n"]);
    }

    /// Sends a text as it is.
    pub(super) fn send_text(&self, text: &str) {
        self.send_all(&[text]);
    }

    fn send_all(&self, texts: &[&str]) {
        let mut state = self.shared.state();
        if state.failure.is_some() {
            return;
        }
        texts.iter().for_each(|text| state.waiting.extend_from_slice(text.as_bytes()));
        self.shared.changed.notify_all();
    }

    /// True if the reader has everything that was sent.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.shared.state();
        state.waiting.is_empty() && !state.is_writing
    }

    /// False if the reader is so far behind that what can be left out should be.
    pub(crate) fn has_room(&self) -> bool {
        self.shared.state().waiting.len() < ROOM
    }

    /// Waits until the reader has everything. Gives why it has not; a reader that left had enough.
    pub(crate) fn close(&mut self) -> Option<io::Error> {
        let writer = self.writer.take()?;
        self.shared.end();
        // A panic of the thread has been told by then.
        let _ = writer.join();
        self.shared.state().failure.take().filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        if self.writer.is_some() {
            self.shared.end();
            let state = self.shared.state();
            let _ = self.shared.changed.wait_timeout_while(state, PATIENCE, |state| !state.is_done);
        }
    }
}

impl Shared {
    fn end(&self) {
        self.state().is_closed = true;
        self.changed.notify_all();
    }

    fn write_to(&self, out: &mut impl Write) {
        while let Some(chunk) = self.next_chunk() {
            if let Err(error) = out.write_all(&chunk).and_then(|()| out.flush()) {
                let mut state = self.state();
                (state.failure, state.waiting) = (Some(error), Vec::new());
                break;
            }
        }
        self.state().is_done = true;
        self.changed.notify_all();
    }

    /// Everything that waits; none once nothing more comes.
    fn next_chunk(&self) -> Option<Vec<u8>> {
        let idle = |state: &mut State| state.waiting.is_empty() && !state.is_closed;
        let mut state = self.state();
        state.is_writing = false;
        let mut state = self.changed.wait_while(state, idle).expect("nobody panics while they hold it");
        state.is_writing = !state.waiting.is_empty();
        Some(std::mem::take(&mut state.waiting)).filter(|chunk| !chunk.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::{File, Outlet, ROOM, Write, io};

    /// Takes a write only when it is allowed to.
    struct Reluctant {
        allowed: Receiver<()>,
        taken: Sender<Vec<u8>>,
    }

    impl Write for Reluctant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.allowed.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            let _ = self.taken.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_does_not_read_holds_nobody_up_and_then_gets_everything_in_order() {
        let ((allow, allowed), (taken, lines)) = (channel(), channel());
        let mut outlet = Outlet::to(Reluctant { allowed, taken }, "test").unwrap();
        for number in 0..1000 {
            outlet.send(&number.to_string());
        }
        assert!(outlet.has_room() && !outlet.is_idle());
        outlet.send(&"x".repeat(2 * ROOM));
        assert!(!outlet.has_room(), "the first chunk at most has been taken by the thread");
        for _ in 0..1002 {
            allow.send(()).unwrap();
        }
        assert!(outlet.close().is_none());
        let text = String::from_utf8(lines.try_iter().flatten().collect()).unwrap();
        let numbers: Vec<usize> = text.lines().take(1000).map(|line| line.parse().unwrap()).collect();
        assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
        assert_eq!(text.lines().nth(1000).map(str::len), Some(2 * ROOM));
    }

    #[test]
    fn a_reader_that_leaves_has_had_enough_and_a_full_disk_is_told() {
        let ((allow, allowed), (taken, _)) = (channel(), channel());
        drop(allow);
        let mut outlet = Outlet::to(Reluctant { allowed, taken }, "test").unwrap();
        outlet.send("one");
        assert!(outlet.close().is_none());
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut outlet = Outlet::to(full, "test").unwrap();
        outlet.send("one");
        assert_eq!(outlet.close().unwrap().kind(), io::ErrorKind::StorageFull);
    }
}
