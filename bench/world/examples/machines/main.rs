//! How long it takes to build and to clear away a laboratory of so many machines: `machines [10 100 200] [--packet | --bare]`.
//!
//! `--packet` has pairs of devices for cables instead of TAP devices. `--bare` (as root) makes the same namespaces, devices and addresses by
//! the fewest calls that do, to compare with.
#![expect(clippy::unwrap_used, reason = "an example that measures, and stops at the first surprise")]

mod bare;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use dsbench_core::time::RunTime;
use dsbench_world::{Clock, EndpointSpec, Guardian, LabSpec, LinkKind, World, WorldConfig};

fn endpoint(number: u16, name: String) -> EndpointSpec {
    let [high, low] = number.to_be_bytes();
    EndpointSpec {
        hostname: name.clone(),
        name,
        ip4: Ipv4Addr::new(10, 77, high, low),
        ip6: Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, number),
        mac: [2, 0, 0, 0, high, low],
    }
}

/// One machine is the bench's.
fn spec(count: u16, link: LinkKind) -> LabSpec {
    LabSpec {
        endpoints: (1..count).map(|number| endpoint(number, format!("n{number}"))).collect(),
        bench: endpoint(0xfffe, "dsbench".to_owned()),
        prefix: 16,
        mtu: 1500,
        hosts: Vec::new(),
        link,
        root_user: None,
        visible: Vec::new(),
        offloads: true,
    }
}

/// From a guardian to the last machine, and from the word that it is over to the proof that nothing is left.
fn measure(spec: &LabSpec) -> [Duration; 2] {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::start();
    let guardian = Guardian::fork().unwrap();
    let mut lab = guardian.build_lab(spec).unwrap();
    let built = clock.now();
    let cables = std::mem::take(&mut lab.cables);
    let config = WorldConfig {
        log_dir: dir.path().to_owned(),
        signals: None,
        desk: None,
        lab: Some(lab),
        switch: None,
        lifts_limits: false,
        tick: WorldConfig::EXACT,
    };
    let world = World::new(guardian, clock, config).unwrap();
    let since = clock.now();
    let ended = world.shutdown(Duration::from_secs(60));
    assert!(ended.survivors.is_empty(), "{:?}", ended.survivors);
    drop(cables);
    let cleared = clock.now().since(since);
    [built.since(RunTime::START), cleared]
}

/// The same by the fewest calls.
fn measure_bare(count: u16) -> [Duration; 2] {
    let clock = Clock::start();
    let machines = bare::build(count);
    let built = clock.now();
    drop(machines);
    [built.since(RunTime::START), clock.now().since(built)]
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|given| given == word);
    let link = if has("--packet") { LinkKind::Packet } else { LinkKind::Any };
    let mut counts: Vec<u16> = arguments.iter().filter_map(|word| word.parse().ok()).collect();
    if counts.is_empty() {
        counts = vec![10, 100, 200];
    }
    for count in counts {
        let [built, cleared] = if has("--bare") { measure_bare(count) } else { measure(&spec(count, link)) };
        println!("{count} machines: built in {built:.1?}, cleared away in {cleared:.1?}");
    }
}
