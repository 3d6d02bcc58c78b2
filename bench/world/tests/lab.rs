//! Promises about the laboratory: each node has a machine of its own, and all of them a network between them.

mod stage;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use dsbench_core::observation::Exit;
use dsbench_world::{Happening, LabError, LabSpec, LinkKind, ProbeSpec, Scope, WorldError};

use stage::doomed::parent;
use stage::lab::{ECHO, LabStage, Tap, again_as_an_ordinary_user, machines, megabyte, place, three};
use stage::{PATIENCE, is_alive, life};

/// A node that is hard to get rid of: daemons that have left their session and parent, and heed nothing.
const STUBBORN: &str = "trap '' TERM HUP INT; \
    (setsid sh -c 'trap \"\" TERM HUP; (setsid sh -c \"trap \\\"\\\" TERM HUP; echo say daemon; while :; do sleep 1000; done\" &); while :; do sleep 1000; done' &); \
    while :; do sleep 1000; done";

/// All processes that have one of these as an ancestor, or are one of them.
fn family(root: i32) -> Vec<i32> {
    let parent = |pid: i32| -> Option<i32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit(") ").next()?.split(' ').nth(1)?.parse().ok()
    };
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    all.filter(|pid: &i32| std::iter::successors(Some(*pid), |pid| parent(*pid)).any(|pid| pid == root)).collect()
}

#[test]
#[ignore = "needs user namespaces, and /dev/net/tun or AF_PACKET"]
fn a_machine_has_a_name_addresses_and_places_of_its_own() {
    let mut lab = LabStage::new(&three());
    assert_eq!(lab.ask("peer2", "hostname"), "peer2");
    assert_eq!(lab.ask("dsbench", "cat /proc/sys/kernel/hostname"), "dsbench");
    let hosts = lab.ask("peer2", "cat /etc/hosts");
    for line in
        ["127.0.0.1 localhost", "10.77.0.1 peer1", "fd77::3 peer3", "10.77.255.254 dsbench", "10.77.0.1 primary"]
    {
        assert!(hosts.lines().any(|known| known == line), "{line}: {hosts}");
    }
    let addresses = lab.ask("peer2", "cat /proc/net/if_inet6");
    // Permanent and not tentative: usable at once.
    assert!(addresses.contains("fd770000000000000000000000000002 02 40 00 82"), "{addresses}");
    lab.ask("peer1", "echo 1 > /run/node.pid; echo 2 > /dev/shm/area");
    assert_eq!(lab.ask("peer1", "cat /run/node.pid /dev/shm/area"), "1\n2", "processes of a machine meet");
    assert_eq!(lab.ask("peer2", "ls -A /run /dev/shm | tr '\\n' ' '"), "/dev/shm:  /run:", "those of two do not");
    assert!(!fs::exists("/run/node.pid").unwrap() && !fs::exists("/dev/shm/area").unwrap());
    assert_ne!(fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim(), "dsbench");
    assert!(!fs::read_to_string("/etc/hosts").unwrap().contains("10.77.0.1"));
    lab.end();
}

#[test]
#[ignore = "needs user namespaces, and AF_PACKET"]
fn the_devices_of_a_machine_are_its_own_and_have_a_carrier_from_the_first_moment() {
    // Many, because each has only a chance of being late.
    const MACHINES: u16 = 40;
    let mut lab = LabStage::new(&LabSpec { link: LinkKind::Packet, ..machines(MACHINES) });
    let seen: Vec<String> = (1..=MACHINES)
        .map(|number| {
            lab.ask(&format!("peer{number}"), "cat /sys/class/net/eth0/operstate /sys/class/net/eth0/address")
        })
        .collect();
    let expected: Vec<String> = (1..=MACHINES).map(|number| format!("up\n02:00:00:00:00:{number:02x}")).collect();
    assert_eq!(seen, expected);
    let known = lab.ask("peer1", "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | sort");
    assert_eq!(lab.ask("peer1", "ls /sys/class/net"), known, "no device of the host");
    lab.end();
}

#[test]
#[ignore = "needs user namespaces, and /dev/net/tun or AF_PACKET"]
fn a_program_is_who_the_user_is_without_a_capability_that_it_did_not_name() {
    let mut lab = LabStage::new(&three());
    let uid = nix::unistd::getuid();
    let caps = "grep -E 'CapEff|CapAmb|NoNewPrivs' /proc/self/status | tr -d '\\t' | tr '\\n' ' '";
    assert_eq!(lab.ask("peer1", "id -u"), uid.to_string());
    let named = place("peer1", None, &["NET_ADMIN", "NET_RAW"]);
    if uid.is_root() {
        // Root stays root, in the laboratory only: what belongs to the host is not its.
        assert!(lab.ask("peer1", caps).contains("CapEff:000001ffffffffff"));
        assert_eq!(lab.ask("peer1", "(hostname x && hostname) 2>&1"), "x");
        assert!(lab.ask("peer1", "mknod /dev/shm/disk b 8 0 2>&1 || echo no").ends_with("no"));
    } else {
        assert_eq!(lab.ask("peer1", caps), "CapEff:0000000000000000 CapAmb:0000000000000000 NoNewPrivs:0");
        assert_eq!(lab.ask_at(named, caps), "CapEff:0000000000003000 CapAmb:0000000000003000 NoNewPrivs:0");
        let other = lab.exec_refused(place("peer1", Some("root"), &[]));
        assert!(other.to_string().contains("sudo"), "{other}");
    }
    let own = nix::unistd::User::from_uid(uid).unwrap().unwrap().name;
    assert_eq!(lab.ask_at(place("peer1", Some(&own), &[]), "id -un"), own);
    assert!(matches!(
        lab.exec_refused(place("peer1", None, &["FLY"])),
        WorldError::Lab(LabError::NoCapability { name }) if name == "FLY"
    ));
    assert!(lab.exec_refused(place("peer1", Some("no-such-user"), &[])).to_string().contains("no such user"));
    assert!(lab.exec_refused(place("nowhere", None, &[])).to_string().contains("`nowhere`"));
    lab.end();
}

#[test]
#[ignore = "needs user namespaces, /dev/net/tun or AF_PACKET, and python3"]
fn tcp_udp_and_icmp_pass_over_both_versions_of_ip() {
    for link in [LinkKind::Any, LinkKind::Packet] {
        let mut lab = LabStage::new(&LabSpec { link, ..three() });
        // A port of production, which on the host is root's.
        lab.sh(&life("peer1", 1), ECHO);
        lab.stage.until_said("up");
        for name in ["peer1", "primary", "10.77.0.1", "fd77::1"] {
            let said = lab.ask("peer2", &megabyte(name));
            assert_eq!(said, "True", "{name}, {link:?}");
        }
        for (name, family, protocol, request) in
            [("peer1", "AF_INET", "IPPROTO_ICMP", 8), ("fd77::1", "AF_INET6", "IPPROTO_ICMPV6", 128)]
        {
            let said = lab.ask(
                "peer3",
                &format!(
                    "python3 -c \"
import socket, struct
s = socket.socket(socket.{family}, socket.SOCK_DGRAM, socket.{protocol})
s.settimeout(60)
s.sendto(struct.pack('!BBHHH', {request}, 0, 0, 1, 1) + b'hello', ('{name}', 0))
print(s.recv(100)[-5:].decode())
\""
                ),
            );
            assert_eq!(said, "hello", "{name}, {link:?}");
        }
        lab.end();
    }
}

#[test]
#[ignore = "needs user namespaces, /dev/net/tun or AF_PACKET, and python3"]
fn multicast_and_broadcast_reach_all_others() {
    let mut lab = LabStage::new(&three());
    for (group, join) in [("239.1.2.3", true), ("255.255.255.255", false), ("10.77.255.255", false)] {
        let hear = format!(
            "exec python3 -c \"
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 7000))
if {join}: s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton('{group}') + bytes(4))
print('say up', flush=True)
s.settimeout(60)
print('say', s.recvfrom(100)[0].decode(), flush=True)
\"",
            join = if join { "True" } else { "False" }
        );
        let lives = ["peer1", "peer2"].map(|name| life(name, u32::from(group.as_bytes()[0])));
        let lives = lives.map(|mut of| {
            of.process = group.into();
            of
        });
        for of in &lives {
            lab.sh(of, &hear);
            lab.stage.until_said("up");
        }
        lab.ask(
            "peer3",
            &format!(
                "python3 -c \"
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.sendto(b'all', ('{group}', 7000))
\""
            ),
        );
        for of in &lives {
            lab.stage.until_said_by(of, "all");
            lab.stage.until_empty_or_seen(of);
        }
    }
    lab.end();
}

#[test]
#[ignore = "needs user namespaces, and /dev/net/tun or AF_PACKET"]
fn a_kill_takes_every_daemon_of_a_life_and_no_other_life() {
    let mut lab = LabStage::new(&three());
    let (one, two) = (life("peer1", 1), life("peer2", 1));
    let pids = [&one, &two].map(|of| {
        let pid = lab.sh(of, STUBBORN);
        lab.stage.until_said_by(of, "daemon");
        pid
    });
    let of_life = |pid: i32| {
        let keeper = parent(pid);
        family(keeper).into_iter().filter(|pid| *pid != keeper).collect::<Vec<_>>()
    };
    let [first, second] = pids.map(of_life);
    assert!(first.len() >= 4, "the program, two daemons, a sleep: {first:?}");
    lab.stage.world.signal(&one, 15, Scope::Tree);
    assert!(lab.stage.world.kill(&one));
    assert_eq!(lab.stage.until_exited(&one), Exit::Signal(9));
    lab.stage.until_empty(&one);
    assert_eq!(first.into_iter().filter(|pid| is_alive(*pid)).collect::<Vec<_>>(), [0; 0]);
    assert!(second.into_iter().all(is_alive), "another machine is not touched");
    lab.end();
    assert!(!pids.into_iter().any(is_alive));
}

#[test]
#[ignore = "needs user namespaces, and /dev/net/tun or AF_PACKET"]
fn a_paused_tree_stands_still_and_is_measured_by_the_numbers_that_the_host_sees() {
    let mut lab = LabStage::new(&three());
    let one = life("peer1", 1);
    let pid = lab.sh(&one, "(setsid sh -c 'while :; do :; done' &); echo say up; exec sleep 1000");
    lab.stage.until_said("up");
    assert!(lab.stage.world.pause(&one));
    let paused = lab.stage.until(|what| matches!(what, Happening::Paused { .. })).what;
    assert_eq!(paused, Happening::Paused { of: one.clone(), running: vec![] });
    let cpu = |lab: &mut LabStage| lab.stage.world.sample()[0].cpu;
    let frozen = cpu(&mut lab);
    // A helper that comes later is not frozen, and sees who is.
    let states = lab.ask("peer1", "cat /proc/[0-9]*/stat | grep -c ') T '");
    assert_eq!(states, "2", "the program and its daemon");
    assert_eq!(cpu(&mut lab), frozen);
    assert!(lab.stage.world.resume(&one));
    lab.stage.until(|what| matches!(what, Happening::Resumed { .. }));
    let deadline = lab.stage.world.clock().now() + PATIENCE;
    while cpu(&mut lab) == frozen {
        assert!(lab.stage.world.clock().now() < deadline, "it runs again");
    }
    assert!(fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap().starts_with("sleep"), "a number of the host");
    lab.end();
}

#[test]
#[ignore = "needs user namespaces, and /dev/net/tun or AF_PACKET"]
fn a_helper_sees_the_processes_of_its_node_outlives_them_and_dies_of_a_kill() {
    let mut lab = LabStage::new(&three());
    let one = life("peer1", 1);
    lab.sh(&one, "exec sleep 1000");
    assert_eq!(lab.ask("peer1", "cat /proc/102/comm"), "sleep");
    assert_eq!(
        lab.ask("peer2", "cat /proc/[0-9]*/comm | grep -c sleep || true"),
        "0",
        "another machine's are not there"
    );
    let said = lab.ask("peer1", "kill -9 102; while [ -d /proc/102 ]; do :; done; sleep 0.1; echo done");
    assert_eq!(said, "done", "the end of the node is not the helper's");
    lab.stage.until_empty_or_seen(&one);

    let two = life("peer1", 2);
    lab.sh(&two, "exec sleep 1000");
    let helper = lab.exec(&["sh", "-c", "echo began; sleep 1000 & wait"], Some(place("peer1", None, &[])));
    // It is there when the node's processes are counted from outside the helper.
    let deadline = lab.stage.world.clock().now() + PATIENCE;
    while lab.ask("peer1", "cat /proc/[0-9]*/comm | grep -c sleep") != "2" {
        assert!(lab.stage.world.clock().now() < deadline);
    }
    lab.stage.world.kill(&two);
    assert_eq!(lab.executed(helper).ended, Ok(Exit::Signal(9)), "a machine without power runs no helper");
    lab.stage.until_empty_or_seen(&two);
    let broken = lab.stage.seen.iter().filter(|outside| matches!(outside.what, Happening::Broken { .. })).count();
    assert_eq!(broken, 0);
    lab.end();
}

#[test]
#[ignore = "needs user namespaces, and /dev/net/tun or AF_PACKET"]
fn each_life_begins_at_another_process_number() {
    let mut lab = LabStage::new(&three());
    for (number, expected) in [(1, "102"), (2, "202"), (3, "302")] {
        let one = life("peer1", number);
        lab.sh(&one, "echo say $$");
        lab.stage.until_said_by(&one, expected);
        lab.stage.until_empty_or_seen(&one);
    }
    lab.end();
}

#[test]
#[ignore = "needs user namespaces, /dev/net/tun or AF_PACKET, and python3"]
fn a_probe_is_made_on_the_machine_whose_address_it_asks_for() {
    let mut lab = LabStage::new(&three());
    lab.sh(&life("peer1", 1), ECHO);
    lab.stage.until_said("up");
    // No frame is carried any more, and the probe does not need one.
    for cable in lab.hub.cables.iter() {
        cable.plug(false).unwrap();
    }
    let mut probe = |addr: &str| {
        let spec = ProbeSpec { addr: addr.parse().unwrap(), within: Duration::from_secs(30), http: None };
        let wanted = lab.stage.world.probe(spec);
        let answer = lab.stage.until(|what| matches!(what, Happening::Probed { id, .. } if *id == wanted)).what;
        match answer {
            Happening::Probed { result, .. } => result,
            _ => unreachable!(),
        }
    };
    assert_eq!(probe("10.77.0.1:80"), Ok(()));
    assert_eq!(probe("[fd77::1]:80"), Ok(()));
    assert_eq!(probe("10.77.0.2:80"), Err("Connection refused".to_owned()));
    let host = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    assert_eq!(probe(&host.local_addr().unwrap().to_string()), Ok(()), "the host's own are the host's");
    lab.end();
}

#[test]
#[ignore = "needs user namespaces, /dev/net/tun or AF_PACKET, and python3"]
fn a_machine_sees_its_cable_pulled_and_plugged_in() {
    for link in [LinkKind::Any, LinkKind::Packet] {
        let mut lab = LabStage::new(&LabSpec { link, ..three() });
        let flags = "python3 -c \"
import socket, fcntl, struct
s = socket.socket()
print(struct.unpack('16xH', fcntl.ioctl(s, 0x8913, b'eth0' + bytes(28))[:18])[0] & 64)
\"";
        assert_eq!(lab.ask("peer1", flags), "64", "IFF_RUNNING");
        lab.hub.cable("peer1").plug(false).unwrap();
        lab.until_asked("peer1", flags, "0");
        assert_eq!(lab.ask("peer2", flags), "64");
        lab.hub.cable("peer1").plug(true).unwrap();
        lab.until_asked("peer1", flags, "64");
        lab.end();
    }
}

#[test]
#[ignore = "needs user namespaces, and /dev/net/tun or AF_PACKET"]
fn what_must_be_visible_is_so_below_a_private_place() {
    let dir = tempfile::Builder::new().prefix("dsbench-test").tempdir_in("/dev/shm").unwrap();
    fs::write(dir.path().join("file"), "here").unwrap();
    let mut lab = LabStage::new(&LabSpec { visible: vec![dir.path().to_owned()], ..three() });
    assert_eq!(lab.ask("peer1", &format!("cat {}/file; ls -A /dev/shm | wc -l", dir.path().display())), "here1");
    lab.end();
}

#[test]
#[ignore = "needs user namespaces, and /dev/net/tun or AF_PACKET"]
fn a_program_without_a_place_is_on_the_host() {
    let mut lab = LabStage::new(&three());
    let id = lab.exec(&["cat", "/proc/sys/kernel/hostname", "/etc/hosts"], None);
    let said = String::from_utf8(lab.executed(id).stdout).unwrap();
    let expected =
        fs::read_to_string("/proc/sys/kernel/hostname").unwrap() + &fs::read_to_string("/etc/hosts").unwrap();
    assert_eq!(said, expected);
    lab.end();
}

#[test]
#[ignore = "needs user namespaces, /dev/net/tun or AF_PACKET, and python3"]
fn an_exposed_port_is_reached_from_the_host_over_no_link() {
    let mut lab = LabStage::new(&three());
    lab.sh(&life("peer1", 1), ECHO);
    lab.stage.until_said("up");
    for cable in lab.hub.cables.iter() {
        cable.plug(false).unwrap();
    }
    let port = lab.stage.world.expose("peer1", 80, None).unwrap();
    let other = lab.stage.world.expose("peer1", 81, None).unwrap();
    let sent: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    for _ in 0..3 {
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut writer = client.try_clone().unwrap();
        let its = sent.clone();
        let writing = std::thread::spawn(move || {
            writer.write_all(&its).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut got = Vec::new();
        client.read_to_end(&mut got).unwrap();
        writing.join().unwrap();
        assert!(got == sent, "all of it, unchanged, and then the end: {} of {} bytes", got.len(), sent.len());
    }
    // Clients that say nothing and go.
    let silent: Vec<_> = (0..100).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    drop(silent);
    let mut refused = TcpStream::connect(("127.0.0.1", other)).unwrap();
    refused.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(refused.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert!(lab.stage.world.expose("nowhere", 80, None).is_err());
    let taken = lab.stage.world.expose("peer1", 80, Some(port)).unwrap_err();
    assert!(taken.to_string().contains(&format!("127.0.0.1:{port}")), "{taken}");
    lab.end();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "it ends with the world");
}

#[test]
#[ignore = "needs root, setpriv and user namespaces"]
fn all_of_this_is_true_for_an_ordinary_user() {
    again_as_an_ordinary_user("all_of_this_is_true_for_an_ordinary_user", Tap::AsItIs);
}
