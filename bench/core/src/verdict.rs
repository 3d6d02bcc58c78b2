//! What a run means: three values, with evidence.

use serde::{Deserialize, Serialize};

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
