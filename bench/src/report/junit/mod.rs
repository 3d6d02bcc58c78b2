//! `--junit FILE`: JUnit XML for CI systems. A suite per scenario (with its variation), a case for the run itself and one per invariant.
//!
//! `failure` is what was proven false; `error` is what kept it from being decided. Where a scenario ran several times a case tells how often
//! it failed, and one that passed only sometimes has its other failures as `flakyFailure`. It is written in the dialect of Jenkins and Maven, by
//! hand: libraries add attributes that their schema refuses.

mod file;
mod xml;

use std::path::PathBuf;

use dsbench_core::judgement::Judgement;

use self::file::Target;
use self::xml::Element;
use super::cases::{Case, THE_RUN, cases};
use super::entry::{Begun, told};
use super::screen::Screen;
use super::terminal::say;
use crate::error::BenchError;
use crate::run::{Order, Outcome};
use crate::series::{Audience, Series, Tally};

/// So many runs of one suite are told with their details if they are no pass; more are counted.
const TOLD: usize = 20;

/// Writes a series as JUnit XML.
#[derive(Debug)]
pub struct JUnit {
    targets: Vec<Target>,
    suites: Vec<Suite>,
}

/// All runs of one scenario with the same values.
#[derive(Debug)]
struct Suite {
    /// Which of the selected runs it is.
    index: usize,
    label: String,
    /// The first that are no pass, and the last that is.
    runs: Vec<Run>,
    count: usize,
    seconds: f64,
    cases: Vec<Several>,
    /// As people see those runs.
    screens: Vec<String>,
    passed: Option<(Run, String)>,
}

#[derive(Debug)]
struct Run {
    seed: String,
    result: &'static str,
    seconds: f64,
    started: String,
    dir: String,
    reproduce: String,
}

/// One case in several runs.
#[derive(Debug)]
struct Several {
    name: String,
    check: Option<String>,
    passed: usize,
    failed: usize,
    undecided: usize,
    /// The first that are no pass: judgement, message, details.
    bad: Vec<(Judgement, String, String)>,
}

impl JUnit {
    /// Opens the files: one that cannot be written is a mistake to be told before the first run, not after the last.
    pub fn create(paths: &[PathBuf]) -> Result<Self, BenchError> {
        let targets = paths.iter().map(|path| Target::create(path)).collect::<Result<_, _>>()?;
        Ok(Self { targets, suites: Vec::new() })
    }

    /// In the order in which they were selected: side by side, runs end in any order.
    fn suite(&mut self, index: usize, label: String) -> &mut Suite {
        let at = self.suites.iter().position(|suite| suite.label == label).unwrap_or_else(|| {
            let at = self.suites.partition_point(|suite| suite.index < index);
            self.suites.insert(at, Suite::new(index, label));
            at
        });
        &mut self.suites[at]
    }

    fn write(&mut self, document: &str) {
        for target in &mut self.targets {
            if let Err(error) = target.write(document) {
                say!("warning: {}; no verdict is affected", super::terminal::clean(&told(&error)));
            }
        }
    }
}

impl Audience for JUnit {
    /// Until there is a result the files say so: an old one, or an empty one, must not be taken for it.
    fn begins(&mut self, _: &Series) {
        let error = Element::text("error", "dsbench was killed before it could write what came of its runs.");
        let case = Element::new("testcase").with("name", "dsbench").with("classname", "dsbench").with("time", "0.000");
        let case = case.holding([error.with("type", "unfinished").with("message", "dsbench has not ended")]);
        let suite =
            counted(Element::new("testsuite").with("name", "dsbench"), Counts { tests: 1, failures: 0, errors: 1 });
        self.write(&document([(suite.holding([case]), Counts { tests: 1, failures: 0, errors: 1 }, 0.0)]));
    }

    fn run_ended(&mut self, order: &Order, outcome: &Outcome) {
        let screen = Screen::of(order, outcome, outcome.store.shown_log_dir());
        let (cases, text, file) = (cases(&screen), screen.plain(), &outcome.file);
        let run = Run {
            seed: file.seed.clone(),
            result: outcome.judgement.word(),
            seconds: file.end.as_ref().map_or(0.0, |end| end.seconds),
            started: file.started.trim_end_matches('Z').to_owned(),
            dir: outcome.store.shown_dir().display().to_string(),
            reproduce: file.end.as_ref().map_or_else(String::new, |end| end.reproduce.clone()),
        };
        let suite = self.suite(order.index, file.label().to_owned());
        suite.add_run(run, text);
        cases.into_iter().for_each(|case| suite.add(case));
    }

    fn cannot_run(&mut self, order: &Order, error: &BenchError) {
        let Begun { label, seed, .. } = Begun::of(order);
        let run = Run {
            seed,
            result: Judgement::Environment.word(),
            seconds: 0.0,
            started: String::new(),
            dir: String::new(),
            reproduce: String::new(),
        };
        let suite = self.suite(order.index, label);
        suite.add_run(run, String::new());
        let message = told(error);
        suite.add(Case {
            name: THE_RUN.to_owned(),
            check: None,
            judgement: Judgement::Environment,
            details: message.clone(),
            message,
            line: None,
        });
    }

    fn ended(&mut self, _: &Tally) {
        let text = document(self.suites.iter().map(Suite::element));
        self.write(&text);
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
}

fn counted(element: Element, counts: Counts) -> Element {
    element.with("tests", counts.tests).with("failures", counts.failures).with("errors", counts.errors)
}

fn document(suites: impl IntoIterator<Item = (Element, Counts, f64)>) -> String {
    let (mut elements, mut all, mut time) = (Vec::new(), Counts::default(), 0.0);
    for (element, counts, seconds) in suites {
        elements.push(element);
        all.tests += counts.tests;
        all.failures += counts.failures;
        all.errors += counts.errors;
        time += seconds;
    }
    let root = counted(Element::new("testsuites").with("name", "dsbench"), all).with("time", seconds(time));
    root.holding(elements).document()
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.3}")
}

impl Suite {
    fn new(index: usize, label: String) -> Self {
        let (runs, cases, screens) = (Vec::new(), Vec::new(), Vec::new());
        Self { index, label, runs, count: 0, seconds: 0.0, cases, screens, passed: None }
    }

    fn add_run(&mut self, run: Run, screen: String) {
        self.count += 1;
        self.seconds += run.seconds;
        if run.result == Judgement::Pass.word() {
            self.passed = Some((run, screen));
        } else if self.runs.len() < TOLD {
            self.runs.push(run);
            self.screens.push(screen);
        }
    }

    fn add(&mut self, Case { name, check, judgement, message, details, .. }: Case) {
        let at = self.cases.iter().position(|case| case.name == name && case.check == check).unwrap_or_else(|| {
            self.cases.push(Several { name, check, passed: 0, failed: 0, undecided: 0, bad: Vec::new() });
            self.cases.len() - 1
        });
        let case = &mut self.cases[at];
        match judgement {
            Judgement::Pass => case.passed += 1,
            Judgement::Fail => case.failed += 1,
            _ => case.undecided += 1,
        }
        if judgement != Judgement::Pass && case.bad.len() < TOLD {
            case.bad.push((judgement, message, details));
        }
    }

    fn element(&self) -> (Element, Counts, f64) {
        let failures = self.cases.iter().filter(|case| case.failed > 0).count();
        let errors = self.cases.iter().filter(|case| case.failed == 0 && case.undecided > 0).count();
        let counts = Counts { tests: self.cases.len(), failures, errors };
        let suite = counted(Element::new("testsuite").with("name", &self.label), counts).with("skipped", 0);
        let mut suite = suite.with("time", seconds(self.seconds));
        if let Some(started) = self.runs().map(|run| &run.started).find(|started| !started.is_empty()) {
            suite = suite.with("timestamp", started);
        }
        let cases = self.cases.iter().map(|case| case.element(&self.label, self.seconds));
        let suite = suite.holding([self.properties()]).holding(cases);
        let screens = match &self.passed {
            Some((_, screen)) if self.screens.is_empty() => screen.clone(),
            _ => self.screens.join("\n"),
        };
        (suite.holding([Element::text("system-out", &screens)]), counts, self.seconds)
    }

    /// The runs of which more is known than that they were.
    fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().chain(self.passed.iter().map(|(run, _)| run))
    }

    fn properties(&self) -> Element {
        let property = |name: &str, value: &str| Element::new("property").with("name", name).with("value", value);
        let mut properties = vec![property("runs", &self.count.to_string())];
        let flaky = self.cases.iter().filter(|case| case.is_flaky()).map(|case| &*case.name).collect::<Vec<_>>();
        if !flaky.is_empty() {
            properties.push(property("flaky", &flaky.join("; ")));
        }
        for run in self.runs() {
            properties.push(property("seed", &run.seed));
            properties.push(property("result", run.result));
            properties.push(property("run", &run.dir));
            properties.push(property("reproduce", &run.reproduce));
        }
        Element::new("properties").holding(properties)
    }
}

impl Several {
    /// It passed in one run and not in another.
    fn is_flaky(&self) -> bool {
        self.passed > 0 && self.failed + self.undecided > 0
    }

    fn element(&self, label: &str, time: f64) -> Element {
        // A dot would make Jenkins see a package and a class.
        let case = Element::new("testcase").with("name", &self.name).with("classname", label.replace('.', "_"));
        let case = case.with("time", seconds(if self.check.is_none() { time } else { 0.0 }));
        let mut bad: Vec<_> = self.bad.iter().collect();
        // The worst first; of several, the first.
        bad.sort_by_key(|(judgement, ..)| std::cmp::Reverse(*judgement));
        let count = self.failed + self.undecided;
        let (all, is_flaky) = (count + self.passed, self.is_flaky());
        case.holding(bad.into_iter().enumerate().map(|(index, (judgement, message, details))| {
            // Also if none of the violations is among those that were kept.
            let is_failure = *judgement == Judgement::Fail || index == 0 && self.failed > 0;
            let name = match (index, is_flaky, is_failure) {
                (0, _, true) => "failure",
                (0, _, false) => "error",
                (_, true, true) => "flakyFailure",
                (_, true, false) => "flakyError",
                (_, false, true) => "rerunFailure",
                (_, false, false) => "rerunError",
            };
            let message = match (index, all) {
                (0, 2..) => format!("in {count} of {all} runs: {message}"),
                _ => message.clone(),
            };
            Element::text(name, details).with("type", judgement.word()).with("message", message)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(judgements: &[Judgement]) -> Suite {
        let mut suite = Suite::new(0, "x".into());
        for (index, judgement) in judgements.iter().enumerate() {
            suite.add(Case {
                name: "one leader".into(),
                check: Some("single_leader".into()),
                judgement: *judgement,
                message: format!("message {index}"),
                details: format!("details {index}"),
                line: None,
            });
        }
        suite
    }

    fn shown(judgements: &[Judgement]) -> (String, (usize, usize, usize)) {
        let (element, Counts { tests, failures, errors }, _) = suite(judgements).element();
        (element.document(), (tests, failures, errors))
    }

    #[test]
    fn what_is_proven_false_is_a_failure_and_what_is_undecided_an_error() {
        use Judgement::{Environment, Fail, Inconclusive, Interrupted, Pass};
        assert_eq!(shown(&[Pass]).1, (1, 0, 0));
        assert_eq!(shown(&[Fail]).1, (1, 1, 0));
        for undecided in [Inconclusive, Environment, Interrupted { signal: 2 }] {
            let (text, counts) = shown(&[undecided]);
            assert_eq!(counts, (1, 0, 1));
            assert!(text.contains(&format!("<error type=\"{}\"", undecided.word())), "{text}");
        }
        assert_eq!(
            shown(&[Pass, Inconclusive, Fail]).1,
            (1, 1, 0),
            "a violation is never hidden behind what is undecided"
        );
    }

    #[test]
    fn a_case_that_passes_only_sometimes_is_flaky_and_still_a_failure() {
        use Judgement::{Fail, Pass};
        let (text, _) = shown(&[Pass, Fail, Pass, Fail]);
        assert!(text.contains("<property name=\"flaky\" value=\"one leader\"/>"), "{text}");
        assert!(
            text.contains("<failure type=\"fail\" message=\"in 2 of 4 runs: message 1\">details 1</failure>"),
            "{text}"
        );
        assert!(text.contains("<flakyFailure type=\"fail\" message=\"message 3\">details 3</flakyFailure>"), "{text}");
        let (text, _) = shown(&[Fail, Fail]);
        assert!(!text.to_lowercase().contains("flaky") && text.contains("<rerunFailure "), "{text}");
    }
}
