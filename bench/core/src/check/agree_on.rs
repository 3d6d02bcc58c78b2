//! `agree_on`: the same key has the same value wherever it is told.
//!
//! State Machine Safety (Ongaro & Ousterhout 2014, figure 3: if a server has applied an entry at an index, no server ever applies another
//! one there) and uniform agreement in general, over any two fields of an event: index and command, sequence number and message, round
//! and decision. Lists of nodes are compared as sets. A key that one node alone tells shows nothing of agreement, and does not count as
//! looked at.

use std::collections::{BTreeMap, BTreeSet};

use super::said::{OF, Said, WHERE};
use super::{Check, CheckKind};
use crate::history::{History, Seen};
use crate::names::{FieldKind, Names};
use crate::observation::{Event, Name, Value};
use crate::table::{Key, Kind, Table};
use crate::verdict::Finding;

pub(super) const KIND: CheckKind = CheckKind {
    name: "agree_on",
    keys: &[
        Key::required("event", Kind::Event, "The event whose fields are compared."),
        Key::required("key", Kind::Text, "The field that says what is agreed on: an index, an id, a round."),
        Key::required("value", Kind::Text, "The field that must then be the same at all nodes."),
        OF,
        WHERE,
    ],
    short: None,
    doc: "The same key has the same value at all nodes.",
    parse,
};

#[derive(Debug)]
struct AgreeOn {
    said: Said,
    key: Name,
    value: Name,
}

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    let event = table.required("event", Table::text).and_then(|event| names.event(&event));
    let said = Said::parse(event.as_ref(), table, names);
    let field = |name| table.required(name, Table::text).zip(event.as_ref());
    let key = field("key").and_then(|(key, event)| names.field_of_kind(event, &key, FieldKind::SINGLE));
    let value = field("value").and_then(|(value, event)| names.field(event, &value));
    Some(Box::new(AgreeOn { said: said?, key: key?.field, value: value?.field }))
}

/// What was told of one key.
struct Told<'h> {
    first: Seen<'h, Event>,
    value: &'h Value,
    by_others: bool,
    /// The first that differs.
    other: Option<(Seen<'h, Event>, &'h Value)>,
}

fn are_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Nodes(a), Value::Nodes(b)) => {
            a == b || a.iter().collect::<BTreeSet<_>>() == b.iter().collect::<BTreeSet<_>>()
        }
        _ => a == b,
    }
}

impl Check for AgreeOn {
    fn judge(&self, history: &History) -> Finding {
        let Self { said, key: key_field, value: value_field } = self;
        let mut keys: BTreeMap<&Value, Told<'_>> = BTreeMap::new();
        let (mut without, mut lines) = (0_u64, 0_u64);
        for seen in said.by_number(history) {
            lines += 1;
            let (Some(key), Some(value)) = (seen.what.field(key_field), seen.what.field(value_field)) else {
                without += 1;
                continue;
            };
            let told = keys.entry(key).or_insert(Told { first: seen, value, by_others: false, other: None });
            told.by_others |= seen.what.of.node != told.first.what.of.node;
            if told.other.is_none() && !are_same(told.value, value) {
                told.other = Some((seen, value));
            }
        }
        let checked = keys.values().filter(|told| told.by_others || told.other.is_some()).count() as u64;
        let split = keys.iter().filter_map(|(key, told)| Some((key, told, told.other?)));
        let violations = split.clone().count() as u64;
        if let Some((key, told, (other, value))) = split.min_by_key(|(_, _, (other, _))| (other.at, other.number)) {
            let nodes = (&told.first.what.of.node, &other.what.of.node);
            let summary = format!("{key_field} {key} is {} at {} and {value} at {}", told.value, nodes.0, nodes.1);
            let finding = Finding::violated(checked, violations, other.at, summary);
            return finding.showing(told.first.number).showing(other.number);
        }
        if without > 0 {
            let summary =
                format!("{without} of {lines} {} do not tell their `{key_field}` and `{value_field}`", said.event);
            return Finding::unknown(checked, summary);
        }
        match (checked, keys.len()) {
            (0, 0) => Finding::never_exercised(format_args!("no {} occurred", said.event)),
            (0, _) => Finding::never_exercised(format_args!("no {key_field} was told by two nodes")),
            (1, _) => Finding::held(1, format!("1 {key_field}, with one {value_field} at all nodes")),
            (_, _) => Finding::held(checked, format!("{checked} values of {key_field}, each with one {value_field}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::check;
    use super::*;
    use crate::stories::{Story, talkative};
    use crate::verdict::Outcome;

    const APPLIED: &str = "agree_on = { event = 'applied', key = 'index', value = 'value' }";

    #[test]
    fn one_value_for_each_key_is_accepted_and_two_refused() {
        let mut story = Story::of(&["a", "b", "c"]);
        assert_eq!(check(APPLIED).judge(&story.history).summary, "never exercised: no applied occurred");
        story.at(1).applied("a", 1, "x").applied("a", 2, "y");
        assert_eq!(check(APPLIED).judge(&story.history).summary, "never exercised: no index was told by two nodes");
        story.at(2).applied("b", 1, "x");
        let finding = check(APPLIED).judge(&story.history);
        assert_eq!(finding, Finding::held(1, "1 index, with one value at all nodes"));
        story.at(3).applied("b", 2, "z").at(4).applied("c", 2, "y");
        let finding = check(APPLIED).judge(&story.history);
        assert_eq!(finding.summary, "index 2 is y at a and z at b");
        assert_eq!((finding.checked, finding.violations, finding.evidence.len()), (2, 1, 2));
    }

    #[test]
    fn a_node_that_contradicts_itself_is_refused_too() {
        let mut story = Story::of(&["a"]);
        story.at(1).applied("a", 1, "x").at(2).kill("a").at(3).restart("a").applied("a", 1, "y");
        assert_eq!(check(APPLIED).judge(&story.history).outcome, Outcome::Violated);
    }

    #[test]
    fn lists_of_nodes_are_compared_as_sets_and_a_missing_field_hides_something() {
        let views = check("agree_on = { event = 'view', key = 'id', value = 'members' }");
        let mut story = Story::of(&["a", "b"]);
        story.at(1).view("a", 1, &["a", "b"]).view("b", 1, &["b", "a"]);
        assert_eq!(views.judge(&story.history).outcome, Outcome::Held);
        story.at(2).says("a", "view", &[("id", Value::Int(1))]);
        assert_eq!(views.judge(&story.history).summary, "1 of 3 view do not tell their `id` and `members`");
        story.at(3).view("b", 1, &["b"]);
        assert_eq!(views.judge(&story.history).outcome, Outcome::Violated);
    }

    #[test]
    fn only_the_nodes_and_occurrences_that_are_meant_are_compared() {
        let some = check(
            "agree_on = { event = 'applied', key = 'index', value = 'value', of = '!c', where = { index = '>= 2' } }",
        );
        let mut story = Story::of(&["a", "b", "c"]);
        story.at(1).applied("a", 1, "x").applied("b", 1, "y").applied("a", 2, "x").applied("b", 2, "x");
        story.applied("c", 2, "z");
        assert_eq!(some.judge(&story.history).outcome, Outcome::Held);
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition(history in talkative()) {
            let finding = check(APPLIED).judge(&history);
            let lines: Vec<_> = history.events("applied").collect();
            let pairs = || lines.iter().flat_map(|a| lines.iter().map(move |b| (a.what, b.what)));
            let same_key = |a: &Event, b: &Event| a.field("index") == b.field("index");
            let is_split = pairs().any(|(a, b)| same_key(a, b) && a.field("value") != b.field("value"));
            let is_shared = pairs().any(|(a, b)| same_key(a, b) && a.of.node != b.of.node);
            let expected = match (is_split, is_shared) {
                (true, _) => Outcome::Violated,
                (false, true) => Outcome::Held,
                (false, false) => Outcome::Unknown,
            };
            prop_assert_eq!(finding.outcome, expected, "{:?}", finding);
        }
    }
}
