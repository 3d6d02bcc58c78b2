//! Random faults: what is planned is what is done, never too many are down, everything is undone, and nothing of it is left.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::support::{Place, kill, stderr, stdout};

/// Nodes that do nothing; the nemesis and what follows it stand behind.
fn nodes(count: u32, rest: &str) -> String {
    format!(
        r#"schema = 1
name = "faults"
timeout = "60s"
[nodes]
count = {count}
name = "n{{id}}"
command = ["sh", "-c", "echo up; while :; do sleep 0.1; done"]
ready = {{ log = 'up' }}
[events]
up = {{ log = 'up' }}
[[invariants]]
name = "they ran"
sometimes = {{ event = "up", at_least = {count} }}
{rest}"#
    )
}

/// Faults as fast as it goes.
const STORM: &str = r#"[nemesis]
every = "10ms..80ms"
for = "20ms..300ms"
duration = "1500ms"
faults = { kill = 3, pause = 2, stop = 1, restart = 1, signal = { WINCH = 1 } }
targets = { random = 3, n1 = 1, minority = 1 }
"#;

/// The observations of the last run.
fn history(place: &Place) -> Vec<Json> {
    let text = std::fs::read_to_string(place.run_dir().join("history.jsonl")).expect("the history was stored");
    text.lines().skip(1).map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

fn text(json: &Json) -> &str {
    json.as_str().unwrap_or_default()
}

/// Who serves, counted from the history alone.
#[derive(Default)]
struct Serving(BTreeMap<String, bool>);

impl Serving {
    /// Takes in an observation; gives how many do not serve after it.
    fn observe(&mut self, seen: &Json) -> usize {
        let node = || text(&seen["process"]["node"]).to_owned();
        let change = &seen["process"]["change"];
        if change == "ready" {
            self.0.insert(node(), true);
        } else if change.get("exited").is_some() {
            self.0.insert(node(), false);
        }
        for life in seen["action"]["hit"].as_array().into_iter().flatten() {
            let serves = match text(&seen["action"]["verb"]) {
                "resume" => true,
                "signal" => continue,
                _ => false,
            };
            self.0.insert(text(&life["node"]).to_owned(), serves);
        }
        self.0.values().filter(|serves| !**serves).count()
    }
}

#[test]
fn never_are_more_down_than_allowed_and_in_the_end_everybody_is_back() {
    for (seed, limit) in [("1", "\"minority\""), ("2", "1"), ("3", "4")] {
        let place = Place::new();
        place.write("x.toml", &nodes(5, &format!("{STORM}max_down = {limit}\n")));
        let run = place.dsbench(&["run", "x.toml", "--seed", seed]).success();
        let history = history(&place);
        let limit = if limit == "\"minority\"" { 2 } else { limit.parse().unwrap() };
        let mut serving = Serving::default();
        let (mut hits, mut most) = (0, 0);
        for seen in &history {
            let down = serving.observe(seen);
            if seen["run"] == "ready" {
                assert_eq!(down, 0, "all are ready");
            }
            if seen["action"]["nemesis"].is_u64() && seen["action"]["undoes"].is_null() {
                hits += 1;
                most = most.max(down);
                let verb = &seen["action"]["verb"];
                assert!(down <= limit || verb == "signal", "{down} of {limit} down after {seen}\n{}", stderr(&run));
            }
            if seen["run"]["ended"].is_object() {
                assert_eq!(down, 0, "everything is healed when the run ends");
                break;
            }
        }
        assert!(hits > 5 && most > 0, "{hits} hits, {most} at once");
        let nemesis: Vec<_> = history.iter().map(|seen| &seen["nemesis"]).filter(|change| !change.is_null()).collect();
        assert_eq!(nemesis[0], "begun");
        assert_eq!(*nemesis[nemesis.len() - 1], "healed");
        let recheck = place.dsbench(&["recheck"]).success();
        let told = stderr(&recheck);
        assert!(told.contains("by the nemesis") && told.contains("byte for byte"), "{told}");
    }
}

/// What was done or passed over, in order: the number of the fault, and the kind if it was done.
fn done(history: &[Json]) -> Vec<(u64, Option<String>)> {
    let done = |seen: &Json| {
        let action = &seen["action"];
        if let Some(fault) = action["nemesis"].as_u64().filter(|_| action["undoes"].is_null()) {
            let with = action["with"].as_str().map(|with| format!(" {with}")).unwrap_or_default();
            return Some((fault + 1, Some(format!("{}{with}", text(&action["verb"])))));
        }
        let passed_over = &seen["nemesis"]["passed_over"];
        passed_over["fault"].as_u64().map(|fault| (fault + 1, None))
    };
    history.iter().filter_map(done).collect()
}

/// The faults of a printed plan: number, time since all were ready in seconds, kind.
fn planned(plan: &str) -> Vec<(u64, f64, String)> {
    let section = plan.split("what the nemesis does").nth(1).expect("a section");
    let fault = |line: &str| {
        let (number, rest) = line.trim().split_once(". at ")?;
        let (at, what) = rest.split_once('s')?;
        let what = what.trim().replace("signal WINCH to", "signal WINCH");
        let words = if what.starts_with("signal") { 2 } else { 1 };
        let kind = what.split(' ').take(words).collect::<Vec<_>>().join(" ");
        Some((number.parse().ok()?, at.parse().ok()?, kind))
    };
    section
        .trim_start()
        .lines()
        .map_while(|line| if line.is_empty() { None } else { Some(fault(line)) })
        .flatten()
        .collect()
}

#[test]
fn what_is_printed_before_is_what_is_done() {
    let place = Place::new();
    place.write("x.toml", &nodes(3, STORM));
    let plan = stdout(&place.dsbench(&["plan", "x.toml", "--seed", "0xbad"]).success());
    assert_eq!(plan, stdout(&place.dsbench(&["plan", "x.toml", "--seed", "0xbad"]).success()));
    let planned = planned(&plan);
    assert!(planned.len() > 10, "{plan}");
    place.dsbench(&["run", "x.toml", "--seed", "0xbad"]).success();
    let history = history(&place);
    let done = done(&history);
    assert_eq!(done.len(), planned.len(), "{plan}\n{done:?}");
    let ready = history.iter().find(|seen| seen["run"] == "ready").and_then(|seen| seen["t"].as_f64()).unwrap();
    for ((number, at, kind), (fault, did)) in planned.iter().zip(&done) {
        assert_eq!(number, fault);
        assert!(did.as_ref().is_none_or(|did| did == kind), "{plan}\n{done:?}");
        let seen = history.iter().find(|seen| seen["action"]["nemesis"].as_u64() == Some(fault - 1));
        let not_before = seen.is_none_or(|seen| seen["t"].as_f64().unwrap() >= ready + (at - 0.001) * 1e9);
        assert!(not_before, "fault {number} came before its time");
    }
}

#[test]
fn a_fault_aimed_at_an_event_comes_so_long_after_it() {
    let place = Place::new();
    let scenario = nodes(
        2,
        r#"beat = { log = 'beat' }
[nemesis]
when = { event = "beat", from = "n2" }
after = "30ms..60ms"
faults = { restart = 1 }
target = "n1"
duration = "2s"
max_down = 1
"#,
    );
    // The events stand before the invariants; a beat every 400 ms.
    let scenario = scenario
        .replace("up = { log = 'up' }\n", "up = { log = 'up' }\nbeat = { log = 'beat' }\n")
        .replacen("beat = { log = 'beat' }\n[nemesis]", "[nemesis]", 1)
        .replace("while :; do sleep 0.1; done", "while :; do sleep 0.4; echo beat; done");
    place.write("x.toml", &scenario);
    place.dsbench(&["run", "x.toml"]).success();
    let history = history(&place);
    let time = |seen: &Json| seen["t"].as_u64().unwrap();
    let faults: Vec<_> = history.iter().filter(|seen| seen["action"]["nemesis"].is_u64()).collect();
    assert!(faults.len() >= 2, "{faults:?}");
    for fault in faults {
        let beats = history.iter().filter(|seen| seen["event"]["name"] == "beat" && seen["event"]["node"] == "n2");
        let passed = |beat: &Json| time(fault).checked_sub(time(beat));
        let passed: Vec<u64> = beats.filter_map(passed).collect();
        assert!(passed.iter().any(|passed| *passed >= 30_000_000), "{fault} after {passed:?}");
    }
}

#[test]
fn an_event_that_never_comes_makes_no_pass_and_the_run_says_so() {
    let place = Place::new();
    let never = nodes(
        3,
        "[nemesis]\nwhen = { event = \"up\", from = \"n1\" }\nfaults = { pause = 1 }\nfor = \"50ms\"\nduration = \"300ms\"\n",
    );
    place.write("x.toml", &never);
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(3));
    assert!(
        text.contains(
            "the nemesis hit nothing, so nothing was tested by it: it waited for `up` from n1, which never came"
        ),
        "{text}"
    );
    place.write("x.toml", &never.replace("duration", "within = \"100ms\"\nduration"));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(3));
    assert!(text.contains("was aimed at `up` from n1, which never came: its faults came without it"), "{text}");
}

#[test]
fn a_nemesis_that_may_do_nothing_makes_no_pass() {
    let place = Place::new();
    let scenario = nodes(
        3,
        "[nemesis]\nevery = \"50ms\"\nfaults = { kill = 1 }\nfor = \"50ms\"\nduration = \"300ms\"\ntarget = \"all\"\n",
    );
    place.write("x.toml", &scenario);
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(3));
    assert!(text.contains("it passed over 5 that would have taken too many down (first: 3 of 3 would be down (n1, n2, n3), and at most 1 may)"), "{text}");
    assert!(text.contains("faults:    0 by the nemesis; 5 passed over: 5 max_down"), "{text}");
}

#[test]
fn steps_start_and_stop_it_and_go_on_when_everything_is_healed() {
    let place = Place::new();
    let scenario = nodes(
        3,
        r#"[nemesis]
start = "manual"
every = "20ms..60ms"
faults = { kill = 1, pause = 1 }
[[steps]]
after = "300ms"
mark = "quiet so far"
[[steps]]
start = "nemesis"
[[steps]]
after = "500ms"
stop = "nemesis"
[[steps]]
mark = "healed"
[[steps]]
after = "300ms"
start = "nemesis"
[[steps]]
after = "300ms"
mark = "the last step"
"#,
    );
    place.write("x.toml", &scenario);
    place.dsbench(&["run", "x.toml"]).success();
    let mut serving = Serving::default();
    let mut is_on = false;
    let mut course = Vec::new();
    for seen in &history(&place) {
        let down = serving.observe(seen);
        let nemesis = &seen["nemesis"];
        if !nemesis.is_null() && nemesis["passed_over"].is_null() {
            let what = nemesis.as_str().unwrap_or_else(|| nemesis.as_object().unwrap().keys().next().unwrap());
            course.push(what.to_owned());
            is_on = what == "begun";
        }
        let is_fault = seen["action"]["nemesis"].is_u64() && seen["action"]["undoes"].is_null();
        assert!(is_on || !is_fault, "a fault while it does not run: {seen}");
        let step = &seen["step"];
        if step["step"] == 3 && step["state"] == "begun" {
            assert_eq!(down, 0, "the next step begins when everything is healed");
        }
    }
    assert_eq!(course, ["waiting", "begun", "stopped", "healed", "begun", "stopped", "healed"]);
}

#[test]
fn without_healing_each_fault_lasts_its_time() {
    let place = Place::new();
    let scenario = nodes(
        3,
        "[nemesis]\nevery = \"100ms\"\nfaults = { pause = 1 }\nfor = \"1s\"\nduration = \"150ms\"\nheal_last = false\n",
    );
    place.write("x.toml", &scenario);
    place.dsbench(&["run", "x.toml"]).success();
    let history = history(&place);
    let time = |verb: &str| {
        let seen = history.iter().find(|seen| seen["action"]["verb"] == verb);
        seen.unwrap_or_else(|| panic!("no {verb}"))["t"].as_u64().unwrap()
    };
    assert!(time("resume") - time("pause") >= 1_000_000_000);
    assert!(history.iter().all(|seen| seen["nemesis"] != "healed"));
}

#[test]
fn a_node_that_does_not_come_back_after_a_fault_fails_the_run() {
    let place = Place::new();
    let scenario = nodes(
        3,
        "[nemesis]\nevery = \"100ms\"\nfaults = { kill = 1 }\nfor = \"50ms\"\nduration = \"500ms\"\ntarget = \"n2\"\n",
    );
    let forgets = scenario.replace("echo up;", "test $DSBENCH_LIFE = 1 || exit 3; echo up;");
    place.write("x.toml", &forgets);
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(1));
    assert!(
        text.contains("a node did not come back after fault 1 of the nemesis: n2: ended with exit code 3"),
        "{text}"
    );
}

#[test]
fn a_node_that_ends_of_a_signal_is_started_again() {
    let place = Place::new();
    let scenario = nodes(
        3,
        r#"[nemesis]
every = "300ms"
faults = { signal = { TERM = 1 } }
for = "100ms"
duration = "500ms"
target = "n2"
[[invariants]]
name = "it came back"
sometimes = { event = "up", at_least = 4 }
"#,
    );
    place.write("x.toml", &scenario);
    let text = stderr(&place.dsbench(&["run", "x.toml"]).success());
    assert!(text.contains("1 by the nemesis: 1 signal"), "{text}");
    assert!(text.contains("start n2 by the nemesis (fault 1)"), "{text}");
}

#[test]
fn a_deadline_sees_its_faults_like_those_of_steps() {
    let place = Place::new();
    let scenario = nodes(
        3,
        r#"[nemesis]
every = "200ms"
faults = { kill = 1 }
for = "700ms"
duration = "300ms"
heal_last = false
[[invariants]]
name = "back at once"
deadline = { from = "fault.kill", until = "up", limit = "300ms" }
"#,
    );
    place.write("x.toml", &scenario);
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(1));
    assert!(
        text.contains("after fault.kill (limit 300ms)") || text.contains("no up within 300ms of fault.kill"),
        "{text}"
    );
    assert!(text.contains("by the nemesis (fault 1)"), "{text}");
}

#[test]
fn a_ctrl_c_in_the_middle_of_faults_leaves_nothing() {
    let place = Place::new();
    place.write("x.toml", &nodes(5, &STORM.replace("1500ms", "50s")));
    let mut child = place.start(&["run", "x.toml"]);
    let storms = |place: &Place| place.read("out").matches("by the nemesis (fault").count() > 10;
    place.wait_until("faults come", storms);
    kill(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    place.wait_until_empty();
    let mut child = place.start(&["run", "x.toml"]);
    place.wait_until("faults come", storms);
    kill(child.id(), "KILL");
    child.wait().unwrap();
    place.wait_until_empty();
}

#[test]
fn an_end_step_does_not_wait_for_it() {
    let place = Place::new();
    let scenario = nodes(3, &format!("{}[[steps]]\nafter = \"500ms\"\nend = true\n", STORM.replace("1500ms", "50s")));
    place.write("x.toml", &scenario);
    let text = stderr(&place.dsbench(&["run", "x.toml"]).success());
    assert!(text.contains("ends the run: a step said so"), "{text}");
}
