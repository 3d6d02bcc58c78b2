//! Probes of machines of the laboratory: each needs a socket that was made there, by the laboratory's process.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use dsbench_core::time::RunTime;
use nix::errno::Errno;

use super::Listener;
use super::probe::{Answer, Probe};
use crate::lab::{LabSpec, Porter, Socket, ToBench};
use crate::outside::ProbeId;
use crate::process::{ProbeSpec, Received};

/// The machines, and who waits for a socket.
#[derive(Debug)]
pub(super) struct Machines {
    porter: Porter,
    /// Whose address is whose.
    owners: BTreeMap<IpAddr, usize>,
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    spec: ProbeSpec,
    deadline: RunTime,
}

/// What the laboratory's process has said.
enum Heard {
    /// A probe has begun, or ended at once.
    Begun(ProbeId, Result<Probe, Answer>),
    /// Nothing more, for now.
    Nothing,
    /// It has ended.
    Gone,
}

impl Machines {
    pub(super) fn new(spec: &LabSpec, porter: Porter) -> Self {
        let both = spec
            .all()
            .enumerate()
            .flat_map(|(machine, endpoint)| [(IpAddr::V4(endpoint.ip4), machine), (IpAddr::V6(endpoint.ip6), machine)]);
        Self { porter, owners: both.collect(), waiting: BTreeMap::new() }
    }

    /// Asks for a socket, if the address is a machine's. Else the probe is given back.
    pub(super) fn ask(&mut self, id: ProbeId, spec: ProbeSpec, now: RunTime) -> Option<ProbeSpec> {
        let Some(machine) = self.owners.get(&spec.addr.ip()) else { return Some(spec) };
        let socket = Socket { id: id.0, machine: *machine, is_ip6: spec.addr.is_ipv6() };
        // If it cannot be asked, it is gone, and its end will be seen.
        let _ = self.porter.ask(socket);
        let deadline = now + spec.within;
        self.waiting.insert(id.0, Waiting { spec, deadline });
        None
    }

    pub(super) fn deadlines(&self) -> impl Iterator<Item = RunTime> {
        self.waiting.values().map(|waiting| waiting.deadline)
    }

    /// Those that have waited too long, who wait no more.
    pub(super) fn late(&mut self, now: RunTime) -> Vec<ProbeId> {
        let late: Vec<u64> =
            self.waiting.iter().filter(|(_, waiting)| now >= waiting.deadline).map(|(id, _)| *id).collect();
        late.into_iter().filter_map(|id| self.waiting.remove(&id).map(|_| ProbeId(id))).collect()
    }

    /// The next answer.
    fn hear(&mut self) -> Heard {
        loop {
            match self.porter.answer() {
                Received::Message(ToBench::Socket { id, errno }, fds) => {
                    // It may have waited too long.
                    let Some(Waiting { spec, deadline }) = self.waiting.remove(&id) else { continue };
                    let id = ProbeId(id);
                    let begun = match fds.into_iter().next() {
                        Some(socket) => Probe::with(socket, id, spec, deadline),
                        None => Err(Err(Errno::from_raw(errno).desc().to_owned())),
                    };
                    return Heard::Begun(id, begun);
                }
                Received::Nothing => return Heard::Nothing,
                Received::Message(..) | Received::Ended => return Heard::Gone,
            }
        }
    }
}

impl Listener {
    /// Reads what the laboratory's process has said.
    pub(super) fn hear_porter(&mut self) {
        while let Some(machines) = &mut self.machines {
            match machines.hear() {
                Heard::Begun(id, begun) => self.watch_probe(id, begun),
                Heard::Nothing => return,
                Heard::Gone => {
                    let _ = self.epoll.delete(&*machines);
                    self.machines = None;
                    return self.broken("the process of its laboratory was killed");
                }
            }
        }
    }
}

impl AsFd for Machines {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.porter.as_fd()
    }
}
