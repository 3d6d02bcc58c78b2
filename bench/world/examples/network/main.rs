//! How good is the laboratory's network? Against the same two machines joined by a bridge of the kernel, in one series.
//!
//! ```text
//! cargo build --release -p dsbench-world --example network && sudo target/release/examples/network
//! ```
//!
//! Only the part that carries datagrams: with the word `datagrams`. Needs root (for the bridge), `ip`, and two processors that nothing else uses. The programs that speak are this one, with a role.
#![expect(clippy::unwrap_used, reason = "an example that measures, and stops at the first surprise")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dsbench_core::network::{Delay, Effect, Filter, Link, Protocol, Rate, Rule, RuleSet};
use dsbench_core::observation::Name;
use dsbench_world::{
    Clock, EndpointSpec, ExecInput, ExecSpec, Guardian, Happening, LabSpec, LinkKind, Place, Program, SwitchConfig,
    World, WorldConfig,
};

/// What both networks look like.
const SERVER: &str = "10.77.0.1:5001";
const SECONDS: u64 = 3;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => {
            let bridge = Bridge::new();
            round_trips(&bridge);
            streams(&bridge);
            datagrams();
            times();
        }
        ["datagrams"] => datagrams(),
        ["no-offloads", card] => no_offloads(card),
        ["stream-server"] => stream_server(),
        ["stream", seconds] => stream(Duration::from_secs(seconds.parse().unwrap())),
        ["echo-server"] => echo_server(),
        ["echo", count] => echo(count.parse().unwrap()),
        ["count-server"] => count_server(),
        ["blast", rate, bytes, seconds] => {
            blast(rate.parse().unwrap(), bytes.parse().unwrap(), Duration::from_secs(seconds.parse().unwrap()));
        }
        _ => eprintln!("without arguments, it measures"),
    }
}

/// Leaves the bridge without offloads.
fn streams(bridge: &Bridge) {
    let exact = RuleSet { rules: vec![on_both(9, Some(never()), Effect { cut: true, ..Effect::default() })] };
    println!("one TCP stream, Gbit/s, median of 3");
    let with = median(3, || bridge.pair(&["stream-server"], &["stream", &SECONDS.to_string()]));
    let fast = median(3, || Lab::new(true, None).stream(&RuleSet::default()));
    println!("  bridge with offloads     {with:6.2}");
    println!("  laboratory, no rule      {fast:6.2}   {:.2} of it (aim 0.6)", fast / with);
    bridge.no_offloads();
    let without = median(3, || bridge.pair(&["stream-server"], &["stream", &SECONDS.to_string()]));
    let one_by_one = median(3, || Lab::new(true, None).stream(&exact));
    let dir = std::env::temp_dir().join(format!("dsbench-network-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let recorded = median(3, || Lab::new(true, Some(&dir)).stream(&exact));
    std::fs::remove_dir_all(&dir).unwrap();
    println!("  bridge without offloads  {without:6.2}");
    println!("  laboratory, with a rule  {one_by_one:6.2}   {:.2} of it (aim 0.4)", one_by_one / without);
    println!(
        "  the same, all recorded   {recorded:6.2}   {:.1} % less (aim 10)",
        100.0 - recorded / one_by_one * 100.0
    );
}

fn round_trips(bridge: &Bridge) {
    println!("round trip of a datagram, us: p50, p99");
    let (base, base_tail) = two(&bridge.said(&["echo-server"], &["echo", "20000"]));
    let mut lab = Lab::new(true, None);
    let (own, own_tail) = two(&lab.said(&["echo-server"], &["echo", "20000"]));
    println!("  bridge      {base:8.1} {base_tail:8.1}");
    println!("  laboratory  {own:8.1} {own_tail:8.1}   one way {:.1} us more (aim 40)", (own - base) / 2.0);

    let idle = lab.idle(Duration::from_secs(2));
    println!("idle switch: {idle:.3} ms of processor time in 2 s (aim 0)");
    lab.end();
}

fn datagrams() {
    let mut lab = Lab::new(true, None);
    println!("datagrams of 100 bytes: offered per second, came, lost of them by the bench");
    for rate in [50_000, 100_000, 200_000, 300_000] {
        let (before, worked) = (lab.world.traffic().unwrap(), worked());
        let (sent, came) = two(&lab.said(&["count-server"], &["blast", &rate.to_string(), "100", "2"]));
        let after = lab.world.traffic().unwrap();
        let frames = |traffic: &dsbench_core::network::Traffic| {
            traffic.links.iter().find(|one| &*one.link.from == "b").map_or(0, |one| one.frames)
        };
        let carried = frames(&after) - frames(&before);
        let lost = after.overruns - before.overruns;
        let each = (self::worked() - worked) / carried as f64 / 1e3;
        println!(
            "  {rate:7}: sent {sent:.0}, switched {carried} ({each:.2} us of a processor each), read by the program {came:.0}, \
             lost by the bench {lost}"
        );
    }
    lab.end();
}

fn times() {
    let mut lab = Lab::new(true, None);
    let delay = Delay { mean: Duration::from_millis(50), jitter: Duration::ZERO };
    lab.set(&RuleSet { rules: vec![one_way(1, Effect { delay: Some(delay), ..Effect::default() })] });
    let (p50, p99) = two(&lab.said(&["echo-server"], &["echo", "100"]));
    println!("50 ms of delay, one way, as a round trip in ms: p50 {:.2}, p99 {:.2} (aim 51)", p50 / 1e3, p99 / 1e3);
    let rate = Rate { bits_per_second: 20_000_000, queue_bytes: 100_000 };
    lab.set(&RuleSet { rules: vec![one_way(2, Effect { rate: Some(rate), ..Effect::default() })] });
    let said = lab.said(&["count-server"], &["blast", "6000", "1000", "3"]);
    let bits = said.split(' ').nth(2).unwrap().parse::<f64>().unwrap() * 1042.0 * 8.0;
    println!("a rate of 20 Mbit/s, offered 50: {:.3} Mbit/s came, {:+.2} % (aim 2)", bits / 1e6, bits / 2e5 - 100.0);
    lab.end();
}

fn median(rounds: usize, mut once: impl FnMut() -> f64) -> f64 {
    let mut all: Vec<f64> = (0..rounds).map(|_| once()).collect();
    all.sort_by(f64::total_cmp);
    all[rounds / 2]
}

fn two(said: &str) -> (f64, f64) {
    let mut numbers = said.split_whitespace().map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// From `b`, which sends, to `a`, which serves.
fn one_way(id: u64, effect: Effect) -> Rule {
    Rule { id, links: BTreeSet::from([Link { from: "b".into(), to: "a".into() }]), only: None, effect }
}

fn on_both(id: u64, only: Option<Filter>, effect: Effect) -> Rule {
    let back = Link { from: "a".into(), to: "b".into() };
    let mut rule = Rule { only, ..one_way(id, effect) };
    rule.links.insert(back);
    rule
}

/// What no frame is: the rule is asked for each of them, and does nothing.
fn never() -> Filter {
    Filter { protocol: Some(Protocol::Tcp), port: Some(1), payload: None }
}

/// Two machines joined by the switch.
struct Lab {
    world: World,
    dir: PathBuf,
}

impl Lab {
    fn new(offloads: bool, record: Option<&Path>) -> Self {
        let machine = |name: &str, number: u16| EndpointSpec {
            name: name.to_owned(),
            hostname: name.to_owned(),
            ip4: Ipv4Addr::new(10, 77, 0, number as u8),
            ip6: Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, number),
            mac: [2, 0, 0, 0, 0, number as u8],
        };
        let spec = LabSpec {
            endpoints: vec![machine("a", 1), machine("b", 2)],
            bench: machine("dsbench", 254),
            prefix: 24,
            mtu: 1500,
            hosts: Vec::new(),
            link: LinkKind::Any,
            offloads,
            root_user: None,
            visible: Vec::new(),
        };
        let guardian = Guardian::fork().unwrap();
        let mut lab = guardian.build_lab(&spec).unwrap();
        let ports = std::mem::take(&mut lab.cables).into_iter().map(Into::into).collect();
        let switch = SwitchConfig {
            ports,
            exempt: ["dsbench".into()].into(),
            pcap: record.map(|dir| dir.join("packets.pcapng")),
            messages: record.map(|dir| dir.join("messages")),
            ..SwitchConfig::default()
        };
        let dir = std::env::temp_dir().join(format!("dsbench-network-world-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let config = WorldConfig {
            log_dir: dir.clone(),
            signals: None,
            desk: None,
            lab: Some(lab),
            switch: Some(switch),
            lifts_limits: false,
            tick: WorldConfig::EXACT,
        };
        Self { world: World::new(guardian, Clock::start(), config).unwrap(), dir }
    }

    fn set(&mut self, rules: &RuleSet) {
        self.world.set_rules(rules).unwrap();
    }

    /// What the client says, and then the server, if they speak on these machines.
    fn said(&mut self, server: &[&str], client: &[&str]) -> String {
        let ids = [("a", server), ("b", client)].map(|(on, words)| {
            let argv = std::iter::once(std::env::current_exe().unwrap().into_os_string())
                .chain(words.iter().map(std::ffi::OsString::from))
                .collect();
            let program = Program { argv, env: Vec::new(), cwd: "/".into() };
            let place = Some(Place::at(Name::from(on)));
            self.world.exec(ExecSpec { program, stdin: ExecInput::Empty, place }).unwrap()
        });
        let deadline = self.world.clock().now() + Duration::from_secs(60);
        let mut said = [String::new(), String::new()];
        let mut left = 2;
        while left > 0 {
            let outside = self.world.next(deadline).expect("both end within a minute");
            if let Happening::Executed { id, result } = outside.what {
                let complaint = String::from_utf8_lossy(&result.stderr);
                assert!(complaint.is_empty(), "{complaint}");
                let at = ids.iter().position(|known| *known == id).unwrap();
                said[at] = String::from_utf8(result.stdout).unwrap().trim().to_owned();
                left -= 1;
            }
        }
        format!("{} {}", said[1], said[0])
    }

    fn stream(mut self, rules: &RuleSet) -> f64 {
        self.set(rules);
        let said = self.said(&["stream-server"], &["stream", &SECONDS.to_string()]);
        self.end();
        said.trim().parse().unwrap()
    }

    /// How long the switch works while nothing happens, in milliseconds.
    fn idle(&mut self, during: Duration) -> f64 {
        let before = worked();
        let deadline = self.world.clock().now() + during;
        while self.world.next(deadline).is_some() {}
        (worked() - before) / 1e6
    }

    fn end(self) {
        let ended = self.world.shutdown(Duration::from_secs(30));
        assert!(ended.survivors.is_empty());
        std::fs::remove_dir_all(&self.dir).unwrap();
    }
}

/// How long the switches of this process have worked, in nanoseconds.
fn worked() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let of = |task: PathBuf| {
        let is_switch = std::fs::read_to_string(task.join("comm")).unwrap().trim() == "switch";
        let worked = std::fs::read_to_string(task.join("schedstat")).unwrap();
        is_switch.then(|| worked.split(' ').next().unwrap().parse::<f64>().unwrap())
    };
    tasks.filter_map(of).sum()
}

/// Two network namespaces joined by a bridge of the kernel in a third.
struct Bridge {
    names: [String; 3],
}

impl Bridge {
    fn new() -> Self {
        let names = ["a", "b", "bridge"].map(|name| format!("dsbench-{}-{name}", std::process::id()));
        let bridge = Self { names };
        let [_, _, hub] = &bridge.names;
        bridge.names.iter().for_each(|name| ip(&format!("netns add {name}")));
        ip(&format!("-n {hub} link add br0 type bridge"));
        ip(&format!("-n {hub} link set br0 up"));
        for (number, name) in bridge.names[..2].iter().enumerate() {
            ip(&format!("-n {hub} link add port{number} type veth peer name eth0 netns {name}"));
            ip(&format!("-n {hub} link set port{number} master br0 up"));
            ip(&format!("-n {name} addr add 10.77.0.{}/24 dev eth0", number + 1));
            ip(&format!("-n {name} link set eth0 up"));
        }
        bridge
    }

    /// One frame is one packet from here on.
    fn no_offloads(&self) {
        for (name, card) in [(0, "eth0"), (1, "eth0"), (2, "port0"), (2, "port1")] {
            assert!(self.start(name, &["no-offloads", card]).wait().unwrap().success());
        }
    }

    fn start(&self, on: usize, words: &[&str]) -> Child {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[on]]).arg(std::env::current_exe().unwrap()).args(words);
        command.stdout(Stdio::piped()).spawn().unwrap()
    }

    fn said(&self, server: &[&str], client: &[&str]) -> String {
        let (server, client) = (self.start(0, server), self.start(1, client));
        let said = [client, server].map(|child| String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap());
        format!("{} {}", said[0].trim(), said[1].trim())
    }

    fn pair(&self, server: &[&str], client: &[&str]) -> f64 {
        self.said(server, client).trim().parse().unwrap()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.names.iter().for_each(|name| ip(&format!("netns del {name}")));
    }
}

fn ip(words: &str) {
    let done = Command::new("ip").args(words.split(' ')).status().expect("iproute2 is installed");
    assert!(done.success(), "ip {words}");
}

#[expect(unsafe_code, reason = "an ioctl that nix does not wrap")]
fn no_offloads(card: &str) {
    use std::os::fd::AsRawFd;
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    // ETHTOOL_STSO, SGSO, SGRO, STXCSUM.
    for command in [0x1f_u32, 0x24, 0x2c, 0x17] {
        let mut setting = [command, 0];
        let mut request = [0_u64; 5];
        let name: Vec<u8> = card.bytes().chain(std::iter::repeat(0)).take(16).collect();
        request[0] = u64::from_ne_bytes(name[..8].try_into().unwrap());
        request[1] = u64::from_ne_bytes(name[8..].try_into().unwrap());
        request[2] = setting.as_mut_ptr() as u64;
        // SAFETY: an ifreq of full length, whose pointer names a setting that outlives the call.
        let done = unsafe { libc::ioctl(socket.as_raw_fd(), 0x8946, request.as_mut_ptr()) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    }
}

/// Connects as soon as somebody listens.
fn connect() -> TcpStream {
    let server: SocketAddr = SERVER.parse().unwrap();
    let clock = Clock::start();
    loop {
        match TcpStream::connect_timeout(&server, Duration::from_secs(10)) {
            Ok(stream) => return stream,
            Err(error) => assert!(clock.now().elapsed() < Duration::from_secs(10), "{error}"),
        }
        std::thread::yield_now();
    }
}

fn stream_server() {
    let (mut stream, _) = TcpListener::bind("0.0.0.0:5001").unwrap().accept().unwrap();
    let mut room = vec![0; 1 << 18];
    while stream.read(&mut room).unwrap() > 0 {}
}

fn stream(during: Duration) {
    let mut stream = connect();
    let (clock, bytes) = (Clock::start(), vec![7; 1 << 17]);
    let mut sent = 0_u64;
    while clock.now().elapsed() < during {
        sent += stream.write(&bytes).unwrap() as u64;
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    // The server closes when it has read all.
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    println!("{}", sent as f64 * 8.0 / clock.now().elapsed().as_nanos() as f64);
}

/// A socket of the server, and whom it waits for until the word that ends it.
fn echo_server() {
    let socket = UdpSocket::bind("0.0.0.0:5001").unwrap();
    let mut room = [0; 2048];
    loop {
        let (length, from) = socket.recv_from(&mut room).unwrap();
        socket.send_to(&room[..length], from).unwrap();
        if &room[..length] == b"end" {
            return;
        }
    }
}

fn client() -> UdpSocket {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect(SERVER).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    socket
}

/// Sends until it is answered: the first may come before the server, the last may be lost.
fn until_answered(socket: &UdpSocket, word: &[u8]) {
    let mut room = [0; 64];
    loop {
        // A refusal: nobody listens yet.
        let _ = socket.send(word);
        if socket.recv(&mut room).is_ok_and(|length| &room[..length] == word) {
            return;
        }
    }
}

fn echo(count: usize) {
    let socket = client();
    until_answered(&socket, b"begin");
    let (clock, mut room) = (Clock::start(), [0; 64]);
    let mut times = Vec::new();
    for _ in 0..count {
        let start = clock.now();
        socket.send(&[7; 64]).unwrap();
        socket.recv(&mut room).unwrap();
        times.push(clock.now().since(start).as_nanos() as f64 / 1e3);
    }
    until_answered(&socket, b"end");
    times.sort_by(f64::total_cmp);
    println!("{} {}", times[times.len() / 2], times[times.len() * 99 / 100]);
}

fn count_server() {
    let socket = UdpSocket::bind("0.0.0.0:5001").unwrap();
    nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBuf, &(8 << 20)).unwrap();
    let (clock, mut room) = (Clock::start(), [0; 2048]);
    let (mut count, mut first, mut last) = (0_u64, None, clock.now());
    loop {
        let (length, from) = socket.recv_from(&mut room).unwrap();
        match &room[..length] {
            b"begin" => drop(socket.send_to(b"begin", from).unwrap()),
            b"end" => {
                socket.send_to(b"end", from).unwrap();
                let during = last.since(first.unwrap_or(last)).as_secs_f64();
                return println!("{count} {}", count.saturating_sub(1) as f64 / during);
            }
            _ => {
                last = clock.now();
                first.get_or_insert(last);
                count += 1;
            }
        }
    }
}

fn blast(per_second: u64, bytes: usize, during: Duration) {
    let socket = client();
    until_answered(&socket, b"begin");
    let (clock, datagram) = (Clock::start(), vec![7; bytes]);
    let mut sent = 0;
    while clock.now().elapsed() < during {
        let due = (clock.now().elapsed().as_secs_f64() * per_second as f64) as u64;
        while sent < due {
            if socket.send(&datagram).is_ok() {
                sent += 1;
            }
        }
    }
    until_answered(&socket, b"end");
    println!("{sent}");
}
