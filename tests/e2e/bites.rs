//! The checks bite: clusters that break a promise are caught, with evidence that a stranger understands.

use crate::support::{Place, stderr};

/// Two nodes that say what `first` and `second` say.
fn two_nodes(first: &str, second: &str, rest: &str) -> String {
    format!(
        r#"schema = 1
name = "two"
timeout = "30s"
[nodes]
count = 2
name = "peer{{id}}"
command = ["sh", "-c", '''case {{id}} in 1) {first};; 2) {second};; esac; while :; do sleep 1; done''']
[events]
led = {{ log = 'leads term=(?<term>\d+)', fields = {{ term = "int" }} }}
resigned = {{ log = 'resigned' }}
{rest}
"#
    )
}

const SINGLE: &str = r#"
[[steps]]
wait = { event = "led", at_least = 2 }
within = "20s"
[[invariants]]
name = "at most one leader per term"
single_leader = { event = "led", per = "term" }
"#;

#[test]
fn two_nodes_that_claim_one_term_violate_single_leader() {
    let place = Place::new();
    place.write("x.toml", &two_nodes("echo leads term=4", "sleep 0.2; echo leads term=4", SINGLE));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(1));
    for part in [
        "at most one leader per term",
        "violated at T+",
        "logs/peer1_log.txt:",
        "logs/peer2_log.txt:",
        "leads term=4",
        "reproduce: dsbench run x.toml --seed",
    ] {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
}

#[test]
fn two_nodes_that_claim_different_terms_do_not() {
    let place = Place::new();
    place.write("x.toml", &two_nodes("echo leads term=4", "sleep 0.2; echo leads term=5", SINGLE));
    place.dsbench(&["run", "x.toml"]).success();
}

const OVERLAP: &str = r#"
[[steps]]
wait = { event = "led", at_least = 2 }
within = "20s"
[[steps]]
after = "800ms"
mark = "long enough"
[[invariants]]
name = "one leader at a time"
leader_overlap = { begin = "led", end = ["resigned", "fault.kill"], limit = "500ms" }
"#;

#[test]
fn a_leader_that_never_steps_down_violates_leader_overlap() {
    let place = Place::new();
    place.write("x.toml", &two_nodes("echo leads term=1", "sleep 0.2; echo leads term=2", OVERLAP));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(1));
    for part in ["one leader at a time", "leads term=1", "leads term=2", "logs/peer1_log.txt:"] {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
}

#[test]
fn a_leader_that_resigns_in_time_does_not() {
    let place = Place::new();
    place.write(
        "x.toml",
        &two_nodes("echo leads term=1; sleep 0.4; echo resigned", "sleep 0.2; echo leads term=2", OVERLAP),
    );
    place.dsbench(&["run", "x.toml"]).success();
}

#[test]
fn a_demonstration_passes_when_its_invariant_is_caught_and_fails_when_it_holds() {
    let place = Place::new();
    let expects = "expect = \"violated\"\nviolates = \"at most one leader per term\"\nschema = 1";
    let caught = two_nodes("echo leads term=4", "echo leads term=4", SINGLE).replacen("schema = 1", expects, 1);
    place.write("x.toml", &caught);
    place.dsbench(&["run", "x.toml"]).success();
    let holds = two_nodes("echo leads term=4", "echo leads term=5", SINGLE).replacen("schema = 1", expects, 1);
    place.write("x.toml", &holds);
    place.dsbench(&["run", "x.toml"]).code(1);
}

#[test]
fn a_missed_expect_fails_and_a_missed_wait_is_inconclusive() {
    let place = Place::new();
    let step = "[[steps]]\nVERB = { event = \"led\", at_least = 3 }\nwithin = \"500ms\"\n[[invariants]]\nsometimes = { event = \"led\", at_least = 1 }\n";
    let cluster = two_nodes("echo leads term=4", "echo leads term=5", step);
    place.write("x.toml", &cluster.replace("VERB", "expect"));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(1));
    assert!(text.contains("led") && text.contains("x.toml:"), "{text}");
    place.write("x.toml", &cluster.replace("VERB", "wait"));
    place.dsbench(&["run", "x.toml"]).code(3);
}

#[test]
fn a_promise_that_was_never_exercised_is_inconclusive() {
    let place = Place::new();
    place.write("x.toml", &two_nodes(":", ":", "[[steps]]\nafter = \"200ms\"\nmark = \"x\"\n[[invariants]]\nname = \"at most one leader per term\"\nsingle_leader = { event = \"led\", per = \"term\" }\n"));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(3));
    assert!(text.contains("never"), "{text}");
}

#[test]
fn a_node_that_does_not_come_back_after_a_kill_fails_the_run() {
    let place = Place::new();
    let rest = r#"
[[steps]]
wait = { event = "led" }
within = "20s"
[[steps]]
kill = "peer1"
[[steps]]
restart = "killed"
"#;
    let cluster = two_nodes("test $DSBENCH_LIFE = 1 || exit 9; echo leads term=4", ":", rest)
        .replace("name = \"peer{id}\"", "name = \"peer{id}\"\nready = { log = 'leads|', within = \"5s\" }")
        .replace("2) :;;", "2) echo;;");
    place.write("x.toml", &cluster);
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(1));
    assert!(text.contains("exit code 9"), "{text}");
}

#[test]
fn a_programs_own_check_decides_with_its_exit_code() {
    let place = Place::new();
    for (program, code) in [("exit 0", 0), ("echo two leaders; exit 1", 1), ("exit 3", 3), ("exit 42", 3)] {
        let rest = format!(
            "[[steps]]\nwait = {{ event = \"led\" }}\nwithin = \"20s\"\n[[invariants]]\nname = \"mine\"\nexec = {{ command = [\"sh\", \"-c\", \"{program}\"] }}\n"
        );
        place.write("x.toml", &two_nodes("echo leads term=4", ":", &rest));
        place.dsbench(&["run", "x.toml"]).code(code);
    }
}

#[test]
fn a_violation_is_not_hidden_by_a_later_scenario_that_cannot_run() {
    let place = Place::new();
    std::fs::create_dir(place.path("all")).unwrap();
    place.write("all/a.toml", &two_nodes("echo leads term=4", "echo leads term=4", SINGLE));
    place.write(
        "all/b.toml",
        &two_nodes("echo leads term=4", "echo leads term=5", SINGLE).replacen("\"two\"", "\"second\"", 1),
    );
    place.write("all/c.toml", &two_nodes("echo leads term=4", "echo leads term=5", SINGLE));
    std::fs::create_dir_all(place.path("logs/runs")).unwrap();
    place.write("logs/runs/second", "not a directory");
    let text = stderr(&place.dsbench(&["run", "all"]).code(1));
    assert!(text.contains("1 passed, 1 failed, 0 undecided, 1 cannot run here of 3"), "{text}");
}
