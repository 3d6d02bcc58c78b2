//! Ports of 127.0.0.1 for the nodes of one run.
//!
//! Why not bind to port 0 and let the kernel choose: it would choose an *ephemeral* port, one of those that it also gives to outgoing
//! connections. A node that dials a peer which is down could then be given the peer's own port as its source, and a TCP connection to
//! oneself succeeds: it would talk to itself, and the peer could not bind when it comes back. So ports are taken from below the
//! ephemeral range, where the kernel never goes by itself.
//!
//! Nobody else must take them while a node is down, and the bench cannot keep them bound. Two runs of dsbench keep off each other's ports by an abstract Unix socket
//! named after the port, held for the whole run: it vanishes with its holder, however that ends. Strangers are seen by a trial bind.

use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use nix::errno::Errno;

use crate::error::{WorldError, is_exhausted};

/// Lowest port handed out: below it live the well-known services of developers' machines.
const LOW: u16 = 10_240;

/// The ports that one run holds.
#[derive(Debug)]
pub struct Ports {
    next: u16,
    high: u16,
    held: Vec<(u16, UnixListener)>,
}

impl Ports {
    /// Starts looking at a place that the seed gives, so that runs side by side rarely meet.
    pub fn new(seed: u64) -> Self {
        let high = lowest_ephemeral().saturating_sub(1).max(LOW + 1000);
        let span = u64::from(high - LOW) + 1;
        // Any mixing will do: this decides where the search begins, and the ports that were found are in the resolved plan.
        let place = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32) % span;
        Self { next: LOW + u16::try_from(place).expect("smaller than a u16's span"), high, held: Vec::new() }
    }

    /// A port that is free for TCP and UDP on 127.0.0.1 and on the wildcard address, and different from all others of this and of
    /// every other running dsbench on this machine.
    pub fn allocate(&mut self) -> Result<u16, WorldError> {
        for _ in LOW..=self.high {
            let port = self.next;
            self.next = if port == self.high { LOW } else { port + 1 };
            if self.held.iter().any(|(held, _)| *held == port) {
                continue;
            }
            let Some(guard) = unless_taken(claim(port))? else { continue };
            if unless_taken(try_bind(port))?.is_some() {
                self.held.push((port, guard));
                return Ok(port);
            }
        }
        Err(WorldError::NoPort { low: LOW, high: self.high })
    }
}

/// The claim of this dsbench on a port; an error if another one has it.
fn claim(port: u16) -> io::Result<UnixListener> {
    UnixListener::bind_addr(&SocketAddr::from_abstract_name(format!("dsbench/port/{port}"))?)
}

/// Works if nobody has bound it. The listener never listens to anyone: it is closed before anybody could connect, and without
/// a connection there is no TIME_WAIT that would keep a node from binding.
fn try_bind(port: u16) -> io::Result<()> {
    for ip in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
        TcpListener::bind((ip, port))?;
        UdpSocket::bind((ip, port))?;
    }
    Ok(())
}

/// None if the port cannot be had; an error if none can, because the system gives no sockets.
fn unless_taken<T>(tried: io::Result<T>) -> Result<Option<T>, WorldError> {
    match tried {
        Ok(had) => Ok(Some(had)),
        Err(error) if error.raw_os_error().is_some_and(|errno| is_exhausted(Errno::from_raw(errno))) => {
            Err(WorldError::system("look for a free port", error))
        }
        Err(_) => Ok(None),
    }
}

/// The lower end of the range from which the kernel serves outgoing connections.
fn lowest_ephemeral() -> u16 {
    const DEFAULT: u16 = 32_768;
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn runs_with_the_same_seed_at_the_same_time_get_different_ports() {
        let mut one = Ports::new(7);
        let mut other = Ports::new(7);
        let mut seen = BTreeSet::new();
        for _ in 0..40 {
            assert!(seen.insert(one.allocate().unwrap()));
            assert!(seen.insert(other.allocate().unwrap()));
        }
        assert!(seen.iter().all(|port| (LOW..lowest_ephemeral()).contains(port)));
    }

    #[test]
    fn ports_that_strangers_use_are_passed_over() {
        let mut ports = Ports::new(99);
        let start = ports.next;
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, start));
        let udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, start + 1));
        for _ in 0..3 {
            let port = ports.allocate().unwrap();
            assert!(port != start && port != start + 1);
        }
        drop((tcp, udp));
    }

    #[test]
    fn an_allocated_port_can_be_bound_at_once_and_is_free_again_after_the_run() {
        let mut ports = Ports::new(5);
        let port = ports.allocate().unwrap();
        drop(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap());
        drop(ports);
        assert!(claim(port).is_ok());
    }
}
