//! Signals to the process that has the terminal, as something to be read.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Holds them back from their default actions.
#[derive(Debug)]
pub(super) struct Signals(SignalFd);

impl Signals {
    /// Those that ask for an end, and `more`. For a process of one thread.
    pub(super) fn catch(more: &[Signal]) -> nix::Result<Self> {
        let ends = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
        let set: SigSet = ends.iter().chain(more).copied().collect();
        set.thread_block()?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// The next one that has come.
    pub(super) fn next(&self) -> Option<Signal> {
        loop {
            match self.0.read_signal() {
                Ok(Some(info)) => return Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok(),
                Err(Errno::EINTR) => {}
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
