//! `agree_on`: the same key has the same value wherever it is told.
//!
//! State Machine Safety (Ongaro & Ousterhout 2014, figure 3: if a server has applied an entry at an index, no server ever applies another
//! one there) and uniform agreement in general, over any two fields of an event: index and command, sequence number and message, round
//! and decision. Lists of nodes are compared as sets. A key that one node alone tells shows nothing of agreement, and does not count as
//! looked at.

use std::collections::BTreeSet;

use super::said::{OF, Said, WHERE};
use super::{Check, CheckKind};
use crate::history::{History, Seen};
use crate::names::{FieldKind, Names};
use crate::observation::{Event, Name, Observation, Value, What};
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

/// A line with the key that it tells.
#[derive(Clone, Copy)]
struct Told<'h> {
    key: &'h Value,
    number: u64,
}

fn are_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Nodes(a), Value::Nodes(b)) => {
            a == b || a.iter().collect::<BTreeSet<_>>() == b.iter().collect::<BTreeSet<_>>()
        }
        _ => a == b,
    }
}

impl AgreeOn {
    /// The lines by key, and those of one key by number; how many there are, and how many tell no key or no value.
    ///
    /// Sorted, not kept in a map: a million keys are sorted in less time, and in less memory.
    fn by_key<'h>(&self, history: &'h History) -> (Vec<Told<'h>>, u64, u64) {
        let (mut told, mut lines) = (Vec::new(), 0);
        for seen in self.said.by_number(history) {
            lines += 1;
            if let Some(key) = seen.what.field(&self.key).filter(|_| seen.what.field(&self.value).is_some()) {
                told.push(Told { key, number: seen.number });
            }
        }
        told.sort_by(|a, b| a.key.cmp(b.key).then(a.number.cmp(&b.number)));
        let without = lines - told.len() as u64;
        (told, lines, without)
    }

    /// Of the lines of one key: the first, and the first that tells another value.
    fn split<'h>(&self, of_key: &[Told<'h>], history: &'h History) -> Option<Split<'h>> {
        let line = |told: &Told<'h>| {
            let seen = event(history, told.number)?;
            Some((seen, seen.what.field(&self.value)?))
        };
        let first = line(of_key.first()?)?;
        let other = of_key.iter().filter_map(line).find(|(_, value)| !are_same(first.1, value))?;
        Some(Split { key: of_key[0].key, first, other })
    }
}

/// Two lines of one key with two values.
struct Split<'h> {
    key: &'h Value,
    first: (Seen<'h, Event>, &'h Value),
    other: (Seen<'h, Event>, &'h Value),
}

fn event(history: &History, number: u64) -> Option<Seen<'_, Event>> {
    let Observation { number, at, what } = history.get(number)?;
    match what {
        What::Event(what) => Some(Seen { number: *number, at: *at, what }),
        _ => None,
    }
}

impl Check for AgreeOn {
    fn judge(&self, history: &History) -> Finding {
        let Self { said, key, value } = self;
        let (told, lines, without) = self.by_key(history);
        let (mut keys, mut checked, mut violations) = (0_u64, 0_u64, 0_u64);
        let mut first: Option<Split<'_>> = None;
        let node = |told: &Told<'_>| event(history, told.number).map(|seen| &seen.what.of.node);
        for of_key in told.chunk_by(|a, b| a.key == b.key) {
            keys += 1;
            let split = self.split(of_key, history);
            let is_shared = || of_key.iter().any(|told| node(told) != node(&of_key[0]));
            checked += u64::from(split.is_some() || is_shared());
            let Some(split) = split else { continue };
            violations += 1;
            let when = |split: &Split<'_>| (split.other.0.at, split.other.0.number);
            if first.as_ref().is_none_or(|first| when(&split) < when(first)) {
                first = Some(split);
            }
        }
        if let Some(Split { key: of, first: (one, a), other: (other, b) }) = first {
            let nodes = (&one.what.of.node, &other.what.of.node);
            let summary = format!("{key} {of} is {a} at {} and {b} at {}", nodes.0, nodes.1);
            let finding = Finding::violated(checked, violations, other.at, summary);
            return finding.showing(one.number).showing(other.number);
        }
        if without > 0 {
            let summary = format!("{without} of {lines} {} do not tell their `{key}` and `{value}`", said.event);
            return Finding::unknown(checked, summary);
        }
        match (checked, keys) {
            (0, 0) => Finding::never_exercised(format_args!("no {} occurred", said.event)),
            (0, _) => Finding::never_exercised(format_args!("no {key} was told by two nodes")),
            (1, _) => Finding::held(1, format!("1 {key}, with one {value} at all nodes")),
            (_, _) => Finding::held(checked, format!("{checked} values of {key}, each with one {value}")),
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
