//! The switch on socket pairs: what endpoints send and get, without namespaces and cards.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use dsbench_core::network::frames::{Envelope, mac};
use dsbench_core::network::messages::{self, End};
use dsbench_core::network::{Delay, Effect, Link, Loss, OFFLOAD_BYTES, Rule, RuleSet};
use dsbench_world::{Clock, Outside, Port, PortKind, Switch, SwitchConfig};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::{Block, PcapNgReader};

/// A switch and the nodes' ends of its ports.
struct Lab {
    clock: Clock,
    switch: Switch,
    ends: Vec<OwnedFd>,
    _outside: Receiver<Outside>,
}

fn address(endpoint: u16) -> IpAddr {
    let [high, low] = endpoint.to_be_bytes();
    Ipv4Addr::new(10, 77, high, low).into()
}

fn lab(kind: PortKind, endpoints: u16, configure: impl FnOnce(&mut SwitchConfig)) -> Lab {
    let clock = Clock::start();
    let mut config = SwitchConfig { seed: 42, ..SwitchConfig::default() };
    let mut ends = Vec::new();
    for number in 1..=endpoints {
        let (end, fd) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
            .expect("a pair of sockets");
        config.ports.push(Port::new(format!("n{number}"), fd, kind, mac(number), vec![address(number)]));
        ends.push(end);
    }
    configure(&mut config);
    let (outbox, outside) = sync_channel(16);
    let switch = Switch::start(clock, config, outbox).expect("a switch");
    Lab { clock, switch, ends, _outside: outside }
}

fn frame(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let envelope = Envelope { from_mac: mac(from), to_mac: mac(to), from: address(from), to: address(to) };
    envelope.udp((1000, 2000), payload)
}

impl Lab {
    fn send(&self, from: u16, frame: &[u8]) {
        send(self.ends[usize::from(from) - 1].as_raw_fd(), frame, MsgFlags::empty()).expect("the switch reads");
    }

    /// The next frame that an endpoint gets; none if it gets nothing for so long.
    fn get(&self, to: u16, within: Duration) -> Option<Vec<u8>> {
        let end = &self.ends[usize::from(to) - 1];
        let mut wait = [PollFd::new(std::os::fd::AsFd::as_fd(end), PollFlags::POLLIN)];
        poll(&mut wait, PollTimeout::try_from(within).expect("minutes at most")).expect("one descriptor");
        let mut room = vec![0; 70_000];
        match recv(end.as_raw_fd(), &mut room, MsgFlags::MSG_DONTWAIT) {
            Ok(length) => {
                room.truncate(length);
                Some(room)
            }
            Err(Errno::EAGAIN) => None,
            Err(errno) => panic!("{errno}"),
        }
    }

    /// The next frame, which must come.
    fn expect(&self, to: u16) -> Vec<u8> {
        self.get(to, Duration::from_secs(60)).expect("a frame comes")
    }
}

/// A datagram as a kernel hands it over whose card completes checksums: behind what is left to do, and with the sum of the pseudo-header only.
fn left_undone(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; OFFLOAD_BYTES];
    bytes[0] = 1;
    bytes[6..8].copy_from_slice(&34_u16.to_ne_bytes());
    bytes[8..10].copy_from_slice(&6_u16.to_ne_bytes());
    let mut frame = frame(from, to, payload);
    let sum = 2 * 0x0a4d + from + to + 17 + 8 + payload.len() as u16;
    frame[40..42].copy_from_slice(&sum.to_be_bytes());
    bytes.extend(frame);
    bytes
}

fn rule(id: u64, from: u16, to: u16, effect: Effect) -> Rule {
    let link = Link { from: format!("n{from}").into(), to: format!("n{to}").into() };
    Rule { id, links: BTreeSet::from([link]), only: None, effect }
}

const KINDS: [PortKind; 2] = [PortKind::Tap, PortKind::Packet];

#[test]
fn frames_cross_in_both_directions_and_in_their_order() {
    for kind in KINDS {
        let lab = lab(kind, 3, |_| {});
        for number in 0..50_u8 {
            lab.send(1, &frame(1, 2, &[number]));
            lab.send(2, &frame(2, 1, &[number]));
        }
        for number in 0..50_u8 {
            assert_eq!(lab.expect(2), frame(1, 2, &[number]));
            assert_eq!(lab.expect(1), frame(2, 1, &[number]));
        }
        let traffic = lab.switch.stop().unwrap();
        let frames: Vec<_> = traffic.links.iter().map(|link| link.frames).collect();
        assert_eq!((frames, traffic.overruns), (vec![50, 50], 0));
    }
}

#[test]
fn datagrams_that_came_together_go_on_together_counted_alone_and_in_their_order() {
    let (end, fd) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).expect("a pair of sockets");
    for number in 0..40_u8 {
        send(end.as_raw_fd(), &left_undone(1, 2, &[7, number]), MsgFlags::empty()).expect("there is room");
    }
    // They are there before the switch is.
    let lab = lab(PortKind::TapWithOffloads, 2, |config| config.ports[0].fd = fd);
    let mut came = Vec::new();
    for count in [16, 16, 8] {
        let bytes = lab.expect(2);
        // UDP segmentation offload, headers of 42 bytes, datagrams of 2.
        assert_eq!(
            (bytes[1], bytes[2..4].to_vec(), bytes[4..6].to_vec()),
            (5, 42_u16.to_ne_bytes().to_vec(), 2_u16.to_ne_bytes().to_vec())
        );
        let payloads = &bytes[OFFLOAD_BYTES + 42..];
        assert_eq!(payloads.len(), count * 2);
        came.extend(payloads.chunks(2).map(|payload| payload[1]));
    }
    assert_eq!(came, (0..40).collect::<Vec<_>>());
    let links = lab.switch.stop().expect("it runs").links;
    let link = links.iter().find(|one| &*one.link.from == "n1").expect("a link");
    assert_eq!((link.frames, link.bytes), (40, 40 * 44));
}

#[test]
fn from_the_instant_that_a_partition_is_told_no_frame_crosses() {
    for kind in KINDS {
        let lab = lab(kind, 2, |_| {});
        let before = lab.clock.now();
        let cut = Effect { cut: true, ..Effect::default() };
        let at = lab.switch.set_rules(&RuleSet { rules: vec![rule(5, 1, 2, cut)] }).unwrap();
        assert!(before <= at && at <= lab.clock.now());
        lab.send(1, &frame(1, 2, b"cut"));
        // The other way is open, and what came through it was sent later.
        lab.send(2, &frame(2, 1, b"open"));
        assert_eq!(lab.expect(1), frame(2, 1, b"open"));
        while lab.switch.traffic().unwrap().rules[0].dropped == 0 {
            std::thread::yield_now();
        }
        lab.switch.set_rules(&RuleSet::default()).unwrap();
        lab.send(1, &frame(1, 2, b"healed"));
        assert_eq!(lab.expect(2), frame(1, 2, b"healed"));
    }
}

#[test]
fn a_delayed_frame_never_comes_early_and_the_thread_wakes_for_it() {
    for kind in KINDS {
        let lab = lab(kind, 2, |_| {});
        let (mean, jitter) = (Duration::from_millis(20), Duration::ZERO);
        let slow = Effect { delay: Some(Delay { mean, jitter }), ..Effect::default() };
        lab.switch.set_rules(&RuleSet { rules: vec![rule(1, 1, 2, slow)] }).unwrap();
        for number in 0..5_u8 {
            let sent = lab.clock.now();
            lab.send(1, &frame(1, 2, &[number]));
            assert_eq!(lab.expect(2), frame(1, 2, &[number]));
            assert!(lab.clock.now().since(sent) >= mean);
        }
    }
}

#[test]
fn the_same_frames_are_lost_with_the_same_seed() {
    let run = |kind| {
        let lab = lab(kind, 2, |_| {});
        let lossy = Effect { loss: Some(Loss { share: 0.3, burst: 1.0 }), ..Effect::default() };
        lab.switch.set_rules(&RuleSet { rules: vec![rule(1, 1, 2, lossy)] }).unwrap();
        let mut came = Vec::new();
        for number in 0..200_u8 {
            lab.send(1, &frame(1, 2, &[number]));
            // The last of these is never lost: it goes the other way, and tells that the first was decided.
            lab.send(1, &frame(1, 1, &[]));
            while lab.switch.traffic().unwrap().stray <= u64::from(number) {
                std::thread::yield_now();
            }
            came.extend(lab.get(2, Duration::ZERO));
        }
        came
    };
    let first = run(PortKind::Tap);
    assert!((100..180).contains(&first.len()), "{}", first.len());
    assert_eq!(first, run(PortKind::Packet));
}

#[test]
fn an_unplugged_endpoint_is_cut_off_and_its_carrier_told() {
    let (told, carrier) = sync_channel(4);
    let lab = lab(PortKind::Packet, 2, |config| {
        config.ports[1].carrier = Some(Box::new(move |is_plugged| {
            told.send(is_plugged).unwrap();
            Ok(())
        }));
    });
    assert_eq!(lab.switch.plug("nobody", false), None);
    lab.switch.plug("n2", false).unwrap();
    lab.send(1, &frame(1, 2, b"lost"));
    while lab.switch.traffic().unwrap().unplugged == 0 {
        std::thread::yield_now();
    }
    lab.switch.plug("n2", true).unwrap();
    lab.send(1, &frame(1, 2, b"back"));
    assert_eq!(lab.expect(2), frame(1, 2, b"back"));
    assert_eq!(carrier.try_iter().collect::<Vec<_>>(), [false, true]);
}

#[test]
fn what_a_full_port_does_not_take_is_counted_as_the_benches_fault() {
    for kind in KINDS {
        let lab = lab(kind, 2, |_| {});
        let large = frame(1, 2, &[0; 10_000]);
        let mut sent = 0;
        // Nobody reads.
        while lab.switch.traffic().unwrap().overruns < 3 {
            lab.send(1, &large);
            sent += 1;
        }
        let traffic = lab.switch.stop().unwrap();
        let mut came = 0;
        let mut room = vec![0; 20_000];
        while recv(lab.ends[1].as_raw_fd(), &mut room, MsgFlags::MSG_DONTWAIT).is_ok_and(|length| length > 0) {
            came += 1;
        }
        assert!(traffic.links[0].frames <= sent);
        assert_eq!(came + traffic.overruns, traffic.links[0].frames);
    }
}

#[test]
fn the_exempt_endpoint_is_touched_by_no_rule_and_counted_nowhere() {
    let lab = lab(PortKind::Packet, 2, |config| config.exempt = BTreeSet::from(["n2".into()]));
    let cut = Effect { cut: true, ..Effect::default() };
    lab.switch.set_rules(&RuleSet { rules: vec![rule(1, 1, 2, cut.clone()), rule(2, 2, 1, cut)] }).unwrap();
    lab.send(1, &frame(1, 2, b"to the bench"));
    assert_eq!(lab.expect(2), frame(1, 2, b"to the bench"));
    lab.send(2, &frame(2, 1, b"from the bench"));
    assert_eq!(lab.expect(1), frame(2, 1, b"from the bench"));
    let traffic = lab.switch.stop().unwrap();
    assert!(traffic.links.is_empty());
    assert_eq!(traffic.rules.iter().map(|rule| rule.matched).sum::<u64>(), 0);
}

#[test]
fn a_port_that_is_gone_does_not_keep_the_others_from_speaking() {
    for kind in KINDS {
        let mut lab = lab(kind, 3, |_| {});
        drop(lab.ends.pop());
        lab.send(1, &frame(1, 3, b"to nobody"));
        lab.send(1, &frame(1, 2, b"to somebody"));
        assert_eq!(lab.expect(2), frame(1, 2, b"to somebody"));
    }
}

/// What a reader of another make finds: the interface's name, how much of the packet, its length, and its comments.
fn read_back(pcap: &std::path::Path) -> Vec<(String, usize, u32, Vec<String>)> {
    let mut reader = PcapNgReader::new(File::open(pcap).expect("a file")).expect("a section");
    let mut packets = Vec::new();
    let mut names = Vec::new();
    while let Some(block) = reader.next_block() {
        match block.expect("a sound block").into_owned() {
            Block::InterfaceDescription(interface) => {
                let name = interface.options.into_iter().find_map(|option| match option {
                    InterfaceDescriptionOption::IfName(name) => Some(name.into_owned()),
                    _ => None,
                });
                names.push(name.expect("every interface has a name"));
            }
            Block::EnhancedPacket(packet) => {
                let comments = packet.options.into_iter().filter_map(|option| match option {
                    EnhancedPacketOption::Comment(comment) => Some(comment.into_owned()),
                    _ => None,
                });
                let name = names[packet.interface_id as usize].clone();
                packets.push((name, packet.data.len(), packet.original_len, comments.collect()));
            }
            _ => {}
        }
    }
    assert_eq!(names.len(), 3);
    packets
}

#[test]
fn recorded_packets_carry_the_reason_and_are_read_back_by_others() {
    let dir = tempfile::tempdir().unwrap();
    let (pcap, record) = (dir.path().join("packets.pcapng"), dir.path().join("messages"));
    let lab = lab(PortKind::Packet, 3, |config| {
        (config.pcap, config.messages) = (Some(pcap.clone()), Some(record.clone()));
    });
    let cut = Effect { cut: true, ..Effect::default() };
    let delay = Delay { mean: Duration::from_millis(2), jitter: Duration::ZERO };
    let slow = Effect { delay: Some(delay), ..Effect::default() };
    lab.switch.set_rules(&RuleSet { rules: vec![rule(12, 1, 2, cut), rule(13, 1, 3, slow)] }).unwrap();
    let mut to_all = frame(1, 2, &[7; 400]);
    to_all[..6].copy_from_slice(&[0xff; 6]);
    lab.send(1, &to_all);
    assert_eq!(lab.expect(3), to_all);
    lab.send(2, &frame(2, 1, b"x"));
    assert_eq!(lab.expect(1), frame(2, 1, b"x"));
    assert_eq!(lab.switch.stop().unwrap().unrecorded, 0);

    let packet = |name: &str, kept, length, comments: &[&str]| {
        (name.to_owned(), kept, length, comments.iter().map(|comment| (*comment).to_owned()).collect::<Vec<_>>())
    };
    let expected = [
        packet("n1", 128, 442, &["to n2: dropped by rule 12 (partition)", "to n3: delayed 2ms by rule 13"]),
        packet("n3", 128, 442, &["delayed 2ms by rule 13"]),
        packet("n2", 43, 43, &[]),
        packet("n1", 43, 43, &[]),
    ];
    assert_eq!(read_back(&pcap), expected);

    let read = messages::read(&fs::read(&record).unwrap()).unwrap();
    let ways: Vec<_> = read.messages.iter().map(|one| (one.from, one.to, one.end, one.rule)).collect();
    assert_eq!(ways, [(0, 1, End::Cut, Some(12)), (0, 2, End::Came, Some(13)), (1, 0, End::Came, None)]);
    assert!(read.messages[1].ended.since(read.messages[1].sent) >= Duration::from_millis(2));
}

#[test]
fn a_bounded_record_keeps_the_beginning_and_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("messages");
    let lab = lab(PortKind::Tap, 2, |config| {
        (config.messages, config.messages_max) = (Some(record.clone()), Some(10));
    });
    for number in 0..23_u8 {
        lab.send(1, &frame(1, 2, &[number]));
        lab.expect(2);
    }
    lab.switch.stop().unwrap();
    let read = messages::read(&fs::read(&record).unwrap()).unwrap();
    let kept: Vec<u8> = read.messages.iter().map(|message| message.first_bytes[0]).collect();
    assert_eq!(kept, [0, 1, 2, 3, 4, 18, 19, 20, 21, 22]);
}
