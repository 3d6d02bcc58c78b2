//! What is kept of runs, and for how long.

use serde_json::Value;

use crate::formats::PASSES;
use crate::support::{Place, kill, stderr, stdout};

const FAILS: &str = r#"schema = 1
name = "fails"
timeout = "30s"
[nodes]
count = 1
command = ["sh", "-c", "echo said 1; echo data > mine; exec sleep 1000"]
ready = { log = 'said' }
[events]
said = { log = 'said' }
[[invariants]]
never = { event = "said" }
"#;

fn listed(place: &Place) -> Vec<Value> {
    // Also while a run goes on, so nothing is said about what processes are left.
    let output = place.command(&["runs", "list", "--json"]).output().expect("dsbench runs");
    let list: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(list["dsbench_runs"], 1);
    list["runs"].as_array().expect("runs").clone()
}

fn results(place: &Place) -> Vec<String> {
    let word = |run: &Value, key: &str| run[key].as_str().expect("a text").to_owned();
    let of = |run: &Value| format!("{} {}", word(run, "scenario"), word(run, "result"));
    listed(place).iter().map(of).collect()
}

#[test]
fn data_and_raw_logs_are_kept_as_asked() {
    let place = Place::new();
    place.write("pass.toml", PASSES).write("fail.toml", FAILS);
    for (file, keep, has_data, has_raw) in [
        ("pass.toml", None, false, true),
        ("fail.toml", None, true, true),
        ("pass.toml", Some("always"), true, true),
        ("fail.toml", Some("never"), false, false),
        ("pass.toml", Some("never"), false, false),
        ("fail.toml", Some("on-failure"), true, true),
    ] {
        let option = keep.map(|keep| format!("--keep={keep}"));
        let args: Vec<_> = ["run", "-q", file].into_iter().chain(option.as_deref()).collect();
        place.dsbench(&args).code(i32::from(file == "fail.toml"));
        let dir = place.run_dir();
        let has = |path: &str| dir.join(path).exists();
        let said = (has("nodes/peer1"), has("logs/raw/peer1.main.1.stdout"), has("logs/peer1_log.txt"));
        assert_eq!(said, (has_data, has_raw, true), "{file} {keep:?}");
        place.dsbench(&["recheck"]).code(i32::from(file == "fail.toml"));
    }
}

#[test]
fn old_runs_go_by_themselves_and_failures_last() {
    let place = Place::new();
    place.write("pass.toml", PASSES).write("fail.toml", FAILS.replace("\"fails\"", "\"passes\"").as_str());
    let run = |file: &str, bound: &str| {
        let out = place.dsbench(&["run", "-q", file, "--keep-runs", bound]);
        (out.get_output().status.code(), stderr(&out).contains("removed from logs/runs"))
    };
    std::fs::create_dir_all(place.path("logs/runs/passes/notes")).unwrap();
    assert_eq!(run("fail.toml", "2"), (Some(1), false));
    assert_eq!(run("pass.toml", "2"), (Some(0), false));
    assert_eq!(run("pass.toml", "2"), (Some(0), false), "the failure is too old, and stays");
    assert_eq!(run("pass.toml", "2"), (Some(0), true));
    assert_eq!(results(&place), ["passes pass", "passes pass", "passes fail"]);
    let last = place.run_dir();
    let mut bounded = place.command(&["run", "-q", "pass.toml"]);
    bounded.env("DSBENCH_KEEP_RUNS", "1").env("DSBENCH_KEEP_FAILED", "0B");
    assert!(bounded.output().unwrap().status.success());
    assert_eq!(results(&place), ["passes pass"]);
    assert!(!last.exists() && place.run_dir().exists() && place.path("logs/runs/passes/notes").exists());
    let wrong = place.command(&["run", "-q", "pass.toml"]).env("DSBENCH_KEEP_RUNS", "few").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("DSBENCH_KEEP_RUNS=few"));
}

#[test]
fn runs_are_listed_and_pruned_by_count_age_and_result() {
    let place = Place::new();
    place.write("pass.toml", PASSES).write("fail.toml", FAILS);
    assert!(listed(&place).is_empty());
    for file in ["pass.toml", "fail.toml", "pass.toml"] {
        place.dsbench(&["run", "-q", file]);
    }
    let runs = listed(&place);
    let newest = place.run_json();
    assert_eq!(runs[0]["seed"], newest["seed"]);
    assert_eq!((&runs[0]["result"], &runs[0]["exit_code"]), (&"pass".into(), &0.into()));
    assert!(runs.iter().all(|run| run["bytes"].as_u64().unwrap() > 4096));
    let table = stdout(&place.dsbench(&["runs", "list", "passes"]).success());
    assert!(table.contains("RESULT") && table.contains("2 runs, ") && !table.contains("fails"), "{table}");

    let prune = |args: &[&str]| stdout(&place.dsbench(&[&["runs", "prune"], args].concat()).success());
    place.dsbench(&["runs", "prune"]).code(2);
    assert!(prune(&["--older-than", "1h"]).starts_with("0 runs"));
    assert!(prune(&["--keep", "1", "--dry-run"]).contains("would remove passes/"));
    assert_eq!(listed(&place).len(), 3);
    assert!(prune(&["--keep", "0", "fails"]).starts_with("0 runs"), "a failure stays unless it is asked for");
    assert!(prune(&["--keep", "1"]).contains("1 run, "));
    assert_eq!(results(&place), ["passes pass", "fails fail"]);
    prune(&["--keep", "0", "--failed-too"]);
    assert!(listed(&place).is_empty());
    assert_eq!(std::fs::read_dir(place.path("logs/runs")).unwrap().count(), 0, "no link leads nowhere");
    place.dsbench(&["run", "-q", "pass.toml"]).success();
}

#[test]
fn a_run_that_goes_on_is_called_so_and_stays_and_one_that_was_killed_is_not() {
    let place = Place::new();
    let long = PASSES.replace("[[invariants]]", "[[steps]]\nafter = \"100s\"\nmark = \"never\"\n[[invariants]]");
    place.write("x.toml", &long);
    let mut bench = place.start(&["run", "x.toml"]);
    place.wait_until("a node's line", |place| place.path("logs/peer1_log.txt").exists());
    assert_eq!(results(&place), ["passes running"]);
    place.command(&["runs", "prune", "--keep", "0", "--failed-too"]).output().unwrap();
    assert_eq!(results(&place), ["passes running"]);
    kill(bench.id(), "KILL");
    let _ = bench.wait();
    place.wait_until_empty();
    assert_eq!(results(&place), ["passes killed"]);
    place.dsbench(&["runs", "prune", "--keep", "0", "--failed-too"]).success();
    assert!(listed(&place).is_empty());
}

#[test]
fn a_warning_about_a_scenario_is_told_when_it_runs_and_not_when_it_is_shown() {
    let place = Place::new();
    place.write("x.toml", PASSES.split("[[invariants]]").next().unwrap());
    let run = place.dsbench(&["run", "x.toml"]);
    assert!(stderr(&run).contains("warning[DS0165]"), "{}", stderr(&run));
    for command in ["show", "recheck"] {
        let again = place.dsbench(&[command]);
        assert!(!stderr(&again).contains("DS0165"), "{command}: {}", stderr(&again));
    }
}
