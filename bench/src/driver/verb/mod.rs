//! The verbs of steps: how each is performed. This file is their table of contents.

mod act;
mod bind;
mod exec;
mod input;
mod network;
mod signal;

use dsbench_core::observation::{Action, ActionVerb, Life, Name, Origin, What};
use dsbench_core::scenario::Verb;
use dsbench_core::target::{Aim, Eligible, Target};
use dsbench_core::time::RunTime;

use super::Driver;
use super::job::{ProcessKey, Stage};
pub(super) use input::Typing;

/// How far a verb has come when it returns.
#[derive(Debug)]
pub(super) enum Acted {
    /// The step is done.
    Done,
    /// The step is done when a job of these stages is.
    Job(Vec<Stage>),
    /// The step is done when its condition holds.
    Looking,
    /// Something is on its way that will say when the step is done.
    Pending,
}

impl Driver<'_> {
    /// Performs the step's verb; the error is for people.
    pub(super) fn perform_verb(&mut self, verb: &Verb, step: usize) -> Result<Acted, String> {
        match verb {
            Verb::Act(act) => self.act(act, step),
            Verb::Network(act) => self.network_step(act, step),
            Verb::Nemesis(verb) => Ok(self.nemesis_step(*verb, step)),
            Verb::Call(call) => self.call_step(call, step),
            Verb::Workload(verb, name) => Ok(self.workload_step(*verb, name, step)),
            Verb::Signal(signal, to) => self.signal(*signal, to, step),
            Verb::Input(input) => self.type_lines(input, step),
            Verb::Exec(exec) => self.exec_step(exec, step),
            Verb::Wait(_) | Verb::Expect(_) | Verb::Settle(_) => Ok(Acted::Looking),
            Verb::Mark(_) | Verb::Bind => Ok(Acted::Done),
            Verb::End => {
                self.end(dsbench_core::observation::Ending::EndStep);
                Ok(Acted::Pending)
            }
        }
    }

    /// Records what is about to be done.
    pub(super) fn record_action(&mut self, action: Action) -> u64 {
        let now = self.now();
        self.record_action_at(now, action)
    }

    /// Records what was done, at the instant at which it was.
    pub(super) fn record_action_at(&mut self, at: RunTime, action: Action) -> u64 {
        self.ending.has_faulted |= action.verb.is_fault();
        let setup = self.is_in_setup();
        let action = Action { setup, ..action };
        self.record(at, What::Action(action.into()))
    }

    /// Whom a target hits, at this moment.
    pub(super) fn aims(&self, target: &Target, eligible: Eligible, step: usize) -> Result<Vec<Aim>, String> {
        // One stream per step, so that changing one step does not change whom another one hits.
        let mut random = self.plan.random_of_step(step);
        target.resolve(&self.cluster, eligible, &mut random).map_err(|empty| empty.to_string())
    }

    /// The same, as the elements of a list have them.
    fn aims_in_stages(&self, target: &Target, eligible: Eligible, step: usize) -> Result<Vec<Vec<Aim>>, String> {
        let mut random = self.plan.random_of_step(step);
        target.resolve_in_stages(&self.cluster, eligible, &mut random).map_err(|empty| empty.to_string())
    }

    /// The processes that an aim means: one, or all of the node.
    fn processes_at(&self, aim: &Aim) -> Vec<ProcessKey> {
        let of_node = self.processes_of(std::slice::from_ref(&aim.node));
        of_node.into_iter().filter(|key| aim.process.as_ref().is_none_or(|process| *process == key.process)).collect()
    }

    /// The process that a word to a node is meant for: the one that is named, else its main one.
    pub(super) fn addressee(&self, aim: &Aim) -> ProcessKey {
        let process = aim.process.clone().unwrap_or_else(|| dsbench_core::observation::MAIN.into());
        ProcessKey { node: aim.node.clone(), process }
    }

    /// What is about to be done, with what it hits: every life of these processes that is alive. To be recorded before it is done.
    pub(super) fn action_on(&self, verb: ActionVerb, keys: &[ProcessKey], origin: Origin) -> Action {
        let mut nodes: Vec<Name> = keys.iter().map(|key| key.node.clone()).collect();
        nodes.sort();
        nodes.dedup();
        Action::new(verb, nodes, self.lives(keys)).asked_by(origin)
    }

    /// Every life of these processes that is alive.
    pub(super) fn lives(&self, keys: &[ProcessKey]) -> Vec<Life> {
        let alive = |key: &&ProcessKey| self.process(key).life > 0 && self.world.is_alive(&self.process(key).life());
        keys.iter().filter(alive).map(|key| self.process(key).life()).collect()
    }

    /// Every life that is alive of whomever these mean.
    pub(super) fn lives_of(&self, aims: &[Aim]) -> Vec<Life> {
        let keys: Vec<_> = aims.iter().flat_map(|aim| self.processes_at(aim)).collect();
        self.lives(&keys)
    }
}
