//! A port of a machine of the laboratory, reachable from the host: a listener on 127.0.0.1, and a thread that carries bytes.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::pipe2;

use self::pair::Pair;
use crate::error::WorldError;
use crate::lab::{Porter, Socket, ToBench};
use crate::process::Received;

mod pair;

/// Connections at a time. More wait until one ends.
const PAIRS_MAX: usize = 256;

/// Where an exposed port leads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Door {
    /// The machine, by its place in the specification.
    pub(crate) machine: usize,
    /// Its address and port.
    pub(crate) addr: SocketAddr,
}

/// One exposed port. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Exposed {
    port: u16,
    /// Its end is the thread's.
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Exposed {
    pub(crate) fn start(porter: &Porter, to: Door, wanted: Option<u16>) -> Result<Self, WorldError> {
        let what = || format!("expose {} on 127.0.0.1:{}", to.addr, wanted.unwrap_or(0));
        let failed = |error: std::io::Error| WorldError::system(what(), error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted.unwrap_or(0))).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let porter = porter.another().map_err(|errno| failed(errno.into()))?;
        let (stopped, stop) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| failed(errno.into()))?;
        let forwarder =
            Forwarder { to, porter, listener, stopped, number: 0, waiting: BTreeMap::new(), pairs: Vec::new() };
        let thread = std::thread::Builder::new().name(format!("expose-{port}"));
        let thread = thread.spawn(move || forwarder.run()).map_err(failed)?;
        Ok(Self { port, stop: Some(stop), thread: Some(thread) })
    }

    /// The port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Exposed {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It waits for nothing else; if it has panicked, there is nothing left to end.
            let _ = thread.join();
        }
    }
}

/// The thread's state.
struct Forwarder {
    to: Door,
    porter: Porter,
    listener: TcpListener,
    stopped: OwnedFd,
    /// Names requests for sockets.
    number: u64,
    /// Who waits for a socket on the machine.
    waiting: BTreeMap<u64, TcpStream>,
    pairs: Vec<Pair>,
}

impl Forwarder {
    fn run(mut self) {
        while let Some((hears, ready)) = self.wait() {
            self.pairs = std::mem::take(&mut self.pairs)
                .into_iter()
                .zip(ready)
                .filter_map(|(mut pair, is_ready)| (!is_ready || pair.carry()).then_some(pair))
                .collect();
            if hears && !self.hear() {
                return;
            }
            self.accept();
        }
    }

    /// Waits for anything: whether the laboratory has answered, and which pairs have something to do. None when it is over.
    fn wait(&self) -> Option<(bool, Vec<bool>)> {
        let mut fds = vec![
            PollFd::new(self.stopped.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.porter.as_fd(), PollFlags::POLLIN),
        ];
        let mut owners = Vec::new();
        for (number, pair) in self.pairs.iter().enumerate() {
            // An end that nothing is expected of is left out: poll would tell of its hang-up again and again.
            for (fd, flags) in pair.interests().into_iter().filter(|(_, flags)| !flags.is_empty()) {
                owners.push(number);
                fds.push(PollFd::new(fd, flags));
            }
        }
        // Last, for it is not always there.
        fds.extend(self.has_room().then(|| PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)));
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
        let is_ready = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
        if is_ready(&fds[0]) {
            return None;
        }
        let mut ready = vec![false; self.pairs.len()];
        for (owner, fd) in owners.into_iter().zip(&fds[2..]) {
            ready[owner] |= is_ready(fd);
        }
        Some((is_ready(&fds[1]), ready))
    }

    fn has_room(&self) -> bool {
        self.pairs.len() + self.waiting.len() < PAIRS_MAX
    }

    fn accept(&mut self) {
        while self.has_room() {
            // Nobody is there, or has gone again.
            let Ok((client, _)) = self.listener.accept() else { return };
            self.number += 1;
            let socket = Socket { id: self.number, machine: self.to.machine, is_ip6: self.to.addr.is_ipv6() };
            if client.set_nonblocking(true).is_ok() && self.porter.ask(socket).is_ok() {
                self.waiting.insert(self.number, client);
            }
        }
    }

    /// Takes sockets of the machine. False if there will be no more: the laboratory is gone.
    fn hear(&mut self) -> bool {
        loop {
            match self.porter.answer() {
                Received::Message(ToBench::Socket { id, .. }, fds) => {
                    let client = self.waiting.remove(&id);
                    // Without a socket there, the client's connection is closed.
                    if let (Some(client), Some(socket)) = (client, fds.into_iter().next()) {
                        self.pairs.extend(Pair::connect(client, socket, self.to.addr));
                    }
                }
                Received::Nothing => return true,
                Received::Message(..) | Received::Ended => return false,
            }
        }
    }
}
