//! `conserved`: what the nodes hold together is always the same amount.
//!
//! Money in accounts, energy in batteries, tokens in a ring: the classic invariant of a global state (Chandy & Lamport, Distributed
//! Snapshots, 1985). What is under way between two nodes is in neither, so the sum is taken at *quiescence*, when nothing is under way:
//! at the end of the run, if every node is up and not frozen, has told what it holds since it was started, and for `quiet` long no node
//! has told another value and nothing was done to the cluster. The run goes on until then, at most `within` after its last step. What a
//! node holds that is down, or that has said nothing since its restart, nobody knows: then the sum is unknown, and not wrong. A negative
//! value is wrong whenever it is told.

use std::collections::BTreeMap;
use std::time::Duration;

use super::disturbance;
use super::moment::{Moment, bound, decided_after, known_until};
use super::said::{OF, Said, WHERE};
use super::scope::is_live;
use super::spans::Spans;
use super::{Check, CheckKind};
use crate::cluster::ClusterState;
use crate::history::{History, Seen};
use crate::names::{FieldKind, Names};
use crate::observation::{Event, Name, Observation, Phase, Value, What};
use crate::table::{Key, Kind, Table};
use crate::time::RunTime;
use crate::verdict::Finding;

/// How long nothing changes at quiescence, if the scenario does not say.
const QUIET: Duration = Duration::from_secs(1);
/// How long it is waited for after the last step, if the scenario does not say.
const WITHIN: Duration = Duration::from_secs(10);

pub(super) const KIND: CheckKind = CheckKind {
    name: "conserved",
    keys: &[
        Key::required("field", Kind::EventField, "The event by which a node says what it holds, and its int field."),
        Key::required("total", Kind::Int, "What the last values of all nodes sum up to when nothing is under way."),
        Key::new("quiet", Kind::Duration, "How long no value changes when nothing is under way; 1s if not said."),
        Key::new("within", Kind::Duration, "How long after its last step the run waits for that; 10s if not said."),
        OF,
        WHERE,
    ],
    short: None,
    doc: "The values that the nodes hold sum up to a fixed total once nothing is under way, and none is ever negative.",
    parse,
};

#[derive(Debug)]
struct Conserved {
    said: Said,
    field: Name,
    total: i64,
    quiet: Duration,
    within: Duration,
}

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    let field = table.required("field", Table::text);
    let field = field.and_then(|field| names.event_field_of_kind(&field, &[FieldKind::Int]));
    let said = Said::parse(field.as_ref().map(|field| &field.event), table, names);
    let total = table.required("total", |table, key| table.int(key, i64::MIN..=i64::MAX));
    let [quiet, within] = ["quiet", "within"].map(|key| super::optional(table, key, |item| item.duration()));
    Some(Box::new(Conserved {
        said: said?,
        field: field?.field,
        total: total?.value,
        quiet: quiet?.map_or(QUIET, |quiet| quiet.value),
        within: within?.map_or(WITHIN, |within| within.value),
    }))
}

/// What a node has told.
#[derive(Debug, Clone, Copy)]
struct Holding<'h> {
    value: i64,
    /// Its last line, in its last life.
    seen: Seen<'h, Event>,
    /// A line that may be later and tells something else.
    rival: Option<i64>,
}

/// Everything that was told.
#[derive(Debug, Default)]
struct Ledger<'h> {
    holdings: BTreeMap<&'h Name, Holding<'h>>,
    lines: u64,
    /// Lines without a number.
    without: u64,
    /// The first line with a negative value, and how many there are.
    negative: Option<(Seen<'h, Event>, i64)>,
    negatives: u64,
    /// When a value was told for the last time that was not the last one.
    changed: RunTime,
}

impl<'h> Ledger<'h> {
    fn take(&mut self, seen: Seen<'h, Event>, value: Option<&Value>) {
        self.lines += 1;
        let Some(&Value::Int(value)) = value else {
            self.without += 1;
            return;
        };
        if value < 0 {
            self.negatives += 1;
            let is_first = self.negative.is_none_or(|(first, _)| (seen.at, seen.number) < (first.at, first.number));
            self.negative = if is_first { Some((seen, value)) } else { self.negative };
        }
        let before = self.holdings.get(&seen.what.of.node);
        if before.is_none_or(|before| before.value != value) {
            self.changed = self.changed.max(seen.at);
        }
        // Of one stream the order is known; a line of another one may have been written later than it was read.
        let is_other = |before: &&Holding<'_>| {
            before.seen.what.source() != seen.what.source()
                && before.seen.what.of.life == seen.what.of.life
                && Moment::of(&before.seen).latest >= Moment::of(&seen).earliest
                && before.value != value
        };
        let rival = before.filter(is_other).map(|before| before.value);
        self.holdings.insert(&seen.what.of.node, Holding { value, seen, rival });
    }
}

impl Conserved {
    fn ledger<'h>(&self, history: &'h History) -> Ledger<'h> {
        let mut ledger = Ledger::default();
        self.said.by_number(history).for_each(|seen| ledger.take(seen, seen.what.field(&self.field)));
        ledger
    }

    /// The nodes that hold something, and the cluster at the end.
    fn members(&self, history: &History) -> (Vec<Name>, ClusterState) {
        let mut state = self.said.cluster.clone();
        history.judged().for_each(|observation| state.observe(observation));
        let members = state.nodes().iter().filter(|node| self.said.of.admits(node, &[], &state));
        (members.cloned().collect(), state)
    }

    /// From when on nothing was under way, if nothing else happens: once it has been quiet for long enough.
    fn quiet_at(&self, history: &History, ledger: &Ledger<'_>) -> RunTime {
        let disturbed = disturbance::last(history).map_or(RunTime::START, |(_, at)| at);
        Spans::stalls(history).after_uncovered(disturbed.max(ledger.changed), self.quiet)
    }

    /// Why nobody knows what a node holds at the end, if nobody does.
    fn why_unknown(&self, node: &Name, state: &ClusterState, ledger: &Ledger<'_>) -> Option<&'static str> {
        let holding = ledger.holdings.get(node);
        let is_of_this_life = |holding: &&Holding<'_>| {
            let of = &holding.seen.what.of;
            state.life(node, &of.process) == of.life
        };
        if !state.has_run(node) {
            Some("never ran")
        } else if state.is_paused(node) {
            Some("is frozen")
        } else if !is_live(node, state) {
            Some("is down")
        } else if holding.is_none() {
            Some("never told what it holds")
        } else if holding.filter(is_of_this_life).is_none() {
            Some("has not told what it holds since its restart")
        } else if holding.is_some_and(|holding| holding.rival.is_some()) {
            Some("told two values at about the same time on two streams")
        } else {
            None
        }
    }

    /// What the sum comes to when nothing is under way.
    fn sum(&self, members: &[Name], ledger: &Ledger<'_>, at: RunTime) -> Finding {
        let held: Vec<_> = members.iter().filter_map(|node| Some((node, ledger.holdings.get(node)?))).collect();
        let sum: i128 = held.iter().map(|(_, holding)| i128::from(holding.value)).sum();
        let checked = held.len() as u64;
        let nodes = if checked == 1 { "1 node holds".to_owned() } else { format!("{checked} nodes hold") };
        if sum == i128::from(self.total) {
            return Finding::held(checked, format!("{nodes} {sum}, as they must"));
        }
        let each = held.iter().map(|(node, holding)| format!("{node}={}", holding.value)).collect::<Vec<_>>();
        let summary = format!("{nodes} {sum} and not {}: {}", self.total, each.join(", "));
        let finding = Finding::violated(checked, 1, at, summary);
        held.iter().fold(finding, |finding, (_, holding)| finding.showing(holding.seen.number))
    }
}

impl Check for Conserved {
    fn judge(&self, history: &History) -> Finding {
        let ledger = self.ledger(history);
        let (event, field) = (&self.said.event, &self.field);
        let (members, state) = self.members(history);
        let checked = members.len() as u64;
        if let Some((seen, value)) = ledger.negative {
            let summary = format!("{field} at {} is {value}, and must never be negative", seen.what.of.node);
            return Finding::violated(checked.max(1), ledger.negatives, seen.at, summary).showing(seen.number);
        }
        if ledger.lines == 0 {
            return Finding::never_exercised(format_args!("no {event} occurred"));
        }
        if members.is_empty() {
            return Finding::never_exercised(format_args!("no node is {} at the end", self.said.of));
        }
        if ledger.without > 0 {
            let summary = format!("{} of {} {event} do not tell their `{field}`", ledger.without, ledger.lines);
            return Finding::unknown(checked, summary);
        }
        let why = |node: &Name| Some((node.clone(), self.why_unknown(node, &state, &ledger)?));
        if let Some((node, why)) = members.iter().find_map(why) {
            return Finding::unknown(checked, format!("the sum is not known: {node} {why}"));
        }
        let quiet_at = self.quiet_at(history, &ledger);
        if known_until(history) <= quiet_at {
            let summary =
                format!("values may still be under way: it was not quiet for {} at the end", bound(self.quiet));
            return Finding::unknown(checked, summary);
        }
        self.sum(&members, &ledger, quiet_at)
    }

    fn open_until(&self, history: &History) -> Option<RunTime> {
        let ledger = self.ledger(history);
        if history.ended().is_some() || ledger.negative.is_some() || ledger.lines == 0 {
            return None;
        }
        let steps_done = |observation: &&Observation| observation.what == What::Run(Phase::StepsDone);
        // Asked before the last step is done, it is waited for from now on.
        let since = history.judged().find(steps_done).map_or(history.horizon(), |done| done.at);
        let given_up = Spans::stalls(history).after_uncovered(since, self.within);
        let until = self.quiet_at(history, &ledger).min(given_up);
        (known_until(history) <= until).then(|| decided_after(until))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::check;
    use super::*;
    use crate::observation::{ActionVerb, Change};
    use crate::stories::{NODES, Story, ms, stretched, talkative_within};
    use crate::verdict::Outcome;

    const THREE: &str = "conserved = { field = 'holds.amount', total = 30, quiet = '1s', within = '5s' }";

    fn judged(story: &Story) -> Finding {
        check(THREE).judge(&story.history)
    }

    /// Ten each, and one has sent two that the other has not got yet.
    fn trade() -> Story {
        let mut story = Story::of(&["a", "b", "c"]);
        story.at(100).holds("a", 10).holds("b", 10).holds("c", 10).at(1000).holds("a", 8);
        story
    }

    #[test]
    fn the_total_is_accepted_once_all_is_quiet_and_another_sum_refused() {
        let mut story = trade();
        let mut lost = trade();
        story.at(1200).holds("b", 12).at(2400).end();
        assert_eq!(judged(&story), Finding::held(3, "3 nodes hold 30, as they must"));

        lost.at(2101).end();
        let finding = judged(&lost);
        assert_eq!(finding.summary, "3 nodes hold 28 and not 30: a=8, b=10, c=10");
        assert_eq!((finding.outcome, finding.at, finding.evidence.len()), (Outcome::Violated, Some(ms(2000)), 3));
    }

    #[test]
    fn before_it_is_quiet_something_may_be_under_way() {
        let mut story = trade();
        let check = check(THREE);
        assert_eq!(check.open_until(&story.history), Some(ms(2100) + Duration::from_nanos(1)));
        let finding = check.judge(&story.at(2100).end().history);
        assert_eq!(finding.outcome, Outcome::Unknown);
        assert_eq!(finding.summary, "values may still be under way: it was not quiet for 1s at the end");
    }

    #[test]
    fn values_that_never_settle_keep_the_run_only_so_long() {
        let mut story = trade();
        let check = check(THREE);
        story.at(1500).push(What::Run(Phase::StepsDone));
        for at in (2..=12).map(|half| half * 500 + 1000) {
            story.at(at).holds("a", i64::try_from(at % 7).unwrap());
        }
        assert_eq!(check.open_until(&story.history), None);
        assert_eq!(check.judge(&story.history).outcome, Outcome::Unknown);
    }

    #[test]
    fn the_same_value_told_again_disturbs_nothing() {
        let mut story = trade();
        story.at(1200).holds("b", 12).at(2000).holds("a", 8).holds("b", 12).at(2400).end();
        assert_eq!(judged(&story).outcome, Outcome::Held);
    }

    #[test]
    fn what_a_node_holds_that_is_down_frozen_or_silent_is_not_known() {
        let unknown = |change: fn(&mut Story), why: &str| {
            let mut story = trade();
            change(&mut story);
            let finding = judged(story.at(9000).end());
            assert_eq!((finding.outcome, finding.summary), (Outcome::Unknown, format!("the sum is not known: {why}")));
        };
        unknown(|story| _ = story.at(1500).kill("c"), "c is down");
        unknown(|story| _ = story.at(1500).pause("c"), "c is frozen");
        unknown(
            |story| _ = story.at(1500).kill("c").at(2000).restart("c"),
            "c has not told what it holds since its restart",
        );
        let mut story = Story::of(&["a", "b"]);
        story.at(100).holds("a", 30).at(9000).end();
        assert_eq!(judged(&story).summary, "the sum is not known: b never told what it holds");
        let of = check("conserved = { field = 'holds.amount', total = 30, of = 'a' }");
        assert_eq!(of.judge(&story.history), Finding::held(1, "1 node holds 30, as they must"));
    }

    #[test]
    fn a_negative_value_is_refused_whenever_it_is_told() {
        let mut story = trade();
        story.at(1300).holds("a", -2).at(1400).holds("a", 8).holds("b", 12).at(9000).end();
        let finding = judged(&story);
        assert_eq!(
            (finding.summary.as_str(), finding.at),
            ("amount at a is -2, and must never be negative", Some(ms(1300)))
        );
    }

    #[test]
    fn without_a_value_there_is_no_sum_and_of_two_streams_the_last_is_not_known() {
        assert_eq!(judged(&Story::of(&["a"])).summary, "never exercised: no holds occurred");
        let mut story = trade();
        story.says("b", "holds", &[("amount", Value::Text("12 kWh".into()))]).at(9000).end();
        assert_eq!(judged(&story).summary, "1 of 5 holds do not tell their `amount`");
        let mut story = trade();
        story.at(1010).early(100).on_stderr().holds("a", 10).at(9000).end();
        assert!(judged(&story).summary.ends_with("a told two values at about the same time on two streams"));
    }

    #[test]
    fn amounts_of_any_size_are_summed() {
        let mut story = Story::of(&NODES);
        story.at(100).holds("a", i64::MAX).holds("b", i64::MAX).holds("c", 2).at(9000).end();
        assert!(judged(&story).summary.starts_with("3 nodes hold 18446744073709551616 and not 30"));
    }

    const QUIET_UNITS: u64 = 2;

    /// The definition, in units of 100 ms: what has become of every node, and when something happened for the last time.
    fn definition(history: &History) -> Outcome {
        let at = |observation: &Observation| observation.at.0 / 1_000_000;
        let value = |observation: &Observation, node: &str| match &observation.what {
            What::Event(event) if &*event.name == "holds" && &*event.of.node == node => match event.field("amount") {
                Some(Value::Int(value)) => Some(*value),
                _ => None,
            },
            _ => None,
        };
        let seen: Vec<_> = history.judged().collect();
        let values = |node: &str| seen.iter().filter_map(|seen| value(seen, node)).collect::<Vec<_>>();
        if NODES.iter().any(|node| values(node).iter().any(|value| *value < 0)) {
            return Outcome::Violated;
        }
        let since_started = |node: &str| {
            let started = |seen: &&Observation| matches!(&seen.what, What::Process(process) if &*process.of.node == node && matches!(process.change, Change::Started { .. }));
            let born = seen.iter().rposition(started).expect("all start");
            seen[born..].iter().filter_map(|seen| value(seen, node)).next_back()
        };
        let is_known = |node: &str| {
            let life = history.lives(node).last().expect("all start");
            let is_down = life.exited.is_some();
            !is_down && !life.is_paused(RunTime(u64::MAX)) && since_started(node).is_some()
        };
        if !NODES.iter().all(|node| is_known(node)) {
            return Outcome::Unknown;
        }
        let changes = |index: usize| {
            NODES.iter().any(|node| {
                let before = seen[..index].iter().filter_map(|seen| value(seen, node)).next_back();
                value(seen[index], node).is_some_and(|value| before != Some(value))
            })
        };
        let is_turn = |index: usize| match &seen[index].what {
            What::Event(_) => changes(index),
            What::Action(action) => action.verb != ActionVerb::Input,
            What::Process(_) | What::Run(Phase::Ready) => true,
            _ => false,
        };
        let last = (0..seen.len()).filter(|index| is_turn(*index)).map(|index| at(seen[index])).max().unwrap_or(0);
        let known = (history.horizon().0 / 1_000_000).saturating_sub(1);
        match known > last + QUIET_UNITS {
            false => Outcome::Unknown,
            true if NODES.iter().filter_map(|node| since_started(node)).sum::<i64>() == 3 => Outcome::Held,
            true => Outcome::Violated,
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition(history in talkative_within(3, 1, 20)) {
            prop_assume!(history.stalls().len() == 0);
            let check = check("conserved = { field = 'holds.amount', total = 3, quiet = '200ms' }");
            let finding = check.judge(&stretched(&history, 100));
            prop_assert_eq!(finding.outcome, definition(&history), "{:?}", finding);
        }
    }
}
