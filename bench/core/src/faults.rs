//! What was being done to the cluster, and when: the first question of whoever reads a failed run.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::history::{History, Seen};
use crate::network::{Paths, RuleTraffic};
use crate::observation::{Action, ActionVerb, Life, Name, Origin, whom};
use crate::source::SourceLine;
use crate::time::RunTime;

/// A fault that the bench injected, and for how long each process suffered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault<'h> {
    /// The observation of it.
    pub number: u64,
    /// When.
    pub at: RunTime,
    /// What was done, to whom, by which step.
    pub action: &'h Action,
    /// One for each process that it hit. Empty: it hit nothing, or nothing but the network.
    pub effects: Vec<Effect<'h>>,
    /// What it did to the network, if it is a fault of that.
    pub network: Option<OnNetwork<'h>>,
}

/// What a fault did to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnNetwork<'h> {
    /// Until when it was in force: healed, or replaced by another partition. None if the run ended before.
    pub until: Option<RunTime>,
    /// What became of frames; none if that was not counted.
    pub did: Option<&'h RuleTraffic>,
}

/// What a fault did to one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect<'h> {
    /// Which process, in the life that was hit.
    pub of: &'h Life,
    /// Until when: a pause, until it was thawed or ended; a kill, stop or restart, until its next life began; a signal, no time at all. None if
    /// the run ended before.
    pub until: Option<RunTime>,
}

impl Fault<'_> {
    /// True if a process suffered it, or the network, at this instant.
    pub fn is_active(&self, at: RunTime) -> bool {
        let ends = match &self.network {
            Some(network) => vec![network.until],
            None => self.effects.iter().map(|effect| effect.until).collect(),
        };
        self.at <= at && ends.iter().any(|end| end.is_none_or(|until| at < until))
    }

    /// When all of it was over; none if something of it never was.
    pub fn until(&self) -> Option<RunTime> {
        match &self.network {
            Some(network) => network.until,
            None => self.effects.iter().filter_map(|effect| effect.until).max(),
        }
    }

    /// True if no process was there whom it could have hit. Network faults are in force whoever is there.
    pub fn has_missed(&self) -> bool {
        self.network.is_none() && self.effects.is_empty()
    }
}

/// Every fault of a run, by number.
pub fn faults(history: &History) -> impl Iterator<Item = Fault<'_>> {
    let book = Book::of(history);
    history.actions().filter(|action| action.what.verb.is_fault()).map(move |action| book.fault(action))
}

/// Every fault of the nemesis, by number: a restart is one here, because it was drawn as one.
pub fn faults_of_nemesis(history: &History) -> impl Iterator<Item = Fault<'_>> {
    let is_drawn = |action: &Action| action.nemesis.is_some() && action.undoes.is_none();
    let book = Book::of(history);
    history.actions().filter(move |action| is_drawn(action.what)).map(move |action| book.fault(action))
}

/// What one must have read to the end to know how long a fault lasted.
struct Book<'h> {
    history: &'h History,
    /// When network faults were over, by their observations.
    over: BTreeMap<u64, RunTime>,
    /// What their rules did.
    did: BTreeMap<u64, &'h RuleTraffic>,
}

impl<'h> Book<'h> {
    fn of(history: &'h History) -> Self {
        let mut over = BTreeMap::new();
        for action in history.actions() {
            action.what.ends.iter().for_each(|ended| _ = over.entry(*ended).or_insert(action.at));
        }
        // Each tells all that was before, so the last one holds; of a rule that is gone, the last in which it is named.
        let counted = history.traffic().flat_map(|traffic| &traffic.what.rules);
        let did = counted.map(|rule| (rule.rule, rule)).collect();
        Self { history, over, did }
    }

    fn fault(&self, Seen { number, at, what }: Seen<'h, Action>) -> Fault<'h> {
        let is_on_network = what.verb.is_network();
        let end = self.over.get(&number).copied();
        let network = is_on_network.then(|| OnNetwork { until: end, did: self.did.get(&number).copied() });
        let until = |of| if is_on_network { end } else { until(self.history, at, what.verb, of) };
        let effects = what.hit.iter().map(|of| Effect { of, until: until(of) }).collect();
        Fault { number, at, action: what, effects, network }
    }
}

fn until(history: &History, at: RunTime, verb: ActionVerb, of: &Life) -> Option<RunTime> {
    match verb {
        ActionVerb::Pause => {
            let life = history.life(of)?;
            let pause = life.pauses.iter().rev().find(|pause| pause.from <= at)?;
            let exited = life.exited.map(|exited| exited.at);
            pause.until.into_iter().chain(exited).min()
        }
        ActionVerb::Kill | ActionVerb::Stop | ActionVerb::Restart => {
            // A life that could not be started has no number in between.
            let later = history.lives(&of.node).filter(|life| life.of.process == of.process && life.of.life > of.life);
            later.min_by_key(|life| life.of.life).map(|next| next.started)
        }
        ActionVerb::Start | ActionVerb::Resume | ActionVerb::Signal | ActionVerb::Input => Some(at),
        ActionVerb::Partition | ActionVerb::Heal | ActionVerb::Link | ActionVerb::Unplug | ActionVerb::Plug => Some(at),
    }
}

/// What was being done at a moment, or was done last before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circumstance {
    /// The observation of the action.
    pub observation: u64,
    /// What was done.
    pub verb: ActionVerb,
    /// To whom.
    pub nodes: Vec<Name>,
    /// On which links, if it was done to the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Paths>,
    /// What a link does to frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
    /// When.
    pub at: RunTime,
    /// True if it was in force at the moment; false if it was only the last thing done.
    pub is_active: bool,
    /// The step that asked for it, by index from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// The fault of the nemesis that asked for it, by index from 0 in its schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nemesis: Option<usize>,
    /// A person asked for it while the cluster ran.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
    /// How that step is called, if it set the scene: `setup 1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<String>,
    /// The line of that step in the scenario.
    #[serde(flatten)]
    pub line: Option<SourceLine>,
}

impl fmt::Display for Circumstance {
    /// `pause peer3 since T+4.100s (step 2, line 41)`; `restart peer2 at ...` for what was done last and is over.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_active { "since" } else { "at" };
        let whom = whom(&self.nodes, self.links.as_ref(), self.with.as_deref());
        write!(f, "{} {whom} {word} {}", self.verb.key(), self.at)?;
        let step = match (Origin::of(self.step, self.nemesis, self.by_hand), &self.setup) {
            (Origin::Bench, _) => return Ok(()),
            (Origin::Step(_), Some(setup)) => setup.clone(),
            (step @ Origin::Step(_), None) => step.to_string(),
            (other, _) => return write!(f, " {other}"),
        };
        match &self.line {
            Some(line) => write!(f, " ({step}, line {line})"),
            None => write!(f, " ({step})"),
        }
    }
}

/// The faults in force at a moment; if there are none, the last thing that was done before it. `place` says how a step is called (`step 3`)
/// and gives its line.
pub fn circumstances(
    history: &History,
    at: RunTime,
    place: impl Fn(usize) -> Option<(String, SourceLine)>,
) -> Vec<Circumstance> {
    let circumstance = |number, action: &Action, when, is_active| Circumstance {
        observation: number,
        verb: action.verb,
        nodes: action.nodes.clone(),
        links: action.links.clone(),
        with: action.with.clone().filter(|_| action.verb.is_network()),
        at: when,
        is_active,
        step: action.step,
        nemesis: action.nemesis,
        by_hand: action.by_hand,
        setup: action.step.filter(|_| action.setup).and_then(&place).map(|(label, _)| label),
        line: action.step.and_then(&place).map(|(_, line)| line),
    };
    let active = faults(history).filter(|fault| fault.is_active(at));
    let active: Vec<_> = active.map(|fault| circumstance(fault.number, fault.action, fault.at, true)).collect();
    if !active.is_empty() {
        return active;
    }
    let mut done = history.actions().rev().filter(|action| action.what.verb != ActionVerb::Input && action.at <= at);
    done.next().map(|last| circumstance(last.number, last.what, last.at, false)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Change, ProcessChange, What};
    use crate::stories::{Story, ms};

    fn told(story: &Story, at: u64) -> Vec<String> {
        let place = |step: usize| Some((format!("setup {}", step + 1), (step as u32 + 40).into()));
        circumstances(&story.history, ms(at), place).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn faults_are_in_force_until_they_are_undone() {
        let mut story = Story::of(&["a", "b"]);
        story.at(100).pause("a").at(200).kill("b").at(300).resume("a").at(400).restart("b");
        assert_eq!(told(&story, 50), Vec::<String>::new());
        assert_eq!(told(&story, 100), ["pause a since T+0.100s (step 1, line 40)"]);
        assert_eq!(told(&story, 250).len(), 2);
        assert_eq!(told(&story, 350), ["kill b since T+0.200s (step 1, line 40)"]);
        assert_eq!(told(&story, 400), ["restart b at T+0.400s (step 1, line 40)"]);
    }

    #[test]
    fn a_fault_names_who_asked_for_it() {
        let mut story = Story::of(&["a"]);
        let pause = |hit| Action::new(ActionVerb::Pause, vec!["a".into()], vec![hit]);
        let hit = story.life("a");
        story.at(100).push(What::Action(pause(hit.clone()).asked_by(Origin::Nemesis(2)).into()));
        story.push(What::Action(pause(hit).asked_by(Origin::Hand).into()));
        assert_eq!(
            told(&story, 100),
            ["pause a since T+0.100s by the nemesis (fault 3)", "pause a since T+0.100s by hand"]
        );
    }

    #[test]
    fn a_killed_node_is_down_until_it_runs_again_also_if_a_start_failed_in_between() {
        let mut story = Story::of(&["a"]);
        let second = Life { life: 2, ..story.life("a") };
        let third = Life { life: 3, ..second.clone() };
        let change = |of: &Life, change| What::Process(ProcessChange { of: of.clone(), change });
        story.at(100).kill("a");
        story.at(200).push(change(&second, Change::NotStarted { why: "not there".into() }));
        let until = |story: &Story| faults(&story.history).next().and_then(|fault| fault.effects[0].until);
        assert_eq!(until(&story), None);
        story.at(300).push(change(&third, Change::Started { pid: 7 }));
        assert_eq!(until(&story), Some(ms(300)));
        assert_eq!(told(&story, 250), ["kill a since T+0.100s (step 1, line 40)"]);
        assert_eq!(told(&story, 350), ["kill a at T+0.100s (step 1, line 40)"]);
    }

    #[test]
    fn a_pause_ends_with_the_life_and_a_fault_that_hit_nothing_is_never_in_force() {
        let mut story = Story::of(&["a"]);
        story.at(100).pause("a").at(200).kill("a").at(250).act(ActionVerb::Pause, "a", false).at(300).restart("a");
        assert_eq!(told(&story, 260), ["kill a since T+0.200s (step 1, line 40)"]);
        assert_eq!(faults(&story.history).map(|fault| fault.effects.len()).collect::<Vec<_>>(), [1, 1, 0]);
    }

    #[test]
    fn a_partition_is_in_force_until_it_is_healed_or_replaced_whoever_lives() {
        let mut story = Story::of(&["a", "b", "c"]);
        let group = |nodes: &[&str]| nodes.iter().map(|node| Name::from(*node)).collect::<Vec<_>>();
        let cut = |alone: &str, rest: &[&str], ends: &[u64]| {
            let links = Some(Paths::Apart(vec![group(&[alone]), group(rest)]));
            let action = Action::new(ActionVerb::Partition, group(&[alone]), Vec::new()).asked_by(Origin::Step(1));
            What::Action(Action { links, ends: ends.to_vec(), ..action }.into())
        };
        let first = story.history.next_number();
        story.at(100).push(cut("a", &["b", "c"], &[])).at(200).push(cut("b", &["a", "c"], &[first]));
        let heal = Action { ends: vec![first + 1], ..Action::new(ActionVerb::Heal, group(&["b"]), Vec::new()) };
        story.at(300).push(What::Action(heal.into()));
        assert_eq!(told(&story, 150), ["partition {a} | {b, c} since T+0.100s (step 2, line 41)"]);
        assert_eq!(told(&story, 200), ["partition {b} | {a, c} since T+0.200s (step 2, line 41)"]);
        assert_eq!(told(&story, 300), ["heal b at T+0.300s"]);
        assert!(faults(&story.history).all(|fault| !fault.has_missed() && fault.until().is_some()));
    }
}
