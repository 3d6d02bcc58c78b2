//! What a laboratory needs, each thing tried alone in a process that ends with it; then a small laboratory as a whole.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::sethostname;

use super::link::{self, Pairs};
use super::message::{Answer, Step};
use super::{CableKind, EndpointSpec, LabError, LabSpec, LinkKind, builder, identity, mounts, sysctl};
use crate::clock::Monotonic;
use crate::process::{Channel, Guardian, Received, sys};

/// One thing that a laboratory uses.
#[derive(Debug, Clone, Copy)]
pub struct LabPart {
    /// What: one word or two.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// False if a laboratory does without it, or with something else in its place.
    pub is_vital: bool,
    at: Step,
    attempt: fn() -> nix::Result<()>,
}

/// All of them.
pub const LAB_PARTS: &[LabPart] = &[
    LabPart {
        name: "users",
        purpose: "rights over machines of one's own, without any on the host",
        is_vital: true,
        at: Step::Users,
        attempt: || Ok(()),
    },
    LabPart {
        name: "mounts",
        purpose: "every machine has its own /run and knows the names of the others",
        is_vital: true,
        at: Step::Mounts,
        attempt: || {
            private_mounts()?;
            mount(Some("dsbench"), "/run", Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, None::<&str>)
        },
    },
    LabPart {
        name: "network",
        purpose: "every machine has its own addresses, ports and host name",
        is_vital: true,
        at: Step::Machine,
        attempt: || {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC)?;
            sethostname("trial")
        },
    },
    LabPart {
        name: "processes",
        purpose: "a kill takes a machine's processes all at once",
        is_vital: true,
        at: Step::Machine,
        attempt: || as_first_process(|| Ok(())),
    },
    LabPart {
        name: "tap",
        purpose: "cables that are fast and lose nothing unseen; pairs of devices can take their place",
        is_vital: false,
        at: Step::Tap,
        attempt: || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            link::tap(false).map(drop)
        },
    },
    LabPart {
        name: "packet",
        purpose: "cables where there is no TAP device",
        is_vital: false,
        at: Step::Packet,
        attempt: || {
            let here = || {
                unshare(CloneFlags::CLONE_NEWNET)?;
                builder::namespace("net").map_err(|refusal| refusal.errno)
            };
            let pairs = Pairs::here(here()?)?;
            pairs.add(0, 1500, &here()?).map(drop)
        },
    },
    LabPart {
        name: "own /proc",
        purpose: "programs see the processes of their machine; without it, those of the host",
        is_vital: false,
        at: Step::Proc,
        attempt: || {
            as_first_process(|| {
                private_mounts()?;
                mounts::own_proc()
            })
        },
    },
    LabPart {
        name: "low ports",
        purpose: "every program may bind ports below 1024; without it, by a capability that they then all have",
        is_vital: false,
        at: Step::Ports,
        attempt: || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            if sysctl::open_low_ports() { Ok(()) } else { Err(Errno::EROFS) }
        },
    },
];

impl LabPart {
    /// Tries it.
    ///
    /// # Errors
    /// Why not, and what to do about it.
    pub fn attempt(&self) -> Result<(), LabError> {
        let failed = |at, errno: Errno| LabError::refused(at, format!("try {}", self.name), errno as i32);
        let lost = |errno| failed(self.at, errno);
        let (own, its) = Channel::pair().map_err(lost)?;
        let parents = own.as_raw_fd();
        let child = sys::fork(|| {
            // Or its end would never be seen here.
            let _ = nix::unistd::close(parents);
            let told = unshare(CloneFlags::CLONE_NEWUSER).map_err(|errno| errno as i32);
            let mapped: Answer = match its.send(&told, &[]).and(hear(&its)) {
                Ok(answer) => answer,
                Err(_) => return 1,
            };
            let result = told.and(mapped.map(drop)).and_then(|()| (self.attempt)().map_err(|errno| errno as i32));
            i32::from(its.send(&result, &[]).is_err())
        })
        .map_err(lost)?;
        let result = (|| {
            let unshared: Result<(), i32> = hear(&own).map_err(lost)?;
            unshared.map_err(|errno| failed(Step::Users, Errno::from_raw(errno)))?;
            let mapped = identity::map(child);
            own.send(&mapped.map_err(|errno| errno as i32), &[]).map_err(lost)?;
            mapped.map_err(|errno| failed(Step::Map, errno))?;
            let result: Result<(), i32> = hear(&own).map_err(lost)?;
            result.map_err(|errno| lost(Errno::from_raw(errno)))
        })();
        // If it waits for an answer still, it gets none.
        drop(own);
        while waitpid(child, None) == Err(Errno::EINTR) {}
        result
    }
}

/// The next message, waited for.
fn hear<T: serde::de::DeserializeOwned>(channel: &Channel) -> nix::Result<T> {
    loop {
        match channel.receive() {
            Received::Message(message, _) => return Ok(message),
            Received::Nothing => {
                let _ = poll(&mut [PollFd::new(channel.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
            }
            Received::Ended => return Err(Errno::EPIPE),
        }
    }
}

fn private_mounts() -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
}

/// Tries something as the first process of a new namespace.
fn as_first_process(attempt: impl FnOnce() -> nix::Result<()>) -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWPID)?;
    let child = sys::fork(|| attempt().map_or_else(|errno| errno as i32, |()| 0))?;
    loop {
        match waitpid(child, None) {
            Err(Errno::EINTR) => {}
            Ok(WaitStatus::Exited(_, 0)) => return Ok(()),
            Ok(WaitStatus::Exited(_, errno)) => return Err(Errno::from_raw(errno)),
            Ok(_) => return Err(Errno::EINTR),
            Err(errno) => return Err(errno),
        }
    }
}

/// A laboratory that was built for trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabTrial {
    /// From the wish to the last of two machines.
    pub took: Duration,
    /// Its cables are TAP devices, not pairs of devices.
    pub has_tap: bool,
    /// Its machines have IPv6.
    pub has_ip6: bool,
}

/// Builds a laboratory of two machines, and lets it go.
///
/// # Errors
/// Why there is none here, and what to do about it.
pub fn lab_trial(guardian: &Guardian) -> Result<LabTrial, LabError> {
    let machine = |number: u8, name: &str| EndpointSpec {
        name: name.to_owned(),
        hostname: name.to_owned(),
        ip4: Ipv4Addr::new(10, 77, 0, number),
        ip6: Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, number.into()),
        mac: [2, 0, 0, 0, 0, number],
    };
    let spec = LabSpec {
        endpoints: vec![machine(1, "one")],
        bench: machine(254, "dsbench"),
        prefix: 24,
        mtu: 1500,
        offloads: true,
        hosts: Vec::new(),
        link: LinkKind::Any,
        root_user: None,
        visible: Vec::new(),
    };
    let since = Monotonic::now();
    let lab = guardian.build_lab(&spec)?;
    let took = Monotonic::now().since(since);
    let has_tap = lab.cables.iter().all(|cable| !matches!(cable.kind, CableKind::Packet(_)));
    Ok(LabTrial { took, has_tap, has_ip6: lab.has_ip6 })
}
