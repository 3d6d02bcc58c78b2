//! Scenario files as wholes: good ones are read, bad ones are told everything that is wrong with them.

#![expect(clippy::disallowed_methods, reason = "tests read the files beside them")]

use dsbench_core::diagnostic::{CODES, Diagnostic, MISSING_KEY, Meaning};
use dsbench_core::plan::Plan;
use dsbench_core::scenario::{Asked, Choice, Override, Scenario, Suite};
use dsbench_core::source::Sources;
use dsbench_core::verdict::Expectation;
use proptest::prelude::*;

const GOOD: &[&str] =
    &["leader-election", "everything", "groups", "demonstration", "promises", "nemesis", "stages", "processes"];

fn good(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/good/{name}.toml", env!("CARGO_MANIFEST_DIR")))
        .expect("the file is there")
}

fn told(diagnostics: &[Diagnostic], text: &str) -> String {
    let line = |d: &Diagnostic| text[..d.at.0.start].matches('\n').count() + 1;
    diagnostics
        .iter()
        .map(|d| {
            format!(
                "{} line {}: {} [{}] help: {}\n",
                d.code,
                line(d),
                d.message,
                d.at.1,
                d.help.as_deref().unwrap_or("-")
            )
        })
        .collect()
}

fn parse(text: &str) -> Scenario {
    Scenario::parse(text, &[]).unwrap_or_else(|diagnostics| panic!("{}", told(&diagnostics, text)))
}

/// The overrides that a bad file asks for in its first lines.
fn overrides(text: &str) -> Vec<Override> {
    text.lines().filter_map(|line| Override::parse(line.strip_prefix("# --set ")?.split("# right:").next()?)).collect()
}

/// Every diagnostic of a text and all of its variations, errors and warnings.
fn diagnostics(text: &str) -> Vec<Diagnostic> {
    let sources = Sources::of(text);
    if let Some(case) = text.lines().find_map(|line| line.strip_prefix("# --case ")?.split("# right:").next()) {
        let choice = Choice { case: Some(case.trim().into()), overrides: overrides(text), ..Choice::default() };
        return Scenario::parse_choice(&sources, &choice)
            .map_or_else(|mistakes| mistakes, |scenario| scenario.warnings);
    }
    let asked = Asked { set: overrides(text), ..Asked::default() };
    Suite::parse(&sources, &asked, |_, _| {}).map_or_else(|mistakes| mistakes, |suite| suite.warnings)
}

#[test]
fn good_files_are_read_without_a_warning() {
    for name in GOOD {
        assert_eq!(parse(&good(name)).warnings, []);
    }
}

/// A code has one bad file for each mistake that it stands for: what is told of it stands in the file's first lines.
#[test]
fn every_bad_file_gets_its_code_once_and_is_told_what_to_do() {
    let dir = format!("{}/tests/bad", env!("CARGO_MANIFEST_DIR"));
    for file in std::fs::read_dir(dir).expect("the directory is there") {
        let path = file.expect("it can be listed").path();
        let text = std::fs::read_to_string(&path).expect("a file of text");
        let found = diagnostics(&text);
        let said = told(&found, &text);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        assert_eq!(found.len(), 1, "{name}:\n{said}");
        assert!(name.starts_with(&found[0].code.to_string()), "{name}:\n{said}");
        for told in text.lines().filter_map(|line| line.strip_prefix("# told: ")) {
            assert!(said.contains(told), "{name}: no \"{told}\" in\n{said}");
        }
    }
}

#[test]
fn every_code_has_a_file_that_gets_it_and_only_it() {
    for Meaning { code, example: text, .. } in CODES {
        let found = diagnostics(text);
        assert!(!found.is_empty() && found.iter().all(|d| d.code == *code), "{code}:\n{}", told(&found, text));
        assert_eq!(found.len(), 1, "{code}:\n{}", told(&found, text));
    }
}

#[test]
fn ten_mistakes_get_ten_diagnostics_in_one_go() {
    let text = good("leader-election")
        .replace("timeout     =", "timout      =")
        .replace("within = \"5s\" }", "within = 5 }")
        .replace("{data_dir}", "{dat_dir}")
        .replace("kill  = \"leader\"", "kill  = \"leeder\"")
        .replace("(?<term>", "(?<trem>")
        .replace("after   = \"4s\"", "at      = \"1 parsec\"")
        .replace("latest = \"follows\"", "latest = \"folows\"")
        .replace("per = \"term\"", "pre = \"term\"")
        .replace("sometimes = {", "sometime = {")
        .replace("severity  = \"warn\"", "severity  = \"mild\"");
    let found = diagnostics(&text);
    let codes: Vec<String> = found.iter().map(|d| d.code.to_string()).collect();
    let expected = ["DS0101", "DS0134", "DS0111", "DS0132", "DS0120", "DS0111", "DS0121", "DS0101", "DS0101", "DS0114"];
    for code in expected {
        assert!(codes.iter().any(|found| found == code), "no {code} in\n{}", told(&found, &text));
    }
    assert_eq!(codes.len(), expected.len(), "{}", told(&found, &text));
}

#[test]
fn the_same_scenario_and_seed_give_the_same_bytes() {
    for name in GOOD {
        let rendered = |seed| {
            let plan = Plan::new(parse(&good(name)), seed);
            let addresses = plan.addresses("/bin/dsbench", "/scenarios");
            (plan.describe(), plan.to_json(Some(&addresses)).to_string(), plan.delays)
        };
        assert_eq!(rendered(42), rendered(42));
    }
    let delays = |seed| Plan::new(parse(&good("everything")), seed).delays[2];
    assert!((0..20).any(|seed| delays(seed) != delays(42)));
}

#[test]
fn a_plan_tells_who_runs_and_what_happens_when() {
    let plan = Plan::new(parse(&good("leader-election")), 42);
    let happens = plan.describe();
    let happens = &happens[happens.find("what happens").expect("a section")..];
    assert_eq!(
        happens,
        "what happens (at most 1m)
    1. then                         wait for `became_leader` within 5s
    2. after 1s                     kill leader  [crash]
    3. then                         expect `became_leader` from !killed within 3s
    4. after 4s                     restart killed
    5. then                         expect the newest `follows` where leader = leader from each of restarted within 5s

what must hold
  at most one leader per term  (single_leader)
  no two leaderships overlap by more than a second  (leader_overlap)
  failover is fast  (deadline)
  the test exercised something  (sometimes)  (a warning)
  no process crashed  (process)
"
    );
}

#[test]
fn a_plan_tells_which_group_starts_when_and_who_does_not() {
    let plan = Plan::new(parse(&good("groups")), 42).describe();
    let who = &plan[plan.find("who runs").expect("a section")..plan.find("what happens").expect("a section")];
    for part in [
        "  server (3)\n    server1        kvd --me {name}",
        "    server3        kvd-next --me {name}",
        "    server3/spy    tcpdump port {port.peer}\n  client (3)\n    c1 ",
        "  started in this order, each when those before are ready: server2; server1; c1, c3\n",
        "  left to `start` steps: server3, c2, proxy\n",
    ] {
        assert!(who.contains(part), "no {part:?} in\n{who}");
    }
}

#[test]
fn a_node_that_differs_keeps_what_it_does_not_say() {
    let text = good("groups").replace(
        "ports   = [\"main\", \"ui\"]\n",
        "ports = [\"main\", \"ui\"]\nrestart_command = [\"kvc\", \"again\"]\n",
    );
    let other =
        text.replace("[override.c2]\n", "[override.c2]\nenv = { A = \"b\" }\n[override.c3]\ncommand = [\"x\"]\n");
    let plan = Plan::new(parse(&other), 1);
    let has_restart = |node: &str| plan.process(node, "main").is_some_and(|main| main.restart_command.is_some());
    assert_eq!(
        ["c1", "c2", "c3"].map(has_restart),
        [true, true, false],
        "another command is another one at every start"
    );
    let env = |node: &str| plan.process(node, "main").map(|main| main.env.len());
    assert_eq!([env("c2"), env("server3")], [Some(1), Some(2)]);
    let ids = plan.addresses("", "");
    let second_of = |group: &str| plan.aliases(&ids, Some(&group.into())).node("2").cloned();
    assert_eq!(second_of("server").as_deref(), Some("server2"));
    assert_eq!(second_of("client").as_deref(), Some("c2"), "a number means a node of the own group");
}

#[test]
fn overrides_replace_add_and_reach_steps_by_their_name() {
    let text = good("leader-election");
    let set = |values: &[&str]| {
        let overrides: Vec<Override> = values.iter().map(|value| Override::parse(value).expect("PATH=VALUE")).collect();
        Scenario::parse(&text, &overrides)
    };
    let scenario =
        set(&["nodes.count=5", "steps.crash.after=200ms", "nodes.env.GREETING=hello", "steps.crash.kill=[\"peer5\"]"]);
    let scenario = scenario.unwrap_or_else(|d| panic!("{}", told(&d, &text)));
    assert_eq!(scenario.nodes.len(), 5);
    assert_eq!(scenario.steps[1].verb.to_string(), "kill peer5");
    assert_eq!(scenario.steps[1].timing.after.map(|after| after.high.as_millis()), Some(200));

    let mistakes = set(&["nodes.count=0"]).expect_err("no nodes");
    assert_eq!(mistakes.len(), 1);
    assert_eq!(&text[mistakes[0].at.0.clone()], "3");
    let help = mistakes[0].help.as_deref();
    assert_eq!(help, Some("the value is that of `--set nodes.count=0`"));
    let mistakes = set(&["nodes.cuont=3", "name.x=1", "steps.carsh.after=1s", "vars.x=1"]).expect_err("no such keys");
    let codes: Vec<String> = mistakes.iter().map(|d| d.code.to_string()).collect();
    assert_eq!(codes, ["DS0160", "DS0160", "DS0160", "DS0101"]);
}

#[test]
fn programs_that_must_be_there_are_named_once() {
    let plan = Plan::new(parse(&good("everything")), 1);
    let names: Vec<String> = plan.programs().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["redis-server", "redis-cli", "redis-sentinel", "true", "docker"]);
    let hint = plan.programs().into_iter().find(|(name, _)| name == "redis-server").and_then(|(_, hint)| hint);
    assert_eq!(hint.as_deref(), Some("apt-get install redis-server"));
}

#[test]
fn a_demonstration_says_what_is_to_be_violated() {
    let one = |extra: &str| good("leader-election").replace("tags  ", &format!("{extra}\ntags  "));
    let scenario = parse(&one("expect = \"violated\"\nviolates = \"failover is fast\""));
    let expected: Vec<bool> =
        scenario.invariants.iter().map(|invariant| invariant.expectation == Expectation::BeViolated).collect();
    assert_eq!(expected, [false, false, true, false]);
    let unclear = one("expect = \"violated\"");
    assert_eq!(diagnostics(&unclear)[0].code, MISSING_KEY);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_text_makes_the_reader_panic_and_every_place_lies_in_the_text(text in scenario_like()) {
        for diagnostic in diagnostics(&text) {
            for span in std::iter::once(&diagnostic.at.0).chain(diagnostic.also.iter().map(|(span, _)| span)) {
                prop_assert!(text.get(span.clone()).is_some(), "{span:?} of {}", diagnostic.message);
            }
        }
        // And what is read can be told in full: no variable is made of itself.
        if let Ok(scenario) = Scenario::parse(&text, &[]) {
            let plan = Plan::new(scenario, 1);
            let addresses = plan.addresses("/bin/dsbench", "/scenarios");
            prop_assert!(!plan.to_json(Some(&addresses)).to_string().is_empty());
        }
    }
}

/// Good files with pieces cut out, doubled, or replaced by something else; and any text at all.
fn scenario_like() -> impl Strategy<Value = String> {
    let noise = prop_oneof![
        any::<String>(),
        prop::sample::select(vec![
            "\"",
            "'",
            "{",
            "}",
            "[",
            "]",
            "=",
            ".",
            "\n",
            "ä",
            "{{",
            "\"\"\"",
            "\u{0}",
            "[[steps]]\n",
            "1e999",
            "0x"
        ])
        .prop_map(str::to_owned),
    ];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..40_usize, noise), 1..6);
    let edited = (prop::sample::select(GOOD), edits).prop_map(|(name, edits)| {
        let mut text = good(name);
        for (at, length, noise) in edits {
            let on_boundary = |mut at: usize| {
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                at
            };
            let start = on_boundary(at.index(text.len() + 1));
            let end = on_boundary((start + length).min(text.len())).max(start);
            text.replace_range(start..end, &noise);
        }
        text
    });
    prop_oneof![9 => edited, 1 => any::<String>()]
}
