//! `unique`: no value of a field occurs twice.
//!
//! Unique identifiers: what a generator of ids promises (Jepsen's unique-ids workload), or at each node alone that nothing is done twice.
//! Values are compared wherever they were told: in the whole cluster, at each node over its restarts, or in each life of a process. Where
//! there were no two values to compare it shows nothing.

use std::collections::BTreeSet;

use super::said::{OF, Said, WHERE};
use super::{Check, CheckKind};
use crate::history::{History, Seen};
use crate::names::{FieldKind, Names};
use crate::observation::{Event, Life, Name, Value};
use crate::table::{Key, Kind, Table};
use crate::verdict::Finding;

pub(super) const KIND: CheckKind = CheckKind {
    name: "unique",
    keys: &[
        Key::required("field", Kind::EventField, "The event and its field whose values are all different."),
        Key::new(
            "per",
            Kind::OneOf(&["cluster", "node", "life"]),
            "Where a value occurs once: in the whole \"cluster\" (as if not said), at each \"node\", or in each \"life\" of a process.",
        ),
        OF,
        WHERE,
    ],
    short: Some("field"),
    doc: "No value of a field occurs twice.",
    parse,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Per {
    Cluster,
    Node,
    Life,
}

#[derive(Debug)]
struct Unique {
    said: Said,
    field: Name,
    per: Per,
}

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    let field = table.required("field", Table::text);
    let field = field.and_then(|field| names.event_field_of_kind(&field, FieldKind::SINGLE));
    let said = Said::parse(field.as_ref().map(|field| &field.event), table, names);
    let per = super::optional(table, "per", |_| {
        Some(match table.word("per")?.value {
            "node" => Per::Node,
            "life" => Per::Life,
            _ => Per::Cluster,
        })
    });
    Some(Box::new(Unique { said: said?, field: field?.field, per: per?.unwrap_or(Per::Cluster) }))
}

/// Where a value occurs once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place<'h> {
    Cluster,
    Node(&'h Name),
    Life(&'h Life),
}

impl Unique {
    fn place<'h>(&self, event: &'h Event) -> Place<'h> {
        match self.per {
            Per::Cluster => Place::Cluster,
            Per::Node => Place::Node(&event.of.node),
            Per::Life => Place::Life(&event.of),
        }
    }
}

impl Check for Unique {
    fn judge(&self, history: &History) -> Finding {
        let Self { said, field, .. } = self;
        let mut lines = 0_u64;
        let mut told: Vec<(&Value, Seen<'_, Event>)> = Vec::new();
        for seen in said.by_number(history) {
            lines += 1;
            told.extend(seen.what.field(field).map(|value| (value, seen)));
        }
        let without = lines - told.len() as u64;
        let places: BTreeSet<Place<'_>> = told.iter().map(|(_, seen)| self.place(seen.what)).collect();
        // Of each place the first value had nothing to differ from.
        let checked = if told.len() > places.len() { told.len() as u64 } else { 0 };

        // Sorted, not kept in a map: a million values are sorted in less time, and in less memory.
        told.sort_by(|a, b| {
            a.0.cmp(b.0).then_with(|| self.place(a.1.what).cmp(&self.place(b.1.what))).then(a.1.number.cmp(&b.1.number))
        });
        let groups = told.chunk_by(|a, b| a.0 == b.0 && self.place(a.1.what) == self.place(b.1.what));
        let again = groups.clone().filter_map(|group| Some((group.first()?.1, group.get(1)?.1)));
        if let Some((before, again)) = again.min_by_key(|(_, again)| (again.at, again.number)) {
            let violations = groups.map(|group| group.len() as u64 - 1).sum();
            let value = again.what.field(field).map(ToString::to_string).unwrap_or_default();
            let (old, new) = (&before.what.of.node, &again.what.of.node);
            let at = if old == new { format!("twice at {old}") } else { format!("at {old} and at {new}") };
            let finding = Finding::violated(checked, violations, again.at, format!("{field} {value} {at}"));
            return finding.showing(before.number).showing(again.number);
        }
        if without > 0 {
            let summary = format!("{without} of {lines} {} do not tell their `{field}`", said.event);
            return Finding::unknown(checked, summary);
        }
        match (checked, told.len()) {
            (0, 0) => Finding::never_exercised(format_args!("no {} occurred", said.event)),
            (0, _) => Finding::never_exercised(format_args!("no two values of {field} to compare")),
            (_, _) => Finding::held(checked, format!("{checked} values of {field}, all different")),
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

    fn judged(per: &str, history: &History) -> Finding {
        check(&format!("unique = {{ field = 'applied.index', per = '{per}' }}")).judge(history)
    }

    #[test]
    fn different_values_are_accepted_and_one_that_comes_again_refused() {
        let unique = check("unique = 'applied.index'");
        let mut story = Story::of(&["a", "b"]);
        assert_eq!(unique.judge(&story.history).summary, "never exercised: no applied occurred");
        story.at(1).applied("a", 1, "x");
        assert_eq!(unique.judge(&story.history).summary, "never exercised: no two values of index to compare");
        story.at(2).applied("b", 2, "x");
        assert_eq!(unique.judge(&story.history), Finding::held(2, "2 values of index, all different"));
        story.at(3).applied("b", 1, "y");
        let finding = unique.judge(&story.history);
        assert_eq!(finding.summary, "index 1 at a and at b");
        assert_eq!((finding.violations, finding.at), (1, Some(crate::stories::ms(3))));
    }

    #[test]
    fn per_node_and_per_life_the_same_value_may_occur_elsewhere() {
        let mut story = Story::of(&["a", "b"]);
        story.at(1).applied("a", 1, "x").applied("b", 1, "x").applied("a", 2, "x");
        assert_eq!(judged("cluster", &story.history).outcome, Outcome::Violated);
        assert_eq!(judged("node", &story.history).outcome, Outcome::Held);
        story.at(2).kill("a").at(3).restart("a").at(4).applied("a", 1, "x");
        assert_eq!(judged("node", &story.history).summary, "index 1 twice at a");
        assert_eq!(judged("life", &story.history).outcome, Outcome::Held);
    }

    #[test]
    fn a_line_that_does_not_tell_its_value_hides_something() {
        let mut story = Story::of(&["a"]);
        story.at(1).applied("a", 1, "x").applied("a", 2, "x").says("a", "applied", &[]);
        assert_eq!(judged("cluster", &story.history).summary, "1 of 3 applied do not tell their `index`");
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition(history in talkative(), per in prop::sample::select(vec!["cluster", "node", "life"])) {
            let finding = judged(per, &history);
            let lines: Vec<_> = history.events("applied").collect();
            let share_place = |a: &Event, b: &Event| match per {
                "cluster" => true,
                "node" => a.of.node == b.of.node,
                _ => a.of == b.of,
            };
            let pairs = lines.iter().enumerate().flat_map(|(i, a)| lines[..i].iter().map(move |b| (a.what, b.what)));
            let compared: Vec<_> = pairs.filter(|(a, b)| share_place(a, b)).collect();
            let expected = match compared.iter().any(|(a, b)| a.field("index") == b.field("index")) {
                true => Outcome::Violated,
                false if compared.is_empty() => Outcome::Unknown,
                false => Outcome::Held,
            };
            prop_assert_eq!(finding.outcome, expected, "{:?}", finding);
        }
    }
}
