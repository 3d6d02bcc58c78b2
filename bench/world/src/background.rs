//! A part of dsbench that lives on without a terminal: the process that holds a cluster while people come and go.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, getpid, getppid, setsid};

use crate::error::WorldError;
use crate::process::fork;

/// The hold on a process in the background.
#[derive(Debug)]
pub struct Background {
    pid: Pid,
}

impl Background {
    /// Forks it, in a session of its own: the terminal's Ctrl-C and Ctrl-Z do not reach it. `work` gets one end of a stream, whose other end
    /// is given back, and gives the exit code. Standard output and error stay until it [lets go](let_go_of_terminal) of them. When this
    /// process ends before it, in whatever way, it is asked to end (SIGTERM), unless it [outlives](outlive_parent) it.
    ///
    /// Call it while the process has one thread.
    pub fn fork(work: impl FnOnce(UnixStream) -> u8) -> Result<(Self, UnixStream), WorldError> {
        let failed = |error: io::Error| WorldError::system("go to the background", error);
        let (link, its_link) = UnixStream::pair().map_err(failed)?;
        // The child gets both ends with its memory, and gives up the one that is not its own: else it would never see the other's end.
        let mut ends = (Some(link), Some(its_link));
        let parent = getpid();
        let pid = fork(|| {
            ends.0 = None;
            let is_tied = setsid().and_then(|_| prctl::set_pdeathsig(Signal::SIGTERM)).is_ok() && getppid() == parent;
            match ends.1.take().filter(|_| is_tied) {
                Some(its_link) => i32::from(work(its_link)),
                None => 71,
            }
        })
        .map_err(|errno| failed(errno.into()))?;
        let (Some(link), _) = ends else { unreachable!("only the child gives it up") };
        Ok((Self { pid }, link))
    }

    /// Passes a signal on to it.
    pub fn signal(&self, signal: i32) {
        if let Ok(signal) = Signal::try_from(signal) {
            // It is this process's child and was not waited for: the number is still its own.
            let _ = kill(self.pid, signal);
        }
    }

    /// Waits for its end and gives its exit code; 128 and the number if a signal ended it.
    pub fn wait(&self) -> u8 {
        loop {
            match waitpid(self.pid, None) {
                Ok(WaitStatus::Exited(_, code)) => return u8::try_from(code).unwrap_or(u8::MAX),
                Ok(WaitStatus::Signaled(_, signal, _)) => return u8::try_from(128 + signal as i32).unwrap_or(u8::MAX),
                Ok(_) | Err(Errno::EINTR) => {}
                // Somebody else has reaped it.
                Err(_) => return u8::MAX,
            }
        }
    }
}

/// From now on this process lives on when its parent ends.
pub fn outlive_parent() {
    // It cannot fail: it only clears a number.
    let _ = prctl::set_pdeathsig(None);
}

/// Gives up the terminal, or whatever pipe a shell waits for the end of: nothing is read any more, and what is still said goes to a file.
pub fn let_go_of_terminal(said: &Path) -> io::Result<()> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    let said = OpenOptions::new().create(true).append(true).open(said)?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&said)?;
    Ok(())
}
