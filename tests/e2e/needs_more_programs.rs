//! Programs that nobody has changed see nothing odd in the laboratory: as root, on TAP devices, and as an ordinary user for whom those are
//! closed. Second suite: the programs, root, setpriv and unshare are needed.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::Place;

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/lab/programs");

/// Covers what makes TAP devices in mounts of its own, and becomes an ordinary user.
const ORDINARY: &str = "! [ -e /dev/net/tun ] || mount --bind /dev/null /dev/net/tun || exit 99
exec setpriv --reuid=nobody --regid=nogroup --clear-groups ./dsbench run -q x.toml";

/// A place for both, with this scenario as `x.toml` and what it may need beside it. The ordinary user may write there, wherever the
/// checkout lies.
fn place(scenario: &str) -> Place {
    let place = Place::new();
    for file in std::fs::read_dir(SCENARIOS).expect("the scenarios are here").flatten() {
        if file.path().extension().is_some_and(|extension| extension == "py") {
            std::fs::copy(file.path(), place.path(&file.file_name().to_string_lossy())).expect("copy a program");
        }
    }
    // By another process: a child that another test forks meanwhile must not hold it open for writing, or it cannot be executed.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_dsbench")).arg(place.path("dsbench")).status();
    assert!(copied.expect("cp exists").success());
    place.write("x.toml", scenario);
    place
}

fn run(place: &Place, command: &mut Command) -> Output {
    let done = command.current_dir(place.path("")).env("NO_COLOR", "1").env_remove("CI").output().expect("it starts");
    place.wait_until_empty();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    done
}

fn passes_for_root_and_for_an_ordinary_user(scenario: &str) {
    let root = place(scenario);
    run(&root, Command::new("./dsbench").args(["run", "-q", "x.toml"]));
    let ordinary = place(scenario);
    let dir = ordinary.path("");
    assert!(
        Command::new("chown").arg("-R").args([Path::new("nobody"), &dir]).status().expect("chown exists").success()
    );
    run(&ordinary, Command::new("unshare").args(["--mount", "sh", "-c", ORDINARY]));
}

fn shipped(name: &str) -> String {
    std::fs::read_to_string(format!("{SCENARIOS}/{name}.toml")).expect("it is shipped")
}

#[test]
#[ignore = "needs ping, and the right to become an ordinary user"]
fn ping_finds_nodes_by_name_sees_delays_and_cuts_and_is_answered_at_once_when_they_are_healed() {
    passes_for_root_and_for_an_ordinary_user(&shipped("ping"));
}

#[test]
#[ignore = "needs iperf3, and the right to become an ordinary user"]
fn iperf3_measures_tcp_and_udp_rates_and_losses() {
    passes_for_root_and_for_an_ordinary_user(&shipped("iperf3"));
}

#[test]
#[ignore = "needs curl and python3, and the right to become an ordinary user"]
fn curl_gets_pages_from_port_80_by_name_and_address_and_no_answer_over_a_cut() {
    passes_for_root_and_for_an_ordinary_user(&shipped("http"));
}

#[test]
#[ignore = "needs redis-server and redis-cli, and the right to become an ordinary user"]
fn a_redis_replica_that_was_cut_off_has_everything_when_that_is_healed() {
    passes_for_root_and_for_an_ordinary_user(&shipped("redis"));
}

#[test]
#[ignore = "needs curl and python3, and the right to become an ordinary user"]
fn tcp_hides_loss_repetition_disorder_damage_and_short_cuts() {
    passes_for_root_and_for_an_ordinary_user(&shipped("transfers"));
}

#[test]
#[ignore = "needs python3, and the right to become an ordinary user"]
fn multicast_and_broadcast_of_both_ips_reach_whom_no_cut_parts() {
    passes_for_root_and_for_an_ordinary_user(&shipped("multicast"));
}

#[test]
#[ignore = "needs python3, and the right to become an ordinary user"]
fn what_programs_take_for_granted_is_so() {
    passes_for_root_and_for_an_ordinary_user(GRANTED);
}

#[test]
#[ignore = "needs python3 and user namespaces"]
fn who_listens_for_its_own_machine_alone_is_told_so() {
    let scenario = r#"schema = 1
name = "alone"
network.mode = "lab"
[nodes]
count = 1
ports = { http = 80 }
command = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "{port.http}"]
ready = { tcp = "{addr.http}", within = "1s" }
"#;
    let place = place(scenario);
    let text = crate::support::stderr(&place.dsbench(&["run", "-q", "x.toml"]).code(5));
    assert!(text.contains("does it listen on 127.0.0.1 alone? Others reach it at 10.77.0.1"), "{text}");
}

/// Asks as programs do, and stops at the first answer that is not what they would get on a machine of their own.
const GRANTED: &str = r#"schema = 1
name = "granted"
network.mode = "lab"

[nodes]
count = 2
name = "host{id}"
command = ["python3", "-u", "-c", '''
import socket, threading
def echo(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        server.bind((address, 7))
        print("up", flush=True)
        while True:
            what, who = server.recvfrom(70000)
            server.sendto(what, who)
threading.Thread(target=echo, args=(socket.AF_INET, "0.0.0.0")).start()
echo(socket.AF_INET6, "::")
''']
ready = { exec = ["grep", "-q", "00000000000000000000000000000000:0007", "/proc/net/udp6"] }

[[steps]]
within = "60s"
on = "host1"
exec = ["python3", "-c", '''
import os, socket

def refused(act):
    try:
        act()
    except ConnectionRefusedError:
        return
    raise SystemExit("not refused")

def is_so(what, name):
    if not what:
        raise SystemExit(name)

is_so(socket.gethostname() == "host1" and os.uname().nodename == "host1", "its name")
own4, own6 = (socket.getaddrinfo("host1", 7, family, socket.SOCK_DGRAM)[0][4][0] for family in (socket.AF_INET, socket.AF_INET6))
for family, own, outside in ((socket.AF_INET, own4, "192.0.2.1"), (socket.AF_INET6, own6, "2001:db8::1")):
    other = socket.getaddrinfo("host2", 7, family, socket.SOCK_DGRAM)[0][4][0]
    is_so(other != own, "the other's address")
    # Who wants to know its own address connects a datagram socket to somewhere, and looks.
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((outside, 53))
        is_so(probe.getsockname()[0] == own, f"its own address, {probe.getsockname()}")
    # Empty, of one byte, as large as a packet, larger, and so large that it comes in fifty parts.
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.settimeout(30)
        for size in (0, 1, 1452, 1472, 1473, 9000, 65000):
            what = bytes(i % 251 for i in range(size))
            asking.sendto(what, (other, 7))
            got, who = asking.recvfrom(70000)
            is_so(got == what and who[:2] == (other, 7), f"an echo of {size} bytes")
    # Where nobody listens is said at once, for datagrams (by ICMP) and for connections.
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.settimeout(30)
        asking.connect((other, 9))
        asking.send(b"x")
        refused(lambda: asking.recv(1))
    refused(lambda: socket.create_connection((other, 9), timeout=30))

# Neighbours on the link, whose addresses need no configuration.
index = socket.if_nametoindex("eth0")
mac = open("/sys/class/net/eth0/address").read().split(":")
is_so(mac[0] == "02", "a hardware address")
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as asking:
    asking.settimeout(30)
    asking.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
    asking.sendto(b"link", ("ff02::1", 7, 0, index))
    got, who = asking.recvfrom(100)
    is_so(got == b"link" and who[0].startswith("fe80::") and who[3] == index, f"an answer of the link, {who}")
    asking.sendto(b"local", who)
    is_so(asking.recvfrom(100)[0] == b"local", "an answer of a link-local address")

# No name server, and no minute's wait for one.
try:
    socket.getaddrinfo("host1.example.invalid", 80)
    raise SystemExit("a name that nobody has")
except socket.gaierror:
    pass
is_so(socket.getfqdn("host2") == "host2", "the other's name")
is_so(socket.gethostbyaddr(own4)[0] == "host1", "its name by its address")
''']
"#;
