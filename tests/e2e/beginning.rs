//! How somebody begins: a first scenario, a look at the machine, a word explained.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::support::{Place, stderr, stdout};

/// The names in a directory.
fn listed(place: &Place, dir: &str) -> Vec<String> {
    let entries = std::fs::read_dir(place.path(dir)).expect("a directory").flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Sets a place up and runs it as it is told to.
pub(crate) fn passes_as_generated(args: &[&str]) -> Place {
    let place = Place::new();
    let done = place.dsbench(&[&["init"], args].concat()).success();
    assert!(
        stderr(&done).ends_with("Next:  dsbench run\n") || args.is_empty() || args.contains(&"own"),
        "{}",
        stderr(&done)
    );
    place.dsbench(&["check"]).success();
    let run = place.dsbench(&["run"]).success();
    assert!(stderr(&run).contains("PASS") && !stderr(&run).contains("warning"), "{}", stderr(&run));
    assert!(place.read(".gitignore").contains("/logs/"));
    place
}

#[test]
fn a_cluster_of_shells_passes_as_generated() {
    passes_as_generated(&["--template", "shell"]);
}

#[test]
fn ones_own_program_passes_as_generated_with_the_stand_in_and_with_a_real_one() {
    passes_as_generated(&["--template", "own"]);

    let place = Place::new();
    place.write("my node.sh", "#!/bin/sh\necho \"$1 at $2\"\ntrap 'exit 0' TERM\nwhile :; do sleep 1; done\n");
    std::fs::set_permissions(place.path("my node.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    place.dsbench(&["init", "--command", "'./my node.sh' {name} port={port}"]).success();
    let config = stdout(&place.dsbench(&["config", "scenarios/first.toml"]).success());
    assert!(
        config.contains("my node.sh")
            && (config.contains("port=1") || config.contains("port=2") || config.contains("port=3")),
        "{config}"
    );
    let run = place.dsbench(&["run"]).success();
    assert!(stderr(&run).contains("PASS"), "{}", stderr(&run));
    assert!(place.read("logs/node2_log.txt").contains("node2 at port="));
}

#[test]
fn init_says_what_it_wrote_and_overwrites_nothing() {
    let place = Place::new();
    let done = place.dsbench(&["init", "a b"]).success();
    let text = stderr(&done);
    for file in ["a b/scenarios/first.toml", "a b/node.sh", "a b/scenarios/scenario.schema.json", "a b/.gitignore"] {
        assert!(text.contains(&format!("wrote {file}")) && place.path(file).is_file(), "{file}:\n{text}");
    }
    assert!(text.contains("Next:  cd 'a b' && dsbench run"), "{text}");
    assert_eq!(stdout(&done), "");
    let before = place.read("a b/node.sh");
    let again = place.dsbench(&["init", "a b", "--template", "shell"]).code(2);
    assert!(stderr(&again).contains("are there already, and nothing was written"), "{}", stderr(&again));
    assert_eq!(place.read("a b/node.sh"), before);
    let mixed = place.dsbench(&["init", "c", "--template", "rust", "--command", "x"]).code(2);
    assert!(stderr(&mixed).contains("--template own"), "{}", stderr(&mixed));
    assert!(!place.path("c").exists());
}

#[test]
fn a_machine_that_runs_these_tests_can_run_clusters_and_nothing_of_the_examination_is_left() {
    let place = Place::new();
    let text = stdout(&place.dsbench(&["doctor"]).success());
    assert!(text.contains("run gets host mode") && !text.contains("missing "), "{text}");
    for name in [
        "kernel",
        "calls",
        "processes",
        "ports",
        "laboratory",
        "logs",
        "disk",
        "open files",
        "processors",
        "timing",
        "terminal",
    ] {
        assert!(text.lines().any(|line| line.contains(name)), "nothing about {name}:\n{text}");
    }
    let json = stdout(&place.dsbench(&["doctor", "--json"]).success());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let findings = json["findings"].as_array().unwrap();
    let has_lab = findings.iter().any(|finding| finding["name"] == "laboratory" && finding["status"] == "fine");
    assert_eq!(json["mode"], if has_lab { "lab" } else { "host" });
    assert!(findings.iter().any(|finding| finding["name"] == "calls" && finding["status"] == "fine"), "{json:#}");
    assert_eq!(listed(&place, ""), [""; 0]);
}

/// What a doctor says who is called like this, and his exit code.
fn doctor(script: &str, dir: &str, args: &[&str]) -> (String, Option<i32>) {
    let done = Command::new("/bin/sh")
        .args(["-c", script, "sh", env!("CARGO_BIN_EXE_dsbench"), "doctor"])
        .args(args)
        .current_dir(dir)
        .env("NO_COLOR", "1")
        .output()
        .expect("there is a shell");
    (String::from_utf8_lossy(&done.stdout).into_owned(), done.status.code())
}

#[test]
fn what_is_missing_is_named_with_its_remedy_and_the_exit_code_says_so() {
    let place = Place::new();
    let dir = place.path("");
    let dir = dir.to_str().unwrap();
    for (script, dir, name, remedy) in [
        ("ulimit -n 60; exec \"$@\"", dir, "missing  open files", "nofile"),
        (
            "PATH=/nowhere; export PATH; exec \"$@\"",
            dir,
            "missing  processes    failed to start `sh`",
            "a shell `sh` on PATH",
        ),
        ("exec \"$@\"", "/proc/self", "missing  logs", "a directory that you may write to"),
    ] {
        let (text, code) = doctor(script, dir, &[]);
        assert!(text.contains(name) && text.contains(remedy), "{name}:\n{text}");
        assert!(text.contains("No run can be made here"), "{text}");
        assert_eq!(code, Some(5), "{text}");
        let (json, code) = doctor(script, dir, &["--json"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&json["mode"], code), (&serde_json::Value::Null, Some(5)), "{json:#}");
    }
    place.wait_until_empty();
}

#[test]
fn a_doctor_who_is_given_scenarios_looks_for_what_they_need() {
    let place = Place::new();
    place.write(
        "x.toml",
        "schema = 1\nname = \"x\"\n[nodes]\ncount = 40\ncommand = [\"no-such-program-anywhere\"]\n[requires]\nfiles = [\"there.txt\", \"not-there.txt\"]\n[[invariants]]\nprocess = {}\n",
    );
    place.write("there.txt", "");
    let text = stdout(&place.dsbench(&["doctor", "x.toml"]).code(5));
    assert!(text.contains("missing  scenario     `no-such-program-anywhere` is not on PATH"), "{text}");
    assert!(text.contains("missing  scenario     there is no") && text.contains("not-there.txt"), "{text}");
    assert!(text.contains("ok       scenario") && text.contains("there.txt is there"), "{text}");
    // Forty nodes need more than a limit that is enough for five.
    let (text, code) = doctor("ulimit -n 300; exec \"$@\"", place.path("").to_str().unwrap(), &["x.toml"]);
    assert!(text.contains("missing  open files") && text.contains("40 are needed") && code == Some(5), "{text}");
    place.dsbench(&["doctor", "nowhere.toml"]).code(2);
}

#[test]
fn a_mistake_is_explained_by_the_code_that_it_is_told_with() {
    let place = Place::new();
    place.write("x.toml", "schema = 1\nname = \"x\"\ntimout = \"5s\"\n[nodes]\ncount = 1\ncommand = [\"true\"]\n");
    let told = stderr(&place.dsbench(&["check", "x.toml"]).code(2));
    let code = told.split("error[").nth(1).and_then(|rest| rest.split(']').next()).expect("a code");
    let text = stdout(&place.dsbench(&["explain", code]).success());
    assert!(text.contains("unknown key") && text.contains("Wrong:") && text.contains("timeout = \"60s\""), "{text}");
    let unknown = place.dsbench(&["explain", "deadlin"]).code(2);
    assert!(stderr(&unknown).contains("did you mean `deadline`?"), "{}", stderr(&unknown));
    assert!(stdout(&place.dsbench(&["explain"]).success()).contains("single_leader"));
}

#[test]
fn schema_reference_completions_and_man_pages_are_printed_as_data() {
    let place = Place::new();
    let schema = stdout(&place.dsbench(&["schema"]).success());
    assert!(serde_json::from_str::<serde_json::Value>(&schema).is_ok());
    assert!(stdout(&place.dsbench(&["explain", "--all"]).success()).starts_with("# Reference\n"));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(&place.dsbench(&["completions", shell]).success());
        assert!(script.contains("recheck") && script.contains("junit"), "{shell}");
    }
    assert!(stdout(&place.dsbench(&["man"]).success()).contains(".TH dsbench 1"));
    place.dsbench(&["man", "--out", "man1"]).success();
    let pages = listed(&place, "man1");
    for page in ["dsbench.1", "dsbench-run.1", "dsbench-node-sensor.1"] {
        assert!(pages.iter().any(|name| name == page), "{pages:?}");
    }
}
