//! `always`: every occurrence of an event passes the test of its fields.
//!
//! The universality pattern (Dwyer, Avrunin & Corbett 1999) over the occurrences of one event. Without an occurrence it shows nothing.

use super::occurrences::Occurrences;
use super::{Check, CheckKind};
use crate::history::History;
use crate::names::Names;
use crate::table::{Key, Kind, Table};
use crate::verdict::Finding;

pub(super) const KIND: CheckKind = CheckKind {
    name: "always",
    keys: &[
        Key::required("event", Kind::Event, "The event."),
        Key::required("where", Kind::Where, "What every occurrence of it must pass."),
        Key::new("from", Kind::Target, "In whose logs; \"all\" if not said."),
        Key::new("since", Kind::Text, "The step from whose beginning on; not said, in the whole run."),
        Key::new("until", Kind::Text, "The step until whose beginning; not said, to the end."),
    ],
    short: None,
    doc: "Every occurrence of an event has these values.",
    parse,
};

#[derive(Debug)]
struct Always(Occurrences);

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    let asked = table.required("where", Table::item);
    let occurrences = Occurrences::parse(table, names);
    asked.and(occurrences).map(|occurrences| Box::new(Always(occurrences)) as Box<dyn Check>)
}

impl Check for Always {
    fn judge(&self, history: &History) -> Finding {
        let Self(Occurrences { event, since, .. }) = self;
        let Some(found) = self.0.of(history) else {
            return Finding::never_exercised(format_args!("{since} never came"));
        };
        let (certain, perhaps): (Vec<_>, Vec<_>) = found.into_iter().partition(|occurrence| occurrence.is_certain);
        let checked = certain.len() as u64;
        let wrong = certain.iter().filter(|occurrence| !occurrence.is_admitted);
        let violations = wrong.clone().count() as u64;
        if let Some(first) = wrong.min_by_key(|occurrence| (occurrence.seen.at, occurrence.seen.number)) {
            let fields = first.seen.what.fields.iter().map(|(name, value)| format!("{name}={value}"));
            let fields = fields.collect::<Vec<_>>().join(" ");
            let summary = format!("{event} at {} had {fields}", first.seen.what.of.node);
            return Finding::violated(checked, violations, first.seen.at, summary).showing(first.seen.number);
        }
        if let Some(first) = perhaps.iter().find(|occurrence| !occurrence.is_admitted) {
            let summary = format!("a wrong {event} was written just before or just after {since}");
            return Finding::unknown(checked, summary).showing(first.seen.number);
        }
        if checked == 0 {
            return Finding::never_exercised(format_args!("no {} occurred", self.0));
        }
        if let Some(why) = self.0.cut(history) {
            return Finding::unknown(checked, why);
        }
        match checked {
            1 => Finding::held(1, format!("1 {event}, as it must be")),
            _ => Finding::held(checked, format!("{checked} {event}, all as they must be")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use crate::observation::StepState;
    use crate::stories::Story;
    use crate::verdict::Outcome;

    #[test]
    fn one_wrong_value_is_refused_and_only_right_ones_accepted() {
        let always = check("always = { event = 'leads', where = { term = '>= 2' } }");
        let mut story = Story::of(&["a", "b"]);
        assert_eq!(always.judge(&story.history).outcome, Outcome::Unknown);
        story.at(1).leads("a", 2);
        assert_eq!(always.judge(&story.history).outcome, Outcome::Held);
        story.at(2).leads("b", 1);
        let finding = always.judge(&story.history);
        assert_eq!((finding.summary.as_str(), finding.violations), ("leads at b had term=1", 1));
    }

    #[test]
    fn what_came_before_the_step_does_not_count_and_what_may_have_is_unknown() {
        let always = check("always = { event = 'leads', where = { term = '>= 2' }, since = 'crash' }");
        let mut story = Story::of(&["a", "b"]);
        story.at(10).leads("a", 1);
        assert_eq!(always.judge(&story.history).summary, "never exercised: the step `crash` never came");
        story.at(20).step(1, StepState::Begun).at(30).leads("b", 2);
        assert_eq!(always.judge(&story.history).outcome, Outcome::Held);
        story.at(31).early(15).leads("a", 1);
        assert_eq!(always.judge(&story.history).outcome, Outcome::Unknown);
        story.at(41).leads("a", 1);
        assert_eq!(always.judge(&story.history).outcome, Outcome::Violated);
    }

    #[test]
    fn a_node_that_never_spoke_shows_nothing_and_a_time_without_an_end_neither() {
        let mut story = Story::of(&["a", "b"]);
        story.at(1).leads("a", 2);
        let from = check("always = { event = 'leads', where = { term = 2 }, from = 'c' }");
        assert_eq!(from.judge(&story.history).summary, "never exercised: no leads from c occurred");
        let until = check("always = { event = 'leads', where = { term = 2 }, until = 'crash' }");
        assert_eq!(until.judge(&story.history).outcome, Outcome::Unknown);
        story.at(2).step(1, StepState::Begun);
        assert_eq!(until.judge(&story.history).outcome, Outcome::Held);
    }
}
