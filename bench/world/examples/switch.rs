//! How fast is the switch? Decisions per frame without sockets, and frames through socket pairs.
//!
//! Where it can, it tells the time that the processor worked, which other programs on the machine do not change much: a second by the time
//! for one frame is what a thread with a processor of its own can carry.
//!
//! ```text
//! cargo run --release -p dsbench-world --example switch
//! ```

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use dsbench_core::network::frames::{Envelope, mac};
use dsbench_core::network::{
    Delay, Effect, Endpoint, Fabric, Filter, Link, Loss, Offload, Protocol, Rule, RuleSet, Wire, Wiring,
};
use dsbench_world::{Clock, Port, PortKind, Switch, SwitchConfig};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, setsockopt, socketpair, sockopt};
use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};

const DECISIONS: u64 = 2_000_000;
const FRAMES: u32 = 300_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (name, rules) in rule_sets() {
        println!("decide  {name:<28} {:7.1} ns per frame", decide(&rules));
    }
    let dir = std::env::temp_dir().join(format!("dsbench-switch-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    for kind in [PortKind::Tap, PortKind::Packet] {
        for (name, rules) in rule_sets().into_iter().filter(|(name, _)| !name.contains("delay")) {
            let plain = forward(kind, &rules, None)?;
            let recorded = forward(kind, &rules, Some(&dir))?;
            println!("forward {kind:?} {name:<25} {plain:7.0} ns per frame, recorded {recorded:7.0}");
        }
    }
    let (p50, p99) = latency()?;
    println!("one way through the switch: p50 {p50:.1} us, p99 {p99:.1} us");
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

fn rule_sets() -> Vec<(&'static str, RuleSet)> {
    let link = Link { from: "n1".into(), to: "n2".into() };
    let rule = |id, only: Option<Filter>, effect| Rule { id, links: BTreeSet::from([link.clone()]), only, effect };
    let set = |rules: Vec<Rule>| RuleSet { rules };
    let loss = Effect { loss: Some(Loss { share: 0.01, burst: 1.0 }), ..Effect::default() };
    let bursts = Effect { loss: Some(Loss { share: 0.01, burst: 4.0 }), ..Effect::default() };
    let doubled = Effect { duplicate: 0.01, reorder: 0.01, ..Effect::default() };
    let delay = Delay { mean: Duration::from_micros(50), jitter: Duration::from_micros(10) };
    let delayed = Effect { delay: Some(delay), ..Effect::default() };
    let udp = Filter { protocol: Some(Protocol::Udp), port: Some(2000), payload: None };
    let never = Filter { port: Some(1), ..udp.clone() };
    vec![
        ("no rule", RuleSet::default()),
        ("loss", set(vec![rule(1, None, loss.clone())])),
        ("bursts, doubles, for UDP", set(vec![rule(1, None, bursts), rule(2, Some(udp), doubled)])),
        ("eight rules, none hits", set((1..9).map(|id| rule(id, Some(never.clone()), loss.clone())).collect())),
        ("delay 50 us", set(vec![rule(1, None, delayed)])),
    ]
}

struct Nowhere(u64);

impl Wire for Nowhere {
    fn put(&mut self, _: usize, frame: &[u8], _: &Offload) {
        self.0 += frame.len() as u64;
    }
}

fn address(endpoint: u16) -> IpAddr {
    Ipv4Addr::new(10, 77, 0, endpoint as u8).into()
}

fn frame() -> Vec<u8> {
    let envelope = Envelope { from_mac: mac(1), to_mac: mac(2), from: address(1), to: address(2) };
    envelope.udp((1000, 2000), &[7; 100])
}

fn decide(rules: &RuleSet) -> f64 {
    let endpoint = |number: u16| Endpoint {
        name: format!("n{number}").into(),
        mac: mac(number),
        addresses: vec![address(number)],
        is_exempt: false,
        takes_offloads: false,
    };
    let endpoints: Vec<_> = (1..=10).map(endpoint).collect();
    let wiring = Wiring::new(42, &endpoints);
    let mut fabric = Fabric::new(endpoints, BTreeSet::new());
    fabric.set_rules(wiring.ready(rules));
    let (clock, frame, mut wire) = (Clock::start(), frame(), Nowhere(0));
    let before = worked();
    for _ in 0..DECISIONS {
        let now = clock.now();
        fabric.release(now, &mut wire);
        fabric.receive(now, 0, &frame, &Offload::NONE, &mut wire);
    }
    (worked() - before) / DECISIONS as f64
}

/// How long this thread has worked, in nanoseconds.
fn worked() -> f64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0.0, |time| time.num_nanoseconds() as f64)
}

/// How long the thread of this name has worked, in nanoseconds.
fn worked_by(name: &str) -> Result<f64, Box<dyn std::error::Error>> {
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        // The program itself is called the same.
        let is_main = task.ends_with(std::process::id().to_string());
        if !is_main && std::fs::read_to_string(task.join("comm"))?.trim() == name {
            let worked = std::fs::read_to_string(task.join("schedstat"))?;
            return Ok(worked.split(' ').next().unwrap_or_default().parse()?);
        }
    }
    Err("no such thread".into())
}

fn lab(
    kind: PortKind,
    rules: &RuleSet,
    record: Option<&Path>,
) -> Result<(Switch, Vec<OwnedFd>), Box<dyn std::error::Error>> {
    let mut config = SwitchConfig { seed: 42, ..SwitchConfig::default() };
    config.pcap = record.map(|dir| dir.join("packets.pcapng"));
    config.messages = record.map(|dir| dir.join("messages"));
    let mut ends = Vec::new();
    for number in 1..=2 {
        let (end, fd) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        for fd in [&end, &fd] {
            setsockopt(fd, sockopt::SndBuf, &(4 << 20))?;
        }
        config.ports.push(Port::new(format!("n{number}"), fd, kind, mac(number), vec![address(number)]));
        ends.push(end);
    }
    let (outbox, _outside) = sync_channel(16);
    let switch = Switch::start(Clock::start(), config, outbox)?;
    switch.set_rules(rules);
    Ok((switch, ends))
}

fn forward(kind: PortKind, rules: &RuleSet, record: Option<&Path>) -> Result<f64, Box<dyn std::error::Error>> {
    let (switch, mut ends) = lab(kind, rules, record)?;
    let (reader, frame) = (ends.pop().ok_or("no end")?, frame());
    let reading = std::thread::spawn(move || {
        let mut room = [0; 2048];
        let mut count = 0;
        // The switch's end is closed when it has stopped.
        while recv(reader.as_raw_fd(), &mut room, MsgFlags::empty()).is_ok_and(|length| length > 0) {
            count += 1;
        }
        count
    });
    for _ in 0..FRAMES {
        send(ends[0].as_raw_fd(), &frame, MsgFlags::empty())?;
    }
    let frames = |switch: &Switch| Some(switch.traffic()?.links.first()?.frames);
    while frames(&switch).is_none_or(|frames| frames < FRAMES.into()) {
        std::thread::yield_now();
    }
    let worked = worked_by("switch")?;
    let traffic = switch.stop().ok_or("no switch")?;
    let came: u64 = reading.join().map_err(|_| "the reader has panicked")?;
    if traffic.overruns + traffic.unrecorded > 0 {
        println!("        ({came} came, {} overruns, {} unrecorded)", traffic.overruns, traffic.unrecorded);
    }
    Ok(worked / f64::from(FRAMES))
}

/// Half a round trip, at the median and the 99th percentile, in microseconds.
fn latency() -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let (_switch, ends) = lab(PortKind::Tap, &RuleSet::default(), None)?;
    let back = Envelope { from_mac: mac(2), to_mac: mac(1), from: address(2), to: address(1) }.udp((2000, 1000), b"x");
    let (clock, there, mut room) = (Clock::start(), frame(), [0; 2048]);
    let mut times = Vec::new();
    for _ in 0..10_000 {
        let start = clock.now();
        send(ends[0].as_raw_fd(), &there, MsgFlags::empty())?;
        wait(&ends[1], &mut room)?;
        send(ends[1].as_raw_fd(), &back, MsgFlags::empty())?;
        wait(&ends[0], &mut room)?;
        times.push(clock.now().since(start).as_nanos() as f64 / 2000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok((times[times.len() / 2], times[times.len() * 99 / 100]))
}

fn wait(end: &OwnedFd, room: &mut [u8]) -> Result<(), Errno> {
    recv(end.as_raw_fd(), room, MsgFlags::empty()).map(drop)
}
