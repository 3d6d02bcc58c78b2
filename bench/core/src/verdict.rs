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

/// One piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The observation's number in the history.
    pub observation: u64,
    /// Why it is shown, if the observation does not say it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}
