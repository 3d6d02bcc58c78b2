//! Stored runs: shown again, judged again with the same result, and never trusted blindly.

use crate::support::{Place, stderr, stdout};

const SHORT: &str = r#"schema = 1
name = "short"
timeout = "30s"
[nodes]
count = 2
command = ["sh", "-c", "echo hello {id}; while :; do sleep 1; done"]
[events]
hello = { log = 'hello (?<n>\d+)', fields = { n = "int" } }
[[steps]]
wait = { event = "hello", at_least = 2 }
[[steps]]
name = "crash"
kill = "peer1"
[[invariants]]
name = "both spoke"
sometimes = { event = "hello", at_least = 2 }
[[invariants]]
name = "asked from outside"
exec = { command = ["grep", "-q", "hello"] }
"#;

fn ran() -> Place {
    let place = Place::new();
    place.write("x.toml", SHORT);
    place.dsbench(&["run", "x.toml"]).success();
    place
}

#[test]
fn recheck_reaches_the_same_verdict_byte_for_byte() {
    let place = ran();
    let stored = std::fs::read(place.run_dir().join("verdict.json")).unwrap();
    let again = place.dsbench(&["recheck"]).success();
    assert!(stderr(&again).contains("same verdict"), "{}", stderr(&again));
    assert_eq!(std::fs::read(place.run_dir().join("verdict.json")).unwrap(), stored);
    assert!(!stored.is_empty());
}

#[test]
fn show_tells_the_run_again_without_the_cluster() {
    let place = ran();
    let text = stdout(&place.dsbench(&["show"]).success());
    for part in ["PASS", "both spoke", "kill peer1", "hello n=1"] {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
}

#[test]
fn a_changed_history_is_not_said_to_have_the_same_verdict() {
    let place = ran();
    let path = place.run_dir().join("history.jsonl");
    let without: String = std::fs::read_to_string(&path)
        .unwrap()
        .lines()
        .filter(|line| !line.contains("hello"))
        .map(|line| line.to_owned() + "\n")
        .collect();
    std::fs::write(&path, without).unwrap();
    let out = place.dsbench(&["recheck"]);
    assert!(!stderr(&out).contains("same verdict"), "{}", stderr(&out));
    assert_ne!(out.get_output().status.code(), Some(0));
}

#[test]
fn a_history_cut_anywhere_is_read_up_to_its_last_whole_line_or_refused_with_the_line() {
    let place = ran();
    let path = place.run_dir().join("history.jsonl");
    let whole = std::fs::read(&path).unwrap();
    for cut in [whole.len() - 1, whole.len() / 2, 10, 0] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let out = place.dsbench(&["recheck"]);
        let code = out.get_output().status.code();
        assert!(matches!(code, Some(2 | 3)), "cut at {cut}: {code:?}\n{}", stderr(&out));
        assert!(!stderr(&out).contains("panicked"));
    }
}

#[test]
fn without_a_stored_run_show_says_how_to_get_one() {
    let place = Place::new();
    let out = place.dsbench(&["show"]).code(2);
    assert!(stderr(&out).contains("dsbench run"));
}
