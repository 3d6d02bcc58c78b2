//! A run as machines see it that count tests: one case for the run itself, and one for each invariant.

use dsbench_core::judgement::Judgement;
use dsbench_core::verdict::Outcome;

use super::screen::Screen;
use super::terminal::clean_line;

/// The name of the case that stands for the run itself: its steps, its faults, its end.
pub(super) const THE_RUN: &str = "the run";

/// One thing that a run shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    /// [`THE_RUN`], or the invariant's name. One line.
    pub(super) name: String,
    /// The kind of check; none for the run itself.
    pub(super) check: Option<String>,
    /// What it alone makes of the run.
    pub(super) judgement: Judgement,
    /// What was found, in one line.
    pub(super) message: String,
    /// The same with its evidence, as the final screen has it.
    pub(super) details: String,
    /// Its line in the scenario, as an editor opens it.
    pub(super) line: Option<String>,
}

/// The cases of a run, that of the run itself first. The worst of them is what the run comes to.
pub(super) fn cases(screen: &Screen<'_>) -> Vec<Case> {
    let verdict = screen.verdict;
    let invariants = verdict.invariants.iter().map(|invariant| {
        let finding = &invariant.finding;
        // A check may hold, and that be what is wrong (`violates`); then the reason says so.
        let found = match finding.outcome {
            Outcome::Violated => format!("violated: {}", finding.summary),
            Outcome::Unknown => format!("unknown: {}", finding.summary),
            Outcome::Held => finding.summary.clone(),
        };
        Case {
            name: clean_line(&invariant.name).into_owned(),
            check: Some(invariant.check.clone()),
            judgement: verdict.judgement_of(invariant),
            message: clean_line(&found).into_owned(),
            details: screen.invariant(invariant),
            line: invariant.line.as_ref().map(|line| line.shown(&screen.file.file)),
        }
    });
    let mut cases: Vec<Case> = invariants.collect();
    let of_invariants = Judgement::of_all(cases.iter().map(|case| case.judgement));
    cases.insert(0, the_run(screen, of_invariants));
    cases
}

fn the_run(screen: &Screen<'_>, of_invariants: Judgement) -> Case {
    let reasons: Vec<_> = screen.verdict.reasons_without_invariant().collect();
    let own = Judgement::of_all(reasons.iter().map(|reason| reason.judgement));
    // What neither a reason nor an invariant tells came after the verdict: a process that cannot be killed, a signal.
    let judgement = if own.max(of_invariants) < screen.judgement { screen.judgement } else { own };
    let message = match reasons.first() {
        Some(first) => clean_line(&first.text).into_owned(),
        None if judgement == Judgement::Pass => "went as the scenario says".to_owned(),
        None => after_the_verdict(screen),
    };
    let details = match reasons.is_empty() {
        true => message.clone(),
        false => reasons.iter().map(|reason| screen.reason(reason)).collect(),
    };
    let line = reasons.first().and_then(|reason| reason.line.as_ref()).map(|line| line.shown(&screen.file.file));
    Case { name: THE_RUN.to_owned(), check: None, judgement, message, details, line }
}

fn after_the_verdict(screen: &Screen<'_>) -> String {
    let survivors = screen.file.end.as_ref().map_or(&[][..], |end| &end.survivors);
    match survivors {
        [] => format!("{} after its end", screen.judgement.word()),
        survivors => clean_line(&format!("not cleaned up: {}", survivors.join(", "))).into_owned(),
    }
}
