//! dsbench is stopped in the middle: by Ctrl-C once and twice, by SIGTERM, and by `kill -9` at any moment.

use crate::support::{Place, kill};

/// Three nodes that ignore SIGTERM and leave daemons behind.
const STUBBORN: &str = r#"schema = 1
name = "stubborn"
timeout = "120s"
[nodes]
count = 3
command = ["sh", "-c", "trap '' TERM; (setsid sleep 1000 &); echo up; while :; do sleep 1; done"]
ready = { log = 'up' }
stop = { signal = "TERM", grace = "GRACE" }
[events]
up = { log = 'up' }
[[steps]]
after = "100s"
mark = "never reached"
[[invariants]]
sometimes = { event = "up", at_least = 3 }
"#;

fn running(grace: &str) -> (Place, std::process::Child) {
    let place = Place::new();
    place.write("x.toml", &STUBBORN.replace("GRACE", grace));
    let child = place.start(&["run", "x.toml"]);
    place.wait_until("all nodes are ready", |place| place.read("out").contains("all nodes are ready"));
    (place, child)
}

#[test]
fn one_ctrl_c_stops_the_nodes_and_keeps_the_records() {
    let (place, mut child) = running("200ms");
    kill(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    place.wait_until_empty();
    assert_eq!(place.run_json()["exit_code"], 130);
    assert!(place.read("out").contains("interrupted"));
}

#[test]
fn sigterm_ends_with_143() {
    let (place, mut child) = running("200ms");
    kill(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    place.wait_until_empty();
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_the_grace() {
    let (place, mut child) = running("100s");
    kill(child.id(), "INT");
    place.wait_until("it says how to hurry", |place| place.read("out").contains("again"));
    kill(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    place.wait_until_empty();
}

#[test]
fn kill_9_at_any_moment_leaves_no_process() {
    for attempt in 0..12_u64 {
        let place = Place::new();
        place.write("x.toml", &STUBBORN.replace("GRACE", "100s"));
        let mut child = place.start(&["run", "x.toml"]);
        // Instants from the very beginning on: in the middle of starting the guardian, of spawning, of running.
        std::thread::park_timeout(std::time::Duration::from_millis(attempt * attempt / 2));
        kill(child.id(), "KILL");
        child.wait().unwrap();
        place.wait_until_empty();
    }
}

/// peer2 takes over as soon as it sees that peer1 is gone.
const TAKEOVER: &str = r#"schema = 1
name = "takeover"
timeout = "60s"
[nodes]
count = 2
command = ["sh", "-c", "echo $$ > pid; echo up; while :; do sleep 0.02; test {id} = 1 && continue; kill -0 $(cat ../peer1/pid) 2>/dev/null || { echo took over; exec sleep 1000; }; done"]
ready = { log = 'up' }
[events]
took = { log = 'took over' }
[[steps]]
after = "300ms"
kill = "peer1"
[[steps]]
expect = { event = "took" }
within = "1s"
[[invariants]]
name = "in time"
deadline = { from = "fault.kill", until = "took", limit = "1s" }
"#;

#[test]
fn the_benchs_own_standstill_is_not_blamed_on_the_cluster() {
    let place = Place::new();
    place.write("x.toml", TAKEOVER);
    let mut child = place.start(&["run", "x.toml"]);
    place.wait_until("the kill is about to be done", |place| place.read("out").contains("step 1"));
    kill(child.id(), "STOP");
    // Longer than any bound of the scenario, and the guardian is not stopped: the cluster goes on.
    std::thread::park_timeout(std::time::Duration::from_millis(2500));
    kill(child.id(), "CONT");
    let code = child.wait().unwrap().code();
    assert!(matches!(code, Some(0 | 3)), "{code:?}\n{}", place.read("out"));
    place.wait_until_empty();
    let history = std::fs::read_to_string(place.run_dir().join("history.jsonl")).unwrap();
    assert!(history.contains("stall"), "{history}");
}

#[test]
fn a_bound_does_not_count_the_time_in_which_the_bench_stood_still() {
    let place = Place::new();
    place.write(
        "x.toml",
        r#"schema = 1
name = "late"
timeout = "60s"
[nodes]
count = 1
command = ["sh", "-c", "echo up; until test -e {scenario_dir}/go; do sleep 0.02; done; echo took over; exec sleep 1000"]
ready = { log = 'up' }
[events]
took = { log = 'took over' }
[[steps]]
expect = { event = "took" }
within = "4s"
"#,
    );
    let mut child = place.start(&["run", "x.toml"]);
    place.wait_until("the step has begun", |place| place.read("out").contains("step 1"));
    kill(child.id(), "STOP");
    // Less than the bound, which is neither over now nor when the node does what it shall: it had two seconds for that.
    std::thread::park_timeout(std::time::Duration::from_millis(3400));
    kill(child.id(), "CONT");
    std::thread::park_timeout(std::time::Duration::from_millis(1900));
    place.write("go", "");
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", place.read("out"));
}

#[test]
fn a_stored_run_that_was_cut_by_kill_9_can_still_be_shown() {
    let (place, mut child) = running("100s");
    kill(child.id(), "KILL");
    child.wait().unwrap();
    place.wait_until_empty();
    let show = place.dsbench(&["show"]).success();
    assert!(crate::support::stdout(&show).contains("ready"), "{}", crate::support::stdout(&show));
}

/// One node, and a check program that takes its time.
const SLOW_CHECK: &str = r#"schema = 1
name = "slow-check"
timeout = "60s"
[nodes]
count = 1
command = ["sh", "-c", "echo up; exec sleep 1000"]
[events]
up = { log = 'up' }
[[steps]]
wait = { event = "up" }
[[invariants]]
name = "slow"
exec = { command = ["sh", "-c", "touch asked; exec sleep 1000"], timeout = "100s" }
[[invariants]]
name = "after it"
exec = { command = ["sh", "-c", "touch asked-too"] }
"#;

#[test]
fn a_ctrl_c_while_check_programs_are_asked_ends_the_asking_and_is_not_a_verdict() {
    let place = Place::new();
    place.write("x.toml", SLOW_CHECK);
    let mut child = place.start(&["run", "x.toml"]);
    place.wait_until("the program is asked", |place| place.path("asked").exists());
    kill(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    place.wait_until_empty();
    assert!(!place.path("asked-too").exists(), "the next program was asked all the same");
    assert_eq!(place.run_json()["exit_code"], 130);
}

#[test]
fn a_ctrl_c_while_the_nodes_are_starting_stops_those_that_have_started() {
    let place = Place::new();
    place.write("x.toml", &STUBBORN.replace("log = 'up' }", "log = 'never' }").replace("GRACE", "200ms"));
    let mut child = place.start(&["run", "x.toml"]);
    place.wait_until("a node has started", |place| place.read("out").contains("started"));
    kill(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    place.wait_until_empty();
}
