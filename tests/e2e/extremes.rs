//! Too much of everything: what a run may take is bounded, and what would be more is said instead of eaten.

use std::process::Stdio;

use crate::support::{Place, stderr};

/// One node that runs `script` under sh; `rest` is the remainder of the scenario.
fn one_node(script: &str, rest: &str) -> String {
    format!(
        r#"schema = 1
name = "extreme"
timeout = "100s"
[nodes]
count = 1
name = "n{{id}}"
command = ["sh", "-c", '''{script}''']
[events]
said = {{ log = 'said (?<n>\d+)', fields = {{ n = "int" }} }}
{rest}
"#
    )
}

const NEVER_BELOW: &str = "
[[steps]]
wait = { event = 'said', where = { n = 1000000 } }
within = '90s'
[[invariants]]
never = { event = 'said', where = { n = '< 0' } }
";

#[test]
fn a_history_that_would_grow_without_end_cuts_the_run_and_says_of_what_there_is_too_much() {
    let place = Place::new();
    place.write("x.toml", &one_node("i=0; while :; do i=$((i+1)); echo said $i; done", NEVER_BELOW));
    let mut command = place.command(&["run", "x.toml"]);
    let done = command.env("DSBENCH_HISTORY_MAX", "1MiB").stdout(Stdio::null()).output().expect("dsbench starts");
    place.wait_until_empty();
    let text = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(3), "{text}");
    assert!(text.contains("the history became too large") && text.contains(" of said among them"), "{text}");
    // It is judged again as it was, by a dsbench that may take more and by one that may take the same.
    assert!(stderr(&place.dsbench(&["recheck"]).code(3)).contains("same verdict"));
    let again = place.command(&["recheck"]).env("DSBENCH_HISTORY_MAX", "1MiB").output().expect("dsbench starts");
    assert_eq!(again.status.code(), Some(3), "{}", String::from_utf8_lossy(&again.stderr));
    let small = place.command(&["show"]).env("DSBENCH_HISTORY_MAX", "1KiB").output().expect("dsbench starts");
    let text = String::from_utf8_lossy(&small.stderr);
    assert_eq!(small.status.code(), Some(2), "{text}");
    assert!(text.contains("DSBENCH_HISTORY_MAX=2GiB"), "{text}");
    let wrong = place.command(&["show"]).env("DSBENCH_HISTORY_MAX", "much").output().expect("dsbench starts");
    assert_eq!(wrong.status.code(), Some(2), "{}", String::from_utf8_lossy(&wrong.stderr));
}

#[test]
fn a_flood_before_a_violation_leaves_its_lines_to_be_seen() {
    let place = Place::new();
    // More text than is kept in memory, then the line that matters.
    let script = "long=$(printf %0300d 0); i=0; while [ $i -lt 30000 ]; do i=$((i+1)); echo said $i $long; done; echo said 7 is the one; exec sleep 1000";
    let rest = "[[steps]]\nwait = { event = 'said', at_least = 30001 }\nwithin = '90s'\n[[invariants]]\nmonotonic = { event = 'said', field = 'n' }\n";
    place.write("x.toml", &one_node(script, rest));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(1));
    for part in ["n at n1 goes down from 30000 to 7", "said 30000 0000", "said 7 is the one", "logs/n1_log.txt:30002"] {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
    assert!(stderr(&place.dsbench(&["recheck"]).code(1)).contains("said 7 is the one"));
}
