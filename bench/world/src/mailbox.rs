//! Work for a thread that waits on descriptors: a queue whose sender wakes the thread's epoll.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// The sender's side.
pub(crate) struct Mailbox<T> {
    queue: Sender<T>,
    bell: Arc<EventFd>,
}

/// The thread's side; to be polled for reading.
pub(crate) struct Mail<T> {
    queue: Receiver<T>,
    bell: Arc<EventFd>,
}

/// Both sides.
pub(crate) fn mailbox<T>() -> io::Result<(Mailbox<T>, Mail<T>)> {
    let bell = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
    let (sender, receiver) = channel();
    Ok((Mailbox { queue: sender, bell: bell.clone() }, Mail { queue: receiver, bell }))
}

impl<T> Mailbox<T> {
    /// Puts work in. If the thread is gone, so is the world, and the work with it.
    pub(crate) fn put(&self, work: T) {
        if self.queue.send(work).is_ok() {
            // Only a counter at its maximum could refuse, and then the thread is awake already.
            let _ = self.bell.write(1);
        }
    }
}

impl<T> fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("bell", &self.bell).finish_non_exhaustive()
    }
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), bell: self.bell.clone() }
    }
}

impl<T> Mail<T> {
    /// Takes everything that is in.
    pub(crate) fn take(&self) -> Vec<T> {
        // First the bell: what comes after it rings again.
        let _ = self.bell.read();
        self.queue.try_iter().collect()
    }
}

impl<T> AsFd for Mail<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
