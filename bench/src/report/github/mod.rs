//! GitHub Actions: an annotation on the line of the scenario that was violated, a folded group per run, and a summary of the step.
//!
//! Chosen by the environment (`GITHUB_ACTIONS=true`), never by a flag: where it is, it is wanted. The commands go to standard error, between
//! people's lines; what those lines hold can never be a command (see [`harmless`]).

mod command;
mod summary;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use dsbench_core::diagnostic::{Diagnostic, Span};
use dsbench_core::judgement::Judgement;
use dsbench_core::source::{SourceLine, Sources};
use dsbench_core::verdict::{Outcome as Found, Severity};

pub(super) use self::command::harmless;
use self::command::{Level, Place, annotate, not_shown, open_group};
use self::summary::{Row, Summary};
use super::entry::{Begun, told};
use super::screen::Screen;
use super::terminal::say;
use crate::error::BenchError;
use crate::run::{Order, Outcome};
use crate::series::{Audience, Series, Tally};

/// True in a step of a GitHub workflow.
pub(crate) fn is_here() -> bool {
    static HERE: OnceLock<bool> = OnceLock::new();
    *HERE.get_or_init(|| std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true"))
}

/// Tells a series to GitHub.
#[derive(Debug)]
pub struct GitHub {
    /// Where the step's summary is collected; none in old runners.
    path: Option<PathBuf>,
    summary: Summary,
    /// What was annotated: what many runs have in common is one mistake.
    annotated: BTreeSet<(String, Option<SourceLine>)>,
    /// There is one line of each run, or runs are made side by side: nothing is folded.
    has_no_folds: bool,
}

impl GitHub {
    /// If dsbench runs in a step of a workflow.
    pub fn if_here() -> Option<Self> {
        let path = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()).map(PathBuf::from);
        let (summary, annotated) = (Summary::default(), BTreeSet::new());
        is_here().then_some(Self { path, summary, annotated, has_no_folds: false })
    }
}

impl Audience for GitHub {
    fn begins(&mut self, series: &Series) {
        self.has_no_folds = series.repeats() || series.side_by_side() > 1;
    }

    fn run_begins(&mut self, order: &Order) {
        if self.has_no_folds {
            return;
        }
        let Begun { label, seed, .. } = Begun::of(order);
        open_group(&format!("{label} (seed {seed})"));
    }

    fn run_ended(&mut self, order: &Order, outcome: &Outcome) {
        self.close_group();
        let path = &order.source.path;
        let label = outcome.file.label().to_owned();
        for reason in &outcome.verdict.reasons {
            let about = outcome.verdict.invariant_of(reason).map_or("", |invariant| &invariant.name);
            let title = if about.is_empty() { label.clone() } else { format!("{label}: {about}") };
            if self.annotated.insert((title.clone(), reason.line.clone())) {
                let place = Place::line(path, reason.line.as_ref());
                annotate(Level::Error, &place, &title, &with_end(outcome, &reason.text));
            }
        }
        for warned in outcome.verdict.invariants.iter().filter(|invariant| invariant.severity == Severity::Warn) {
            if warned.finding.outcome == Found::Violated {
                let title = format!("{label}: {}", warned.name);
                if self.annotated.insert((title.clone(), warned.line.clone())) {
                    let place = Place::line(path, warned.line.as_ref());
                    annotate(Level::Warning, &place, &title, &warned.finding.summary);
                }
            }
        }
        let screen = Screen::of(order, outcome, outcome.store.shown_log_dir());
        let reason = outcome.verdict.reasons.first().map_or("", |reason| &reason.text);
        self.summary.add(Row {
            label,
            judgement: outcome.judgement,
            seconds: outcome.file.end.as_ref().map(|end| end.seconds),
            seed: outcome.file.seed.clone(),
            reason: reason.to_owned(),
            details: if outcome.judgement == Judgement::Pass { String::new() } else { screen.plain() },
        });
    }

    fn cannot_run(&mut self, order: &Order, error: &BenchError) {
        self.close_group();
        let (Begun { label, seed, .. }, reason) = (Begun::of(order), told(error));
        if self.annotated.insert((label.clone(), None)) {
            annotate(Level::Error, &Place::line(&order.source.path, None), &label, &reason);
        }
        let details = String::new();
        self.summary.add(Row { label, judgement: Judgement::Environment, seconds: None, seed, reason, details });
    }

    fn ended(&mut self, tally: &Tally) {
        tell_not_shown();
        if let Some(path) = &self.path
            && let Err(error) = self.summary.append_to(path, tally)
        {
            say!("warning: the step's summary could not be written: {error}; no verdict is affected");
        }
    }
}

impl GitHub {
    fn close_group(&self) {
        if !self.has_no_folds {
            command::close_group();
        }
    }
}

/// A reason, and how to see the run again.
fn with_end(outcome: &Outcome, reason: &str) -> String {
    let reproduce = outcome.file.end.as_ref().map(|end| format!("\nreproduce: {}", end.reproduce)).unwrap_or_default();
    format!("{reason}{reproduce}\nrun: {}", outcome.store.shown_dir().display())
}

/// Mistakes in a scenario, each at its place.
pub(crate) fn mistakes(path: &Path, sources: &Sources, diagnostics: &[Diagnostic]) {
    if !is_here() {
        return;
    }
    for diagnostic in diagnostics {
        let level = if diagnostic.is_error { Level::Error } else { Level::Warning };
        let (span, label) = &diagnostic.at;
        let help = diagnostic.help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
        let message = format!("{}: {label}{help}", diagnostic.message);
        annotate(level, &place(path, sources, span), &diagnostic.code.to_string(), &message);
    }
}

/// Says how many annotations there were that GitHub would not have shown.
pub(crate) fn tell_not_shown() {
    if let more @ 1.. = not_shown() {
        say!("... and {more} more problems without an annotation: GitHub shows {} of a kind per step", command::SHOWN);
    }
}

/// Lines and columns, from 1, of a place in a scenario.
fn place(path: &Path, sources: &Sources, span: &Span) -> Place {
    let (begin, end) = (sources.line(span.start), sources.line(span.end));
    let column = |offset: usize| {
        let file = sources.file_at(offset)?;
        let before = file.text.get(..offset - file.start())?;
        Some(before.rsplit('\n').next().unwrap_or_default().chars().count() + 1)
    };
    let columns = (begin == end).then(|| Some((column(span.start)?, column(span.end)?))).flatten();
    Place { columns, ..Place::line(path, Some(&begin)) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dsbench_core::source::Sources;

    use super::place;

    #[test]
    fn places_are_counted_in_lines_and_characters_from_one() {
        let text = "schema = 1\nü = \"x\"\ny = [\n]\n";
        let sources = Sources::of(text);
        let at = |word: &str| text.find(word).unwrap();
        let quoted = at("\"x\"");
        let one = place(Path::new("x.toml"), &sources, &(quoted..quoted + 3));
        assert_eq!((one.line, one.columns), (Some(2), Some((5, 8))));
        let two = place(Path::new("x.toml"), &sources, &(at("[")..at("]") + 1));
        assert_eq!((two.line, two.columns), (Some(3), None), "columns of different lines say nothing");
        let end = place(Path::new("x.toml"), &Sources::of(""), &(0..0));
        assert_eq!((end.line, end.columns), (Some(1), Some((1, 1))));
    }
}
