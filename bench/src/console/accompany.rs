//! A run that is made by another process because its cluster may outlive it: this one has the terminal, passes signals on, and waits.

use std::os::fd::AsFd;

use dsbench_world::Background;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::signals::Signals;
use crate::control::Word;
use crate::control::call::Call;
use crate::error::BenchError;

/// How it went.
#[derive(Debug)]
pub(crate) enum Accompanied {
    /// The other process has ended, and so has everything of the runs.
    Over,
    /// A run did not pass, and its cluster is up. With the run's exit code.
    Kept(Call, u8),
}

/// Waits until the runs are over, or one is kept.
pub(crate) fn accompany(mut call: Call, runs: &Background) -> Result<Accompanied, BenchError> {
    let signals =
        Signals::catch(&[]).map_err(|errno| BenchError::Environment(format!("signals cannot be caught: {errno}")))?;
    loop {
        let mut fds = [PollFd::new(call.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::NONE) == Err(Errno::EINTR) {
            continue;
        }
        let has_words = fds[0].any().unwrap_or(true);
        while let Some(signal) = signals.next() {
            // The terminal's Ctrl-C reaches only this process.
            runs.signal(signal as i32);
        }
        if !has_words {
            continue;
        }
        let heard = call.hear().map_err(BenchError::file("hear", "the run"))?;
        for word in heard.words {
            if let Word::Kept { code } = word {
                return Ok(Accompanied::Kept(call, code));
            }
        }
        if heard.is_over {
            return Ok(Accompanied::Over);
        }
    }
}
