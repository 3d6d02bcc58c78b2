//! Several runs at the same time: `dsbench run -j`.

use crate::support::{Place, kill, processes_in, stderr, stdout};

/// A node that does what `script` says. `hello` is expected, `bad` must not come.
fn scenario(name: &str, script: &str) -> String {
    format!(
        r#"schema = 1
name = "{name}"
timeout = "110s"
[nodes]
count = 1
command = ["sh", "-c", '''{script}''', "{name}", "{{port}}"]
stop = {{ signal = "TERM", grace = "GRACE" }}
[events]
hello = {{ log = '^hello' }}
bad = {{ log = '^bad' }}
[[steps]]
expect = {{ event = "hello" }}
within = "100s"
[[invariants]]
name = "nothing bad"
never = "bad"
[[invariants]]
process = {{ exit = "any" }}
"#
    )
    .replace("GRACE", "200ms")
}

/// Says hello when three are here.
const MEETS_OTHERS: &str =
    "cd {scenario_dir}; touch here.$0; until [ $(ls here.* | wc -l) -ge 3 ]; do sleep 0.02; done; echo hello";

/// Six scenarios: three that pass together only, one that fails, one that cannot be started, one that passes.
fn six() -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path("all")).expect("a new directory");
    for name in ["a", "b", "c"] {
        place.write(&format!("all/{name}.toml"), &scenario(name, MEETS_OTHERS));
    }
    place.write("all/d.toml", &scenario("d", "echo bad; echo hello"));
    let never_ready = scenario("e", "exit 3").replace("[events]", "ready = { log = 'up' }\n[events]");
    place.write("all/e.toml", &never_ready);
    place.write("all/f.toml", &scenario("f", "echo hello"));
    place
}

/// What differs between two series of the same runs: instants, durations, places.
fn without_times(text: &str) -> String {
    let what = r"\d{8}T\d{6}Z-\w{8}(\.\d)?|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d|T\+\d+\.\d+s|\d+\.\d+s?|[0-9]+ms|\d+ (lines|B|KiB)|port=\d+";
    regex::Regex::new(what).expect("a pattern").replace_all(text, "#").into_owned()
}

#[test]
fn runs_side_by_side_have_the_verdicts_that_each_has_alone() {
    let place = six();
    let run = |args: &[&str]| place.dsbench(&[&["run", "all", "--seed", "7", "--format", "json"], args].concat());
    let together = run(&["-j", "3", "--junit", "together.xml"]).code(1);
    // Alone the first three would wait for each other for ever; together they have met, and their marks stay.
    let alone = run(&["--junit", "alone.xml"]).code(1);
    let results = |json: &str| -> Vec<(String, String)> {
        let report: serde_json::Value = serde_json::from_str(json).expect("one document");
        let runs = report["runs"].as_array().expect("runs").iter();
        runs.map(|run| (run["label"].to_string(), run["result"].to_string())).collect()
    };
    assert_eq!(results(&stdout(&together)), results(&stdout(&alone)));
    let words: Vec<_> = results(&stdout(&together)).into_iter().map(|(_, result)| result).collect();
    assert_eq!(words, ["pass", "pass", "pass", "fail", "environment", "pass"].map(|word| format!("\"{word}\"")));
    let junit = |name: &str| without_times(&place.read(name));
    assert_eq!(junit("together.xml"), junit("alone.xml"));

    let text = stderr(&together);
    assert!(text.contains("6 runs, 3 at the same time"), "{text}");
    assert!(text.contains("nothing bad  violated") && text.contains("4 passed, 1 failed, 1 undecided of 6"), "{text}");
    let report: serde_json::Value = serde_json::from_str(&stdout(&together)).unwrap();
    assert_eq!(report["runs"][0]["environment"]["jobs"], 3);
}

#[test]
fn a_mistake_in_one_scenario_is_told_before_any_run_begins() {
    let place = six();
    place.write("all/g.toml", "schema = 1\nname = \"g\"\n");
    let text = stderr(&place.dsbench(&["run", "all", "-j", "3"]).code(2));
    assert!(text.contains("nothing was started"), "{text}");
    assert!(!place.path("logs").exists());
}

#[test]
fn the_logs_of_runs_side_by_side_are_in_their_own_directories() {
    let place = six();
    place.dsbench(&["run", "-q", "all/f.toml"]).success();
    assert!(place.path("logs/peer1_log.txt").exists());
    let text = stderr(&place.dsbench(&["run", "all", "-k", "[df]", "-k", "d", "-k", "f", "-j", "2"]).code(1));
    assert!(!place.path("logs/peer1_log.txt").exists(), "it would be the log of a run before these");
    let log = text.split_whitespace().find(|word| word.contains("/logs/peer1_log.txt:")).expect("evidence");
    let (file, _) = log.split_once(':').unwrap();
    assert!(place.read(file).contains("bad"), "{log}");
    // What was no pass is known to the next series, as ever.
    let again = stderr(&place.dsbench(&["run", "--last-failed", "-j", "2"]).code(1));
    assert!(again.contains("FAIL") && !again.contains("PASS"), "{again}");
}

#[test]
fn many_repetitions_are_never_more_at_the_same_time_than_asked_for() {
    let place = Place::new();
    std::fs::create_dir(place.path("at-work")).unwrap();
    let script =
        "cd {scenario_dir}/at-work; touch $$; [ $(ls | wc -l) -le 4 ] || echo bad; sleep 0.1; rm $$; echo hello";
    place.write("x.toml", &scenario("x", script));
    let text = stderr(&place.dsbench(&["run", "x.toml", "--repeat", "20", "-j", "4", "--keep-runs", "5"]).success());
    assert!(text.contains("20 of 20 passed: failures below"), "{text}");
    let stored = std::fs::read_dir(place.path("logs/runs/x")).unwrap().flatten();
    assert_eq!(stored.filter(|run| run.file_name() != "latest").count(), 5, "what is too old goes as ever");
}

#[test]
fn the_stream_tells_of_each_run_under_its_number() {
    let place = six();
    let out = stdout(&place.dsbench(&["run", "all", "-j", "3", "--format", "jsonl"]).code(1));
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let mut labels = std::collections::BTreeMap::new();
    for line in &lines {
        let Some(run) = line["run"].as_u64() else { continue };
        if let Some(begun) = line.get("begun") {
            assert_eq!(labels.insert(run, begun["label"].clone()), None);
        }
        let Some(label) = labels.get(&run) else { panic!("run {run} was not begun: {line}") };
        if let Some(ended) = line.get("ended") {
            assert_eq!(&ended["label"], label);
            let file = format!("{}/history.jsonl", ended["dir"].as_str().unwrap());
            let stored: Vec<_> = place.read(&file).lines().skip(1).map(str::to_owned).collect();
            let told = lines.iter().filter(|line| line["run"] == run).filter_map(|line| line.get("observation"));
            let told: Vec<_> = told.map(ToString::to_string).collect();
            let stored: Vec<_> = stored
                .iter()
                .map(|line| serde_json::from_str::<serde_json::Value>(line).expect(line).to_string())
                .collect();
            assert_eq!(told, stored, "of {label}");
        }
    }
    assert_eq!(labels.len(), 6);
    assert_eq!(lines.last().unwrap()["end"]["exit_code"], 1);
}

#[test]
fn after_the_first_failure_no_further_run_is_begun_and_the_others_are_finished() {
    let place = Place::new();
    std::fs::create_dir(place.path("all")).unwrap();
    place.write("all/a.toml", &scenario("a", "echo bad; echo hello"));
    let waits = "until grep -q FAIL {scenario_dir}/../out; do sleep 0.02; done; echo hello";
    place.write("all/b.toml", &scenario("b", waits));
    place.write("all/c.toml", &scenario("c", "echo hello"));
    let mut child = place.start(&["run", "all", "-x", "-j", "2"]);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    place.wait_until_empty();
    let out = place.read("out");
    assert!(out.contains("1 passed, 1 failed, 0 undecided, 1 not run of 3"), "{out}");
    assert!(!place.path("logs/runs/c").exists());
}

#[test]
fn a_run_whose_process_is_killed_hides_nothing_of_the_others() {
    let place = Place::new();
    std::fs::create_dir(place.path("all")).unwrap();
    place.write("all/a.toml", &scenario("a", "echo here; sleep 1000"));
    place.write("all/b.toml", &scenario("b", "until [ -e {scenario_dir}/../go ]; do sleep 0.02; done; echo hello"));
    let mut child = place.start(&["run", "all", "-j", "2"]);
    let log = |place: &Place, run: &str| {
        let dir = std::fs::read_dir(place.path(&format!("logs/runs/{run}"))).ok()?.flatten().next()?.path();
        std::fs::read_to_string(dir.join("logs/peer1_log.txt")).ok()
    };
    place.wait_until("the first is at work", |place| log(place, "a").is_some_and(|log| log.contains("here")));
    let is_of_a = |pid: u32| {
        // A run's process holds the lock on its directory.
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        fds.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|to| to.to_string_lossy().contains("/runs/a/"))
    };
    let workers = processes_in(&place.path(".")).into_iter().filter(|(_, name)| name == "dsbench-run");
    let worker = workers.map(|(pid, _)| pid).find(|pid| is_of_a(*pid)).expect("somebody makes it");
    kill(worker, "KILL");
    place.wait_until("its end is told", |place| place.read("out").contains("no result"));
    place.write("go", "");
    assert_eq!(child.wait().unwrap().code(), Some(5));
    place.wait_until_empty();
    let out = place.read("out");
    assert!(
        out.contains("SIGKILL") && out.contains("1 passed, 0 failed, 0 undecided, 1 cannot run here of 2"),
        "{out}"
    );
}

/// Three runs of a node that ignores SIGTERM and leaves a daemon behind, all at work.
fn stubborn(grace: &str) -> (Place, std::process::Child) {
    let place = Place::new();
    let script = "trap : TERM; (setsid sleep 1000 &); touch {scenario_dir}/up.$0; while :; do sleep 1; done";
    for name in ["a", "b", "c"] {
        let text = scenario(name, script).replace("200ms", grace);
        place.write(&format!("{name}.toml"), &text);
    }
    let child = place.start(&["run", "a.toml", "b.toml", "c.toml", "-j", "3"]);
    place
        .wait_until("all are at work", |place| ["a", "b", "c"].iter().all(|n| place.path(&format!("up.{n}")).exists()));
    (place, child)
}

#[test]
fn one_ctrl_c_ends_all_of_them_in_good_order() {
    let (place, mut child) = stubborn("200ms");
    kill(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    place.wait_until_empty();
    let out = place.read("out");
    assert_eq!(out.matches("again to kill").count(), 1, "{out}");
    for name in ["a", "b", "c"] {
        let runs = std::fs::read_dir(place.path(&format!("logs/runs/{name}"))).unwrap().flatten();
        let run = runs.map(|run| run.path()).find(|run| !run.is_symlink()).expect("its directory");
        let json = std::fs::read_to_string(run.join("run.json")).unwrap();
        assert!(json.contains("\"exit_code\": 130"), "{json}");
    }
}

#[test]
fn a_second_ctrl_c_waits_for_no_grace() {
    let (place, mut child) = stubborn("100s");
    kill(child.id(), "INT");
    place.wait_until("it says how to hurry", |place| place.read("out").contains("again to kill"));
    kill(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130), "{}", place.read("out"));
    place.wait_until_empty();
}

#[test]
fn a_third_ctrl_c_ends_runs_that_do_nothing_any_more() {
    let (place, mut child) = stubborn("100s");
    let workers = || processes_in(&place.path(".")).into_iter().filter(|(_, name)| name == "dsbench-run");
    assert_eq!(workers().count(), 3);
    workers().for_each(|(pid, _)| kill(pid, "STOP"));
    for said in ["again to kill", "interrupted twice"] {
        kill(child.id(), "INT");
        place.wait_until(said, |place| place.read("out").contains(said));
    }
    kill(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130), "{}", place.read("out"));
    place.wait_until_empty();
}

#[test]
fn kill_9_leaves_nothing_of_any_run() {
    let (place, mut child) = stubborn("100s");
    kill(child.id(), "KILL");
    child.wait().unwrap();
    place.wait_until_empty();
    for attempt in 0..6_u64 {
        let place = six();
        let mut child = place.start(&["run", "all", "-j", "6"]);
        // From the very beginning on: between fork and exec of the first, while guardians are forked, while nodes start.
        std::thread::park_timeout(std::time::Duration::from_millis(attempt * attempt * 3));
        kill(child.id(), "KILL");
        child.wait().unwrap();
        place.wait_until_empty();
    }
}

#[test]
fn what_makes_no_sense_together_is_refused() {
    let place = six();
    for (args, why) in [
        (["--keep-running", "-q"], "--keep-running"),
        (["--verbose", "-x"], "lines of several runs"),
        (["-j", "0"], "0 is not in 1..=256"),
    ] {
        let jobs: &[&str] = if args[0] == "-j" { &[] } else { &["-j", "2"] };
        let text = stderr(&place.dsbench(&[&["run", "all"], &args[..], jobs].concat()).code(2));
        assert!(text.contains(why), "{text}");
    }
    let text = stderr(&place.dsbench(&["worker"]).code(2));
    assert!(text.contains("dsbench run --jobs"), "{text}");
    assert!(!place.path("logs").exists());
}
