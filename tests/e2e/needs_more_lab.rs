//! The network laboratory end to end, where that needs root, an ordinary user to become, or Python: what a machine refuses, who nodes run
//! as, exposed ports, and that nothing is left of a run that was killed. `.ci/run` runs them all.
#![expect(clippy::unwrap_used, reason = "test code outside of test functions")]

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::support::{Place, processes_in, stderr, stdout};

/// Two nodes that do what they are told; COMMAND says what.
const TWO: &str = r#"schema = 1
name = "two"
timeout = "30s"
[network]
mode = "lab"
[nodes]
count = 2
name = "peer{id}"
command = COMMAND
ready = { log = '^up', within = "20s" }
stop = { signal = "TERM", grace = "200ms" }
RIGHTS
[events]
said = { log = '^said (?<what>.+)', fields = { what = "text" } }
[[steps]]
wait = { event = "said", at_least = 2 }
within = "10s"
[[invariants]]
sometimes = { event = "said", at_least = 2 }
"#;

/// Programs that are an ordinary user's, started by root.
const NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups";

/// Executes what follows where no packet socket can be opened.
const NO_PACKETS: &str = include_str!("../no_packets.py");

fn two(command: &str, rights: &str) -> String {
    let command = format!("[\"sh\", \"-c\", {command:?}]");
    TWO.replace("COMMAND", &command).replace("RIGHTS", rights)
}

/// A place with a copy of dsbench that everybody can reach.
fn root_place(scenario: &str) -> Place {
    let place = Place::new();
    place.write("x.toml", scenario);
    // By another process: a child that another test forks meanwhile must not hold it open for writing, or it cannot be executed.
    let copy = place.path("dsbench");
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_dsbench")).arg(copy).status().unwrap().success());
    place
}

/// The same, which belongs to nobody.
fn open_place(scenario: &str) -> Place {
    let place = root_place(scenario);
    assert!(Command::new("chown").args(["-R", "65534:65534"]).arg(place.path("")).status().unwrap().success());
    place
}

/// Runs a shell script here in which `$D` is dsbench; with what it said on standard error.
fn shell(place: &Place, script: &str) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = Command::new("sh")
        .args(["-ec", script])
        .current_dir(place.path(""))
        .env("D", place.path("dsbench"))
        .env("NO_PACKETS", NO_PACKETS)
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[test]
#[ignore = "needs root, unshare and python3"]
fn what_a_machine_refuses_ends_a_run_before_anything_starts_and_is_named_with_its_remedy() {
    let place = root_place(&two("echo up; echo said hello; sleep 100", ""));
    let no_users =
        "exec unshare --user --map-root-user sh -ec 'echo 0 > /proc/sys/user/max_user_namespaces; exec $D run x.toml'";
    let no_cable = "exec unshare --mount sh -ec 'mount --bind /dev/null /dev/net/tun; exec python3 -c \"$NO_PACKETS\" $D run x.toml'";
    for (script, remedies) in [
        (no_users, ["sysctl -w user.max_user_namespaces=16384", "make a user namespace"]),
        (no_cable, ["chmod 0666 /dev/net/tun", "modprobe -a veth af_packet"]),
    ] {
        let (code, text) = shell(&place, script);
        assert_eq!(code, Some(5), "{text}");
        for remedy in remedies {
            assert!(text.contains(remedy), "{remedy}: {text}");
        }
        place.wait_until_empty();
    }
    // The doctor who is asked for this scenario says so before.
    let (code, _) = shell(&place, &no_users.replace("run", "doctor"));
    assert_eq!(code, Some(5));
    let (code, text) = shell(&place, "exec $D doctor x.toml >&2");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("two machines joined by TAP devices"), "{text}");
}

#[test]
#[ignore = "needs root, unshare, setpriv and python3"]
fn nodes_bind_low_ports_also_where_the_settings_of_the_kernel_cannot_be_written() {
    let listen = "echo up; exec python3 -c 'import socket, time; socket.create_server((\"\", 80)); print(\"said listening\", flush=True); time.sleep(100)'";
    let place = open_place(&two(listen, ""));
    let closed = "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys";
    for before in ["true", closed] {
        let (code, text) =
            shell(&place, &format!("exec unshare --mount sh -ec '{before}; exec {NOBODY} $D run x.toml'"));
        assert_eq!(code, Some(0), "{text}");
        place.wait_until_empty();
    }
}

#[test]
#[ignore = "needs root, and a user called nobody"]
fn nodes_run_as_whom_the_scenario_says_with_the_capabilities_that_it_names() {
    let who = "echo up; echo mine > file; echo said $(id -u) $(stat -c %u . file) $(grep CapEff /proc/self/status); sleep 100";
    let nobody = "65534 65534 65534 CapEff:";
    for (rights, env, expected) in [
        ("", "", "0 0 0 CapEff: 000001ffffffffff".to_owned()),
        ("", "SUDO_UID=65534 SUDO_GID=65534", format!("{nobody} 0000000000000000")),
        ("user = \"nobody\"", "", format!("{nobody} 0000000000000000")),
        ("user = \"nobody\"\ncaps = [\"NET_ADMIN\", \"NET_RAW\"]", "", format!("{nobody} 0000000000003000")),
        ("user = \"root\"", "SUDO_UID=65534 SUDO_GID=65534", "0 0 0 CapEff: 000001ffffffffff".to_owned()),
    ] {
        let place = open_place(&two(who, rights));
        let (code, text) = shell(&place, &format!("{env} exec $D run x.toml"));
        assert_eq!(code, Some(0), "{text}");
        let log = place.read("logs/peer1_log.txt");
        assert!(log.contains(&format!("said {expected}")), "{rights} {env}: {log}");
    }
    // Only root can be somebody else.
    let place = open_place(&two(who, "user = \"root\""));
    let (code, text) = shell(&place, &format!("exec {NOBODY} $D run x.toml"));
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains("start dsbench with sudo"), "{text}");
}

#[test]
#[ignore = "needs user namespaces and python3"]
fn an_exposed_port_is_told_and_reached_from_this_machine_and_ends_with_the_cluster() {
    let serve = "echo up; echo said hello; exec python3 -c 'import socket\ns = socket.create_server((\"\", 80))\nwhile True:\n c, a = s.accept()\n c.sendall(b\"I am {name}\")\n c.close()'";
    let scenario = two(serve, "ports = { web = 80 }\nexpose = [\"web\"]");
    let place = Place::new();
    place.write("x.toml", &scenario);
    let run = place.dsbench(&["run", "x.toml"]).success();
    assert!(stderr(&run).contains("peer2: its port `web` is 127.0.0.1:"), "{}", stderr(&run));
    assert!(place.run_json()["exposed"]["peer1"]["web"].as_str().unwrap().starts_with("127.0.0.1:"));

    place.beside(&["up", "-d", "x.toml"]).success();
    let told: serde_json::Value = serde_json::from_str(&stdout(&place.beside(&["ps", "--json"]).success())).unwrap();
    let mut addrs = Vec::new();
    for node in told[0]["nodes"].as_array().unwrap() {
        let addr = node["exposed"]["web"].as_str().unwrap().to_owned();
        assert!(stdout(&place.beside(&["ps"]).success()).contains(&format!("web={addr}")));
        // It is up as soon as it says so, and listens a moment later.
        place.wait_until("the node answers", |_| {
            let mut said = String::new();
            let mut stream = TcpStream::connect(&addr).unwrap();
            stream.read_to_string(&mut said).is_ok() && said == format!("I am {}", node["name"].as_str().unwrap())
        });
        addrs.push(addr);
    }
    place.beside(&["down"]).success();
    place.wait_until_empty();
    assert!(addrs.iter().all(|addr| TcpStream::connect(addr).is_err()));
}

#[test]
#[ignore = "needs user namespaces and python3"]
fn an_exposed_port_has_the_number_that_was_asked_for_or_it_is_told_why_not() {
    let serve = "echo up; echo said hello; exec python3 -m http.server 80";
    let rights = |first: u16| {
        format!(
            "ports = {{ web = 80 }}\nexpose = {{ web = {first} }}\nready = {{ http = \"http://{{addr.web}}/\", status = 200, within = \"60s\" }}"
        )
    };
    let scenario = |first| two(serve, &rights(first)).replace("ready = { log = '^up', within = \"20s\" }\n", "");
    // Two numbers, one after the other, that are free now: somebody may take them first, and then others are.
    let free = || {
        let sockets = (20_000..32_000)
            .step_by(2)
            .map(|first| (first, [first, first + 1].map(|n| TcpListener::bind(("127.0.0.1", n)))));
        sockets.into_iter().find(|(_, both)| both.iter().all(Result::is_ok)).expect("two free ports").0
    };
    let place = Place::new();
    let first = free();
    place.write("x.toml", &scenario(first));
    let up = place.beside(&["up", "-d", "x.toml"]).success();
    for (node, number) in [("peer1", first), ("peer2", first + 1)] {
        let line = format!("{node}: its port `web` is 127.0.0.1:{number} on this machine");
        assert!(stderr(&up).contains(&line), "{}", stderr(&up));
        assert!(stdout(&place.beside(&["ps"]).success()).contains(&format!("web=127.0.0.1:{number}")));
        let mut stream = TcpStream::connect(("127.0.0.1", number)).expect("it is reached");
        std::io::Write::write_all(&mut stream, b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert!(said.contains("200 OK"), "{said}");
    }
    // The numbers are the cluster's: a second one cannot have them.
    let refused = stderr(&place.beside(&["run", "x.toml"]).code(5));
    let why = format!(
        "peer1: its port `web` cannot be 127.0.0.1:{first} on this machine: a program of this machine, or another run, has it"
    );
    assert!(refused.contains(&why) && refused.contains("[\"web\"] for any that is free"), "{refused}");
    place.beside(&["down"]).success();
    place.wait_until_empty();

    let place = open_place(&scenario(80));
    let (code, text) = shell(&place, &format!("exec {NOBODY} $D run x.toml"));
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains("ports below 1024 are not an ordinary user's"), "{text}");
    let twice = two(serve, "ports = { web = 80, admin = 81 }\nexpose = { web = 18080, admin = 18081 }");
    place.write("x.toml", &twice);
    assert!(stderr(&place.dsbench(&["check", "x.toml"]).code(2)).contains("DS0307"));
    place.write("x.toml", &twice.replace("18080", "65535"));
    assert!(stderr(&place.dsbench(&["check", "x.toml"]).code(2)).contains("no 2 ports from 65535 on"));
}

/// A server that is cut off from everybody, and started again there.
const CUT_OFF: &str = r#"schema = 1
name = "cut-off"
timeout = "100s"
network.mode = "lab"
[nodes]
count = 2
ports = { web = 80 }
command = ["python3", "-m", "http.server", "{port.web}"]
ready = { http = "http://{addr.web}/", within = "60s" }
[[steps]]
partition = { isolate = "peer1" }
[[steps]]
exec = ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://peer1/', timeout=1)"]
on = "peer2"
exit = 1
[[steps]]
restart = "peer1"
[[steps]]
wait = [{ http = "http://{peer1.addr.web}/", status = 200 }, { http = "http://{peer1.addr.web}/nothing", status = 404 }]
[[invariants]]
process = {}
"#;

#[test]
#[ignore = "needs user namespaces and python3"]
fn readiness_and_conditions_by_http_cross_no_link() {
    let place = Place::new();
    place.write("x.toml", CUT_OFF);
    place.dsbench(&["run", "x.toml"]).success();
}

/// A partition from the first moment on, between nodes that never stop talking and never give up.
const CUT: &str = r#"schema = 1
name = "cut"
timeout = "100s"
[network]
mode = "lab"
[nodes]
count = 3
name = "peer{id}"
command = ["sh", "-c", "trap '' TERM; (setsid sleep 1000 &); echo up; while :; do sleep 0.01; done"]
ready = { log = 'up', within = "20s" }
[events]
up = { log = 'up' }
[[steps]]
partition = [["peer1"], ["*"]]
[[steps]]
pause = "peer2"
[[steps]]
after = "90s"
mark = "never reached"
[[invariants]]
sometimes = { event = "up", at_least = 3 }
"#;

/// What a laboratory could leave on the host: mounts where machines have some, and links called as theirs. Whatever else comes and goes
/// meanwhile is not its.
fn traces() -> BTreeSet<String> {
    const MOUNTED: [&str; 5] = ["/run", "/dev/shm", "/etc/hosts", "/etc/resolv.conf", "/proc"];
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("/proc");
    let is_ours = |mount: &&str| mount.split(' ').nth(1).is_some_and(|at| MOUNTED.contains(&at));
    let mounts: Vec<_> = mounts.lines().filter(is_ours).map(str::to_owned).collect();
    let links = std::fs::read_dir("/sys/class/net").expect("/sys").flatten();
    let links = links.map(|link| link.file_name().to_string_lossy().into_owned());
    links.filter(|link| link.starts_with("eth") || link.starts_with("port")).chain(mounts).collect()
}

/// The processes of a run: those that have its mark in their environment, and the nodes, who are at home in its place.
fn processes(place: &Place, mark: &str) -> Vec<u32> {
    let pids =
        std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_marked = |pid: &u32| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
    };
    pids.filter(is_marked).chain(processes_in(&place.path("")).into_iter().map(|(pid, _)| pid)).collect()
}

/// The namespaces that a process is in or holds.
fn namespaces(pid: u32) -> BTreeSet<String> {
    const KINDS: [&str; 6] = ["net:[", "mnt:[", "uts:[", "ipc:[", "user:[", "pid:["];
    let links = |dir: &str| {
        let links = std::fs::read_dir(format!("/proc/{pid}/{dir}")).into_iter().flatten().flatten();
        links.filter_map(|link| Some(std::fs::read_link(link.path()).ok()?.to_str()?.to_owned())).collect::<Vec<_>>()
    };
    links("ns").into_iter().chain(links("fd")).filter(|link| KINDS.iter().any(|kind| link.starts_with(kind))).collect()
}

/// Kills a run again and again, each time a little later than the last: while it builds its laboratory, starts its nodes, cuts them apart,
/// or holds them so.
fn kill_at_many_instants(user: &str) {
    const KILLS: u32 = 50;
    const APART: Duration = Duration::from_millis(24);
    let before = traces();
    let own = namespaces(std::process::id());
    let place = open_place(CUT);
    let mut instants = 0;
    for number in 0..KILLS {
        let mark = format!("DSBENCH_TEST_MARK=cut-{}-{user}-{number}", std::process::id());
        let (name, value) = mark.split_once('=').unwrap();
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {user} $D run x.toml")])
            .current_dir(place.path(""))
            .env("D", place.path("dsbench"))
            .env(name, value)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        #[expect(
            clippy::disallowed_methods,
            reason = "the instant is the test's subject: there is nothing else to wait for"
        )]
        std::thread::sleep(APART * number);
        let held: BTreeSet<String> = processes(&place, &mark).into_iter().flat_map(namespaces).collect();
        let held: BTreeSet<String> = held.difference(&own).cloned().collect();
        instants += u32::from(held.len() > 10);
        child.kill().unwrap();
        child.wait().unwrap();
        place.wait_until("no process of the run is left", |place| processes(place, &mark).is_empty());
        place.wait_until("no namespace of the run is left", |_| {
            let pids = std::fs::read_dir("/proc").unwrap().flatten();
            let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
            pids.flat_map(namespaces).all(|namespace| !held.contains(&namespace))
        });
    }
    assert!(instants > KILLS / 3, "only {instants} of {KILLS} runs were killed when their laboratory stood");
    let runs = std::fs::read_dir(place.path("logs/runs/cut")).unwrap().flatten();
    let histories = runs.map(|run| std::fs::read_to_string(run.path().join("history.jsonl")).unwrap_or_default());
    let cut = histories.filter(|history| history.contains("partition")).count();
    assert!(cut > 5, "only {cut} runs were killed in their partition");
    assert_eq!(traces(), before);
}

#[test]
#[ignore = "needs root"]
fn a_partitioned_run_that_is_killed_at_any_instant_leaves_nothing_as_root() {
    kill_at_many_instants("");
}

#[test]
#[ignore = "needs root and setpriv"]
fn a_partitioned_run_that_is_killed_at_any_instant_leaves_nothing_of_an_ordinary_user() {
    kill_at_many_instants(NOBODY);
}
