//! What a run means: three values, with evidence.

use serde::{Deserialize, Serialize};

use crate::faults::Circumstance;
use crate::judgement::Judgement;
use crate::observation::Ending;
use crate::source::SourceLine;
use crate::time::RunTime;

/// `held < unknown < violated`: the worst of several is their maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Looked at, and true.
    Held,
    /// Could not be decided, or was never exercised.
    Unknown,
    /// Proven false.
    Violated,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The check's answer.
    pub outcome: Outcome,
    /// One line for people: `worst 0.84s of 3s`, `3 leaders (need 2)`.
    pub summary: String,
    /// How often the property was applied. A check that held has been applied at least once.
    pub checked: u64,
    /// How often it failed; the evidence is of the first.
    pub violations: u64,
    /// When it was first violated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<RunTime>,
    /// Observations that show it, by number, in order of reading; each with a word on its part where it needs one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

impl Finding {
    /// It is true, and was looked at so often.
    pub fn held(checked: u64, summary: impl Into<String>) -> Self {
        let summary = summary.into();
        Self { outcome: Outcome::Held, summary, checked, violations: 0, at: None, evidence: Vec::new() }
    }

    /// It could not be decided; the summary says why.
    pub fn unknown(checked: u64, summary: impl Into<String>) -> Self {
        Self { outcome: Outcome::Unknown, ..Self::held(checked, summary) }
    }

    /// There was nothing to look at, so nothing was shown.
    pub fn never_exercised(why: impl std::fmt::Display) -> Self {
        Self::unknown(0, format!("never exercised: {why}"))
    }

    /// It is false.
    pub fn violated(checked: u64, violations: u64, at: RunTime, summary: impl Into<String>) -> Self {
        Self { outcome: Outcome::Violated, violations, at: Some(at), ..Self::held(checked, summary) }
    }

    /// With an observation that shows it.
    pub fn showing(mut self, observation: u64) -> Self {
        self.evidence.push(Evidence { observation, note: None });
        self
    }

    /// With an observation that shows it, and a word on its part.
    pub fn showing_as(mut self, observation: u64, note: impl Into<String>) -> Self {
        self.evidence.push(Evidence { observation, note: Some(note.into()) });
        self
    }
}

/// One piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The observation's number in the history.
    pub observation: u64,
    /// Why it is shown, if the observation does not say it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What an invariant that is not kept means for the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The run fails.
    #[default]
    Fail,
    /// It is told, and the run does not fail.
    Warn,
}

/// What the scenario expects of an invariant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// It holds.
    #[default]
    Hold,
    /// It is caught being violated (`violates`): the scenario demonstrates a mistake.
    BeViolated,
    /// Either (`may_violate`).
    MayBeViolated,
    /// It holds, or was not exercised: faults that would have done so were left out.
    HoldIfExercised,
}

/// One invariant, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvariantVerdict {
    /// Its name in the scenario.
    pub name: String,
    /// Its kind of check: `single_leader`.
    pub check: String,
    /// Its line in the scenario; none if the scenario does not have it (the implicit check of processes).
    #[serde(flatten)]
    pub line: Option<SourceLine>,
    /// What it means if it is not kept.
    pub severity: Severity,
    /// What was expected.
    pub expectation: Expectation,
    /// What was found.
    pub finding: Finding,
    /// What was being done to the cluster when it was first violated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub during: Vec<Circumstance>,
}

impl InvariantVerdict {
    /// What this invariant alone means for the run.
    pub fn judgement(&self) -> Judgement {
        match (self.expectation, self.finding.outcome) {
            (Expectation::Hold | Expectation::HoldIfExercised, _) if self.severity == Severity::Warn => Judgement::Pass,
            (Expectation::Hold | Expectation::HoldIfExercised, Outcome::Violated)
            | (Expectation::BeViolated, Outcome::Held) => Judgement::Fail,
            (Expectation::Hold | Expectation::BeViolated, Outcome::Unknown) => Judgement::Inconclusive,
            (Expectation::Hold, Outcome::Held) | (Expectation::BeViolated, Outcome::Violated) => Judgement::Pass,
            // Whichever it was, it was allowed.
            (Expectation::MayBeViolated, _) | (Expectation::HoldIfExercised, Outcome::Held | Outcome::Unknown) => {
                Judgement::Pass
            }
        }
    }
}

/// Why a run is not a pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What this reason alone makes of the run.
    pub judgement: Judgement,
    /// In one line, for people.
    pub text: String,
    /// The line of the scenario that it is about.
    #[serde(flatten)]
    pub line: Option<SourceLine>,
    /// The observation that shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observation: Option<u64>,
}

/// What went wrong without a bearing on what the run means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// In one line, for people.
    pub text: String,
    /// The line of the scenario that it is about.
    #[serde(flatten)]
    pub line: Option<SourceLine>,
    /// The observation that shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observation: Option<u64>,
}

/// What a run means. The same history and the same scenario give the same verdict, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// In one word.
    pub judgement: Judgement,
    /// Everything that speaks against a pass, the weightiest first. Empty if it is one.
    pub reasons: Vec<Reason>,
    /// What went wrong and speaks neither for nor against the cluster. Empty if nothing did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// Every invariant, in the order of the scenario.
    pub invariants: Vec<InvariantVerdict>,
    /// Why the run ended; none if the history does not say (the bench was killed).
    pub ending: Option<Ending>,
}

impl Verdict {
    /// The invariant that a reason is about; none if it is about a step, a fault or the run's end.
    pub fn invariant_of(&self, reason: &Reason) -> Option<&InvariantVerdict> {
        let is_about = |invariant: &&InvariantVerdict| {
            let rest = reason.text.strip_prefix(&*invariant.name);
            invariant.line == reason.line && rest.is_some_and(|rest| rest.starts_with(": "))
        };
        // Of two names that both fit, the longer: `a` and `a: b`.
        self.invariants.iter().filter(is_about).max_by_key(|invariant| invariant.name.len())
    }

    /// The reasons that no invariant tells, the weightiest first.
    pub fn reasons_without_invariant(&self) -> impl Iterator<Item = &Reason> {
        self.reasons.iter().filter(|reason| self.invariant_of(reason).is_none())
    }

    /// What an invariant alone makes of the run. One that is not kept only because the cluster could not be started is the environment's
    /// failure, as the reasons say.
    pub fn judgement_of(&self, invariant: &InvariantVerdict) -> Judgement {
        let is_it = |reason: &&Reason| self.invariant_of(reason).is_some_and(|other| std::ptr::eq(other, invariant));
        match (self.reasons.iter().find(is_it), invariant.judgement()) {
            (Some(reason), _) => reason.judgement,
            (None, Judgement::Pass) => Judgement::Pass,
            (None, _) => self.judgement,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invariant(name: &str, line: u32, finding: Finding) -> InvariantVerdict {
        let (severity, expectation, during) = (Severity::Fail, Expectation::Hold, Vec::new());
        InvariantVerdict {
            name: name.into(),
            check: "never".into(),
            line: Some(line.into()),
            severity,
            expectation,
            finding,
            during,
        }
    }

    fn reason(judgement: Judgement, text: &str, line: Option<u32>) -> Reason {
        Reason { judgement, text: text.into(), line: line.map(SourceLine::from), observation: None }
    }

    #[test]
    fn a_reason_is_told_by_the_invariant_that_it_names() {
        let violated = || Finding::violated(1, 1, RunTime(0), "once");
        let verdict = Verdict {
            judgement: Judgement::Fail,
            reasons: vec![
                reason(Judgement::Fail, "a: b: once", Some(2)),
                reason(Judgement::Fail, "a: once", Some(1)),
                reason(Judgement::Inconclusive, "step 1 (a) could not be done: gone", Some(9)),
            ],
            warnings: Vec::new(),
            invariants: vec![
                invariant("a", 1, violated()),
                invariant("a: b", 2, violated()),
                invariant("c", 3, Finding::held(1, "fine")),
            ],
            ending: None,
        };
        let names: Vec<_> =
            verdict.reasons.iter().map(|reason| verdict.invariant_of(reason).map(|i| &*i.name)).collect();
        assert_eq!(names, [Some("a: b"), Some("a"), None]);
        assert_eq!(verdict.reasons_without_invariant().count(), 1);
        let judgements = verdict.invariants.iter().map(|invariant| verdict.judgement_of(invariant));
        assert_eq!(judgements.collect::<Vec<_>>(), [Judgement::Fail, Judgement::Fail, Judgement::Pass]);
    }

    #[test]
    fn what_broke_only_because_nothing_started_is_the_environment_s_failure() {
        let verdict = Verdict {
            judgement: Judgement::Environment,
            reasons: vec![reason(Judgement::Environment, "n1 could not be started: not found", None)],
            warnings: Vec::new(),
            invariants: vec![invariant("no process crashed", 1, Finding::violated(1, 1, RunTime(0), "n1 exited"))],
            ending: Some(Ending::Environment),
        };
        assert_eq!(verdict.judgement_of(&verdict.invariants[0]), Judgement::Environment);
    }
}
