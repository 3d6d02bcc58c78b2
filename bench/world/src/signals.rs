//! Signals to dsbench itself: SIGINT, SIGTERM and SIGHUP become part of the one stream of outside events.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::error::WorldError;

/// The signals that end a run, held back from their default action (which is to die at once, leaving the clean-up to the guardian).
#[derive(Debug)]
pub struct Signals {
    before: SigSet,
}

impl Signals {
    /// Blocks them in this thread and in all that it starts from now on; so: first thing in `main`, before any thread.
    pub fn block() -> Result<Self, WorldError> {
        let before = Self::set()
            .thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)
            .map_err(|errno| WorldError::system("block signals", errno))?;
        Ok(Self { before })
    }

    /// The number of a signal that has come and that nothing has read yet; it is read by this.
    pub fn take_pending() -> Option<i32> {
        let pending = SignalFd::with_flags(&Self::set(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK);
        let read = pending.and_then(|fd| fd.read_signal());
        read.ok().flatten().and_then(|signal| i32::try_from(signal.ssi_signo).ok())
    }

    /// The set.
    pub(crate) fn set() -> SigSet {
        [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect()
    }
}

impl Drop for Signals {
    /// Lets them act again (in this thread): with the world gone, dying at once is right.
    fn drop(&mut self) {
        // Nothing useful can be done if this fails, and it cannot: the mask is one that was in force before.
        let _ = self.before.thread_set_mask();
    }
}

/// A signal's name for people (`SIGKILL`), or its number (`signal 34`).
pub fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names() {
        assert_eq!(signal_name(9), "SIGKILL");
        assert_eq!(signal_name(40), "signal 40");
    }

    #[test]
    fn a_signal_that_came_while_nobody_listened_is_taken_once() {
        let _blocked = Signals::block().unwrap();
        assert_eq!(Signals::take_pending(), None);
        // To this thread alone: the tests of others go on.
        nix::sys::signal::raise(Signal::SIGHUP).unwrap();
        assert_eq!(Signals::take_pending(), Some(1));
        assert_eq!(Signals::take_pending(), None);
    }
}
