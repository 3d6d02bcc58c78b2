//! What machines read on standard output: each format is parsed back and compared with what is stored.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Place, kill, stderr, stdout};

/// Two nodes that both lead, and say things that no format may take for its own.
pub(crate) const HOSTILE: &str = r###"schema = 1
name = "hostile"
timeout = "30s"
[nodes]
count = 2
command = ["sh", "-c", '''
echo '::error file=x::owned'
printf '  \033[31m::set-env name=PATH::x\033[0m\n'
echo 'leads term=1 ##[add-mask]a # SKIP </testcase><script>alert(1)</script> ]]> | **b** "q" {"x":1}'
printf '\302\2332J \342\200\256 \377\001 1..0 Bail out! not ok 1\n' >&2
exec sleep 1000''']
[events]
leads = { log = 'leads term=(?<term>\d+) (?<rest>.*)', fields = { term = "int", rest = "text" } }
[[steps]]
wait = { event = "leads", at_least = 2 }
[[steps]]
name = "# TODO ::x"
expect = { event = "leads", at_least = 3 }
within = "100ms"
[[invariants]]
name = "one # SKIP leader ##[per] <term> & ::error::"
single_leader = { event = "leads", per = "term" }
[[invariants]]
name = "somebody leads"
sometimes = { event = "leads", at_least = 1 }
"###;

pub(crate) const PASSES: &str = r#"schema = 1
name = "passes"
timeout = "30s"
[nodes]
count = 1
command = ["sh", "-c", "echo said 1; exec sleep 1000"]
[events]
said = { log = 'said (?<n>\d+)', fields = { n = "int" } }
[[steps]]
wait = { event = "said" }
[[invariants]]
name = "it spoke"
sometimes = { event = "said", at_least = 1 }
"#;

pub(crate) const IMPOSSIBLE: &str = r#"schema = 1
name = "impossible"
[nodes]
count = 1
command = ["no-such-program-anywhere"]
[events]
said = { log = 'said' }
[[invariants]]
sometimes = { event = "said", at_least = 1 }
"#;

/// A place with a run that fails, one that passes and one that cannot take place.
pub(crate) fn three() -> Place {
    let place = Place::new();
    place.write("a.toml", HOSTILE).write("b.toml", PASSES).write("c.toml", IMPOSSIBLE);
    place
}

pub(crate) const ALL: [&str; 4] = ["run", "a.toml", "b.toml", "c.toml"];

fn with<'a>(args: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [args, more].concat()
}

fn stored(place: &Place, dir: &Value, file: &str) -> String {
    place.read(&format!("{}/{file}", dir.as_str().expect("a directory")))
}

#[test]
fn the_document_says_of_each_run_what_is_stored_of_it() {
    let place = three();
    let run = place.dsbench(&with(&ALL, &["--format", "json"])).code(1);
    assert!(stderr(&run).contains("FAIL"), "people are told as ever");
    let document: Value = serde_json::from_str(&stdout(&run)).unwrap();
    assert_eq!(document["dsbench_report"], 1);
    let count = |key: &str| document[key].as_u64().unwrap();
    assert_eq!(document["result"], "fail");
    assert_eq!(
        ["exit_code", "planned", "passed", "failed", "undecided", "impossible", "not_run"].map(count),
        [1, 3, 1, 1, 0, 1, 0]
    );
    let runs = document["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 3);
    for run in &runs[..2] {
        let stored: Value = serde_json::from_str(&stored(&place, &run["dir"], "run.json")).unwrap();
        for (key, value) in stored.as_object().unwrap() {
            assert_eq!(&run[key], value, "{key}");
        }
        assert!(run["reproduce"].as_str().unwrap().contains(run["seed"].as_str().unwrap()));
    }
    assert_eq!(runs[2]["result"], "environment");
    assert_eq!(runs[2]["exit_code"], 5);
    assert!(runs[2]["error"].as_str().unwrap().contains("no-such-program-anywhere"));
    assert_eq!(document["scenarios"][0]["failed"], 1);
}

#[test]
fn a_series_that_cannot_run_at_all_still_is_a_document() {
    let place = three();
    for args in [&["run", "c.toml"][..], &["run", "c.toml", "-q"]] {
        let run = place.dsbench(&with(args, &["--format", "json"])).code(5);
        let document: Value = serde_json::from_str(&stdout(&run)).unwrap();
        assert_eq!((&document["result"], &document["exit_code"]), (&"environment".into(), &5.into()));
        assert_eq!(stderr(&run).matches("no-such-program-anywhere").count(), 1, "told once: {}", stderr(&run));
    }
}

/// Every key of a value, but those that a scenario chooses.
fn keys(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| {
            found.insert(key.clone());
            if key != "fields" {
                keys(value, found);
            }
        }),
        Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn every_key_that_machines_get_is_documented() {
    let docs = include_str!("../../docs/machines.md");
    let place = three();
    let mut found = BTreeSet::new();
    for format in ["json", "jsonl"] {
        for line in stdout(&place.dsbench(&with(&ALL, &["-q", "--format", format])).code(1)).split("\n{") {
            let line = if line.starts_with('{') { line.to_owned() } else { format!("{{{line}") };
            keys(&serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")), &mut found);
        }
    }
    keys(&serde_json::from_str(&stdout(&place.dsbench(&["runs", "list", "--json"]).success())).unwrap(), &mut found);
    assert!(found.len() > 80, "{found:?}");
    for key in found {
        let is_told = [format!("`{key}`"), format!("\"{key}\"")].iter().any(|told| docs.contains(told));
        assert!(is_told, "docs/machines.md says nothing of {key:?}");
    }
}

/// The lines of a stream: (run, kind, value).
fn lines(text: &str) -> Vec<(Option<u64>, String, Value)> {
    let mut lines = text.lines();
    assert!(lines.next().expect("a first line").starts_with(r#"{"dsbench_stream":1,"dsbench":""#), "{text}");
    let read = |line: &str| {
        let Ok(Value::Object(mut line)) = serde_json::from_str(line) else { panic!("{line:?} is no object") };
        let run = line.remove("run").map(|run| run.as_u64().expect("a run's number"));
        assert_eq!(line.len(), 1, "one kind per line: {line:?}");
        let (kind, value) = line.into_iter().next().expect("there is one");
        (run, kind, value)
    };
    lines.map(read).collect()
}

#[test]
fn the_stream_has_every_observation_as_the_history_has_it_and_a_begin_and_an_end_for_all() {
    let place = three();
    let run = place.dsbench(&with(&ALL, &["--format", "jsonl"])).code(1);
    let lines = lines(&stdout(&run));
    assert_eq!(lines[0], (None, "begin".into(), serde_json::json!({ "planned": 3 })));
    let (run, kind, end) = lines.last().unwrap();
    assert_eq!((run, &**kind, &end["exit_code"]), (&None, "end", &1.into()));
    for number in 0..3 {
        let of_run: Vec<_> = lines.iter().filter(|(run, ..)| *run == Some(number)).collect();
        let first = ["hostile", "passes", "impossible"][number as usize];
        assert_eq!((&*of_run[0].1, &of_run[0].2["label"]), ("begun", &first.into()));
        let (_, kind, ended) = of_run.last().unwrap();
        assert_eq!(kind, if number == 2 { "impossible" } else { "ended" });
        let observations: Vec<_> = of_run.iter().filter(|line| line.1 == "observation").map(|line| &line.2).collect();
        if number == 2 {
            assert!(observations.is_empty());
            continue;
        }
        let history = stored(&place, &ended["dir"], "history.jsonl");
        let history: Vec<Value> = history.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(observations, history.iter().collect::<Vec<_>>());
        assert_eq!(of_run.len(), history.len() + 2);
    }
}

/// A node that says more than a pipe holds.
const TALKS: &str = r#"schema = 1
name = "talks"
timeout = "60s"
[nodes]
count = 1
command = ["sh", "-c", "i=0; while [ $i -lt 2000 ]; do echo said $i; i=$((i+1)); done; exec sleep 1000"]
[events]
said = { log = 'said (?<n>\d+)', fields = { n = "int" } }
[[steps]]
wait = { event = "said", at_least = 2000 }
within = "50s"
[[invariants]]
name = "it spoke"
sometimes = { event = "said", at_least = 2000 }
"#;

#[test]
fn a_reader_that_is_stuck_holds_up_no_run_and_gets_everything_when_it_reads_again() {
    let place = Place::new();
    place.write("x.toml", TALKS);
    let mut command = place.command(&["run", "-q", "x.toml", "--format", "jsonl"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // Nobody reads, and the run reaches its end all the same.
    let run_json = place.path("logs/runs/latest/run.json");
    place.wait_until("the run's result", |_| {
        let text = std::fs::read_to_string(&run_json).unwrap_or_default();
        serde_json::from_str::<Value>(&text).is_ok_and(|run| run["result"] == "pass")
    });
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    let lines = lines(&text);
    let said = lines.iter().filter(|(_, kind, value)| kind == "observation" && value["event"]["name"] == "said");
    assert_eq!(said.count(), 2000);
    assert_eq!(lines.last().unwrap().1, "end");
    assert!(text.len() > 200_000, "more than a pipe holds");
}

#[test]
fn people_who_stop_reading_hold_up_no_run_either() {
    let place = Place::new();
    place.write("x.toml", &TALKS.replace("2000", "6000"));
    let mut child = place.command(&["run", "-v", "x.toml"]).stderr(Stdio::piped()).spawn().unwrap();
    let run_json = place.path("logs/runs/latest/run.json");
    place.wait_until("the run's result", |_| {
        let text = std::fs::read_to_string(&run_json).unwrap_or_default();
        serde_json::from_str::<Value>(&text).is_ok_and(|run| run["result"] == "pass")
    });
    assert!(child.try_wait().unwrap().is_none(), "it waits for its reader");
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(text.lines().filter(|line| line.contains("said n=")).count(), 6000, "{text}");
    assert!(text.len() > 100_000, "more than a pipe holds");
    let (last_event, verdict) = (text.rfind("said n=").unwrap(), text.find("it spoke").unwrap());
    assert!(last_event < verdict, "the verdict comes after all that was said while the run went on");
}

#[test]
fn a_reader_that_left_or_a_full_disk_changes_no_result() {
    let place = Place::new();
    place.write("x.toml", PASSES);
    for format in ["json", "jsonl", "tap"] {
        let args = ["run", "-q", "x.toml", "--format", format];
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let gone = place.command(&args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let told = String::from_utf8_lossy(&gone.stderr);
        assert!(gone.status.success() && !told.contains("warning") && !told.contains("panicked"), "{format}: {told}");
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let full = place.command(&args).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let told = String::from_utf8_lossy(&full.stderr);
        assert!(full.status.success() && told.contains("warning") && told.contains("not whole"), "{format}: {told}");
    }
    place.wait_until_empty();
}

/// A test point: indent, ok, number, description (unescaped), and the lines of its YAML block.
#[derive(Debug)]
struct Point {
    indent: usize,
    is_ok: bool,
    number: usize,
    description: String,
    yaml: Vec<(String, Value)>,
}

/// Reads TAP 14 as a harness does: versions, points, plans, YAML blocks. Anything else is an error.
fn tap(text: &str) -> Vec<Point> {
    let mut lines = text.lines().peekable();
    assert_eq!(lines.next(), Some("TAP version 14"));
    let mut points: Vec<Point> = Vec::new();
    let mut open: Vec<usize> = vec![0, 0];
    while let Some(line) = lines.next() {
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        assert!(indent == 0 || indent == 4, "{line:?}");
        if bare.starts_with("# Subtest: ") {
            continue;
        }
        if let Some(plan) = bare.strip_prefix("1..") {
            assert_eq!(plan.parse(), Ok(open[indent / 4]), "the plan fits the points: {line:?}");
            open[indent / 4] = 0;
            continue;
        }
        let (is_ok, rest) = match bare.strip_prefix("not ok ") {
            Some(rest) => (false, rest),
            None => (true, bare.strip_prefix("ok ").unwrap_or_else(|| panic!("{line:?} is no TAP"))),
        };
        let (number, description) = rest.split_once(" - ").expect("a description");
        let unescaped = description.replace("\\#", "").replace("\\\\", "");
        assert!(!unescaped.contains('#'), "a directive: {line:?}");
        open[indent / 4] += 1;
        assert_eq!(number.parse(), Ok(open[indent / 4]));
        let description = description.replace("\\#", "#").replace("\\\\", "\\");
        let mut point = Point { indent, is_ok, number: open[indent / 4], description, yaml: Vec::new() };
        let pad = " ".repeat(indent + 2);
        assert_eq!(lines.next(), Some(&*format!("{pad}---")));
        for line in lines.by_ref() {
            let line = line.strip_prefix(&pad).unwrap_or_else(|| panic!("{line:?} leaves its block"));
            if line == "..." {
                break;
            }
            let (key, value) = line.split_once(": ").expect("a key and a value");
            point.yaml.push((key.into(), serde_json::from_str(value).expect("JSON")));
        }
        points.push(point);
    }
    points
}

#[test]
fn tap_has_a_point_per_run_and_one_per_invariant_whatever_they_are_called() {
    let place = three();
    let run = place.dsbench(&with(&ALL, &["--format", "tap"])).code(1);
    let points = tap(&stdout(&run));
    let told: Vec<_> = points.iter().map(|point| (point.indent, point.is_ok, &*point.description)).collect();
    assert_eq!(
        told,
        [
            (4, false, "the run"),
            (4, false, "one # SKIP leader ##[per] <term> & ::error::"),
            (4, true, "somebody leads"),
            (4, true, "no process crashed"),
            (0, false, "hostile"),
            (4, true, "the run"),
            (4, true, "it spoke"),
            (4, true, "no process crashed"),
            (0, true, "passes"),
            (0, false, "impossible"),
        ]
    );
    let runs: Vec<_> = points.iter().filter(|point| point.indent == 0).collect();
    assert_eq!(runs.iter().map(|point| point.number).collect::<Vec<_>>(), [1, 2, 3]);
    let value = |point: &Point, key: &str| point.yaml.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone());
    assert_eq!(value(runs[0], "result"), Some("fail".into()));
    assert!(value(runs[0], "reproduce").unwrap().as_str().unwrap().starts_with("dsbench run a.toml --seed 0x"));
    assert!(place.path(value(runs[1], "run").unwrap().as_str().unwrap()).is_dir());
    let details = value(&points[1], "details").unwrap();
    assert!(details.as_str().unwrap().contains("<script>alert(1)</script>"), "{details}");
}

#[test]
fn a_series_that_is_interrupted_still_tells_what_it_came_to() {
    let place = Place::new();
    place.write(
        "a.toml",
        &PASSES.replace("[[invariants]]", "[[steps]]\nafter = \"100s\"\nmark = \"x\"\n[[invariants]]"),
    );
    place.write("b.toml", PASSES);
    let mut command = place.command(&["run", "a.toml", "b.toml", "--format", "json", "--junit", "junit.xml"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    place.wait_until("a node's line", |place| place.path("logs/peer1_log.txt").exists());
    kill(child.id(), "INT");
    let output = child.wait_with_output().unwrap();
    place.wait_until_empty();
    assert_eq!(output.status.code(), Some(130));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&document["result"], &document["exit_code"]), (&"interrupted".into(), &130.into()));
    assert_eq!((&document["undecided"], &document["not_run"]), (&1.into(), &1.into()));
    assert!(place.read("junit.xml").contains("<error type=\"interrupted\""), "{}", place.read("junit.xml"));
}

#[test]
fn nothing_on_standard_output_commands_a_terminal_or_a_runner() {
    let place = three();
    for format in ["json", "jsonl", "tap"] {
        let run = place.dsbench(&["run", "-q", "a.toml", "--format", format]).code(1);
        let text = stdout(&run);
        let bare = text.chars().find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
        assert_eq!(bare, None, "{format}: {text:?}");
        for line in text.lines() {
            assert!(!line.trim_start().starts_with("::") && !line.contains("##["), "{format}: {line}");
        }
        // The document names its evidence by number; what a node said stands in the history.
        let said = if format == "json" { "<term> & ::error::" } else { "<script>alert(1)</script>" };
        assert!(text.contains(said), "{format} keeps {said:?}: {text}");
    }
}

#[test]
fn packets_that_are_not_recorded_are_told() {
    let place = Place::new();
    place.write("x.toml", PASSES);
    let told = stderr(&place.dsbench(&["run", "x.toml", "--pcap"]).success());
    assert!(told.contains("no packets are recorded: in host mode"), "{told}");
    assert!(!place.run_dir().join("packets.pcapng").exists());
}
