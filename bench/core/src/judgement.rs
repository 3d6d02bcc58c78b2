//! What a run comes to in one word, and the exit code that says it.

use serde::{Deserialize, Serialize};

/// What a run comes to. The later of two outweighs the earlier: a violation that was found is never hidden, whatever else went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// Everything held, and was exercised.
    Pass,
    /// Something could not be decided.
    Inconclusive,
    /// The environment failed before the first fault.
    Environment,
    /// A signal to the bench cut the run short (2 = SIGINT, 15 = SIGTERM).
    Interrupted {
        /// The signal's number.
        signal: i32,
    },
    /// Something was violated, an `expect` was missed, or a node did not come back.
    Fail,
}

/// The exit code of a bug in dsbench itself.
pub const BUG: u8 = 70;

impl Judgement {
    /// The exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Inconclusive => 3,
            Self::Environment => 5,
            // The convention of shells; signals are small numbers.
            Self::Interrupted { signal } => u8::try_from(signal).map_or(130, |signal| signal.saturating_add(128)),
        }
    }

    /// The word for people and machines: `pass`, `fail`, `inconclusive`, `environment`, `interrupted`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Environment => "environment",
            Self::Interrupted { .. } => "interrupted",
            Self::Fail => "fail",
        }
    }

    /// The judgement of several runs together; pass if there are none.
    pub fn of_all(judgements: impl IntoIterator<Item = Self>) -> Self {
        judgements.into_iter().max().unwrap_or(Self::Pass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_outweighs_everything_and_a_pass_nothing() {
        use Judgement::{Environment, Fail, Inconclusive, Interrupted, Pass};
        let codes = |all: &[Judgement]| Judgement::of_all(all.iter().copied()).exit_code();
        assert_eq!(codes(&[]), 0);
        assert_eq!(codes(&[Pass, Inconclusive, Pass]), 3);
        assert_eq!(codes(&[Inconclusive, Environment]), 5);
        assert_eq!(codes(&[Interrupted { signal: 2 }, Environment]), 130);
        assert_eq!(codes(&[Interrupted { signal: 15 }, Pass]), 143);
        assert_eq!(codes(&[Fail, Interrupted { signal: 2 }, Environment, Inconclusive, Pass]), 1);
    }
}
