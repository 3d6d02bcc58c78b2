//! Nothing survives a bench with a laboratory, however it, its guardian, a keeper or the laboratory's process dies: no process, namespace,
//! mount or link.
#![expect(clippy::unwrap_used, reason = "test code outside of test functions")]

mod stage;

use std::collections::BTreeSet;
use std::fs;
use std::io::BufRead as _;

use dsbench_core::observation::Exit;
use dsbench_world::{Happening, Place, SpawnSpec};

use stage::doomed::{Doomed, MARK, children, kill, name, parent, role, say};
use stage::lab::{LabStage, Tap, again_as_an_ordinary_user, three};
use stage::{PATIENCE, is_alive, life, marked, words};

/// Heeds no signal, and detaches daemons that do not either.
const STUBBORN: &str = "trap '' TERM HUP INT USR1 USR2 PIPE; \
    (setsid sh -c 'trap \"\" TERM HUP INT PIPE; (setsid sh -c \"trap \\\"\\\" TERM HUP INT PIPE; while :; do sleep 1000; done\" &); while :; do sleep 1000; done' &); \
    echo say up; while :; do sleep 1000; done";

/// What a laboratory could leave on the host: mounts where machines have some, and links called as theirs. Whatever else comes and goes
/// meanwhile is not its.
fn traces() -> BTreeSet<String> {
    const MOUNTED: [&str; 5] = ["/run", "/dev/shm", "/etc/hosts", "/etc/resolv.conf", "/proc"];
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let is_ours = |mount: &&str| mount.split(' ').nth(1).is_some_and(|at| MOUNTED.contains(&at));
    let mounts: Vec<_> = mounts.lines().filter(is_ours).map(str::to_owned).collect();
    let links = fs::read_dir("/sys/class/net").unwrap().flatten();
    let links = links.map(|link| link.file_name().into_string().unwrap());
    links.filter(|link| link.starts_with("eth") || link.starts_with("port")).chain(mounts).collect()
}

/// The namespaces of a process.
fn namespaces(pid: i32) -> BTreeSet<String> {
    let kinds = ["net", "mnt", "uts", "ipc", "user", "pid", "pid_for_children"];
    let kinds = kinds.iter().filter_map(|kind| fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok());
    kinds.map(|link| link.to_str().unwrap().to_owned()).collect()
}

/// Those that no process is in, and no descriptor holds, are gone.
fn held() -> BTreeSet<String> {
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let fds = |pid: i32| {
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        fds.filter_map(|fd| Some(fs::read_link(fd.path()).ok()?.to_str()?.to_owned()))
            .filter(|link| link.contains(":["))
    };
    pids.flat_map(|pid: i32| namespaces(pid).into_iter().chain(fds(pid))).collect()
}

/// The namespaces that are not this process's.
fn foreign(pids: &[i32]) -> BTreeSet<String> {
    let own = namespaces(i32::try_from(std::process::id()).unwrap());
    pids.iter().flat_map(|pid| namespaces(*pid)).filter(|namespace| !own.contains(namespace)).collect()
}

fn until_not_held(namespaces: &BTreeSet<String>) {
    #[expect(clippy::disallowed_methods, reason = "a test's patience is no run time")]
    let since = std::time::Instant::now();
    loop {
        let held = held();
        let left: Vec<_> = namespaces.intersection(&held).collect();
        if left.is_empty() {
            return;
        }
        assert!(since.elapsed() < PATIENCE, "left: {left:?}");
    }
}

/// No test, but the program that the tests below execute and kill.
#[test]
fn doomed_bench() {
    let Some((_, mark)) = role() else { return };
    say("begin");
    let mut lab = LabStage::new(&three());
    say("built");
    for number in 1.. {
        for peer in ["peer1", "peer2", "peer3"] {
            let mut program = lab.stage.program(&["sh", "-c", STUBBORN]);
            program.env.push((MARK.into(), mark.clone().into()));
            let place = Some(Place::at(peer));
            let (stdout, stderr) = (words(), None);
            let spec = SpawnSpec { program, stdout, stderr, files: Vec::new(), label: false, place };
            lab.stage.world.spawn(life(peer, number), spec).unwrap();
            say("spawned");
        }
        for peer in ["peer1", "peer2", "peer3"] {
            lab.stage.until_said_by(&life(peer, number), "up");
        }
        say("up");
        lab.exec(&["sleep", "1000"], Some(Place::at("peer1")));
        lab.stage.world.pause(&life("peer2", number));
        say("paused");
        lab.stage.world.kill(&life("peer3", number));
        say("killed");
        for peer in ["peer1", "peer2"] {
            lab.stage.world.kill(&life(peer, number));
        }
        for peer in ["peer1", "peer2", "peer3"] {
            lab.stage.until_empty_or_seen(&life(peer, number));
        }
    }
}

#[test]
#[ignore = "needs user namespaces, and /dev/net/tun or AF_PACKET"]
fn kill_9_of_the_bench_at_any_instant_leaves_nothing() {
    let before = traces();
    // The more lines are read, the later it dies: while it builds, in the first start, in the middle of others, in a pause, in a kill.
    for lines in 1..=16 {
        let mut doomed = Doomed::start("storm");
        let mut line = String::new();
        while !line.contains("begin") || line.lines().filter(|line| !line.is_empty()).count() < 2 + lines {
            assert!(doomed.lines.read_line(&mut line).unwrap() > 0);
        }
        let namespaces = foreign(&doomed.marked());
        doomed.child.kill().unwrap();
        doomed.assert_gone();
        until_not_held(&namespaces);
    }
    assert_eq!(traces(), before);
}

#[test]
#[ignore = "needs user namespaces, and /dev/net/tun or AF_PACKET"]
fn when_the_guardian_is_killed_nothing_is_left_and_the_bench_is_told() {
    let before = traces();
    let mut lab = LabStage::new(&three());
    let one = life("peer1", 1);
    let pid = lab.sh(&one, STUBBORN);
    lab.stage.until_said("up");
    let guardian = parent(parent(pid));
    assert_eq!((name(parent(pid)).as_str(), name(guardian).as_str()), ("dsbench-keep", "dsbench-guard"));
    let namespaces = foreign(&[pid]);
    assert_eq!(namespaces.len(), 6, "{namespaces:?}");
    kill(guardian);
    lab.stage.until(|what| matches!(what, Happening::Broken { .. }));
    if lab.stage.world.is_alive(&one) {
        lab.stage.until_empty(&one);
    }
    assert!(!is_alive(pid));
    // It cannot be confirmed by a guardian that is dead.
    assert_eq!(lab.stage.world.shutdown(PATIENCE).survivors.len(), 1);
    until_not_held(&namespaces);
    assert_eq!(traces(), before);
}

#[test]
#[ignore = "needs user namespaces, and /dev/net/tun or AF_PACKET"]
fn when_a_keeper_is_killed_its_machine_dies_with_it_and_no_other() {
    let mut lab = LabStage::new(&three());
    let (one, other) = (life("peer1", 1), life("peer2", 1));
    let survivor = lab.sh(&other, STUBBORN);
    lab.stage.until_said_by(&other, "up");
    let mark = format!("lab-keeper-{}", std::process::id());
    let pid = lab.sh(&one, &format!("export {MARK}={mark}; {STUBBORN}"));
    lab.stage.until_said_by(&one, "up");
    let mark = format!("{MARK}={mark}");
    let deadline = lab.stage.world.clock().now() + PATIENCE;
    while marked(&mark).len() < 2 {
        assert!(lab.stage.world.clock().now() < deadline, "its daemons never came");
    }
    kill(parent(pid));
    lab.stage.until(|what| matches!(what, Happening::Broken { why } if why.contains("keeper")));
    assert_eq!(lab.stage.until_exited(&one), Exit::Signal(9));
    lab.stage.until_empty(&one);
    assert_eq!(marked(&mark), [0; 0]);
    assert!(!is_alive(pid) && is_alive(survivor));
    lab.end();
}

#[test]
#[ignore = "needs user namespaces, and /dev/net/tun or AF_PACKET"]
fn when_the_process_of_the_laboratory_is_killed_the_bench_is_told_and_nothing_is_left() {
    let before = traces();
    let mut lab = LabStage::new(&three());
    let one = life("peer1", 1);
    let pid = lab.sh(&one, STUBBORN);
    lab.stage.until_said("up");
    let namespaces = foreign(&[pid]);
    let guardian = parent(parent(pid));
    let of_lab: Vec<i32> = children(guardian).into_iter().filter(|pid| name(*pid) == "dsbench-lab").collect();
    assert_eq!(of_lab.len(), 1);
    kill(of_lab[0]);
    lab.stage.until(|what| matches!(what, Happening::Broken { why } if why.contains("laboratory")));
    assert!(is_alive(pid), "the run ends in order");
    lab.end();
    until_not_held(&namespaces);
    assert_eq!(traces(), before);
}

#[test]
#[ignore = "needs root, setpriv and user namespaces"]
fn all_of_this_is_true_for_an_ordinary_user() {
    again_as_an_ordinary_user("all_of_this_is_true_for_an_ordinary_user", Tap::AsItIs);
}
