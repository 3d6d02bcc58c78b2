//! The guardian's side of a laboratory: holds the namespaces, and forks keepers into them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getpid, pipe2};

use super::message::{Answer, ToGuardian};
use super::place::Placement;
use super::spec::LabSpec;
use super::{builder, identity};
use crate::process::{Channel, Received, sys};

/// The namespaces of a laboratory.
#[derive(Debug)]
pub(crate) struct Namespaces {
    users: OwnedFd,
    machines: BTreeMap<String, Machine>,
    /// The host's /proc: the numbers of processes there are what dsbench sees.
    outer_proc: OwnedFd,
    /// The laboratory's process.
    process: Pid,
    /// The limit of open files for programs. Here it is lifted: each machine takes four.
    open_files: (u64, u64),
}

/// Those of one machine.
#[derive(Debug)]
struct Machine {
    net: OwnedFd,
    mnt: OwnedFd,
    uts: OwnedFd,
    ipc: OwnedFd,
}

impl Namespaces {
    /// Builds a laboratory: with the specification in a memory file, and the channel on which dsbench hears of ports and failures.
    /// None if it came to nothing, which dsbench hears as well.
    pub(crate) fn build(fds: Vec<OwnedFd>, own: Option<&Channel>) -> Option<Self> {
        let [spec, bench]: [OwnedFd; 2] = fds.try_into().ok()?;
        let bench = Channel::from(bench);
        let mut text = Vec::new();
        File::from(spec).read_to_end(&mut text).ok()?;
        let spec: LabSpec = serde_json::from_slice(&text).ok()?;
        let outer_proc = open("/proc", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
        // If it is refused, some machine will say so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
        let (channel, its_channel) = Channel::pair().ok()?;
        let (me, owns) = (getpid(), own.map(AsRawFd::as_raw_fd));
        let kept = channel.as_raw_fd();
        let process = sys::fork(|| {
            for fd in owns.into_iter().chain([kept]) {
                let _ = nix::unistd::close(fd);
            }
            builder::run(&spec, its_channel, bench, me)
        })
        .ok()?;
        let (users, machines) = hear(process, &channel, own)?;
        Some(Self { users, machines, outer_proc, process, open_files: (soft, hard) })
    }

    /// Forks a process as a child of this one, in a machine: in the process namespace of another keeper, or as the first of a new one.
    pub(crate) fn fork(&self, place: &Placement, joins: Option<Pid>, child: impl FnOnce() -> i32) -> io::Result<Pid> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
        // Who enters a user namespace cannot leave it. So somebody else enters, and forks for this process.
        let helper = sys::fork(|| {
            let forked = self.enter(place, joins).and_then(|()| {
                sys::fork_sibling(joins.is_none(), || {
                    let _ = nix::unistd::close(writer.as_raw_fd());
                    child()
                })
            });
            let number = forked.map_or_else(|errno| -(errno as i32), Pid::as_raw);
            let told = nix::unistd::write(&writer, &number.to_ne_bytes());
            i32::from(told.is_err())
        })?;
        drop(writer);
        let mut number = [0; 4];
        let told = File::from(reader).read_exact(&mut number);
        while waitpid(helper, None) == Err(Errno::EINTR) {}
        told?;
        match i32::from_ne_bytes(number) {
            pid if pid > 0 => Ok(Pid::from_raw(pid)),
            errno => Err(io::Error::from_raw_os_error(-errno)),
        }
    }

    fn enter(&self, place: &Placement, joins: Option<Pid>) -> nix::Result<()> {
        let machine = self.machines.get(&place.endpoint).ok_or(Errno::ENODEV)?;
        // Looked up before anything is entered: from within, this /proc may show nobody.
        let joined = joins.map(|pid| Ok((self.namespace_of(pid, "pid")?, self.namespace_of(pid, "mnt")?)));
        let joined = joined.transpose()?;
        setns(&self.users, CloneFlags::CLONE_NEWUSER)?;
        setns(&machine.net, CloneFlags::CLONE_NEWNET)?;
        setns(&machine.uts, CloneFlags::CLONE_NEWUTS)?;
        setns(&machine.ipc, CloneFlags::CLONE_NEWIPC)?;
        match joined {
            None => setns(&machine.mnt, CloneFlags::CLONE_NEWNS),
            Some((pid, mnt)) => {
                setns(&pid, CloneFlags::CLONE_NEWPID)?;
                setns(&mnt, CloneFlags::CLONE_NEWNS)
            }
        }
    }

    fn namespace_of(&self, pid: Pid, kind: &str) -> nix::Result<OwnedFd> {
        let path = format!("{pid}/ns/{kind}");
        nix::fcntl::openat(&self.outer_proc, path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
    }

    /// The host's /proc.
    pub(crate) fn outer_proc(&self) -> &OwnedFd {
        &self.outer_proc
    }

    /// The laboratory's process, which keeps no program.
    pub(crate) fn process(&self) -> Pid {
        self.process
    }

    /// How many files programs may have open: soft and hard.
    pub(crate) fn open_files(&self) -> (u64, u64) {
        self.open_files
    }
}

/// Helps the laboratory's process to build, until all is there.
fn hear(process: Pid, channel: &Channel, bench: Option<&Channel>) -> Option<(OwnedFd, BTreeMap<String, Machine>)> {
    let mut users = None;
    let mut machines = BTreeMap::new();
    loop {
        match channel.receive() {
            Received::Message(ToGuardian::Unmapped, _) => {
                let answer: Answer = identity::map(process).map_err(|errno| errno as i32);
                channel.send(&answer, &[]).ok()?;
            }
            Received::Message(ToGuardian::Users, fds) => users = fds.into_iter().next(),
            Received::Message(ToGuardian::Machine { name }, fds) => {
                let [net, mnt, uts, ipc] = fds.try_into().ok()?;
                machines.insert(name, Machine { net, mnt, uts, ipc });
            }
            Received::Message(ToGuardian::Built, _) => return Some((users?, machines)),
            Received::Nothing => {
                let mut fds = vec![PollFd::new(channel.as_fd(), PollFlags::POLLIN)];
                // Only its end.
                fds.extend(bench.map(|bench| PollFd::new(bench.as_fd(), PollFlags::empty())));
                let _ = poll(&mut fds, PollTimeout::NONE);
                if fds.get(1).and_then(PollFd::any) == Some(true) {
                    // Nobody wants it any more, even if it is stuck.
                    let _ = kill(process, Signal::SIGKILL);
                    return None;
                }
            }
            Received::Ended => return None,
        }
    }
}
