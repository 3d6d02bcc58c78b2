//! Mistakes that can be planted in a node, to show that they are caught. Compiled only with the `mistakes` feature.

use std::fmt;
use std::str::FromStr;

use crate::UnknownChoice;

/// A mistake that real systems have made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// A leader that keeps leading: it ignores higher terms, other leaders, a lost majority and its own standstill.
    NeverStepsDown,
    /// A candidate that leads its term without waiting for a majority's votes.
    ClaimsTermTwice,
    /// Term and vote are kept in memory only: a restarted node votes again in a term in which it has voted.
    ForgetsVote,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NeverStepsDown, Self::ClaimsTermTwice, Self::ForgetsVote];
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeverStepsDown => "never_steps_down",
            Self::ClaimsTermTwice => "claims_term_twice",
            Self::ForgetsVote => "forgets_vote",
        })
    }
}

impl FromStr for Mistake {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<Self, UnknownChoice> {
        Self::ALL
            .into_iter()
            .find(|mistake| mistake.to_string() == text)
            .ok_or_else(|| UnknownChoice::new(text, "never_steps_down, claims_term_twice, forgets_vote"))
    }
}
