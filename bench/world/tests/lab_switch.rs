//! Promises about the switch that need real kernels at both ends: what they believe, and what programs see.

mod stage;

use std::collections::BTreeSet;
use std::time::Duration;

use dsbench_core::network::{Corrupt, Delay, Effect, Link, Loss, Rule, RuleSet, RuleTraffic, SeenBy};
use dsbench_world::{Happening, LabSpec, LinkKind};

use stage::lab::{ECHO, LabStage, Tap, again_as_an_ordinary_user, megabyte, three};
use stage::life;

const BOTH: [(&str, &str); 2] = [("peer1", "peer2"), ("peer2", "peer1")];

fn rule(id: u64, links: &[(&str, &str)], effect: Effect) -> RuleSet {
    let link = |(from, to): &(&str, &str)| Link { from: (*from).into(), to: (*to).into() };
    let links: BTreeSet<_> = links.iter().map(link).collect();
    RuleSet { rules: vec![Rule { id, links, only: None, effect }] }
}

fn slow() -> Effect {
    let delay = Delay { mean: Duration::from_millis(5), jitter: Duration::from_millis(1) };
    Effect { delay: Some(delay), ..Effect::default() }
}

/// Every kind of port.
fn kinds() -> [LabSpec; 3] {
    [
        LabSpec { offloads: true, ..three() },
        LabSpec { offloads: false, ..three() },
        LabSpec { link: LinkKind::Packet, ..three() },
    ]
}

/// Whether machines of this kind get TAP devices here.
fn has_taps(link: LinkKind) -> bool {
    let is_open = || std::fs::File::options().read(true).write(true).open("/dev/net/tun").is_ok();
    link == LinkKind::Tap || link == LinkKind::Any && is_open()
}

/// Sends datagrams to an address, each with its number, and says which come back from port 7 there.
fn datagrams(to: &str, count: u32) -> String {
    format!(
        "python3 -c \"
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(('{to}', 7))
s.settimeout(0.3)
came = 0
for number in range({count}):
    s.send(struct.pack('!I', number) + b'payload' * 10)
    try:
        if s.recv(1000) == struct.pack('!I', number) + b'payload' * 10: came += 1
    except TimeoutError: pass
print(came)
\""
    )
}

/// Says what comes to port 7, without a word for what came as it was sent.
const MIRROR: &str = "exec python3 -c \"
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 7))
print('say up', flush=True)
while True:
    d, a = s.recvfrom(2000)
    if d[:2] + d[4:] != bytes(2) + b'payload' * 10: print('say changed', flush=True)
    s.sendto(d, a)
\"";

#[test]
#[ignore = "needs user namespaces, /dev/net/tun or AF_PACKET, and python3"]
fn streams_cross_unharmed_with_rules_and_without_over_every_kind_of_port() {
    for spec in kinds() {
        let mut lab = LabStage::with_switch(&spec, |_| {});
        lab.sh(&life("peer1", 1), ECHO);
        lab.stage.until_said_or_seen("up");
        for rules in [RuleSet::default(), rule(1, &BOTH, slow())] {
            lab.stage.world.set_rules(&rules).unwrap();
            for to in ["10.77.0.1", "fd77::1"] {
                assert_eq!(lab.ask("peer2", &megabyte(to)), "True", "{to}, {:?}, {rules:?}", spec.link);
            }
        }
        let traffic = lab.stage.world.traffic().unwrap();
        assert_eq!((traffic.overruns, traffic.forged), (0, 0));
        assert!(traffic.rules[0].delayed > 1_000, "{traffic:?}");
        // One frame is one packet, also where kernels left the cutting to their cards: two megabytes each way, twice.
        let link = traffic.links.iter().find(|one| &*one.link.from == "peer2" && &*one.link.to == "peer1").unwrap();
        assert!(link.frames > 4 * 1_024_000 / 1_460 && link.bytes / link.frames < 1_514, "{link:?}");
        lab.end();
    }
}

/// Gets datagrams that begin with their numbers, in their order. Says to whoever asks how many came as they should, and how many frames its
/// card has had for that.
const RECKONER: &str = "exec python3 -c \"
import socket, struct
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(('::', 7))
frames = lambda: int([l for l in open('/proc/net/dev') if 'eth0:' in l][0].split(':')[1].split()[1])
print('say up', flush=True)
came, before = 0, frames()
while True:
    d, a = s.recvfrom(2000)
    if d == b'?': s.sendto(struct.pack('!II', came, frames() - before), a)
    elif d == struct.pack('!I', came) * 300: came += 1
\"";

/// Sends datagrams in bursts, so many in a system call (UDP_SEGMENT), and asks after each. Ends after so many bursts, or the first for which
/// the card of the other has had fewer frames than there were datagrams. Says whether all came as they should, and whether there was such a one.
fn bursts(to: &str, most: u32) -> String {
    format!(
        "python3 -c \"
import socket, struct
s = socket.socket(socket.AF_INET6 if ':' in '{to}' else socket.AF_INET, socket.SOCK_DGRAM)
s.connect(('{to}', 7))
s.settimeout(60)
def ask():
    s.setsockopt(17, 103, 0)
    s.send(b'?')
    return struct.unpack('!II', s.recv(100))
sent, frames = ask()
is_joined = False
for burst in range({most}):
    s.setsockopt(17, 103, 1200)
    s.send(b''.join(struct.pack('!I', number) * 300 for number in range(sent, sent + 40)))
    sent += 40
    before, (came, frames) = frames, ask()
    is_joined = frames - before < 40
    if is_joined or came != sent: break
print(came == sent, is_joined)
\""
    )
}

#[test]
#[ignore = "needs user namespaces, /dev/net/tun or AF_PACKET, and python3"]
fn datagrams_that_wait_together_are_handed_over_together_unless_a_rule_has_seen_them() {
    for spec in kinds() {
        let mut lab = LabStage::with_switch(&spec, |_| {});
        lab.sh(&life("peer1", 1), RECKONER);
        lab.stage.until_said_or_seen("up");
        for to in ["10.77.0.1", "fd77::1"] {
            // As often as it takes: a switch that is not late has nothing to join. Packet sockets, which an ordinary user may be left with,
            // join nothing.
            let joins = spec.offloads && has_taps(spec.link);
            let (most, joined) = if joins { (10_000, "True") } else { (20, "False") };
            assert_eq!(lab.ask("peer2", &bursts(to, most)), format!("True {joined}"), "{to}, {:?}", spec.link);
        }
        // A rule that changes nothing: what it has seen is one packet each.
        let seen = Effect { mtu: Some(1500), ..Effect::default() };
        lab.stage.world.set_rules(&rule(1, &BOTH, seen)).unwrap();
        for to in ["10.77.0.1", "fd77::1"] {
            assert_eq!(lab.ask("peer2", &bursts(to, 20)), "True False", "{to}, {:?}", spec.link);
        }
        let traffic = lab.stage.world.traffic().unwrap();
        assert_eq!((traffic.overruns, traffic.forged), (0, 0));
        // Each was counted alone.
        let link = traffic.links.iter().find(|one| &*one.link.from == "peer2" && &*one.link.to == "peer1").unwrap();
        assert!(link.frames > 1_600 && link.bytes / link.frames < 1_300, "{link:?}");
        lab.end();
    }
}

#[test]
#[ignore = "needs user namespaces, /dev/net/tun or AF_PACKET, and python3"]
fn a_healed_partition_is_over_at_once_however_long_it_was() {
    for spec in kinds() {
        let mut lab = LabStage::with_switch(&spec, |_| {});
        lab.sh(&life("peer1", 1), MIRROR);
        lab.stage.until_said_or_seen("up");
        let cut = Effect { cut: true, ..Effect::default() };
        lab.stage.world.set_rules(&rule(1, &BOTH[1..], cut)).unwrap();
        // Longer than a kernel asks for a neighbour in vain.
        assert_eq!(lab.ask("peer2", &datagrams("10.77.0.1", 14)), "0");
        lab.stage.world.set_rules(&RuleSet::default()).unwrap();
        assert_eq!(lab.ask("peer2", &datagrams("10.77.0.1", 20)), "20");
        assert_eq!(lab.stage.world.traffic().unwrap().rules[0].dropped, 14);
        lab.end();
    }
}

#[test]
#[ignore = "needs user namespaces, /dev/net/tun or AF_PACKET, and python3"]
fn a_reset_is_believed_at_both_sides() {
    for (spec, to) in kinds().into_iter().flat_map(|spec| ["10.77.0.1", "fd77::1"].map(|to| (spec.clone(), to))) {
        let mut lab = LabStage::with_switch(&spec, |_| {});
        let (server, client) = (life("peer1", 1), life("peer2", 1));
        lab.sh(&server, ECHO);
        lab.stage.until_said_by(&server, "up");
        let talk = format!(
            "exec python3 -c \"
import socket
c = socket.create_connection(('{to}', 80), timeout=60)
c.sendall(b'x')
c.recv(1)
print('say open', flush=True)
try:
    while True:
        c.sendall(b'x')
        c.recv(1)
except ConnectionResetError: print('say lost', flush=True)
try: socket.create_connection(('{to}', 80), timeout=60)
except ConnectionRefusedError: print('say refused', flush=True)
\""
        );
        lab.sh(&client, &talk);
        lab.stage.until_said_by(&client, "open");
        lab.stage.world.set_rules(&rule(1, &BOTH, Effect { reset: true, ..Effect::default() })).unwrap();
        lab.stage.until_said_by(&client, "lost");
        lab.stage.until_said_by(&server, "reset");
        lab.stage.until_said_by(&client, "refused");
        // One that was open, and one that was refused.
        assert_eq!(lab.stage.world.traffic().unwrap().rules[0].reset, 2);
        lab.end();
    }
}

#[test]
#[ignore = "needs user namespaces, /dev/net/tun or AF_PACKET, and python3"]
fn a_corrupt_payload_reaches_the_program_and_a_corrupt_wire_does_not() {
    for spec in kinds() {
        for (seen_by, reaches) in [(SeenBy::Program, true), (SeenBy::Kernel, false)] {
            let mut lab = LabStage::with_switch(&spec, |_| {});
            lab.sh(&life("peer1", 1), MIRROR);
            lab.stage.until_said_or_seen("up");
            let corrupt = Effect { corrupt: Some(Corrupt { share: 1.0, seen_by }), ..Effect::default() };
            lab.stage.world.set_rules(&rule(1, &BOTH[1..], corrupt)).unwrap();
            assert_eq!(lab.ask("peer2", &datagrams("10.77.0.1", 1)), "0");
            let rules = lab.stage.world.traffic().unwrap().rules;
            assert_eq!((rules[0].matched, rules[0].corrupted), (1, 1));
            if reaches {
                lab.stage.until_said_or_seen("changed");
            } else {
                // The datagram came, and the kernel alone knows.
                let errors = "awk '/^Udp:/ && $2 ~ /[0-9]/ {print $8}' /proc/net/snmp";
                assert_eq!(lab.ask("peer1", errors), "1");
            }
            lab.end();
        }
    }
}

#[test]
#[ignore = "needs user namespaces, /dev/net/tun or AF_PACKET, and python3"]
fn a_smaller_mtu_is_learned_and_streams_go_on() {
    for spec in kinds() {
        let mut lab = LabStage::with_switch(&spec, |_| {});
        lab.sh(&life("peer1", 1), ECHO);
        lab.stage.until_said_or_seen("up");
        let narrow = Effect { mtu: Some(1300), ..Effect::default() };
        lab.stage.world.set_rules(&rule(1, &BOTH, narrow)).unwrap();
        for to in ["10.77.0.1", "fd77::1"] {
            assert_eq!(lab.ask("peer2", &megabyte(to)), "True", "{to}, {:?}", spec.link);
        }
        assert!(lab.stage.world.traffic().unwrap().rules[0].dropped > 0);
        lab.end();
    }
}

/// Says the number of each datagram that comes to port 7.
const LISTENER: &str = "exec python3 -c \"
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 7))
print('say up', flush=True)
while True: print('say', struct.unpack('!I', s.recv(100)[:4])[0], flush=True)
\"";

/// Which of 120 datagrams from peer2 come to peer1 with a rule: so many fit into a socket of any system.
fn which_come(spec: &LabSpec, seed: u64, effect: &Effect) -> (Vec<u32>, RuleTraffic) {
    let mut lab = LabStage::with_switch(spec, |config| config.seed = seed);
    let server = life("peer1", 1);
    lab.sh(&server, LISTENER);
    lab.stage.until_said_by(&server, "up");
    let send = |numbers: &str| {
        format!(
            "python3 -c \"
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in {numbers}: s.sendto(struct.pack('!I', number), ('10.77.0.1', 7))
\""
        )
    };
    // While a kernel asks where its neighbour is, later packets can overtake those that wait for the answer.
    lab.ask("peer2", &send("[1000]"));
    lab.stage.until_said_by(&server, "1000");
    lab.stage.world.set_rules(&rule(1, &BOTH[1..], effect.clone())).expect("a switch");
    lab.ask("peer2", &send("range(120)"));
    let counted = loop {
        let traffic = lab.stage.world.traffic().expect("a switch");
        if traffic.rules[0].matched == 120 {
            break traffic.rules[0].clone();
        }
        std::thread::yield_now();
    };
    let said = |what: &Happening| match what {
        Happening::Event(event) => event.name.parse().ok().filter(|number| *number < 1000),
        _ => None,
    };
    let expected = 120 - counted.dropped as usize;
    let mut came: Vec<u32> = lab.stage.seen.iter().filter_map(|outside| said(&outside.what)).collect();
    while came.len() < expected {
        let outside = lab.stage.until(|what| said(what).is_some());
        came.extend(said(&outside.what));
    }
    lab.end();
    (came, counted)
}

#[test]
#[ignore = "needs user namespaces, /dev/net/tun or AF_PACKET, and python3"]
fn the_same_datagrams_are_lost_with_the_same_seed_and_as_many_as_were_asked_for() {
    let lossy = Effect { loss: Some(Loss { share: 0.3, burst: 1.0 }), ..Effect::default() };
    let [with_work_left, plain, packets] = kinds();
    let (came, counted) = which_come(&with_work_left, 42, &lossy);
    // Six standard deviations: sqrt(120 * 0.3 * 0.7) = 5.
    assert!((6..=66).contains(&counted.dropped), "{counted:?}");
    assert!(came.is_sorted());
    assert_eq!(which_come(&plain, 42, &lossy).0, came);
    assert_eq!(which_come(&packets, 42, &lossy).0, came);
    assert_ne!(which_come(&plain, 43, &lossy).0, came);
}

#[test]
#[ignore = "needs user namespaces, /dev/net/tun or AF_PACKET, and python3"]
fn fifty_milliseconds_of_delay_are_never_less() {
    for spec in kinds() {
        let mut lab = LabStage::with_switch(&spec, |_| {});
        lab.sh(&life("peer1", 1), MIRROR);
        lab.stage.until_said_or_seen("up");
        let delay = Delay { mean: Duration::from_millis(50), jitter: Duration::ZERO };
        let late = Effect { delay: Some(delay), ..Effect::default() };
        lab.stage.world.set_rules(&rule(1, &BOTH[1..], late)).unwrap();
        let shortest = lab.ask(
            "peer2",
            "python3 -c \"
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(('10.77.0.1', 7))
s.settimeout(60)
times = []
for number in range(20):
    start = time.monotonic()
    s.send(b'x')
    s.recv(1000)
    times.append(time.monotonic() - start)
print(min(times))
\"",
        );
        assert!(shortest.parse::<f64>().unwrap() >= 0.05, "{shortest}");
        assert_eq!(lab.stage.world.traffic().unwrap().rules[0].delayed, 20);
        lab.end();
    }
}

#[test]
#[ignore = "needs user namespaces, /dev/net/tun or AF_PACKET, and python3"]
fn an_unplugged_machine_sees_no_carrier_and_is_back_when_it_is_plugged_in() {
    for spec in kinds() {
        let mut lab = LabStage::with_switch(&spec, |_| {});
        lab.sh(&life("peer1", 1), MIRROR);
        lab.stage.until_said_or_seen("up");
        let flags = "python3 -c \"
import socket, fcntl, struct
s = socket.socket()
print(struct.unpack('16xH', fcntl.ioctl(s, 0x8913, b'eth0' + bytes(28))[:18])[0] & 64)
\"";
        lab.stage.world.plug("peer1", false).unwrap();
        lab.until_asked("peer1", flags, "0");
        assert_eq!(lab.ask("peer2", &datagrams("10.77.0.1", 1)), "0");
        lab.stage.world.plug("peer1", true).unwrap();
        lab.until_asked("peer1", flags, "64");
        lab.until_asked("peer2", &datagrams("10.77.0.1", 1), "1");
        lab.end();
    }
}

#[test]
#[ignore = "needs root, setpriv and user namespaces"]
fn all_of_this_is_true_for_an_ordinary_user() {
    again_as_an_ordinary_user("all_of_this_is_true_for_an_ordinary_user", Tap::AsItIs);
}

#[test]
#[ignore = "needs root, setpriv, unshare and /dev/net/tun"]
fn all_of_this_is_true_for_an_ordinary_user_who_may_use_tap_devices() {
    again_as_an_ordinary_user("all_of_this_is_true_for_an_ordinary_user", Tap::ForEverybody);
}
