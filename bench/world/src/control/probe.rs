//! One attempt to connect, and perhaps to be answered.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use dsbench_core::time::RunTime;
use nix::errno::Errno;
use nix::sys::epoll::EpollFlags;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, SockaddrIn6, connect, getsockopt, recv, send, socket,
    sockopt::SocketError,
};

use super::http::{self, Response};
use crate::outside::ProbeId;
use crate::process::{HttpGet, ProbeSpec};

/// A connection under way.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) id: ProbeId,
    pub(super) deadline: RunTime,
    socket: OwnedFd,
    /// None if it is enough to be connected.
    http: Option<Exchange>,
}

/// A request and its answer.
#[derive(Debug)]
struct Exchange {
    get: HttpGet,
    /// What of the request has not been sent.
    unsent: Vec<u8>,
    response: Response,
}

/// How far a probe is.
#[derive(Debug)]
pub(super) enum Progress {
    /// It waits for its socket to be so.
    Waits(EpollFlags),
    /// It is over.
    Answered(Answer),
}

/// Why a probe that was given up has no good answer.
pub(super) const TOO_LATE: &str = "no answer in time";

/// An answer; why it is not open, for people.
pub(super) type Answer = Result<(), String>;

impl Probe {
    /// Begins to connect from the host; most attempts on one machine are answered at once.
    pub(super) fn begin(id: ProbeId, spec: ProbeSpec, now: RunTime) -> Result<Self, Answer> {
        let family = if spec.addr.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let socket = socket(family, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)
            .map_err(|errno| Err(errno.desc().to_owned()))?;
        let deadline = now + spec.within;
        Self::with(socket, id, spec, deadline)
    }

    /// The same with a socket that does not block, which may be in another network.
    pub(super) fn with(socket: OwnedFd, id: ProbeId, spec: ProbeSpec, deadline: RunTime) -> Result<Self, Answer> {
        let connected = match spec.addr {
            SocketAddr::V4(addr) => connect(socket.as_raw_fd(), &SockaddrIn::from(addr)),
            SocketAddr::V6(addr) => connect(socket.as_raw_fd(), &SockaddrIn6::from(addr)),
        };
        let exchange = |get| Exchange { unsent: http::request(&get), get, response: Response::default() };
        match connected {
            Ok(()) if spec.http.is_none() => Err(Ok(())),
            Ok(()) | Err(Errno::EINPROGRESS | Errno::EINTR) => {
                Ok(Self { id, deadline, socket, http: spec.http.map(exchange) })
            }
            Err(errno) => Err(Err(errno.desc().to_owned())),
        }
    }

    /// Does what can be done, when the socket is as it was waited for.
    pub(super) fn go_on(&mut self) -> Progress {
        let refused = |errno: Errno| Progress::Answered(Err(errno.desc().to_owned()));
        match getsockopt(&self.socket, SocketError) {
            Ok(0) => {}
            Ok(error) => return refused(Errno::from_raw(error)),
            Err(errno) => return refused(errno),
        }
        let Some(Exchange { get, unsent, response }) = &mut self.http else { return Progress::Answered(Ok(())) };
        while !unsent.is_empty() {
            // A signal for a connection that is gone would end the run.
            match send(self.socket.as_raw_fd(), unsent, MsgFlags::MSG_NOSIGNAL) {
                Ok(length) => drop(unsent.drain(..length)),
                Err(Errno::EAGAIN | Errno::EINTR) => return Progress::Waits(EpollFlags::EPOLLOUT),
                Err(errno) => return refused(errno),
            }
        }
        let mut buffer = [0; 16 * 1024];
        loop {
            match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(0) => return Progress::Answered(response.judge(get)),
                Ok(length) if response.take(&buffer[..length]) => return Progress::Answered(response.judge(get)),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Progress::Waits(EpollFlags::EPOLLIN),
                Err(errno) => return refused(errno),
            }
        }
    }

    /// The answer of one that is given up: what came of it may be enough.
    pub(super) fn too_late(&self) -> Answer {
        match &self.http {
            Some(Exchange { get, response, .. }) if response.has_code() => response.judge(get),
            _ => Err(TOO_LATE.to_owned()),
        }
    }
}

impl AsFd for Probe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
