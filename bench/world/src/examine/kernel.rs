//! The calls of the kernel without which no run can be kept in hand, each tried once.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};

use nix::sys::inotify::{InitFlags, Inotify};
use nix::sys::prctl;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::getpid;

use crate::ports::Ports;
use crate::process::{in_memory, sys};

/// A call that a run needs.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// Its name.
    pub name: &'static str,
    /// What the bench needs it for.
    pub purpose: &'static str,
    /// The first Linux that has it.
    pub since: &'static str,
    /// Makes it, harmlessly.
    pub probe: fn() -> io::Result<()>,
}

/// All of them.
pub const CALLS: &[Call] = &[
    Call {
        name: "pidfd",
        purpose: "signals that never hit a stranger who got the number of a dead process",
        since: "5.3",
        probe: || Ok(sys::PidFd::open(getpid()).and_then(|process| process.signal(0))?),
    },
    Call {
        name: "subreaper",
        purpose: "children that detach themselves are found, and none is left behind",
        since: "3.4",
        probe: subreaper,
    },
    Call {
        name: "close_range",
        purpose: "nodes do not inherit files that are not theirs",
        since: "5.11",
        probe: || Ok(sys::close_range_works()?),
    },
    Call {
        name: "signalfd",
        purpose: "Ctrl-C and ends of processes are read in order, not obeyed at once",
        since: "2.6.27",
        probe: || Ok(SignalFd::with_flags(&SigSet::empty(), SfdFlags::SFD_CLOEXEC).map(drop)?),
    },
    Call {
        name: "memfd",
        purpose: "commands reach the processes that start them without a file on disk",
        since: "3.17",
        probe: || in_memory(b"x").map(drop),
    },
    Call {
        name: "inotify",
        purpose: "log files of nodes are followed as they grow",
        since: "2.6.27",
        probe: || Ok(Inotify::init(InitFlags::IN_CLOEXEC).map(drop)?),
    },
    Call {
        name: "/proc",
        purpose: "the processes of a node are seen, to freeze them and to measure their memory",
        since: "2.6",
        probe: || std::fs::read("/proc/self/stat").map(drop),
    },
    Call {
        name: "loopback",
        purpose: "nodes talk to each other on 127.0.0.1, over TCP and UDP",
        since: "2.6",
        probe: loopback,
    },
];

/// Becomes a subreaper, and what it was before again.
fn subreaper() -> io::Result<()> {
    let before = prctl::get_child_subreaper()?;
    prctl::set_child_subreaper(true)?;
    let is_one = prctl::get_child_subreaper()?;
    prctl::set_child_subreaper(before)?;
    if is_one { Ok(()) } else { Err(io::Error::other("it was accepted and not done")) }
}

/// Takes a port as a node would, and says something to itself in both ways.
fn loopback() -> io::Result<()> {
    let port = Ports::new(0).allocate().map_err(io::Error::other)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    listener.accept()?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
    socket.send_to(b"x", (Ipv4Addr::LOCALHOST, port))?;
    socket.set_read_timeout(Some(std::time::Duration::from_secs(2)))?;
    socket.recv(&mut [0]).map(drop)
}
