//! `eventually`: an event occurs within a bound of the beginning, or of a step.
//!
//! The existence pattern (Dwyer, Avrunin & Corbett, Patterns in Property Specifications for Finite-State Verification, 1999), with a bound,
//! because a run is finite. The time runs from when all nodes were ready, or from when the step `since` began. With `each`, every node of
//! the target that is live at that instant must have it, unless it goes down or is frozen before.

use std::collections::BTreeMap;
use std::time::Duration;

use super::due::{Arrival, Arrivals, BUDGET, Due, Judged, Rule, Start, Words, finding};
use super::moment::{Moment, decided_after, known_until};
use super::scope::{Scope, is_live, outlives};
use super::since::Since;
use super::spans::Spans;
use super::{Check, CheckKind};
use crate::cluster::ClusterState;
use crate::filter::Filter;
use crate::history::{History, Seen};
use crate::names::Names;
use crate::observation::{Name, What};
use crate::table::{Key, Kind, Need, Table};
use crate::time::RunTime;
use crate::verdict::Finding;

const WHO: Need = Need::AtMostOneOf("where");

pub(super) const KIND: CheckKind = CheckKind {
    name: "eventually",
    keys: &[
        Key::required("event", Kind::Event, "The event that must occur."),
        Key::new("where", Kind::Where, "Which occurrences count."),
        Key::new("from", Kind::Target, "In whose logs it counts; \"all\" if not said.").with(WHO),
        Key::new("each", Kind::Target, "At which nodes it must occur, each of them.").with(WHO),
        Key::new(
            "since",
            Kind::Text,
            "The step from whose beginning the time runs; not said, from when all nodes were ready.",
        ),
        Key::required("within", Kind::Duration, "Within what time."),
    ],
    short: None,
    doc: "An event occurs within so long of the beginning, or of a step.",
    parse,
};

#[derive(Debug)]
struct Eventually {
    event: Name,
    filter: Filter,
    from: Scope,
    each: Option<Scope>,
    since: Since,
    within: Duration,
    cluster: ClusterState,
}

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    let event = table.required("event", Table::text).and_then(|event| names.event(&event));
    let filter = event.as_ref().and_then(|event| super::filter(table, event, names));
    table.at_most_one(&["from", "each"]);
    let is_one = !(table.has("from") && table.has("each"));
    let from = Scope::parse(table, "from", names);
    let each = Scope::parse(table, "each", names);
    let since = Since::parse(table, "since", names).map(|since| since.unwrap_or(Since::Ready));
    let within = table.required("within", Table::duration);
    is_one.then_some(())?;
    Some(Box::new(Eventually {
        event: event?,
        filter: filter?,
        from: from?.unwrap_or(Scope::all()),
        each: each?,
        since: since?,
        within: within?.value,
        cluster: names.cluster(),
    }))
}

impl Eventually {
    fn judged<'h>(&self, history: &'h History, start: Start<'h>, rule: &mut Rule<'_>) -> Vec<Judged<'h>> {
        let mut state = self.cluster.clone();
        let (mut owing, mut arrivals) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
        for observation in history.judged() {
            state.observe(observation);
            if let What::Event(event) = &observation.what
                && event.name == self.event
                && self.from.admits(&event.of.node, &[], &state)
                && self.filter.admits(event, &state)
            {
                let seen = Seen { number: observation.number, at: observation.at, what: event };
                arrivals.entry(&event.of.node).or_default().push(Arrival::of(&seen));
            }
            if observation.number == start.number {
                let owes = |node: &&Name| {
                    is_live(node, &state) && self.each.as_ref().is_some_and(|each| each.admits(node, &[], &state))
                };
                owing = history.nodes().filter(owes).collect();
            }
        }
        if self.each.is_none() {
            let due = rule.judge(&start, &Arrivals::new(arrivals.into_values().flatten().collect()));
            return vec![Judged { start, due, node: None }];
        }
        let judge = |node: &'h Name| {
            let due = rule.judge(&start, &Arrivals::new(arrivals.remove(node).unwrap_or_default()));
            let owes =
                matches!(due, Due::Met { .. }) || outlives(history, node, start.when.latest, rule.elapses(&start));
            owes.then_some(Judged { start, due, node: Some(node) })
        };
        owing.into_iter().filter_map(judge).collect()
    }
}

impl Check for Eventually {
    fn judge(&self, history: &History) -> Finding {
        let Some((number, at)) = self.since.instant(history) else {
            return Finding::never_exercised(format_args!("{} never came", self.since));
        };
        let start = Start { number, when: Moment::exact(at), source: None };
        let stalls = Spans::stalls(history);
        let mut rule = Rule { limit: self.within, stalls: &stalls, known_until: known_until(history), budget: BUDGET };
        let judged = self.judged(history, start, &mut rule);
        let words = Words { from: &self.since.to_string(), until: &self.event };
        finding(&judged, &rule, words)
    }

    fn open_until(&self, history: &History) -> Option<RunTime> {
        let (number, at) = self.since.instant(history)?;
        let start = Start { number, when: Moment::exact(at), source: None };
        let stalls = Spans::stalls(history);
        let mut rule = Rule { limit: self.within, stalls: &stalls, known_until: known_until(history), budget: BUDGET };
        let judged = self.judged(history, start, &mut rule);
        let is_open = judged.iter().any(|judged| matches!(judged.due, Due::Cut { .. }));
        is_open.then(|| decided_after(rule.elapses(&start)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use crate::observation::StepState;
    use crate::stories::Story;
    use crate::verdict::Outcome;

    #[test]
    fn an_event_in_time_is_accepted_and_silence_refused() {
        let check = check("eventually = { event = 'leads', within = '2s' }");
        let mut story = Story::of(&["a"]);
        let mut silent = story.clone();
        story.at(2000).leads("a", 1).at(3000).end();
        assert_eq!(check.judge(&story.history).summary, "worst 2.00s of 2s");
        assert!(check.open_until(&silent.history).is_some());
        assert_eq!(check.judge(&silent.at(2101).end().history).summary, "no leads within 2s of the nodes being ready");
    }

    #[test]
    fn each_node_that_is_alive_at_the_step_must_have_it() {
        let check = check("eventually = { event = 'follows', each = 'all', since = 'crash', within = '2s' }");
        let mut story = Story::of(&["a", "b", "c"]);
        story.at(500).follows("b", "a").at(1000);
        assert_eq!(check.judge(&story.history).summary, "never exercised: the step `crash` never came");
        story.kill("c").step(1, StepState::Begun).at(1500).follows("a", "b").at(2500);
        let mut story = story.clone();
        assert_eq!(check.judge(&story.history).outcome, Outcome::Unknown);
        story.at(3101).end();
        assert_eq!(check.judge(&story.history).summary, "no follows at b within 2s of the step `crash`");
    }

    #[test]
    fn only_the_logs_that_are_meant_count() {
        let check = check("eventually = { event = 'leads', from = ['a', 'b'], where = { term = 2 }, within = '2s' }");
        let mut story = Story::of(&["a", "b", "c"]);
        story.at(100).leads("c", 2).at(200).leads("a", 1);
        let mut other = story.clone();
        assert_eq!(check.judge(&story.at(300).leads("b", 2).history).outcome, Outcome::Held);
        assert_eq!(check.judge(&other.at(3000).end().history).outcome, Outcome::Violated);
    }
}
