//! JUnit XML: read back by a parser that is not ours, and held against what CI systems accept.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::formats::{ALL, PASSES, three};
use crate::support::{Place, kill, stderr};

/// An element as it was read.
#[derive(Debug, Default)]
struct Node {
    name: String,
    attributes: BTreeMap<String, String>,
    children: Vec<Self>,
    text: String,
}

/// What the schema of Jenkins and Maven (`junit-10.xsd`) has: attributes (`!` for those that must be there) and children.
const SCHEMA: &[(&str, &str, &str)] = &[
    ("testsuites", "name time tests failures errors", "testsuite"),
    (
        "testsuite",
        "!name !tests !failures !errors group time skipped timestamp hostname id package file log url",
        "testsuite properties testcase system-out system-err",
    ),
    ("properties", "", "property"),
    ("property", "!name !value", ""),
    (
        "testcase",
        "!name time classname group",
        "skipped error failure rerunFailure rerunError flakyFailure flakyError system-out system-err",
    ),
    ("failure", "type message", "#text"),
    ("error", "type message", "#text"),
    ("rerunFailure", "message !type", "#text stackTrace system-out system-err"),
    ("rerunError", "message !type", "#text stackTrace system-out system-err"),
    ("flakyFailure", "message !type", "#text stackTrace system-out system-err"),
    ("flakyError", "message !type", "#text stackTrace system-out system-err"),
    ("system-out", "", "#text"),
    ("system-err", "", "#text"),
];

impl Node {
    fn of(start: &BytesStart<'_>) -> Self {
        let attributes = start.attributes().map(|attribute| {
            let attribute = attribute.expect("an attribute");
            let value = quick_xml::escape::unescape(&attribute.value).expect("escaped");
            (attribute.key.as_ref().to_owned(), value.into_owned())
        });
        let name = start.name().as_ref().to_owned();
        Self { name, attributes: attributes.collect(), ..Self::default() }
    }

    /// The root of a document.
    fn read(text: &str) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_end_names = true;
        let mut open = vec![Self::default()];
        loop {
            let node = match reader.read_event().unwrap_or_else(|error| panic!("{error}:\n{text}")) {
                Event::Start(start) => {
                    open.push(Self::of(&start));
                    continue;
                }
                Event::Empty(start) => Self::of(&start),
                Event::End(_) => open.pop().expect("it was opened"),
                Event::Text(text) => {
                    open.last_mut().expect("the document").text.push_str(&text);
                    continue;
                }
                Event::GeneralRef(entity) => {
                    let entity = format!("&{};", &*entity);
                    open.last_mut()
                        .expect("the document")
                        .text
                        .push_str(&quick_xml::escape::unescape(&entity).expect("a known entity"));
                    continue;
                }
                Event::Eof => break,
                _ => continue,
            };
            open.last_mut().expect("the document").children.push(node);
        }
        let mut top = open.pop().expect("the document");
        assert!(open.is_empty() && top.children.len() == 1, "one root");
        let root = top.children.remove(0);
        root.validate();
        root
    }

    fn validate(&self) {
        let Self { name, attributes, children, text } = self;
        let (_, allowed, inside) =
            SCHEMA.iter().find(|(known, ..)| known == name).unwrap_or_else(|| panic!("<{name}>"));
        let allowed: Vec<_> = allowed.split_whitespace().collect();
        for attribute in attributes.keys() {
            let is_known = allowed.iter().any(|known| known.trim_start_matches('!') == attribute);
            assert!(is_known, "<{name} {attribute}>");
        }
        for needed in allowed.iter().filter_map(|known| known.strip_prefix('!')) {
            assert!(attributes.contains_key(needed), "<{name}> without {needed}");
        }
        let inside: Vec<_> = inside.split_whitespace().collect();
        assert!(inside.contains(&"#text") || text.trim().is_empty(), "<{name}> holds {text:?}");
        for child in children {
            assert!(inside.contains(&&*child.name), "<{}> in <{name}>", child.name);
            child.validate();
        }
        if let Some(time) = attributes.get("time") {
            let (whole, part) = time.split_once('.').expect("seconds with milliseconds");
            assert!(part.len() == 3 && (whole.to_owned() + part).bytes().all(|byte| byte.is_ascii_digit()), "{time}");
        }
        if name == "testsuite" {
            let cases = || children.iter().filter(|child| child.name == "testcase");
            let holding = |what: &str| cases().filter(|case| case.child(what).is_some()).count().to_string();
            assert_eq!(attributes["tests"], cases().count().to_string());
            assert_eq!((&attributes["failures"], &attributes["errors"]), (&holding("failure"), &holding("error")));
        }
    }

    fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    fn all<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'n Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    fn property(&self, name: &str) -> Option<&str> {
        let properties = self.child("properties")?;
        let property = properties.children.iter().find(|property| property.attributes["name"] == name)?;
        Some(&property.attributes["value"])
    }

    /// `name outcome` of each case of a suite.
    fn cases(&self) -> Vec<String> {
        let outcome = |case: &Self| case.children.first().map_or("passed", |child| &child.name).to_owned();
        self.all("testcase").map(|case| format!("{} {}", case.attributes["name"], outcome(case))).collect()
    }
}

#[test]
fn a_suite_per_scenario_tells_violated_from_undecided_and_shows_what_people_see() {
    let place = three();
    place.dsbench(&[&ALL[..], &["-q", "--junit", "out/junit.xml", "--junit", "second.xml"]].concat()).code(1);
    let text = place.read("out/junit.xml");
    assert_eq!(text, place.read("second.xml"));
    let root = Node::read(&text);
    assert_eq!(
        (&*root.attributes["tests"], &*root.attributes["failures"], &*root.attributes["errors"]),
        ("8", "2", "1")
    );
    let [hostile, passes, impossible] = &root.children[..] else { panic!("three suites: {text}") };
    assert_eq!(
        hostile.cases(),
        [
            "the run failure",
            "one # SKIP leader ##[per] <term> & ::error:: failure",
            "somebody leads passed",
            "no process crashed passed"
        ]
    );
    assert_eq!(passes.cases(), ["the run passed", "it spoke passed", "no process crashed passed"]);
    assert_eq!(impossible.cases(), ["the run error"]);
    assert!(place.path(hostile.property("run").unwrap()).is_dir());
    assert!(hostile.property("seed").unwrap().starts_with("0x"));
    assert_eq!(passes.property("result"), Some("pass"));
    assert_eq!(hostile.property("flaky"), None);
    let screen = &hostile.child("system-out").unwrap().text;
    for part in ["FAIL", "term 1 was led by", "<script>alert(1)</script> ]]> | **b**", "reproduce: dsbench run a.toml"]
    {
        assert!(screen.contains(part), "{part:?} is missing:\n{screen}");
    }
    assert_eq!(text.chars().find(|c| c.is_control() && *c != '\n'), None);
    let error = impossible.all("testcase").next().unwrap().child("error").unwrap();
    assert!(error.attributes["message"].contains("no-such-program-anywhere"));
}

/// A node that says something bad every other time.
const FLAKY: &str = r#"schema = 1
name = "flaky"
timeout = "30s"
[nodes]
count = 1
command = ["sh", "-c", "n=$(cat {scenario_dir}/n); echo $((n + 1)) > {scenario_dir}/n; [ $((n % 2)) = 0 ] && echo bad; echo said; exec sleep 1000"]
[events]
bad = { log = 'bad' }
said = { log = 'said' }
[[steps]]
wait = { event = "said" }
[[invariants]]
name = "nothing bad"
never = { event = "bad" }
"#;

#[test]
fn what_passes_only_sometimes_is_flaky_and_still_a_failure() {
    let place = Place::new();
    place.write("x.toml", FLAKY).write("n", "0");
    place.dsbench(&["run", "-q", "x.toml", "--repeat", "4", "--junit", "junit.xml"]).code(1);
    let root = Node::read(&place.read("junit.xml"));
    let suite = &root.children[0];
    assert_eq!(suite.cases(), ["the run passed", "nothing bad failure", "no process crashed passed"]);
    assert_eq!((suite.property("runs"), suite.property("flaky")), (Some("4"), Some("nothing bad")));
    let case = suite.all("testcase").find(|case| case.child("failure").is_some()).unwrap();
    let [failure, again] = &case.children[..] else { panic!("{case:?}") };
    assert!(failure.attributes["message"].starts_with("in 2 of 4 runs: violated: bad at peer1"), "{failure:?}");
    assert_eq!(again.name, "flakyFailure");
    assert!(suite.child("system-out").unwrap().text.contains("FAIL"));
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_anything_starts() {
    let place = Place::new();
    place.write("x.toml", PASSES).write("file", "");
    for target in ["file/junit.xml", "."] {
        let run = place.dsbench(&["run", "x.toml", "--junit", target]).code(5);
        assert!(stderr(&run).contains("failed to create"), "{}", stderr(&run));
    }
    assert!(!place.path("logs").exists());
    place.dsbench(&["run", "x.toml", "--junit", "/dev/full"]).success();
}

#[test]
fn until_there_is_a_result_the_report_says_that_there_is_none() {
    let place = Place::new();
    place.write(
        "x.toml",
        &PASSES.replace("[[invariants]]", "[[steps]]\nafter = \"100s\"\nmark = \"never\"\n[[invariants]]"),
    );
    place.write("junit.xml", "<testsuites name=\"of the last time\" tests=\"1\"/>");
    let mut bench = place.start(&["run", "x.toml", "--junit", "junit.xml"]);
    place.wait_until("a node's line", |place| place.path("logs/peer1_log.txt").exists());
    kill(bench.id(), "KILL");
    let _ = bench.wait();
    place.wait_until_empty();
    let root = Node::read(&place.read("junit.xml"));
    assert_eq!((&*root.attributes["tests"], &*root.attributes["errors"]), ("1", "1"));
    assert_eq!(root.children[0].cases(), ["dsbench error"]);
}
