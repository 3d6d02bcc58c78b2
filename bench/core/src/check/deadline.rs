//! `deadline`: after each `from`, `until` occurs within `limit`.
//!
//! Bounded response (the response pattern of Dwyer, Avrunin & Corbett 1999, with a bound on time as in metric temporal logic). Each `from` has its own
//! deadline, and one `until` may meet several. With `each` it must occur at every node of the target that is live at that moment; a node
//! that goes down or is frozen before it answered owes nothing any more. `fault` means every kind of fault; resume, restart and start
//! are none.

use std::collections::BTreeMap;
use std::time::Duration;

use super::due::{Arrival, Arrivals, BUDGET, Due, Judged, Rule, Start, Words, finding};
use super::moment::{Moment, decided_after, known_until};
use super::scope::{Scope, is_live, outlives};
use super::spans::Spans;
use super::trigger::Trigger;
use super::{Check, CheckKind};
use crate::cluster::ClusterState;
use crate::filter::Filter;
use crate::history::{History, Seen};
use crate::names::Names;
use crate::observation::{Action, ActionVerb, Event, Name, Observation, What};
use crate::table::{Key, Kind, Table};
use crate::time::RunTime;
use crate::verdict::Finding;

pub(super) const KIND: CheckKind = CheckKind {
    name: "deadline",
    keys: &[
        Key::required(
            "from",
            Kind::Texts,
            "Events or faults (`fault.kill`; `fault` for any) from which the time runs.",
        ),
        Key::required("until", Kind::Event, "The event that must follow."),
        Key::new("where", Kind::Where, "Which occurrences of `until` count."),
        Key::new(
            "each",
            Kind::Target,
            "At which nodes it must follow, each of them; `!target` are those that the fault did not hit.",
        ),
        Key::required("limit", Kind::Duration, "Within what time."),
    ],
    short: None,
    doc: "After each event or fault, another event follows within so long.",
    parse,
};

#[derive(Debug)]
struct Deadline {
    from: Vec<Trigger>,
    until: Name,
    filter: Filter,
    each: Option<Scope>,
    limit: Duration,
    cluster: ClusterState,
}

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    let from = Trigger::parse_all(table, "from", names);
    let until = table.required("until", Table::text).and_then(|event| names.event(&event));
    let filter = until.as_ref().and_then(|until| super::filter(table, until, names));
    let each = Scope::parse_beside_fault(table, "each", names);
    let limit = table.required("limit", Table::duration);
    Some(Box::new(Deadline {
        from: from?,
        until: until?,
        filter: filter?,
        each: each?,
        limit: limit?.value,
        cluster: names.cluster(),
    }))
}

/// A start, and the nodes at which an answer is due; none if any node will do.
struct Obligation<'h> {
    start: Start<'h>,
    nodes: Option<Vec<&'h Name>>,
}

impl Deadline {
    fn starts_at_event(&self, event: &Event) -> bool {
        self.from.iter().any(|from| matches!(from, Trigger::Event(name) if *name == event.name))
    }

    fn starts_at_fault(&self, action: &Action) -> bool {
        let is_meant = |kind: Option<ActionVerb>| kind.is_none_or(|kind| kind == action.verb);
        // A fault that hit nothing is no fault; that it hit nothing is told with the verdict.
        action.verb.is_fault()
            && !action.setup
            && action.has_hit()
            && self.from.iter().any(|from| matches!(from, Trigger::Fault(kind) if is_meant(*kind)))
    }

    /// The nodes that owe an answer to a start which the state has taken in.
    fn nodes<'h>(&self, history: &'h History, hit: &[Name], state: &ClusterState) -> Option<Vec<&'h Name>> {
        let each = self.each.as_ref()?;
        let owes = |node: &&Name| is_live(node, state) && each.admits(node, hit, state);
        Some(history.nodes().filter(owes).collect())
    }

    /// Everything that starts a bound, and everything that may end one by node.
    fn collect<'h>(&self, history: &'h History) -> (Vec<Obligation<'h>>, BTreeMap<&'h Name, Vec<Arrival<'h>>>) {
        let mut state = self.cluster.clone();
        let (mut obligations, mut arrivals) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
        for observation in history.judged() {
            let Observation { number, at, what } = observation;
            let (number, at) = (*number, *at);
            state.observe(observation);
            match what {
                What::Event(event) => {
                    let seen = Seen { number, at, what: event };
                    if self.starts_at_event(event) {
                        let source = Some(event.source());
                        let start = Start { number, when: Moment::of(&seen), source };
                        let nodes = self.nodes(history, std::slice::from_ref(&event.of.node), &state);
                        obligations.push(Obligation { start, nodes });
                    }
                    if event.name == self.until && self.filter.admits(event, &state) {
                        arrivals.entry(&event.of.node).or_default().push(Arrival::of(&seen));
                    }
                }
                What::Action(action) if self.starts_at_fault(action) => {
                    let start = Start { number, when: Moment::exact(at), source: None };
                    let nodes = self.nodes(history, &action.nodes, &state);
                    obligations.push(Obligation { start, nodes });
                }
                _ => {}
            }
        }
        (obligations, arrivals)
    }

    fn judged<'h>(&self, history: &'h History, rule: &mut Rule<'_>) -> Vec<Judged<'h>> {
        let (obligations, arrivals) = self.collect(history);
        let mut judged = Vec::new();
        if self.each.is_none() {
            let arrivals = Arrivals::new(arrivals.into_values().flatten().collect());
            let due = obligations.iter().map(|Obligation { start, .. }| (*start, rule.judge(start, &arrivals)));
            judged.extend(due.map(|(start, due)| Judged { start, due, node: None }));
            return judged;
        }
        let arrivals: BTreeMap<_, _> = arrivals.into_iter().map(|(node, list)| (node, Arrivals::new(list))).collect();
        let silence = Arrivals::default();
        for Obligation { start, nodes } in &obligations {
            for &node in nodes.iter().flatten() {
                let due = rule.judge(start, arrivals.get(node).unwrap_or(&silence));
                let is_met = matches!(due, Due::Met { .. });
                if is_met || outlives(history, node, start.when.latest, rule.elapses(start)) {
                    judged.push(Judged { start: *start, due, node: Some(node) });
                }
            }
        }
        judged
    }

    fn from(&self) -> String {
        self.from.iter().map(Trigger::name).collect::<Vec<_>>().join(" or ")
    }
}

impl Check for Deadline {
    fn judge(&self, history: &History) -> Finding {
        let stalls = Spans::stalls(history);
        let mut rule = Rule { limit: self.limit, stalls: &stalls, known_until: known_until(history), budget: BUDGET };
        let judged = self.judged(history, &mut rule);
        let from = self.from();
        if judged.is_empty() {
            let started = self.collect(history).0.len();
            return match started {
                0 => Finding::never_exercised(format_args!("no {from} happened")),
                _ => Finding::never_exercised(format_args!("no node had to answer to {from}")),
            };
        }
        finding(&judged, &rule, Words { from: &from, until: &self.until })
    }

    fn open_until(&self, history: &History) -> Option<RunTime> {
        let stalls = Spans::stalls(history);
        let mut rule = Rule { limit: self.limit, stalls: &stalls, known_until: known_until(history), budget: BUDGET };
        let judged = self.judged(history, &mut rule);
        let open =
            judged.iter().filter_map(|judged| if let Due::Cut { until } = judged.due { Some(until) } else { None });
        open.max().map(decided_after)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::check;
    use super::*;
    use crate::stories::{Story, ms, placements, plausible_within, stretched};
    use crate::verdict::Outcome;

    fn judged(story: &Story) -> Finding {
        check("deadline = { from = 'fault.kill', until = 'leads', limit = '3s' }").judge(&story.history)
    }

    #[test]
    fn what_a_setup_does_is_no_fault_from_which_a_bound_runs() {
        let check = check("deadline = { from = 'fault.kill', until = 'leads', limit = '10ms' }");
        let judged = |setup: bool| {
            let mut story = Story::of(&["a", "b"]);
            let hit = vec![story.life("a")];
            let kill = Action::new(ActionVerb::Kill, vec!["a".into()], hit);
            let kill = Action { setup, ..kill };
            story.at(5).push(What::Action(kill.into())).exit("a", crate::observation::Exit::Signal(9), true);
            story.at(500).end();
            check.judge(&story.history).outcome
        };
        assert_eq!((judged(false), judged(true)), (Outcome::Violated, Outcome::Unknown));
    }

    #[test]
    fn an_answer_at_the_limit_is_accepted_and_one_after_it_refused() {
        let mut story = Story::of(&["a", "b"]);
        story.at(1000).kill("a");
        let mut late = story.clone();
        story.at(4000).leads("b", 2).at(9000).end();
        assert_eq!(judged(&story).summary, "worst 3.00s of 3s");

        late.at(4001).leads("b", 2).at(9000).end();
        let finding = judged(&late);
        assert_eq!(finding.summary, "leads came 3.001s after fault.kill (limit 3s)");
        assert_eq!((finding.checked, finding.violations, finding.at), (1, 1, Some(ms(4000))));
    }

    #[test]
    fn silence_is_refused_once_the_limit_has_elapsed_and_unknown_before() {
        let mut story = Story::of(&["a", "b"]);
        story.at(1000).kill("a");
        let mut cut = story.clone();
        assert_eq!(judged(story.at(4101).end()).summary, "no leads within 3s of fault.kill");
        // A line of the last moment may still be on its way.
        let finding = judged(cut.at(4100).end());
        assert_eq!(finding.summary, "leads within 3s of fault.kill: the run ended before the limit");
        assert_eq!(finding.outcome, Outcome::Unknown);
    }

    #[test]
    fn every_fault_has_its_own_deadline_and_what_is_no_fault_has_none() {
        let check = check("deadline = { from = 'fault', until = 'leads', limit = '3s' }");
        let mut story = Story::of(&["a", "b", "c"]);
        story.at(1000).restart("a").resume("a");
        assert_eq!(check.judge(&story.history).summary, "never exercised: no fault happened");
        story.at(2000).kill("a").at(2500).pause("b").at(4000).leads("c", 2).at(9000).end();
        let finding = check.judge(&story.history);
        assert_eq!((finding.checked, finding.summary.as_str()), (2, "worst 2.00s of 3s"));
    }

    #[test]
    fn a_missed_deadline_during_a_stall_of_the_bench_is_unknown_and_beyond_it_violated() {
        let mut story = Story::of(&["a", "b"]);
        story.at(1000).kill("a").at(3500).stall(2500);
        let mut later = story.clone();
        story.at(4900).leads("b", 2).at(9000).end();
        assert_eq!(judged(&story).summary, "leads within 3s of fault.kill: the bench itself was late");
        later.at(5001).leads("b", 2).at(9000).end();
        assert_eq!(judged(&later).outcome, Outcome::Violated);
    }

    #[test]
    fn each_live_node_that_was_not_hit_must_answer() {
        let check = check("deadline = { from = 'fault.kill', until = 'follows', each = '!target', limit = '3s' }");
        let mut story = Story::of(&["a", "b", "c"]);
        story.at(1000).kill("a").at(1500).follows("b", "c");
        let mut crashed = story.clone();
        let mut frozen = story.clone();
        story.at(9000).end();
        assert_eq!(check.judge(&story.history).summary, "no follows at c within 3s of fault.kill");
        // Who goes down or is frozen before it could answer owes nothing.
        for story in [crashed.at(2000).kill("c").at(2001).follows("b", "b"), frozen.at(2000).pause("c")] {
            story.at(9000).end();
            let finding = check.judge(&story.history);
            assert_eq!((finding.outcome, finding.summary.as_str()), (Outcome::Held, "worst 0.50s of 3s"));
        }
    }

    #[test]
    fn only_the_occurrences_that_are_meant_count() {
        let check =
            check("deadline = { from = 'fault.kill', until = 'leads', where = { term = '>= 2' }, limit = '3s' }");
        let mut story = Story::of(&["a", "b"]);
        story.at(1000).kill("a").at(2000).leads("b", 1).at(9000).end();
        assert_eq!(check.judge(&story.history).outcome, Outcome::Violated);
    }

    #[test]
    fn of_one_stream_the_order_is_known_however_late_it_was_read() {
        let check = check("deadline = { from = 'stepped_down', until = 'leads', limit = '3s' }");
        let mut story = Story::of(&["a", "b"]);
        story.at(1000).early(900).leads("a", 1).says("a", "stepped_down", &[]).at(9000).end();
        assert_eq!(check.judge(&story.history).summary, "no leads within 3s of stepped_down");
    }

    #[test]
    fn an_open_deadline_keeps_the_run_going_until_it_is_decided() {
        let check = check("deadline = { from = 'fault.kill', until = 'leads', limit = '3s' }");
        let mut story = Story::of(&["a", "b"]);
        assert_eq!(check.open_until(&story.history), None);
        story.at(1000).kill("a");
        let open = check.open_until(&story.history).unwrap();
        assert_eq!(open, ms(4100) + Duration::from_nanos(1));
        let mut silent = story.clone();
        silent.history.push(open, What::Run(crate::observation::Phase::StepsDone));
        assert_eq!(
            (check.open_until(&silent.history), check.judge(&silent.history).outcome),
            (None, Outcome::Violated)
        );
        assert_eq!(check.open_until(&story.at(2000).leads("b", 2).history), None);
    }

    const LIMIT: u64 = 6;

    /// The definition for one way in which the lines were written: is any deadline missed, are all met?
    fn definition(history: &History, way: &[u64]) -> (bool, bool) {
        // What was written in the last 100 ms may still be on its way.
        let known = (history.horizon().0 / 1_000_000).saturating_sub(1);
        let at = |number: u64| way[number as usize];
        let is_after = |start: &Observation, seen: &Seen<'_, Event>| match &start.what {
            What::Event(event) if event.of == seen.what.of => seen.number > start.number,
            _ => at(seen.number) >= at(start.number),
        };
        let starts = history.judged().filter(|seen| match &seen.what {
            What::Event(event) => &*event.name == "stepped_down",
            What::Action(action) => action.verb == ActionVerb::Kill,
            _ => false,
        });
        let mut all = (false, true);
        for start in starts {
            let met = history
                .events("leads")
                .any(|seen| is_after(start, &seen) && at(seen.number) <= at(start.number) + LIMIT);
            all.0 |= !met && known > at(start.number) + LIMIT;
            all.1 &= met;
        }
        all
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition(history in plausible_within(8, 1, 12)) {
            prop_assume!(history.stalls().len() == 0);
            let check = check("deadline = { from = ['fault.kill', 'stepped_down'], until = 'leads', limit = '600ms' }");
            let finding = check.judge(&stretched(&history, 100));
            let way: Vec<_> = history.observations().iter().map(|seen| seen.at.0 / 1_000_000).collect();
            let expected = match definition(&history, &way) {
                _ if finding.checked == 0 => Outcome::Unknown,
                (true, _) => Outcome::Violated,
                (false, true) => Outcome::Held,
                (false, false) => Outcome::Unknown,
            };
            prop_assert_eq!(finding.outcome, expected, "{:?}", finding);
        }

        #[test]
        fn what_it_decides_is_so_however_the_lines_were_written(history in plausible_within(8, 4, 9)) {
            prop_assume!(history.stalls().len() == 0);
            let check = check("deadline = { from = ['fault.kill', 'stepped_down'], until = 'leads', limit = '600ms' }");
            let outcome = check.judge(&stretched(&history, 100)).outcome;
            let ways = placements(&history);
            prop_assume!(ways.len() < 200);
            for way in ways {
                let (is_missed, all_met) = definition(&history, &way);
                prop_assert!(outcome != Outcome::Held || all_met);
                prop_assert!(outcome != Outcome::Violated || is_missed);
            }
        }
    }
}
