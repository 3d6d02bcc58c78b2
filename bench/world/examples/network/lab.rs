//! The laboratory's network: two machines, and the switch between them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dsbench_core::network::RuleSet;
use dsbench_core::observation::Name;
use dsbench_world::{
    Clock, EndpointSpec, ExecInput, ExecSpec, Guardian, Happening, LabSpec, LinkKind, Place, Program, SwitchConfig,
    World, WorldConfig,
};

/// Two machines joined by the switch.
pub(super) struct Lab {
    pub(super) world: World,
    dir: PathBuf,
}

impl Lab {
    /// With cards that leave work to the switch where they can be had, or packet sockets; all recorded in `record`.
    pub(super) fn new(link: LinkKind, record: Option<&Path>) -> Self {
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
            link,
            offloads: true,
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

    pub(super) fn set(&mut self, rules: &RuleSet) {
        self.world.set_rules(rules).unwrap();
    }

    /// What the client says, and then the server, if they speak on these machines.
    pub(super) fn said(&mut self, server: &[&str], client: &[&str]) -> String {
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

    pub(super) fn stream(mut self, rules: &RuleSet) -> f64 {
        self.set(rules);
        let said = self.said(&["stream-server"], &["stream", &super::SECONDS.to_string()]);
        self.end();
        said.trim().parse().unwrap()
    }

    /// How long the switch works while nothing happens, in milliseconds.
    pub(super) fn idle(&mut self, during: Duration) -> f64 {
        let before = worked();
        let deadline = self.world.clock().now() + during;
        while self.world.next(deadline).is_some() {}
        (worked() - before) / 1e6
    }

    pub(super) fn end(self) {
        let ended = self.world.shutdown(Duration::from_secs(30));
        assert!(ended.survivors.is_empty());
        std::fs::remove_dir_all(&self.dir).unwrap();
    }
}

/// A new directory for what is recorded.
pub(super) fn records() -> PathBuf {
    let dir = std::env::temp_dir().join(format!("dsbench-network-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// How long the switches of this process have worked, in nanoseconds.
pub(super) fn worked() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let of = |task: PathBuf| {
        let is_switch = std::fs::read_to_string(task.join("comm")).unwrap().trim() == "switch";
        let worked = std::fs::read_to_string(task.join("schedstat")).unwrap();
        is_switch.then(|| worked.split(' ').next().unwrap().parse::<f64>().unwrap())
    };
    tasks.filter_map(of).sum()
}
