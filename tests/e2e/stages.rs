//! The stages of a run: a setup that sets the scene, steps, and a teardown on every end.

use std::process::Child;

use crate::support::{Place, kill, stderr, stdout};

/// Two nodes that beat; what a test adds stands between them and the invariants.
fn scenario(timeout: &str, stages: &str) -> String {
    format!(
        r#"schema = 1
name = "staged"
timeout = "{timeout}"
[nodes]
count = 2
command = ["sh", "-c", "echo up; while :; do echo beat; sleep 0.05; done"]
ready = {{ log = 'up' }}
stop = {{ grace = "200ms" }}
[events]
up = {{ log = '^up' }}
beat = {{ log = 'beat' }}
never_said = {{ log = 'never' }}
dumped = {{ log = 'dumped' }}
{stages}
"#
    )
}

const TEARDOWN: &str = "[[teardown]]\nname = \"clean\"\nexec = [\"sh\", \"-c\", \"echo cleaned >> cleaned\"]\n";

fn run(place: &Place, text: &str, code: i32) -> String {
    place.write("x.toml", text);
    stderr(&place.dsbench(&["run", "x.toml"]).code(code))
}

/// The observations of the last run.
fn history(place: &Place) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(place.run_dir().join("history.jsonl")).expect("a history");
    text.lines().skip(1).map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// The number and the time in milliseconds of the first observation of which this is true.
fn first(history: &[serde_json::Value], what: impl Fn(&serde_json::Value) -> bool) -> (u64, u64) {
    let found = history.iter().find(|line| what(line)).expect("it is in the history");
    let number = |key: &str| found[key].as_u64().expect("a number");
    (number("n"), number("t") / 1_000_000)
}

fn begun(step: u64) -> impl Fn(&serde_json::Value) -> bool {
    move |line| line["step"]["step"] == step && line["step"]["state"] == "begun"
}

#[test]
fn a_setup_comes_before_the_clock_and_its_faults_are_no_faults() {
    let place = Place::new();
    let stages = r#"
[[setup]]
kill = "peer1"
for = "300ms"
[[setup]]
mark = "set"
[[steps]]
at = "200ms"
expect = { event = "beat", from = "peer1" }
[[invariants]]
name = "a new beat soon after each kill"
deadline = { from = "fault.kill", until = "never_said", limit = "1ms" }
severity = "warn"
[[invariants]]
sometimes = { event = "up", at_least = 3 }
"#;
    let said = run(&place, &scenario("60s", stages), 0);
    assert!(said.contains("never exercised: no fault.kill happened") && said.contains("in the setup"), "{said}");
    let history = history(&place);
    let ready = first(&history, |line| line["run"] == "ready");
    let up_again = first(&history, |line| line["process"]["life"] == 2 && line["process"]["change"] == "ready");
    let step = first(&history, begun(0));
    assert!(up_again.0 < ready.0, "the `for` of a setup is undone before the run begins: {up_again:?} {ready:?}");
    assert!(step.1 >= ready.1 + 200, "`at` counts from the end of the setup: {step:?} {ready:?}");
    let again = place.dsbench(&["recheck"]).code(0);
    assert!(stderr(&again).contains("byte for byte"), "{}", stderr(&again));
}

#[test]
fn a_setup_that_misses_is_inconclusive_and_the_steps_never_begin() {
    for setup in [
        "[[setup]]\nwait = { event = \"never_said\" }\nwithin = \"100ms\"\n",
        "[[setup]]\nexpect = { event = \"never_said\" }\nwithin = \"100ms\"\n",
        "[[setup]]\nexec = [\"false\"]\n",
    ] {
        let place = Place::new();
        let stages = format!("{setup}[[steps]]\nexec = [\"touch\", \"begun\"]\n{TEARDOWN}");
        let said = run(&place, &scenario("60s", &stages), 3);
        assert!(said.contains("setup 1"), "{said}");
        assert!(!place.path("begun").exists());
        assert_eq!(place.read("cleaned"), "cleaned\n");
    }
}

#[test]
fn a_node_that_does_not_come_back_in_a_setup_leaves_the_scene_unset() {
    let place = Place::new();
    let stages =
        "[[setup]]\nkill = \"peer1\"\n[[setup]]\nrestart = \"peer1\"\n[[invariants]]\nsometimes = { event = \"up\" }\n";
    let once = scenario("60s", stages)
        .replace("\"echo up;", "\"test -e was && exec sleep 1000; touch was; echo up;")
        .replace("log = 'up' }\nstop", "log = 'up', within = \"1s\" }\nstop");
    let said = run(&place, &once, 3);
    assert!(said.contains("setup 2 (restart peer1) could not be done: peer1: waited 1s"), "{said}");
}

#[test]
fn a_teardown_comes_on_every_end() {
    let ends = [
        (
            "pass",
            "[[steps]]\nwait = { event = \"up\", since = \"start\" }\n[[invariants]]\nsometimes = { event = \"up\" }\n",
            0,
        ),
        ("missed", "[[steps]]\nexpect = { event = \"never_said\" }\nwithin = \"100ms\"\n", 1),
        ("violated", "[[steps]]\nmark = \"x\"\n[[invariants]]\nnever = \"up\"\n", 1),
        ("abandoned", "[[steps]]\nexec = [\"false\"]\n", 3),
        ("end", "[[steps]]\nend = true\n[[invariants]]\nsometimes = { event = \"up\" }\n", 0),
    ];
    for (name, stages, code) in ends {
        let place = Place::new();
        let said = run(&place, &scenario("60s", &format!("{stages}{TEARDOWN}")), code);
        assert_eq!(place.read("cleaned"), "cleaned\n", "{name}: {said}");
    }
    let place = Place::new();
    run(&place, &scenario("1s", &format!("[[steps]]\nafter = \"50s\"\nmark = \"x\"\n{TEARDOWN}")), 3);
    assert_eq!(place.read("cleaned"), "cleaned\n", "a timeout cuts the steps, not the teardown");
    let place = Place::new();
    let unready = scenario("60s", TEARDOWN).replace("log = 'up'", "log = 'nothing', within = \"100ms\"");
    run(&place, &unready, 5);
    assert_eq!(place.read("cleaned"), "cleaned\n", "also when the nodes did not come up");
}

#[test]
fn a_teardown_sees_the_nodes_up_and_nothing_of_it_is_judged() {
    let place = Place::new();
    let stages = r#"
[[steps]]
pause = "peer1"
[[teardown]]
resume = "paused"
[[teardown]]
name = "dump"
exec = ["sh", "-c", "echo dumped $DSBENCH_NODE"]
on = "all"
[[teardown]]
wait = { event = "dumped", each = "all", since = "dump" }
[[teardown]]
resume = "paused"
[[teardown]]
kill = "peer1"
[[teardown]]
restart = "peer1"
[[teardown]]
wait = { event = "up", from = "peer1" }
[[invariants]]
never = "dumped"
[[invariants]]
sometimes = { event = "up" }
"#;
    let said = run(&place, &scenario("60s", stages), 0);
    assert!(!said.contains("failed"), "{said}");
    let shown = place.dsbench(&["show"]).success();
    assert!(stdout(&shown).contains("teardown 7 done"), "{}", stdout(&shown));
    assert!(stdout(&shown).contains("faults:    pause peer1"), "{}", stdout(&shown));
}

#[test]
fn a_teardown_that_fails_or_hangs_goes_on_and_is_only_told() {
    let place = Place::new();
    let stages = format!(
        r#"
[[steps]]
wait = {{ event = "up", since = "start" }}
[[teardown]]
exec = ["sh", "-c", "echo no such thing >&2; exit 7"]
[[teardown]]
name = "hang"
exec = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]
within = "200ms"
on = "all"
[[teardown]]
wait = {{ event = "never_said" }}
within = "100ms"
{TEARDOWN}
[[invariants]]
sometimes = {{ event = "up" }}
"#
    );
    let said = run(&place, &scenario("60s", &stages), 0);
    assert_eq!(place.read("cleaned"), "cleaned\n");
    for told in ["no such thing", "teardown 2 (hang) failed: it was not done within its time", "teardown 3", "x.toml:"]
    {
        assert!(said.contains(told), "{told} is not in\n{said}");
    }
    let again = place.dsbench(&["recheck"]).code(0);
    assert!(stderr(&again).contains("teardown 2 (hang) failed") && stderr(&again).contains("byte for byte"));
}

fn started(stages: &str) -> (Place, Child) {
    let place = Place::new();
    place.write("x.toml", &scenario("60s", stages));
    let child = place.start(&["run", "x.toml"]);
    (place, child)
}

const HANGS: &str = "exec = [\"sh\", \"-c\", \"touch hanging; while :; do sleep 1; done\"]\nwithin = \"100s\"\n";

#[test]
fn a_ctrl_c_in_the_setup_or_the_steps_is_followed_by_the_teardown() {
    for stage in ["setup", "steps"] {
        let (place, mut child) = started(&format!("[[{stage}]]\n{HANGS}{TEARDOWN}"));
        place.wait_until("the step hangs", |place| place.path("hanging").exists());
        kill(child.id(), "INT");
        assert_eq!(child.wait().unwrap().code(), Some(130), "{}", place.read("out"));
        place.wait_until_empty();
        assert_eq!(place.read("cleaned"), "cleaned\n");
    }
}

#[test]
fn a_ctrl_c_in_the_teardown_cuts_it_and_the_rest_is_not_done() {
    let stages = format!("[[steps]]\nwait = {{ event = \"up\", since = \"start\" }}\n[[teardown]]\n{HANGS}{TEARDOWN}");
    let (place, mut child) = started(&stages);
    place.wait_until("the teardown hangs", |place| place.path("hanging").exists());
    kill(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    place.wait_until_empty();
    assert!(!place.path("cleaned").exists());
    assert!(place.read("out").contains("the teardown was cut at teardown 1"), "{}", place.read("out"));
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_the_teardown() {
    let stages = format!("[[steps]]\nafter = \"50s\"\nmark = \"x\"\n[[teardown]]\n{HANGS}{TEARDOWN}");
    let (place, mut child) = started(&stages);
    place.wait_until("the nodes are ready", |place| place.read("out").contains("all nodes are ready"));
    kill(child.id(), "INT");
    place.wait_until("the teardown hangs", |place| place.path("hanging").exists());
    assert!(place.read("out").contains("interrupted: running the teardown"), "{}", place.read("out"));
    kill(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    place.wait_until_empty();
    assert!(!place.path("cleaned").exists());
}

#[test]
fn kill_9_in_a_teardown_leaves_no_process() {
    let (place, mut child) = started(&format!("[[steps]]\nmark = \"x\"\n[[teardown]]\n{HANGS}"));
    place.wait_until("the teardown hangs", |place| place.path("hanging").exists());
    kill(child.id(), "KILL");
    child.wait().unwrap();
    place.wait_until_empty();
}

#[test]
fn a_bound_name_means_whom_it_meant_when_it_was_bound() {
    let place = Place::new();
    let stages = r#"
[roles]
talker = { last = "up" }
[[steps]]
let = { first = "talker", one = { random = ["all", "!first"] } }
[[steps]]
kill = "one"
[[steps]]
restart = "one"
[[steps]]
expect = { event = "beat", from = "first" }
within = "10s"
[[steps]]
let = { part = "first/main" }
pause = "part"
for = "100ms"
[[invariants]]
name = "only the other one started again"
never = { event = "up", from = "first", since = "storm" }
[[steps]]
name = "storm"
mark = "x"
"#;
    // A name can be used by its own step's verb, and not by its own binding.
    place.write("x.toml", &scenario("60s", stages));
    let refused = stderr(&place.dsbench(&["check", "x.toml"]).code(2));
    assert!(refused.contains("DS0131") && refused.contains("bound only by a later step"), "{refused}");
    let text = scenario("60s", &stages.replace("{ random = [\"all\", \"!first\"] }", "{ random = \"!talker\" }"));
    run(&place, &text, 0);
    let history = history(&place);
    let bound = |name: &str| {
        let is_it = |line: &&serde_json::Value| line["step"]["state"]["bound"]["name"] == name;
        history.iter().find(is_it).unwrap_or_else(|| panic!("{name} is in the history"))["step"]["state"]["bound"]["to"]
            .clone()
    };
    let hit = |verb: &str| {
        let is_it = |line: &&serde_json::Value| line["action"]["verb"] == verb;
        history.iter().find(is_it).expect("an action")["action"]["nodes"].clone()
    };
    assert_eq!((hit("kill"), hit("restart")), (bound("one"), bound("one")));
    assert_ne!(bound("one"), bound("first"));
    assert_eq!(hit("pause"), bound("first"), "the role has moved on, the name has not");
    assert_eq!(bound("part")[0], format!("{}/main", bound("first")[0].as_str().unwrap()));
    let again = place.dsbench(&["recheck"]).code(0);
    assert!(stderr(&again).contains("byte for byte"));
}

#[test]
fn a_group_is_repeated_and_an_offset_counts_from_a_named_step() {
    let place = Place::new();
    let stages = r#"
[[steps]]
repeat = 3
steps = [
  { name = "cut", pause = "random", for = "10ms" },
  { at = { step = "cut", plus = "150ms" }, exec = ["sh", "-c", "echo round >> rounds"] },
]
[[invariants]]
sometimes = { event = "beat", at_least = 3 }
"#;
    let said = run(&place, &scenario("60s", stages), 0);
    assert_eq!(place.read("rounds"), "round\n".repeat(3));
    let history = history(&place);
    for round in 0..3 {
        let (cut, then) = (first(&history, begun(2 * round)), first(&history, begun(2 * round + 1)));
        assert!(then.1 >= cut.1 + 150, "{cut:?} {then:?}\n{said}");
    }
    let seed = place.run_json()["seed"].as_str().unwrap().to_owned();
    let planned = place.dsbench(&["plan", "x.toml", "--seed", &seed]).success();
    assert!(stdout(&planned).contains("round 3 of 3"), "{}", stdout(&planned));
}

#[test]
fn a_cluster_that_is_up_has_its_setup_and_its_teardown_but_no_steps() {
    let place = Place::new();
    let stages = "[[setup]]\nexec = [\"touch\", \"scene\"]\n[[steps]]\nexec = [\"touch\", \"steps\"]\n";
    place.write("x.toml", &scenario("1s", &format!("{stages}{TEARDOWN}")));
    place.beside(&["up", "-d", "x.toml"]).success();
    assert!(place.path("scene").exists() && !place.path("cleaned").exists());
    place.dsbench(&["down"]).success();
    assert!(place.path("cleaned").exists() && !place.path("steps").exists());

    place.write("y.toml", &scenario("1s", "[[setup]]\nexec = [\"sh\", \"-c\", \"echo no scene >&2; exit 1\"]\n"));
    let failed = place.dsbench(&["up", "-d", "y.toml"]).code(5);
    assert!(stderr(&failed).contains("setup 1") && stderr(&failed).contains("no scene"), "{}", stderr(&failed));
}
