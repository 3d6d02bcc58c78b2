//! A laboratory for tests: three machines and the bench's, joined by the simplest of switches.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use dsbench_core::observation::{Life, Name};
use dsbench_world::{
    Cable, Clock, EndpointSpec, ExecId, ExecInput, ExecSpec, Executed, Guardian, Happening, LabSpec, LinkKind, Place,
    SpawnSpec, SwitchConfig, World, WorldConfig, WorldError,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{read, write};

use super::{Stage, words};

/// Says that TAP devices must be had, for whoever runs this program once more where they can.
const NEEDS_TAP: &str = "DSBENCH_TEST_NEEDS_TAP";

/// What carries frames in this process's laboratories: TAP where it may, as every run does; or TAP and nothing else, where it must.
fn link() -> LinkKind {
    if std::env::var_os(NEEDS_TAP).is_some() { LinkKind::Tap } else { LinkKind::Any }
}

pub(crate) fn endpoint(number: u16, name: &str) -> EndpointSpec {
    let [high, low] = number.to_be_bytes();
    EndpointSpec {
        name: name.to_owned(),
        hostname: name.to_owned(),
        ip4: Ipv4Addr::new(10, 77, high, low),
        ip6: Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, number),
        mac: [2, 0, 0, 0, high, low],
    }
}

/// peer1, peer2, peer3.
pub(crate) fn three() -> LabSpec {
    machines(3)
}

pub(crate) fn machines(count: u16) -> LabSpec {
    LabSpec {
        endpoints: (1..=count).map(|number| endpoint(number, &format!("peer{number}"))).collect(),
        bench: endpoint(0xfffe, "dsbench"),
        prefix: 16,
        mtu: 1500,
        hosts: vec!["10.77.0.1 primary".to_owned()],
        link: link(),
        offloads: false,
        root_user: None,
        visible: Vec::new(),
    }
}

/// Answers whoever connects to port 80, over IPv4 and IPv6, with what it was sent.
pub(crate) const ECHO: &str = "exec python3 -c \"
import socket
s = socket.create_server(('::', 80), family=socket.AF_INET6, dualstack_ipv6=True)
print('say up', flush=True)
while True:
    c, a = s.accept()
    try:
        while d := c.recv(65536): c.sendall(d)
    except ConnectionResetError:
        print('say reset', flush=True)
    c.close()
\"";

/// Sends a megabyte to an address and says whether it came back as it was.
pub(crate) fn megabyte(to: &str) -> String {
    format!(
        "python3 -c \"
import socket, threading
c = socket.create_connection(('{to}', 80), timeout=60)
sent = bytes(range(256)) * 4000
threading.Thread(target=lambda: c.sendall(sent)).start()
got = b''
while len(got) < len(sent): got += c.recv(65536)
print(got == sent)
\""
    )
}

/// A world with machines, and the thread that carries frames between them.
pub(crate) struct LabStage {
    pub(crate) stage: Stage,
    pub(crate) hub: Hub,
}

impl LabStage {
    pub(crate) fn new(spec: &LabSpec) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Programs may be somebody else's.
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let guardian = Guardian::fork().unwrap();
        let mut lab = guardian.build_lab(spec).unwrap();
        let hub = Hub::start(std::mem::take(&mut lab.cables));
        let config = WorldConfig {
            log_dir: dir.path().to_owned(),
            signals: None,
            desk: None,
            lab: Some(lab),
            switch: None,
            lifts_limits: true,
            tick: WorldConfig::EXACT,
        };
        let world = World::new(guardian, Clock::start(), config).unwrap();
        Self { stage: Stage { world, dir, seen: Vec::new() }, hub }
    }

    /// The same with the switch of every run, in place of the simplest.
    pub(crate) fn with_switch(spec: &LabSpec, configure: impl FnOnce(&mut SwitchConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let guardian = Guardian::fork().unwrap();
        let mut lab = guardian.build_lab(spec).unwrap();
        let ports = std::mem::take(&mut lab.cables).into_iter().map(Into::into).collect();
        let mut switch = SwitchConfig { seed: 42, ports, exempt: ["dsbench".into()].into(), ..SwitchConfig::default() };
        configure(&mut switch);
        let config = WorldConfig {
            log_dir: dir.path().to_owned(),
            signals: None,
            desk: None,
            lab: Some(lab),
            switch: Some(switch),
            lifts_limits: true,
            tick: WorldConfig::EXACT,
        };
        let world = World::new(guardian, Clock::start(), config).unwrap();
        Self { stage: Stage { world, dir, seen: Vec::new() }, hub: Hub::start(Vec::new()) }
    }

    /// Starts a shell script on the machine that is called as the life's node; waits until it runs; gives its pid on the host.
    pub(crate) fn sh(&mut self, life: &Life, script: &str) -> i32 {
        self.sh_at(life, script, Place::at(life.node.clone()))
    }

    pub(crate) fn sh_at(&mut self, life: &Life, script: &str, place: Place) -> i32 {
        let program = self.stage.program(&["sh", "-c", script]);
        let (stdout, stderr) = (words(), words());
        let spec = SpawnSpec { program, stdout, stderr, files: Vec::new(), label: false, place: Some(place) };
        self.stage.world.spawn(life.clone(), spec).unwrap();
        match self.stage.until(|what| matches!(what, Happening::Started { of, .. } if of == life)).what {
            Happening::Started { pid, .. } => pid,
            _ => unreachable!(),
        }
    }

    pub(crate) fn exec(&mut self, argv: &[&str], place: Option<Place>) -> ExecId {
        let program = self.stage.program(argv);
        self.stage.world.exec(ExecSpec { program, stdin: ExecInput::Empty, place }).unwrap()
    }

    /// Executes a shell script on a machine and gives what it said, trimmed.
    pub(crate) fn ask(&mut self, on: &str, script: &str) -> String {
        self.ask_at(Place::at(on), script)
    }

    pub(crate) fn ask_at(&mut self, place: Place, script: &str) -> String {
        let id = self.exec(&["sh", "-c", script], Some(place));
        let result = self.executed(id);
        let said = String::from_utf8_lossy(&result.stdout).trim().to_owned();
        let complaint = String::from_utf8_lossy(&result.stderr).into_owned();
        assert_eq!(result.ended, Ok(dsbench_core::observation::Exit::Code(0)), "{said} {complaint}");
        said
    }

    /// Asks until the answer is this.
    pub(crate) fn until_asked(&mut self, on: &str, script: &str, expected: &str) {
        let deadline = self.stage.world.clock().now() + super::PATIENCE;
        while self.ask(on, script) != expected {
            assert!(self.stage.world.clock().now() < deadline, "{script}: it never said {expected}");
        }
    }

    /// Why nothing can be executed there.
    pub(crate) fn exec_refused(&mut self, place: Place) -> WorldError {
        let program = self.stage.program(&["true"]);
        self.stage.world.exec(ExecSpec { program, stdin: ExecInput::Empty, place: Some(place) }).unwrap_err()
    }

    pub(crate) fn executed(&mut self, wanted: ExecId) -> Executed {
        match self.stage.until(|what| matches!(what, Happening::Executed { id, .. } if *id == wanted)).what {
            Happening::Executed { result, .. } => result,
            _ => unreachable!(),
        }
    }

    /// Ends the world; everything must be gone.
    pub(crate) fn end(self) {
        self.stage.end();
        self.hub.end();
    }
}

/// Carries every frame to whom it is for: to one machine by its hardware address, or to all others.
pub(crate) struct Hub {
    pub(crate) cables: Arc<Vec<Cable>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Hub {
    fn start(cables: Vec<Cable>) -> Self {
        let cables = Arc::new(cables);
        let stop = Arc::new(AtomicBool::new(false));
        let (its, its_stop) = (cables.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut frame = vec![0; 65_536];
            while !its_stop.load(Ordering::Relaxed) {
                let mut fds: Vec<_> =
                    its.iter().map(|cable| PollFd::new(cable.fd.as_fd(), PollFlags::POLLIN)).collect();
                poll(&mut fds, PollTimeout::from(20_u8)).unwrap();
                for from in its.iter() {
                    while let Ok(length) = read(&from.fd, &mut frame) {
                        carry(&its, from, &frame[..length]);
                    }
                }
            }
        });
        Self { cables, stop, thread }
    }

    pub(crate) fn cable(&self, name: &str) -> &Cable {
        self.cables.iter().find(|cable| *cable.name == *name).unwrap()
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

fn carry(cables: &[Cable], from: &Cable, frame: &[u8]) {
    let Some(to) = frame.first_chunk::<6>() else { return };
    for cable in cables.iter().filter(|cable| !std::ptr::eq(*cable, from)) {
        if to[0] & 1 == 1 || cable.mac == *to {
            // A full queue loses frames, as networks do.
            let _ = write(&cable.fd, frame);
        }
    }
}

pub(crate) fn place(on: &str, user: Option<&str>, caps: &[&str]) -> Place {
    Place { endpoint: on.into(), user: user.map(Name::from), caps: caps.iter().map(|name| Name::from(*name)).collect() }
}

/// Who may make TAP devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tap {
    /// Whoever may on this machine.
    AsItIs,
    /// Everybody, as far as the tests can see.
    ForEverybody,
}

/// Runs the tests of this file once more, all but those with this in their name, as somebody who has no rights: nobody.
pub(crate) fn again_as_an_ordinary_user(but: &str, tap: Tap) {
    let run = "exec setpriv --reuid=65534 --regid=65534 --clear-groups $TESTS --ignored --skip $BUT";
    let script = match tap {
        Tap::AsItIs => run.to_owned(),
        Tap::ForEverybody => format!(
            "mknod tun c 10 200; chmod 0666 tun; export {NEEDS_TAP}=1; exec unshare --mount sh -ec 'mount --bind tun /dev/net/tun; {run}'"
        ),
    };
    let said = Elsewhere::new().run(&script, &[("BUT", but)]);
    assert!(said.contains("test result: ok"), "{said}");
}

/// A copy of this test program that everybody can reach, wherever the checkout lies.
pub(crate) struct Elsewhere(tempfile::TempDir);

impl Elsewhere {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        // By another process: a child that another test forks meanwhile must not hold it open for writing, or it cannot be executed.
        let mut cp = std::process::Command::new("cp");
        cp.arg(std::env::current_exe().unwrap()).arg(dir.path().join("tests"));
        assert!(cp.status().unwrap().success());
        Self(dir)
    }

    /// Runs a shell script that executes `$TESTS`; it must succeed. Gives what it said.
    pub(crate) fn run(&self, script: &str, env: &[(&str, &str)]) -> String {
        let done = std::process::Command::new("sh")
            .args(["-ec", script])
            .current_dir(self.0.path())
            .env("TESTS", self.0.path().join("tests"))
            .env("TMPDIR", self.0.path())
            .envs(env.iter().copied())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
        said
    }
}
