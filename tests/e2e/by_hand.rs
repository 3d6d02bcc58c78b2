//! Clusters that are launched to be looked at: `up`, and what other terminals do with them.

use std::path::PathBuf;

use crate::support::{Place, kill, processes_in, stderr, stdout};

/// Three nodes that repeat what is typed; each says how often it was started.
const ECHO: &str = r#"schema = 1
name = "echo"
timeout = "1s"
[nodes]
count = 3
command = ["sh", "-c", "trap 'echo hung up' HUP; echo up {life}; while :; do if read line; then echo \"heard $line\"; test \"$line\" = die && exit 7; fi; done"]
ready = { log = 'up' }
stop = { signal = "TERM", grace = "200ms" }
[events]
up = { log = 'up (?<life>\d+)', fields = { life = "int" } }
heard = { log = 'heard (?<what>.+)' }
led = { log = 'heard lead' }
[roles]
leader = { last = "led" }
[[steps]]
mark = "steps are not performed"
[[invariants]]
sometimes = { event = "led", at_least = 99 }
"#;

fn launched() -> Place {
    let place = Place::new();
    place.write("x.toml", ECHO);
    place.beside(&["up", "-d", "x.toml"]).success();
    place
}

/// The line of a node in `ps`, its columns one space apart.
fn node(place: &Place, name: &str) -> String {
    let ps = stdout(&place.beside(&["ps"]).success());
    let line = ps.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_else(|| panic!("{ps}"));
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn log(place: &Place, node: &str) -> String {
    place.read(&format!("logs/{node}_log.txt"))
}

#[test]
fn a_cluster_is_acted_on_from_other_terminals_until_it_is_taken_down() {
    let place = launched();
    assert!(node(&place, "peer2").starts_with("peer2 up "), "{}", node(&place, "peer2"));
    let killed = place.beside(&["kill", "peer2"]).success();
    assert_eq!(stderr(&killed).trim(), "kill peer2");
    assert!(node(&place, "peer2").contains("killed"));
    place.beside(&["restart", "killed"]).success();
    // It was answered when peer2 was ready again.
    assert!(log(&place, "peer2").contains("up 2"));
    place.beside(&["input", "peer3", "lead"]).success();
    place.wait_until("peer3 has heard it", |place| log(place, "peer3").contains("heard lead"));
    place.wait_until("the role is seen", |place| node(place, "peer3").contains("leader"));
    place.beside(&["pause", "leader"]).success();
    assert!(node(&place, "peer3").contains("paused"));
    place.beside(&["resume", "paused"]).success();
    place.beside(&["signal", "HUP", "all", "!peer1"]).success();
    place.wait_until("the signal has arrived", |place| log(place, "peer3").contains("hung up"));
    assert!(!log(&place, "peer1").contains("hung up"));
    let logs = stdout(&place.beside(&["logs"]).success());
    assert!(logs.contains("peer3   | heard lead"), "{logs}");
    let one = stdout(&place.beside(&["logs", "-n", "1", "peer1"]).success());
    assert_eq!(one.trim(), "up 1");
    let down = place.dsbench(&["down"]).success();
    assert!(stderr(&down).contains("nothing of it is left"));
    let history = std::fs::read_to_string(place.run_dir().join("history.jsonl")).unwrap();
    assert!(history.contains("\"by_hand\":true") && !history.contains("\"step\""), "{history}");
    assert!(!place.run_dir().join("control").exists());
    let shown = stdout(&place.dsbench(&["show"]).success());
    assert!(shown.contains("launched by `dsbench up`") && shown.contains("kill peer2 by hand"), "{shown}");
    let recheck = place.dsbench(&["recheck"]).code(2);
    assert!(stderr(&recheck).contains("nothing of it is judged"));
}

#[test]
fn what_cannot_be_done_is_told_with_what_to_do_instead() {
    let place = launched();
    for (args, part) in [
        (&["kill", "pear1"][..], "did you mean `peer1`?"),
        (&["kill", "leader"], "no event has named a leader yet"),
        (&["restart", "killed"], "nobody at this moment"),
        (&["signal", "KILL", "peer1"], "the verb `kill` does that"),
        (&["partition", "peer1", "|", "peer2"], "network laboratory"),
        (&["logs", "peer4"], "no node is called `peer4`"),
        (&["kill", "peer1", "--run", "another"], "no cluster that is up fits `another`"),
    ] {
        let refused = place.beside(args).failure();
        assert!(stderr(&refused).contains(part), "{args:?}: {}", stderr(&refused));
    }
    place.dsbench(&["down", "--now"]).success();
    let nobody = place.dsbench(&["kill", "peer1"]).code(4);
    assert!(stderr(&nobody).contains("dsbench up SCENARIO"));
}

#[test]
fn a_node_that_ends_by_itself_is_told_and_the_cluster_goes_on() {
    let place = launched();
    place.beside(&["input", "peer1", "die"]).success();
    place.wait_until("its end is seen", |place| node(place, "peer1").contains("EXITED - exit code 7"));
    assert!(node(&place, "peer2").contains("up"));
    place.beside(&["start", "peer1"]).success();
    assert!(node(&place, "peer1").starts_with("peer1 up "));
    place.dsbench(&["down"]).success();
}

#[test]
fn a_cluster_that_cannot_start_is_told_why_and_leaves_nothing() {
    let place = Place::new();
    let broken = ECHO.replace("trap", "echo port taken >&2; exit 3; trap");
    place.write("x.toml", &broken);
    for args in [&["up", "x.toml"][..], &["up", "-d", "x.toml"]] {
        let failed = place.dsbench(args).code(5);
        assert!(stderr(&failed).contains("port taken"), "{}", stderr(&failed));
    }
    place.write("y.toml", &ECHO.replace("\"sh\"", "\"no-such-program\""));
    let failed = place.dsbench(&["up", "-d", "y.toml"]).code(5);
    assert!(stderr(&failed).contains("no-such-program"), "{}", stderr(&failed));
}

#[test]
fn in_the_foreground_it_ends_with_its_terminal_however_that_ends() {
    for (signal, code) in [("TERM", Some(143)), ("INT", Some(130)), ("KILL", None)] {
        let place = Place::new();
        place.write("x.toml", ECHO);
        let mut child = place.start(&["up", "x.toml"]);
        place.wait_until("all nodes are ready", |place| place.read("out").contains("all nodes are ready"));
        place.wait_until("logs are shown", |place| place.read("out").contains("peer3   | up 1"));
        place.beside(&["kill", "peer1"]).success();
        place.wait_until("what is done is shown", |place| place.read("out").contains("kill peer1"));
        kill(child.id(), signal);
        assert_eq!(child.wait().unwrap().code(), code);
        place.wait_until_empty();
    }
}

#[test]
fn one_who_launched_it_is_told_that_another_terminal_has_ended_it() {
    let place = Place::new();
    place.write("x.toml", ECHO);
    let mut child = place.start(&["up", "x.toml"]);
    place.wait_until("all nodes are ready", |place| place.read("out").contains("all nodes are ready"));
    place.dsbench(&["down"]).success();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// The process that holds the cluster.
fn holder(place: &Place) -> u32 {
    let json = stdout(&place.beside(&["ps", "--json"]).success());
    let status: serde_json::Value = serde_json::from_str(&json).expect("`ps --json` is JSON");
    status[0]["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("`ps --json` names the process")
}

#[test]
fn kill_9_of_the_process_that_holds_a_cluster_leaves_nothing_and_is_told() {
    let place = launched();
    kill(holder(&place), "KILL");
    place.wait_until_empty();
    let ps = place.dsbench(&["ps"]).success();
    assert!(stderr(&ps).contains("was up when its dsbench was killed"), "{}", stderr(&ps));
    let down = place.dsbench(&["down"]).code(4);
    assert!(stderr(&down).contains("was up when its dsbench was killed"));
    // What is dead does not stand in the way of the next one.
    place.beside(&["up", "-d", "x.toml"]).success();
    place.dsbench(&["down"]).success();
}

#[test]
fn a_cluster_that_nobody_can_reach_any_more_ends() {
    let place = launched();
    std::fs::remove_dir_all(place.path("logs")).unwrap();
    place.wait_until_empty();
}

#[test]
fn of_several_clusters_the_one_that_is_meant_must_be_said() {
    let place = launched();
    place.write("y.toml", &ECHO.replace("name = \"echo\"", "name = \"other\""));
    place.beside(&["up", "-d", "y.toml"]).success();
    let which = place.beside(&["kill", "peer1"]).code(2);
    assert!(stderr(&which).contains("2 clusters are up") && stderr(&which).contains("--run logs/runs/other/"));
    place.beside(&["kill", "peer1", "--run", "other"]).success();
    place.beside(&["down", "--run", "other"]).success();
    assert!(node(&place, "peer1").contains("up"));
    place.dsbench(&["down"]).success();
}

#[test]
fn somebody_who_follows_the_logs_sees_new_lines_and_the_end() {
    let place = launched();
    let out = place.path("followed");
    let file = std::fs::File::create(&out).unwrap();
    let mut follow = place.command(&["logs", "-f", "-n", "0", "peer1", "peer2"]).stdout(file).spawn().unwrap();
    let followed = |out: &PathBuf| std::fs::read_to_string(out).unwrap();
    // Once a first line is there, it follows.
    place.wait_until("it follows", |place| {
        place.beside(&["input", "peer1", "ping"]).success();
        followed(&out).contains("peer1   | heard ping")
    });
    place.beside(&["input", "all", "last words"]).success();
    place.wait_until("peer2 has heard them", |place| log(place, "peer2").contains("heard last words"));
    place.beside(&["down"]).success();
    assert!(follow.wait().unwrap().success());
    place.wait_until_empty();
    let text = followed(&out);
    assert!(text.contains("peer2   | heard last words") && !text.contains("peer3"), "{text}");
    assert!(!text.contains("up 1"), "{text}");
}

#[test]
fn the_socket_is_for_its_owner_alone() {
    use std::os::unix::fs::MetadataExt as _;
    let place = launched();
    let control = place.run_dir().join("control");
    for (path, mode) in [(control.clone(), 0o700), (control.join("socket"), 0o600)] {
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, mode, "{}", path.display());
    }
    place.dsbench(&["down"]).success();
    assert_eq!(processes_in(&place.path("")), []);
}

#[test]
fn a_long_path_is_no_hindrance() {
    let place = Place::new();
    let deep = place.path(&"d".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    place.write("x.toml", ECHO);
    let run = |args: &[&str]| place.command(args).current_dir(&deep).status().unwrap().success();
    assert!(run(&["up", "-d", "../x.toml"]));
    assert!(run(&["kill", "peer1"]));
    assert!(run(&["down"]));
    place.wait_until_empty();
}
