//! Every word is explained, and what the explanations show is true.

#![expect(clippy::disallowed_methods, reason = "tests read the files of the repository")]

use std::collections::BTreeSet;

use dsbench_core::diagnostic::{CODES, Diagnostic};
use dsbench_core::explain::{BadFile, Chapter, Entry, Found, GOOD, Part, Sample, all, find};
use dsbench_core::scenario::{Asked, Choice, Override, Scenario, Suite, VERBS};
use dsbench_core::source::Sources;
use dsbench_core::{check, target};

/// Every diagnostic of a scenario, errors and warnings.
fn diagnostics(Sample { text, arguments, .. }: &Sample) -> Vec<Diagnostic> {
    let given = |name: &'static str| arguments.iter().filter_map(move |argument| argument.strip_prefix(name));
    let set: Vec<Override> = given("--set ").filter_map(Override::parse).collect();
    let sources = Sources::of(text.as_str());
    match given("--case ").next() {
        Some(case) => {
            let choice = Choice { case: Some(case.into()), overrides: set, ..Choice::default() };
            let read = Scenario::parse_choice(&sources, &choice);
            read.map_or_else(|mistakes| mistakes, |scenario| scenario.warnings)
        }
        None => {
            let asked = Asked { set, ..Asked::default() };
            Suite::parse(&sources, &asked, |_, _| {}).map_or_else(|mistakes| mistakes, |suite| suite.warnings)
        }
    }
}

#[test]
fn the_wrong_example_of_every_code_gets_it_and_the_right_one_gets_nothing() {
    for meaning in CODES {
        let code = meaning.code;
        let file = BadFile::of(meaning.example);
        assert!(
            file.wrong != file.right,
            "{code}: say in bench/core/tests/bad/{code}.toml how it is right, in a comment at the end of each wrong line: \
             `timout = \"60s\"   # right: timeout = \"60s\"`; a line `# right: LINE` is one that is missing, and `# right:` alone means that \
             its line should not be there. `dsbench explain {code}` shows the paragraphs that differ."
        );
        let wrong = diagnostics(&file.wrong);
        assert!(!wrong.is_empty() && wrong.iter().all(|found| found.code == code), "{code}: {wrong:?}");
        let right = diagnostics(&file.right);
        assert!(right.is_empty(), "{code}: the right version is not right: {right:?}\n{}", file.right.text);
        assert!(!file.right.shown.is_empty(), "{code}: nothing is shown as right");
    }
}

#[test]
fn every_verb_check_and_target_is_explained_with_an_example() {
    let all = all();
    let entry = |chapter: Chapter, name: &str| -> Entry {
        let found = all.iter().find(|entry| entry.chapter == chapter && entry.name == name);
        found.unwrap_or_else(|| panic!("`{name}` is not explained")).clone()
    };
    let has_example = |entry: &Entry| entry.parts.iter().any(|part| matches!(part, Part::Example(..)));
    let needs_a_network = ["partition", "heal", "link", "unplug"];
    for verb in VERBS.iter().filter(|verb| !needs_a_network.contains(&verb.key.name)) {
        assert!(has_example(&entry(Chapter::Verb, verb.key.name)), "no good file has a step `{}`", verb.key.name);
    }
    for check in check::CHECKS {
        assert!(has_example(&entry(Chapter::Check, check.name)), "no good file has an invariant `{}`", check.name);
    }
    for word in target::WORDS {
        entry(Chapter::Target, word);
    }
    for entry in &all {
        assert!(entry.summary.len() > 6, "`{}` has no explanation", entry.name);
    }
}

#[test]
fn every_word_is_found_by_its_name_and_names_of_the_scenario_by_their_place() {
    for entry in all() {
        let Found::Entries { meant, .. } = find(&entry.name) else { panic!("`{}` is not found", entry.name) };
        assert!(meant.iter().any(|found| found.name == entry.name), "`{}`: {meant:?}", entry.name);
    }
    for (typed, name) in [
        ("ds101", "DS0101"),
        ("DS0101", "DS0101"),
        ("{addr}", "{addr}"),
        ("addr", "{addr}"),
        ("[nodes]", "nodes"),
        ("groups.server.ready", "groups.NAME.ready"),
        ("steps.crash.after", "steps.after"),
        ("steps.after", "steps.after"),
        ("invariants.process.rss_max", "invariants.process.rss_max"),
        ("leaks", "invariants.process.leaks"),
        ("fault.kill", "fault.kill"),
        ("70", "70"),
        ("became_leader", "became_leader"),
    ] {
        let Found::Entries { meant, .. } = find(typed) else { panic!("`{typed}` is not found") };
        assert!(meant.iter().any(|entry| entry.name == name), "`{typed}`: {meant:?}");
    }
    let Found::Entries { meant, also } = find("within") else { panic!("`within` is not found") };
    assert!(meant.len() + also.len() > 3, "{meant:?} {also:?}");
}

#[test]
fn an_unknown_word_gets_the_one_that_was_probably_meant() {
    assert_eq!(find("leader_overlp"), Found::Nothing("did you mean `leader_overlap`?".to_owned()));
    assert!(matches!(find("DS9999"), Found::Nothing(_)));
    assert!(matches!(find(""), Found::Nothing(_)));
    assert!(matches!(find("..."), Found::Nothing(_)));
    assert!(matches!(find("{}"), Found::Nothing(_)));
}

#[test]
fn every_good_file_may_serve_as_an_example() {
    let dir = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/good")).expect("good files");
    let stem = |path: std::path::PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let files: BTreeSet<String> =
        dir.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).filter_map(stem).collect();
    let known: BTreeSet<String> = GOOD.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files, known, "every file of bench/core/tests/good stands in GOOD of bench/core/src/explain/example.rs");
}
