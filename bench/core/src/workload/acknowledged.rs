//! The event that says that one operation was done: an acknowledgement with the operation's own value in it.

use regex::{Regex, RegexBuilder};

use crate::observation::{Event, Name};
use crate::scenario::{AckTest, Facts};
use crate::template::Place;

/// A pattern with an operation's value in it may take this much memory.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// What the fields of an acknowledgement have to be, for one operation.
#[derive(Debug, Clone)]
pub struct Acknowledged(Vec<(Name, Expected)>);

#[derive(Debug, Clone)]
enum Expected {
    Is(String),
    Matches(Box<Regex>),
}

impl Acknowledged {
    /// Of the operation with these facts, at this place.
    ///
    /// # Errors
    ///
    /// Why its values make no pattern, in people's words.
    pub fn of(tests: &[(Name, AckTest)], facts: &Facts<'_>, place: &Place<'_>) -> Result<Self, String> {
        let expected = |(field, test): &(Name, AckTest)| {
            let expected = match test {
                AckTest::Is(wording) => Expected::Is(wording.expand(facts, place)),
                AckTest::Matches(wording) => {
                    let pattern = wording.expand_pattern(facts, place);
                    let pattern = RegexBuilder::new(&pattern).size_limit(PATTERN_BYTES_MAX).build();
                    Expected::Matches(Box::new(pattern.map_err(|error| format!("its acknowledgement: {error}"))?))
                }
            };
            Ok((field.clone(), expected))
        };
        tests.iter().map(expected).collect::<Result<_, String>>().map(Self)
    }

    /// True if this event says it.
    pub fn is_said_by(&self, event: &Event) -> bool {
        self.0.iter().all(|(field, expected)| {
            event.field(field).is_some_and(|value| match expected {
                Expected::Is(text) => value.to_string() == *text,
                Expected::Matches(pattern) => pattern.is_match(&value.to_string()),
            })
        })
    }
}
