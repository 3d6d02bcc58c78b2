//! Mistakes in scenarios: all reported at once, with the place and the remedy, before anything starts.

use crate::support::{Place, stderr, stdout};

const TEN_MISTAKES: &str = r#"schema = 1
name = "ten"
timout = "60s"

[nodes]
count = 3
name = "peer{id}"
command = ["{node}", "sensor", "--id", "{nme}"]
ready = { log = 'listening on', within = 5 }

[events]
led = { log = 'leader (?<term>\d+', fields = { term = "int" } }
followed = { log = 'follows', fields = { leader = "node" } }

[roles]
leader = { last = "leads" }

[[steps]]
kil = "leader"

[[steps]]
kill = "peer9"

[[steps]]
partition = [["leader"], "nobody"]

[[steps]]
at = "5s"
pause = "peer1"
[[steps]]
at = "2s"
resume = "peer1"

[[invariants]]
single_leadr = { event = "led" }
"#;

#[test]
fn ten_mistakes_get_ten_diagnostics_in_one_go() {
    let place = Place::new();
    place.write("x.toml", TEN_MISTAKES);
    for command in ["check", "run"] {
        let out = place.dsbench(&[command, "x.toml"]).code(2);
        let text = stderr(&out) + &stdout(&out);
        let places: Vec<_> = text.lines().filter_map(|line| line.trim().strip_prefix("--> x.toml:")).collect();
        assert_eq!(text.matches("error[DS").count(), 11, "{text}");
        for line in [3, 8, 9, 12, 13, 16, 19, 22, 25, 31, 35] {
            assert!(places.iter().any(|at| at.starts_with(&format!("{line}:"))), "nothing about line {line}:\n{text}");
        }
        assert!(text.contains("did you mean") || text.contains("similar name"), "{text}");
    }
    assert!(!place.path("logs").exists(), "nothing was started, so nothing was stored");
}

#[test]
fn a_file_that_is_no_toml_is_shown_with_the_place() {
    let place = Place::new();
    place.write("x.toml", "schema = 1\nname = \"x\nnodes = [\n");
    let out = place.dsbench(&["check", "x.toml"]).code(2);
    assert!(stderr(&out).contains("x.toml:2:"), "{}", stderr(&out));
}

#[test]
fn a_missing_file_is_named_and_a_directory_without_scenarios_selects_nothing() {
    let place = Place::new();
    let out = place.dsbench(&["run", "nowhere.toml"]).code(2);
    assert!(stderr(&out).contains("nowhere.toml"));
    std::fs::create_dir(place.path("empty")).unwrap();
    place.dsbench(&["run", "empty"]).code(4);
}

#[test]
fn a_valid_file_checks_without_a_word_of_error_and_its_plan_is_the_same_twice() {
    let place = Place::new();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/leader-election.toml");
    place.dsbench(&["check", file]).success();
    let once = stdout(&place.dsbench(&["plan", file, "--seed", "7"]).success());
    let twice = stdout(&place.dsbench(&["plan", file, "--seed", "7"]).success());
    assert_eq!(once, twice);
    assert!(once.contains("kill") && once.contains("peer3"), "{once}");
    let config = stdout(&place.dsbench(&["config", file]).success());
    assert!(config.contains("--listen") && config.contains("127.0.0.1:") && !config.contains("{addr}"), "{config}");
}

#[test]
fn set_changes_a_value_and_names_a_path_that_is_not_there() {
    let place = Place::new();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/leader-election.toml");
    let plan = stdout(&place.dsbench(&["plan", file, "--set", "nodes.count=5", "--seed", "7"]).success());
    assert!(plan.contains("peer5"), "{plan}");
    let out = place.dsbench(&["plan", file, "--set", "nodes.cuont=5"]).code(2);
    assert!(stderr(&out).contains("cuont"), "{}", stderr(&out));
}
