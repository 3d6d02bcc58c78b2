//! `monotonic`: a field never goes down.
//!
//! Local monotonicity, as of view identifiers (Chockler, Keidar & Vitenberg, Group Communication Specifications: A Comprehensive Study,
//! 2001) or of a server's current term (Ongaro & Ousterhout 2014, figure 2). Each process has one sequence, in the order in which it wrote
//! its lines. `per = "node"` continues it after a restart, which what lies on a disk must bear; with `per = "life"` a restarted process
//! begins anew. With `key` only values beside the same key are compared: a sequence number for each sender.

use super::ascent::{Ascent, Course, Fall, Told, is_number};
use super::said::{OF, Said, WHERE};
use super::{Check, CheckKind};
use crate::history::{History, Seen};
use crate::names::{FieldKind, Names};
use crate::observation::{Event, Name, Value};
use crate::table::{Key, Kind, Table};
use crate::verdict::Finding;

pub(super) const KIND: CheckKind = CheckKind {
    name: "monotonic",
    keys: &[
        Key::required("event", Kind::Event, "The event whose field is looked at."),
        Key::required("field", Kind::Text, "The field, an int or a float, whose value never goes down."),
        Key::new("key", Kind::Text, "A field: only values beside the same value of it are compared."),
        Key::new(
            "per",
            Kind::OneOf(&["node", "life"]),
            "\"node\": over restarts too (as if not said); \"life\": a restarted process begins anew.",
        ),
        Key::new("strictly", Kind::Bool, "True: the same value again is wrong too; false if not said."),
        OF,
        WHERE,
    ],
    short: None,
    doc: "A field of an event never goes down at a node.",
    parse,
};

#[derive(Debug)]
struct Monotonic {
    said: Said,
    field: Name,
    key: Option<Name>,
    ascent: Ascent,
}

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    let event = table.required("event", Table::text).and_then(|event| names.event(&event));
    let said = Said::parse(event.as_ref(), table, names);
    let field = table.required("field", Table::text);
    let numbers = &[FieldKind::Int, FieldKind::Float];
    let field = event.as_ref().zip(field).and_then(|(event, field)| names.field_of_kind(event, &field, numbers));
    let key = super::optional(table, "key", |key| names.field(event.as_ref()?, &key.text()?));
    let over_lives = super::optional(table, "per", |_| Some(table.word("per")?.value == "node"));
    let strictly = super::optional(table, "strictly", |_| Some(table.boolean("strictly")?.value));
    let ascent = Ascent { strictly: strictly?.unwrap_or(false), over_lives: over_lives?.unwrap_or(true) };
    Some(Box::new(Monotonic { said: said?, field: field?.field, key: key?.map(|key| key.field), ascent }))
}

/// What tells one sequence from another: the node, the process, the key.
type Sequence<'h> = (&'h Name, &'h Name, Option<&'h Value>);

impl Monotonic {
    /// The number that a line tells, and of which sequence; none if it tells none (or no key, if one is asked for).
    fn told<'h>(&self, seen: Seen<'h, Event>) -> Option<(Sequence<'h>, Told<'h>)> {
        let of = &seen.what.of;
        let value = seen.what.field(&self.field).filter(|value| is_number(value))?;
        let key = match &self.key {
            Some(key) => Some(seen.what.field(key)?),
            None => None,
        };
        Some(((&of.node, &of.process, key), Told { seen, value }))
    }

    fn violation(&self, course: &Course<'_>) -> Option<Finding> {
        let Fall { from, to } = course.first?;
        let node = &to.seen.what.of.node;
        let key = self.key.as_ref().and_then(|key| Some(format!(" of {key} {}", to.seen.what.field(key)?)));
        let key = key.unwrap_or_default();
        let fell = if from.value == to.value {
            format!("is {} again", to.value)
        } else {
            format!("goes down from {} to {}", from.value, to.value)
        };
        let restarted = if from.seen.what.of == to.seen.what.of { "" } else { " after a restart" };
        let summary = format!("{}{key} at {node} {fell}{restarted}", self.field);
        let finding = Finding::violated(course.compared, course.falls, to.seen.at, summary);
        Some(finding.showing(from.seen.number).showing(to.seen.number))
    }
}

impl Check for Monotonic {
    fn judge(&self, history: &History) -> Finding {
        let lines = self.said.by_number(history);
        let course = self.ascent.course(lines.clone().filter_map(|seen| self.told(seen)));
        if let Some(violation) = self.violation(&course) {
            return violation;
        }
        let (compared, event, field) = (course.compared, &self.said.event, &self.field);
        let (all, without) =
            lines.fold((0, 0), |(all, without), seen| (all + 1, without + u64::from(self.told(seen).is_none())));
        if without > 0 {
            let what = self.key.as_ref().map(|key| format!(" and their `{key}`")).unwrap_or_default();
            let summary = format!("{without} of {all} {event} do not tell their `{field}` as a number{what}");
            return Finding::unknown(compared, summary);
        }
        if let Some(Fall { from, to }) = course.perhaps {
            let node = &to.seen.what.of.node;
            let summary = format!(
                "{field} at {node} is {} and {} on two streams, and which was first is not sure enough",
                from.value, to.value
            );
            return Finding::unknown(compared, summary).showing(from.seen.number).showing(to.seen.number);
        }
        match compared {
            0 if all == 0 => Finding::never_exercised(format_args!("no {event} occurred")),
            0 => Finding::never_exercised(format_args!("no two values of {field} to compare")),
            1 => Finding::held(1, format!("1 {field}, not below the one before")),
            _ => Finding::held(compared, format!("{compared} values of {field}, none below one before it")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::check;
    use super::*;
    use crate::stories::{Story, placements, talkative, talkative_within};
    use crate::verdict::Outcome;

    fn judged(text: &str, story: &Story) -> Finding {
        check(text).judge(&story.history)
    }

    const INDEX: &str = "monotonic = { event = 'applied', field = 'index' }";
    const STRICTLY: &str = "monotonic = { event = 'applied', field = 'index', strictly = true }";
    const PER_LIFE: &str = "monotonic = { event = 'applied', field = 'index', per = 'life' }";

    #[test]
    fn values_that_stay_or_rise_are_accepted_and_one_that_goes_down_refused() {
        let mut story = Story::of(&["a", "b"]);
        assert_eq!(judged(INDEX, &story).summary, "never exercised: no applied occurred");
        story.at(1).applied("a", 5, "x").applied("b", 1, "x");
        assert_eq!(judged(INDEX, &story).summary, "never exercised: no two values of index to compare");
        story.at(2).applied("a", 5, "x").at(3).applied("a", 6, "y");
        assert_eq!(judged(INDEX, &story), Finding::held(2, "2 values of index, none below one before it"));
        story.at(4).applied("a", 4, "z").applied("a", 5, "z");
        let finding = judged(INDEX, &story);
        assert_eq!(finding.summary, "index at a goes down from 6 to 4");
        assert_eq!((finding.violations, finding.at), (2, Some(crate::stories::ms(4))));
    }

    #[test]
    fn strictly_the_same_value_again_is_refused() {
        let mut story = Story::of(&["a"]);
        story.at(1).applied("a", 5, "x").at(2).applied("a", 5, "x");
        assert_eq!(judged(INDEX, &story).outcome, Outcome::Held);
        assert_eq!(judged(STRICTLY, &story).summary, "index at a is 5 again");
    }

    #[test]
    fn a_restart_continues_the_sequence_unless_each_life_has_its_own() {
        let mut story = Story::of(&["a"]);
        story.at(1).applied("a", 5, "x").at(2).kill("a").at(3).restart("a").at(4).applied("a", 1, "x");
        assert_eq!(judged(INDEX, &story).summary, "index at a goes down from 5 to 1 after a restart");
        assert_eq!(judged(PER_LIFE, &story).summary, "never exercised: no two values of index to compare");
        story.at(5).applied("a", 2, "x");
        assert_eq!(judged(PER_LIFE, &story).outcome, Outcome::Held);
    }

    #[test]
    fn only_values_beside_the_same_key_are_compared() {
        let keyed = "monotonic = { event = 'applied', field = 'index', key = 'value' }";
        let mut story = Story::of(&["a"]);
        story.at(1).applied("a", 5, "x").at(2).applied("a", 1, "y").at(3).applied("a", 6, "x");
        assert_eq!(judged(keyed, &story).outcome, Outcome::Held);
        story.at(4).applied("a", 4, "x");
        assert_eq!(judged(keyed, &story).summary, "index of value x at a goes down from 6 to 4");
    }

    #[test]
    fn what_is_no_number_hides_something() {
        let mut story = Story::of(&["a"]);
        story.at(1).applied("a", 5, "x").says("a", "applied", &[("index", Value::Text("many".into()))]);
        let finding = judged(INDEX, &story);
        assert_eq!(finding.summary, "1 of 2 applied do not tell their `index` as a number");
        assert_eq!(finding.outcome, Outcome::Unknown);
    }

    #[test]
    fn of_two_streams_the_order_is_only_known_as_far_as_the_times_are() {
        let mut story = Story::of(&["a"]);
        story.at(10).applied("a", 5, "x").at(12).early(5).on_stderr().applied("a", 4, "x");
        let finding = judged(INDEX, &story);
        assert_eq!(finding.outcome, Outcome::Unknown);
        assert_eq!(finding.summary, "index at a is 5 and 4 on two streams, and which was first is not sure enough");
        story.at(20).early(5).applied("a", 4, "x");
        assert_eq!(judged(INDEX, &story).outcome, Outcome::Violated);
        let mut equal = Story::of(&["a"]);
        equal.at(10).applied("a", 5, "x").at(12).early(5).on_stderr().applied("a", 5, "x");
        assert_eq!(judged(STRICTLY, &equal).outcome, Outcome::Violated);
    }

    /// The definition for one order of the lines: is any value below an earlier one of its sequence?
    fn falls(history: &History, way: &[u64], strictly: bool, over_lives: bool) -> bool {
        let lines: Vec<_> = history.events("applied").collect();
        let index = |seen: &Seen<'_, Event>| match seen.what.field("index") {
            Some(Value::Int(index)) => *index,
            _ => unreachable!("stories tell it"),
        };
        let is_before = |a: &Seen<'_, Event>, b: &Seen<'_, Event>| {
            (a.what.of.life, way[a.number as usize], a.number) < (b.what.of.life, way[b.number as usize], b.number)
        };
        lines.iter().any(|a| {
            lines.iter().any(|b| {
                let compared = a.what.of.node == b.what.of.node && (over_lives || a.what.of == b.what.of);
                let is_low = index(b) < index(a) || strictly && index(b) == index(a);
                compared && is_before(a, b) && is_low
            })
        })
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition(history in talkative(), strictly in any::<bool>(), over_lives in any::<bool>()) {
            let per = if over_lives { "node" } else { "life" };
            let check = check(&format!("monotonic = {{ event = 'applied', field = 'index', per = '{per}', strictly = {strictly} }}"));
            let finding = check.judge(&history);
            let way: Vec<_> = history.observations().iter().map(|seen| seen.number).collect();
            let expected = match falls(&history, &way, strictly, over_lives) {
                true => Outcome::Violated,
                false if finding.checked == 0 => Outcome::Unknown,
                false => Outcome::Held,
            };
            prop_assert_eq!(finding.outcome, expected, "{:?}", finding);
        }

                #[test]
        fn what_it_decides_of_two_streams_is_so_however_the_lines_were_written(
            history in talkative_within(6, 4, 8), stderr in prop::collection::vec(any::<bool>(), 16), strictly in any::<bool>(),
        ) {
            let history = crate::stories::on_streams(&history, &stderr);
            let check = check(&format!("monotonic = {{ event = 'applied', field = 'index', strictly = {strictly} }}"));
            let outcome = check.judge(&history).outcome;
            let ways = placements(&history);
            prop_assume!(ways.len() < 300);
            let found: Vec<_> = ways.iter().map(|way| falls(&history, way, strictly, true)).collect();
            prop_assert!(outcome != Outcome::Held || found.iter().all(|falls| !falls));
            prop_assert!(outcome != Outcome::Violated || found.iter().all(|falls| *falls));
        }
    }
}
