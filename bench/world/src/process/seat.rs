//! A keeper's seat in the laboratory: what is different for a keeper, and for the program that it starts, on a machine of its own.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Pid, Uid, fchown};

use super::tree;
use crate::lab::{Placement, become_user, own_proc};

/// Where a keeper sits.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) place: Placement,
    /// It is the first process of its namespace, not one that has joined another's.
    pub(super) is_first: bool,
    /// /proc as dsbench sees it.
    pub(super) outer_proc: OwnedFd,
    /// How many files programs may have open: soft and hard.
    pub(super) open_files: (u64, u64),
}

impl Seat {
    /// Makes the surroundings of the life, before its program is started.
    pub(super) fn settle(&self, stdio: &[OwnedFd; 3]) {
        if self.is_first && unshare(CloneFlags::CLONE_NEWNS).is_ok() {
            // Where it is refused, programs see the host's processes, and numbers that are true there.
            let _ = own_proc();
        }
        if let Some(owner) = &self.place.owner {
            // A program may open its own output again (/dev/stdout), if it is its own.
            for fd in stdio {
                let _ = fchown(fd, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)));
            }
        }
    }

    /// Makes the next process begin where no life before did: no number that an earlier life has left in a file is this one's.
    pub(super) fn choose_pid(&self) {
        if self.is_first {
            // A kernel without it counts from 2 each time.
            let _ = fs::write("/proc/sys/kernel/ns_last_pid", (self.place.first_pid - 1).to_string());
        }
    }

    /// This process's number as dsbench sees it.
    pub(super) fn pid(&self) -> io::Result<Pid> {
        let own = readlinkat(&self.outer_proc, "self")?;
        let own = own.to_str().and_then(|own| own.parse().ok());
        own.map(Pid::from_raw).ok_or_else(|| Errno::ESRCH.into())
    }

    /// The number of its parent, as dsbench sees it.
    pub(super) fn parent(&self) -> io::Result<Pid> {
        let stat = openat(&self.outer_proc, "self/stat", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        let mut text = Vec::new();
        File::from(stat).read_to_end(&mut text)?;
        tree::parent(&text).map(Pid::from_raw).ok_or_else(|| Errno::ESRCH.into())
    }

    /// Makes this process, which is about to exec, what the program shall be.
    pub(super) fn become_user(&self) -> nix::Result<()> {
        let (soft, hard) = self.open_files;
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
        become_user(self.place.owner.as_ref(), self.place.caps)
    }
}
