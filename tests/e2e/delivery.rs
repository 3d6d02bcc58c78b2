//! What groups promise of their messages: clusters that keep it pass, and each way of breaking it is caught by its name.
//!
//! The nodes say what they are told on their standard input, so that a test decides who says what, and when.

use crate::support::{Place, stderr};

const NODES: &str = r#"schema = 1
name = "told"
timeout = "60s"
[nodes]
count = 3
name = "peer{id}"
command = ["sh", "-c", "echo up; while read -r line; do echo \"$line\"; done"]
ready = { log = "up", within = "30s" }
[events]
sent = { log = 'sent (?<msg>\S+)', fields = { msg = "text" } }
acknowledged = { log = 'acknowledged (?<msg>\S+)', fields = { msg = "text" } }
delivered = { log = 'delivered (?<seq>\d+) (?<msg>\S+)', fields = { seq = "int", msg = "text" } }
view = { log = 'view (?<id>\d+) (?<members>\S+)', fields = { id = "int", members = "nodes" } }
"#;

/// What is said: `peer1: sent m1` line by line; or a step of its own, in brackets.
fn scenario(script: &str, invariant: &str) -> String {
    let mut steps = String::new();
    let mut said: Vec<&str> = Vec::new();
    for line in script.split("; ").filter(|line| !line.is_empty()) {
        match line.split_once(": ") {
            Some((node, line)) => {
                steps += &format!("[[steps]]\ninput = '{line}'\nto = '{node}'\n");
                said.push(line);
                // One after the other, as the history will have it.
                let event = line.split(' ').next().expect("a line begins with its event");
                let count = said.iter().filter(|line| line.starts_with(event)).count();
                steps += &format!("[[steps]]\nwait = {{ event = '{event}', at_least = {count}, since = 'start' }}\n");
            }
            None => steps += &format!("[[steps]]\n{line}\n"),
        }
    }
    format!("{NODES}{steps}[[invariants]]\nname = 'the promise'\n{invariant}\n")
}

const GOOD: &str = "peer1: view 1 peer1,peer2,peer3; peer2: view 1 peer1,peer2,peer3; peer3: view 1 peer1,peer2,peer3; \
    peer1: sent m1; peer1: acknowledged m1; peer1: delivered 1 m1; peer2: delivered 1 m1; peer3: delivered 1 m1; \
    peer2: sent m2; peer1: delivered 2 m2; peer2: delivered 2 m2; peer3: delivered 2 m2; peer2: acknowledged m2; \
    peer2: sent m3; peer1: delivered 3 m3; peer2: delivered 3 m3; \
    peer1: view 2 peer1,peer2; peer2: view 2 peer1,peer2";

const ORDER: &str = "total_order = { event = 'delivered', message = 'msg', sent = 'sent.msg' }";
const PLACED: &str = "total_order = { event = 'delivered', message = 'msg', position = 'seq' }";
const LOSS: &str = "no_loss = { sent = 'acknowledged.msg', delivered = 'delivered.msg', quiet = '300ms' }";
const TWICE: &str = "no_duplicates = 'delivered.msg'";
const ONCE: &str = "exactly_once = { sent = 'acknowledged.msg', delivered = 'delivered.msg', quiet = '300ms' }";
const FIFO: &str = "fifo = { sent = 'sent.msg', delivered = 'delivered.msg' }";
const CAUSAL: &str = "causal_order = { sent = 'sent.msg', delivered = 'delivered.msg' }";
const VIEWS: &str = "view_changes = { event = 'view', id = 'id', members = 'members', delivered = 'delivered.msg' }";

#[test]
fn a_group_that_keeps_its_promises_passes_every_check() {
    let place = Place::new();
    let all = [ORDER, PLACED, LOSS, TWICE, ONCE, FIFO, CAUSAL, VIEWS].join("\n[[invariants]]\n");
    place.write("x.toml", &scenario(GOOD, &all));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).success());
    for part in [
        "3 messages, delivered 8 times by 3 nodes, in one order",
        "2 messages acknowledged, none lost at 3 nodes",
        "8 deliveries, none of them twice",
        "8 deliveries of 2 senders, each in its order",
        "each after all that it depends on",
        "each message in one view",
    ] {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
    place.dsbench(&["recheck"]).success();
}

#[test]
fn each_promise_that_is_broken_is_caught_by_its_name_and_with_its_lines() {
    let place = Place::new();
    let swapped = GOOD
        .replace("peer3: delivered 1 m1; ", "")
        .replace("peer3: delivered 2 m2", "peer3: delivered 1 m2; peer3: delivered 2 m1");
    let skipped = GOOD.replace("peer3: delivered 2 m2", "peer3: delivered 3 m3");
    let again = GOOD.replace("peer3: delivered 2 m2", "peer3: delivered 2 m2; peer3: delivered 3 m2");
    let other = GOOD.replace("peer3: delivered 2 m2", "peer3: delivered 2 m9");
    let lost = GOOD.replace("peer3: delivered 2 m2; ", "");
    let sync = GOOD.replace("peer2: delivered 3 m3; ", "");
    for (script, check, told) in [
        (&swapped, ORDER, "peer1 delivered m1 before m2, and peer3 m2 before m1"),
        (&skipped, ORDER, "peer3 left out m2: it delivered m3 next after m1, and peer1 did not"),
        (&again, ORDER, "peer3 delivered m2 twice"),
        (&other, ORDER, "peer3 delivered m9, and nobody sent it"),
        (&other, PLACED, "seq 2: peer1 delivered m2, peer3 delivered m9"),
        (&skipped, PLACED, "peer3 goes from seq 1 to 3"),
        (&lost, LOSS, "m2 was acknowledged at peer2, and peer3 never delivered it"),
        (&again, TWICE, "peer3 delivered m2 twice"),
        (&lost, ONCE, "m2 was acknowledged at peer2, and peer3 never delivered it"),
        (&again, ONCE, "peer3 delivered m2 twice"),
        (&skipped, FIFO, "peer3 begins with m3 of peer2, and its first is m2"),
        (&swapped, CAUSAL, "peer3 delivered m2 before m1, on which it depends"),
        (&sync, VIEWS, "peer1 and peer2 pass from view 1 to view 2, and only peer1 has delivered m3 in view 1"),
    ] {
        place.write("x.toml", &scenario(script, check));
        let text = stderr(&place.dsbench(&["run", "x.toml"]).code(1));
        for part in ["the promise", told, "logs/peer3_log.txt:"] {
            let part = if check == VIEWS && part.starts_with("logs") { "logs/peer2_log.txt:" } else { part };
            assert!(text.contains(part), "{part:?} is missing:\n{text}");
        }
    }
}

#[test]
fn a_restarted_node_goes_on_where_it_was_and_a_late_one_only_where_that_is_allowed() {
    let place = Place::new();
    let all = "peer1: delivered 1 m1; peer2: delivered 1 m1; peer1: delivered 2 m2; peer2: delivered 2 m2; kill = 'peer2'; restart = 'killed'; \
        peer2: delivered 2 m2; peer1: delivered 3 m3; peer2: delivered 3 m3";
    let order = "total_order = { event = 'delivered', message = 'msg' }";
    place.write("x.toml", &scenario(all, order));
    place.dsbench(&["run", "x.toml"]).success();

    let late = format!("{all}; peer3: delivered 3 m3");
    place.write("x.toml", &scenario(&late, order));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(1));
    assert!(text.contains("peer3 left out m1 and 1 more: it begins with m3, and peer1 with m1"), "{text}");
    place.write("x.toml", &scenario(&late, &order.replace(" }", ", joins = 'late' }")));
    place.dsbench(&["run", "x.toml"]).success();
}

#[test]
fn a_run_that_ends_with_a_node_down_shows_nothing_of_loss() {
    let place = Place::new();
    place.write("x.toml", &scenario(&format!("{GOOD}; kill = 'peer3'"), LOSS));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(3));
    assert!(text.contains("the cluster never came to rest: peer3 is down"), "{text}");
}

#[test]
fn settle_waits_until_all_are_up_and_quiet_and_says_what_did_not_rest() {
    let place = Place::new();
    let settle = "settle = { quiet = '300ms', within = '30s' }";
    let script = format!("kill = 'peer3'\nfor = '500ms'; {settle}; peer1: sent m1");
    place.write("x.toml", &scenario(&script, "sometimes = { event = 'sent', at_least = 1 }"));
    place.dsbench(&["run", "x.toml"]).success();
    let history = std::fs::read_to_string(place.run_dir().join("history.jsonl")).expect("the history was stored");
    let at = |part: &str| history.lines().position(|line| line.contains(part));
    let (back, settled) = (at("\"verb\":\"restart\""), at("\"step\":{\"step\":1,\"state\":\"done\"}"));
    assert!(
        back.is_some() && back < settled,
        "the node was back before the step was done: {back:?} {settled:?} {history}"
    );

    let down = format!("kill = 'peer3'; {}", settle.replace("30s", "1s"));
    place.write("x.toml", &scenario(&down, "sometimes = { event = 'sent', at_least = 1 }"));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(3));
    assert!(text.contains("peer3 is down") && text.contains("x.toml:"), "{text}");

    // A node that says something every 100 ms never rests, unless what it says is no disturbance.
    let talks = NODES.replace("echo up; while", "echo up; (while :; do echo sent m1; sleep 0.1; done) & while");
    let noisy = |keys: &str| {
        let steps = format!("[[steps]]\nsettle = {{ quiet = '1s', within = '3s'{keys} }}\n");
        format!("{talks}{steps}[[invariants]]\nsometimes = {{ event = 'sent', at_least = 1 }}\n")
    };
    place.write("x.toml", &noisy(""));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(3));
    assert!(text.contains("it was not quiet for 1s: `sent` at peer"), "{text}");
    place.write("x.toml", &noisy(", events = ['delivered']"));
    place.dsbench(&["run", "x.toml"]).success();
}
