//! How long it takes to build and to clear away a laboratory of so many machines: `machines [10 100 200] [--packet]`.
#![expect(clippy::unwrap_used, reason = "an example that measures, and stops at the first surprise")]

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

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

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let link = if arguments.iter().any(|word| word == "--packet") { LinkKind::Packet } else { LinkKind::Any };
    let mut counts: Vec<u16> = arguments.iter().filter_map(|word| word.parse().ok()).collect();
    if counts.is_empty() {
        counts = vec![10, 100, 200];
    }
    for count in counts {
        let spec = LabSpec {
            endpoints: (1..=count).map(|number| endpoint(number, format!("n{number}"))).collect(),
            bench: endpoint(0xfffe, "dsbench".to_owned()),
            prefix: 16,
            mtu: 1500,
            hosts: Vec::new(),
            link,
            offloads: false,
            root_user: None,
            visible: Vec::new(),
        };
        let dir = std::env::temp_dir().join(format!("dsbench-machines-{}", std::process::id()));
        let clock = Clock::start();
        let guardian = Guardian::fork().unwrap();
        let mut lab = guardian.build_lab(&spec).unwrap();
        let built = clock.now();
        let kind = lab.cables[0].kind.clone();
        let cables = std::mem::take(&mut lab.cables);
        let config = WorldConfig {
            log_dir: dir.clone(),
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
        std::fs::remove_dir_all(&dir).unwrap();
        let built = built.since(dsbench_core::time::RunTime::START);
        println!("{count} machines ({kind:?}): built in {built:.1?}, cleared away in {cleared:.1?}");
    }
}
