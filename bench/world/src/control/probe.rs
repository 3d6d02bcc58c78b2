//! One attempt to connect.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use dsbench_core::time::RunTime;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, connect, getsockopt, socket, sockopt::SocketError,
};

use crate::outside::ProbeId;
use crate::process::ProbeSpec;

/// A connection under way.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) id: ProbeId,
    pub(super) deadline: RunTime,
    socket: OwnedFd,
}

/// An answer; why it is not open, for people.
pub(super) type Answer = Result<(), String>;

impl Probe {
    /// Begins to connect from the host; most attempts on one machine are answered at once.
    pub(super) fn begin(id: ProbeId, spec: ProbeSpec, now: RunTime) -> Result<Self, Answer> {
        let family = if spec.addr.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let socket = socket(family, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)
            .map_err(|errno| Err(errno.desc().to_owned()))?;
        Self::with(socket, id, spec.addr, now + spec.within)
    }

    /// The same with a socket that does not block, which may be in another network.
    pub(super) fn with(socket: OwnedFd, id: ProbeId, addr: SocketAddr, deadline: RunTime) -> Result<Self, Answer> {
        let connected = match addr {
            SocketAddr::V4(addr) => connect(socket.as_raw_fd(), &SockaddrIn::from(addr)),
            SocketAddr::V6(addr) => connect(socket.as_raw_fd(), &SockaddrIn6::from(addr)),
        };
        match connected {
            Ok(()) => Err(Ok(())),
            Err(Errno::EINPROGRESS | Errno::EINTR) => Ok(Self { id, deadline, socket }),
            Err(errno) => Err(Err(errno.desc().to_owned())),
        }
    }

    /// The answer, once the socket is ready.
    pub(super) fn answer(&self) -> Answer {
        match getsockopt(&self.socket, SocketError) {
            Ok(0) => Ok(()),
            Ok(error) => Err(Errno::from_raw(error).desc().to_owned()),
            Err(errno) => Err(errno.desc().to_owned()),
        }
    }
}

impl AsFd for Probe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
