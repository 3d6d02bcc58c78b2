//! What those who watch are told: everything that is done or changes, and what every node does now.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dsbench_core::observation::{Action, Change, Exit, Fields, Name, Observation, What};
use dsbench_world::CallerId;

use super::{Driver, Hands, Phase};
use crate::control::{NodeStatus, Status, Told, Word};
use crate::driver::Due;
use crate::driver::process::State;
use crate::load::seed_text;
use crate::report::live::is_routine;
use crate::report::tell::{exit_text, fields, tell};
use crate::report::terminal::clean_line;

/// How soon those who watch see a change: at once for people, and seldom enough for a flood of events.
const EVERY: Duration = Duration::from_millis(100);

/// What is known of the nodes beside their processes, and who wants to know.
#[derive(Debug, Default)]
pub(super) struct News {
    watchers: BTreeSet<CallerId>,
    /// How much was told.
    told: u64,
    /// True if a look at the nodes is on the agenda.
    is_due: bool,
    said: BTreeMap<Name, Newest>,
    /// The last action, until an answer takes it.
    pub(super) newest_action: Option<Action>,
}

/// The last thing that a node is known for. Put into words only when somebody asks: a flood of events must not cost a flood of words.
#[derive(Debug)]
enum Newest {
    Event(Fields),
    Exit(Exit),
    Words(String),
}

impl News {
    pub(super) fn forget(&mut self, caller: CallerId) {
        self.watchers.remove(&caller);
    }

    pub(super) fn observed(&mut self, what: &What) {
        let (node, newest) = match what {
            What::Event(event) => (&event.of.node, Newest::Event(event.fields.clone())),
            What::Process(process) => match &process.change {
                Change::Exited { exit, .. } => (&process.of.node, Newest::Exit(*exit)),
                Change::NotStarted { why } | Change::NotReady { why } => {
                    (&process.of.node, Newest::Words(why.lines().next().unwrap_or_default().to_owned()))
                }
                Change::Started { .. } => return drop(self.said.remove(&process.of.node)),
                Change::Ready | Change::Leaking { .. } | Change::Empty => return,
            },
            What::Action(action) => return self.newest_action = Some((**action).clone()),
            _ => return,
        };
        self.said.insert(node.clone(), newest);
    }

    fn said(&self, node: &str) -> String {
        let said = match self.said.get(node) {
            None => String::new(),
            Some(Newest::Event(event)) => format!("{}{}", event.shape().name, fields(event)),
            Some(Newest::Exit(exit)) => exit_text(*exit),
            Some(Newest::Words(words)) => words.clone(),
        };
        clean_line(&said).into_owned()
    }
}

impl Hands {
    /// Something was seen or done: what those who watch are told of it.
    pub(in crate::driver) fn news(&mut self, observation: &Observation) -> Option<Tidings> {
        self.news.observed(&observation.what);
        if self.news.watchers.is_empty() {
            return None;
        }
        Some(Tidings { told: told(observation) })
    }
}

/// Something for those who watch: the nodes may have changed, and there may be a line about it.
#[derive(Debug)]
pub(in crate::driver) struct Tidings {
    told: Option<(String, String, String)>,
}

impl Driver<'_> {
    pub(super) fn watch(&mut self, caller: CallerId) {
        let Some(hands) = &mut self.hands else { return };
        hands.news.watchers.insert(caller);
        let phase = hands.phase;
        let status = self.status();
        self.mention(caller, &Word::Status(status));
        if phase == Phase::Up {
            self.mention(caller, &Word::Ready {});
        }
    }

    /// Tells it to those who watch.
    pub(in crate::driver) fn pass_on(&mut self, tidings: Option<Tidings>) {
        let (Some(tidings), Some(hands)) = (tidings, &mut self.hands) else { return };
        if !hands.news.is_due {
            hands.news.is_due = true;
            let due = self.now() + EVERY;
            self.agenda.push(due, Due::News);
        }
        if let Some((at, who, what)) = tidings.told {
            self.tell_watchers(at, who, what);
        }
    }

    /// Something that is no observation.
    pub(in crate::driver) fn tell_hands(&mut self, text: &str) {
        let at = self.now().to_string();
        self.tell_watchers(at, "dsbench".into(), text.to_owned());
    }

    fn tell_watchers(&mut self, at: String, who: String, what: String) {
        let Some(hands) = &mut self.hands else { return };
        let number = hands.news.told;
        hands.news.told += 1;
        self.spread(&Word::Told(Told { number, at, who, what }));
    }

    /// Those who watch want to see the nodes as they are now.
    pub(in crate::driver) fn show_status(&mut self) {
        if let Some(hands) = &mut self.hands {
            hands.news.is_due = false;
            let status = self.status();
            self.spread(&Word::Status(status));
        }
    }

    pub(super) fn spread(&self, word: &Word) {
        for watcher in self.hands.iter().flat_map(|hands| &hands.news.watchers) {
            self.mention(*watcher, word);
        }
    }

    fn mention(&self, to: CallerId, word: &Word) {
        if let Some(desk) = self.world.desk() {
            desk.mention(to, word.to_line());
        }
    }

    pub(super) fn status(&self) -> Status {
        let hands = self.hands.as_ref();
        let phase = match hands.map(|hands| hands.phase).unwrap_or_default() {
            Phase::Starting => "starting",
            Phase::Up if hands.is_some_and(|hands| hands.is_kept) => "kept",
            Phase::Up => "up",
            Phase::Ending => "ending",
        };
        Status {
            scenario: self.plan.scenario.name.to_string(),
            seed: seed_text(self.plan.seed),
            run: std::path::absolute(self.store.dir()).unwrap_or_default().display().to_string(),
            pid: std::process::id(),
            phase: phase.into(),
            seconds: self.now().elapsed().as_secs_f64(),
            roles: self.plan.scenario.roles.iter().map(|role| role.name.to_string()).collect(),
            nodes: self.plan.scenario.nodes.iter().map(|node| self.node_status(&node.name)).collect(),
        }
    }

    fn node_status(&self, node: &Name) -> NodeStatus {
        let holds = |role: &&dsbench_core::cluster::Role| self.cluster.holder(&role.name) == Some(node);
        let main = self.order.iter().find(|key| key.node == *node).map(|key| self.process(key));
        NodeStatus {
            name: node.to_string(),
            state: self.node_state(node).into(),
            roles: self.plan.scenario.roles.iter().filter(holds).map(|role| role.name.to_string()).collect(),
            pid: main.and_then(|main| self.world.pid(&main.life())),
            life: main.map_or(0, |main| main.life),
            exposed: self.setting.exposed.get(&**node).cloned().unwrap_or_default(),
            said: self.hands.as_ref().map_or_else(String::new, |hands| hands.news.said(node)),
        }
    }

    fn node_state(&self, node: &Name) -> &'static str {
        let processes = || self.order.iter().filter(|key| key.node == *node).map(|key| self.process(key));
        let is_alive = |state: State| matches!(state, State::Starting | State::Up);
        if self.cluster.is_paused(node) {
            "paused"
        } else if processes().any(|process| process.state == State::Starting) {
            "starts"
        } else if self.cluster.is_killed(node) {
            "killed"
        } else if self.cluster.is_stopped(node) {
            "stopped"
        } else if processes().all(|process| process.life == 0) {
            "waits"
        } else if processes().any(|process| process.life > 0 && !is_alive(process.state)) {
            "EXITED"
        } else if self.cluster.is_isolated(node) {
            "cut off"
        } else {
            "up"
        }
    }
}

/// An observation that people are told as it comes: not the events, which are lines of the logs that they see anyway, and not that the bench was
/// late, which matters to a verdict alone.
fn told(observation: &Observation) -> Option<(String, String, String)> {
    if is_routine(&observation.what) || matches!(observation.what, What::Event(_) | What::Stall(_)) {
        return None;
    }
    let (who, what) = tell(observation, &[])?;
    Some((observation.at.to_string(), who, what))
}
