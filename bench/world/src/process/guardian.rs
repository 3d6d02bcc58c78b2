//! The guardian: one small process that outlives dsbench by exactly the time it takes to leave nothing behind.
//!
//! It is forked before dsbench grows, and forks the [keepers](super::keeper) on request, so a start is as cheap as a fork of a small process. When its
//! socket ends, dsbench has died (or is done), in whatever way: the keepers notice by the same means and kill their trees, and the
//! guardian stays until none is left. When a keeper is killed, what it kept falls to the guardian, the subreaper above, and is killed.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::signalfd::SignalFd;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, getpid, getppid, setsid};

use super::channel::{Channel, Received};
use super::keeper::{self, keep};
use super::message::{Keep, Notice, Request};
use super::seat::Seat;
use super::spec::Program;
use super::sweep::sweep;
use super::sys::{self, PidFd};
use super::tree;
use crate::clock::Monotonic;
use crate::error::WorldError;
use crate::lab::{Namespaces, Placement};

/// After dsbench's end: how long keepers may take to kill their trees before the guardian helps.
const KEEPERS_PATIENCE: Duration = Duration::from_secs(2);
/// After dsbench's end: when to give up on what cannot be killed.
const LAST_PATIENCE: Duration = Duration::from_secs(40);

/// dsbench's hold on its guardian. Dropping it ends every process of the run.
#[derive(Debug)]
pub struct Guardian {
    channel: Channel,
    pid: Pid,
}

impl Guardian {
    /// Forks the guardian.
    ///
    /// Call it early, while the process is small and has one thread: a start of a node then costs as little as it can.
    pub fn fork() -> Result<Self, WorldError> {
        Self::start(false)
    }

    /// The same for a dsbench that gives up its terminal: the guardian has none either, and no pipe whose end a shell waits for.
    pub fn fork_without_terminal() -> Result<Self, WorldError> {
        Self::start(true)
    }

    fn start(is_mute: bool) -> Result<Self, WorldError> {
        let failed = |errno: Errno| WorldError::system("fork the guardian", errno);
        let (channel, its_channel) = Channel::pair().map_err(failed)?;
        let bench = getpid();
        let pid = sys::fork(|| match become_guardian(&its_channel, bench, is_mute) {
            Ok(signals) => GuardianProcess {
                channel: Some(its_channel),
                signals,
                keepers: BTreeMap::new(),
                lost: Vec::new(),
                alone: None,
                lab: None,
            }
            .run(),
            Err(_) => 71,
        })
        .map_err(failed)?;
        Ok(Self { channel, pid })
    }

    /// Asks for a keeper. What comes of it is told on the keeper's channel, or as a [`Notice`].
    pub(crate) fn keep(
        &self,
        keeper: u64,
        channel: &Channel,
        program: &Program,
        place: Option<Placement>,
        stdio: &[OwnedFd; 3],
    ) -> Result<(), WorldError> {
        let program = in_memory(&serde_json::to_vec(program).expect("a program is plain data"))
            .map_err(|error| WorldError::system("describe a program", error))?;
        let [stdin, stdout, stderr] = stdio;
        let fds = [channel.as_raw_fd(), program.as_raw_fd(), stdin.as_raw_fd(), stdout.as_raw_fd(), stderr.as_raw_fd()];
        self.channel.send(&Request::Keep(Keep { keeper, place }), &fds).map_err(|_| WorldError::NoGuardian)
    }

    /// Asks for a laboratory. What comes of it is told on its channel.
    pub(crate) fn order_lab(&self, spec: &File, channel: &Channel) -> nix::Result<()> {
        self.channel.send(&Request::Lab, &[spec.as_raw_fd(), channel.as_raw_fd()])
    }

    /// Where its notices come in; its end means that the guardian was killed.
    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Ends it and waits; true if it says that nothing of the run is left.
    pub(crate) fn end(self, bound: Duration) -> bool {
        let since = Monotonic::now();
        let Self { channel, pid } = self;
        // Opened while it is not reaped, so it is still ours.
        let process = PidFd::open(pid);
        drop(channel);
        if let Ok(process) = &process {
            let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
            loop {
                let left = bound.saturating_sub(Monotonic::now().since(since));
                if poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) != Err(Errno::EINTR) {
                    break;
                }
            }
        }
        matches!(waitpid(pid, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::Exited(_, 0)))
    }
}

/// A file that lives in memory only, at its beginning.
pub(crate) fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"dsbench", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(bytes)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// Turns the forked child into what a guardian must be.
fn become_guardian(channel: &Channel, bench: Pid, is_mute: bool) -> io::Result<SignalFd> {
    // Above all, no copy of dsbench's ends of pipes and sockets may live on here: their end is how others learn of its death.
    sys::close_all_but(channel.fd());
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    if is_mute {
        dup2_stderr(&null)?;
    }
    sys::reset_signal_actions();
    let signals = keeper::signals()?;
    setsid()?;
    chdir("/")?;
    prctl::set_name(c"dsbench-guard")?;
    prctl::set_child_subreaper(true)?;
    // A second way to learn of dsbench's end. It comes too when only the thread that forked ended, so it is verified.
    prctl::set_pdeathsig(Signal::SIGHUP)?;
    if getppid() != bench {
        return Err(Errno::ESRCH.into());
    }
    Ok(signals)
}

/// The guardian's state, in its own process.
struct GuardianProcess {
    /// None once dsbench is gone.
    channel: Option<Channel>,
    signals: SignalFd,
    /// Keepers by their process, with their names.
    keepers: BTreeMap<Pid, u64>,
    /// Keepers that died early, until what they kept is dead.
    lost: Vec<u64>,
    /// Since when dsbench is gone.
    alone: Option<Monotonic>,
    /// The laboratory, if there is one.
    lab: Option<Namespaces>,
}

impl GuardianProcess {
    fn run(mut self) -> i32 {
        let bench = getppid();
        loop {
            let childless = self.reap();
            self.kill_orphans();
            if let Some(alone) = self.alone {
                let age = Monotonic::now().since(alone);
                if childless {
                    return 0;
                }
                if age > LAST_PATIENCE {
                    return 1;
                }
                if age > KEEPERS_PATIENCE {
                    sweep(getpid());
                }
            }
            self.wait();
            while let Ok(Some(_)) = self.signals.read_signal() {}
            if getppid() != bench {
                self.leave();
            }
            self.hear();
        }
    }

    fn wait(&self) {
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.channel.as_ref().map(|channel| PollFd::new(channel.as_fd(), PollFlags::POLLIN)));
        let has_work = self.alone.is_some() || !self.lost.is_empty();
        let _ = poll(&mut fds, if has_work { PollTimeout::from(10u8) } else { PollTimeout::NONE });
    }

    /// dsbench is gone. The keepers know it too.
    fn leave(&mut self) {
        self.channel = None;
        self.alone.get_or_insert(Monotonic::now());
    }

    fn hear(&mut self) {
        loop {
            let Some(channel) = &self.channel else { return };
            match channel.receive() {
                Received::Message(Request::Keep(request), fds) => self.start_keeper(request, fds),
                // dsbench hears from the laboratory itself what came of it.
                Received::Message(Request::Lab, fds) => self.lab = Namespaces::build(fds, self.channel.as_ref()),
                Received::Nothing => return,
                Received::Ended => self.leave(),
            }
        }
    }

    fn start_keeper(&mut self, request: Keep, fds: Vec<OwnedFd>) {
        let Keep { keeper, place } = request;
        let forked = read_request(fds).and_then(|(channel, program, stdio)| match place {
            None => {
                let (guardian, own) = (getpid(), self.own());
                // Blocks are duplicated by the fork; what the keeper must not hold is this process's channel to dsbench.
                Ok(sys::fork(move || {
                    own.forget();
                    keep(channel, &program, stdio, guardian, None)
                })?)
            }
            Some(place) => self.start_in_lab(place, channel, &program, &stdio),
        });
        match forked {
            Ok(pid) => {
                self.keepers.insert(pid, keeper);
            }
            Err(error) => self.notify(&Notice::Refused { keeper, errno: error.raw_os_error().unwrap_or(0) }),
        }
    }

    /// Forks a keeper into the laboratory.
    fn start_in_lab(
        &self,
        place: Placement,
        channel: Channel,
        program: &Program,
        stdio: &[OwnedFd; 3],
    ) -> io::Result<Pid> {
        let lab = self.lab.as_ref().ok_or(Errno::ENODEV)?;
        let guardian = getpid();
        let start = |joins: Option<Pid>| {
            let own = self.own();
            let (channel, outer_proc) = (channel.try_clone()?, lab.outer_proc().try_clone()?);
            let stdio = [stdio[0].try_clone()?, stdio[1].try_clone()?, stdio[2].try_clone()?];
            let seat =
                Seat { place: place.clone(), is_first: joins.is_none(), outer_proc, open_files: lab.open_files() };
            lab.fork(&place, joins, move || {
                own.forget();
                keep(channel, program, stdio, guardian, Some(seat))
            })
        };
        let joined = place.joins.and_then(|key| self.keepers.iter().find(|(_, known)| **known == key));
        match joined.map(|(pid, _)| start(Some(*pid))) {
            Some(Ok(pid)) => Ok(pid),
            // The node that it was to see has ended meanwhile.
            Some(Err(_)) | None => start(None),
        }
    }

    /// This process's channel to dsbench, which no keeper may hold.
    fn own(&self) -> Own {
        Own(self.channel.as_ref().map(AsRawFd::as_raw_fd))
    }

    /// Reaps; true if there is no child at all.
    fn reap(&mut self) -> bool {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => return false,
                Ok(status) => {
                    let keeper = status.pid().and_then(|pid| self.keepers.remove(&pid));
                    if let (Some(keeper), false) = (keeper, matches!(status, WaitStatus::Exited(_, 0))) {
                        self.lost.push(keeper);
                    }
                }
                Err(Errno::EINTR) => {}
                Err(_) => return true,
            }
        }
    }

    /// Kills everything that has fallen to this process: children that are no keepers, and their descendants.
    fn kill_orphans(&mut self) {
        if self.lost.is_empty() {
            return;
        }
        let me = getpid();
        let all = tree::all();
        let lab = self.lab.as_ref().map(Namespaces::process);
        let is_kept = |pid: Pid| self.keepers.contains_key(&pid) || lab == Some(pid);
        let orphans: Vec<_> = tree::below(me.as_raw(), &all)
            .into_iter()
            .filter(|process| process.parent == me.as_raw() && !is_kept(Pid::from_raw(process.pid)))
            .collect();
        if orphans.is_empty() {
            for keeper in std::mem::take(&mut self.lost) {
                self.notify(&Notice::Lost { keeper, at: Monotonic::now() });
            }
            return;
        }
        for orphan in orphans {
            // Its parent is this process, which has not reaped it: the pid is its own.
            sweep(Pid::from_raw(orphan.pid));
            let _ = kill(Pid::from_raw(orphan.pid), Signal::SIGKILL);
        }
    }

    fn notify(&self, notice: &Notice) {
        if let Some(channel) = &self.channel {
            let _ = channel.send(notice, &[]);
        }
    }
}

/// A descriptor to be closed in a forked child.
#[derive(Debug, Clone, Copy)]
struct Own(Option<RawFd>);

impl Own {
    fn forget(self) {
        if let Some(own) = self.0 {
            let _ = nix::unistd::close(own);
        }
    }
}

/// Takes a request apart.
fn read_request(fds: Vec<OwnedFd>) -> io::Result<(Channel, Program, [OwnedFd; 3])> {
    let malformed = || io::Error::from(Errno::EBADMSG);
    let [channel, program, stdin, stdout, stderr]: [OwnedFd; 5] = fds.try_into().map_err(|_| malformed())?;
    let mut text = Vec::new();
    File::from(program).read_to_end(&mut text)?;
    let program = serde_json::from_slice(&text).map_err(|_| malformed())?;
    Ok((Channel::from(channel), program, [stdin, stdout, stderr]))
}
