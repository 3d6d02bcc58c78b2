//! What a condition asks the world itself: an open port, a good answer, a command that succeeds. Asked again until the answer is good.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use dsbench_core::condition::{Part, Probe};
use dsbench_core::observation::{Exit, MAIN};
use dsbench_core::plan::Plan;
use dsbench_world::{Executed, HttpGet, ProbeId, ProbeSpec};

use super::exec::{AskedBy, outcome};
use super::http::Question;
use super::job::ProcessKey;
use super::program::{Setting, resolve};
use super::{Driver, Due};

/// The time from an answer that was not good to the next question.
const AGAIN: Duration = Duration::from_millis(100);
/// A connection that hangs is given up.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// Questions on their way.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// Every address that a step asks for: a name server that does not answer must not hold up a run.
    addresses: BTreeMap<String, SocketAddr>,
    /// The same for URLs, with what is asked there.
    urls: BTreeMap<String, Question>,
    /// Connections on their way, with an HTTP request or without.
    connections: BTreeMap<ProbeId, (usize, usize)>,
    /// Programs of a question that are not over, and what was wrong with those that are: by (step, question).
    exec: BTreeMap<(usize, usize), (usize, Option<String>)>,
}

impl Questions {
    /// Looks up what the steps will ask for. The error names the step.
    pub(super) fn of(plan: &Plan, setting: &Setting) -> Result<Self, String> {
        let (mut addresses, mut urls) = (BTreeMap::new(), BTreeMap::new());
        for step in plan.scenario.all_steps() {
            for part in step.conditions().flat_map(|condition| &condition.parts) {
                match part {
                    Part::Probe(Probe::Tcp { address }) => {
                        let text = setting.expand(address);
                        let found = resolve(&text).map_err(|why| format!("{}: tcp: {why}", step.label()))?;
                        addresses.insert(text, found);
                    }
                    Part::Probe(Probe::Http(http)) => {
                        let url = setting.expand(&http.url);
                        let asked = Question::of(http, &url).map_err(|why| format!("{}: http: {why}", step.label()))?;
                        urls.insert(url, asked);
                    }
                    Part::Probe(Probe::Exec { .. }) | Part::Event(_) | Part::Operation(_) => {}
                }
            }
        }
        Ok(Self { addresses, urls, ..Self::default() })
    }
}

impl Driver<'_> {
    /// Asks every question of the condition that the current step looks at.
    pub(super) fn ask_all_probes(&mut self) {
        let step = self.steps.current();
        let questions: Vec<usize> =
            self.steps.watch().map(|watch| watch.probes().map(|(index, _)| index).collect()).unwrap_or_default();
        for question in questions {
            self.ask_condition(step, question);
        }
    }

    pub(super) fn ask_condition(&mut self, step: usize, question: usize) {
        if step != self.steps.current() {
            return;
        }
        let Some(watch) = self.steps.watch() else { return };
        let Some(probe) = watch.probes().find(|(index, _)| *index == question).map(|(_, probe)| probe.clone()) else {
            return;
        };
        if let Err(why) = self.ask(&probe, step, question) {
            self.answer(step, question, Err(why));
        }
    }

    fn ask(&mut self, probe: &Probe, step: usize, question: usize) -> Result<(), String> {
        match probe {
            Probe::Tcp { address } => {
                let text = self.setting.expand(address);
                let addr = *self.questions.addresses.get(&text).ok_or_else(|| format!("`{text}` was not looked up"))?;
                let id = self.world.probe(ProbeSpec { addr, within: CONNECT_WITHIN, http: None });
                self.questions.connections.insert(id, (step, question));
            }
            Probe::Http(http) => {
                let url = self.setting.expand(&http.url);
                let asked = self.questions.urls.get(&url).ok_or_else(|| format!("`{url}` was not looked up"))?;
                // Several steps may want other answers from there.
                let get = HttpGet { status: http.status, ..asked.get.clone() };
                let id = self.world.probe(ProbeSpec { addr: asked.addr, within: CONNECT_WITHIN, http: Some(get) });
                self.questions.connections.insert(id, (step, question));
            }
            Probe::Exec { command, on: None, .. } => {
                let program = self.setting.bench_program(command);
                self.questions.exec.insert((step, question), (1, None));
                self.exec(program, self.setting.bench_machine(), AskedBy::Condition { step, question })?;
            }
            Probe::Exec { command, on: Some(on), .. } => {
                let nodes: Vec<_> = on.members(&self.cluster).into_iter().cloned().collect();
                if nodes.is_empty() {
                    return Err(format!("`{on}` is nobody at this moment"));
                }
                for node in &nodes {
                    let main = ProcessKey { node: node.clone(), process: MAIN.into() };
                    self.process(&main).spec.refuse_lacking(command)?;
                }
                self.questions.exec.insert((step, question), (nodes.len(), None));
                for node in nodes {
                    let process = self.process(&ProcessKey { node, process: MAIN.into() });
                    let program = process.spec.program(command, process.life.max(1));
                    let machine = process.spec.machine.clone();
                    self.exec(program, machine, AskedBy::Condition { step, question })?;
                }
            }
        }
        Ok(())
    }

    /// A connection was made or not; true if it was one of these.
    pub(super) fn condition_probed(&mut self, id: ProbeId, result: Result<(), String>) -> bool {
        let Some((step, question)) = self.questions.connections.remove(&id) else { return false };
        self.answer(step, question, result);
        true
    }

    /// A program of a question has ended; the question is answered when the last one has.
    pub(super) fn condition_executed(&mut self, step: usize, question: usize, result: &Executed) {
        let wanted = self.steps.watch().and_then(|watch| {
            watch.probes().find_map(|(index, probe)| match probe {
                Probe::Exec { exit, .. } if index == question => Some(*exit),
                _ => None,
            })
        });
        let Some((open, wrong)) = self.questions.exec.get_mut(&(step, question)) else { return };
        *open -= 1;
        if wanted.is_none_or(|wanted| result.ended != Ok(Exit::Code(wanted))) {
            wrong.get_or_insert_with(|| outcome(result));
        }
        if *open == 0 {
            let answer = wrong.take().map_or(Ok(()), Err);
            self.questions.exec.remove(&(step, question));
            self.answer(step, question, answer);
        }
    }

    fn answer(&mut self, step: usize, question: usize, answer: Result<(), String>) {
        if step != self.steps.current() {
            return;
        }
        if answer.is_err() {
            let due = self.now() + AGAIN;
            self.agenda.push(due, Due::Question { step, question });
        }
        if let Some(watch) = self.steps.watch() {
            watch.answer(question, answer);
        }
    }
}
