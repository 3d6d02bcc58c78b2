//! Several kinds of nodes in one scenario: groups as targets, partners, the order of their starts, and nodes that differ.

use serde_json::Value;

use crate::support::{Place, stderr, stdout};

/// Runs a scenario and gives what it said and its history, whatever the verdict.
fn run(place: &Place, text: &str, code: i32) -> (String, Vec<Value>) {
    place.write("x.toml", text);
    let said = stderr(&place.dsbench(&["run", "x.toml"]).code(code));
    let history = std::fs::read_to_string(place.run_dir().join("history.jsonl")).expect("the history was stored");
    (said, history.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect())
}

/// The position in the history at which a process came to this.
fn position(history: &[Value], node: &str, change: &str) -> usize {
    let is_it = |line: &Value| {
        let (of, what) = (&line["process"]["node"], &line["process"]["change"]);
        of == node && (what == change || what.get(change).is_some())
    };
    history.iter().position(is_it).unwrap_or_else(|| panic!("{node} was never {change}: {history:#?}"))
}

/// Whom the first action of a verb hit.
fn hit(history: &[Value], verb: &str) -> Vec<String> {
    let action = history.iter().map(|line| &line["action"]).find(|action| action["verb"] == verb);
    let action = action.unwrap_or_else(|| panic!("nothing did `{verb}`: {history:#?}"));
    let word = |life: &Value, key: &str| life[key].as_str().unwrap_or_default().to_owned();
    let hit = action["hit"].as_array().into_iter().flatten();
    hit.map(|life| format!("{}/{}", word(life, "node"), word(life, "process"))).collect()
}

/// Servers show what lies in their box; each client puts its name into the box of its server. Server 3 is of another make.
const SERVERS_AND_CLIENTS: &str = r#"schema = 1
name = "post"
timeout = "60s"

[groups.server]
count = 3
command = ["sh", "-c", "mkdir box; echo open of {groups.server.count}, others {vars.others}; while :; do for letter in box/*; do [ -e $letter ] && echo letter from $(basename $letter) && rm $letter; done; sleep 0.05; done"]
ready = { log = 'open' }
vars = { others = { each = "{name}", of = "others", join = "+" } }

[groups.client]
count = 3
name = "c{id}"
ports = ["ui"]
command = ["sh", "-c", "echo up of {nodes.count}, peers of {vars.peers}; while :; do touch {vars.box}/{name}; sleep 0.05; done"]
ready = { log = 'up' }
after = "server"

[groups.client.vars]
box = { each = "{data_dir}/box", of = "server{id}" }
peers = { each = "{name}", of = "client", join = "," }

[override.server3]
command = ["sh", "-c", "mkdir box; echo open, made by $MAKER; while :; do for letter in box/*; do [ -e $letter ] && echo letter from $(basename $letter) && rm $letter; done; sleep 0.05; done"]
env = { MAKER = "another" }

[events]
opens = { log = 'open' }
gets = { log = 'letter from (?<who>\w+)', fields = { who = "node" } }
is_another = { log = 'made by another' }
counts = { log = 'up of 6, peers of c1,c2,c3' }
knows = { log = 'open of 3, others server(1\+server3|2\+server3)' }
"#;

#[test]
fn clients_find_their_servers_and_a_group_is_hit_as_one() {
    let place = Place::new();
    let scenario = format!(
        r#"{SERVERS_AND_CLIENTS}
[[steps]]
wait = [{{ event = "gets", each = "server" }}, {{ event = "counts", each = "client" }}, {{ event = "knows", each = ["server", "!server3"] }}]
[[steps]]
expect = [{{ event = "gets", from = "server1", where = {{ who = "c1" }} }}, {{ event = "gets", from = "server3", where = {{ who = "c3" }} }}]
[[steps]]
kill = "server"
[[steps]]
restart = "killed"
[[steps]]
expect = {{ event = "opens", each = "server" }}
[[steps]]
pause = {{ minority = "client" }}
[[steps]]
stop = ["all", "!client"]
[[invariants]]
name = "each server hears of its own client only"
never = {{ event = "gets", from = "server2", where = {{ who = ["client", "!c2"] }} }}
[[invariants]]
name = "one server is another"
eventually = {{ event = "is_another", from = "server3", within = "10s" }}
[[invariants]]
never = {{ event = "is_another", from = "!server3" }}
"#
    );
    let (said, history) = run(&place, &scenario, 0);
    assert_eq!(hit(&history, "kill"), ["server1/main", "server2/main", "server3/main"], "{said}");
    assert_eq!(hit(&history, "stop"), ["server1/main", "server2/main", "server3/main"], "{said}");
    assert!(hit(&history, "pause").len() == 1 && hit(&history, "pause")[0].starts_with('c'), "{said}");
    let last_open = (1..=3).map(|id| position(&history, &format!("server{id}"), "ready")).max();
    let first_client = (1..=3).map(|id| position(&history, &format!("c{id}"), "started")).min();
    assert!(last_open < first_client, "clients start when the servers are ready");
}

#[test]
fn who_does_not_start_by_itself_waits_for_a_step_that_names_it() {
    let place = Place::new();
    let scenario = r#"schema = 1
name = "starts"
timeout = "60s"
[groups.first]
count = 3
command = ["sh", "-c", "echo up; while :; do sleep 1; done"]
ready = { log = 'up' }
start = ["first2", "first1"]
[groups.second]
count = 3
command = ["sh", "-c", "echo up; while :; do sleep 1; done"]
ready = { log = 'up' }
[override.second2]
start = "manual"
[groups.third]
count = 2
command = ["sh", "-c", "echo up; while :; do sleep 1; done"]
ready = { log = 'up' }
start = "manual"
[events]
up = 'up'
[[steps]]
start = ["third2", "second", "first"]
[[steps]]
expect = { event = "up", each = ["first", "second", "third2"], since = "start" }
[[invariants]]
sometimes = { event = "up", at_least = 7 }
"#;
    let (said, history) = run(&place, scenario, 0);
    assert!(!history.iter().any(|line| line["process"]["node"] == "third1"), "nobody has started it: {said}");
    let at = |node, change| position(&history, node, change);
    assert!(at("first2", "ready") < at("first1", "started"), "{said}");
    for (earlier, later) in [("first1", "third2"), ("second1", "third2"), ("third2", "second2"), ("second2", "first3")]
    {
        assert!(at(earlier, "ready") < at(later, "started"), "{earlier}, {later}: {said}");
    }
    assert_eq!(hit(&history, "start"), [""; 0], "nothing of them was alive");
}

#[test]
fn a_process_that_only_one_node_has_is_part_of_it() {
    let place = Place::new();
    let scenario = r#"schema = 1
name = "extra"
timeout = "60s"
[nodes]
count = 2
command = ["sh", "-c", "echo main {vars.size}; while :; do sleep 1; done"]
ready = { log = 'main' }
vars = { size = "small" }
[override.peer2]
vars = { size = "large" }
[override.peer2.process.spy]
command = ["sh", "-c", "echo spying; while :; do sleep 1; done"]
ready = { log = 'spying' }
[events]
large = 'main large'
small = 'main small'
spies = { log = 'spying', process = "spy" }
[[steps]]
wait = [{ event = "spies", from = "peer2" }, { event = "large", from = "peer2" }, { event = "small", from = "peer1" }]
[[steps]]
kill = "all/spy"
[[steps]]
restart = "peer2/spy"
[[steps]]
expect = { event = "spies", at_least = 2, since = "start" }
[[invariants]]
never = { event = "spies", from = "peer1" }
"#;
    let (_, history) = run(&place, scenario, 0);
    assert_eq!(hit(&history, "kill"), ["peer2/spy"]);
    assert!(place.read("logs/peer2_log.txt").contains("[spy] spying"));
    assert!(place.read("logs/peer1_log.txt").contains("\nmain small"), "a node of one process has no labels");
}

#[test]
fn a_killed_program_leaves_its_children_and_that_is_told() {
    let place = Place::new();
    let scenario = r#"schema = 1
name = "orphans"
timeout = "60s"
[nodes]
count = 2
command = ["sh", "-c", "(while :; do echo child; sleep 0.05; done) & echo up; wait"]
ready = { log = 'up' }
[events]
child = 'child'
up = 'up'
[[steps]]
name = "kill"
kill = "peer1"
only = "program"
[[steps]]
expect = { event = "child", from = "peer1", at_least = 10 }
[[steps]]
restart = "killed"
[[steps]]
expect = { event = "up", from = "peer1" }
"#;
    let invariant = |leaks: &str| format!("{scenario}[[invariants]]\nprocess = {{ leaks = \"{leaks}\" }}\n");
    let (said, history) = run(&place, &invariant("none"), 1);
    assert!(said.contains("peer1 ended and left children: sh"), "{said}");
    assert!(said.contains("kill program peer1"), "{said}");
    assert_eq!(hit(&history, "kill"), ["peer1/main"]);
    let (_, history) = run(&place, &invariant("any"), 0);
    let exited = history.iter().find(|line| line["process"]["change"].get("exited").is_some()).unwrap();
    assert_eq!(exited["process"]["change"]["exited"]["expected"], true, "the bench had asked for it");
}

#[test]
fn a_step_for_a_node_that_lacks_what_it_names_says_so() {
    let place = Place::new();
    let scenario = r#"schema = 1
name = "lacking"
timeout = "60s"
[groups.server]
count = 1
ports = ["peer"]
command = ["sh", "-c", "echo up; while :; do sleep 1; done"]
ready = { log = 'up' }
[groups.client]
count = 1
command = ["sh", "-c", "echo up; while :; do sleep 1; done"]
ready = { log = 'up' }
[[steps]]
exec = ["echo", "{addr.peer}"]
on = "all"
[[steps]]
expect = { exec = ["true"] }
"#;
    let (said, _) = run(&place, scenario, 3);
    assert!(said.contains("client1 has no {addr.peer}"), "{said}");
    let narrow = scenario.replace("on = \"all\"", "on = [\"server\", \"!killed\"]");
    run(&place, &narrow, 0);
}

#[test]
fn a_plan_shows_the_groups_and_a_check_warns_of_port_numbers() {
    let place = Place::new();
    let scenario = format!("{SERVERS_AND_CLIENTS}\n[[steps]]\nexpect = {{ event = \"gets\", each = \"server\" }}\n");
    place.write("x.toml", &scenario.replace("ports = [\"ui\"]", "ports = { ui = 8080 }"));
    let plan = stdout(&place.dsbench(&["plan", "x.toml"]).success());
    assert!(plan.contains("  server (3)\n    server1 ") && plan.contains("  client (3)\n    c1 "), "{plan}");
    assert!(plan.contains("server1, server2, server3; c1, c2, c3\n"), "{plan}");
    let checked = place.dsbench(&["check", "x.toml"]).success();
    assert!(
        stderr(&checked).contains("warning[DS0211]") && stderr(&checked).contains("{addr.ui}"),
        "{}",
        stderr(&checked)
    );
    let config: Value = serde_json::from_str(&stdout(&place.dsbench(&["config", "x.toml"]).success())).unwrap();
    let client = config["nodes"].as_array().unwrap().iter().find(|node| node["name"] == "c2").unwrap();
    assert_eq!(client["group"], "client");
    assert!(client["processes"][0]["command"][2].as_str().unwrap().contains("/server2/box/c2;"), "{client}");
}
