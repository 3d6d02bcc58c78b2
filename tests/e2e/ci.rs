//! In a CI job: a log that reads well without a terminal, and GitHub's annotations, groups and summary.

use std::process::{Output, Stdio};

use crate::formats::{ALL, HOSTILE, PASSES, three};
use crate::support::{Place, stderr, stdout};

/// dsbench as a step of a workflow whose repository is the place.
fn in_a_step(place: &Place, args: &[&str]) -> Output {
    let mut command = place.command(args);
    command.env("GITHUB_ACTIONS", "true").env("CI", "true").env("GITHUB_WORKSPACE", place.path(""));
    let output = command
        .env("GITHUB_STEP_SUMMARY", place.path("summary.md"))
        .stdout(Stdio::piped())
        .output()
        .expect("dsbench runs");
    place.wait_until_empty();
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A command of the runner: its name, its properties, its data.
type Command = (String, Vec<(String, String)>, String);

/// A line as the runner reads it.
fn command(line: &str) -> Option<Command> {
    assert!(!line.contains("##["), "the runner looks for this anywhere: {line}");
    let (head, data) = line.trim_start().strip_prefix("::")?.split_once("::")?;
    let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
    let unescape = |text: &str| {
        let text = text.replace("%0A", "\n").replace("%0D", "\r").replace("%3A", ":").replace("%2C", ",");
        text.replace("%25", "%")
    };
    let properties = properties.split(',').filter_map(|property| property.split_once('='));
    let properties = properties.map(|(key, value)| (key.to_owned(), unescape(value)));
    Some((name.to_owned(), properties.collect(), unescape(data)))
}

fn property<'p>(properties: &'p [(String, String)], key: &str) -> Option<&'p str> {
    properties.iter().find(|(name, _)| name == key).map(|(_, value)| &**value)
}

/// The number, from 1, of the line of a text that begins so.
fn line_of(text: &str, begin: &str) -> String {
    (text.lines().position(|line| line.starts_with(begin)).expect("the line is there") + 1).to_string()
}

#[test]
fn a_violation_is_annotated_on_its_line_and_nothing_that_a_node_says_is_a_command() {
    let place = three();
    std::fs::create_dir(place.path("scenarios")).unwrap();
    std::fs::rename(place.path("a.toml"), place.path("scenarios/a.toml")).unwrap();
    for format in ["human", "json", "jsonl", "tap"] {
        let args = ["run", "scenarios/../scenarios/a.toml", "b.toml", "c.toml", "--format", format];
        let step = in_a_step(&place, &args);
        assert_eq!(step.status.code(), Some(1));
        assert!(text(&step.stdout).lines().all(|line| command(line).is_none()), "{}", text(&step.stdout));
        let told = text(&step.stderr);
        let commands: Vec<_> = told.lines().filter_map(command).collect();
        let groups: Vec<_> = commands.iter().filter(|(name, ..)| name.ends_with("group")).collect();
        assert_eq!(groups.iter().map(|(name, ..)| &**name).collect::<Vec<_>>(), ["group", "endgroup"].repeat(3));
        assert!(groups[0].2.starts_with("hostile (seed 0x"));
        let errors: Vec<_> = commands.iter().filter(|(name, ..)| name == "error").collect();
        assert_eq!((errors.len(), commands.len()), (3, 9), "{told}");
        let (invariant, step) = (line_of(HOSTILE, "[[invariants]]"), line_of(HOSTILE, "name = \"# TODO"));
        for (line, title, message) in [
            (invariant, "hostile: one # SKIP leader", "term 1 was led by"),
            ((step.parse::<usize>().unwrap() - 1).to_string(), "hostile", "did not come as expected"),
        ] {
            let (_, properties, data) = errors
                .iter()
                .find(|(_, properties, _)| property(properties, "line") == Some(&line))
                .unwrap_or_else(|| panic!("nothing on line {line}: {errors:?}"));
            assert_eq!(property(properties, "file"), Some("scenarios/a.toml"));
            assert!(property(properties, "title").unwrap().starts_with(title), "{properties:?}");
            assert!(data.contains(message) && data.contains("\nreproduce: dsbench run "), "{data}");
        }
        assert_eq!(property(&errors[2].1, "file"), Some("c.toml"));
        // The group of a run's lines ends before its result.
        let at = |part: &str| told.find(part).unwrap_or_else(|| panic!("{part:?} is missing:\n{told}"));
        assert!(at("::endgroup::") < at("    FAIL"));
    }
}

#[test]
fn a_step_that_is_not_githubs_gets_no_commands() {
    let place = three();
    let run = place.dsbench(&ALL).code(1);
    let ours = |line: &&str| line.starts_with("::");
    assert_eq!(stderr(&run).lines().filter(ours).count(), 0, "{}", stderr(&run));
    assert!(!place.path("summary.md").exists());
}

#[test]
fn the_summary_is_appended_and_holds_what_a_node_said_as_text() {
    let place = three();
    place.write("summary.md", "# before\n");
    in_a_step(&place, &ALL);
    let summary = place.read("summary.md");
    assert!(summary.starts_with("# before\n### dsbench: 1 passed, 1 failed, 1 undecided\n"), "{summary}");
    let rows: Vec<_> = summary.lines().filter(|line| line.starts_with("| ")).collect();
    assert_eq!(rows.len(), 4, "a header and three runs: {rows:?}");
    assert!(rows.iter().all(|row| row.matches('|').count() == 6), "{rows:?}");
    let (before, block) = summary.split_once("```text\n").expect("a block");
    let (block, after) = block.split_once("\n```\n").expect("its end");
    assert!(block.contains("<script>alert(1)</script> ]]> | **b**"), "{block}");
    let elsewhere = format!("{before}{after}").replace("<details>", "").replace("</details>", "");
    let elsewhere = elsewhere.replace("<summary>", "").replace("</summary>", "");
    assert!(!elsewhere.contains('<') && !elsewhere.contains("**"), "{elsewhere}");
}

#[test]
fn more_annotations_than_github_shows_are_counted() {
    let place = Place::new();
    let invariants: String =
        (0..13).map(|n| format!("[[invariants]]\nname = \"number {n}\"\nnever = {{ event = \"leads\" }}\n")).collect();
    let scenario = HOSTILE.split("[[steps]]\nname").next().unwrap().to_owned() + &invariants;
    place.write("x.toml", &scenario);
    let told = text(&in_a_step(&place, &["run", "-q", "x.toml"]).stderr);
    let errors = told.lines().filter_map(command).filter(|(name, ..)| name == "error").count();
    assert_eq!(errors, 10);
    assert!(told.contains("... and 3 more problems without an annotation"), "{told}");
}

#[test]
fn mistakes_in_a_scenario_are_annotated_at_line_and_column() {
    let place = Place::new();
    let scenario = "schema = 1\nname = \"x\"\ntimout = \"60s\"\n[nodes]\ncount = \"%two,::\"\ncommand = [\"true\"]\n";
    place.write("x.toml", scenario);
    for args in [["check", "x.toml"], ["run", "x.toml"]] {
        let step = in_a_step(&place, &args);
        assert_eq!(step.status.code(), Some(2));
        let told = text(&step.stderr);
        let commands: Vec<_> = told.lines().filter_map(command).filter(|(name, ..)| name == "error").collect();
        let at = |line: &str| {
            let found = commands.iter().find(|(_, properties, _)| property(properties, "line") == Some(line));
            let (_, properties, data) = found.unwrap_or_else(|| panic!("nothing on line {line}:\n{told}"));
            let [column, end, title, file] = ["col", "endColumn", "title", "file"].map(|key| property(properties, key));
            assert_eq!(file, Some("x.toml"));
            (column.unwrap().to_owned(), end.unwrap().to_owned(), title.unwrap().to_owned(), data.clone())
        };
        let (column, end, title, data) = at("3");
        assert_eq!((&*column, &*end, &*title), ("1", "7", "DS0101"));
        assert!(data.contains("timout") && data.contains("timeout"), "{data}");
        assert_eq!((&*at("5").0, &*at("5").1), ("9", "18"));
        assert!(told.contains("error[DS0101]"), "and shown to people as ever");
    }
}

#[test]
fn a_failure_in_a_ci_log_ends_with_its_evidence_and_what_the_nodes_said_before_it() {
    let place = three();
    let ci = |args: &[&str]| {
        let mut command = place.command(args);
        let output = command.env("CI", "true").env_remove("NO_COLOR").stderr(Stdio::piped()).output().unwrap();
        place.wait_until_empty();
        text(&output.stderr)
    };
    let told = ci(&["run", "a.toml"]);
    assert!(!told.contains('\u{1b}'), "no colour without a terminal:\n{told}");
    let (run, block) = told.split_once("    FAIL").expect("the result");
    assert!(run.lines().skip(1).all(|line| line.trim_start().starts_with("T+")), "timestamped lines:\n{run}");
    let (_, logs) = block.split_once("  logs:  ").unwrap_or_else(|| panic!("no logs:\n{block}"));
    for part in
        ["peer1  ::error file=x::owned", "peer2  leads term=1", "[stderr] \\u{9b}2J \\u{202e}", "  >>> one # SKIP"]
    {
        assert!(logs.contains(part), "{part:?} is missing:\n{logs}");
    }
    assert!(logs.contains("peer1    ::set-env"), "colours of a log are taken away: {logs}");
    assert!(!ci(&["run", "a.toml", "--show-logs=0"]).contains("  logs:  "));
    assert!(!ci(&["run", "b.toml"]).contains("  logs:  "), "a run that passed needs no excerpt");
    let one = ci(&["run", "a.toml", "--show-logs=1"]);
    let (before, _) = one.split_once("  logs:  ").unwrap().1.split_once(">>>").unwrap();
    let said = |node: &str| before.lines().filter(|line| line.contains(&format!("  {node}  "))).count();
    assert_eq!((said("peer1"), said("peer2")), (1, 1), "{one}");

    let three = ci(&ALL);
    let (runs, end) = three.split_once("\nfailures:\n").unwrap_or_else(|| panic!("no failures at the end:\n{three}"));
    assert!(runs.contains("PASS") && end.contains("term 1 was led by") && end.contains("1 passed, 1 failed"), "{end}");
}

#[test]
fn colour_and_detail_are_what_the_reader_asked_for() {
    let place = Place::new();
    place.write("x.toml", PASSES);
    let told = |environment: &[(&str, &str)], args: &[&str]| {
        let mut command = place.command(&[&["run", "x.toml"], args].concat());
        command.env_remove("NO_COLOR").envs(environment.iter().copied());
        let output = command.stderr(Stdio::piped()).output().unwrap();
        place.wait_until_empty();
        text(&output.stderr)
    };
    let is_coloured = |environment: &[(&str, &str)]| told(environment, &["-q"]).contains('\u{1b}');
    assert!(!is_coloured(&[]), "no terminal, no colour");
    assert!(is_coloured(&[("CLICOLOR_FORCE", "1")]));
    assert!(!is_coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(told(&[("TERM", "dumb")], &["--color", "always"]).contains('\u{1b}'), "who asks gets it");
    let lines = |args: &[&str]| told(&[], args).lines().filter(|line| line.trim_start().starts_with("T+")).count();
    let (quiet, usual, verbose) = (lines(&["-q"]), lines(&[]), lines(&["-v"]));
    assert!(quiet == 0 && 0 < usual && usual < verbose, "{quiet} {usual} {verbose}");
    place.dsbench(&["run", "x.toml", "-q", "-v"]).code(2);
}

#[test]
fn a_stored_run_shows_the_same_logs_again() {
    let place = three();
    place.dsbench(&["run", "-q", "a.toml"]).code(1);
    let plain = stdout(&place.dsbench(&["show"]).success());
    assert!(!plain.contains("  logs:  "));
    let shown = stdout(&place.dsbench(&["show", "--show-logs"]).success());
    assert!(shown.contains("  logs:      the last 20 lines of each node before T+"), "{shown}");
    assert!(shown.contains("  >>> one # SKIP"), "{shown}");
}
