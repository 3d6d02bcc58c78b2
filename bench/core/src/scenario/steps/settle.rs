//! `settle`: until the cluster is at rest.

use std::fmt;
use std::time::Duration;

use super::{StepTable, Verb, VerbKind};
use crate::observation::Name;
use crate::table::{Key, Kind};

/// What rest is, and how long it is waited for.
#[derive(Debug, Clone)]
pub struct Settle {
    /// How long nothing happens.
    pub quiet: Duration,
    /// The longest that it may take.
    pub within: Duration,
    /// The events that disturb it; every event if there is none.
    pub events: Vec<Name>,
}

const KEYS: &[Key] = &[
    Key::new(
        "quiet",
        Kind::Duration,
        "How long nothing happens to the cluster and no node says anything; 1s if not said.",
    ),
    Key::new("within", Kind::Duration, "The longest that it may take; 30s if not said."),
    Key::new("events", Kind::Texts, "The events that are not to occur meanwhile; all of [events] if not said."),
];

pub(super) const SETTLE: VerbKind = VerbKind {
    key: Key::new(
        "settle",
        Kind::Table(KEYS),
        "Waits until the cluster is at rest: every fault undone, every node up, and nothing happening for a while; a miss makes the run inconclusive.",
    ),
    modifiers: &[],
    acts: false,
    parse,
};

fn parse(step: &StepTable<'_, '_, '_>) -> Option<Verb> {
    let table = step.item.table(KEYS, "a settle")?;
    let time = |key: &'static str, seconds| match table.has(key) {
        true => table.duration(key).map(|time| time.value),
        false => Some(Duration::from_secs(seconds)),
    };
    let (quiet, within) = (time("quiet", 1), time("within", 30));
    let events = match table.has("events") {
        false => Some(Vec::new()),
        true => table.texts("events").and_then(|texts| {
            let events: Vec<_> = texts.iter().map(|text| step.names.event(text)).collect();
            events.into_iter().collect()
        }),
    };
    Some(Verb::Settle(Settle { quiet: quiet?, within: within?, events: events? }))
}

impl fmt::Display for Settle {
    /// `settle: quiet for 1s within 30s`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [quiet, within] = [self.quiet, self.within].map(humantime::format_duration);
        write!(f, "settle: quiet for {quiet} within {within}")
    }
}
