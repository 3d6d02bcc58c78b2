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

/// Every exit code of dsbench with what it means, in ascending order.
pub const EXIT_CODES: &[(u8, &str)] = &[
    (0, "pass: every promise was held, and each was put to the test"),
    (1, "a promise was violated, an `expect` was missed, or a node did not come back after a fault"),
    (2, "usage, or an invalid scenario: nothing was started"),
    (3, "inconclusive: something could not be decided, or the scene of the test was never set"),
    (4, "nothing was selected to run"),
    (5, "environment: before the first fault a node did not start, a program is missing, a port is taken"),
    (BUG, "a bug in dsbench, not in the cluster: please report it"),
    (129, "the terminal was closed (SIGHUP): ended after clean-up"),
    (130, "interrupted by Ctrl-C, after clean-up"),
    (143, "asked to end by SIGTERM, after clean-up"),
];

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
    fn every_exit_code_is_explained() {
        use Judgement::{Environment, Fail, Inconclusive, Interrupted, Pass};
        let judgements = [
            Pass,
            Fail,
            Inconclusive,
            Environment,
            Interrupted { signal: 1 },
            Interrupted { signal: 2 },
            Interrupted { signal: 15 },
        ];
        for code in judgements.map(Judgement::exit_code).into_iter().chain([BUG]) {
            assert!(EXIT_CODES.iter().any(|(known, _)| *known == code), "{code} is not in EXIT_CODES");
        }
        assert!(EXIT_CODES.is_sorted_by_key(|(code, _)| code));
    }

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
