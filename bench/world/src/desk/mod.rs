//! The desk: where other processes of the same person speak to a run while it goes on.
//!
//! Callers connect to a [`Socket`], or hold the other end of the stream that the run was started with. The desk moves lines by fixed rules
//! and never chooses: what a caller says comes as [`Happening::Heard`](crate::Happening::Heard), and what it is told is written without
//! ever waiting for it. It lives longer than the world, so that callers can be told how it ended.

mod caller;
mod socket;
mod thread;

use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

pub use self::socket::Socket;
use self::thread::Task;
use crate::clock::Clock;
use crate::error::WorldError;
use crate::mailbox::Mailbox;
use crate::outside::Outside;

/// The longest line that a caller may say.
pub const LINE_HEARD_MAX: usize = 64 * 1024;

/// Names one caller; never used for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallerId(pub u64);

impl CallerId {
    /// The caller with whom the desk was opened.
    pub const OWNER: Self = Self(0);
}

/// Where callers come from.
#[derive(Debug, Default)]
pub struct DeskConfig {
    /// Where they connect, non-blocking.
    pub listener: Option<UnixListener>,
    /// One that is there from the beginning: [`CallerId::OWNER`].
    pub owner: Option<UnixStream>,
}

/// The hold on the desk's thread. Dropping it ends the thread and every call.
#[derive(Debug)]
pub struct Desk {
    mailbox: Mailbox<Task>,
    thread: Option<JoinHandle<()>>,
}

impl Desk {
    pub(crate) fn open(clock: Clock, config: DeskConfig, outbox: SyncSender<Outside>) -> Result<Self, WorldError> {
        let (mailbox, thread) = thread::start(clock, config, outbox)
            .map_err(|error| WorldError::system("open the desk for other terminals", error))?;
        Ok(Self { mailbox, thread: Some(thread) })
    }

    /// Says a line (with its newline) to a caller. One that lets too much wait is hung up on.
    pub fn tell(&self, to: CallerId, line: Vec<u8>) {
        self.mailbox.put(Task::Tell { to, line, may_be_left_out: false });
    }

    /// The same for a line without which the caller can live: left out while much waits for it.
    pub fn mention(&self, to: CallerId, line: Vec<u8>) {
        self.mailbox.put(Task::Tell { to, line, may_be_left_out: true });
    }

    /// Ends a call when all that was told is read.
    pub fn hang_up(&self, on: CallerId) {
        self.mailbox.put(Task::HangUp(on));
    }

    /// From now on nobody listens to callers: the world is over.
    pub(crate) fn deafen(&self) {
        self.mailbox.put(Task::Deafen);
    }

    /// Ends all calls when all that was told is read, or the bound is over; tells everyone `last` before that.
    pub fn close(mut self, last: Vec<u8>, bound: Duration) {
        self.mailbox.put(Task::Close { last, bound });
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Its panic has been told, and its calls are over.
            let _ = thread.join();
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.mailbox.put(Task::Close { last: Vec::new(), bound: Duration::ZERO });
        self.join();
    }
}
