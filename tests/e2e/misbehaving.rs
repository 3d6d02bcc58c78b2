//! Programs that do not behave: each ends as specified, nothing of it survives, no line is lost.

use crate::support::{Place, stderr};
use predicates::prelude::*;

/// One node that runs `script` under sh; `rest` is the remainder of the scenario.
fn one_node(script: &str, ready: &str, rest: &str) -> String {
    format!(
        r#"schema = 1
name = "dummy"
timeout = "60s"
[nodes]
count = 1
name = "dummy{{id}}"
command = ["sh", "-c", '''{script}''']
{ready}
stop = {{ signal = "TERM", grace = "300ms" }}
[events]
said = {{ log = 'said (?<n>\d+)', fields = {{ n = "int" }} }}
{rest}
"#
    )
}

/// The bench held no more in memory than it may, whatever its nodes printed.
fn stays_small(place: &Place) {
    let most = place.run_json()["bench_rss_bytes_max"].as_u64().expect("run.json says how much it took");
    assert!((1..100_000_000).contains(&most), "dsbench took {most} bytes");
}

const SAID_ONCE: &str = r#"
[[steps]]
wait = { event = "said" }
within = "30s"
[[invariants]]
name = "it spoke"
sometimes = { event = "said", at_least = 1 }
"#;

#[test]
fn a_node_that_ignores_sigterm_is_killed_after_its_grace() {
    let place = Place::new();
    place.write("x.toml", &one_node("trap '' TERM; echo said 1; while :; do sleep 1; done", "", SAID_ONCE));
    place.dsbench(&["run", "x.toml"]).success();
}

#[test]
fn daemons_that_forked_twice_and_left_the_session_die_with_their_node() {
    let place = Place::new();
    let script = "trap '' TERM; (setsid sh -c 'trap \"\" TERM HUP; (sleep 1000 & sleep 1000) & sleep 1000' &) ; echo said 1; while :; do sleep 1; done";
    place.write("x.toml", &one_node(script, "", SAID_ONCE));
    place.dsbench(&["run", "x.toml"]).success();
}

#[test]
fn a_killed_node_takes_its_daemons_with_it_before_it_is_called_stopped() {
    let place = Place::new();
    let script = "(setsid sleep 1000 &); echo said 1; sleep 1000";
    let rest = r#"
[[steps]]
wait = { event = "said" }
within = "30s"
[[steps]]
kill = "dummy1"
[[steps]]
exec = ["sh", "-c", "for c in /proc/[0-9]*/cwd; do case $(readlink $c) in {data_dir_of_all}*) exit 1;; esac; done; exit 0"]
[[invariants]]
sometimes = { event = "said", at_least = 1 }
"#
    .replace("{data_dir_of_all}", &place.path("logs").display().to_string());
    place.write("x.toml", &one_node(script, "", &rest));
    place.dsbench(&["run", "x.toml"]).success();
}

#[test]
fn a_program_that_ends_while_its_children_live_on_is_reported_as_leaking() {
    let place = Place::new();
    let script = "(setsid sleep 1000 >/dev/null 2>&1 &); echo said 1; exit 0";
    let rest = r#"
[[steps]]
wait = { event = "said" }
within = "30s"
[[steps]]
after = "2s"
mark = "long enough to be seen"
[[invariants]]
name = "no leak"
process = { exit = "any" }
"#;
    place.write("x.toml", &one_node(script, "", rest));
    let run = place.dsbench(&["run", "x.toml"]).code(1);
    assert!(stderr(&run).contains("sleep"), "{}", stderr(&run));
}

#[test]
fn a_node_that_closes_its_output_runs_on() {
    let place = Place::new();
    let script = "echo said 1; exec 1>&- 2>&-; while :; do sleep 1; done";
    place.write("x.toml", &one_node(script, "", SAID_ONCE));
    place.dsbench(&["run", "x.toml"]).success();
}

#[test]
fn a_line_of_fifty_megabytes_without_an_end_is_kept_whole() {
    let place = Place::new();
    let script = "head -c 50000000 /dev/zero | tr '\\0' x; echo said 1 >&2; while :; do sleep 1; done";
    place.write("x.toml", &one_node(script, "", SAID_ONCE));
    place.dsbench(&["run", "x.toml"]).success();
    let log = place.read("logs/dummy1_log.txt");
    assert!(log.bytes().filter(|b| *b == b'x').count() >= 50_000_000, "bytes of the long line are missing");
    stays_small(&place);
}

#[test]
fn a_flood_of_lines_is_neither_lost_nor_allowed_to_stop_the_run() {
    let place = Place::new();
    // 100 MB in lines of 100 bytes, then one that matters.
    let script = "yes 0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012 | head -c 108000000; echo said 1; while :; do sleep 1; done";
    place.write("x.toml", &one_node(script, "", SAID_ONCE));
    place.dsbench(&["run", "x.toml"]).success();
    stays_small(&place);
    let raw = std::fs::read_dir(place.run_dir().join("logs/raw")).unwrap().flatten();
    let stdout =
        raw.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "stdout")).expect("a raw file");
    assert_eq!(std::fs::metadata(stdout).unwrap().len(), 108_000_000 + "said 1\n".len() as u64);
}

#[test]
fn invalid_utf8_and_terminal_escapes_are_kept_in_the_log_and_harmless_on_the_screen() {
    let place = Place::new();
    let script = r"printf '\033[2J\377\376 said 7 \033]0;owned\007\n'; while :; do sleep 1; done";
    place.write("x.toml", &one_node(script, "", SAID_ONCE));
    let run = place.dsbench(&["run", "x.toml"]).success();
    assert!(!stderr(&run).contains('\u{1b}'), "an escape sequence of the node reached the terminal");
    let raw = std::fs::read(place.path("logs/dummy1_log.txt")).unwrap();
    assert!(raw.windows(2).any(|two| two == [0xff, 0xfe]), "the bytes are as the node wrote them");
    let show = place.dsbench(&["show"]).success();
    assert!(!crate::support::stdout(&show).contains('\u{1b}'));
}

#[test]
fn a_node_that_exits_at_once_is_an_environment_error_that_shows_its_last_words() {
    let place = Place::new();
    place.write(
        "x.toml",
        &one_node("echo cannot open the valve >&2; exit 7", "ready = { log = 'up', within = \"20s\" }", SAID_ONCE),
    );
    let run = place.dsbench(&["run", "x.toml"]).code(5);
    let text = stderr(&run);
    assert!(predicate::str::contains("exit code 7").eval(&text) && text.contains("cannot open the valve"), "{text}");
    place.write("x.toml", &one_node("exit 7", "ready = { log = 'up', within = \"20s\" }", SAID_ONCE));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(5));
    assert!(text.contains("printed nothing") && !text.contains("buffer"), "who exits has flushed: {text}");
}

#[test]
fn a_missed_event_that_nobody_ever_said_is_told_with_its_pattern_or_with_the_silence() {
    let place = Place::new();
    let patience = SAID_ONCE.replace("30s", "300ms");
    place.write("x.toml", &one_node("echo sayd 1; while :; do sleep 1; done", "", &patience));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(3));
    assert!(text.contains(r"so far no line of any node fits 'said (?<n>\d+)'"), "{text}");
    place.write("x.toml", &one_node("while :; do sleep 1; done", "", &patience));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(3));
    assert!(text.contains("nobody has printed anything") && text.contains("buffer"), "{text}");
    let second = patience.replace("event = \"said\" }", "event = \"said\", at_least = 2 }");
    place.write("x.toml", &one_node("echo said 1; while :; do sleep 1; done", "", &second));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(3));
    assert!(text.contains("1 of 2 `said`") && !text.contains("fits"), "somebody did: {text}");
}

#[test]
fn a_node_that_never_gets_ready_is_an_environment_error_with_a_hint_at_buffering() {
    let place = Place::new();
    place.write(
        "x.toml",
        &one_node("while :; do sleep 1; done", "ready = { log = 'up', within = \"300ms\" }", SAID_ONCE),
    );
    let run = place.dsbench(&["run", "x.toml"]).code(5);
    let text = stderr(&run);
    assert!(text.contains("has printed nothing") && text.contains("buffer"), "{text}");
}

#[test]
fn a_program_that_does_not_exist_is_named_before_anything_starts() {
    let place = Place::new();
    let text = one_node("true", "", SAID_ONCE).replace("\"sh\"", "\"no-such-program-anywhere\"");
    place.write("x.toml", &text);
    let run = place.dsbench(&["run", "x.toml"]).code(5);
    assert!(stderr(&run).contains("no-such-program-anywhere"), "{}", stderr(&run));
}

#[test]
fn a_path_that_leads_to_no_program_is_told_with_where_it_was_looked_for_and_keeps_nobody_waiting() {
    let place = Place::new();
    let text = one_node("true", "", SAID_ONCE).replace("\"sh\"", "\"./not-built\"").replace("count = 1", "count = 3");
    place.write("x.toml", &text);
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(5));
    assert!(text.contains("`./not-built` not found from the working directory"), "{text}");
    let took = place.run_json()["seconds"].as_f64().expect("a duration");
    assert!(took < 10.0, "waited {took}s for nodes that never existed");
}

#[test]
fn of_several_runs_each_names_logs_that_the_next_does_not_overwrite() {
    let place = Place::new();
    let rest = "[[invariants]]\nname = \"quiet\"\nnever = { event = \"said\" }";
    for name in ["a.toml", "b.toml"] {
        place.write(name, &one_node("echo said 1; sleep 9", "ready = { log = 'said' }", rest));
    }
    let text = stderr(&place.dsbench(&["run", "a.toml", "b.toml"]).code(1));
    let places: Vec<_> = text.lines().filter_map(|line| line.split_once("said 1   ")).map(|(_, place)| place).collect();
    assert_eq!(places.len(), 4, "after its run, and once more at the end:\n{text}");
    for named in places {
        let file = named.rsplit_once(':').expect("a line number").0;
        assert!(file.starts_with("logs/runs/") && place.path(file).exists(), "{text}");
    }
}

#[test]
fn a_crash_in_the_middle_is_never_a_pass() {
    let place = Place::new();
    place.write(
        "x.toml",
        &one_node(
            "echo said 1; sleep 0.2; kill -SEGV $$",
            "",
            &format!("{SAID_ONCE}\n[[steps]]\nafter = \"1s\"\nmark = \"later\"\n")
                .replace("[[invariants]]\nname = \"it spoke\"\nsometimes = { event = \"said\", at_least = 1 }\n", ""),
        ),
    );
    let run = place.dsbench(&["run", "x.toml"]).code(1);
    assert!(stderr(&run).contains("SIGSEGV"), "{}", stderr(&run));
}

#[test]
fn nodes_that_do_nothing_are_inconclusive() {
    let place = Place::new();
    place.write(
        "x.toml",
        &one_node("echo up; while :; do sleep 1; done", "ready = { log = 'up' }", &SAID_ONCE.replace("30s", "300ms")),
    );
    let run = place.dsbench(&["run", "x.toml"]).code(3);
    assert!(stderr(&run).contains("said"), "{}", stderr(&run));
}

#[test]
fn a_program_of_a_condition_that_hangs_is_ended_with_its_step() {
    let place = Place::new();
    let rest = r#"
[[steps]]
expect = { exec = ["sh", "-c", "echo $$ > hanging; exec sleep 1000"] }
within = "500ms"
[[steps]]
wait = { exec = ["sh", "-c", "! kill -0 $(cat hanging)"] }
within = "10s"
"#;
    place.write("x.toml", &one_node("echo said 1; exec sleep 1000", "", rest));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(1));
    assert!(!text.contains("the scene was never set"), "{text}");
}
