//! Files that mean many runs: matrix, cases, extends. Each run is stored so that it can be judged and made again by itself.

use crate::support::{Place, stderr, stdout};

/// Nodes that say hello and go; `vars.word` is what they say.
const HELLO: &str = r#"schema = 1
name = "hello"
timeout = "30s"
tags = ["smoke"]
description = "Says a word."
[vars]
word = "hello"
[nodes]
count = 1
command = ["sh", "-c", "echo {vars.word} {id}"]
[events]
hello = { log = '^hello' }
cursed = { log = '^damn' }
[[steps]]
expect = { event = "hello" }
within = "10s"
[[invariants]]
name = "nobody swears"
never = "cursed"
[[invariants]]
process = { exit = "any" }
"#;

fn with(more: &str) -> Place {
    let place = Place::new();
    place.write("x.toml", &format!("{HELLO}{more}"));
    place
}

const MATRIX: &str = "[matrix]\nnodes.count = [1, 2]\n\"vars.word\" = [\"hello\", \"hello world\"]\n";

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim_end).collect()
}

#[test]
fn list_prints_every_run_with_its_values_and_run_makes_each() {
    let place = with(MATRIX);
    let listed = stdout(&place.dsbench(&["list", "x.toml"]).success());
    let labels: Vec<_> = listed.lines().map(|line| line.split("  ").next().unwrap()).collect();
    assert_eq!(
        labels,
        [
            "hello[nodes.count=1,vars.word=hello]",
            "hello[nodes.count=1,vars.word=\"hello world\"]",
            "hello[nodes.count=2,vars.word=hello]",
            "hello[nodes.count=2,vars.word=\"hello world\"]",
        ]
    );
    assert!(listed.lines().all(|line| line.ends_with("smoke  Says a word.")), "{listed}");
    let json: serde_json::Value =
        serde_json::from_str(&stdout(&place.dsbench(&["list", "x.toml", "--json"]).success())).unwrap();
    assert_eq!(json[3]["set"], serde_json::json!({ "nodes.count": "2", "vars.word": "\"hello world\"" }));
    let text = stderr(&place.dsbench(&["run", "-q", "x.toml"]).success());
    assert!(text.contains("4 passed, 0 failed, 0 undecided of 4"), "{text}");
    for label in labels {
        assert!(text.contains(&format!("s  {label}\n")), "{label} is missing:\n{text}");
    }
}

#[test]
fn a_stored_run_of_a_matrix_is_judged_shown_and_made_again_exactly() {
    let place = with(MATRIX);
    place.dsbench(&["run", "-q", "x.toml"]).success();
    let run = place.run_json();
    assert_eq!(run["label"], "hello[nodes.count=2,vars.word=\"hello world\"]");
    assert_eq!(run["nodes"], serde_json::json!(["peer1", "peer2"]));
    let again = stderr(&place.dsbench(&["recheck"]).success());
    assert!(again.contains("the same verdict"), "{again}");
    assert!(stdout(&place.dsbench(&["show"]).success()).contains("hello[nodes.count=2"));
    // The line is for a shell.
    let reproduce = run["reproduce"].as_str().unwrap().strip_prefix("dsbench ").unwrap().to_owned();
    assert_eq!(
        reproduce,
        format!(
            "run x.toml --set nodes.count=2 --set 'vars.word=\"hello world\"' --seed {}",
            run["seed"].as_str().unwrap()
        )
    );
    let args = reproduce.replace('\'', "");
    let args: Vec<String> =
        args.replace("hello world", "hello\u{0}world").split(' ').map(|arg| arg.replace('\u{0}', " ")).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let text = stderr(&place.dsbench(&args).success());
    assert_eq!(text.matches("PASS").count(), 1, "{text}");
    assert_eq!(place.run_json()["label"], run["label"]);
}

#[test]
fn the_command_line_restricts_and_extends_a_matrix() {
    let place = with(MATRIX);
    let labels = |args: &[&str]| {
        let listed = stdout(&place.dsbench(&[&["list", "x.toml"], args].concat()).success());
        listed.lines().map(|line| line.split("  ").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        labels(&["--set", "vars.word=hello"]),
        ["hello[nodes.count=1,vars.word=hello]", "hello[nodes.count=2,vars.word=hello]"]
    );
    assert_eq!(
        labels(&["--set", "vars.word=hello", "--matrix", "nodes.count=3"]),
        ["hello[nodes.count=3,vars.word=hello]"]
    );
    assert_eq!(labels(&["--matrix", "nodes.name=a{id},b{id}"]).len(), 8);
    let none = place.dsbench(&["list", "x.toml", "--matrix", "nodes.count"]).code(2);
    assert!(stderr(&none).contains("PATH=V1,V2"), "{}", stderr(&none));
}

#[test]
fn each_mistake_of_a_thousand_runs_is_shown_once_at_its_place() {
    let values: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    let place = with(&format!("[matrix]\n\"vars.word\" = [{}]\nnodes.count = [1, 0]\n", values.join(", ")));
    for command in ["check", "run"] {
        let text = stderr(&place.dsbench(&[command, "x.toml"]).code(2));
        assert_eq!(text.matches("error[DS").count(), 1, "{text}");
        let told = "in 1000 of 2000 runs, the first with vars.word=0,nodes.count=0";
        assert!(text.contains("x.toml:24:19") && text.contains(told), "{text}");
    }
    assert!(!place.path("logs").exists(), "nothing was started");
    let many = place.dsbench(&["check", "x.toml", "--matrix", "nodes.name=a,b,c,d,e,f,g,h,i,j,k"]).code(2);
    assert!(stderr(&many).contains("DS0271") && stderr(&many).contains("22000 runs"), "{}", stderr(&many));
}

const CASES: &str = r#"[[cases]]
name = "polite"
[[cases]]
name = "rude"
description = "Swears."
set = { "vars.word" = "damn; echo hello" }
expect = "violated"
violates = "nobody swears"
[[cases]]
name = "tolerated"
set = { vars.word = "damn; echo hello" }
may_violate = "nobody swears"
"#;

#[test]
fn cases_have_verdicts_of_their_own_and_are_judged_again_by_them() {
    let place = with(CASES);
    let text = stderr(&place.dsbench(&["run", "-q", "x.toml"]).success());
    assert!(text.contains("caught being violated") && text.contains("violated, as it may be"), "{text}");
    assert!(text.contains("3 passed"), "{text}");
    for run in ["-1", "-2", "-3"] {
        let again = stderr(&place.dsbench(&["recheck", run]).success());
        assert!(again.contains("the same verdict"), "{again}");
    }
    let one = place.dsbench(&["run", "-q", "x.toml", "--case", "rude", "--set", "vars.word=hello"]).code(1);
    assert!(stderr(&one).contains("held, but was to be caught"), "{}", stderr(&one));
    assert_eq!(place.run_json()["case"], "rude");
    let listed = stdout(&place.dsbench(&["list", "x.toml", "--case", "rude"]).success());
    assert_eq!(lines(&listed), ["hello[rude]  smoke  Swears."]);
    place.dsbench(&["run", "x.toml", "--case", "rood"]).code(4);
    place.dsbench(&["plan", "x.toml", "--case", "rood"]).code(4);
    let plan = place.dsbench(&["plan", "x.toml"]).success();
    assert!(stderr(&plan).contains("3 runs, and this is the first, hello[polite]"), "{}", stderr(&plan));
}

const CHILD: &str = "extends = \"shared/base.toml\"\nname = \"child\"\n[nodes]\ncount = 2\n";

fn family() -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path("shared")).expect("a new directory");
    place.write("child.toml", CHILD).write("shared/base.toml", &format!("extends = \"words.toml\"\n{HELLO}"));
    place.write("shared/words.toml", "[events]\ncursed = { log = '^darn' }\nfine = { log = 'fine' }\n");
    place
}

#[test]
fn a_stored_run_holds_all_that_its_scenario_extends() {
    let place = family();
    let text = stderr(&place.dsbench(&["run", "-q", "child.toml"]).success());
    assert!(text.contains("PASS"), "{text}");
    let stored = std::fs::read(place.run_dir().join("verdict.json")).unwrap();
    for file in ["child.toml", "shared/base.toml", "shared/words.toml"] {
        std::fs::remove_file(place.path(file)).unwrap();
    }
    let again = stderr(&place.dsbench(&["recheck"]).success());
    assert!(again.contains("the same verdict"), "{again}");
    assert_eq!(std::fs::read(place.run_dir().join("verdict.json")).unwrap(), stored);
    let verdict: serde_json::Value = serde_json::from_slice(&stored).unwrap();
    // The header stands a line above, and there is one more line in the file.
    let line = 1 + HELLO.lines().position(|line| line == "name = \"nobody swears\"").unwrap();
    assert_eq!(verdict["invariants"][0]["file"], "shared/base.toml");
    assert_eq!(verdict["invariants"][0]["line"], line);
}

#[test]
fn a_mistake_is_shown_in_the_file_that_has_it() {
    let place = family();
    place.write(
        "child.toml",
        &format!("{CHILD}[vars]\nword = \"damn; echo hello\"\n[events]\ncursed = {{ log = '^damn' }}\n"),
    );
    let text = stderr(&place.dsbench(&["run", "child.toml"]).code(1));
    assert!(text.contains("nobody swears"), "{text}");
    place.write("shared/base.toml", &HELLO.replace("never = \"cursed\"", "nevr = \"cursed\""));
    let text = stderr(&place.dsbench(&["check", "child.toml"]).code(2));
    let line = 1 + HELLO.lines().position(|line| line == "never = \"cursed\"").unwrap();
    assert!(text.contains(&format!("--> shared/base.toml:{line}:1")), "{text}");
}

#[test]
fn what_cannot_be_extended_is_told_where_it_is_named_and_nothing_starts() {
    let place = family();
    std::fs::create_dir(place.path("inner")).unwrap();
    std::os::unix::fs::symlink(place.path("shared/base.toml"), place.path("inner/link.toml")).unwrap();
    for (file, extends, why) in [
        ("child.toml", "nowhere.toml", "No such file"),
        ("child.toml", "/etc/passwd", "not relative"),
        ("child.toml", "../base.toml", "outside of the directory"),
        ("child.toml", "shared", "is not a file"),
        ("child.toml", "child.toml", "extend itself"),
        ("inner/child.toml", "link.toml", "a link to a file outside"),
    ] {
        place.write(file, &CHILD.replace("shared/base.toml", extends));
        let text = stderr(&place.dsbench(&["run", file]).code(2));
        assert!(
            text.contains("DS0270") && text.contains(why) && text.contains(&format!("{file}:1:11")),
            "{why}:\n{text}"
        );
    }
    place.write("shared/base.toml", "extends = \"words.toml\"").write("shared/words.toml", "extends = \"base.toml\"");
    place.write("child.toml", CHILD);
    let text = stderr(&place.dsbench(&["run", "child.toml"]).code(2));
    assert!(text.contains("shared/words.toml:1:11") && text.contains("extend itself"), "{text}");
    assert!(!place.path("logs").exists());
}

#[test]
fn a_directory_means_its_scenarios_and_not_the_parts_that_they_share() {
    let place = Place::new();
    std::fs::create_dir(place.path("scenarios")).unwrap();
    let part = HELLO.replace("name = \"hello\"\n", "");
    place.write("scenarios/part.toml", &part).write("scenarios/one.toml", "extends = \"part.toml\"\nname = \"one\"\n");
    place.write("scenarios/two.toml", "extends = \"part.toml\"\nname = \"one\"\n");
    let listed = stdout(&place.dsbench(&["list"]).success());
    let labels: Vec<_> = listed.lines().map(|line| line.split("  ").next().unwrap()).collect();
    assert_eq!(labels, ["one (scenarios/one.toml)", "one (scenarios/two.toml)"], "and no two runs are called the same");
    place.dsbench(&["check"]).success();
    place.dsbench(&["check", "scenarios/part.toml"]).code(2);
}
