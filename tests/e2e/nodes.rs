//! What a node can be: several processes, files, ports, standard input, its own environment; and what steps do with it.

use crate::support::{Place, stderr};

/// Runs a scenario and gives what it said, whatever the verdict.
fn run(place: &Place, text: &str, code: i32) -> String {
    place.write("x.toml", text);
    stderr(&place.dsbench(&["run", "x.toml"]).code(code))
}

#[test]
fn a_process_of_a_node_is_killed_and_restarted_alone() {
    let place = Place::new();
    let scenario = r#"schema = 1
name = "pairs"
timeout = "60s"
[nodes]
count = 2
name = "redis{id}"
command = ["sh", "-c", "echo main of {name}; while :; do sleep 1; done"]
ready = { log = 'main of' }
[nodes.process.sentinel]
command = ["sh", "-c", "echo sentinel of {name} life {life}; while :; do sleep 1; done"]
ready = { log = 'sentinel of' }
[events]
main = { log = 'main of', process = "main" }
watches = { log = 'sentinel of \w+ life (?<life>\d+)', fields = { life = "int" }, process = "sentinel" }
[[steps]]
wait = [{ event = "main", at_least = 2 }, { event = "watches", at_least = 2 }]
[[steps]]
kill = "redis1/sentinel"
[[steps]]
restart = "redis1/sentinel"
[[steps]]
expect = { event = "watches", where = { life = 2 }, from = "redis1", since = "start" }
within = "10s"
[[invariants]]
name = "no main process started twice"
never = { event = "main", since = "end" }
[[steps]]
name = "end"
mark = "end"
"#;
    run(&place, scenario, 0);
    let log = place.read("logs/redis1_log.txt");
    assert!(log.contains("sentinel of redis1 life 2") && log.matches("main of redis1").count() == 1, "{log}");
}

#[test]
fn files_are_written_once_with_placeholders_and_the_environment_is_clean() {
    let place = Place::new();
    let scenario = r#"schema = 1
name = "files"
timeout = "60s"
[nodes]
count = 2
command = ["sh", "-c", "cat my.conf; pwd; env | sort | sed 's/^/env /'; echo changed > my.conf; echo done; while :; do sleep 1; done"]
ports = ["client", "peer"]
env = { MINE = "{name}" }
[nodes.files]
"my.conf" = """
me {name} client {addr.client} other {peer2.addr.peer} brace {x}
"""
[events]
done = { log = '^done' }
[[steps]]
wait = { event = "done", at_least = 2 }
[[steps]]
kill = "peer1"
[[steps]]
restart = "peer1"
[[steps]]
expect = { event = "done", from = "peer1" }
within = "10s"
"#;
    place.write("x.toml", scenario);
    let run = place.command(&["run", "x.toml"]).env("SECRET_OF_THE_SHELL", "1").output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let log = place.read("logs/peer1_log.txt");
    assert!(log.contains("me peer1 client 127.0.0.1:") && log.contains("brace {x}"), "{log}");
    assert!(
        log.contains("/nodes/peer1\n") && log.contains("env MINE=peer1") && log.contains("env DSBENCH_NODE=peer1"),
        "{log}"
    );
    assert!(!log.contains("SECRET_OF_THE_SHELL"), "{log}");
    assert!(log.contains("\nchanged\n"), "a restart must not write the file again:\n{log}");
}

#[test]
fn lines_are_typed_into_a_node_and_answered() {
    let place = Place::new();
    let scenario = r#"schema = 1
name = "typing"
timeout = "60s"
[nodes]
count = 2
command = ["sh", "-c", "echo up; while read line; do echo heard $line; done; echo eof"]
ready = { log = 'up' }
[events]
heard = { log = 'heard (?<what>.*)', fields = { what = "text" } }
[[steps]]
input = ["one", "two of {nodes.count}"]
every = "10ms"
to = "peer2"
[[steps]]
expect = { event = "heard", from = "peer2", where = { what = "two of 2" } }
within = "10s"
[[invariants]]
name = "only peer2 heard it"
never = { event = "heard", from = "peer1" }
"#;
    run(&place, scenario, 0);
}

#[test]
fn commands_run_as_nodes_or_from_the_bench_and_their_exit_code_counts() {
    let place = Place::new();
    let scenario = r#"schema = 1
name = "commands"
timeout = "60s"
[nodes]
count = 2
command = ["sh", "-c", "echo up; while :; do sleep 1; done"]
ready = { exec = ["test", "-d", "."] }
[events]
said = { log = 'helper of (?<who>\w+)', fields = { who = "node" } }
[[steps]]
exec = ["sh", "-c", "echo helper of $DSBENCH_NODE; pwd | grep -q nodes/$DSBENCH_NODE"]
on = "all"
[[steps]]
expect = { event = "said", each = "all" }
within = "1s"
[[steps]]
exec = ["sh", "-c", "exit 3"]
exit = 3
[[steps]]
wait = { exec = ["test", "-e", "x.toml"] }
within = "5s"
[[steps]]
exec = ["sh", "-c", "echo no such valve >&2; exit 1"]
[[invariants]]
sometimes = { event = "said", at_least = 2 }
"#;
    let said = run(&place, scenario, 3);
    assert!(said.contains("no such valve"), "{said}");
    assert!(said.contains("x.toml:"), "the step's line is named:\n{said}");
}

#[test]
fn a_command_that_prints_too_much_as_a_node_leaves_nothing_open_that_could_pass() {
    let place = Place::new();
    let scenario = r#"schema = 1
name = "talkative"
timeout = "60s"
[nodes]
count = 1
name = "peer{id}"
command = ["sh", "-c", "echo up; while :; do sleep 1; done"]
[events]
said = { log = 'said' }
[[steps]]
exec = ["sh", "-c", "echo said; seq 20000"]
on = "peer1"
[[invariants]]
never = { event = "said" }
"#;
    let said = run(&place, scenario, 3);
    assert!(said.contains("on peer1: it printed more than 64 KiB"), "{said}");
    run(&place, &scenario.replace("on = \"peer1\"\n", "").replace("never = { event = \"said\" }", "process = {}"), 0);
}

#[test]
fn a_port_that_opens_makes_a_node_ready_and_one_that_does_not_is_named() {
    let place = Place::new();
    let scenario = r#"schema = 1
name = "ports"
timeout = "60s"
[nodes]
count = 3
name = "peer{id}"
command = ["{node}", "sensor", "--id", "{name}", "--listen", "{addr}", "--peers", "{peers}", "--data", "{data_dir}"]
ready = { tcp = "{addr}", within = "10s" }
[events]
preset = "node"
[[steps]]
wait = { event = "listening", at_least = 3, since = "start" }
[[invariants]]
sometimes = { event = "listening", at_least = 3 }
"#;
    run(&place, scenario, 0);
    let deaf = scenario.replace("[\"{node}\", \"sensor\", \"--id\", \"{name}\", \"--listen\", \"{addr}\", \"--peers\", \"{peers}\", \"--data\", \"{data_dir}\"]", "[\"sh\", \"-c\", \"while :; do sleep 1; done\"]");
    let said = run(&place, &deaf.replace("\"10s\"", "\"300ms\""), 5);
    assert!(said.contains("a connection to 127.0.0.1:"), "{said}");
}

#[test]
fn a_for_undoes_what_its_step_did_while_the_next_steps_go_on() {
    let place = Place::new();
    let scenario = r#"schema = 1
name = "undo"
timeout = "60s"
[nodes]
count = 2
command = ["sh", "-c", "echo up; while :; do echo beat; sleep 0.05; done"]
ready = { log = 'up' }
[events]
up = { log = 'up' }
beat = { log = 'beat' }
[[steps]]
pause = "peer1"
for = "300ms"
[[steps]]
kill = "peer2"
for = "300ms"
[[steps]]
expect = { event = "beat", from = "peer1" }
within = "10s"
[[steps]]
expect = { event = "up", from = "peer2" }
within = "10s"
[[invariants]]
sometimes = { event = "up", at_least = 3 }
"#;
    let said = run(&place, scenario, 0);
    assert!(said.contains("resume peer1") && said.contains("restart peer2"), "{said}");
}

#[test]
fn a_log_file_is_read_like_an_output_also_when_it_is_rotated() {
    let place = Place::new();
    let scenario = r#"schema = 1
name = "followed"
timeout = "60s"
[groups.server]
count = 2
command = ["sh", "-c", "log() { echo \"$1\" >> log/server.log; }; mkdir -p log; echo on the terminal; log \"ready life {life}\"; while read -r word; do mv log/server.log log/server.log.1; log \"got $word\"; done"]
ready = { log = 'ready life' }
[groups.server.logs]
file = "{data_dir}/log/server.log"
[groups.other]
count = 1
command = ["sh", "-c", "ln -s /etc/passwd out.log; echo up; while :; do sleep 1; done"]
ready = { log = 'up' }
logs = { file = "out.log" }
[events]
ready = { log = 'ready life (?<n>\d+)', fields = { n = "int" }, stream = "file" }
got = { log = 'got (?<word>\w+)', stream = "file" }
terminal = { log = 'on the terminal', stream = "file" }
root = 'root:'
[[steps]]
input = ["one", "two"]
to = "server"
[[steps]]
expect = { event = "got", each = "server", where = { word = "two" } }
[[steps]]
restart = "server1"
[[steps]]
expect = { event = "ready", from = "server1", where = { n = 2 } }
[[invariants]]
name = "a file and an output are told apart"
never = "terminal"
[[invariants]]
name = "nobody else's file is read"
never = "root"
[[invariants]]
name = "nobody gets two"
never = { event = "got", where = { word = "two" } }
"#;
    let said = run(&place, scenario, 1);
    assert!(said.contains("other1: out.log: it is a link that leads out of the data directory"), "{said}");
    let evidence = ["server1", "server2"].map(|node| {
        let log = place.read(&format!("logs/{node}_log.txt"));
        let two = log.lines().position(|line| line == "[log/server.log] got two").expect("it is in the readable log");
        assert!(log.contains("\non the terminal\n") && log.contains("another file has its name"), "{log}");
        format!("logs/{node}_log.txt:{}", two + 1)
    });
    assert!(evidence.iter().any(|line| said.contains(line)), "none of {evidence:?} in\n{said}");
    let raw = std::fs::read(place.run_dir().join("logs/raw/server2.main.1.file.log+server.log")).unwrap();
    assert_eq!(raw, b"ready life 1\ngot one\ngot two\n");
    let verdict = std::fs::read(place.run_dir().join("verdict.json")).unwrap();
    place.dsbench(&["recheck"]).code(1);
    assert_eq!(std::fs::read(place.run_dir().join("verdict.json")).unwrap(), verdict);
}
