//! A node of a small cluster: of the nodes that are alive, the one with the smallest name leads.
//!
//!     node NAME OWN_ADDRESS NAME=ADDRESS,NAME=ADDRESS,...
//!
//! Each node tells the others every 100 ms over UDP that it lives, and takes one that was silent for 500 ms for dead.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(100);
const SILENCE: Duration = Duration::from_millis(500);

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [me, own, peers] = arguments.as_slice() else {
        eprintln!("usage: node NAME OWN_ADDRESS NAME=ADDRESS,NAME=ADDRESS,...");
        std::process::exit(2);
    };
    let peers = peers.split(',').filter_map(|peer| peer.split_once('='));
    let others: BTreeMap<&str, &str> = peers.filter(|(name, _)| name != me).collect();
    let socket = UdpSocket::bind(own)?;
    socket.set_read_timeout(Some(INTERVAL / 4))?;
    println!("{me} listening on {own}");

    let began = Instant::now();
    let mut next_beat = began;
    let mut heard: BTreeMap<String, Instant> = BTreeMap::new();
    let mut leader: Option<String> = None;
    loop {
        let now = Instant::now();
        if now >= next_beat {
            next_beat = now + INTERVAL;
            for address in others.values() {
                // Nobody may be there: that is what this is about.
                let _ = socket.send_to(me.as_bytes(), address);
            }
        }
        let mut buffer = [0; 64];
        if let Ok(length) = socket.recv(&mut buffer) {
            let name = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if others.contains_key(name.as_str()) {
                heard.insert(name, Instant::now());
            }
        }
        if now - began < SILENCE {
            continue; // who else is there?
        }
        let alive = heard.iter().filter(|(_, at)| now.saturating_duration_since(**at) < SILENCE).map(|(name, _)| name);
        let smallest = alive.chain([me]).min().cloned();
        if smallest != leader {
            match smallest.as_deref() {
                Some(name) if name == me => println!("{me} leads"),
                name => println!("{me} follows {}", name.unwrap_or_default()),
            }
            leader = smallest;
        }
    }
}
