//! `sometimes`: the run did what it is about, at least so often.
//!
//! It says nothing against the cluster: a run in which too little happened shows nothing, so an unmet `sometimes` is unknown. (The
//! reachability assertions of Antithesis and of FoundationDB's simulation are the same idea.)

use super::{Check, CheckKind};
use crate::history::History;
use crate::names::Names;
use crate::observation::Name;
use crate::operation::Meant;
use crate::table::{Key, Kind, Need, Table};
use crate::verdict::Finding;

const WHAT: Need = Need::OneOf("what must occur");

pub(super) const KIND: CheckKind = CheckKind {
    name: "sometimes",
    keys: &[
        Key::new("event", Kind::Event, "The event that must occur.").with(WHAT),
        Key::new("op", Kind::Text, "The operation that must succeed: OP, or WORKLOAD.OP.").with(WHAT),
        Key::new("at_least", Kind::IntIn(1, i64::MAX), "How often, 1 if not said."),
    ],
    short: Some("event"),
    doc: "An event occurs, or an operation succeeds, at least so often, or the run shows nothing.",
    parse,
};

#[derive(Debug)]
struct Sometimes {
    what: What,
    at_least: u64,
}

#[derive(Debug)]
enum What {
    Event(Name),
    Operation(Meant),
}

impl What {
    /// Every occurrence, by number.
    fn all(&self, history: &History) -> Vec<u64> {
        match self {
            Self::Event(event) => history.events(event).map(|event| event.number).collect(),
            Self::Operation(op) => {
                let done = history.operations().filter(|performed| performed.is_ok() && op.has(performed.invoked.what));
                let mut done: Vec<u64> =
                    done.filter_map(|performed| performed.ended.map(|ended| ended.number)).collect();
                done.sort_unstable();
                done
            }
        }
    }
}

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    let item = table.exactly_one(&["event", "op"], "what must occur", "an event, or an operation that succeeds");
    let what = item.and_then(|item| match item.key() {
        "event" => names.event(&item.text()?).map(What::Event),
        _ => names.operation(&item.text()?).map(What::Operation),
    });
    let at_least = match table.int("at_least", 1..=i64::MAX) {
        Some(at_least) => at_least.value.unsigned_abs(),
        None if table.has("at_least") => return None,
        None => 1,
    };
    Some(Box::new(Sometimes { what: what?, at_least }))
}

impl Check for Sometimes {
    fn judge(&self, history: &History) -> Finding {
        let all = self.what.all(history);
        let count = all.len() as u64;
        let summary = match &self.what {
            What::Event(event) => format!("{count} {event} (need {})", self.at_least),
            What::Operation(op) => format!("{count} {op} succeeded (need {})", self.at_least),
        };
        if count == 0 {
            Finding::never_exercised(summary)
        } else if count < self.at_least {
            Finding::unknown(count, summary)
        } else {
            let last = usize::try_from(self.at_least - 1).ok().and_then(|nth| all.get(nth));
            let finding = Finding::held(count, summary);
            last.map_or(finding.clone(), |number| finding.showing(*number))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::OperationKind;
    use crate::stories::Story;
    use crate::verdict::Outcome;

    #[test]
    fn too_few_occurrences_are_unknown_and_enough_hold() {
        let check = Sometimes { what: What::Event("leads".into()), at_least: 2 };
        let mut story = Story::of(&["a"]);
        assert_eq!(check.judge(&story.history).summary, "never exercised: 0 leads (need 2)");
        story.at(1).leads("a", 1);
        assert_eq!(check.judge(&story.history), Finding::unknown(1, "1 leads (need 2)"));
        story.at(2).leads("a", 2);
        assert_eq!(check.judge(&story.history).outcome, Outcome::Held);
    }

    #[test]
    fn occurrences_after_the_end_do_not_count() {
        let check = Sometimes { what: What::Event("leads".into()), at_least: 1 };
        let mut story = Story::of(&["a"]);
        story.at(1).end().at(2).leads("a", 1);
        assert_eq!(check.judge(&story.history).outcome, Outcome::Unknown);
    }
    #[test]
    fn only_operations_that_are_known_to_have_happened_count() {
        let check = Sometimes {
            what: What::Operation(Meant { told: "say".into(), of: vec![("chat".into(), "say".into())] }),
            at_least: 2,
        };
        let mut story = Story::of(&["a"]);
        story.asks(0, "say", 1).told(0, OperationKind::Ok).asks(1, "say", 2).told(1, OperationKind::Info);
        story.asks(2, "read", 0).told(2, OperationKind::Ok);
        assert_eq!(check.judge(&story.history), Finding::unknown(1, "1 say succeeded (need 2)"));
        story.asks(3, "say", 3).told(3, OperationKind::Ok);
        assert_eq!(check.judge(&story.history).outcome, Outcome::Held);
    }
}
