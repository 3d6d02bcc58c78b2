//! Workers: processes that each do one errand for this one, side by side, and do not outlive it.
//!
//! A worker reads its errand from standard input and answers in lines on standard output. It has a session of its own, so that the
//! terminal's Ctrl-C reaches only this process, which passes it on. When this process ends, in whatever way, its workers are killed;
//! what they had started is then their guardians' business.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dsbench_core::observation::Exit;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use crate::clock::Monotonic;
use crate::error::WorldError;
use crate::process::{in_memory, sys};
use crate::signals::Signals;

/// How much is read of one worker before the others get their turn.
const CHUNK: usize = 64 * 1024;

/// So much of what a worker says on standard error is kept, from its beginning.
const COMPLAINTS: usize = 64 * 1024;

/// Something that came from a worker, or from outside.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// A line of its standard output, without its end.
    Said {
        /// Who.
        worker: u64,
        /// What; not necessarily UTF-8.
        line: Vec<u8>,
    },
    /// It has ended; nothing more comes from it.
    Gone {
        /// Who.
        worker: u64,
        /// How.
        exit: Exit,
        /// What it said on standard error; nothing, if all is well.
        complaint: String,
    },
    /// A signal came to this process.
    Signal(i32),
    /// Nothing, for as long as that was waited for.
    Quiet,
}

/// The workers of this process.
#[derive(Debug)]
pub struct Crew {
    program: PathBuf,
    signals: SignalFd,
    workers: BTreeMap<u64, Worker>,
    news: VecDeque<News>,
}

#[derive(Debug)]
struct Worker {
    process: Child,
    answers: OwnedFd,
    /// None when nobody holds its other end.
    errors: Option<OwnedFd>,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    complaint: Vec<u8>,
    /// Nobody holds the other end of its standard output.
    has_ended: bool,
}

impl Crew {
    /// A crew of workers that are this program itself: the very executable that runs, also when another has taken its place on the disk.
    ///
    /// [`Signals`] must be blocked: from now on they are [`News`].
    pub fn new() -> Result<Self, WorldError> {
        Self::of("/proc/self/exe".into())
    }

    fn of(program: PathBuf) -> Result<Self, WorldError> {
        let signals = SignalFd::with_flags(&Signals::set(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(|errno| WorldError::system("listen to signals", errno))?;
        Ok(Self { program, signals, workers: BTreeMap::new(), news: VecDeque::new() })
    }

    /// Sends out a worker with these arguments; its number is not that of another one at work.
    ///
    /// Call it on the thread that lives as long as this process: workers end with the thread that has sent them out.
    pub fn send(&mut self, worker: u64, arguments: &[&str], errand: &[u8]) -> Result<(), WorldError> {
        let failed = |error: io::Error| WorldError::system("start a further dsbench", error);
        let errand = in_memory(errand).map_err(failed)?;
        let mut command = Command::new(&self.program);
        command.arg0("dsbench").args(arguments).stdin(errand).stdout(Stdio::piped()).stderr(Stdio::piped());
        sys::tie(&mut command);
        let mut process = command.spawn().map_err(failed)?;
        let answers = process.stdout.take().expect("it is piped").into();
        let errors = process.stderr.take().expect("it is piped").into();
        let is_ready = never_waits(&answers).and_then(|()| never_waits(&errors));
        let (errors, line, complaint) = (Some(errors), Vec::new(), Vec::new());
        self.workers.insert(worker, Worker { process, answers, errors, line, complaint, has_ended: false });
        is_ready.map_err(failed)
    }

    /// How many are at work.
    pub fn len(&self) -> usize {
        self.workers.len()
    }

    /// True if nobody is at work.
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// What came next, in each worker's own order; waits for it so long.
    pub fn next(&mut self, patience: Duration) -> News {
        let since = Monotonic::now();
        loop {
            if let Some(news) = self.news.pop_front() {
                return news;
            }
            let left = patience.saturating_sub(Monotonic::now().since(since));
            self.wait(left);
            self.listen();
            if self.news.is_empty() && left.is_zero() {
                return News::Quiet;
            }
        }
    }

    /// Passes a signal on to everybody at work.
    pub fn signal(&self, signal: i32) {
        let Ok(signal) = Signal::try_from(signal) else { return };
        for worker in self.workers.values() {
            worker.signal(signal);
        }
    }

    /// Kills everybody at work. Their ends are still told.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL as i32);
    }

    fn wait(&self, patience: Duration) {
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        for worker in self.workers.values() {
            fds.push(PollFd::new(worker.answers.as_fd(), PollFlags::POLLIN));
            fds.extend(worker.errors.iter().map(|errors| PollFd::new(errors.as_fd(), PollFlags::POLLIN)));
        }
        // Interrupted or not: whoever has something is asked next.
        let _ = poll(&mut fds, PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX));
    }

    fn listen(&mut self) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            self.news.extend(i32::try_from(signal.ssi_signo).ok().map(News::Signal));
        }
        for (number, worker) in &mut self.workers {
            worker.hear_complaints();
            worker.hear(*number, &mut self.news);
        }
        let gone: Vec<u64> =
            self.workers.iter().filter(|(_, worker)| worker.has_ended).map(|(number, _)| *number).collect();
        for worker in gone {
            if let Some((exit, complaint)) = self.workers.remove(&worker).map(Worker::end) {
                self.news.push_back(News::Gone { worker, exit, complaint });
            }
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.kill();
        for worker in std::mem::take(&mut self.workers).into_values() {
            worker.end();
        }
    }
}

impl Worker {
    fn signal(&self, signal: Signal) {
        // It was not waited for, so the number is still its own.
        let pid = i32::try_from(self.process.id()).map(Pid::from_raw);
        let _ = pid.map(|pid| kill(pid, signal));
    }

    /// Takes in what it has said, line by line.
    fn hear(&mut self, number: u64, news: &mut VecDeque<News>) {
        let mut chunk = vec![0; CHUNK];
        let read = match nix::unistd::read(&self.answers, &mut chunk) {
            Err(Errno::EAGAIN | Errno::EINTR) => return,
            Ok(0) | Err(_) => {
                self.has_ended = true;
                return;
            }
            Ok(read) => &chunk[..read],
        };
        let mut rest = read;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.line.extend_from_slice(&rest[..end]);
            news.push_back(News::Said { worker: number, line: std::mem::take(&mut self.line) });
            rest = &rest[end + 1..];
        }
        self.line.extend_from_slice(rest);
    }

    fn hear_complaints(&mut self) {
        let mut chunk = [0; 4096];
        while let Some(errors) = &self.errors {
            match nix::unistd::read(errors, &mut chunk) {
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Ok(0) | Err(_) => self.errors = None,
                Ok(read) => {
                    let room = COMPLAINTS - self.complaint.len();
                    self.complaint.extend_from_slice(&chunk[..read.min(room)]);
                }
            }
        }
    }

    /// How it ended, and what it had to complain about. Its standard output is at its end, so it is on its way out, or was killed.
    fn end(mut self) -> (Exit, String) {
        let exit = self.process.wait().map_or(Exit::Code(-1), exit_of);
        self.hear_complaints();
        (exit, String::from_utf8_lossy(&self.complaint).into_owned())
    }
}

fn exit_of(status: std::process::ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    }
}

/// From now on a read gives what is there.
fn never_waits(fd: &OwnedFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// The errand of this process, if it is a worker: all of its standard input. From now on lists of processes call it `dsbench-run`.
pub fn errand() -> io::Result<Vec<u8>> {
    nix::sys::prctl::set_name(c"dsbench-run")?;
    let mut errand = Vec::new();
    io::stdin().lock().read_to_end(&mut errand)?;
    Ok(errand)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing here takes so long.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn crew() -> (Signals, Crew) {
        (Signals::block().unwrap(), Crew::of("/bin/sh".into()).unwrap())
    }

    /// Everything until nobody is at work.
    fn all(crew: &mut Crew) -> Vec<News> {
        let mut all = Vec::new();
        while !crew.is_empty() || !crew.news.is_empty() {
            all.push(crew.next(PATIENCE));
        }
        all
    }

    fn said(worker: u64, line: &str) -> News {
        News::Said { worker, line: line.into() }
    }

    #[test]
    fn every_line_comes_in_order_and_then_the_end() {
        let (_blocked, mut crew) = crew();
        let script = "read word; echo got $word; printf 'no end' >&2; i=0; while [ $i -lt 3 ]; do echo $i; i=$((i+1)); done; printf half; exit 3";
        crew.send(7, &["-c", script], b"a word\n").unwrap();
        let gone = News::Gone { worker: 7, exit: Exit::Code(3), complaint: "no end".into() };
        // Half a line is none: whoever says something ends it.
        assert_eq!(all(&mut crew), [said(7, "got a word"), said(7, "0"), said(7, "1"), said(7, "2"), gone]);
        assert_eq!(crew.next(Duration::ZERO), News::Quiet);
    }

    #[test]
    fn workers_are_at_work_at_the_same_time_and_can_be_killed() {
        let (_blocked, mut crew) = crew();
        // The first waits for the second: one after the other, it would never end.
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let pipe = pipe.to_str().unwrap();
        crew.send(1, &["-c", &format!("echo over > {pipe}")], b"").unwrap();
        crew.send(2, &["-c", &format!("cat {pipe}")], b"").unwrap();
        assert!(all(&mut crew).contains(&said(2, "over")));
        crew.send(3, &["-c", "echo here; exec sleep 1000"], b"").unwrap();
        assert_eq!(crew.next(PATIENCE), said(3, "here"));
        crew.kill();
        let gone = News::Gone { worker: 3, exit: Exit::Signal(9), complaint: String::new() };
        assert_eq!(all(&mut crew), [gone]);
    }

    #[test]
    fn a_crew_that_is_dropped_has_nobody_at_work() {
        let (_blocked, mut crew) = crew();
        crew.send(1, &["-c", "echo $$; exec sleep 1000"], b"").unwrap();
        let News::Said { line, .. } = crew.next(PATIENCE) else { panic!("it says its number") };
        drop(crew);
        let pid = Pid::from_raw(String::from_utf8(line).unwrap().parse().unwrap());
        assert_eq!(kill(pid, None), Err(Errno::ESRCH));
    }

    #[test]
    fn a_very_long_line_comes_whole() {
        let (_blocked, mut crew) = crew();
        crew.send(1, &["-c", "head -c 1000000 /dev/zero | tr '\\0' x; echo"], b"").unwrap();
        let all = all(&mut crew);
        assert!(matches!(&all[0], News::Said { line, .. } if line.len() == 1_000_000));
    }
}
