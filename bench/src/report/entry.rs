//! What a machine gets to know of one run and of a series, as JSON. Versioned as `run.json` is: keys are only ever added.

use std::borrow::Cow;

use dsbench_core::confidence::failure_rate_below;
use dsbench_core::judgement::{BUG, Judgement};
use serde::Serialize;

use super::terminal::is_harmful;
use crate::error::BenchError;
use crate::load::seed_text;
use crate::run::{Order, Outcome};
use crate::series::{Record, Tally};
use crate::store::RunFile;

/// One run of a series.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Entry {
    /// It has a verdict.
    Judged(Box<Judged>),
    /// It could not take place.
    Impossible(Impossible),
}

/// A run with a verdict: what `run.json` has, and where it is.
#[derive(Debug, Serialize)]
pub(super) struct Judged {
    #[serde(flatten)]
    file: RunFile,
    dir: String,
    /// What of the run could not be written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lost: Vec<String>,
}

/// A run that could not take place.
#[derive(Debug, Serialize)]
pub(super) struct Impossible {
    label: String,
    scenario: String,
    file: String,
    seed: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    case: Option<String>,
    set: Vec<String>,
    result: &'static str,
    exit_code: u8,
    error: String,
}

impl Entry {
    pub(super) fn of(outcome: &Outcome) -> Self {
        Self::Judged(Box::new(Judged {
            file: outcome.file.clone(),
            dir: outcome.store.shown_dir().display().to_string(),
            lost: outcome.lost.iter().map(|lost| told(lost)).collect(),
        }))
    }

    pub(super) fn impossible(order: &Order, error: &BenchError) -> Self {
        let Begun { label, scenario, file, seed, case, set, .. } = Begun::of(order);
        let exit_code = error.exit_code();
        let (result, error) = (word(exit_code), told(error));
        Self::Impossible(Impossible { label, scenario, file, seed, case, set, result, exit_code, error })
    }
}

/// What is known of a run before it begins.
#[derive(Debug, Serialize)]
pub(super) struct Begun {
    pub(super) label: String,
    scenario: String,
    file: String,
    pub(super) seed: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    case: Option<String>,
    set: Vec<String>,
    nodes: Vec<String>,
}

impl Begun {
    pub(super) fn of(order: &Order) -> Self {
        let scenario = &order.plan.scenario;
        Self {
            label: order.label.clone(),
            scenario: scenario.name.to_string(),
            file: order.source.path.display().to_string(),
            seed: seed_text(order.plan.seed),
            case: order.choice.case.as_deref().map(str::to_owned),
            set: order.set(),
            nodes: scenario.nodes.iter().map(|node| node.name.to_string()).collect(),
        }
    }
}

/// What a series came to.
#[derive(Debug, Serialize)]
pub(super) struct Sum {
    result: &'static str,
    exit_code: u8,
    /// None if time decides.
    planned: Option<u64>,
    passed: u64,
    failed: u64,
    undecided: u64,
    impossible: u64,
    not_run: u64,
    scenarios: Vec<Counts>,
}

/// All repetitions of one run.
#[derive(Debug, Serialize)]
struct Counts {
    label: String,
    passed: u64,
    failed: u64,
    undecided: u64,
    interrupted: u64,
    impossible: u64,
    failure_rate_below: f64,
    kinds: Vec<Kind>,
    other_kinds: u64,
}

/// One way in which they were no pass.
#[derive(Debug, Serialize)]
struct Kind {
    result: &'static str,
    what: String,
    count: u64,
    seeds: Vec<String>,
    reproduce: String,
    run: String,
}

impl Sum {
    pub(super) fn of(tally: &Tally) -> Self {
        let exit_code = tally.exit_code();
        Self {
            result: word(exit_code),
            exit_code,
            planned: tally.planned,
            passed: tally.passed(),
            failed: tally.failed(),
            undecided: tally.undecided(),
            impossible: tally.impossible(),
            not_run: tally.not_run(),
            scenarios: tally.records.iter().map(Counts::of).collect(),
        }
    }
}

impl Counts {
    fn of(record: &Record) -> Self {
        let kinds = record.kinds.known.iter().map(|kind| Kind {
            result: kind.judgement.word(),
            what: kind.what.clone(),
            count: kind.count,
            seeds: kind.seeds.clone(),
            reproduce: kind.reproduce.clone(),
            run: kind.run.clone(),
        });
        let runs = record.counted();
        Self {
            label: record.label.clone(),
            passed: record.passed,
            failed: record.failed,
            undecided: record.undecided,
            interrupted: record.interrupted,
            impossible: record.impossible,
            failure_rate_below: failure_rate_below(runs - record.passed, runs),
            kinds: kinds.collect(),
            other_kinds: record.kinds.others,
        }
    }
}

/// The word for an exit code.
fn word(exit_code: u8) -> &'static str {
    let judgements = [Judgement::Pass, Judgement::Fail, Judgement::Inconclusive, Judgement::Environment];
    match judgements.iter().find(|judgement| judgement.exit_code() == exit_code) {
        Some(judgement) => judgement.word(),
        None if exit_code == BUG => "bug",
        None if exit_code > 128 => Judgement::Interrupted { signal: 0 }.word(),
        None => "usage",
    }
}

/// An error with its causes, in one line.
pub(super) fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", told(cause)),
        None => error.to_string(),
    }
}

/// JSON in one line.
pub(super) fn line(value: &impl Serialize) -> String {
    harmless(&serde_json::to_string(value).expect("plain data has JSON")).into_owned()
}

/// The same JSON, with every character escaped that commands a terminal or the log of a CI job if it is shown there.
///
/// Outside of texts JSON has none of them, so escaping changes how it is written, never what it says.
pub(super) fn harmless(json: &str) -> Cow<'_, str> {
    let is_escaped = |c: char| c != '\n' && is_harmful(c);
    if !json.contains(is_escaped) && !json.contains("##[") {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 64);
    for (at, c) in json.char_indices() {
        // GitHub looks for `##[command]` anywhere in a line.
        if is_escaped(c) || json[at..].starts_with("##[") {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::{harmless, word};

    #[test]
    fn escaping_changes_how_json_is_written_and_not_what_it_says() {
        let text = "a \u{9b}2J \u{202e}x \u{7f} ##[add-mask]y ###[ \\##[ ü\n";
        let json = serde_json::to_string_pretty(&[text]).unwrap();
        let shown = harmless(&json);
        assert!(!shown.contains("##[") && !shown.contains(['\u{9b}', '\u{202e}', '\u{7f}']), "{shown}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), [text]);
        assert!(shown.contains('ü'));
    }

    #[test]
    fn every_exit_code_has_a_word() {
        let words = [0, 1, 2, 3, 5, 70, 130, 143].map(word);
        assert_eq!(
            words,
            ["pass", "fail", "usage", "inconclusive", "environment", "bug", "interrupted", "interrupted"]
        );
    }
}
