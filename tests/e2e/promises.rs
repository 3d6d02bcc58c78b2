//! What groups promise of their views, values and ids: clusters that keep it pass, and each way of breaking it is caught.
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
view = { log = 'view id=(?<id>\d+) members=(?<members>\S+)', fields = { id = "int", members = "nodes" } }
applied = { log = 'applied index=(?<index>\d+) value=(?<value>\S+)', fields = { index = "int" } }
holds = { log = 'holds (?<amount>-?\d+)', fields = { amount = "int" } }
"#;

/// A step that has each of these nodes say a line, and one that waits until they did.
fn says(nodes: &str, line: &str) -> String {
    let event = line.split(' ').next().expect("a line begins with its event");
    let count = nodes.matches("peer").count();
    format!(
        "[[steps]]\ninput = '{line}'\nto = [{nodes}]\n[[steps]]\nwait = {{ event = '{event}', at_least = {count} }}\n"
    )
}

const ALL: &str = "'peer1', 'peer2', 'peer3'";
const TWO: &str = "'peer1', 'peer2'";

/// peer3 is killed and comes back; the others say these views after the kill and after the return.
fn views(without: &str, with: &str, limits: &str) -> String {
    let first = says(ALL, "view id=1 members=peer1,peer2,peer3");
    let kill = "[[steps]]\nkill = 'peer3'\n";
    let restart = "[[steps]]\nrestart = 'peer3'\n";
    let check = "[[invariants]]\nname = 'the group knows who is in it'\n";
    let keys = format!("view_changes = {{ event = 'view', id = 'id', members = 'members', {limits} }}\n");
    [NODES, &first, kill, without, restart, with, check, &keys].concat()
}

#[test]
fn a_group_whose_views_follow_a_kill_and_a_return_passes() {
    let place = Place::new();
    let without = says(TWO, "view id=2 members=peer1,peer2");
    let with = says(ALL, "view id=3 members=peer3,peer2,peer1");
    place.write("x.toml", &views(&without, &with, "leave_within = '30s', return_within = '30s', min = 3, max = 3"));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).success());
    assert!(text.contains("3 views, told 8 times"), "{text}");
    place.dsbench(&["recheck"]).success();
}

#[test]
fn a_group_that_keeps_a_dead_member_is_caught_once_its_time_is_over() {
    let place = Place::new();
    place.write("x.toml", &views("", "", "leave_within = '300ms'").replace("[[steps]]\nrestart = 'peer3'\n", ""));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(1));
    for part in [
        "the group knows who is in it",
        "peer3 is down, and was in the view of peer1 for more than 300ms",
        "kill peer3",
    ] {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
}

#[test]
fn a_node_that_is_not_let_in_again_is_caught() {
    let place = Place::new();
    let without = says(TWO, "view id=2 members=peer1,peer2");
    let with = says("'peer3'", "view id=3 members=peer3");
    place.write("x.toml", &views(&without, &with, "return_within = '300ms'"));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(1));
    assert!(text.contains("was not in the view of") && text.contains("for more than 300ms"), "{text}");
}

#[test]
fn views_that_contradict_each_other_are_caught_with_both_lines() {
    let place = Place::new();
    for (first, second, what) in [
        ("view id=2 members=peer2,peer3", "", "view 2 at peer1 does not hold peer1 itself"),
        (
            "view id=2 members=peer1,peer2",
            "view id=2 members=peer2,peer3",
            "view 2 is {peer1,peer2} at peer1 and {peer2,peer3} at peer2",
        ),
        ("view id=2 members=peer1,peer2", "view id=1 members=peer2", "peer2 installs view 1 again"),
    ] {
        let second = if second.is_empty() { String::new() } else { says("'peer2'", second) };
        let begin = says(ALL, "view id=1 members=peer1,peer2,peer3");
        let check = "[[invariants]]\nview_changes = { event = 'view', id = 'id', members = 'members' }\n";
        place.write("x.toml", &[NODES, &begin, &says("'peer1'", first), &second, check].concat());
        let text = stderr(&place.dsbench(&["run", "x.toml"]).code(1));
        assert!(text.contains(what) && text.contains("_log.txt:4"), "{what:?} is missing:\n{text}");
    }
}

const PROMISES: &str = "
[[invariants]]
name = 'the log only grows'
monotonic = { event = 'applied', field = 'index', strictly = true }
[[invariants]]
name = 'one value at each index'
agree_on = { event = 'applied', key = 'index', value = 'value' }
[[invariants]]
name = 'nothing is applied twice'
unique = { field = 'applied.index', per = 'node' }
[[invariants]]
name = 'no energy is lost'
conserved = { field = 'holds.amount', total = 30, quiet = '300ms' }
";

#[test]
fn logs_that_agree_and_sums_that_stay_pass() {
    let place = Place::new();
    let steps = [says(ALL, "applied index=1 value=x"), says(ALL, "applied index=2 value=y"), says(ALL, "holds 10")];
    place.write("x.toml", &[NODES, &steps.concat(), PROMISES].concat());
    let text = stderr(&place.dsbench(&["run", "x.toml"]).success());
    assert!(text.contains("3 nodes hold 30, as they must"), "{text}");
}

#[test]
fn each_promise_that_is_broken_is_caught_by_its_name() {
    let place = Place::new();
    let good =
        [says(ALL, "applied index=1 value=x"), says(ALL, "applied index=2 value=y"), says(ALL, "holds 10")].concat();
    for (line, caught) in [
        ("applied index=1 value=x", ["the log only grows", "index at peer1 goes down from 2 to 1"]),
        ("applied index=2 value=z", ["one value at each index", "index 2 is y at"]),
        ("applied index=2 value=y", ["nothing is applied twice", "index 2 twice at peer1"]),
        ("holds 9", ["no energy is lost", "3 nodes hold 29 and not 30: peer1=9, peer2=10, peer3=10"]),
        ("holds -1", ["no energy is lost", "amount at peer1 is -1, and must never be negative"]),
    ] {
        place.write("x.toml", &[NODES, &good, &says("'peer1'", line), PROMISES].concat());
        let text = stderr(&place.dsbench(&["run", "x.toml"]).code(1));
        for part in caught {
            assert!(text.contains(part), "{line}: {part:?} is missing:\n{text}");
        }
    }
}
