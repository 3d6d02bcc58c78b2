//! `run --keep-running`: the cluster of a run that did not pass stays up, judged once and for all.

use assert_cmd::assert::OutputAssertExt as _;

use crate::support::{Place, kill, stderr, stdout};

/// Three nodes that repeat what is typed; the promise is that nobody ever hears `no`.
const PROMISE: &str = r#"schema = 1
name = "promise"
timeout = "60s"
[nodes]
count = 3
command = ["sh", "-c", "echo up {life}; while :; do if read line; then echo \"heard $line\"; fi; done"]
ready = { log = 'up' }
stop = { signal = "TERM", grace = "200ms" }
[events]
up = { log = 'up' }
heard = { log = 'heard (?<what>\w+)', fields = { what = "text" } }
[vars]
word = "no"
[[steps]]
kill = "peer3"
[[steps]]
input = "{vars.word}"
to = "peer1"
[[steps]]
wait = { event = "heard" }
[[invariants]]
name = "nobody says no"
never = { event = "heard", where = { what = "no" } }
[[invariants]]
name = "asked from outside"
exec = { command = ["grep", "-q", "dsbench_history"] }
"#;

fn place() -> Place {
    let place = Place::new();
    place.write("x.toml", PROMISE);
    place
}

#[test]
fn a_cluster_that_broke_its_promise_is_kept_as_it_is_and_its_verdict_stands() {
    let place = place();
    let run = place.beside(&["run", "--keep-running", "x.toml"]).code(1);
    let told = stderr(&run);
    assert!(told.contains("FAIL") && told.contains("dsbench down"), "{told}");
    let ps = stdout(&place.beside(&["ps"]).success());
    assert!(ps.contains("promise  kept"), "{ps}");
    assert!(ps.lines().any(|line| line.contains("peer3") && line.contains("killed")), "{ps}");
    let verdict = std::fs::read(place.run_dir().join("verdict.json")).unwrap();
    place.beside(&["restart", "killed"]).success();
    place.beside(&["input", "all", "no"]).success();
    place.wait_until("they have heard it", |place| place.read("logs/peer3_log.txt").contains("heard no"));
    assert!(stderr(&place.beside(&["recheck"])).contains("same verdict"));
    place.dsbench(&["down"]).success();
    let again = place.dsbench(&["recheck"]);
    assert!(stderr(&again).contains("same verdict"), "{}", stderr(&again));
    assert_eq!(std::fs::read(place.run_dir().join("verdict.json")).unwrap(), verdict);
    assert_eq!(place.run_json()["exit_code"], 1);
    let history = std::fs::read_to_string(place.run_dir().join("history.jsonl")).unwrap();
    assert!(history.contains("\"by_hand\":true"), "{history}");
}

#[test]
fn a_run_that_passes_leaves_nothing_to_look_at() {
    let place = place();
    place.dsbench(&["run", "--keep-running", "x.toml", "--set", "vars.word=yes"]).success();
    assert!(place.run_json()["survivors"].as_array().is_some_and(Vec::is_empty));
}

#[test]
fn of_several_runs_the_first_that_does_not_pass_is_kept_and_the_last() {
    let place = place();
    place.write("y.toml", &PROMISE.replace("\"promise\"", "\"other\""));
    let run = place.beside(&["run", "--keep-running", "x.toml", "y.toml", "--set", "vars.word=no"]).code(1);
    assert!(stderr(&run).contains("1 not run"), "{}", stderr(&run));
    assert!(stdout(&place.beside(&["ps"]).success()).contains("promise  kept"));
    place.dsbench(&["down"]).success();
}

#[test]
fn its_document_is_whole_and_alone_on_standard_output() {
    let place = place();
    let run = place.beside(&["run", "--keep-running", "x.toml", "--format", "json", "--junit", "report.xml"]).code(1);
    let document: serde_json::Value = serde_json::from_str(&stdout(&run)).unwrap();
    assert_eq!(document["runs"][0]["result"], "fail", "{document}");
    assert!(place.read("report.xml").contains("nobody says no"));
    place.dsbench(&["down"]).success();
}

#[test]
fn in_a_ci_job_without_a_terminal_nothing_is_kept_and_that_is_told() {
    let place = place();
    let run = place.command(&["run", "--keep-running", "x.toml"]).env("CI", "true").assert().code(1);
    assert!(stderr(&run).contains("keeps nothing where CI is set"), "{}", stderr(&run));
    place.wait_until_empty();
}

#[test]
fn a_cluster_that_cannot_be_reached_is_not_kept_and_its_verdict_stands() {
    let place = place();
    // The check program is asked when the run has ended: it takes the place of the socket.
    let spoil = "[\"sh\", \"-c\", \"for run in logs/runs/promise/2*; do : > $run/control; done\"]";
    place.write("x.toml", &PROMISE.replace("[\"grep\", \"-q\", \"dsbench_history\"]", spoil));
    let run = place.dsbench(&["run", "--keep-running", "x.toml"]).code(1);
    let told = stderr(&run);
    assert!(told.contains("FAIL") && told.contains("the cluster cannot stay up"), "{told}");
    assert_eq!(place.run_json()["exit_code"], 1);
}

#[test]
fn a_run_that_cannot_start_its_nodes_is_not_kept() {
    let place = place();
    place.write("x.toml", &PROMISE.replace("echo up {life};", "exit 3;"));
    let run = place.dsbench(&["run", "--keep-running", "x.toml"]).code(5);
    assert!(stderr(&run).contains("exit code 3"), "{}", stderr(&run));
}

#[test]
fn whoever_waits_for_the_run_takes_it_along() {
    for (signal, code) in [("INT", Some(130)), ("TERM", Some(143)), ("KILL", None)] {
        let place = place();
        place.write("x.toml", &PROMISE.replace("[[steps]]\nkill", "[[steps]]\nafter = \"100s\"\nkill"));
        let mut child = place.start(&["run", "--keep-running", "x.toml"]);
        place.wait_until("all nodes are ready", |place| place.read("out").contains("all nodes are ready"));
        kill(child.id(), signal);
        assert_eq!(child.wait().unwrap().code(), code);
        place.wait_until_empty();
    }
}

#[test]
fn kill_9_of_a_kept_cluster_leaves_nothing_but_its_records() {
    let place = place();
    place.beside(&["run", "--keep-running", "x.toml"]).code(1);
    let json = stdout(&place.beside(&["ps", "--json"]).success());
    let status: serde_json::Value = serde_json::from_str(&json).unwrap();
    kill(u32::try_from(status[0]["pid"].as_u64().unwrap()).unwrap(), "KILL");
    place.wait_until_empty();
    assert!(stderr(&place.dsbench(&["recheck"])).contains("same verdict"));
}
