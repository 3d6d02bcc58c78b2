//! Ports that only one test at a time uses.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Below the kernel's ephemeral range: dialling a port there while nobody listens cannot connect to itself, and no outgoing
/// connection takes it.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// A port that was free when it was chosen, and that no other test chooses until this is dropped.
#[derive(Debug)]
pub(crate) struct Port {
    /// The number.
    pub(crate) number: u16,
    // An abstract socket name: it belongs to one process at a time, and goes with it, however it ends.
    _reservation: UnixDatagram,
}

impl Port {
    /// Looks for one, from a place that differs between processes.
    pub(crate) fn free() -> Self {
        let span = PORTS.end - PORTS.start;
        let first = (std::process::id() * 101 % u32::from(span)) as u16;
        (0..span)
            .map(|step| PORTS.start + (first + step) % span)
            .find_map(|number| {
                let name = SocketAddr::from_abstract_name(format!("dsbench-test-port-{number}")).ok()?;
                let reservation = UnixDatagram::bind_addr(&name).ok()?;
                // A stranger may have it, on whatever address.
                TcpListener::bind(("0.0.0.0", number)).ok().map(|_| Self { number, _reservation: reservation })
            })
            .expect("some port below the ephemeral range is free")
    }

    /// On loopback.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }
}

/// Lets this process open as many files as it may: a crowd of connections needs more than the usual limit.
pub(crate) fn allow_a_crowd() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
}
