//! `sometimes`: the run did what it is about, at least so often.
//!
//! It says nothing against the cluster: a run in which too little happened shows nothing, so an unmet `sometimes` is unknown. (The
//! reachability assertions of Antithesis and of FoundationDB's simulation are the same idea.)

use super::{Check, CheckKind};
use crate::history::History;
use crate::names::Names;
use crate::observation::Name;
use crate::table::{Key, Kind, Table};
use crate::verdict::Finding;

pub(super) const KIND: CheckKind = CheckKind {
    name: "sometimes",
    keys: &[
        Key::required("event", Kind::Event, "The event that must occur."),
        Key::new("at_least", Kind::IntIn(1, i64::MAX), "How often, 1 if not said."),
    ],
    short: Some("event"),
    doc: "An event occurs at least so often, or the run shows nothing.",
    parse,
};

#[derive(Debug)]
struct Sometimes {
    event: Name,
    at_least: u64,
}

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    let event = table.required("event", Table::text).and_then(|event| names.event(&event));
    let at_least = match table.int("at_least", 1..=i64::MAX) {
        Some(at_least) => at_least.value.unsigned_abs(),
        None if table.has("at_least") => return None,
        None => 1,
    };
    Some(Box::new(Sometimes { event: event?, at_least }))
}

impl Check for Sometimes {
    fn judge(&self, history: &History) -> Finding {
        let mut events = history.events(&self.event);
        let count = events.len() as u64;
        let summary = format!("{count} {} (need {})", self.event, self.at_least);
        if count == 0 {
            Finding::never_exercised(summary)
        } else if count < self.at_least {
            Finding::unknown(count, summary)
        } else {
            let last = usize::try_from(self.at_least - 1).ok().and_then(|nth| events.nth(nth));
            let finding = Finding::held(count, summary);
            last.map_or(finding.clone(), |event| finding.showing(event.number))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stories::Story;
    use crate::verdict::Outcome;

    #[test]
    fn too_few_occurrences_are_unknown_and_enough_hold() {
        let check = Sometimes { event: "leads".into(), at_least: 2 };
        let mut story = Story::of(&["a"]);
        assert_eq!(check.judge(&story.history).summary, "never exercised: 0 leads (need 2)");
        story.at(1).leads("a", 1);
        assert_eq!(check.judge(&story.history), Finding::unknown(1, "1 leads (need 2)"));
        story.at(2).leads("a", 2);
        assert_eq!(check.judge(&story.history).outcome, Outcome::Held);
    }

    #[test]
    fn occurrences_after_the_end_do_not_count() {
        let check = Sometimes { event: "leads".into(), at_least: 1 };
        let mut story = Story::of(&["a"]);
        story.at(1).end().at(2).leads("a", 1);
        assert_eq!(check.judge(&story.history).outcome, Outcome::Unknown);
    }
}
