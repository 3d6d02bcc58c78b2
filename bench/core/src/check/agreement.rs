//! `agreement`: soon after the last disturbance, all live nodes name the same leader, which is alive and leads.
//!
//! The eventual leader election of Omega (Chandra, Hadzilacos & Toueg, The Weakest Failure Detector for Solving Consensus, 1996: there is
//! a time after which all correct processes trust the same correct process), with a bound. What a node says last in its present life is
//! whom it names: itself by `leads`, another by `follows`. A disturbance is whatever the bench does to nodes, a process that starts,
//! becomes ready or ends, and the cluster's being ready. They must agree at some instant within `within` of the last one, and again when
//! the run ends.

use std::collections::BTreeMap;
use std::time::Duration;

use super::disturbance;
use super::moment::{Moment, bound, decided_after, exactly, known_until, seconds};
use super::scope::{Scope, is_live};
use super::spans::Spans;
use super::{Check, CheckKind};
use crate::cluster::ClusterState;
use crate::history::{History, Seen};
use crate::names::{FieldKind, Names};
use crate::observation::{Event, Life, Name, Shape, Value, What};
use crate::table::{Key, Kind, Table};
use crate::time::RunTime;
use crate::verdict::{Finding, Outcome};

pub(super) const KIND: CheckKind = CheckKind {
    name: "agreement",
    keys: &[
        Key::required("leads", Kind::Event, "The event by which a node says that it leads."),
        Key::required(
            "follows",
            Kind::EventField,
            "The event and its node field by which a node says whom it follows.",
        ),
        Key::new(
            "of",
            Kind::Target,
            "Which nodes must agree; \"all\" if not said. Whoever is down or frozen need not.",
        ),
        Key::required("within", Kind::Duration, "Within what time of the last disturbance."),
    ],
    short: None,
    doc: "Soon after the last fault all live nodes name the same live leader.",
    parse,
};

/// A run may end when all have agreed and nobody has said anything for this part of the bound.
const STANDS: u32 = 10;

#[derive(Debug)]
struct Agreement {
    leads: Name,
    follows: Name,
    leader: Name,
    of: Scope,
    within: Duration,
    cluster: ClusterState,
}

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    let leads = table.required("leads", Table::text).and_then(|event| names.event(&event));
    let follows = table.required("follows", Table::text);
    let follows = follows.and_then(|field| names.event_field_of_kind(&field, &[FieldKind::Node]));
    let of = Scope::parse(table, "of", names);
    let within = table.required("within", Table::duration);
    let (leads, follows, of, within) = (leads?, follows?, of?.unwrap_or(Scope::all()), within?.value);
    let cluster = names.cluster();
    Some(Box::new(Agreement { leads, follows: follows.event, leader: follows.field, of, within, cluster }))
}

/// What a node said last.
#[derive(Debug, Clone)]
struct Opinion<'h> {
    of: &'h Life,
    names: &'h Name,
    number: u64,
}

/// The cluster while the history is read.
struct View<'h, 'c> {
    check: &'c Agreement,
    state: ClusterState,
    opinions: BTreeMap<&'h Name, Opinion<'h>>,
}

impl<'h> View<'h, '_> {
    /// Takes in a line; true if its node names another leader than before.
    fn hear(&mut self, event: &Seen<'h, Event>) -> bool {
        let Shape { of, name, .. } = &**event.what;
        let names = if *name == self.check.leads {
            &of.node
        } else if *name == self.check.follows {
            match event.what.field(&self.check.leader) {
                Some(Value::Node(leader)) => leader,
                _ => return false,
            }
        } else {
            return false;
        };
        if self.opinions.get(&of.node).is_some_and(|known| known.of == of && known.names == names) {
            return false;
        }
        // To follow oneself is not to lead, and names nobody.
        if *name == self.check.follows && *names == of.node {
            return self.opinions.remove(&of.node).is_some_and(|known| known.of == of);
        }
        self.opinions.insert(&of.node, Opinion { of, names, number: event.number });
        true
    }

    /// The nodes that must agree, each with its opinion.
    fn voters(&self, history: &'h History) -> Vec<(&'h Name, Option<&Opinion<'h>>)> {
        let asked = |node: &&Name| is_live(node, &self.state) && self.check.of.admits(node, &[], &self.state);
        history.nodes().filter(asked).map(|node| (node, self.opinion(node))).collect()
    }

    /// What a node said in its present life.
    fn opinion(&self, node: &Name) -> Option<&Opinion<'h>> {
        self.opinions.get(node).filter(|opinion| self.state.life(node, &opinion.of.process) == opinion.of.life)
    }

    /// The leader on whom all voters agree.
    fn leader(&self, voters: &[(&'h Name, Option<&Opinion<'h>>)]) -> Option<&'h Name> {
        let leader = voters.first()?.1?.names;
        let all = voters.iter().all(|(_, opinion)| opinion.is_some_and(|opinion| opinion.names == leader));
        let leads = is_live(leader, &self.state) && self.opinion(leader).is_some_and(|opinion| opinion.names == leader);
        (all && leads).then_some(leader)
    }
}

/// What became of the cluster's agreement.
struct Course<'h> {
    /// The last disturbance: its observation and time.
    disturbed: (u64, RunTime),
    /// The first instant since then at which all agreed.
    agreed: Option<Moment>,
    /// The leader on whom all agree at the end.
    leader: Option<&'h Name>,
    /// When a node named another leader for the last time.
    changed: RunTime,
    /// When a node said anything for the last time.
    heard: RunTime,
    /// Whom each voter names at the end, with the observation that shows it.
    names: Vec<(&'h Name, Option<(&'h Name, u64)>)>,
}

impl<'h> Course<'h> {
    /// Who names whom, for people.
    fn named(&self) -> String {
        let named = self.names.iter().map(|(node, names)| match names {
            Some((names, _)) if names == node => format!("{node} itself"),
            Some((names, _)) => format!("{node} names {names}"),
            None => format!("{node} names nobody"),
        });
        let named = named.collect::<Vec<_>>().join(", ");
        match self.sole_name().filter(|_| self.leader.is_none()) {
            Some(leader) => format!("{named}, and {leader} is not alive or does not lead"),
            None => named,
        }
    }

    /// The node that all voters name, whether it leads or not.
    fn sole_name(&self) -> Option<&'h Name> {
        let (sole, _) = self.names.first()?.1?;
        self.names.iter().all(|(_, names)| names.is_some_and(|(name, _)| name == sole)).then_some(sole)
    }
}

impl Agreement {
    fn course<'h>(&self, history: &'h History) -> Option<Course<'h>> {
        let disturbed = disturbance::last(history)?;
        let mut view = View { check: self, state: self.cluster.clone(), opinions: BTreeMap::new() };
        let (mut agreed, mut changed, mut heard) = (None, RunTime::START, RunTime::START);
        for observation in history.judged() {
            view.state.observe(observation);
            let (mut when, mut may_agree) = (Moment::exact(observation.at), observation.number == disturbed.0);
            if let What::Event(event) = &observation.what {
                let seen = Seen { number: observation.number, at: observation.at, what: event };
                when = Moment::of(&seen);
                let is_change = view.hear(&seen);
                heard = heard.max(observation.at);
                changed = if is_change { changed.max(observation.at) } else { changed };
                may_agree = is_change && observation.number > disturbed.0;
            }
            if agreed.is_none() && may_agree && view.leader(&view.voters(history)).is_some() {
                let Moment { earliest, latest } = when;
                agreed = Some(Moment { earliest: earliest.max(disturbed.1), latest: latest.max(disturbed.1) });
            }
        }
        let voters = view.voters(history);
        let leader = view.leader(&voters);
        let names = voters.iter().map(|(node, opinion)| (*node, opinion.map(|said| (said.names, said.number))));
        Some(Course { disturbed, agreed, leader, changed, heard, names: names.collect() })
    }

    fn elapses(&self, history: &History, disturbed: RunTime) -> RunTime {
        Spans::stalls(history).after_uncovered(disturbed, self.within)
    }
}

impl Agreement {
    /// The outcome and why, for people.
    fn decide(&self, course: &Course<'_>, elapses: RunTime, known: RunTime) -> (Outcome, String) {
        let (since, within) = (course.disturbed.1, bound(self.within));
        let in_time = since + self.within;
        let after = |agreed: Moment| agreed.latest.since(since);
        let named = course.named();
        match (course.agreed, course.leader) {
            (Some(agreed), Some(leader)) if agreed.latest <= in_time => {
                let who = if course.names.len() == 1 {
                    "1 node names"
                } else {
                    &format!("{} nodes name", course.names.len())
                };
                let after = seconds(after(agreed));
                (Outcome::Held, format!("{who} {leader}, {after} of {within} after the last disturbance"))
            }
            (Some(agreed), Some(_)) if agreed.earliest <= in_time => {
                (Outcome::Unknown, "agreed at about the limit: the times of the lines are not sure enough".into())
            }
            (Some(agreed), Some(_)) if agreed.earliest > elapses && known > elapses => {
                let after = exactly(after(agreed));
                (Outcome::Violated, format!("agreed only {after} after the last disturbance (limit {within})"))
            }
            (Some(agreed), None) if agreed.latest <= in_time && course.changed > known => {
                (Outcome::Unknown, format!("agreed in time, and changed their minds as the run ended: {named}"))
            }
            (None, _) | (_, None) if known > elapses => {
                (Outcome::Violated, format!("no agreement {within} after the last disturbance: {named}"))
            }
            _ if known > in_time => (Outcome::Unknown, format!("too late, but the bench itself was late: {named}")),
            _ => (Outcome::Unknown, format!("the run ended before the limit of {within}: {named}")),
        }
    }
}

impl Check for Agreement {
    fn judge(&self, history: &History) -> Finding {
        let Some(course) = self.course(history) else {
            return Finding::never_exercised("no node ran");
        };
        let checked = course.names.len() as u64;
        if checked == 0 {
            return Finding::never_exercised("no node of the target was alive at the end");
        }
        let (disturbance, since) = course.disturbed;
        let elapses = self.elapses(history, since);
        let (outcome, summary) = self.decide(&course, elapses, known_until(history));
        let finding = match outcome {
            Outcome::Held => return Finding::held(checked, summary),
            Outcome::Unknown => Finding::unknown(checked, summary),
            Outcome::Violated => Finding::violated(checked, 1, elapses, summary),
        };
        let finding = finding.showing_as(disturbance, "the last disturbance");
        let said = course.names.iter().filter_map(|(_, names)| *names);
        said.fold(finding, |finding, (_, number)| finding.showing(number))
    }

    fn open_until(&self, history: &History) -> Option<RunTime> {
        let course = self.course(history)?;
        let in_time = course.disturbed.1 + self.within;
        let has_agreed = course.leader.is_some() && course.agreed.is_some_and(|agreed| agreed.latest <= in_time);
        if course.names.is_empty() {
            return None;
        }
        let decided = decided_after(self.elapses(history, course.disturbed.1).max(course.changed));
        if has_agreed {
            // Minds that were made up before the last disturbance often change after it, and whatever nodes say may announce that: an
            // agreement is to stand in silence before a run ends with it. Some clusters are never silent.
            let quiet = course.disturbed.1.max(course.heard) + self.within / STANDS;
            return Some(quiet.min(decided));
        }
        Some(decided)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::check;
    use super::*;
    use crate::observation::{ActionVerb, Change};
    use crate::stories::{Story, ms, plausible_within, stretched};

    fn judged(story: &Story) -> Finding {
        check("agreement = { leads = 'leads', follows = 'follows.leader', within = '2s' }").judge(&story.history)
    }

    /// A cluster that agreed on `a`, which was then killed.
    fn bereft() -> Story {
        let mut story = Story::of(&["a", "b", "c"]);
        story.at(100).leads("a", 1).follows("b", "a").follows("c", "a").at(1000).kill("a");
        story
    }

    #[test]
    fn live_nodes_that_name_one_live_leader_in_time_are_accepted() {
        let mut story = bereft();
        story.at(2000).leads("b", 2).at(2500).follows("c", "b").at(9000).end();
        assert_eq!(judged(&story), Finding::held(2, "2 nodes name b, 1.50s of 2s after the last disturbance"));
    }

    #[test]
    fn agreement_on_the_dead_is_refused() {
        let finding = judged(bereft().at(9000).end());
        let wanted =
            "no agreement 2s after the last disturbance: b names a, c names a, and a is not alive or does not lead";
        assert_eq!((finding.summary.as_str(), finding.at), (wanted, Some(ms(3000))));
    }

    #[test]
    fn two_leaders_and_silent_nodes_are_refused() {
        let mut story = bereft();
        story.at(2000).leads("b", 2).leads("c", 2).at(2500).restart("a").at(9000).end();
        let finding = judged(&story);
        assert_eq!(finding.summary, "no agreement 2s after the last disturbance: a names nobody, b itself, c itself");
    }

    #[test]
    fn a_late_agreement_is_refused_and_one_that_fell_apart_too() {
        let mut story = bereft();
        story.at(2000).leads("b", 2).at(3001).follows("c", "b").at(9000);
        let mut apart = story.clone();
        assert_eq!(judged(story.end()).summary, "agreed only 2.001s after the last disturbance (limit 2s)");
        apart.at(9500).leads("c", 3).at(9900).end();
        assert_eq!(judged(&apart).outcome, Outcome::Violated);
    }

    #[test]
    fn before_the_limit_it_is_unknown_and_keeps_the_run_open() {
        let mut story = bereft();
        story.at(2000).leads("b", 2);
        let check = check("agreement = { leads = 'leads', follows = 'follows.leader', within = '2s' }");
        assert_eq!(check.open_until(&story.history), Some(ms(3100) + Duration::from_nanos(1)));
        let mut cut = story.clone();
        assert_eq!(judged(cut.at(2900).end()).outcome, Outcome::Unknown);
        story.at(2500).follows("c", "b");
        assert_eq!(
            (check.open_until(&story.history), judged(&story).outcome),
            (Some(ms(2700)), Outcome::Held),
            "it is to stand for a while"
        );
    }

    #[test]
    fn a_frozen_leader_is_not_one_and_frozen_followers_need_not_answer() {
        let mut story = Story::of(&["a", "b", "c"]);
        story.at(100).leads("a", 1).follows("b", "a").at(1000);
        let mut leader = story.clone();
        assert_eq!(judged(story.pause("c").at(9000).end()).outcome, Outcome::Held);
        assert_eq!(judged(leader.follows("c", "a").pause("a").at(9000).end()).outcome, Outcome::Violated);
    }

    /// The definition, by looking back from every instant: does everybody who is alive then name the same living leader?
    fn agrees(history: &History, number: u64) -> bool {
        let seen = &history.observations()[..=number as usize];
        let is_live = |node: &str| {
            let of_node = |life: &Life| &*life.node == node;
            seen.iter().fold(false, |live, observation| match &observation.what {
                What::Process(process) if of_node(&process.of) => match process.change {
                    Change::Started { .. } => true,
                    Change::Exited { .. } => false,
                    _ => live,
                },
                What::Action(action) if action.hit.iter().any(of_node) => match action.verb {
                    ActionVerb::Kill | ActionVerb::Pause => false,
                    ActionVerb::Resume => true,
                    _ => live,
                },
                _ => live,
            })
        };
        let names = |node: &str| names(history, number, node);
        let voters: Vec<_> = crate::stories::NODES.into_iter().filter(|node| is_live(node)).collect();
        let Some(leader) = voters.first().and_then(|voter| names(voter)) else { return false };
        voters.iter().all(|voter| names(voter).as_ref() == Some(&leader))
            && is_live(&leader)
            && names(&leader).as_ref() == Some(&leader)
    }

    /// Whom a node names after an observation.
    fn names(history: &History, number: u64, node: &str) -> Option<String> {
        history.observations()[..=number as usize].iter().fold(None, |names, observation| match &observation.what {
            What::Process(process) if &*process.of.node == node => None,
            What::Event(event) if &*event.of.node == node => match (&*event.name, event.field("leader")) {
                ("leads", _) => Some(node.to_owned()),
                ("follows", Some(Value::Node(leader))) if **leader != *node => Some(leader.to_string()),
                ("follows", _) => names.filter(|names| names == node),
                _ => names,
            },
            _ => names,
        })
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition(history in plausible_within(8, 1, 14)) {
            prop_assume!(history.stalls().len() == 0);
            let check = check("agreement = { leads = 'leads', follows = 'follows.leader', within = '900ms' }");
            let finding = check.judge(&stretched(&history, 100));
            let (last, since) = disturbance::last(&history).unwrap();
            let end = history.judged().last().unwrap().number;
            let in_time = (last..=end).any(|number| {
                agrees(&history, number) && history.observations()[number as usize].at <= since + Duration::from_millis(9)
            });
            let at_the_end = agrees(&history, end);
            // What was written in the last 100 ms may still be on its way.
            let known = history.horizon() - Duration::from_millis(1);
            let has_elapsed = known > since + Duration::from_millis(9);
            let changes = |number: &u64| match &history.observations()[*number as usize].what {
                What::Event(event) => {
                    names(&history, *number, &event.of.node) != names(&history, number - 1, &event.of.node)
                }
                _ => false,
            };
            let last_change = (1..=end).rev().find(changes);
            let is_settled = last_change.is_none_or(|number| history.observations()[number as usize].at <= known);
            let expected = match (in_time, at_the_end, has_elapsed) {
                _ if finding.checked == 0 => Outcome::Unknown,
                (true, true, _) => Outcome::Held,
                (true, false, _) if !is_settled => Outcome::Unknown,
                (_, _, true) => Outcome::Violated,
                (_, _, false) => Outcome::Unknown,
            };
            prop_assert_eq!(finding.outcome, expected, "{:?}", finding);
        }
    }
}
