//! What was being done to the cluster, and when: the first question of whoever reads a failed run.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::history::{History, Seen};
use crate::observation::{Action, ActionVerb, Life, Name, Origin};
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
    /// One for each process that it hit. Empty: it hit nothing.
    pub effects: Vec<Effect<'h>>,
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
    /// True if a process suffered it at this instant.
    pub fn is_active(&self, at: RunTime) -> bool {
        self.at <= at && self.effects.iter().any(|effect| effect.until.is_none_or(|until| at < until))
    }
}

/// Every fault of a run, by number.
pub fn faults(history: &History) -> impl Iterator<Item = Fault<'_>> {
    history.actions().filter(|action| action.what.verb.is_fault()).map(|action| fault(history, action))
}

/// Every fault of the nemesis, by number: a restart is one here, because it was drawn as one.
pub fn faults_of_nemesis(history: &History) -> impl Iterator<Item = Fault<'_>> {
    let is_drawn = |action: &Action| action.nemesis.is_some() && action.undoes.is_none();
    history.actions().filter(move |action| is_drawn(action.what)).map(|action| fault(history, action))
}

fn fault<'h>(history: &'h History, Seen { number, at, what }: Seen<'h, Action>) -> Fault<'h> {
    let effects = what.hit.iter().map(|of| Effect { of, until: until(history, at, what.verb, of) });
    Fault { number, at, action: what, effects: effects.collect() }
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
        write!(f, "{} {} {word} {}", self.verb.key(), self.nodes.join(", "), self.at)?;
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
}
