//! Every run that a scenario file means: its cases, each with every combination of its matrix.

mod axis;
pub(super) mod cases;
mod gather;

pub use axis::Axis;

use super::document::Document;
use super::overrides::{self, Override};
use super::{KEYS, Scenario};
use crate::diagnostic::{self, Diagnostic, Problems, Span};
use crate::observation::Name;
use crate::source::Sources;
use crate::table::Table;
use cases::Case;
use gather::Gathered;

/// More runs than this are no test plan.
pub const MOST: u64 = 10_000;

/// What a command line asks of a scenario file.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Only these cases; all if there are none.
    pub cases: Vec<String>,
    /// Values in the place of the file's. One at a path of the matrix takes the place of all its values there.
    pub set: Vec<Override>,
    /// Values to run it with, besides and instead of those of its matrix.
    pub matrix: Vec<Axis>,
    /// Leave the faults out.
    pub without_faults: bool,
}

/// One of the runs that a file means: what distinguishes it from the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Its case.
    pub case: Option<Name>,
    /// The values of the matrix that it has, and those of the command line.
    pub overrides: Vec<Override>,
    /// Its faults are left out.
    pub without_faults: bool,
}

impl Choice {
    /// What people call it without knowing the matrix: `leader-election[sync,nodes.count=5]`.
    pub fn label(&self, scenario: &str) -> String {
        let shown = self.overrides.iter().map(|this| format!("{}={}", this.path, axis::cut(&this.value))).collect();
        Variant { choice: self.clone(), shown }.label(scenario)
    }
}

/// One of the runs that a file means, with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variation {
    /// What distinguishes it.
    pub choice: Choice,
    /// What people call it: `leader-election[nodes.count=5]`. No two of a file are called the same.
    pub label: String,
}

/// Every run that a file means, none of which has a mistake.
#[derive(Debug)]
pub struct Suite {
    /// In the order of the file: each case, with the last axis of the matrix varying fastest.
    pub variations: Vec<Variation>,
    /// What is odd about the file, though not wrong.
    pub warnings: Vec<Diagnostic>,
}

impl Suite {
    /// Reads a scenario as often as it means a run, and gives each to `each`. The text is parsed once.
    ///
    /// # Errors
    ///
    /// Every mistake of every run, each told once, in the order of the text.
    pub fn parse(
        sources: &Sources,
        asked: &Asked,
        mut each: impl FnMut(&Variation, Scenario),
    ) -> Result<Self, Vec<Diagnostic>> {
        let problems = Problems::new();
        let document = Document::parse(sources, &problems);
        if problems.has(diagnostic::BAD_EXTENDS) {
            // What the file builds on is missing, so whatever it lacks is no mistake of its own.
            return Err(problems.into_sorted());
        }
        let expanded = Expanded::read(&document, asked, &problems);
        let mut gathered = Gathered::default();
        let mut variations = Vec::new();
        for variant in expanded.variants() {
            let (scenario, diagnostics) = read(&document, expanded.case_set(&variant.choice), &variant.choice);
            gathered.add(&variant.shown(), diagnostics);
            if let Some(scenario) = scenario {
                let variation = Variation { label: variant.label(&scenario.name), choice: variant.choice };
                each(&variation, scenario);
                variations.push(variation);
            }
        }
        let mut diagnostics = problems.into_sorted();
        diagnostics.extend(gathered.into_diagnostics());
        super::forgive_broken_lines(&mut diagnostics, sources);
        diagnostic::sort(&mut diagnostics);
        if diagnostics.iter().any(|diagnostic| diagnostic.is_error) {
            return Err(diagnostics);
        }
        Ok(Self { variations, warnings: diagnostics })
    }
}

impl Scenario {
    /// Reads one of the runs that a scenario means.
    ///
    /// # Errors
    ///
    /// Every mistake in it, in the order of the text.
    pub fn parse_choice(sources: &Sources, choice: &Choice) -> Result<Self, Vec<Diagnostic>> {
        let problems = Problems::new();
        let document = Document::parse(sources, &problems);
        // What is wrong with other cases is no matter here.
        let silent = Problems::new();
        let cases = cases::read(&Table::root(&document.root, KEYS, "the scenario", &silent)).unwrap_or_default();
        let case_set = cases.iter().find(|case| Some(&case.name) == choice.case.as_ref());
        if let (Some(name), None) = (&choice.case, case_set) {
            let message = format!("there is no case `{}`", name.escape_debug());
            let known = cases.iter().map(|case| &*case.name);
            let help = diagnostic::suggestion(name, "cases", known);
            problems.report(Diagnostic::error(diagnostic::UNKNOWN_CASE, message, 0..0, "here").help(help));
        }
        let (scenario, found) = read(&document, case_set.map_or(&[], |case| &case.set), choice);
        let mut diagnostics = problems.into_sorted();
        diagnostics.extend(found);
        super::forgive_broken_lines(&mut diagnostics, sources);
        diagnostic::sort(&mut diagnostics);
        match scenario {
            Some(mut scenario) if !diagnostics.iter().any(|diagnostic| diagnostic.is_error) => {
                scenario.warnings = diagnostics;
                Ok(scenario)
            }
            _ => Err(diagnostics),
        }
    }
}

/// Reads one run of a document. Without a scenario there is at least one mistake.
fn read(document: &Document<'_>, case_set: &[Override], choice: &Choice) -> (Option<Scenario>, Vec<Diagnostic>) {
    let problems = Problems::new();
    let mut document = document.clone();
    if let Some(case) = &choice.case {
        cases::apply(&mut document, case);
    }
    let mut replaced = overrides::apply(&mut document, case_set, &problems);
    replaced.extend(overrides::apply(&mut document, &choice.overrides, &problems));
    let root = Table::root(&document.root, KEYS, "the scenario", &problems);
    let mut scenario = Scenario::read(&root, document.sources);
    if choice.without_faults {
        scenario.iter_mut().for_each(Scenario::leave_out_faults);
    }
    let mut diagnostics = problems.into_sorted();
    overrides::explain(&mut diagnostics, &replaced);
    let is_right = !diagnostics.iter().any(|diagnostic| diagnostic.is_error);
    (scenario.filter(|_| is_right), diagnostics)
}

/// The cases and the matrix of a file, with what the command line says of them.
struct Expanded<'a> {
    cases: Vec<Case>,
    axes: Vec<Axis>,
    asked: &'a Asked,
    /// Something is wrong with them, or there are too many: the scenario itself is read, to find what else is wrong.
    is_broken: bool,
}

impl<'a> Expanded<'a> {
    fn read(document: &Document<'_>, asked: &'a Asked, problems: &Problems) -> Self {
        let root = Table::root(&document.root, KEYS, "the scenario", problems);
        let (cases, axes) = (cases::read(&root), axis::read(&root));
        let is_broken = cases.is_none() || axes.is_none();
        let mut this = Self { cases: cases.unwrap_or_default(), axes: axes.unwrap_or_default(), asked, is_broken };
        for axis in &asked.matrix {
            match this.axes.iter_mut().find(|known| known.is_of(&axis.path)) {
                Some(known) => *known = axis.clone(),
                None => this.axes.push(axis.clone()),
            }
        }
        let runs = this.chosen().iter().fold(0_u64, |sum, case| sum.saturating_add(this.runs_of(*case)));
        if runs > MOST {
            let span = root.item("matrix").map_or(0..0, |matrix| matrix.key_span());
            problems.report(too_many(runs, &this.axes, span));
            this.is_broken = true;
        }
        this
    }

    /// The cases that are run; a scenario without cases is run as it is.
    fn chosen(&self) -> Vec<Option<&Case>> {
        let is_asked =
            |case: &&Case| self.asked.cases.is_empty() || self.asked.cases.iter().any(|name| **name == *case.name);
        let chosen = self.cases.iter().filter(is_asked).map(Some);
        // Whoever asks for cases does not ask for what is none.
        if self.cases.is_empty() && self.asked.cases.is_empty() { vec![None] } else { chosen.collect() }
    }

    /// The axes that vary in a case: a path that the case or the command line sets has one value.
    fn varying(&self, case: Option<&Case>) -> Vec<&Axis> {
        let is_set = |axis: &Axis, by: &[Override]| by.iter().any(|this| this.is_of(&axis.path));
        let varies = |axis: &&Axis| !is_set(axis, &self.asked.set) && !case.is_some_and(|case| is_set(axis, &case.set));
        self.axes.iter().filter(varies).collect()
    }

    fn runs_of(&self, case: Option<&Case>) -> u64 {
        axis::combinations(&self.varying(case))
    }

    fn case_set(&self, choice: &Choice) -> &[Override] {
        let case = self.cases.iter().find(|case| Some(&case.name) == choice.case.as_ref());
        case.map_or(&[], |case| &case.set)
    }

    /// Every run, in order.
    fn variants(&self) -> Vec<Variant> {
        if self.is_broken {
            return vec![self.variant(None, &[], 0)];
        }
        let of_case = |case: Option<&Case>| {
            let axes = self.varying(case);
            (0..axis::combinations(&axes)).map(|index| self.variant(case, &axes, index)).collect::<Vec<_>>()
        };
        self.chosen().into_iter().flat_map(of_case).collect()
    }

    fn variant(&self, case: Option<&Case>, varying: &[&Axis], index: u64) -> Variant {
        let name = case.map(|case| case.name.clone());
        let choice = Choice { case: name, overrides: Vec::new(), without_faults: self.asked.without_faults };
        let mut variant = Variant { choice, shown: Vec::new() };
        let combination = axis::combination(varying, index);
        // In the order of the matrix, also for a path that the command line sets: the label is the same then.
        for axis in &self.axes {
            if let Some(position) = varying.iter().position(|known| std::ptr::eq(*known, axis)) {
                let value = combination[position];
                variant.add(axis.values[value].clone(), axis.shown(value));
            } else if let Some(set) = self.asked.set.iter().rfind(|set| set.is_of(&axis.path)) {
                variant.add_set(set);
            }
        }
        for set in &self.asked.set {
            if !self.axes.iter().any(|axis| axis.is_of(&set.path)) {
                variant.add_set(set);
            }
        }
        variant
    }
}

fn too_many(runs: u64, axes: &[Axis], at: Span) -> Diagnostic {
    let sizes: Vec<String> = axes.iter().map(|axis| axis.values.len().to_string()).collect();
    let count = if runs == u64::MAX { "more than can be counted".to_owned() } else { runs.to_string() };
    let message = format!("{count} runs, and at most {MOST} can be");
    Diagnostic::error(diagnostic::TOO_MANY_RUNS, message, at, format!("{} combinations", sizes.join(" x ")))
        .help("fewer values, or `--set PATH=VALUE` for a path of the matrix, which then has this value only")
}

/// A run on its way to a name.
struct Variant {
    choice: Choice,
    shown: Vec<String>,
}

impl Variant {
    fn add(&mut self, value: Override, shown: String) {
        self.choice.overrides.push(value);
        self.shown.push(shown);
    }

    fn add_set(&mut self, set: &Override) {
        self.add(set.clone(), format!("{}={}", set.path, axis::cut(&set.value)));
    }

    /// What distinguishes it: `sync,nodes.count=5`.
    fn shown(&self) -> String {
        let case = self.choice.case.iter().map(|case| &**case);
        let faults = self.choice.without_faults.then_some("no-faults");
        case.chain(self.shown.iter().map(String::as_str)).chain(faults).collect::<Vec<_>>().join(",")
    }

    fn label(&self, scenario: &str) -> String {
        let shown = self.shown();
        if shown.is_empty() { scenario.to_owned() } else { format!("{scenario}[{shown}]") }
    }
}
