//! Tests that need more than Rust and a shell: Python, the node with planted mistakes, an ordinary user to become. `.ci/run` runs them all.

use std::path::Path;
use std::process::Command;

use crate::support::{Place, stderr};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[test]
#[ignore = "needs python3"]
fn a_cluster_of_python_processes_with_its_own_log_format_passes() {
    let place = Place::new();
    place.dsbench(&["run", &format!("{ROOT}/examples/python/cluster.toml")]).success();
}

#[test]
#[ignore = "needs the node built with its mistakes (see the error)"]
fn the_demonstrations_are_caught_by_name() {
    for (name, evidence) in
        [("never-steps-down", "no two leaderships overlap"), ("forgotten-vote", "at most one leader per term")]
    {
        let place = Place::new();
        let run = place.dsbench(&["run", &format!("{ROOT}/scenarios/demonstrations/{name}.toml")]).success();
        let text = stderr(&run);
        assert!(text.contains(evidence) && text.contains("became the Group Leader"), "{text}");
    }
}

#[test]
#[ignore = "needs the node built with its mistakes (see the error)"]
fn random_faults_that_know_nothing_of_a_mistake_find_it_within_ten_runs() {
    for name in ["never-steps-down", "forgotten-vote"] {
        let scenario = format!("{ROOT}/scenarios/demonstrations/random/{name}.toml");
        let place = Place::new();
        let catches = |seed: u32| {
            let run = place.dsbench(&["run", "-q", &scenario, "--seed", &seed.to_string()]);
            let (code, text) = (run.get_output().status.code(), stderr(&run));
            assert!(matches!(code, Some(0 | 1)), "{text}");
            assert_eq!(code == Some(0), text.contains("caught being violated"), "{text}");
            code == Some(0)
        };
        assert!((1..=10).any(catches), "{name}: ten runs, and no alarm");
    }
}

#[test]
#[ignore = "needs the right to become an ordinary user"]
fn an_ordinary_user_needs_no_right_that_root_has() {
    let place = Place::new();
    // The user must be able to reach the executable and to write into the place, wherever the checkout lies.
    std::fs::copy(env!("CARGO_BIN_EXE_dsbench"), place.path("dsbench")).unwrap();
    std::fs::copy(format!("{ROOT}/scenarios/leader-election.toml"), place.path("x.toml")).unwrap();
    let dir = place.path("").to_str().unwrap().to_owned();
    assert!(Command::new("chown").args(["-R", "nobody", &dir]).status().unwrap().success());
    let done = Command::new("setpriv")
        .args(["--reuid=nobody", "--clear-groups", "./dsbench", "run", "x.toml"])
        .current_dir(Path::new(&dir))
        .output()
        .unwrap();
    place.wait_until_empty();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
