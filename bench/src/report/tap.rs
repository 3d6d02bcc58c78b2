//! `--format tap`: TAP 14 on standard output. A run is a test point with its cases as a subtest before it, and YAML that says where the run is.
//!
//! What is not a pass is `not ok`; the diagnostics say whether it was violated or only could not be decided.

use dsbench_core::judgement::Judgement;
use serde_json::json;

use super::cases::{Case, cases};
use super::entry::{Begun, harmless, told};
use super::outlet::Outlet;
use super::screen::Screen;
use super::terminal::{clean_line, say};
use crate::error::BenchError;
use crate::run::{Order, Outcome};
use crate::series::{Audience, Series, Tally};

/// Tells a series as TAP.
#[derive(Debug)]
pub struct Tap {
    outlet: Outlet,
    points: usize,
}

impl Tap {
    /// For whoever reads standard output.
    pub fn new(outlet: Outlet) -> Self {
        Self { outlet, points: 0 }
    }

    fn point(&mut self, is_ok: bool, name: &str, about: &[(&str, serde_json::Value)]) {
        self.points += 1;
        self.outlet.send(&point("", is_ok, self.points, name, about));
    }
}

impl Audience for Tap {
    fn begins(&mut self, _: &Series) {
        self.outlet.send("TAP version 14");
    }

    fn run_ended(&mut self, order: &Order, outcome: &Outcome) {
        let screen = Screen::of(order, outcome, outcome.store.shown_log_dir());
        let (file, cases) = (&outcome.file, cases(&screen));
        self.outlet.send(&subtest(file.label(), &cases));
        let end = file.end.as_ref();
        let about = [
            ("result", json!(outcome.judgement.word())),
            ("exit_code", json!(outcome.judgement.exit_code())),
            ("seed", json!(file.seed)),
            ("duration_ms", json!(end.map_or(0.0, |end| end.seconds * 1000.0).round())),
            ("run", json!(outcome.store.shown_dir().display().to_string())),
            ("reproduce", json!(end.map_or("", |end| &end.reproduce))),
        ];
        self.point(outcome.judgement == Judgement::Pass, file.label(), &about);
    }

    fn cannot_run(&mut self, order: &Order, error: &BenchError) {
        let Begun { label, seed, .. } = Begun::of(order);
        let about = [
            ("result", json!("environment")),
            ("exit_code", json!(error.exit_code())),
            ("seed", json!(seed)),
            ("message", json!(told(error))),
        ];
        self.point(false, &label, &about);
    }

    fn ended(&mut self, tally: &Tally) {
        // The plan comes last: how many runs there will be is not known before.
        match tally.not_run() {
            0 => self.outlet.send(&format!("1..{}", self.points)),
            not_run => self.outlet.send(&format!("Bail out! {not_run} more runs were not made")),
        }
        if let Some(error) = self.outlet.close() {
            say!("warning: the TAP on standard output is not whole: {error}; no verdict is affected");
        }
    }
}

fn subtest(label: &str, cases: &[Case]) -> String {
    let mut text = format!("# Subtest: {}", described(label));
    for (index, case) in cases.iter().enumerate() {
        let is_ok = case.judgement == Judgement::Pass;
        let mut about = vec![("result", json!(case.judgement.word())), ("message", json!(case.message))];
        about.extend(case.check.as_ref().map(|check| ("check", json!(check))));
        about.extend(case.line.as_ref().map(|line| ("at", json!(line))));
        if !is_ok {
            about.push(("details", json!(case.details)));
        }
        text.push('\n');
        text.push_str(&point("    ", is_ok, index + 1, &case.name, &about));
    }
    text + &format!("\n    1..{}", cases.len())
}

/// A test point with its YAML block. Every value in it is JSON, which is YAML too, so no text can leave its place.
fn point(indent: &str, is_ok: bool, number: usize, name: &str, about: &[(&str, serde_json::Value)]) -> String {
    let word = if is_ok { "ok" } else { "not ok" };
    let mut text = format!("{indent}{word} {number} - {}\n{indent}  ---", described(name));
    for (key, value) in about {
        text.push_str(&format!("\n{indent}  {key}: {}", harmless(&value.to_string())));
    }
    text + &format!("\n{indent}  ...")
}

/// A description: `#` would begin a directive.
fn described(text: &str) -> String {
    clean_line(text).replace('\\', "\\\\").replace('#', "\\#")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_ends_its_line_or_begins_a_directive() {
        let case = Case {
            name: "a # SKIP \\# not really\nok 9 - owned".into(),
            check: Some("never".into()),
            judgement: Judgement::Fail,
            message: "x\n  ...\nBail out!".into(),
            details: "1..0\n".into(),
            line: Some("x.toml:3".into()),
        };
        let text = subtest("x\n1..0", &[case]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "# Subtest: x\\\\n1..0");
        assert_eq!(lines[1], "    not ok 1 - a \\# SKIP \\\\\\# not really\\\\nok 9 - owned");
        assert_eq!(
            lines[2..],
            [
                "      ---",
                "      result: \"fail\"",
                "      message: \"x\\n  ...\\nBail out!\"",
                "      check: \"never\"",
                "      at: \"x.toml:3\"",
                "      details: \"1..0\\n\"",
                "      ...",
                "    1..1",
            ]
        );
    }
}
