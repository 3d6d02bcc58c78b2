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
            (Expectation::Hold, _) if self.severity == Severity::Warn => Judgement::Pass,
            (Expectation::Hold, Outcome::Violated) | (Expectation::BeViolated, Outcome::Held) => Judgement::Fail,
            (Expectation::Hold | Expectation::BeViolated, Outcome::Unknown) => Judgement::Inconclusive,
            (Expectation::Hold, Outcome::Held) | (Expectation::BeViolated, Outcome::Violated) => Judgement::Pass,
            // Whichever it was, it was allowed.
            (Expectation::MayBeViolated, _) => Judgement::Pass,
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

/// What a run means. The same history and the same scenario give the same verdict, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// In one word.
    pub judgement: Judgement,
    /// Everything that speaks against a pass, the weightiest first. Empty if it is one.
    pub reasons: Vec<Reason>,
    /// Every invariant, in the order of the scenario.
    pub invariants: Vec<InvariantVerdict>,
    /// Why the run ended; none if the history does not say (the bench was killed).
    pub ending: Option<Ending>,
}
