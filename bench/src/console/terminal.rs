//! The terminal as it is needed here - key by key, or line by line with a key to leave - and back to what it was in whatever way this ends.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::termios::{InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use nix::unistd::getpid;

/// How it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Key by key, without editing and without echo.
    Keys,
    /// Line by line, edited and shown by the terminal itself; [`LEAVE`] ends a line too.
    Lines,
}

/// Ctrl-]
pub(super) const LEAVE: u8 = 0x1d;

/// The terminal of standard input. Dropping it (a return, a panic) gives it back as it was.
#[derive(Debug)]
pub(super) struct Keyboard {
    input: File,
    before: Termios,
    how: How,
}

impl Keyboard {
    /// Takes it.
    pub(super) fn take(how: How) -> io::Result<Self> {
        let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let before = tcgetattr(&input)?;
        let keyboard = Self { input, before, how };
        keyboard.set_up()?;
        Ok(keyboard)
    }

    fn set_up(&self) -> io::Result<()> {
        let mut settings = self.before.clone();
        match self.how {
            How::Keys => key_by_key(&mut settings),
            How::Lines => settings.control_chars[SpecialCharacterIndices::VEOL as usize] = LEAVE,
        }
        Ok(tcsetattr(&self.input, SetArg::TCSADRAIN, &settings)?)
    }

    /// Gives it back.
    fn give_back(&self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(&self.input, SetArg::TCSADRAIN, &self.before);
    }

    /// Takes it again: whoever had it meanwhile may have left it in any state.
    pub(super) fn take_again(&self) {
        let _ = self.set_up();
    }

    /// Ctrl-Z: stops this process as the shell expects it, and returns when it goes on.
    pub(super) fn suspend(&self) {
        self.give_back();
        let stop: SigSet = [Signal::SIGTSTP].into_iter().collect();
        // Its default action, which does nothing where no shell could continue the process.
        if stop.thread_unblock().is_ok() {
            let _ = kill(getpid(), Signal::SIGTSTP);
            let _ = stop.thread_block();
        }
        self.take_again();
    }

    /// What was typed; empty at the end of input (the terminal is gone).
    pub(super) fn read(&mut self) -> Vec<u8> {
        let mut bytes = [0; 4096];
        loop {
            match self.input.read(&mut bytes) {
                Ok(length) => return bytes[..length].to_vec(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Vec::new(),
            }
        }
    }
}

impl AsFd for Keyboard {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.give_back();
    }
}

fn key_by_key(settings: &mut Termios) {
    // Signals stay: Ctrl-C and Ctrl-Z are signals to this process, whoever sends them. Output stays as it is, so that whatever is
    // printed, also a panic, looks right.
    settings.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::IEXTEN);
    // Ctrl-S would freeze the screen, and nobody would know why.
    settings.input_flags.remove(InputFlags::IXON | InputFlags::ICRNL);
    settings.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
    settings.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
}
