//! The processes of a node: what prepares them, who waits for whom, what each may do by itself, and what is kept of their files.

use crate::support::{Place, kill, stderr, stdout};

fn run(place: &Place, text: &str, code: i32) -> String {
    place.write("x.toml", text);
    stderr(&place.dsbench(&["run", "x.toml"]).code(code))
}

/// A scenario of two nodes; `nodes` follows their command, and each is ready when it says so.
fn scenario(top: &str, nodes: &str) -> String {
    format!(
        r#"schema = 1
name = "processes"
timeout = "60s"
{top}
[nodes]
count = 2
command = ["sh", "-c", "echo up; exec sleep 1000"]
ready = {{ log = 'up' }}
stop = {{ grace = "200ms" }}
{nodes}
[events]
up = {{ log = '^up' }}
"#
    )
}

const SEEN: &str = "[[invariants]]\nsometimes = { event = \"up\", at_least = 2 }\n";

fn log(place: &Place, node: &str) -> String {
    place.read(&format!("logs/{node}_log.txt"))
}

#[test]
fn what_prepares_a_node_runs_once_as_the_node_and_into_its_log() {
    let place = Place::new();
    let nodes = r#"
env = { MINE = "of {name}" }
prepare = [["sh", "-c", "echo made by $DSBENCH_NODE $MINE | tee -a made; sleep 1000 & echo $! > daemon"], ["sh", "-c", "echo and >> made"]]
[nodes.process.aside]
command = ["sh", "-c", "cat made; exec sleep 1000"]
prepare = { commands = [["sh", "-c", "echo aside >> made"]], within = "5s" }
[[steps]]
kill = "peer1"
[[steps]]
restart = "peer1"
"#;
    run(&place, &(scenario("artifacts = \"made\"", nodes) + SEEN), 0);
    // Once, before everything of the node; that of a further process before that one alone.
    let made = std::fs::read_to_string(place.run_dir().join("artifacts/peer1/made")).unwrap();
    assert_eq!(made, "made by peer1 of peer1\nand\naside\n");
    let log = log(&place, "peer1");
    assert!(log.contains("[prepare] made by peer1 of peer1\n") && log.contains("[aside] aside\n"), "{log}");
    assert_eq!(log.matches("prepare started").count(), 3, "{log}");
}

#[test]
fn what_cannot_be_prepared_is_the_environment_with_its_last_words() {
    for (prepare, told) in [
        (
            "[[\"sh\", \"-c\", \"echo no space >&2; exit 3\"]]",
            "(prepare 1 of 1) ended with exit code 3; the last that it printed",
        ),
        ("[[\"true\"], [\"./no-such-program\"]]", "(prepare 2 of 2) could not be started"),
        (
            "{ commands = [[\"sh\", \"-c\", \"trap '' TERM; echo begun; while :; do sleep 1; done\"]], within = \"300ms\" }",
            "did not end within 300ms",
        ),
    ] {
        let place = Place::new();
        let said = run(&place, &(scenario("", &format!("prepare = {prepare}")) + SEEN), 5);
        assert!(said.contains("could not be started: `") && said.contains(told), "{told} is not in\n{said}");
        assert!(!log(&place, "peer1").contains("\nup\n"), "{said}");
    }
}

#[test]
fn a_ctrl_c_while_nodes_are_prepared_ends_the_run_and_a_kill_9_leaves_nothing() {
    for (signal, code) in [("INT", Some(130)), ("KILL", None)] {
        let place = Place::new();
        let prepare = "prepare = [[\"sh\", \"-c\", \"trap '' TERM; touch here; while :; do sleep 1; done\"]]";
        place.write("x.toml", &(scenario("", prepare) + SEEN));
        let mut child = place.start(&["run", "x.toml"]);
        let here = |place: &Place| place.path("logs/runs/latest/nodes/peer1/here").exists();
        place.wait_until("it is being prepared", here);
        kill(child.id(), signal);
        assert_eq!(child.wait().unwrap().code(), code);
        place.wait_until_empty();
    }
}

/// Every process writes its name into `order` when it starts, and is ready a little later.
const IN_TURN: &str = r#"
[nodes.process.last]
command = ["sh", "-c", "echo last >> order; echo ready; exec sleep 1000"]
ready = { log = '^ready' }
after = ["main", "first"]
[nodes.process.first]
command = ["sh", "-c", "echo first >> order; sleep 0.2; echo first >> order; echo ready; exec sleep 1000"]
ready = { log = '^ready' }
before = "main"
"#;

#[test]
fn the_processes_of_a_node_start_one_when_the_other_is_ready_also_when_they_are_restarted() {
    let place = Place::new();
    let steps = "[[steps]]\nkill = \"peer2\"\n[[steps]]\nrestart = \"peer2\"\n";
    let text = scenario("artifacts = \"order\"", &format!("{IN_TURN}{steps}"))
        .replace("\"echo up; exec", "\"echo main >> order; sleep 0.1; echo main >> order; echo up; exec");
    run(&place, &(text + SEEN), 0);
    let order =
        |node: &str| std::fs::read_to_string(place.run_dir().join("artifacts").join(node).join("order")).unwrap();
    let once = "first\nfirst\nmain\nmain\nlast\n";
    assert_eq!((order("peer1"), order("peer2")), (once.to_owned(), once.repeat(2)));
    let planned = place.dsbench(&["plan", "x.toml"]).success();
    assert!(stdout(&planned).contains("starts after main, first"), "{}", stdout(&planned));
}

#[test]
fn a_process_whose_elder_does_not_come_up_is_not_started() {
    let place = Place::new();
    let text = scenario("", IN_TURN).replace("log = '^ready'", "log = '^never', within = \"300ms\"");
    let said = run(&place, &(text + SEEN), 5);
    assert!(said.contains("did not become ready"), "{said}");
    assert!(!log(&place, "peer1").contains("up\n") && !log(&place, "peer1").contains("last started"), "{said}");
}

#[test]
fn a_process_may_end_by_itself_as_the_scenario_expects_and_in_no_other_way() {
    let judged = |exits: &str, ends: &str| {
        let place = Place::new();
        let nodes = format!(
            "[nodes.process.job]\ncommand = [\"sh\", \"-c\", \"sleep 0.1; {ends}\"]\nexits = {exits}\n\
             [[steps]]\nafter = \"500ms\"\nmark = \"x\"\n"
        );
        place.write("x.toml", &(scenario("", &nodes) + SEEN));
        let done = place.command(&["run", "x.toml"]).output().unwrap();
        let again = place.command(&["recheck"]).output().unwrap();
        assert!(String::from_utf8_lossy(&again.stderr).contains("byte for byte"));
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    for (exits, ends, code, told) in [
        ("0", "exit 0", 0, "2 ended as expected"),
        ("[0, 3]", "exit 3", 0, "2 ended as expected"),
        ("\"may\"", "exit 9", 0, "2 ended as expected"),
        ("\"may\"", "kill -SEGV $$", 1, "ended by itself: signal 11"),
        ("0", "exit 1", 1, "ended by itself: exit code 1 (expected: with 0)"),
        ("\"never\"", "exit 0", 1, "ended by itself: exit code 0"),
    ] {
        let (found, said) = judged(exits, ends);
        assert!(found == Some(code) && said.contains(told), "{exits} and {ends}: {found:?}\n{said}");
    }
}

#[test]
fn a_job_that_must_end_is_waited_for_and_judged_by_its_time() {
    let job = |ends: &str, within: &str| {
        format!(
            "[nodes.process.job]\ncommand = [\"sh\", \"-c\", \"{ends}\"]\nbefore = \"main\"\nexits = {{ codes = 0, within = \"{within}\" }}\n"
        )
    };
    // The main process starts when the job is done: it is what the job has made.
    let place = Place::new();
    let text = scenario("", &job("sleep 0.3; touch done", "30s")).replace("\"echo up;", "\"test -e done && echo up;");
    let said = run(&place, &(text + SEEN), 0);
    assert!(said.contains("2 ended as expected"), "{said}");
    // One that does not end, or ends wrong, is an environment that is not what it should be.
    for (ends, within, told) in [
        ("exec sleep 1000", "200ms", "for it to end by itself"),
        ("exit 3", "30s", "ended with exit code 3 before it was ready"),
    ] {
        let place = Place::new();
        let said = run(&place, &(scenario("", &job(ends, within)) + SEEN), 5);
        assert!(said.contains(told), "{said}");
    }
    // Where it has a readiness of its own, the run goes on until its time is over.
    let place = Place::new();
    let late = job("echo ready; exec sleep 1000", "1s") + "ready = '^ready'\n[[steps]]\nmark = \"x\"\n";
    let said = run(&place, &(scenario("", &late) + SEEN), 1);
    assert!(said.contains("/job had not ended by itself (1s from its start)"), "{said}");
}

#[test]
fn each_process_has_bounds_of_its_own() {
    let place = Place::new();
    let steps = "rss_max = \"1KiB\"\n[[steps]]\nafter = \"700ms\"\nmark = \"measured\"\n";
    let said = run(&place, &(scenario("", steps) + SEEN), 1);
    assert!(said.contains("of memory (at most 1KiB)"), "{said}");
    let roomy = "[[steps]]\nafter = \"700ms\"\nmark = \"measured\"\n[[invariants]]\nprocess = { rss_max = \"1KiB\" }\n";
    run(&place, &(scenario("", &format!("rss_max = \"1GiB\"\nopen_files_max = 1000\n{roomy}")) + SEEN), 0);
}

#[test]
fn artifacts_are_kept_on_every_end_and_what_is_left_out_is_named() {
    let nodes = "[[steps]]\nSTEP\n";
    let command = "\"mkdir -p js/deep; echo of {name} > js/deep/a.json; echo no > other; ln -s /etc/passwd js/link; mkfifo js/pipe; \
                   dd if=/dev/zero of=js/big bs=1024 count=100 2>/dev/null; echo up; exec";
    let top = "artifacts = { paths = [\"{data_dir}/js/**\"], size_max = \"50KiB\" }";
    let text = scenario(top, nodes).replace("\"echo up; exec", command) + SEEN;
    for (step, code) in [
        ("mark = \"x\"", 0),
        ("expect = { event = \"up\", at_least = 99 }\nwithin = \"100ms\"", 1),
        ("exec = [\"false\"]", 3),
    ] {
        let place = Place::new();
        let said = run(&place, &text.replace("STEP", step), code);
        let kept = place.run_dir().join("artifacts");
        for node in ["peer1", "peer2"] {
            assert_eq!(
                std::fs::read_to_string(kept.join(node).join("js/deep/a.json")).unwrap(),
                format!("of {node}\n")
            );
            for left in ["js/link", "js/pipe", "js/big"] {
                assert!(
                    !kept.join(node).join(left).exists() && said.contains(&format!("left out {node}/{left}: ")),
                    "{said}"
                );
            }
            assert!(!kept.join(node).join("other").exists());
        }
        assert!(said.contains("artifacts: 2 files"), "{said}");
        assert_eq!(place.run_json()["artifacts"]["files"], 2);
        let shown = stdout(&place.dsbench(&["show"]).success());
        assert!(shown.contains("artifacts: 2 files"), "{shown}");
    }
    let place = Place::new();
    place.write("x.toml", &text.replace("STEP", "after = \"50s\"\nmark = \"x\""));
    let mut child = place.start(&["run", "x.toml"]);
    place.wait_until("the nodes are ready", |place| place.read("out").contains("all nodes are ready"));
    kill(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    place.wait_until_empty();
    assert!(place.run_dir().join("artifacts/peer1/js/deep/a.json").exists());
    let place = Place::new();
    let said = run(&place, &(scenario("artifacts = \"nothing/**\"", "") + SEEN), 0);
    assert!(said.contains("artifacts: none; no file that could be kept fits nothing/**"), "{said}");
}

#[test]
fn the_time_in_which_a_starting_node_is_frozen_does_not_count_against_it() {
    let place = Place::new();
    let text = scenario("", "")
        .replace("\"echo up; exec", "\"echo boot {life}; sleep 0.3; echo up; exec")
        .replace("log = 'up' }", "log = 'up', within = \"2s\" }")
        .replace("[events]", "[events]\nboot = { log = 'boot (?<life>\\d+)', fields = { life = \"int\" } }");
    let steps = r#"
[[steps]]
kill = "peer1"
for = "10ms"
[[steps]]
wait = { event = "boot", where = { life = 2 } }
[[steps]]
pause = "peer1"
[[steps]]
after = "2500ms"
resume = "peer1"
[[steps]]
expect = { event = "up", from = "peer1" }
within = "10s"
"#;
    let said = run(&place, &format!("{text}{steps}{SEEN}"), 0);
    assert!(!said.contains("NOT BACK"), "{said}");
}

#[test]
fn one_node_that_does_not_come_back_does_not_hide_what_becomes_of_the_others() {
    let place = Place::new();
    let text = scenario("", "").replace(
        "\"echo up; exec",
        "\"if test -e was; then test {name} = peer1 && exit 4; sleep 0.7; fi; touch was; echo up; exec",
    );
    let steps = r#"
[[steps]]
kill = "all"
[[steps]]
restart = "killed"
[[steps]]
mark = "after it"
[[invariants]]
process = { exit = "any" }
"#;
    let said = run(&place, &format!("{text}{steps}{SEEN}"), 1);
    assert!(said.contains("step 2 (restart killed) did not come back: peer1: ended with exit code 4"), "{said}");
    let history = std::fs::read_to_string(place.run_dir().join("history.jsonl")).unwrap();
    let at = |part: &str| history.find(part).unwrap_or_else(|| panic!("{part} is not in\n{history}"));
    let back = at(r#""process":{"node":"peer2","life":2,"change":"ready"}"#);
    assert!(back < at(r#""step":{"step":1,"state":"done"}"#), "the step waits for the other node, too");
}
