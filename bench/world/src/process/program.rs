//! Executing one program: what happens between fork and exec, and what to tell people when it does not work.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::stat;
use nix::unistd::{
    Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, execve, getpid, getppid, pipe2, read, setsid, write,
};

use super::seat::Seat;
use super::spec::Program;
use super::sys;
use crate::error::is_exhausted;

/// A program on its way to exec.
#[derive(Debug)]
pub(super) struct Starting {
    /// Its process, as its keeper sees it.
    pub(super) pid: Pid,
    /// Carries its number as dsbench sees it; then ends when exec has worked, or carries a [`Failure`].
    pub(super) failure: OwnedFd,
    /// What came so far.
    said: Vec<u8>,
}

/// Where it failed, as two numbers on the pipe: a forked child should not do more than write them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    at: Step,
    errno: i32,
}

/// What a child does before exec, by what people would have to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Exec,
    Directory,
    User,
}

/// Forks and executes; never waits.
pub(super) fn start(program: &Program, stdio: &[OwnedFd; 3], seat: Option<&Seat>) -> io::Result<Starting> {
    let ready = Ready::new(program)?;
    let keeper = getpid();
    let (failure, fails) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    if let Some(seat) = seat {
        seat.choose_pid();
    }
    let pid = sys::fork(|| {
        let pid = seat.map_or_else(|| Ok(getpid()), Seat::pid).unwrap_or_else(|_| getpid());
        let _ = write(&fails, &pid.as_raw().to_ne_bytes());
        let failure = ready.execute(stdio, keeper, seat);
        let bytes = [failure.at as i32, failure.errno].map(i32::to_ne_bytes).concat();
        // If this fails too, the keeper sees code 127 without a reason.
        let _ = write(&fails, &bytes);
        127
    })?;
    Ok(Starting { pid, failure, said: Vec::new() })
}

impl Starting {
    /// Its number as dsbench sees it, and why it was not executed; none until that is known.
    pub(super) fn hear(&mut self) -> Option<(i32, Option<Failure>)> {
        let mut bytes = [0; 12];
        loop {
            match read(&self.failure, &mut bytes) {
                Ok(0) => break,
                Ok(length) => self.said.extend_from_slice(&bytes[..length]),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return None,
                Err(_) => break,
            }
        }
        // Killed before it could say its number, it has none that anybody could use.
        let Some((pid, rest)) = self.said.split_first_chunk::<4>() else { return Some((self.pid.as_raw(), None)) };
        Some((i32::from_ne_bytes(*pid), Failure::read(rest)))
    }
}

/// A program with everything that exec wants to have in C's form.
struct Ready {
    /// Where to look, in order.
    paths: Vec<CString>,
    argv: Vec<CString>,
    env: Vec<CString>,
    cwd: CString,
}

impl Ready {
    fn new(program: &Program) -> io::Result<Self> {
        let c = |text: &OsStr| {
            CString::new(text.as_bytes())
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a NUL character in an argument"))
        };
        let Some(name) = program.argv.first() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an empty command"));
        };
        let argv = program.argv.iter().map(|arg| c(arg)).collect::<Result<_, _>>()?;
        let env = program.env.iter().map(|(name, value)| {
            let mut entry = name.clone();
            entry.push("=");
            entry.push(value);
            c(&entry)
        });
        let paths =
            candidates(name, search_path(program)).iter().map(|path| c(path.as_os_str())).collect::<Result<_, _>>()?;
        Ok(Self { paths, argv, env: env.collect::<Result<_, _>>()?, cwd: c(program.cwd.as_os_str())? })
    }

    /// Returns only if it failed.
    fn execute(&self, stdio: &[OwnedFd; 3], keeper: Pid, seat: Option<&Seat>) -> Failure {
        let [stdin, stdout, stderr] = stdio;
        if let Some(Err(errno)) = seat.map(Seat::become_user) {
            return Failure { at: Step::User, errno: errno as i32 };
        }
        let prepared = (|| {
            // When its keeper is killed, the program goes at once; its descendants are the guardian's to kill.
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            if getppid() != keeper {
                return Err(Errno::ESRCH);
            }
            // A session of its own: the terminal's Ctrl-C must reach dsbench only, and no node may take the terminal.
            setsid()?;
            dup2_stdin(stdin)?;
            dup2_stdout(stdout)?;
            dup2_stderr(stderr)?;
            sys::close_on_exec();
            SigSet::empty().thread_set_mask()
        })();
        if let Err(errno) = prepared {
            return Failure { at: Step::Exec, errno: errno as i32 };
        }
        if let Err(errno) = chdir(self.cwd.as_c_str()) {
            return Failure { at: Step::Directory, errno: errno as i32 };
        }
        // As execvp(3) does: look on after "not there", remember "not allowed", stop at everything else. But a directory that may not
        // be searched (root's, on the PATH of somebody else) is no program that may not be executed.
        let mut reason = Errno::ENOENT;
        for path in &self.paths {
            let Err(errno) = execve(path, &self.argv, &self.env);
            match errno {
                Errno::ENOENT | Errno::ENOTDIR => {}
                Errno::EACCES if self.paths.len() > 1 && stat(path.as_c_str()).is_err() => {}
                Errno::EACCES => reason = errno,
                other => return Failure { at: Step::Exec, errno: other as i32 },
            }
        }
        Failure { at: Step::Exec, errno: reason as i32 }
    }
}

/// The `PATH` of the program's own environment; without one, the usual places.
fn search_path(program: &Program) -> &OsStr {
    let given = program.env.iter().rev().find(|(name, _)| name == "PATH");
    given.map_or(OsStr::new("/usr/local/bin:/usr/bin:/bin"), |(_, value)| value)
}

/// Where the program may be: a name with a slash is a path, another is looked up.
fn candidates(name: &OsStr, path: &OsStr) -> Vec<std::path::PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return vec![name.into()];
    }
    std::env::split_paths(path).map(|dir| dir.join(name)).collect()
}

impl Failure {
    /// Reads what the child wrote; none if exec worked.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (at, errno) = bytes.split_first_chunk::<4>()?;
        let errno = errno.first_chunk::<4>()?;
        let steps = [Step::Exec, Step::Directory, Step::User];
        let at = steps.into_iter().find(|step| *step as i32 == i32::from_ne_bytes(*at))?;
        Some(Self { at, errno: i32::from_ne_bytes(*errno) })
    }

    /// True if the machine refused what any program needs.
    pub(super) fn is_machines(self) -> bool {
        is_exhausted(Errno::from_raw(self.errno))
    }

    /// What to tell people: what is wrong and what to do.
    pub(super) fn explain(self, program: &Program) -> String {
        let name = program.argv.first().map(|name| name.to_string_lossy()).unwrap_or_default();
        let reason = Errno::from_raw(self.errno);
        if self.at == Step::User {
            return format!(
                "`{name}`: it cannot run as the user, or with the capabilities, that it should: {} (start dsbench with sudo, in a \
                 container that has all users)",
                reason.desc()
            );
        }
        if self.at == Step::Directory {
            return format!(
                "`{name}`: its working directory {} cannot be entered: {}",
                program.cwd.display(),
                reason.desc()
            );
        }
        let is_path = name.contains('/');
        let file = program.cwd.join(Path::new(&*name));
        match reason {
            Errno::ENOENT if is_path && file.exists() => {
                format!("`{name}` is there, but its interpreter is not (look at its #! line, or at `ldd {name}`)")
            }
            Errno::ENOENT if is_path && Path::new(&*name).is_relative() => {
                format!("`{name}` not found from the working directory {} (is it built?)", program.cwd.display())
            }
            Errno::ENOENT if is_path => format!("`{name}` not found (is it built?)"),
            Errno::ENOENT => format!("`{name}` not found (is it built, and on PATH?)"),
            Errno::EACCES if file.is_dir() && is_path => format!("`{name}` is a directory, not a program"),
            Errno::EACCES => format!("`{name}` may not be executed (permission denied; is it marked executable?)"),
            Errno::ENOEXEC => format!("`{name}` is not a program for this machine (a script needs a #! line)"),
            Errno::E2BIG => format!("`{name}`: its arguments and environment are too long"),
            other => format!("`{name}`: {}", other.desc()),
        }
    }
}
