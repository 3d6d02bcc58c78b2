//! Which runs a command line means, how often they are made, and what many come to.

use crate::support::{Place, kill, stderr, stdout};

/// A scenario whose node says hello, and does what `script` says.
fn scenario(name: &str, tags: &str, script: &str, more: &str) -> String {
    format!(
        r#"schema = 1
name = "{name}"
timeout = "60s"
tags = [{tags}]
[nodes]
count = 1
command = ["sh", "-c", '''{script}''']
[events]
hello = {{ log = '^hello' }}
bad = {{ log = '^bad' }}
[[steps]]
expect = {{ event = "hello" }}
within = "30s"
[[invariants]]
name = "nothing bad"
never = "bad"
[[invariants]]
process = {{ exit = "any" }}
{more}"#
    )
}

const HELLO: &str = "echo hello";

/// Counts its runs in a file, and says something bad in the third, sixth ...
const EVERY_THIRD: &str = "n=$(cat {scenario_dir}/n || echo 0); n=$((n + 1)); echo $n > {scenario_dir}/n; if [ $((n % 3)) = 0 ]; then echo bad; fi; echo hello";

/// Good if there is a file `mended`.
const MENDABLE: &str = "[ -e {scenario_dir}/mended ] || echo bad; echo hello";

fn four() -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path("scenarios")).expect("a new directory");
    for (name, tags) in [("alpha", "\"smoke\""), ("beta", "\"smoke\", \"slow\""), ("gamma", "\"slow\""), ("delta", "")]
    {
        place.write(&format!("scenarios/{name}.toml"), &scenario(name, tags, HELLO, ""));
    }
    place
}

fn selected(place: &Place, args: &[&str]) -> Vec<String> {
    let listed = stdout(&place.dsbench(&[&["list"], args].concat()).success());
    listed.lines().map(|line| line.split_whitespace().next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn labels_tags_and_shards_select_the_same_for_list_and_run() {
    let place = four();
    assert_eq!(selected(&place, &[]), ["alpha", "beta", "delta", "gamma"]);
    assert_eq!(selected(&place, &["-k", "et"]), ["beta"]);
    assert_eq!(selected(&place, &["-k", "*eta", "-k", "delta"]), ["beta", "delta"]);
    assert_eq!(selected(&place, &["-t", "smoke", "-t", "slow"]), ["alpha", "beta", "gamma"]);
    assert_eq!(selected(&place, &["-t", "smoke", "-t", "!slow"]), ["alpha"]);
    let text = stderr(&place.dsbench(&["run", "-q", "-t", "smoke", "-k", "*a"]).success());
    assert!(text.contains("2 passed") && text.contains("alpha") && text.contains("beta"), "{text}");
    for args in [["-k", "nothing"], ["-t", "nothing"], ["--shard", "5/5"]] {
        for command in ["list", "run"] {
            let none = stderr(&place.dsbench(&[&[command], &args[..]].concat()).code(4));
            assert!(none.contains("nothing selected") && none.contains(args[1]), "{none}");
        }
    }
    let usage = stderr(&place.dsbench(&["list", "--shard", "3/2"]).code(2));
    assert!(usage.contains("m/n"), "{usage}");
}

#[test]
fn shards_are_a_partition() {
    let place = four();
    let mut all: Vec<String> =
        ["1/3", "2/3", "3/3"].iter().flat_map(|shard| selected(&place, &["--shard", shard])).collect();
    all.sort();
    assert_eq!(all, ["alpha", "beta", "delta", "gamma"]);
    assert_eq!(selected(&place, &["--shard", "2/3"]), selected(&place, &["--shard", "2/3"]));
}

#[test]
fn the_first_run_that_is_no_pass_can_end_the_series() {
    let place = four();
    place.write("scenarios/beta.toml", &scenario("beta", "", "echo bad; echo hello", ""));
    let text = stderr(&place.dsbench(&["run", "-q", "-x"]).code(1));
    assert!(text.contains("1 passed, 1 failed, 0 undecided, 2 not run of 4"), "{text}");
    let text = stderr(&place.dsbench(&["run", "-q"]).code(1));
    assert!(text.contains("3 passed, 1 failed, 0 undecided of 4"), "{text}");
}

#[test]
fn what_passes_sometimes_is_flaky_counted_and_bounded() {
    let place = Place::new();
    place.write("x.toml", &scenario("x", "", EVERY_THIRD, ""));
    let text = stderr(&place.dsbench(&["run", "x.toml", "--repeat", "7"]).code(1));
    assert!(text.contains("x 7 times, each time with a fresh seed"), "{text}");
    let passes: Vec<_> = text.lines().filter(|line| line.trim_start().starts_with("PASS")).collect();
    assert_eq!(passes.len(), 5, "a line for each run that passes:\n{text}");
    let mut seeds: Vec<_> = passes.iter().filter_map(|line| line.split("seed ").nth(1)).collect();
    seeds.dedup();
    assert_eq!(seeds.len(), 5, "a fresh seed each time:\n{text}");
    // The first failure is shown in full (and once more at the end of a log), the second of its kind is a line.
    assert!(text.contains("x  nothing bad"), "{text}");
    let (_, summary) = text.rsplit_once("FLAKY").unwrap_or_else(|| panic!("{text}"));
    assert!(summary.contains("x  5 of 7 passed: failures below 66 % with 95 % confidence"), "{text}");
    assert!(summary.contains("2 x fail: nothing bad   seed 0x"), "{text}");
    assert!(summary.contains("reproduce: dsbench run x.toml --seed 0x"), "{text}");
    assert!(summary.contains("5 passed, 2 failed, 0 undecided of 7"), "{text}");
}

#[test]
fn a_clean_series_says_what_it_bounds_and_a_seed_is_the_same_each_time() {
    let place = Place::new();
    place.write("x.toml", &scenario("x", "", HELLO, ""));
    let text = stderr(&place.dsbench(&["run", "x.toml", "--repeat", "5", "--seed", "7"]).success());
    assert!(text.contains("each time with seed 0x7: the same schedule"), "{text}");
    assert_eq!(text.matches("x  seed 0x7\n").count(), 5, "{text}");
    assert!(text.contains("5 of 5 passed: failures below 46 % with 95 % confidence"), "{text}");
}

#[test]
fn a_series_goes_on_until_it_fails_and_makes_every_run_at_least_once() {
    let place = Place::new();
    place.write("x.toml", &scenario("x", "", EVERY_THIRD, "")).write("y.toml", &scenario("y", "", HELLO, ""));
    let text = stderr(&place.dsbench(&["run", "-q", "x.toml", "--for", "1h", "-x"]).code(1));
    assert!(text.contains("x for 1h") && text.contains("2 of 3 passed"), "{text}");
    let text = stderr(&place.dsbench(&["run", "-q", "x.toml", "y.toml", "--for", "1ms"]).success());
    assert!(text.contains("2 passed, 0 failed, 0 undecided of 2"), "{text}");
    place.dsbench(&["run", "x.toml", "--for", "1h", "--repeat", "3"]).code(2);
    place.dsbench(&["run", "x.toml", "--for", "5"]).code(2);
    place.dsbench(&["run", "x.toml", "--repeat", "0"]).code(2);
}

#[test]
fn what_failed_is_run_again_with_its_values_and_seed_until_nothing_fails() {
    let place = Place::new();
    place.write("good.toml", &scenario("good", "", HELLO, ""));
    let more = "[matrix]\n\"nodes.env.A\" = [\"1\", \"2\"]\n[[cases]]\nname = \"c\"\n";
    place.write("bad.toml", &scenario("bad", "", MENDABLE, more));
    let none = stderr(&place.dsbench(&["run", "--last-failed"]).code(4));
    assert!(none.contains("no series was run here"), "{none}");
    place.dsbench(&["run", "-q", "good.toml", "bad.toml"]).code(1);
    let listed: serde_json::Value =
        serde_json::from_str(&stdout(&place.dsbench(&["list", "--last-failed", "--json"]).success())).unwrap();
    let labels: Vec<_> = listed.as_array().unwrap().iter().map(|run| run["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["bad[c,nodes.env.A=\"1\"]", "bad[c,nodes.env.A=\"2\"]"]);
    let seed = place.run_json()["seed"].clone();
    assert_eq!(listed[1]["seed"], seed, "the seed of the run that failed");
    place.dsbench(&["run", "-q", "--last-failed", "-k", "A=\"2\""]).code(1);
    assert_eq!(place.run_json()["seed"], seed);
    place.write("mended", "");
    let text = stderr(&place.dsbench(&["run", "-q", "--last-failed"]).success());
    assert!(text.contains("bad[c,nodes.env.A=\"2\"]"), "only what failed last:\n{text}");
    let none = stderr(&place.dsbench(&["run", "--last-failed"]).code(4));
    assert!(none.contains("no run of the last series failed"), "{none}");
    place.dsbench(&["run", "--last-failed", "--seed", "1"]).code(2);
}

const FAULTS: &str = r#"schema = 1
name = "faults"
timeout = "60s"
[nodes]
count = 2
command = ["sh", "-c", "echo hello {life}; while :; do sleep 1; done"]
[events]
hello = { log = '^hello (?<life>\d+)', fields = { life = "int" } }
[[steps]]
wait = { event = "hello", each = "all" }
[[steps]]
kill = "peer1"
[[steps]]
restart = "killed"
[[steps]]
expect = { event = "hello", from = "restarted", where = { life = 2 } }
[[steps]]
expect = { latest = "hello", each = "all" }
[[invariants]]
name = "it comes back"
deadline = { from = "fault.kill", until = "hello", limit = "30s" }
[[invariants]]
name = "nobody dies"
never = { event = "hello", where = { life = ">= 2" } }
severity = "warn"
"#;

#[test]
fn without_faults_the_rest_is_judged_and_what_only_a_fault_exercises_is_not() {
    let place = Place::new();
    place.write("x.toml", FAULTS);
    let text = stderr(&place.dsbench(&["run", "x.toml"]).success());
    assert!(text.contains("kill peer1"), "{text}");
    let text = stderr(&place.dsbench(&["run", "x.toml", "--no-faults"]).success());
    assert!(text.contains("faults[no-faults]") && text.contains("left out (no faults): kill peer1"), "{text}");
    assert!(text.contains("left out (no faults): expect `hello`"), "what follows from it is not expected:\n{text}");
    assert!(text.contains("it comes back") && text.contains("not judged without faults"), "{text}");
    assert!(text.contains("faults:    none") && text.contains("--no-faults --seed"), "{text}");
    let again = stderr(&place.dsbench(&["recheck"]).success());
    assert!(again.contains("the same verdict"), "{again}");
    // Soundness is judged as always.
    place.write("x.toml", &FAULTS.replace("life = \">= 2\" } }\nseverity = \"warn\"", "life = \">= 1\" } }"));
    place.dsbench(&["run", "-q", "x.toml", "--no-faults"]).code(1);
}

#[test]
fn without_faults_a_nemesis_has_its_time_and_hits_nobody() {
    let place = Place::new();
    let head = &FAULTS[..FAULTS.find("[[steps]]").expect("steps")];
    let tail = "[nemesis]\nevery = \"100ms\"\nfaults = { kill = 1 }\nduration = \"1s\"\nmax_down = 1\n[[invariants]]\nsometimes = \"hello\"\n";
    place.write("x.toml", &format!("{head}{tail}"));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).success());
    assert!(text.contains("kill peer"), "{text}");
    let text = stderr(&place.dsbench(&["run", "x.toml", "--no-faults"]).success());
    assert!(text.contains("faults:    none") && !text.contains("nemesis"), "{text}");
    let seconds = place.run_json()["seconds"].as_f64().expect("it took a time");
    assert!(seconds >= 1.0, "a cluster that is sound for a moment only is not: {seconds}");
}

#[test]
fn a_timeout_of_the_command_line_cuts_the_run_and_is_told_again() {
    let place = Place::new();
    place.write("x.toml", &scenario("x", "", "exec sleep 60", ""));
    let text = stderr(&place.dsbench(&["run", "x.toml", "--timeout", "300ms"]).code(3));
    assert!(text.contains("cut by its timeout") && text.contains("--set timeout=300ms"), "{text}");
}

#[test]
fn an_interrupt_ends_the_series_and_its_sum_is_told() {
    let place = Place::new();
    place.write("x.toml", &scenario("x", "", "echo hello; : > {scenario_dir}/up; exec sleep 60", ""));
    place.write(
        "x.toml",
        &place
            .read("x.toml")
            .replace("[[steps]]\nexpect", "[[steps]]\nafter = \"50s\"\nmark = \"late\"\n[[steps]]\nexpect"),
    );
    let mut child = place.start(&["run", "x.toml", "--repeat", "100"]);
    place.wait_until("the first run goes on", |place| place.path("up").exists());
    kill(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    place.wait_until_empty();
    let text = place.read("out");
    assert!(text.contains("0 passed, 0 failed, 1 undecided, 99 not run of 100"), "{text}");
}
