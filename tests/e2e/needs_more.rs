//! Tests that need more than Rust and a shell: Python, the node with planted mistakes, an ordinary user to become. `.ci/run` runs them all.

use std::path::Path;
use std::process::Command;

use crate::support::{Place, stderr};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[test]
#[ignore = "needs python3"]
fn a_cluster_of_python_processes_with_its_own_log_format_passes() {
    let place = Place::new();
    place.dsbench(&["run", &format!("{ROOT}/examples/python/cluster.toml")]).success();
}

#[test]
#[ignore = "needs the node built with its mistakes (see the error)"]
fn the_demonstrations_are_caught_by_name() {
    for (name, evidence) in
        [("never-steps-down", "no two leaderships overlap"), ("forgotten-vote", "at most one leader per term")]
    {
        let place = Place::new();
        let run = place.dsbench(&["run", &format!("{ROOT}/scenarios/demonstrations/{name}.toml")]).success();
        let text = stderr(&run);
        assert!(text.contains(evidence) && text.contains("became the Group Leader"), "{text}");
    }
}

#[test]
#[ignore = "needs the node built with its mistakes (see the error)"]
fn random_faults_that_know_nothing_of_a_mistake_find_it_within_ten_runs() {
    for name in ["never-steps-down", "forgotten-vote"] {
        let scenario = format!("{ROOT}/scenarios/demonstrations/random/{name}.toml");
        let place = Place::new();
        let catches = |seed: u32| {
            let run = place.dsbench(&["run", "-q", &scenario, "--seed", &seed.to_string()]);
            let (code, text) = (run.get_output().status.code(), stderr(&run));
            assert!(matches!(code, Some(0 | 1)), "{text}");
            assert_eq!(code == Some(0), text.contains("caught being violated"), "{text}");
            code == Some(0)
        };
        assert!((1..=10).any(catches), "{name}: ten runs, and no alarm");
    }
}

#[test]
#[ignore = "needs the right to become an ordinary user"]
fn an_ordinary_user_needs_no_right_that_root_has() {
    let place = Place::new();
    // The user must be able to reach the executable and to write into the place, wherever the checkout lies.
    std::fs::copy(env!("CARGO_BIN_EXE_dsbench"), place.path("dsbench")).unwrap();
    std::fs::copy(format!("{ROOT}/scenarios/leader-election.toml"), place.path("x.toml")).unwrap();
    let dir = place.path("").to_str().unwrap().to_owned();
    assert!(Command::new("chown").args(["-R", "nobody", &dir]).status().unwrap().success());
    let done = Command::new("setpriv")
        .args(["--reuid=nobody", "--clear-groups", "./dsbench", "run", "x.toml"])
        .current_dir(Path::new(&dir))
        .output()
        .unwrap();
    place.wait_until_empty();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
#[ignore = "needs python3"]
fn a_first_cluster_in_python_passes_as_generated() {
    crate::beginning::passes_as_generated(&["--template", "python"]);
}

#[test]
#[ignore = "needs cargo"]
fn a_first_cluster_in_rust_passes_as_generated_and_is_built_by_its_own_scenario() {
    let place = crate::beginning::passes_as_generated(&["--template", "rust"]);
    assert!(place.path("target/debug/node").is_file());
}

#[test]
#[ignore = "needs bash"]
fn bash_completes_commands_options_and_files() {
    let place = Place::new();
    std::fs::create_dir(place.path("scenarios")).unwrap();
    place.write("scenarios/first.toml", "");
    let script = String::from_utf8(place.command(&["completions", "bash"]).output().unwrap().stdout).unwrap();
    place.write("dsbench.bash", &script);
    let completed = |words: &str| {
        let ask = format!(
            "source ./dsbench.bash; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _dsbench dsbench \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let done = Command::new("bash").args(["--norc", "-c", &ask]).current_dir(place.path("")).output().unwrap();
        String::from_utf8_lossy(&done.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(completed("dsbench rech"), ["recheck"]);
    assert!(completed("dsbench run --jun").contains(&"--junit".to_owned()));
    assert_eq!(completed("dsbench run --junit scenarios/fi"), ["scenarios/first.toml"]);
    // No answer of its own where a scenario stands: then bash completes file names, as it is told to.
    assert_eq!(completed("dsbench run scenarios/fi"), [""]);
    assert!(script.lines().any(|line| line.trim().starts_with("complete -F _dsbench") && line.contains("-o default")));
    assert!(completed("dsbench completions z").contains(&"zsh".to_owned()));
}

#[test]
#[ignore = "needs python3 with jsonschema"]
fn an_independent_validator_judges_every_file_as_the_own_one_does() {
    let place = Place::new();
    let script = r#"
import glob, json, re, sys, tomllib
import jsonschema
root = sys.argv[1]
schema = json.load(open(root + "/scenarios/scenario.schema.json"))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
structure = set(sys.argv[2].split(","))
good = [file for pattern in ("scenarios/**/*.toml", "examples/**/*.toml", "bench/core/tests/good/*.toml", "bench/src/init/**/first.toml")
        for file in glob.glob(root + "/" + pattern, recursive=True)]
good = [file for file in good if re.search("^schema ", open(file).read(), re.M)]
assert len(good) > 12, good
for file in good:
    for error in validator.iter_errors(tomllib.load(open(file, "rb"))):
        sys.exit(f"{file}: {error.message}")
refused = 0
for code in structure:
    text = open(f"{root}/bench/core/tests/bad/{code}.toml", "rb")
    if not list(validator.iter_errors(tomllib.load(text))):
        sys.exit(f"{code} is accepted")
    refused += 1
print(len(good), "good,", refused, "refused")
"#;
    place.write("judge.py", script);
    let structure = dsbench_core::diagnostic::CODES.iter().filter(|meaning| meaning.is_structure);
    let codes = structure.map(|meaning| meaning.code.to_string()).collect::<Vec<_>>().join(",");
    let done = Command::new("python3").arg(place.path("judge.py")).args([ROOT, &codes]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
#[ignore = "needs xmllint"]
fn a_junit_report_fits_a_schema_that_is_narrower_than_that_of_jenkins() {
    let fits = |place: &Place| {
        let mut lint = Command::new("xmllint");
        lint.args(["--noout", "--nonet", "--schema"]).arg(format!("{ROOT}/tests/e2e/junit.xsd"));
        let lint = lint.arg(place.path("junit.xml")).output().unwrap();
        let said = String::from_utf8_lossy(&lint.stderr).into_owned();
        assert!(lint.status.success() && said.trim().ends_with("validates"), "{said}\n{}", place.read("junit.xml"));
    };
    let place = crate::formats::three();
    // Two of its runs break their promise, one passes, two never speak: cases that are flaky in both ways.
    let moods =
        "case $(echo >> ../../../../../count; wc -l < ../../../../../count) in 1 | 2) echo no;; 3) echo yes;; esac";
    let sometimes =
        format!("{}[[invariants]]\nname = \"<never> & ]]>\"\nnever = \"no\"\n", MOODS.replace("MOODS", moods));
    place.write("d.toml", &sometimes);
    let args = [&crate::formats::ALL[..], &["d.toml", "-q", "--repeat", "5", "--junit", "junit.xml"]].concat();
    place.dsbench(&args).code(1);
    fits(&place);
    let report = place.read("junit.xml");
    for part in [
        "<failure",
        "<error",
        "<flakyFailure",
        "<flakyError",
        "<rerunFailure",
        "<rerunError",
        "<system-out>",
        "timestamp=",
    ] {
        assert!(report.contains(part), "a report without {part} shows nothing about it: {report}");
    }
    // And the one that says that there is no result yet.
    place.write("e.toml", &MOODS.replace("MOODS", "sleep 100").replace("within = \"500ms\"", "within = \"60s\""));
    let mut child = place.start(&["run", "-q", "e.toml", "--junit", "junit.xml"]);
    place.wait_until("it says that it goes on", |place| place.read("junit.xml").contains("unfinished"));
    fits(&place);
    crate::support::kill(child.id(), "KILL");
    child.wait().unwrap();
    place.wait_until_empty();
}

/// One node that says what its script says.
const MOODS: &str = r#"schema = 1
name = "moods"
[nodes]
count = 1
command = ["sh", "-c", 'MOODS; while :; do sleep 1; done']
stop = { grace = "100ms" }
[events]
no = 'no'
any = '.'
[[steps]]
wait = "any"
within = "500ms"
"#;

#[test]
#[ignore = "needs script, which gives a program a terminal"]
fn the_final_screen_fits_its_terminal_and_what_one_copies_is_whole() {
    let place = Place::new();
    place.write("x.toml", crate::formats::HOSTILE);
    let dsbench = env!("CARGO_BIN_EXE_dsbench");
    let shown = |columns: u32| {
        let line = format!("stty cols {columns} rows 24; {dsbench} run -q x.toml");
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).current_dir(place.path("")).env("TERM", "xterm").env_remove("CI");
        let output = script.stdin(std::process::Stdio::null()).output().unwrap();
        place.wait_until_empty();
        let text = String::from_utf8(output.stdout).unwrap().replace('\r', "");
        let text = console::strip_ansi_codes(&text).into_owned();
        text.split_once("    FAIL").expect("the result").1.to_owned()
    };
    let (narrow, wide) = (shown(60), shown(200));
    let too_wide = |text: &str, columns: usize| {
        let breakable = |line: &&str| line.trim().contains(' ') && !line.starts_with("  reproduce:");
        text.lines().filter(breakable).filter(|line| line.chars().count() > columns).count()
    };
    assert_eq!((too_wide(&narrow, 60), too_wide(&wide, 200)), (0, 0), "{narrow}\n{wide}");
    assert!(narrow.lines().count() > wide.lines().count(), "{narrow}\n{wide}");
    let command = narrow.lines().find(|line| line.starts_with("  reproduce:")).expect("how to do it again");
    assert!(command.contains("dsbench run x.toml --seed 0x"), "{command}");
}

#[test]
#[ignore = "needs root and unshare"]
fn a_doctor_finds_the_laboratory_where_there_is_one_and_the_setting_that_forbids_it_where_not() {
    let place = Place::new();
    let examine = |before: &str| {
        let done = Command::new("unshare")
            .args(["--user", "--map-root-user", "sh", "-ec", &format!("{before} exec \"$0\" doctor \"$@\"")])
            .args([env!("CARGO_BIN_EXE_dsbench"), "--json"])
            .current_dir(place.path(""))
            .output()
            .unwrap();
        let json: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        let lab = json["findings"].as_array().unwrap().iter().find(|finding| finding["name"] == "laboratory").cloned();
        (json["mode"].clone(), lab.unwrap())
    };
    let (mode, lab) = examine("");
    assert_eq!((mode, &lab["status"]), ("lab".into(), &"fine".into()), "{lab:#}");
    // A limit for this namespace alone.
    let (mode, lab) = examine("echo 0 > /proc/sys/user/max_user_namespaces;");
    assert_eq!((mode, &lab["status"]), ("host".into(), &"warning".into()), "{lab:#}");
    assert!(lab["remedy"].as_str().unwrap().contains("sysctl -w user.max_user_namespaces"), "{lab:#}");
}
