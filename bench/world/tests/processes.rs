//! Promises about processes: how they start, are hit, end - and that nothing is left.

mod stage;

use std::fs;
use std::time::Duration;

use dsbench_core::observation::Exit;
use dsbench_world::{Happening, Scope, SpawnSpec};

use stage::{Stage, is_alive, life, words};

/// A node that is hard to get rid of: a child, a daemon that has left its session and parent, none of which heeds SIGTERM.
const STUBBORN: &str = "trap '' TERM HUP INT; \
    sleep 1000 & \
    (setsid sh -c 'trap \"\" TERM HUP; echo say daemon $$; while :; do sleep 1000; done' &) ; \
    echo say up; while :; do sleep 1000; done";

fn pids_said(stage: &Stage, word: &str) -> Vec<i32> {
    let said = stage.seen.iter().filter_map(|outside| match &outside.what {
        Happening::Event(event) => event.name.strip_prefix(word)?.trim().parse().ok(),
        _ => None,
    });
    said.collect()
}

#[test]
fn a_program_starts_says_its_lines_exits_and_is_proven_gone_in_this_order() {
    let mut stage = Stage::new();
    let one = life("peer1", 1);
    let pid = stage.sh(&one, "echo say hello; echo say oops >&2; exit 3");
    let empty = stage.until_empty(&one);
    assert_eq!(stage.seen[0].what, Happening::Started { of: one.clone(), pid });
    let [before @ .., _exited, _empty] = &stage.seen[..] else { panic!("{:?}", stage.seen) };
    let events = before.iter().filter(|o| matches!(o.what, Happening::Event(_))).count();
    assert_eq!(events, 2, "both lines come before the exit: {:?}", stage.seen);
    let exited = &stage.seen[stage.seen.len() - 2];
    assert_eq!(exited.what, Happening::Exited { of: one.clone(), exit: Exit::Code(3) });
    assert!(stage.seen[0].at <= exited.at && exited.at <= empty.at);
    assert!(!stage.world.is_alive(&one) && !is_alive(pid));
    let (ended, _dir) = stage.end();
    assert_eq!(ended.killed, []);
}

#[test]
fn a_program_that_does_not_exist_never_looks_as_if_a_signal_had_ended_it() {
    let mut stage = Stage::new();
    for number in 1..=50 {
        let life = life("n", number);
        stage.spawn(&life, &["./missing"]);
        stage.world.signal(&life, libc::SIGTERM, Scope::Main);
        let told = stage.until(|what| matches!(what, Happening::NotStarted { .. } | Happening::Started { .. })).what;
        assert!(matches!(told, Happening::NotStarted { .. }), "{number}: {told:?}");
    }
    stage.end();
}

#[test]
fn what_cannot_be_executed_is_explained() {
    let mut stage = Stage::new();
    fs::write(stage.path("plain"), "echo hi\n").unwrap();
    fs::write(stage.path("headless"), "\x01\x02").unwrap();
    fs::write(stage.path("lost"), "#!/no/such/interpreter\n").unwrap();
    for script in ["headless", "lost"] {
        let path = stage.path(script);
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let cases = [
        ("no-such-program", "`no-such-program` not found (is it built, and on PATH?)"),
        ("/missing", "`/missing` not found (is it built?)"),
        ("./plain", "`./plain` may not be executed (permission denied; is it marked executable?)"),
        ("./headless", "`./headless` is not a program for this machine (a script needs a #! line)"),
        ("/tmp", "`/tmp` is a directory, not a program"),
    ];
    for (number, (command, expected)) in (1..).zip(cases) {
        stage.spawn(&life("n", number), &[command]);
        let told = stage.until(|what| matches!(what, Happening::NotStarted { .. })).what;
        assert_eq!(told, Happening::NotStarted { of: life("n", number), why: expected.to_owned(), by_machine: false });
        assert!(!stage.world.is_alive(&life("n", number)));
    }
    stage.spawn(&life("n", 8), &["./missing"]);
    stage.until(|what| matches!(what, Happening::NotStarted { why, .. } if why.contains("working directory /")));
    stage.spawn(&life("n", 9), &["./lost"]);
    stage.until(|what| matches!(what, Happening::NotStarted { why, .. } if why.contains("interpreter")));
    let mut nowhere = stage.program(&["true"]);
    nowhere.cwd = "/no/such/place".into();
    let spec = SpawnSpec { program: nowhere, stdout: None, stderr: None, files: Vec::new(), label: false, place: None };
    stage.world.spawn(life("n", 10), spec).unwrap();
    stage.until(|what| matches!(what, Happening::NotStarted { why, .. } if why.contains("/no/such/place")));
    stage.end();
}

#[test]
fn a_program_gets_only_what_it_is_given() {
    let mut stage = Stage::new();
    let one = life("n", 1);
    // Descriptors 0, 1, 2 and the one that ls opens; default signals (dsbench ignores SIGPIPE); no signal blocked; its own session.
    stage.sh(
        &one,
        "ls /proc/self/fd | wc -l | sed 's/^ */say fds /'; \
         grep -E 'SigBlk|SigIgn' /proc/self/status | tr -d '\\t' | sed 's/^/say /'; \
         [ \"$(cut -d' ' -f6 /proc/$$/stat)\" = $$ ] && echo say session; \
         env | cut -d= -f1 | grep -v -E '^(_|PWD|SHLVL|OLDPWD)$' | sort | tr '\\n' ' ' | sed 's/^/say env /'; echo; pwd | sed 's/^/say /'",
    );
    stage.until_empty(&one);
    let words: Vec<String> = stage
        .seen
        .iter()
        .filter_map(|outside| match &outside.what {
            Happening::Event(event) => Some(event.name.to_string()),
            _ => None,
        })
        .collect();
    let cwd = stage.dir.path().canonicalize().unwrap().to_str().unwrap().to_owned();
    let expected = [
        "fds 4",
        "SigBlk:0000000000000000",
        "SigIgn:0000000000000000",
        "session",
        "env DSBENCH_LIFE DSBENCH_NODE DSBENCH_RUN DSBENCH_SEED HOME LANG PATH TZ ",
        &cwd,
    ];
    assert_eq!(words, expected);
    stage.end();
}

#[test]
fn a_kill_leaves_nothing_of_a_stubborn_tree() {
    let mut stage = Stage::new();
    let one = life("n", 1);
    let pid = stage.sh(&one, STUBBORN);
    stage.until(|what| matches!(what, Happening::Event(event) if event.name.starts_with("daemon")));
    stage.until_said_or_seen("up");
    let daemons = pids_said(&stage, "daemon");
    assert!(daemons.iter().all(|pid| is_alive(*pid)) && !daemons.is_empty());
    stage.world.signal(&one, 15, Scope::Tree);
    assert!(stage.world.kill(&one));
    assert_eq!(stage.until_exited(&one), Exit::Signal(9));
    stage.until_empty(&one);
    assert!(!is_alive(pid) && !daemons.into_iter().any(is_alive));
    assert!(!stage.world.kill(&one), "nothing is left to kill");
    stage.end();
}

#[test]
fn a_program_whose_children_outlive_it_is_reported_as_leaking_and_they_can_be_killed() {
    let mut stage = Stage::new();
    let one = life("n", 1);
    stage.sh(&one, "setsid sleep 1000 & exit 0");
    assert_eq!(stage.until_exited(&one), Exit::Code(0));
    let leaking = stage.until(|what| matches!(what, Happening::Leaking { .. })).what;
    assert_eq!(leaking, Happening::Leaking { of: one.clone(), children: vec!["sleep".to_owned()] });
    assert!(stage.world.is_alive(&one), "a tree that is not empty is never called stopped");
    stage.world.kill(&one);
    stage.until_empty(&one);
    stage.end();
}

#[test]
fn standard_input_stays_open_until_the_last_child_is_gone() {
    let mut stage = Stage::new();
    let one = life("n", 1);
    stage.sh(&one, "exec 3<&0; (read line; echo say $line) <&3 & exit 0");
    stage.until_exited(&one);
    stage.world.input(&one, b"bye\n".to_vec());
    stage.until_empty(&one);
    stage.until_said_or_seen("bye");
    stage.end();
}

#[test]
fn a_paused_tree_is_silent_until_it_is_resumed() {
    let mut stage = Stage::new();
    let one = life("n", 1);
    let pid = stage.sh(&one, "exec 3<&0; (setsid sh -c 'echo say daemon $$; while read l; do echo say $l; done' <&3 &); wait; while :; do sleep 1000; done");
    stage.until(|what| matches!(what, Happening::Event(event) if event.name.starts_with("daemon")));
    let daemon = pids_said(&stage, "daemon")[0];
    assert!(stage.world.pause(&one));
    let paused = stage.until(|what| matches!(what, Happening::Paused { .. })).what;
    assert_eq!(paused, Happening::Paused { of: one.clone(), running: vec![] });
    let state = |pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(") ").next().unwrap().chars().next().unwrap()
    };
    // D: a shell that waits in vfork for a child that was stopped before its exec. It will stop before it goes on.
    assert!(['T', 'D'].contains(&state(pid)), "{}", state(pid));
    assert_eq!(state(daemon), 'T');
    stage.world.input(&one, b"awake\n".to_vec());
    stage.until(|what| matches!(what, Happening::Input { result: Ok(()), .. }));
    assert!(stage.world.resume(&one));
    stage.until(|what| matches!(what, Happening::Resumed { .. }));
    stage.until_said_or_seen("awake");
    stage.end();
}

#[test]
fn a_paused_tree_can_be_killed() {
    let mut stage = Stage::new();
    let one = life("n", 1);
    stage.sh(&one, STUBBORN);
    stage.until_said_or_seen("up");
    stage.world.pause(&one);
    stage.until(|what| matches!(what, Happening::Paused { .. }));
    stage.world.kill(&one);
    stage.until_empty(&one);
    stage.end();
}

#[test]
fn a_signal_reaches_the_main_program_only_or_the_whole_tree() {
    let mut stage = Stage::new();
    let one = life("n", 1);
    stage.sh(&one, "sh -c 'trap \"echo say child\" USR1; echo say up; while :; do sleep 0.01; done' & trap 'echo say main' USR1; while :; do wait; done");
    stage.until_said("up");
    stage.world.signal(&one, 10, Scope::Main);
    stage.until_said("main");
    stage.world.signal(&one, 10, Scope::Tree);
    stage.until_said("child");
    stage.end();
}

#[test]
fn each_life_has_another_pid_and_may_not_be_reused() {
    let mut stage = Stage::new();
    let first = stage.sh(&life("n", 1), "exit 0");
    stage.until_empty(&life("n", 1));
    let second = stage.sh(&life("n", 2), "exit 0");
    stage.until_empty(&life("n", 2));
    assert_ne!(first, second);
    let spec = SpawnSpec {
        program: stage.program(&["true"]),
        stdout: words(),
        stderr: None,
        files: Vec::new(),
        label: false,
        place: None,
    };
    assert!(stage.world.spawn(life("n", 2), spec).is_err());
    stage.end();
}

#[test]
fn shutdown_kills_whatever_is_alive_and_says_what() {
    let mut stage = Stage::new();
    let mut pids = Vec::new();
    for number in 1..=3 {
        pids.push(stage.sh(&life("n", number), STUBBORN));
        stage.until_said_or_seen("up");
    }
    stage.sh(&life("done", 1), "exit 0");
    stage.until_empty(&life("done", 1));
    let (ended, _dir) = stage.end();
    assert_eq!(ended.killed, [life("n", 1), life("n", 2), life("n", 3)]);
    let empty = ended.outside.iter().filter(|outside| matches!(outside.what, Happening::Empty { .. })).count();
    assert_eq!(empty, 3);
    assert!(!pids.into_iter().any(is_alive));
}

#[test]
fn a_dropped_world_leaves_nothing() {
    let mut stage = Stage::new();
    let pid = stage.sh(&life("n", 1), STUBBORN);
    stage.until_said_or_seen("up");
    drop(stage);
    assert!(!is_alive(pid));
}

#[test]
fn a_sample_counts_the_whole_tree() {
    let mut stage = Stage::new();
    let one = life("n", 1);
    stage.sh(&one, "sh -c 'while :; do :; done' & echo say up; wait");
    stage.until_said("up");
    let deadline = stage.world.clock().now() + stage::PATIENCE;
    let busy = loop {
        let samples = stage.world.sample();
        assert_eq!(samples.len(), 1);
        assert!(samples[0].rss_bytes > 100_000 && samples[0].open_files >= 3);
        if samples[0].cpu.0 > 50_000_000 {
            break true;
        }
        if stage.world.next(stage.world.clock().now() + Duration::from_millis(20)).is_none()
            && stage.world.clock().now() > deadline
        {
            break false;
        }
    };
    assert!(busy, "the child's CPU time is counted");
    stage.world.kill(&one);
    stage.until_empty(&one);
    assert_eq!(stage.world.sample(), []);
    stage.end();
}
