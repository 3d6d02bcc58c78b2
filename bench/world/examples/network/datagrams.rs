//! Datagrams in numbers: how many come, where the others are dropped, and what each costs whom.

use std::fs;
use std::net::UdpSocket;
use std::time::Duration;

use dsbench_world::{Clock, LinkKind};
use nix::sys::socket::{setsockopt, sockopt};

use super::bridge::Bridge;
use super::lab::{Lab, records, worked};
use super::talk::{client, until_answered};

/// What is offered a second, if nothing else is asked for.
const RATES: [u64; 4] = [50_000, 100_000, 200_000, 300_000];
/// For how long, and how long each datagram is.
const SECONDS: &str = "2";
const BYTES: &str = "100";
/// The sender sleeps for so long between bursts, as load generators do (iperf3: 1 ms). One that waits for its time by looking at the clock
/// takes a whole processor from those that carry and read.
const BETWEEN_BURSTS: Duration = Duration::from_micros(200);

/// What both programs have told about one series.
pub(super) struct Told {
    sent: f64,
    /// So many were dropped by the sender's card, the reader's card, and the reader's socket.
    sender_dropped: f64,
    reader_dropped: f64,
    socket_dropped: f64,
    came: f64,
    pub(super) came_per_second: f64,
    /// So long the programs have worked.
    sender_ns: f64,
    reader_ns: f64,
}

impl Told {
    pub(super) fn new(said: &str) -> Self {
        let numbers: Vec<f64> = said.split_whitespace().map(|number| number.parse().unwrap()).collect();
        let numbers = <[f64; 8]>::try_from(numbers).unwrap();
        let [sent, sender_dropped, sender_ns, came, came_per_second, socket_dropped, reader_dropped, reader_ns] =
            numbers;
        Self { sent, sender_dropped, reader_dropped, socket_dropped, came, came_per_second, sender_ns, reader_ns }
    }

    /// One line: the network, what became of the datagrams, and how much each has cost.
    fn print(&self, network: &str, switch_dropped: f64, switch_ns: Option<f64>) {
        let Self { sent, sender_dropped, reader_dropped, socket_dropped, came, sender_ns, reader_ns, .. } = self;
        let elsewhere = sent - came - sender_dropped - switch_dropped - reader_dropped - socket_dropped;
        let switch = switch_ns.map_or("-".to_owned(), |ns| format!("{:.2}", ns / came / 1e3));
        println!(
            "    {network:<24} {sent:7.0} {came:7.0} | {sender_dropped:6.0} {switch_dropped:6.0} {reader_dropped:6.0} \
             {socket_dropped:6.0} {elsewhere:9.0} | {:6.2} {switch:>6} {:6.2}",
            sender_ns / sent / 1e3,
            reader_ns / came / 1e3,
        );
    }
}

/// Measures the laboratory, recorded and not, over both kinds of ports, and the bridge.
pub(super) fn measure(rates: &[u64]) {
    let rates = if rates.is_empty() { &RATES } else { rates };
    // Who is not root has no right to make a bridge.
    let bridge = nix::unistd::geteuid().is_root().then(Bridge::new);
    let dir = records();
    println!("datagrams of {BYTES} bytes, for {SECONDS} s, and us of a processor for each of them; load {}", load());
    println!(
        "                                sent    came |                   where dropped      |         us for each"
    );
    println!(
        "                                             | sender switch reader socket elsewhere | sender switch reader"
    );
    for rate in rates {
        println!("  {rate} a second");
        let words = ["blast", &rate.to_string(), BYTES, SECONDS];
        let labs = [
            ("laboratory", LinkKind::Any, None),
            ("laboratory, recorded", LinkKind::Any, Some(dir.as_path())),
            ("laboratory, packet ports", LinkKind::Packet, None),
        ];
        for (name, link, record) in labs {
            let mut lab = Lab::new(link, record);
            let (before, worked_before) = (lab.world.traffic().unwrap().overruns, worked());
            let told = Told::new(&lab.said(&["count-server"], &words));
            let worked = worked() - worked_before;
            // What the cards have dropped is among them.
            let overruns = (lab.world.traffic().unwrap().overruns - before) as f64;
            told.print(name, overruns - told.sender_dropped - told.reader_dropped, Some(worked));
            lab.end();
        }
        if let Some(bridge) = &bridge {
            // It has no thread of its own: it works in the sender's name, up to the reader's socket.
            Told::new(&bridge.said(&["count-server"], &words)).print("bridge of the kernel", 0.0, None);
        }
    }
    println!("  load {}", load());
    fs::remove_dir_all(&dir).unwrap();
}

fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    load.split(' ').next().unwrap().to_owned()
}

/// How long this program has worked, in nanoseconds.
fn worked_here() -> u64 {
    fs::read_to_string("/proc/self/schedstat").unwrap().split(' ').next().unwrap().parse().unwrap()
}

/// How many frames the card of this machine has dropped, received and sent.
fn dropped_by_card() -> u64 {
    let table = fs::read_to_string("/proc/self/net/dev").unwrap();
    let card = table.lines().find_map(|line| line.trim().strip_prefix("eth0:")).unwrap();
    let numbers: Vec<u64> = card.split_whitespace().map(|number| number.parse().unwrap()).collect();
    numbers[3] + numbers[11]
}

/// How many datagrams a socket has dropped because its program was late.
#[expect(unsafe_code, reason = "a socket option that nix does not wrap")]
fn dropped_by_socket(socket: &UdpSocket) -> u32 {
    use std::os::fd::AsRawFd;
    // SK_MEMINFO_VARS numbers, of which SK_MEMINFO_DROPS is the last.
    let mut memory = [0_u32; 9];
    let mut length = size_of_val(&memory) as libc::socklen_t;
    let place = memory.as_mut_ptr().cast();
    // SAFETY: the kernel writes at most `length` bytes into `memory`.
    let done =
        unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO, place, &raw mut length) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    memory[8]
}

/// Counts what comes, until it is told that this was all.
pub(super) fn count_server() {
    let socket = UdpSocket::bind("0.0.0.0:5001").unwrap();
    // No more than any program may have.
    setsockopt(&socket, sockopt::RcvBuf, &(8 << 20)).unwrap();
    let (clock, mut room) = (Clock::start(), [0; 2048]);
    let (mut count, mut first, mut last, mut before) = (0_u64, None, clock.now(), (0, 0));
    loop {
        let (length, from) = socket.recv_from(&mut room).unwrap();
        match &room[..length] {
            b"begin" => {
                before = (dropped_by_card(), worked_here());
                socket.send_to(b"begin", from).unwrap();
            }
            b"end" => {
                let (dropped, worked) = (dropped_by_card() - before.0, worked_here() - before.1);
                socket.send_to(b"end", from).unwrap();
                let per_second = count.saturating_sub(1) as f64 / last.since(first.unwrap_or(last)).as_secs_f64();
                return println!("{count} {per_second} {} {dropped} {worked}", dropped_by_socket(&socket));
            }
            _ => {
                last = clock.now();
                first.get_or_insert(last);
                count += 1;
            }
        }
    }
}

/// Sends so many a second.
pub(super) fn blast(per_second: u64, bytes: usize, during: Duration) {
    let socket = client();
    until_answered(&socket, b"begin");
    let (dropped, worked) = (dropped_by_card(), worked_here());
    let (clock, datagram) = (Clock::start(), vec![7; bytes]);
    let mut sent = 0_u64;
    while clock.now().elapsed() < during {
        let due = (clock.now().elapsed().as_secs_f64() * per_second as f64) as u64;
        while sent < due {
            if socket.send(&datagram).is_ok() {
                sent += 1;
            }
        }
        std::thread::park_timeout(BETWEEN_BURSTS);
    }
    // When the end is answered, all others are through the switch.
    let worked = worked_here() - worked;
    until_answered(&socket, b"end");
    println!("{sent} {} {worked}", dropped_by_card() - dropped);
}
