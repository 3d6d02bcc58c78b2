//! Mistakes that can be planted in a node, to show that they are caught. Compiled only with the `mistakes` feature.

use std::fmt;
use std::str::FromStr;

use crate::UnknownChoice;

macro_rules! mistakes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+) => {
        /// A mistake that real systems have made.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Mistake {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Mistake {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        const CHOICES: &str = concat!($($word, " "),+);
    };
}

mistakes! {
    /// A leader that keeps leading: it ignores higher terms, other leaders, a lost majority and its own standstill.
    NeverStepsDown = "never_steps_down",
    /// A candidate that leads its term without waiting for a majority's votes.
    ClaimsTermTwice = "claims_term_twice",
    /// Term and vote are kept in memory only: a restarted node votes again in a term in which it has voted.
    ForgetsVote = "forgets_vote",
    /// Votes go to the longer log instead of the later one: the unacknowledged tail of a deposed leader beats committed entries.
    LongestLogWins = "longest_log_wins",
    /// A new leader commits entries of earlier terms by counting their copies (Raft, figure 8).
    CountsOldTerms = "counts_old_terms",
    /// Members deliver what they receive, not what is committed.
    DeliversUncommitted = "delivers_uncommitted",
    /// A leader acknowledges what only its own disk has.
    AcknowledgesBeforeMajority = "acknowledges_before_majority",
    /// A request that is in the log twice is delivered twice.
    DeliversTwice = "delivers_twice",
    /// A leader takes the requests of a client in the order in which they arrive.
    TakesOutOfOrder = "takes_out_of_order",
    /// Copies on learners count for the majority.
    CountsLearners = "counts_learners",
    /// All members that are gone are removed in one change, whatever is left, and whatever change is under way.
    ChangesTwoAtOnce = "changes_two_at_once",
    /// A node founds a network of whom it has met.
    FoundsOnDiscovery = "founds_on_discovery",
    /// A wiped disk votes and acknowledges in the name of the old one.
    CountsAnyVote = "counts_any_vote",
    /// A leader hands over without bringing its successor up to date, and takes requests meanwhile.
    TransfersAtOnce = "transfers_at_once",
    /// A request that got lost is not asked again.
    ForgetsRequests = "forgets_requests",
    /// A node's own request leaves before the disk has noted its number.
    NumbersTooEarly = "numbers_too_early",
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Mistake {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<Self, UnknownChoice> {
        let mistake = Self::ALL.iter().copied().find(|mistake| mistake.word() == text);
        mistake.ok_or_else(|| UnknownChoice::new(text, CHOICES.trim_end()))
    }
}
