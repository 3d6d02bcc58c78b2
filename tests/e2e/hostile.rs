//! What comes from outside - logs, names, edited files, readers that leave - neither crashes dsbench nor reaches the terminal as it is.

use std::process::Stdio;

use crate::support::{Place, stderr, stdout};

/// A node whose helper, step texts, patterns and last words are full of what commands a terminal.
const HOSTILE: &str = r#"schema = 1
name = "hostile"
timeout = "20s"
[nodes]
count = 1
name = "n{id}"
command = ["sh", "-c", "printf 'said \\033[45m\\n'; (exec -a x sleep 1000 >/dev/null 2>&1 &) ; exec sleep 1000"]
ready = { log = "said|\u001B\\[2J" }
[events]
said = { log = 'said (?<what>.*)', fields = { what = "text" } }
[[steps]]
mark = "\u001B]0;owned\u0007"
[[steps]]
exec = ["sh", "-c", "printf '\\033[2J' >&2; echo \u001B[7mbold; exit 1"]
[[invariants]]
name = "a name \u001B[8mhidden"
sometimes = { event = "said", at_least = 1 }
[[invariants]]
name = "another"
exec = { command = ["sh", "-c", "printf '\\033[41m'; : '\u001B[5m'; exit 1"] }
"#;

/// Colour is on, because without it every escape is stripped, ours and others'. What is left after ours came from outside.
fn without_our_colours(text: &str) -> String {
    let ours = (0..=2).chain(30..=37).chain(90..=97).map(|code| format!("\u{1b}[{code}m"));
    ours.fold(text.to_owned(), |text, ours| text.replace(&ours, ""))
}

#[test]
fn nothing_from_outside_commands_the_terminal() {
    let place = Place::new();
    place.write("x.toml", HOSTILE);
    for args in [
        &["check", "x.toml"][..],
        &["plan", "x.toml"],
        &["config", "x.toml"],
        &["run", "x.toml"],
        &["show"],
        &["recheck"],
    ] {
        let run = place.dsbench(&[args, &["--color", "always"]].concat());
        let text = without_our_colours(&(stderr(&run) + &stdout(&run)));
        assert!(!text.contains("panicked") && !text.contains("error["), "{args:?}: {text}");
        let bare = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(bare, None, "{args:?} lets a control character through:\n{text:?}");
    }
}

#[test]
fn a_mistake_in_a_hostile_file_is_shown_without_its_escapes() {
    let place = Place::new();
    place.write(
        "x\u{1b}[2J.toml",
        "schema = 1\nname = \"\\u001B[2J\"\n\"a\\u001B[41m\" = 1 # \u{9b}31m\n[nodes]\ncount = \"\\u001B[5m\"\n",
    );
    let shown = |args: &[&str]| {
        let run = place.dsbench(&[args, &["--color", "always"]].concat()).code(2);
        without_our_colours(&stderr(&run))
    };
    let text = shown(&["check", "x\u{1b}[2J.toml"]);
    assert_eq!(text.chars().find(|c| c.is_control() && *c != '\n'), None, "{text:?}");
    let text = shown(&["run", "\u{1b}[2J"]);
    assert_eq!(text.chars().find(|c| c.is_control() && *c != '\n'), None, "{text:?}");
}

const SHORT: &str = r#"schema = 1
name = "short"
timeout = "20s"
[nodes]
count = 2
command = ["sh", "-c", "i=0; while [ $i -lt 200 ]; do echo said $i; i=$((i+1)); done; exec sleep 1000"]
[events]
said = { log = 'said' }
[[steps]]
wait = { event = "said", at_least = 400 }
[[invariants]]
sometimes = { event = "said", at_least = 1 }
"#;

#[test]
fn readers_that_leave_neither_stop_a_run_nor_crash_it() {
    let place = Place::new();
    place.write("x.toml", SHORT);
    let gone = |args: &[&str]| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = place.command(args).stdout(writer.try_clone().unwrap()).stderr(writer).status().unwrap();
        place.wait_until_empty();
        status.code()
    };
    assert_eq!(gone(&["run", "x.toml"]), Some(0));
    for args in [&["show"][..], &["recheck"], &["plan", "x.toml"], &["check", "x.toml"], &["config", "x.toml"]] {
        assert_eq!(gone(args), Some(0), "{args:?}");
    }
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = place.command(&["show"]).stdout(full).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(5), "data that could not be written was not given");
}

#[test]
fn logs_that_cannot_be_written_are_an_environment_error_that_names_the_place() {
    let place = Place::new();
    place.write("x.toml", SHORT).write("logs", "a file");
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(5));
    assert!(text.contains("logs") && text.contains("because"), "{text}");
}

#[test]
fn stored_files_that_were_edited_are_refused_or_shown_but_never_crash() {
    let place = Place::new();
    place.write("x.toml", SHORT);
    place.dsbench(&["run", "x.toml"]).success();
    let dir = place.run_dir();
    let refused = |why: &str| {
        for command in ["show", "recheck"] {
            let run = place.dsbench(&[command]).code(2);
            let text = stderr(&run);
            assert!(text.contains(why) && !text.contains("panicked"), "{command}: {why:?} is missing:\n{text}");
        }
    };
    for (file, edits) in [
        (
            "run.json",
            &[("{}", "run.json"), ("{\"v\": 99}", "version 99"), ("\u{1b}", "run.json"), ("[[[[", "run.json")][..],
        ),
        (
            "history.jsonl",
            &[
                ("", "history"),
                ("{\"dsbench_history\":99}\n", "format 99"),
                ("{\"dsbench_history\":1}\n{}\n", "line 2"),
            ],
        ),
        ("scenario.toml", &[("", "scenario"), ("schema = 99", "schema")]),
    ] {
        let before = std::fs::read(dir.join(file)).unwrap();
        for (text, why) in edits {
            std::fs::write(dir.join(file), text).unwrap();
            refused(why);
        }
        std::fs::remove_file(dir.join(file)).unwrap();
        if file != "run.json" {
            refused(file);
        }
        std::fs::write(dir.join(file), before).unwrap();
    }
    // Times and numbers that no run can have.
    let history = std::fs::read_to_string(dir.join("history.jsonl")).unwrap();
    for n in ["18446744073709551615", "0", "-1", "1e300"] {
        let edited: String = history
            .lines()
            .map(|line| match line.split_once("\"t\":") {
                Some((before, after)) => {
                    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
                    format!("{before}\"t\":{n}{rest}\n")
                }
                None => format!("{line}\n"),
            })
            .collect();
        std::fs::write(dir.join("history.jsonl"), edited).unwrap();
        for command in ["show", "recheck"] {
            let run = place.dsbench(&[command]);
            let code = run.get_output().status.code();
            assert!(
                matches!(code, Some(0..=3)) && !stderr(&run).contains("panicked"),
                "{command} {n}: {code:?} {}",
                stderr(&run)
            );
        }
    }
}

#[test]
fn a_value_that_makes_no_sense_is_a_mistake_that_is_named() {
    let place = Place::new();
    place.write("x.toml", SHORT);
    for set in [
        "",
        "=",
        "nodes.count",
        "nodes.count=",
        "=5",
        "nodes.count=-1",
        "nodes.count=1e9",
        "nodes.count=99999999",
        "nodes..count=1",
        ".=.",
        "steps.0.wait=1",
        "a.b.c.d=[[[[",
    ] {
        let run = place.dsbench(&["check", "x.toml", "--set", set]).code(2);
        let text = stderr(&run);
        assert!(text.contains("error") && !text.contains("panicked"), "--set {set:?}: {text}");
    }
    place.dsbench(&["run", "x.toml", "--seed", "99999999999999999999999"]).code(2);
}

#[test]
fn a_huge_file_is_refused_at_once_and_of_a_thousand_mistakes_the_first_are_shown() {
    let place = Place::new();
    let step = "[[steps]]\nkil = \"peer1\"\n";
    place.write("huge.toml", &step.repeat(500_000)).write("wrong.toml", &step.repeat(40_000));
    let told = stderr(&place.dsbench(&["check", "huge.toml"]).code(2));
    assert!(told.contains("KiB, and a scenario at most 1024"), "{told}");
    let told = stderr(&place.dsbench(&["check", "wrong.toml"]).code(2));
    assert_eq!(told.matches("error[DS").count(), 100, "{}", &told[..2_000]);
    assert!(told.contains("more\n") && told.contains("errors in the scenario; nothing was started"), "{told}");
}
