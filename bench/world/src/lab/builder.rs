//! The laboratory's process: builds the machines, then makes sockets in their networks for dsbench.
//!
//! It holds no machine up: others hold the namespaces. It ends with its channel to dsbench, or with the guardian.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::unistd::{Pid, chdir, getppid, sethostname};

use super::identity::Mapped;
use super::link::{self, Pairs};
use super::message::{Answer, Built, Refusal, Socket, Step, ToBench, ToGuardian, Wanted};
use super::spec::{EndpointSpec, LabSpec, LinkKind};
use super::{mounts, sysctl};
use crate::process::{Channel, Received};

/// The namespaces of a machine, as /proc names them.
const MACHINE: [&str; 4] = ["net", "mnt", "uts", "ipc"];

/// The life of the process; gives its exit code.
pub(super) fn run(spec: &LabSpec, guardian: Channel, bench: Channel, parent: Pid) -> i32 {
    // Nothing that others hold open may depend on this process: it dies with the guardian.
    let prepared = prctl::set_name(c"dsbench-lab").and_then(|()| prctl::set_pdeathsig(Signal::SIGKILL));
    if prepared.is_err() || getppid() != parent {
        return 71;
    }
    let (networks, built, netlink) = match build(spec, &guardian, &bench) {
        Ok(site) => site,
        Err(failure) => {
            let _ = bench.send(&failure, &[]);
            return 1;
        }
    };
    let rights: Vec<_> = netlink.iter().map(AsRawFd::as_raw_fd).collect();
    let told = guardian.send(&ToGuardian::Built, &[]);
    if told.and_then(|()| bench.send(&ToBench::Built { built }, &rights)).is_err() {
        return 71;
    }
    drop((guardian, netlink));
    serve(&networks, bench)
}

/// What is left of building.
type Site = (Vec<OwnedFd>, Built, Option<OwnedFd>);

fn build(spec: &LabSpec, guardian: &Channel, bench: &Channel) -> Result<Site, ToBench> {
    let users = new_users(guardian)?;
    let refused = |at| move |refusal: Refusal| refusal.at(at);
    chdir("/")
        .and_then(|()| unshare(CloneFlags::CLONE_NEWNS))
        .map_err(|errno| Refusal { what: "unshare the mounts".to_owned(), errno }.at(Step::Mounts))?;
    mounts::share(spec).map_err(refused(Step::Mounts))?;
    let common = namespace("mnt").map_err(refused(Step::Mounts))?;

    let cables = Cables::new(spec)?;
    let mut built = Built { low_ports_are_open: true, has_ip6: true };
    let (mut networks, mut indexes) = (Vec::new(), Vec::new());
    for (number, endpoint) in spec.all().enumerate() {
        setns(&common, CloneFlags::CLONE_NEWNS).map_err(|errno| Refusal::of("go back")(errno).at(Step::Mounts))?;
        let [net, mnt, uts, ipc] = machine(endpoint, spec).map_err(refused(Step::Machine))?;
        sysctl::calm(users);
        built.low_ports_are_open &= sysctl::open_low_ports();
        let (cable, index) = cables.lay(number, spec.mtu, &net)?;
        built.has_ip6 &= link::configure(endpoint, spec.prefix, spec.mtu)
            .map_err(|errno| Refusal::of("give a machine its addresses")(errno).at(Step::Network))?;
        let fds = [&net, &mnt, &uts, &ipc].map(AsRawFd::as_raw_fd);
        let statistics = opened("/proc/self/net/dev").map_err(refused(Step::Network))?;
        guardian
            .send(&ToGuardian::Machine { name: endpoint.name.clone() }, &fds)
            .and_then(|()| bench.send(&ToBench::Cable { index }, &[cable.as_raw_fd(), statistics.as_raw_fd()]))
            .map_err(|errno| Refusal::of("hand over a machine")(errno).at(Step::Machine))?;
        networks.push(net);
        indexes.extend(index);
    }
    // Not before all are built: kernels that do it in their own time do it for all at once.
    cables
        .settle(&networks, &indexes)
        .map_err(|errno| Refusal::of("wait for a pair of devices")(errno).at(Step::Packet))?;
    let netlink = cables.pairs.map(|pairs| pairs.netlink().as_fd().try_clone_to_owned()).transpose();
    let netlink = netlink.map_err(|error| Refusal::io("hand over a socket", &error).at(Step::Packet))?;
    Ok((networks, built, netlink))
}

/// Becomes the root of a new user namespace, in which everybody is who he was.
fn new_users(guardian: &Channel) -> Result<Mapped, ToBench> {
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|errno| Refusal::of("make a user namespace")(errno).at(Step::Users))?;
    let lost = |errno| Refusal::of("speak to the guardian")(errno).at(Step::Users);
    guardian.send(&ToGuardian::Unmapped, &[]).map_err(lost)?;
    let answer: Answer = loop {
        match guardian.receive() {
            Received::Message(answer, _) => break answer,
            Received::Nothing => wait(guardian),
            Received::Ended => return Err(lost(Errno::EPIPE)),
        }
    };
    let mapped = answer.map_err(|errno| Refusal::of("map the users")(Errno::from_raw(errno)).at(Step::Map))?;
    let users = namespace("user").map_err(|refusal| refusal.at(Step::Users))?;
    guardian.send(&ToGuardian::Users, &[users.as_raw_fd()]).map_err(lost)?;
    Ok(mapped)
}

/// Enters new namespaces and makes them a machine, without a network yet.
fn machine(endpoint: &EndpointSpec, spec: &LabSpec) -> Result<[OwnedFd; 4], Refusal> {
    let flags =
        CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC;
    unshare(flags).map_err(Refusal::of("make the namespaces of a machine"))?;
    sethostname(&endpoint.hostname).map_err(Refusal::of("name a machine"))?;
    mounts::separate(&spec.visible)?;
    let mut fds = Vec::new();
    for kind in MACHINE {
        fds.push(namespace(kind)?);
    }
    Ok(fds.try_into().expect("one for each"))
}

/// A hold on a namespace that this process is in.
pub(super) fn namespace(kind: &str) -> Result<OwnedFd, Refusal> {
    opened(&format!("/proc/self/ns/{kind}"))
}

fn opened(path: &str) -> Result<OwnedFd, Refusal> {
    File::open(path).map(OwnedFd::from).map_err(|error: io::Error| Refusal::io(&format!("open {path}"), &error))
}

/// Whatever carries frames here.
struct Cables {
    wanted: LinkKind,
    /// What [`LabSpec::offloads`] says.
    offloads: bool,
    /// Made when the first is needed.
    pairs: Option<Pairs>,
}

impl Cables {
    fn new(spec: &LabSpec) -> Result<Self, ToBench> {
        let wanted = spec.link;
        let mut cables = Self { wanted, offloads: spec.offloads, pairs: None };
        // Before the first machine, so that it is decided once: all machines are alike.
        unshare(CloneFlags::CLONE_NEWNET)
            .map_err(|errno| Refusal::of("make a network namespace")(errno).at(Step::Machine))?;
        let here = namespace("net").map_err(|refusal| refusal.at(Step::Machine))?;
        let pairs = || Pairs::here(here).map_err(|errno| Refusal::of("open a netlink socket")(errno).at(Step::Packet));
        match wanted {
            LinkKind::Tap => {}
            LinkKind::Packet => cables.pairs = Some(pairs()?),
            // It was tried in a network namespace that nobody will use.
            LinkKind::Any if link::tap(spec.offloads).is_ok() => cables.wanted = LinkKind::Tap,
            LinkKind::Any => cables.pairs = Some(pairs()?),
        }
        Ok(cables)
    }

    /// Makes eth0 in the network namespace `there`, in which this process is.
    fn lay(&self, number: usize, mtu: u32, there: &OwnedFd) -> Result<(OwnedFd, Option<u32>), ToBench> {
        match &self.pairs {
            None => link::tap(self.offloads)
                .map(|tap| (tap, None))
                .map_err(|errno| Refusal::of("make a TAP device with /dev/net/tun")(errno).at(Step::Tap)),
            Some(pairs) => pairs
                .add(number, mtu, there)
                .map(|(socket, index)| (socket, Some(index)))
                .map_err(|errno| Refusal::of("make a pair of devices and a packet socket")(errno).at(Step::Packet)),
        }
    }

    /// Waits until frames pass; a TAP device lets them pass from the beginning.
    fn settle(&self, networks: &[OwnedFd], indexes: &[u32]) -> nix::Result<()> {
        let Some(pairs) = &self.pairs else { return Ok(()) };
        indexes.iter().try_for_each(|index| pairs.settle(*index))?;
        networks.iter().try_for_each(|net| {
            setns(net, CloneFlags::CLONE_NEWNET)?;
            link::settle()
        })
    }
}

/// Makes sockets until nobody wants any.
fn serve(networks: &[OwnedFd], bench: Channel) -> i32 {
    let mut doors = vec![bench];
    while !doors.is_empty() {
        let mut fds: Vec<_> = doors.iter().map(|door| PollFd::new(door.as_fd(), PollFlags::POLLIN)).collect();
        // Whatever it says, looking tells.
        let _ = poll(&mut fds, PollTimeout::NONE);
        let mut more = Vec::new();
        doors.retain(|door| {
            loop {
                match door.receive::<Wanted>() {
                    Received::Message(Wanted::Socket(request), _) => answer(networks, request, door),
                    Received::Message(Wanted::Door, fds) => more.extend(fds.into_iter().map(Channel::from)),
                    Received::Nothing => return true,
                    Received::Ended => return false,
                }
            }
        });
        doors.extend(more);
    }
    0
}

fn answer(networks: &[OwnedFd], request: Socket, door: &Channel) {
    let made = make(networks, &request);
    let (fds, errno) = match &made {
        Ok(socket) => (vec![socket.as_raw_fd()], 0),
        Err(errno) => (Vec::new(), *errno as i32),
    };
    // If nobody waits for it any more, the door is closed, and the next look says so.
    let _ = door.send(&ToBench::Socket { id: request.id, errno }, &fds);
}

fn make(networks: &[OwnedFd], request: &Socket) -> nix::Result<OwnedFd> {
    setns(networks.get(request.machine).ok_or(Errno::ENODEV)?, CloneFlags::CLONE_NEWNET)?;
    let family = if request.is_ip6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    socket(family, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)
}

fn wait(channel: &Channel) {
    // Whatever it says, looking tells.
    let _ = poll(&mut [PollFd::new(channel.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
}
