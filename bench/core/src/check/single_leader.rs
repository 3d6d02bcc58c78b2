//! `single_leader`: at most one node ever leads a term.
//!
//! Election Safety (Ongaro & Ousterhout, In Search of an Understandable Consensus Algorithm, 2014, figure 3). Two leaders of *different*
//! terms for a moment are normal, so this says nothing of time; [`leader_overlap`](super::leader_overlap) stands beside it.
//!
//! Without `per` at most one node has the event in the whole run. A node that leads a term again after a restart is still one node; that
//! it did is said, because a vote that only lived in memory shows itself so.

use std::collections::BTreeMap;

use super::{Check, CheckKind};
use crate::history::{History, Seen};
use crate::names::Names;
use crate::observation::{Event, Name, Value};
use crate::table::{Key, Kind, Table};
use crate::verdict::Finding;

pub(super) const KIND: CheckKind = CheckKind {
    name: "single_leader",
    keys: &[
        Key::required("event", Kind::Event, "The event by which a node says that it leads."),
        Key::new("per", Kind::Text, "The field that holds the term: at most one leader for each of its values."),
    ],
    short: Some("event"),
    doc: "At most one node ever leads each term.",
    parse,
};

#[derive(Debug)]
struct SingleLeader {
    event: Name,
    per: Option<Name>,
}

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    let event = table.required("event", Table::text).and_then(|event| names.event(&event))?;
    let per = match table.text("per") {
        Some(per) => Some(names.field(&event, &per)?.field),
        None if table.has("per") => return None,
        None => None,
    };
    Some(Box::new(SingleLeader { event, per }))
}

/// The first occurrences of one term.
struct Term<'h> {
    first: Seen<'h, Event>,
    /// The first by another node.
    second: Option<Seen<'h, Event>>,
    /// The first by another life of the same node.
    again: Option<Seen<'h, Event>>,
}

impl Check for SingleLeader {
    fn judge(&self, history: &History) -> Finding {
        let mut terms: BTreeMap<Option<&Value>, Term<'_>> = BTreeMap::new();
        let mut without = 0_u64;
        for event in history.events(&self.event) {
            let term = self.per.as_deref().map(|per| event.what.field(per));
            if term == Some(None) {
                without += 1;
                continue;
            }
            let term = terms.entry(term.flatten()).or_insert(Term { first: event, second: None, again: None });
            if event.what.of.node != term.first.what.of.node {
                term.second.get_or_insert(event);
            } else if event.what.of != term.first.what.of {
                term.again.get_or_insert(event);
            }
        }
        self.finding(&terms, without)
    }
}

impl SingleLeader {
    fn finding(&self, terms: &BTreeMap<Option<&Value>, Term<'_>>, without: u64) -> Finding {
        let checked = terms.len() as u64;
        let split = terms.iter().filter_map(|(value, term)| Some((value, term, term.second?)));
        let violations = split.clone().count() as u64;
        if let Some((value, term, second)) = split.min_by_key(|(_, _, second)| second.number) {
            let nodes = (&term.first.what.of.node, &second.what.of.node);
            let summary = format!("{} was led by {} and by {}", self.term(*value), nodes.0, nodes.1);
            return Finding::violated(checked, violations, second.at, summary)
                .showing(term.first.number)
                .showing(second.number);
        }
        let per = self.per.as_deref().unwrap_or_default();
        if without > 0 {
            let summary = format!("{without} occurrences of {} do not tell their `{per}`", self.event);
            return Finding::unknown(checked, summary);
        }
        if terms.is_empty() {
            return Finding::never_exercised(format_args!("no {} occurred", self.event));
        }
        let mut finding = match checked {
            1 => Finding::held(1, format!("{} had one leader", self.term(terms.keys().next().copied().flatten()))),
            terms => Finding::held(terms, format!("{terms} values of {per}, each with one leader")),
        };
        let again = terms.iter().find_map(|(value, term)| Some((value, term, term.again?)));
        if let Some((value, term, again)) = again {
            let node = &again.what.of.node;
            finding.summary += &format!("; {node} led {} in two of its lives, which is one leader", self.term(*value));
            finding = finding.showing(term.first.number).showing(again.number);
        }
        finding
    }

    fn term(&self, value: Option<&Value>) -> String {
        match (&self.per, value) {
            (Some(per), Some(value)) => format!("{per} {value}"),
            _ => "the run".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stories::{Story, plausible};
    use crate::verdict::Outcome;

    fn check(per: Option<&str>) -> SingleLeader {
        SingleLeader { event: "leads".into(), per: per.map(Name::from) }
    }

    fn judged(story: &Story) -> Finding {
        check(Some("term")).judge(&story.history)
    }

    #[test]
    fn two_leaders_of_one_term_are_refused_and_of_two_terms_accepted() {
        let mut story = Story::of(&["a", "b"]);
        story.at(1).leads("a", 1).at(2).leads("b", 2);
        assert_eq!(judged(&story), Finding::held(2, "2 values of term, each with one leader"));

        story.at(3).leads("b", 1);
        let finding = judged(&story);
        assert_eq!(finding.summary, "term 1 was led by a and by b");
        assert_eq!((finding.checked, finding.violations, finding.at), (2, 1, Some(crate::stories::ms(3))));
        let shown: Vec<_> = finding.evidence.iter().map(|evidence| evidence.observation).collect();
        assert_eq!(shown, [6, 8]);
    }

    #[test]
    fn without_a_term_only_one_node_may_ever_lead() {
        let mut story = Story::of(&["a", "b"]);
        story.at(1).leads("a", 1).at(2).leads("a", 2);
        assert_eq!(check(None).judge(&story.history), Finding::held(1, "the run had one leader"));
        story.at(3).leads("b", 3);
        assert_eq!(check(None).judge(&story.history).outcome, Outcome::Violated);
    }

    #[test]
    fn a_restarted_leader_of_the_same_term_is_one_leader_and_it_is_said() {
        let mut story = Story::of(&["a", "b"]);
        story.at(1).leads("a", 1).at(2).kill("a").at(3).restart("a").at(4).leads("a", 1);
        let finding = judged(&story);
        assert_eq!(finding.outcome, Outcome::Held);
        assert_eq!(finding.summary, "term 1 had one leader; a led term 1 in two of its lives, which is one leader");
    }

    #[test]
    fn no_election_shows_nothing_and_a_missing_term_hides_something() {
        let mut story = Story::of(&["a", "b"]);
        assert_eq!(judged(&story).summary, "never exercised: no leads occurred");
        story.at(1).leads("a", 1).says("b", "leads", &[]);
        assert_eq!(judged(&story).outcome, Outcome::Unknown);
    }

    /// The definition, pair by pair.
    fn oracle(history: &History) -> bool {
        let events: Vec<_> = history.events("leads").collect();
        events.iter().all(|a| {
            events.iter().all(|b| {
                a.what.of.node == b.what.of.node || a.what.field("term").unwrap() != b.what.field("term").unwrap()
            })
        })
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition(history in plausible()) {
            let outcome = check(Some("term")).judge(&history).outcome;
            let expected = match history.events("leads").len() {
                0 => Outcome::Unknown,
                _ if oracle(&history) => Outcome::Held,
                _ => Outcome::Violated,
            };
            prop_assert_eq!(outcome, expected);
        }
    }
}
