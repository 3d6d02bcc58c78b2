//! Two connections of which each gets what the other says.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::sockopt::{Linger, SocketError};
use nix::sys::socket::{SockaddrIn, SockaddrIn6, connect, getsockopt, setsockopt};

/// What is on its way in one direction, at most.
const ROOM: usize = 64 * 1024;

/// A client on the host, and a program on a machine.
#[derive(Debug)]
pub(super) struct Pair {
    ends: [TcpStream; 2],
    /// From each end to the other.
    ways: [Way; 2],
    is_connected: bool,
}

#[derive(Debug, Default)]
struct Way {
    bytes: Vec<u8>,
    /// No more will come.
    is_ended: bool,
    /// The other side was told so.
    is_closed: bool,
}

impl Pair {
    /// Begins to connect. None if that failed at once: then the client is reset, as it would have been on the machine.
    pub(super) fn connect(client: TcpStream, socket: OwnedFd, addr: SocketAddr) -> Option<Self> {
        let connected = match addr {
            SocketAddr::V4(addr) => connect(socket.as_raw_fd(), &SockaddrIn::from(addr)),
            SocketAddr::V6(addr) => connect(socket.as_raw_fd(), &SockaddrIn6::from(addr)),
        };
        match connected {
            Ok(()) | Err(Errno::EINPROGRESS) => {
                Some(Self { ends: [client, socket.into()], ways: Default::default(), is_connected: connected.is_ok() })
            }
            Err(_) => {
                reset(&client);
                None
            }
        }
    }

    /// What it waits for, at either end.
    pub(super) fn interests(&self) -> [(BorrowedFd<'_>, PollFlags); 2] {
        let interest = |end: usize| {
            let (from, to) = (&self.ways[end], &self.ways[1 - end]);
            let mut flags = PollFlags::empty();
            if !self.is_connected {
                flags.set(PollFlags::POLLOUT, end == 1);
                return flags;
            }
            flags.set(PollFlags::POLLIN, !from.is_ended && from.bytes.len() < ROOM);
            flags.set(PollFlags::POLLOUT, !to.bytes.is_empty());
            flags
        };
        [(self.ends[0].as_fd(), interest(0)), (self.ends[1].as_fd(), interest(1))]
    }

    /// Carries what there is. False when it is over.
    pub(super) fn carry(&mut self) -> bool {
        if !self.is_connected {
            match getsockopt(&self.ends[1], SocketError) {
                Ok(0) => self.is_connected = true,
                _ => {
                    reset(&self.ends[0]);
                    return false;
                }
            }
        }
        for from in 0..2 {
            let [one, other] = &mut self.ends;
            let (source, sink) = if from == 0 { (one, other) } else { (other, one) };
            if self.ways[from].carry(source, sink).is_err() {
                // Whoever is left learns it as the machine would have told it.
                self.ends.iter().for_each(reset);
                return false;
            }
        }
        !self.ways.iter().all(|way| way.is_closed)
    }
}

impl Way {
    fn carry(&mut self, source: &mut TcpStream, sink: &mut TcpStream) -> std::io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        loop {
            while !self.bytes.is_empty() {
                match sink.write(&self.bytes) {
                    Ok(length) => drop(self.bytes.drain(..length)),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            if self.is_ended || self.bytes.len() >= ROOM {
                break;
            }
            match source.read(&mut buffer) {
                Ok(0) => self.is_ended = true,
                Ok(length) => self.bytes.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.is_ended && self.bytes.is_empty() && !self.is_closed {
            self.is_closed = true;
            // It may have closed everything already.
            let _ = sink.shutdown(Shutdown::Write);
        }
        Ok(())
    }
}

/// Makes the coming end of a connection a reset.
fn reset(stream: &TcpStream) {
    let _ = setsockopt(stream, Linger, &libc::linger { l_onoff: 1, l_linger: 0 });
}
