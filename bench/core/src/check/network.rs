//! What network faults add to a verdict: those that met no frame, and frames that the bench itself lost.
//!
//! A link that is cut while nobody speaks over it has tested nothing. Where that is so of every fault of a kind, the run must not pass for
//! more than it was; where some did what they were for, the others are told. Random faults are judged together: it is chance that one of
//! them falls into a pause or another fault.

use std::collections::{BTreeMap, BTreeSet};

use super::StepPlace;
use crate::faults::{Fault, faults};
use crate::history::History;
use crate::judgement::Judgement;
use crate::network::Traffic;
use crate::observation::{Action, ActionVerb};
use crate::verdict::{Reason, Warning};

/// What speaks against the run: kinds of fault of which none did anything.
pub(super) fn reasons(history: &History, steps: &[StepPlace]) -> Vec<Reason> {
    let of_idle = |idle: Vec<Fault<'_>>| {
        let first = &idle[0];
        let more = match idle.len() - 1 {
            0 => String::new(),
            more => format!(" (and so did {more} more of its kind)"),
        };
        let text = format!("{}{more}, so nothing was tested by it", did_nothing(first));
        let line = place(first, steps);
        Reason { judgement: Judgement::Inconclusive, text, line, observation: Some(first.number) }
    };
    Counted::of(history).only_idle().map(of_idle).collect()
}

/// What does not speak against it: faults that did nothing beside others of their kind that did, and what the bench could not carry.
pub(super) fn warnings(history: &History, steps: &[StepPlace]) -> Vec<Warning> {
    let of_idle = |fault: Fault<'_>| Warning {
        text: did_nothing(&fault),
        line: place(&fault, steps),
        observation: Some(fault.number),
    };
    let odd = history.traffic().last().into_iter().flat_map(|traffic| {
        let Traffic { overruns, forged, unrecorded, .. } = *traffic.what;
        let told = [
            (overruns, "frames were lost by the bench itself, because the machine was too slow: that was no fault of the scenario"),
            (forged, "frames claimed to be from another node's address, and were not carried (`addresses` in [network] names those that may move)"),
            (unrecorded, "packets and messages are in no record, because the disk was too slow or full"),
        ];
        let told = told.into_iter().filter(|(count, _)| *count > 0);
        told.map(move |(count, what)| Warning { text: format!("{count} {what}"), line: None, observation: Some(traffic.number) })
    });
    Counted::of(history).idle_beside_others().map(of_idle).chain(odd).collect()
}

/// The faults whose frames were counted, by kind: those that did something, and those that did not.
#[derive(Default)]
struct Counted<'h> {
    busy: BTreeSet<Kind>,
    idle: BTreeMap<Kind, Vec<Fault<'h>>>,
}

/// Faults of which one at least must do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Asked for by somebody.
    Asked(ActionVerb),
    /// Whatever the nemesis draws.
    Drawn,
}

impl Kind {
    fn of(action: &Action) -> Self {
        if action.nemesis.is_some() { Self::Drawn } else { Self::Asked(action.verb) }
    }
}

impl<'h> Counted<'h> {
    fn of(history: &'h History) -> Self {
        let mut counted = Self::default();
        for fault in faults(history) {
            let kind = Kind::of(fault.action);
            match fault.network.and_then(|network| network.did) {
                Some(did) if did.acted() => _ = counted.busy.insert(kind),
                Some(_) => counted.idle.entry(kind).or_default().push(fault),
                // A process was hit, or a cable is out, whether or not a frame was to go over it.
                None if fault.network.is_none() && fault.action.has_hit() => _ = counted.busy.insert(kind),
                None if fault.action.verb == ActionVerb::Unplug => _ = counted.busy.insert(kind),
                // What was not counted is not known.
                None => {}
            }
        }
        counted
    }

    fn only_idle(self) -> impl Iterator<Item = Vec<Fault<'h>>> {
        let Self { busy, idle } = self;
        idle.into_iter().filter(move |(kind, _)| !busy.contains(kind)).map(|(_, faults)| faults)
    }

    fn idle_beside_others(self) -> impl Iterator<Item = Fault<'h>> {
        let Self { busy, idle } = self;
        idle.into_iter().filter(move |(kind, _)| busy.contains(kind)).flat_map(|(_, faults)| faults)
    }
}

/// `partition {a} | {b} at T+1.000s met no frame`
fn did_nothing(fault: &Fault<'_>) -> String {
    let met = fault.network.and_then(|network| network.did).map_or(0, |did| did.matched);
    let what = match met {
        0 => "met no frame".to_owned(),
        1 => "met one frame and did nothing to it".to_owned(),
        met => format!("met {met} frames and did nothing to them"),
    };
    format!("{} {} at {} {what}", fault.action.verb.key(), fault.action.whom(), fault.at)
}

fn place(fault: &Fault<'_>, steps: &[StepPlace]) -> Option<crate::source::SourceLine> {
    fault.action.step.and_then(|step| steps.get(step)).map(|place| place.line.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Paths, RuleTraffic};
    use crate::observation::{Origin, What};
    use crate::stories::Story;

    fn fault(story: &mut Story, verb: ActionVerb, to: &str) -> u64 {
        let number = story.history.next_number();
        let links = Some(Paths::Between(vec!["a".into()], vec![to.into()]));
        let action = Action { links, ..Action::new(verb, vec!["a".into()], Vec::new()) };
        story.push(What::Action(action.into()));
        number
    }

    fn counted(story: &mut Story, rules: &[(u64, u64, u64)], overruns: u64) {
        let rules = rules.iter().map(|&(rule, matched, dropped)| RuleTraffic {
            rule,
            matched,
            dropped,
            ..RuleTraffic::default()
        });
        let traffic = Traffic { rules: rules.collect(), overruns, ..Traffic::default() };
        story.push(What::Traffic(traffic.into()));
    }

    fn told(story: &Story) -> (Vec<String>, Vec<String>) {
        let reasons = reasons(&story.history, &[]).into_iter().map(|reason| reason.text).collect();
        (reasons, warnings(&story.history, &[]).into_iter().map(|warning| warning.text).collect())
    }

    #[test]
    fn a_kind_of_fault_that_met_no_frame_is_no_pass() {
        let mut story = Story::of(&["a", "b", "c"]);
        let cut = fault(story.at(1000), ActionVerb::Partition, "b");
        let again = fault(&mut story, ActionVerb::Partition, "c");
        let slow = fault(&mut story, ActionVerb::Link, "c");
        counted(&mut story, &[(cut, 0, 0), (again, 0, 0), (slow, 7, 7)], 0);
        let text =
            "partition a <-> b at T+1.000s met no frame (and so did 1 more of its kind), so nothing was tested by it";
        assert_eq!(told(&story), (vec![text.to_owned()], Vec::new()));
    }

    #[test]
    fn one_that_did_nothing_beside_others_that_did_is_only_told() {
        let mut story = Story::of(&["a", "b", "c"]);
        let (idle, busy) = (fault(story.at(1000), ActionVerb::Link, "b"), fault(&mut story, ActionVerb::Link, "c"));
        counted(&mut story, &[(idle, 3, 0)], 0);
        counted(&mut story, &[(busy, 3, 2)], 5);
        let told = told(&story);
        assert_eq!(told.0, Vec::<String>::new());
        assert_eq!(told.1[0], "link a <-> b at T+1.000s met 3 frames and did nothing to them");
        assert!(told.1[1].starts_with("5 frames were lost by the bench itself"), "{told:?}");
    }

    #[test]
    fn random_faults_are_judged_together() {
        let mut story = Story::of(&["a", "b"]);
        let cut = fault(story.at(1000), ActionVerb::Partition, "b");
        counted(&mut story, &[(cut, 0, 0)], 0);
        assert_eq!(told(&story).0.len(), 1, "this one was asked for");

        let drawn = |verb, links| Action { links, ..Action::new(verb, vec!["a".into()], Vec::new()) };
        let mut story = Story::of(&["a", "b"]);
        let cut = story.at(1000).history.next_number();
        let links = Some(Paths::Between(vec!["a".into()], vec!["b".into()]));
        story.push(What::Action(drawn(ActionVerb::Partition, links).asked_by(Origin::Nemesis(0)).into()));
        counted(&mut story, &[(cut, 0, 0)], 0);
        assert_eq!(told(&story).0.len(), 1, "nothing else was drawn");
        let kill = Action { hit: vec![story.life("b")], ..drawn(ActionVerb::Kill, None) };
        story.push(What::Action(kill.asked_by(Origin::Nemesis(1)).into()));
        let (reasons, warnings) = told(&story);
        assert_eq!((reasons.len(), warnings.len()), (0, 1), "a process was hit: {warnings:?}");
    }

    #[test]
    fn what_was_not_counted_is_not_held_against_it() {
        let mut story = Story::of(&["a", "b"]);
        fault(story.at(1000), ActionVerb::Unplug, "b");
        assert_eq!(told(&story), (Vec::new(), Vec::new()));
    }
}
