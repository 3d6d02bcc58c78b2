//! Asking for a laboratory, and what one gets.

use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::message::{Built, Socket, ToBench, Wanted};
use super::netlink::Netlink;
use super::{Cable, CableKind, EndpointSpec, LabError, LabSpec, Plug};
use crate::clock::Monotonic;
use crate::process::{Channel, Guardian, Received, in_memory};

/// Far longer than a thousand machines take. What waits longer is stuck in the kernel.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// A laboratory: machines without a program yet.
#[derive(Debug)]
pub struct Lab {
    /// The switch's end of each machine's eth0: the nodes' in the order of the specification, then the bench's.
    pub cables: Vec<Cable>,
    /// False if this kernel has no IPv6.
    pub has_ip6: bool,
    pub(crate) spec: LabSpec,
    pub(crate) low_ports_are_open: bool,
    pub(crate) porter: Porter,
}

/// The hold on the laboratory's process. When it is gone, that ends.
#[derive(Debug)]
pub(crate) struct Porter(Channel);

impl Guardian {
    /// Builds a laboratory and waits for it; before the world that shall use it.
    ///
    /// # Errors
    /// What this machine refuses, and how to change that. The guardian is as it was.
    pub fn build_lab(&self, spec: &LabSpec) -> Result<Lab, LabError> {
        make_room(spec)?;
        let unheard = |error: std::io::Error| LabError::Guardian { source: error };
        let (channel, its_channel) = Channel::pair().map_err(|errno| unheard(errno.into()))?;
        let text = in_memory(&serde_json::to_vec(spec).expect("a specification is plain data")).map_err(unheard)?;
        self.order_lab(&text, &its_channel).map_err(|errno| unheard(errno.into()))?;
        drop(its_channel);
        let mut cables = Vec::new();
        let since = Monotonic::now();
        loop {
            match channel.receive() {
                Received::Message(ToBench::Cable { index }, fds) => {
                    let [fd, statistics] = fds.try_into().map_err(|_| LabError::Died)?;
                    cables.push(Laid { index, fd, statistics });
                }
                Received::Message(ToBench::Built { built }, fds) => {
                    return finish(spec, cables, built, fds, Porter(channel));
                }
                Received::Message(ToBench::Failed { at, what, errno }, _) => {
                    return Err(LabError::refused(at, what, errno));
                }
                Received::Message(ToBench::Socket { .. }, _) | Received::Ended => return Err(LabError::Died),
                Received::Nothing => {
                    let left = PATIENCE.saturating_sub(Monotonic::now().since(since));
                    if left.is_zero() {
                        return Err(LabError::Slow { after: PATIENCE });
                    }
                    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
                    let _ = poll(&mut [PollFd::new(channel.as_fd(), PollFlags::POLLIN)], timeout);
                }
            }
        }
    }
}

/// Lifts this process's limit of open files, if the machines need that: they have that of the time when the guardian was forked.
fn make_room(spec: &LabSpec) -> Result<(), LabError> {
    /// A cable and its statistics; those of a program that runs there.
    const EACH: u64 = 2 + 8;
    const OTHERS: u64 = 64;
    let machines = spec.all().count() as u64;
    let needed = machines * EACH + OTHERS;
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) if soft < needed => {
            let lifted = hard >= needed && setrlimit(Resource::RLIMIT_NOFILE, needed, hard).is_ok();
            if lifted { Ok(()) } else { Err(LabError::Files { machines, needed, limit: hard }) }
        }
        _ => Ok(()),
    }
}

/// A cable as it comes.
struct Laid {
    index: Option<u32>,
    fd: OwnedFd,
    statistics: OwnedFd,
}

fn finish(spec: &LabSpec, laid: Vec<Laid>, built: Built, fds: Vec<OwnedFd>, porter: Porter) -> Result<Lab, LabError> {
    let netlink = fds.into_iter().next().map(|fd| Arc::new(Netlink::from(fd)));
    let cable = |(endpoint, Laid { index, fd, statistics }): (&EndpointSpec, Laid)| {
        let kind = match index {
            None if spec.offloads => CableKind::TapWithOffloads,
            None => CableKind::Tap,
            Some(index) => CableKind::Packet(Plug { index, netlink: netlink.clone().ok_or(LabError::Died)? }),
        };
        let ips = [IpAddr::V4(endpoint.ip4), IpAddr::V6(endpoint.ip6)];
        let ips = ips.into_iter().filter(|ip| ip.is_ipv4() || built.has_ip6).collect();
        Ok(Cable { name: endpoint.name.as_str().into(), fd, kind, mac: endpoint.mac, ips, statistics })
    };
    let cables = spec.all().zip(laid).map(cable).collect::<Result<Vec<_>, LabError>>()?;
    if cables.len() != spec.all().count() {
        return Err(LabError::Died);
    }
    let (has_ip6, low_ports_are_open) = (built.has_ip6, built.low_ports_are_open);
    Ok(Lab { cables, has_ip6, spec: spec.clone(), low_ports_are_open, porter })
}

impl Lab {
    /// What it was built from.
    pub fn spec(&self) -> &LabSpec {
        &self.spec
    }
}

impl Porter {
    /// Asks for a socket in a machine's network; the answer comes on the channel.
    pub(crate) fn ask(&self, socket: Socket) -> nix::Result<()> {
        self.0.send(&Wanted::Socket(socket), &[])
    }

    /// Another hold, with answers of its own.
    pub(crate) fn another(&self) -> nix::Result<Self> {
        let (own, its) = Channel::pair()?;
        self.0.send(&Wanted::Door, &[its.as_raw_fd()])?;
        Ok(Self(own))
    }

    /// The answer to a request, if one has come.
    pub(crate) fn answer(&self) -> Received<ToBench> {
        self.0.receive()
    }
}

impl AsFd for Porter {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}
