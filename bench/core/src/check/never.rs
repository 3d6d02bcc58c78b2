//! `never`: an event does not occur.
//!
//! The absence pattern (Dwyer, Avrunin & Corbett 1999). It is applied to every node that is meant and ran in the time that is meant; without
//! one it shows nothing, and nor does a time whose end never came.

use super::occurrences::Occurrences;
use super::{Check, CheckKind};
use crate::history::History;
use crate::names::Names;
use crate::table::{Key, Kind, Table};
use crate::verdict::Finding;

pub(super) const KIND: CheckKind = CheckKind {
    name: "never",
    keys: &[
        Key::required("event", Kind::Event, "The event."),
        Key::new("where", Kind::Where, "Which occurrences of it are meant."),
        Key::new("from", Kind::Target, "In whose logs; \"all\" if not said."),
        Key::new("since", Kind::Text, "The step from whose beginning on; not said, in the whole run."),
        Key::new("until", Kind::Text, "The step until whose beginning; not said, to the end."),
    ],
    short: Some("event"),
    doc: "An event does not occur.",
    parse,
};

#[derive(Debug)]
struct Never(Occurrences);

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    Occurrences::parse(table, names).map(|occurrences| Box::new(Never(occurrences)) as Box<dyn Check>)
}

impl Check for Never {
    fn judge(&self, history: &History) -> Finding {
        let Self(Occurrences { event, since, .. }) = self;
        let Some(mut found) = self.0.of(history) else {
            return Finding::never_exercised(format_args!("{since} never came"));
        };
        found.retain(|occurrence| occurrence.is_admitted);
        let checked = self.0.nodes(history);
        let certain = found.iter().filter(|occurrence| occurrence.is_certain);
        let violations = certain.clone().count() as u64;
        if let Some(first) = certain.min_by_key(|occurrence| (occurrence.seen.at, occurrence.seen.number)) {
            let summary = format!("{event} at {}", first.seen.what.of.node);
            return Finding::violated(checked, violations, first.seen.at, summary).showing(first.seen.number);
        }
        if let Some(first) = found.first() {
            let until = self.0.until.as_ref().map(|until| format!(", or {until}")).unwrap_or_default();
            let summary = format!("{event} was written just before or just after {since}{until}");
            return Finding::unknown(checked, summary).showing(first.seen.number);
        }
        if checked == 0 {
            return Finding::never_exercised(self.0.nobody());
        }
        if let Some(why) = self.0.cut(history) {
            return Finding::unknown(checked, why);
        }
        match checked {
            1 => Finding::held(1, format!("no {event} at 1 node")),
            _ => Finding::held(checked, format!("no {event} at {checked} nodes")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use crate::history::History;
    use crate::observation::StepState;
    use crate::stories::Story;
    use crate::verdict::Outcome;

    #[test]
    fn one_occurrence_is_refused_and_silence_of_a_node_that_ran_accepted() {
        let never = check("never = 'leads'");
        assert_eq!(never.judge(&History::default()).outcome, Outcome::Unknown);
        let mut story = Story::of(&["a", "b"]);
        assert_eq!(never.judge(&story.history).summary, "no leads at 2 nodes");
        story.at(1).leads("b", 1);
        assert_eq!(never.judge(&story.history).summary, "leads at b");
    }

    #[test]
    fn only_the_occurrences_that_are_meant_count() {
        let never = check("never = { event = 'leads', where = { term = '< 2' }, from = '!killed' }");
        let mut story = Story::of(&["a", "b"]);
        story.at(1).leads("a", 2).at(2).kill("b").at(3).leads("b", 1);
        assert_eq!(never.judge(&story.history).outcome, Outcome::Held);
        story.at(4).leads("a", 1);
        assert_eq!(never.judge(&story.history).outcome, Outcome::Violated);
    }

    #[test]
    fn only_what_lies_between_two_steps_counts() {
        let never = check("never = { event = 'leads', since = 'crash', until = 'return' }");
        let begun = |story: &mut Story, step| _ = story.step(step, StepState::Begun);
        let mut story = Story::of(&["a"]);
        story.at(1).leads("a", 1).at(2);
        begun(&mut story, 1);
        story.at(3);
        begun(&mut story, 2);
        story.at(4).leads("a", 2);
        assert_eq!(never.judge(&story.history).outcome, Outcome::Held);
        let mut story = Story::of(&["a"]);
        story.at(1);
        begun(&mut story, 1);
        story.at(2).leads("a", 1).at(3);
        begun(&mut story, 2);
        assert_eq!(never.judge(&story.history).outcome, Outcome::Violated);
    }

    #[test]
    fn a_role_is_who_holds_it_at_that_moment() {
        let never = check("never = { event = 'stepped_down', from = '!leader' }");
        let mut story = Story::of(&["a", "b"]);
        story.at(1).leads("a", 1).at(2).says("a", "stepped_down", &[]);
        assert_eq!(never.judge(&story.history).outcome, Outcome::Held);
        story.at(3).leads("b", 2).at(4).says("a", "stepped_down", &[]);
        assert_eq!(never.judge(&story.history).summary, "stepped_down at a");
    }

    #[test]
    fn silence_of_a_node_that_never_ran_shows_nothing() {
        let never = check("never = { event = 'leads', from = 'c' }");
        let mut story = Story::of(&["a", "b"]);
        let finding = never.judge(&story.history);
        assert_eq!(
            (finding.outcome, finding.summary.as_str()),
            (Outcome::Unknown, "never exercised: no node of c ran")
        );
        assert_eq!(check("never = { event = 'leads', from = '!a' }").judge(&story.history).checked, 1);
        // Who was down all the time that is meant was not looked at either; who came back in it was.
        let later = check("never = { event = 'leads', from = 'a', since = 'crash' }");
        story.at(1).kill("a").at(2).step(1, StepState::Begun);
        assert_eq!(later.judge(&story.history).summary, "never exercised: no node of a ran in that time");
        story.at(3).restart("a");
        assert_eq!(later.judge(&story.history).summary, "no leads at 1 node");
    }

    #[test]
    fn a_time_whose_end_never_came_is_unknown_and_what_was_seen_in_it_counts() {
        let never = check("never = { event = 'leads', since = 'crash', until = 'return' }");
        let mut story = Story::of(&["a"]);
        story.at(1).step(1, StepState::Begun).at(2);
        let finding = never.judge(&story.history);
        assert_eq!((finding.outcome, finding.checked), (Outcome::Unknown, 1));
        assert_eq!(finding.summary, "the step `return` never came, so it is only known up to the end of the run");
        story.leads("a", 1);
        assert_eq!(never.judge(&story.history).outcome, Outcome::Violated);
    }
}
