//! Runs of numbered deliveries: each life of a node tells one piece of a sequence whose places are known.

use super::{Begin, Begins};

/// A line that tells a place of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check) struct Place {
    /// Its observation.
    pub(in crate::check) number: u64,
    pub(in crate::check) at: i64,
}

/// How a run is no piece of the sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check) enum Break {
    /// It does not begin where it must: not with this place.
    Start { with: Place, must: i64 },
    /// It leaves something out, in a life (or, if `restarted`, between two).
    Gap { from: Place, to: Place, restarted: bool },
    /// It comes to the same place again, or goes back.
    Back { from: Place, to: Place },
}

impl Break {
    /// The line by which it is broken.
    pub(in crate::check) fn number(&self) -> u64 {
        match self {
            Self::Start { with: to, .. } | Self::Gap { to, .. } | Self::Back { to, .. } => to.number,
        }
    }
}

/// What one node has told of one sequence.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::check) struct Runs {
    last: Option<(u32, Place)>,
    highest: Option<Place>,
    /// The first place of the first life, if it had to be the sequence's first.
    pub(in crate::check) first: Option<Place>,
}

impl Runs {
    /// True if it has told anything.
    pub(in crate::check) fn has_begun(&self) -> bool {
        self.last.is_some()
    }

    /// Takes in the next place. `run` counts the lives, and the jumps within them; after a jump a run begins anywhere.
    pub(in crate::check) fn take(
        &mut self,
        place: Place,
        run: u32,
        has_jumped: bool,
        begins: &Begins,
        prefix: bool,
    ) -> Option<Break> {
        let before = self.last.replace((run, place));
        let highest = self.highest;
        self.highest = Some(highest.filter(|highest| highest.at >= place.at).unwrap_or(place));
        match before.filter(|(of, _)| *of == run) {
            Some((_, from)) if place.at <= from.at => Some(Break::Back { from, to: place }),
            Some((_, from)) if prefix && from.at.checked_add(1) != Some(place.at) => {
                Some(Break::Gap { from, to: place, restarted: false })
            }
            Some(_) => None,
            None if !prefix || has_jumped => None,
            None => match (begins.of(before.is_none()), highest) {
                (Begin::First, _) => {
                    self.first = Some(place);
                    None
                }
                (Begin::On, Some(from)) if from.at.checked_add(1).is_some_and(|next| place.at > next) => {
                    Some(Break::Gap { from, to: place, restarted: true })
                }
                (Begin::On | Begin::Anywhere, _) => None,
            },
        }
    }
}
