//! `for`: what a step did is undone later - only its own, and only if it is still in force.

use crate::support::{Place, stderr};

/// One node of two processes: the main one tells its lives, and the other starts only if a step says so.
const NODE: &str = r#"schema = 1
name = "undoing"
timeout = "30s"
[nodes]
count = 1
name = "n{id}"
command = ["sh", "-c", "echo life $DSBENCH_LIFE; while :; do sleep 0.1; done"]
ready = { log = 'life' }
[nodes.process.aside]
command = ["sh", "-c", "echo aside; while :; do sleep 0.1; done"]
start = "manual"
[events]
life = { log = 'life (?<n>\d+)', fields = { n = "int" } }
aside = { log = 'aside' }
"#;

fn run(steps: &str) -> (Place, String, String) {
    let place = Place::new();
    place.write("x.toml", &format!("{NODE}{steps}"));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).success());
    let history = std::fs::read_to_string(place.run_dir().join("history.jsonl")).expect("the history was stored");
    (place, text, history)
}

#[test]
fn a_node_that_a_later_step_has_brought_back_is_left_alone() {
    let (_, _, history) = run(r#"
[[steps]]
kill = "n1"
for = "2s"
[[steps]]
start = "n1"
[[steps]]
after = "2500ms"
mark = "the `for` is over"
[[invariants]]
never = { event = "life", where = { n = ">= 3" } }
[[invariants]]
sometimes = { event = "life", at_least = 2 }
"#);
    assert!(!history.contains("\"undoes\":"), "{history}");
}

#[test]
fn what_is_undone_starts_what_was_killed_and_nothing_else() {
    run(r#"
[[steps]]
kill = "n1"
for = "100ms"
[[steps]]
wait = { event = "life", where = { n = 2 } }
[[steps]]
after = "300ms"
mark = "time enough"
[[invariants]]
never = "aside"
[[invariants]]
sometimes = { event = "life", at_least = 2 }
"#);
}

#[test]
fn a_longer_pause_is_not_cut_by_the_end_of_a_shorter_one() {
    let (_, _, history) = run(r#"
[[steps]]
pause = "n1"
for = "1500ms"
[[steps]]
name = "longer"
pause = "n1"
for = "2500ms"
[[invariants]]
sometimes = { event = "life", at_least = 1 }
"#);
    let resumed: Vec<&str> = history.lines().filter(|line| line.contains("\"verb\":\"resume\"")).collect();
    assert_eq!(resumed.len(), 1, "{history}");
    assert!(resumed[0].contains("\"step\":1"), "{history}");
}

#[test]
fn a_node_that_is_killed_while_it_is_being_brought_back_does_not_hold_up_the_end() {
    let steps = r#"
[[steps]]
kill = "n1"
for = "50ms"
[[steps]]
wait = { event = "life", where = { n = 2 } }
[[steps]]
kill = "n1"
[[invariants]]
sometimes = { event = "life", at_least = 2 }
"#;
    let place = Place::new();
    // The second life is never ready.
    place.write("x.toml", &format!("{NODE}{steps}").replace("log = 'life' }", "log = 'life 1', within = \"20s\" }"));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).success());
    assert!(!text.contains("its time is over"), "{text}");
}

#[test]
fn a_start_of_a_node_that_was_given_up_as_not_ready_waits_for_it_anew() {
    let steps = r#"
[[steps]]
kill = "n1"
[[steps]]
start = "n1"
[[steps]]
start = "n1"
[[invariants]]
sometimes = { event = "life", at_least = 2 }
"#;
    let place = Place::new();
    place.write("x.toml", &format!("{NODE}{steps}").replace("log = 'life' }", "log = 'life 1', within = \"300ms\" }"));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(1));
    assert_eq!(text.matches("did not come back").count(), 2, "{text}");
}

#[test]
fn a_readiness_bound_of_a_life_that_could_not_be_started_does_not_bound_the_next() {
    let place = Place::new();
    let tool = place.path("tool").display().to_string();
    place.write("tool", "#!/bin/sh\n[ $DSBENCH_LIFE = 1 ] || sleep 2\necho ready\nexec sleep 1000\n");
    std::process::Command::new("chmod").args(["755", &tool]).status().unwrap();
    let scenario = r#"schema = 1
name = "x"
timeout = "30s"
[nodes]
count = 1
name = "n{id}"
command = ["TOOL"]
ready = { log = 'ready', within = "4s" }
[events]
ready = { log = 'ready' }
[[steps]]
kill = "n1"
[[steps]]
exec = ["mv", "TOOL", "TOOL.away"]
[[steps]]
start = "n1"
[[steps]]
exec = ["mv", "TOOL.away", "TOOL"]
[[steps]]
after = "3s"
name = "once more"
start = "n1"
[[steps]]
wait = { event = "ready" }
[[invariants]]
sometimes = { event = "ready", at_least = 2 }
"#;
    place.write("x.toml", &scenario.replace("TOOL", &tool));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(1));
    assert_eq!(text.matches("did not come back").count(), 1, "only the life that could not be executed:\n{text}");
}
