//! `leader_overlap`: two leaderships of different nodes overlap at most `limit`.
//!
//! One leader per term misses the classic split brain, in which the old leader stays in its term while the majority elects the next. Here
//! a leadership runs from its begin event to an end event of the same process, to a fault named in `end` that hits the process, to the
//! process's exit, or to the end of the run; a process that begins again while it leads continues. Time in which one of the two is
//! frozen does not count, because a frozen node leads nobody, but after it resumes it has only what is left of `limit` to step down.
//!
//! Lines are read later than they are written. An overlap is a violation if it is longer than `limit` wherever within their uncertainty
//! the lines were written, and unknown if it is only for some.

use std::collections::BTreeMap;
use std::time::Duration;

use super::moment::{Moment, bound, decided_after, exactly, known_until, seconds};
use super::spans::Spans;
use super::trigger::Trigger;
use super::{Check, CheckKind};
use crate::history::History;
use crate::names::Names;
use crate::observation::{Life, Name};
use crate::table::{Key, Kind, Table};
use crate::time::RunTime;
use crate::verdict::{Finding, Outcome};

pub(super) const KIND: CheckKind = CheckKind {
    name: "leader_overlap",
    keys: &[
        Key::required("begin", Kind::Event, "The event by which a node begins to lead."),
        Key::new(
            "end",
            Kind::Texts,
            "Events, or faults that hit it (`fault.kill`), that end a leadership; its exit always does.",
        ),
        Key::required("limit", Kind::Duration, "How long two leaderships of different nodes may overlap."),
    ],
    short: None,
    doc: "Two leaderships of different nodes overlap at most so long.",
    parse,
};

#[derive(Debug)]
struct LeaderOverlap {
    begin: Name,
    end: Vec<Trigger>,
    limit: Duration,
}

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    let begin = table.required("begin", Table::text).and_then(|event| names.event(&event));
    let end = if table.has("end") { Trigger::parse_all(table, "end", names) } else { Some(Vec::new()) };
    let limit = table.required("limit", Table::duration);
    Some(Box::new(LeaderOverlap { begin: begin?, end: end?, limit: limit?.value }))
}

/// From when until when a process led.
#[derive(Debug, Clone, Copy)]
struct Leadership<'h> {
    of: &'h Life,
    begin: Moment,
    begun_by: u64,
    end: Moment,
    /// None if nothing but the end of the run ended it.
    ended_by: Option<u64>,
}

/// What may begin or end a leadership.
#[derive(Debug, Clone, Copy)]
struct Mark<'h> {
    of: &'h Life,
    number: u64,
    when: Moment,
    begins: bool,
}

/// How long two leaderships ran side by side, neither of the processes frozen.
#[derive(Debug, Clone, Copy)]
struct Overlap<'h> {
    first: Leadership<'h>,
    second: Leadership<'h>,
    /// Wherever in their uncertainty the lines were written, at least this.
    least: Duration,
    /// At most this.
    most: Duration,
}

/// More leaderships at once than a cluster has nodes only come from lines that were read very late.
const MOST_AT_ONCE: usize = 1000;

impl LeaderOverlap {
    fn leaderships<'h>(&self, history: &'h History) -> Vec<Leadership<'h>> {
        let mut marks: Vec<Mark<'h>> = Vec::new();
        let lines = |name: &str, begins| {
            history.events(name).map(move |event| Mark {
                of: &event.what.of,
                number: event.number,
                when: Moment::of(&event),
                begins,
            })
        };
        marks.extend(lines(&self.begin, true));
        for end in &self.end {
            if let Trigger::Event(name) = end {
                marks.extend(lines(name, false));
            }
            for fault in end.faults(history) {
                let (number, when) = (fault.number, Moment::exact(fault.at));
                marks.extend(fault.what.hit.iter().map(|of| Mark { of, number, when, begins: false }));
            }
        }
        // Of one process, the order of the lines is known however late they were read.
        marks.sort_unstable_by_key(|mark| mark.number);

        // The line by which a leadership ends may be on its way.
        let horizon = Moment { earliest: known_until(history), latest: history.horizon() };
        let mut found: Vec<Leadership<'h>> = Vec::new();
        let mut leads: BTreeMap<&Life, usize> = BTreeMap::new();
        for mark in marks {
            match leads.get(mark.of) {
                None if mark.begins => {
                    let exit = history.life(mark.of).and_then(|life| life.exited);
                    let end = exit.map_or(horizon, |exit| Moment::exact(exit.at).min(horizon));
                    let ended_by = exit.map(|exit| exit.number);
                    leads.insert(mark.of, found.len());
                    found.push(Leadership { of: mark.of, begin: mark.when, begun_by: mark.number, end, ended_by });
                }
                Some(&index) if !mark.begins => {
                    let last = &mut found[index];
                    if mark.when.latest < last.end.latest {
                        last.ended_by = Some(mark.number);
                    }
                    last.end = last.end.min(mark.when);
                    leads.remove(mark.of);
                }
                _ => {}
            }
        }
        found
    }

    /// Every pair of leaderships of different nodes that may overlap. The flag is false if there were too many to look at.
    fn overlaps<'h>(&self, history: &'h History) -> (Vec<Leadership<'h>>, Vec<Overlap<'h>>, bool) {
        let mut leaderships = self.leaderships(history);
        leaderships.sort_by_key(|leadership| (leadership.begin.earliest, leadership.begun_by));
        let pauses = Pauses::new(history, &leaderships);
        let (mut overlaps, mut open, mut is_complete) = (Vec::new(), Vec::<Leadership<'_>>::new(), true);
        for &second in &leaderships {
            open.retain(|first| first.end.latest > second.begin.earliest);
            if open.len() > MOST_AT_ONCE {
                open.remove(0);
                is_complete = false;
            }
            for &first in open.iter().filter(|first| first.of.node != second.of.node) {
                let (least, most) = pauses.overlap(&first, &second);
                if !most.is_zero() {
                    overlaps.push(Overlap { first, second, least, most });
                }
            }
            open.push(second);
        }
        (leaderships, overlaps, is_complete)
    }

    fn violation(
        &self,
        history: &History,
        leaderships: &[Leadership<'_>],
        overlaps: &[Overlap<'_>],
    ) -> Option<Finding> {
        let too_long = overlaps.iter().filter(|overlap| overlap.least > self.limit);
        let violations = too_long.clone().count() as u64;
        let pauses = Pauses::new(history, leaderships);
        let (at, Overlap { first, second, least, most }) =
            too_long.map(|overlap| (pauses.exceeded(overlap, self.limit), overlap)).min_by_key(|(at, _)| *at)?;
        let (old, new) = (&first.of.node, &second.of.node);
        let at_least = if least < most { "at least " } else { "" };
        let summary =
            format!("{old} and {new} both led for {at_least}{} (limit {})", exactly(*least), bound(self.limit));
        let mut finding = Finding::violated(leaderships.len() as u64, violations, at, summary)
            .showing_as(first.begun_by, format!("{old} begins to lead"))
            .showing_as(second.begun_by, format!("{new} begins to lead"));
        for (leadership, node) in [(first, old), (second, new)] {
            finding = match leadership.ended_by {
                Some(number) => finding.showing_as(number, format!("{node} leads no more")),
                None => finding,
            };
        }
        Some(finding)
    }
}

impl Check for LeaderOverlap {
    fn judge(&self, history: &History) -> Finding {
        let (leaderships, overlaps, is_complete) = self.overlaps(history);
        if let Some(violation) = self.violation(history, &leaderships, &overlaps) {
            return violation;
        }
        let checked = leaderships.len() as u64;
        if leaderships.is_empty() {
            return Finding::never_exercised(format_args!("no {} occurred", self.begin));
        }
        if !is_complete {
            return Finding::unknown(checked, "lines were read too late to tell which leaderships overlapped");
        }
        let worst = overlaps.iter().max_by_key(|overlap| overlap.most);
        let Some(Overlap { first, second, least, most }) = worst else {
            let plural = if checked == 1 { "leadership" } else { "leaderships" };
            return Finding::held(checked, format!("{checked} {plural}, none overlapping"));
        };
        let limit = bound(self.limit);
        let finding = if *most > self.limit {
            let (least, most) = (exactly(*least), exactly(*most));
            let summary =
                format!("an overlap of {least} to {most} (limit {limit}): the lines' times are not sure enough");
            Finding::unknown(checked, summary)
        } else {
            Finding::held(checked, format!("worst overlap {} of {limit}", seconds(*most)))
        };
        match finding.outcome {
            Outcome::Held => finding,
            _ => finding.showing(first.begun_by).showing(second.begun_by),
        }
    }

    fn open_until(&self, history: &History) -> Option<RunTime> {
        if history.ended().is_some() {
            return None;
        }
        let horizon = history.horizon();
        let is_open = |leadership: &Leadership<'_>| {
            // A frozen process may stay so for ever, and its time does not count.
            leadership.ended_by.is_none() && history.life(leadership.of).is_none_or(|life| !life.is_paused(horizon))
        };
        let (leaderships, overlaps, _) = self.overlaps(history);
        if overlaps.iter().any(|overlap| overlap.least > self.limit) {
            return None;
        }
        let pauses = Pauses::new(history, &leaderships);
        let open = overlaps.iter().filter(|overlap| is_open(&overlap.first) && is_open(&overlap.second));
        open.map(|overlap| decided_after(pauses.exceeded(overlap, self.limit))).min()
    }
}

/// When the processes of leaderships were frozen.
struct Pauses<'h> {
    of: BTreeMap<&'h Life, Spans>,
    horizon: RunTime,
}

impl<'h> Pauses<'h> {
    fn new(history: &'h History, leaderships: &[Leadership<'h>]) -> Self {
        let horizon = history.horizon();
        let lives = leaderships.iter().filter_map(|leadership| history.life(leadership.of));
        let paused = lives.filter(|life| !life.pauses.is_empty());
        Self { of: paused.map(|life| (&life.of, Spans::pauses(life, horizon))).collect(), horizon }
    }

    /// When one of the two was frozen, between two instants.
    fn of_either(&self, first: &Leadership<'_>, second: &Leadership<'_>, from: RunTime, until: RunTime) -> Spans {
        let none = Spans::default();
        let of = |leadership: &Leadership<'_>| self.of.get(leadership.of).unwrap_or(&none);
        of(first).union_within(of(second), from, until)
    }

    fn overlap(&self, first: &Leadership<'_>, second: &Leadership<'_>) -> (Duration, Duration) {
        let running = |from: RunTime, until: RunTime| {
            let frozen = self.of_either(first, second, from, until);
            until.since(from).saturating_sub(frozen.covered(from, until))
        };
        let least = running(first.begin.latest.max(second.begin.latest), first.end.earliest.min(second.end.earliest));
        let most = running(first.begin.earliest.max(second.begin.earliest), first.end.latest.min(second.end.latest));
        (least, most)
    }

    /// When an overlap became longer than it may.
    fn exceeded(&self, overlap: &Overlap<'_>, limit: Duration) -> RunTime {
        let (first, second) = (&overlap.first, &overlap.second);
        let from = first.begin.latest.max(second.begin.latest);
        let frozen = self.of_either(first, second, from, self.horizon);
        frozen.after_uncovered(from, limit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::check;
    use super::*;
    use crate::observation::{ActionVerb, What};
    use crate::stories::{NODES, Story, ms, placements, plausible_within, stretched};

    fn judged(story: &Story) -> Finding {
        check("leader_overlap = { begin = 'leads', end = ['stepped_down', 'follows', 'fault.kill'], limit = '1s' }")
            .judge(&story.history)
    }

    #[test]
    fn an_overlap_of_the_limit_is_accepted_and_a_longer_one_refused() {
        let mut story = Story::of(&["a", "b"]);
        story.at(100).leads("a", 1).at(2000).leads("b", 2);
        let mut longer = story.clone();
        story.at(3000).says("a", "stepped_down", &[]).at(9000).end();
        assert_eq!(judged(&story), Finding::held(2, "worst overlap 1.00s of 1s"));

        longer.at(3001).follows("a", "b").at(9000).end();
        let finding = judged(&longer);
        assert_eq!(finding.summary, "a and b both led for 1.001s (limit 1s)");
        assert_eq!((finding.at, finding.violations), (Some(ms(3000)), 1));
        let notes: Vec<_> = finding.evidence.iter().filter_map(|shown| shown.note.as_deref()).collect();
        assert_eq!(notes, ["a begins to lead", "b begins to lead", "a leads no more"]);
    }

    #[test]
    fn the_classic_split_brain_of_two_terms_is_refused() {
        let mut story = Story::of(&["a", "b"]);
        story.at(100).leads("a", 1).at(500).leads("b", 2).at(5000).end();
        assert_eq!(judged(&story).summary, "a and b both led for at least 4.400s (limit 1s)");
    }

    #[test]
    fn a_killed_or_crashed_leader_leads_no_more() {
        let mut story = Story::of(&["a", "b"]);
        story.at(100).leads("a", 1).at(2000).kill("a").at(2500).leads("b", 2);
        story.at(4000).exit("b", crate::observation::Exit::Code(1), false).at(4100).restart("a").at(4500).leads("a", 3);
        story.at(9000).end();
        assert_eq!(judged(&story), Finding::held(3, "3 leaderships, none overlapping"));
    }

    #[test]
    fn a_frozen_leader_leads_nobody_and_must_step_down_when_it_wakes() {
        let mut story = Story::of(&["a", "b"]);
        story.at(100).leads("a", 1).at(1000).pause("a").at(2000).leads("b", 2).at(7000).resume("a");
        let mut never = story.clone();
        story.at(7400).says("a", "stepped_down", &[]).at(9000).end();
        assert_eq!(judged(&story), Finding::held(2, "worst overlap 0.40s of 1s"));
        assert_eq!(never.at(9000).end().history.horizon(), ms(9000));
        let finding = judged(&never);
        assert_eq!((finding.outcome, finding.at), (Outcome::Violated, Some(ms(8000))));
    }

    #[test]
    fn a_leader_that_says_so_again_is_one_leadership() {
        let mut story = Story::of(&["a"]);
        story.at(100).leads("a", 1).at(200).leads("a", 1).at(300).leads("a", 2);
        assert_eq!(judged(&story), Finding::held(1, "1 leadership, none overlapping"));
    }

    #[test]
    fn an_overlap_within_the_uncertainty_of_the_lines_is_unknown() {
        let mut story = Story::of(&["a", "b"]);
        story.at(100).leads("a", 1).at(2000).early(50).leads("b", 2);
        story.at(2990).early(0).says("a", "stepped_down", &[]).at(9000).end();
        assert_eq!(judged(&story).outcome, Outcome::Unknown);
    }

    #[test]
    fn a_growing_overlap_keeps_the_run_open_until_it_is_decided() {
        let check = check("leader_overlap = { begin = 'leads', end = 'follows', limit = '1s' }");
        let mut story = Story::of(&["a", "b"]);
        story.at(100).leads("a", 1);
        assert_eq!(check.open_until(&story.history), None);
        story.at(2000).leads("b", 2).at(2300).says("b", "node.panic", &[]);
        let open = check.open_until(&story.history).unwrap();
        assert_eq!(open, ms(3100) + Duration::from_nanos(1));
        story.history.push(open, What::Run(crate::observation::Phase::StepsDone));
        assert_eq!(check.judge(&story.history).outcome, Outcome::Violated);
        let mut frozen = story.clone();
        assert_eq!(check.open_until(&frozen.at(2400).act(ActionVerb::Pause, "a", true).history), None);
    }

    /// The definition, millisecond by millisecond: the longest time in which two nodes, neither of them frozen, led side by side.
    fn longest(history: &History, way: &[u64], until: u64) -> u64 {
        // The leadership of a node at an instant, counted from its first; none while it does not lead.
        let leads = |node: &str, at: u64| {
            let mut marks: Vec<_> = history.judged().filter(|seen| way[seen.number as usize] <= at).collect();
            marks.sort_by_key(|seen| (way[seen.number as usize], seen.number));
            let (leads, nth) = marks.iter().fold((false, 0), |(leads, nth), seen| match &seen.what {
                What::Event(event) if &*event.of.node == node => match &*event.name {
                    "leads" => (true, nth + u32::from(!leads)),
                    "follows" | "stepped_down" => (false, nth),
                    _ => (leads, nth),
                },
                What::Process(process) if &*process.of.node == node => (false, nth),
                _ => (leads, nth),
            });
            leads.then_some(nth)
        };
        let is_frozen =
            |node: &str, at: u64| history.lives(node).any(|life| life.is_up(ms(at)) && life.is_paused(ms(at)));
        let mut longest = 0;
        for (a, b) in [(0, 1), (0, 2), (1, 2)].map(|(a, b)| (NODES[a], NODES[b])) {
            let (mut both, mut of) = (0, (None, None));
            for at in 0..until {
                let now = (leads(a, at), leads(b, at));
                if now != of || now.0.is_none() || now.1.is_none() {
                    (both, of) = (0, now);
                }
                if now.0.is_some() && now.1.is_some() && !is_frozen(a, at) && !is_frozen(b, at) {
                    both += 1;
                    longest = longest.max(both);
                }
            }
        }
        longest
    }

    /// Up to when every line is known (what was written in the last 100 ms may still be on its way), and the end.
    fn ends(history: &History) -> (u64, u64) {
        let horizon = history.horizon().0 / 1_000_000;
        (horizon.saturating_sub(1), horizon)
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition(history in plausible_within(8, 1, 10)) {
            let check = check("leader_overlap = { begin = 'leads', end = ['stepped_down', 'follows'], limit = '400ms' }");
            let finding = check.judge(&stretched(&history, 100));
            let way: Vec<_> = history.observations().iter().map(|seen| seen.at.0 / 1_000_000).collect();
            let (known, horizon) = ends(&history);
            let expected = match (longest(&history, &way, known), longest(&history, &way, horizon)) {
                _ if history.events("leads").len() == 0 => Outcome::Unknown,
                (_, 0..=4) => Outcome::Held,
                (5.., _) => Outcome::Violated,
                _ => Outcome::Unknown,
            };
            prop_assert_eq!(finding.outcome, expected, "{:?}", finding);
        }

        #[test]
        fn what_it_decides_is_so_however_the_lines_were_written(history in plausible_within(8, 4, 8)) {
            let check = check("leader_overlap = { begin = 'leads', end = ['stepped_down', 'follows'], limit = '400ms' }");
            let outcome = check.judge(&stretched(&history, 100)).outcome;
            let ways = placements(&history);
            prop_assume!(ways.len() < 200);
            let (known, horizon) = ends(&history);
            for way in ways {
                prop_assert!(outcome != Outcome::Held || longest(&history, &way, horizon) <= 4);
                prop_assert!(outcome != Outcome::Violated || longest(&history, &way, known) > 4);
            }
        }
    }
}
