//! Scenario files that mean many runs: a matrix, cases, and what a file extends.

use dsbench_core::diagnostic::Diagnostic;
use dsbench_core::scenario::{Asked, Axis, Override, Scenario, Suite};
use dsbench_core::source::Sources;
use dsbench_core::verdict::Expectation;
use proptest::prelude::*;

const PLAIN: &str = r#"
schema = 1
name = "x"
[vars]
limit = "1s"
[nodes]
count = 3
command = ["true", "{vars.limit}"]
[events]
up = { log = 'up' }
[[steps]]
name = "crash"
after = "1s"
kill = "peer3"
[[invariants]]
name = "it came up"
sometimes = { event = "up" }
[[invariants]]
name = "it stayed up"
never = "up"
"#;

fn with(more: &str) -> String {
    format!("{PLAIN}{more}")
}

fn asked(set: &[&str], matrix: &[&str], cases: &[&str]) -> Asked {
    Asked {
        cases: cases.iter().map(|case| (*case).to_owned()).collect(),
        set: set.iter().map(|text| Override::parse(text).expect("PATH=VALUE")).collect(),
        matrix: matrix.iter().map(|text| Axis::parse(text).expect("PATH=V1,V2")).collect(),
        without_faults: false,
    }
}

/// What each run is called, and one thing about it.
fn runs<T>(text: &str, asked: &Asked, look: impl Fn(&Scenario) -> T) -> Vec<(String, T)> {
    let mut all = Vec::new();
    let sources = Sources::of(text);
    let suite =
        Suite::parse(&sources, asked, |variation, scenario| all.push((variation.label.clone(), look(&scenario))));
    let suite = suite.unwrap_or_else(|mistakes| panic!("{}", told(&sources, &mistakes)));
    assert_eq!(suite.variations.len(), all.len());
    // Each is what a stored run of it reads again.
    for (variation, (label, _)) in suite.variations.iter().zip(&all) {
        assert_eq!(&variation.label, label);
        let texts =
            variation.choice.overrides.iter().map(|this| Override::parse(&this.to_string()).expect("what it writes"));
        let choice = dsbench_core::scenario::Choice { overrides: texts.collect(), ..variation.choice.clone() };
        Scenario::parse_choice(&sources, &choice).unwrap_or_else(|mistakes| panic!("{}", told(&sources, &mistakes)));
    }
    all
}

fn labels(text: &str, asked: &Asked) -> Vec<String> {
    runs(text, asked, |_| ()).into_iter().map(|(label, ())| label).collect()
}

fn mistakes(text: &str, asked: &Asked) -> Vec<String> {
    let sources = Sources::of(text);
    match Suite::parse(&sources, asked, |_, _| {}) {
        Ok(_) => Vec::new(),
        Err(mistakes) => told(&sources, &mistakes).lines().map(str::to_owned).collect(),
    }
}

/// `base.toml:3 <the text at the place> message | help`
fn told(sources: &Sources, diagnostics: &[Diagnostic]) -> String {
    let told = |d: &Diagnostic| {
        let file = sources.file_at(d.at.0.start).expect("a place in a file");
        let place = &file.text[file.local(&d.at.0)];
        let line = sources.line(d.at.0.start).shown("x.toml");
        format!("{line} <{place}> {} | {}\n", d.message, d.help.as_deref().unwrap_or("-"))
    };
    diagnostics.iter().map(told).collect()
}

#[test]
fn every_combination_is_a_run_with_its_own_values_and_name() {
    let text = with("[matrix]\nnodes.count = [3, 5]\n\"steps.crash.after\" = [\"200ms\", \"1s\"]\n");
    let runs = runs(&text, &Asked::default(), |s| (s.nodes.len(), s.steps[0].timing.after.unwrap().high.as_millis()));
    let runs: Vec<_> = runs.iter().map(|(label, values)| (label.as_str(), *values)).collect();
    assert_eq!(
        runs,
        [
            ("x[nodes.count=3,steps.crash.after=200ms]", (3, 200)),
            ("x[nodes.count=3,steps.crash.after=1s]", (3, 1000)),
            ("x[nodes.count=5,steps.crash.after=200ms]", (5, 200)),
            ("x[nodes.count=5,steps.crash.after=1s]", (5, 1000)),
        ]
    );
}

#[test]
fn the_command_line_restricts_replaces_and_adds() {
    let text = with("[matrix]\n\"nodes.count\" = [3, 5]\n\"vars.limit\" = [\"2s\", \"3s\"]\n");
    let labels = |asked: Asked| labels(&text, &asked);
    assert_eq!(
        labels(asked(&["vars.limit=2s"], &[], &[])),
        ["x[nodes.count=3,vars.limit=2s]", "x[nodes.count=5,vars.limit=2s]"]
    );
    let same = asked(&["vars.limit=9s", "nodes.count=4"], &[], &[]);
    assert_eq!(labels(same), ["x[nodes.count=4,vars.limit=9s]"], "in the order of the matrix");
    let replaced = asked(&["vars.limit=2s"], &["nodes.count=7"], &[]);
    assert_eq!(labels(replaced), ["x[nodes.count=7,vars.limit=2s]"]);
    let added = asked(&["vars.limit=2s", "nodes.count=3"], &["steps.crash.after=1s,2s"], &[]);
    let expected =
        ["x[nodes.count=3,vars.limit=2s,steps.crash.after=1s]", "x[nodes.count=3,vars.limit=2s,steps.crash.after=2s]"];
    assert_eq!(labels(added), expected);
    let also = asked(&["nodes.count=3", "vars.limit=2s", "timeout=5s"], &[], &[]);
    assert_eq!(labels(also), ["x[nodes.count=3,vars.limit=2s,timeout=5s]"]);
}

#[test]
fn a_case_has_a_verdict_of_its_own_and_fixes_what_it_sets() {
    let text = with(
        r#"[matrix]
"vars.limit" = ["2s", "3s"]
[[cases]]
name = "async"
expect = "violated"
violates = ["it stayed up"]
set = { nodes.count = 5 }
[[cases]]
name = "sync"
may_violate = "it stayed up"
set = { "vars.limit" = 9 }
"#,
    );
    let expectations = |s: &Scenario| (s.nodes.len(), s.is_demonstration, s.invariants[1].expectation);
    let found = runs(&text, &Asked::default(), expectations);
    let found: Vec<_> = found.iter().map(|(label, values)| (label.as_str(), *values)).collect();
    assert_eq!(
        found,
        [
            ("x[async,vars.limit=2s]", (5, true, Expectation::BeViolated)),
            ("x[async,vars.limit=3s]", (5, true, Expectation::BeViolated)),
            ("x[sync]", (3, false, Expectation::MayBeViolated)),
        ]
    );
    assert_eq!(labels(&text, &asked(&[], &[], &["sync"])), ["x[sync]"]);
    assert_eq!(labels(&text, &asked(&[], &[], &["snyc"])), Vec::<String>::new());
}

#[test]
fn a_case_that_says_what_to_expect_says_all_of_it() {
    let text = with("[[cases]]\nname = \"mended\"\nexpect = \"held\"\n[[cases]]\nname = \"broken\"\n")
        .replace("name = \"x\"", "name = \"x\"\nexpect = \"violated\"\nviolates = \"it stayed up\"");
    let found = runs(&text, &Asked::default(), |s| s.is_demonstration);
    assert_eq!(found.iter().map(|(_, demonstrates)| *demonstrates).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_wrong_value_is_shown_at_its_place_with_the_combination_that_has_it() {
    let text = with("[matrix]\nnodes.count = [3, 0, 2]\n\"steps.crash.after\" = [\"1s\", \"soon\"]\n");
    assert_eq!(
        mistakes(&text, &Asked::default()),
        [
            // What is right by itself and wrong in a combination is shown where it is wrong.
            "x.toml:14 <\"peer3\"> nobody is called `peer3` | did you mean `peer1` or `peer2`? (in 2 of 6 runs, the first with nodes.count=2,steps.crash.after=1s)",
            "x.toml:22 <0> `count` is out of range | in 2 of 6 runs, the first with nodes.count=0,steps.crash.after=1s",
            "x.toml:23 <\"soon\"> `after` is not a duration | for example \"300ms\", \"5s\" or \"1m 30s\" (in 3 of 6 runs, the first with nodes.count=3,steps.crash.after=soon)",
        ]
    );
}

#[test]
fn a_path_that_is_nowhere_is_told_with_what_was_probably_meant() {
    let text = |path: &str| with(&format!("[matrix]\n\"{path}\" = [\"1\", \"2\"]\n"));
    let told = |path: &str| mistakes(&text(path), &Asked::default()).join("\n");
    for (path, suggestion) in [
        ("nodes.cuont", "did you mean `count`?"),
        ("steps.carsh.after", "did you mean `crash`?"),
        ("vars.limt", "nothing uses {vars.limt}; did you mean `limit`?"),
        ("timout", "did you mean `timeout`?"),
        ("name.x", "`name` is a value, and has no `x`"),
        ("matrix.x", "--matrix"),
    ] {
        let told = told(path);
        assert!(told.contains(suggestion) && told.starts_with("x.toml:22 <"), "{path}: {told}");
        assert_eq!(told.lines().count(), 1, "{path}: {told}");
    }
}

#[test]
fn mistakes_in_matrix_and_cases_do_not_hide_those_of_the_scenario() {
    let text = with("[matrix]\nnodes.count = 3\ntimeout = []\n[[cases]]\nset = {}\n[[cases]]\nname = \"a/b\"\n")
        .replace("\"1s\"\nkill", "5\nkill");
    let told = mistakes(&text, &Asked::default());
    assert_eq!(told.len(), 5, "{told:#?}");
    assert!(told[0].contains(":13 <5>"), "{told:#?}");
}

#[test]
fn a_thousand_combinations_are_fine_and_an_absurd_number_is_refused() {
    let values: Vec<String> = (1..=1_000).map(|n| n.to_string()).collect();
    let text = with(&format!("[matrix]\n\"vars.limit\" = [{}]\n", values.join(", ")));
    let labels = labels(&text, &Asked::default());
    assert_eq!((labels.len(), labels[999].as_str()), (1_000, "x[vars.limit=1000]"));
    let told = mistakes(&text, &asked(&[], &["nodes.count=3,4,5,6,7,8,9,10,11,12,13"], &[]));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("11000 runs, and at most 10000"), "{told:?}");
}

fn extended(child: &str, bases: &[(&str, &str)]) -> Sources {
    let mut sources = Sources::of(child);
    for (path, text) in bases {
        sources.add(*path, *text);
    }
    sources
}

fn read(sources: &Sources) -> Scenario {
    let mut read = None;
    let suite = Suite::parse(sources, &Asked::default(), |variation, _| read = Some(variation.choice.clone()));
    suite.unwrap_or_else(|mistakes| panic!("{}", told(sources, &mistakes)));
    Scenario::parse_choice(sources, &read.expect("one run")).expect("it was read before")
}

#[test]
fn what_a_file_extends_is_merged_into_it() {
    let child = r#"
extends = "base.toml"
name = "y"
[nodes]
count = 5
[vars]
limit = "7s"
[[steps]]
name = "crash"
after = "9s"
[[steps]]
expect = { event = "up" }
[[invariants]]
name = "it stayed up"
severity = "warn"
[[invariants]]
name = "another"
never = "up"
"#;
    let base = PLAIN.replace("limit = \"1s\"", "limit = \"1s\"\ntwice = \"{vars.limit} {vars.limit}\"");
    let scenario = read(&extended(child, &[("base.toml", &base)]));
    assert_eq!((&*scenario.name, scenario.nodes.len()), ("y", 5));
    // A named step is changed where it stands; others follow. Its line is the one of the file that changed it.
    let steps: Vec<_> = scenario.steps.iter().map(|s| (s.verb.to_string(), s.line.shown("d/y.toml"))).collect();
    assert_eq!(steps[0], ("kill peer3".to_owned(), "d/y.toml:8".to_owned()));
    assert_eq!(steps[1].1, "d/y.toml:11");
    let invariants: Vec<_> =
        scenario.invariants.iter().map(|i| (i.name.as_str(), i.line.as_ref().unwrap().shown("d/y.toml"))).collect();
    let at = |text: &str| (1 + base.lines().position(|line| line == text).unwrap()).to_string();
    let in_base = format!("d/base.toml:{}", at("name = \"it came up\"").parse::<usize>().unwrap() - 1);
    assert_eq!(
        invariants,
        [("it came up", in_base), ("it stayed up", "d/y.toml:13".into()), ("another", "d/y.toml:16".into())]
    );
}

#[test]
fn mistakes_are_shown_in_the_file_that_has_them() {
    let base = PLAIN.replace("kill = \"peer3\"", "kill = \"pear3\"");
    let sources = extended("extends = \"shared/base.toml\"\nname = \"\"\n", &[("shared/base.toml", &base)]);
    let told = told(&sources, &Suite::parse(&sources, &Asked::default(), |_, _| {}).unwrap_err());
    let told: Vec<_> = told.lines().collect();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[0].starts_with("shared/base.toml:14 <\"pear3\"> "), "{told:#?}");
    assert!(told[1].starts_with("x.toml:2 <\"\"> "), "{told:#?}");
}

#[test]
fn a_syntax_error_of_the_extended_file_is_shown_there() {
    let base = PLAIN.replace("count = 3", "count = = 3");
    let sources = extended("extends = \"base.toml\"\n", &[("base.toml", &base)]);
    let told = told(&sources, &Suite::parse(&sources, &Asked::default(), |_, _| {}).unwrap_err());
    assert!(told.starts_with("base.toml:7 <"), "{told}");
}

#[test]
fn a_file_that_was_not_read_is_the_only_mistake() {
    for child in ["extends = \"base.toml\"\n", "extends = \"/base.toml\"\n"] {
        let sources = Sources::of(child);
        let mistakes = Suite::parse(&sources, &Asked::default(), |_, _| {}).unwrap_err();
        assert_eq!(mistakes.len(), 1, "{}", told(&sources, &mistakes));
        assert_eq!(mistakes[0].code.to_string(), "DS0270");
    }
}

/// A scenario with one variable per axis, and the values that each takes.
fn matrices() -> impl Strategy<Value = Vec<Vec<u32>>> {
    prop::collection::vec(prop::collection::btree_set(0..50_u32, 1..4).prop_map(|set| set.into_iter().collect()), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn labels_are_unique_and_each_replays_exactly_its_combination(axes in matrices()) {
        let vars: String = (0..axes.len()).map(|axis| format!("v{axis} = 0\n")).collect();
        let matrix: String = axes.iter().enumerate().map(|(axis, values)| format!("\"vars.v{axis}\" = {values:?}\n")).collect();
        let text = with(&format!("[matrix]\n{matrix}")).replace("[vars]\n", &format!("[vars]\n{vars}"));
        let sources = Sources::of(text.as_str());
        let suite = Suite::parse(&sources, &Asked::default(), |_, _| {}).unwrap();
        prop_assert_eq!(suite.variations.len(), axes.iter().map(Vec::len).product::<usize>());
        let mut labels: Vec<_> = suite.variations.iter().map(|variation| &variation.label).collect();
        labels.sort();
        labels.dedup();
        prop_assert_eq!(labels.len(), suite.variations.len());
        for variation in &suite.variations {
            let set = variation.choice.overrides.iter().map(|this| Override::parse(&this.to_string()).unwrap());
            let again = Suite::parse(&sources, &Asked { set: set.collect(), ..Asked::default() }, |_, _| {}).unwrap();
            prop_assert_eq!(again.variations.len(), 1);
            prop_assert_eq!(&again.variations[0].label, &variation.label);
        }
    }
}

#[test]
fn without_faults_what_follows_from_them_is_left_out() {
    let text = PLAIN.replace(
        "[[invariants]]\nname = \"it came up\"",
        r#"[[steps]]
expect = { event = "up", from = "!killed" }
[[steps]]
expect = { event = "up", since = "start" }
[[invariants]]
name = "it came up""#,
    );
    let text = text.replacen("[[steps]]", "[[steps]]\nwait = { event = \"up\" }\n[[steps]]", 1);
    let asked = Asked { without_faults: true, ..Asked::default() };
    let steps = |s: &Scenario| s.steps.iter().map(|step| step.verb.to_string()).collect::<Vec<_>>();
    let judged = |s: &Scenario| s.invariants.iter().all(|i| i.expectation == Expectation::HoldIfExercised);
    let found = runs(&text, &asked, |s| (steps(s), judged(s)));
    let (label, (steps, is_judged)) = &found[0];
    assert_eq!((label.as_str(), *is_judged), ("x[no-faults]", true));
    let left_out = |verb: &str| format!("mark \"left out (no faults): {verb}\"");
    assert_eq!(
        *steps,
        [
            "wait for `up` within 30s".to_owned(),
            left_out("kill peer3"),
            left_out("expect `up` from !killed within 30s"),
            "expect `up` within 30s".to_owned(),
        ]
    );
}
