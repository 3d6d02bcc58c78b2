//! dsbench used as a library, from the tests of another program: many threads, signals and standard error of their own.

use std::sync::atomic::{AtomicBool, Ordering};

use dsbench::{Bench, Judgement};

use crate::support::Place;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A node that repeats what is typed.
const ONE: &str = r#"schema = 1
name = "one"
timeout = "60s"
[nodes]
count = 1
command = ["sh", "-c", "echo up; while read line; do echo \"heard $line\"; done; sleep 1000"]
ready = { log = 'up' }
[events]
heard = { log = 'heard (?<what>\w+)', fields = { what = "text" } }
[vars]
word = "hello"
[[steps]]
input = "{vars.word}"
to = "peer1"
[[steps]]
wait = { event = "heard" }
[[invariants]]
name = "nobody says no"
never = { event = "heard", where = { what = "no" } }
"#;

fn bench(place: &Place) -> Bench {
    place.write("x.toml", ONE);
    Bench::load(place.path("x.toml")).expect("the scenario is there").logs(place.path("logs"))
}

#[test]
fn a_run_that_passes_can_be_looked_at() {
    let place = Place::new();
    let run = bench(&place).seed(7).run().unwrap().assert_pass();
    assert_eq!(run.judgement(), Judgement::Pass);
    assert!(run.dir().starts_with(place.path("logs")) && run.dir().join("history.jsonl").exists());
    assert!(run.log("peer1").unwrap().contains("heard hello"));
    assert!(run.verdict().invariants.iter().any(|invariant| invariant.name == "nobody says no"));
    assert!(run.reproduce().ends_with("--seed 0x7"), "{}", run.reproduce());
    place.wait_until_empty();
}

#[test]
fn one_that_does_not_pass_panics_with_the_evidence_and_how_to_see_it_again() {
    let place = Place::new();
    let run = bench(&place).set("vars.word", "no").seed(7).run().unwrap();
    assert_eq!(run.judgement(), Judgement::Fail);
    let dir = run.dir().to_owned();
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(run.assert_pass()))).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    let log = dir.join("logs/peer1_log.txt");
    let evidence = format!("heard no   {}:", log.display());
    for part in
        ["FAIL", "nobody says no", &evidence, "reproduce: dsbench run", "--set vars.word=no --seed 0x7", "logs:"]
    {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no colours in a panic message");
    place.wait_until_empty();
}

#[test]
fn mistakes_are_told_by_the_error_with_their_places() {
    let place = Place::new();
    place.write("x.toml", &ONE.replace("[events]", "[evnts]"));
    let error = Bench::load(place.path("x.toml")).unwrap().run().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("did you mean `events`?") || text.contains("unknown key `evnts`"), "{text}");
    assert!(text.contains("x.toml:") && text.contains("nothing was started"), "{text}");
    assert!(Bench::load(place.path("no.toml")).is_err());
}

#[test]
fn a_file_of_several_runs_is_chosen_from_or_run_as_a_whole() {
    let place = Place::new();
    let several = "[matrix]\n\"vars.word\" = [\"one\", \"two\"]\n";
    place.write("y.toml", &format!("{ONE}{several}"));
    let bench = Bench::load(place.path("y.toml")).unwrap().logs(place.path("logs"));
    let why = bench.clone().run().unwrap_err().to_string();
    assert!(why.contains("means 2 runs") && why.contains("run_all()"), "{why}");
    let words: Vec<bool> = bench.run_all().unwrap().into_iter().map(|run| run.assert_pass().has_passed()).collect();
    assert_eq!(words, [true, true]);
}

/// Allocates, prints, and looks at the environment, as the other tests of a process do: what a fork may find locked.
fn be_busy(until: &AtomicBool) {
    while !until.load(Ordering::Relaxed) {
        let many: Vec<String> = (0..50).map(|n| format!("{n} {:?}", std::env::var_os("PATH"))).collect();
        std::hint::black_box(many);
        eprint!("");
        print!("");
    }
}

#[test]
fn benches_run_side_by_side_in_a_process_with_busy_threads() {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let busy: Vec<_> = (0..3).map(|_| scope.spawn(|| be_busy(&done))).collect();
        let runs: Vec<_> = (0..4)
            .map(|n| {
                scope.spawn(move || {
                    let place = Place::new();
                    for round in 0..3 {
                        bench(&place).seed(10 * n + round).run().unwrap().assert_pass();
                    }
                    place.wait_until_empty();
                })
            })
            .collect();
        let results: Vec<_> = runs.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        busy.into_iter().for_each(|thread| thread.join().expect("a busy thread"));
        assert!(results.iter().all(Result::is_ok));
    });
}

#[test]
fn the_reference_node_is_found_beside_the_test_and_the_signals_stay_the_tests() {
    let place = Place::new();
    let blocked = || {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        [line("SigBlk"), line("SigCgt"), line("SigIgn")]
    };
    let before = blocked();
    let bench = Bench::load(format!("{ROOT}/scenarios/leader-election.toml")).unwrap().logs(place.path("logs"));
    let run = bench.clone().seed(3).run().unwrap().assert_pass();
    assert!(run.log("peer1").unwrap().contains("listening on"));
    assert_eq!(blocked(), before);
    let why = bench.dsbench("/no/such/dsbench").run().unwrap_err().to_string();
    assert!(why.contains("/no/such/dsbench was named"), "{why}");
}
