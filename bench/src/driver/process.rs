//! The life of one process of a node: started, ready, ended, proven gone, started again.

use dsbench_core::observation::{Change, Exit, Life, Name, What};
use dsbench_core::time::RunTime;
use dsbench_world::{Happening, Scope};

use super::agenda::EntryId;
use super::ending::Blame;
use super::job::{ProcessKey, Task};
use super::program::ProcessSpec;
use super::ready::Readiness;
use super::{Driver, Due};
use crate::report::tell::exit_text;

const SIGKILL: i32 = 9;

/// Where a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing of it exists.
    Down,
    /// Asked to start; not ready yet.
    Starting,
    /// Ready.
    Up,
    /// Its main program has ended, something of it may be left.
    Ended,
}

/// What of a life the bench has asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    /// Nothing.
    Nothing,
    /// Its main program; whether its children live on is theirs to show.
    Program,
    /// All of it.
    All,
}

/// A process of a node, over all its lives.
#[derive(Debug)]
pub(super) struct Process<'r> {
    pub(super) spec: ProcessSpec<'r>,
    pub(super) state: State,
    /// How often it was started.
    pub(super) life: u32,
    /// What the bench has asked to end.
    asked_to_end: Asked,
    pub(super) readiness: Option<Readiness>,
    grace: Option<EntryId>,
    /// The observation of the last action of a step that changed it: a `for` undoes only what is still in force.
    pub(super) last_action: Option<u64>,
}

impl<'r> Process<'r> {
    pub(super) fn new(spec: ProcessSpec<'r>) -> Self {
        Self {
            spec,
            state: State::Down,
            life: 0,
            asked_to_end: Asked::Nothing,
            readiness: None,
            grace: None,
            last_action: None,
        }
    }

    /// True if it has ended, and nobody had asked for that.
    pub(super) fn has_ended_by_itself(&self) -> bool {
        self.life > 0 && matches!(self.state, State::Down | State::Ended) && self.asked_to_end == Asked::Nothing
    }

    pub(super) fn life(&self) -> Life {
        Life { node: self.spec.key.node.clone(), process: self.spec.key.process.clone(), life: self.life }
    }
}

impl<'r> Driver<'r> {
    /// Begins a task; it is done when [`Self::task_done`] is called for it, possibly at once.
    pub(super) fn begin(&mut self, key: &ProcessKey, task: Task) {
        let state = self.process(key).state;
        match task {
            Task::Start if state == State::Up => self.task_done(key, task),
            Task::Start => self.start(key),
            Task::Stop | Task::Kill if state == State::Down => {
                self.forget_held(key);
                self.task_done(key, task);
            }
            Task::Stop => self.stop(key),
            Task::Kill => self.kill(key),
            Task::KillProgram if matches!(state, State::Down | State::Ended) => self.task_done(key, task),
            Task::KillProgram => self.kill_program(key),
            Task::Pause => self.pause(key),
            Task::Resume => {
                let life = self.process(key).life();
                self.world.resume(&life);
                self.readiness_goes_on(key);
                self.task_done(key, task);
            }
        }
    }

    pub(super) fn start(&mut self, key: &ProcessKey) {
        match self.process(key).state {
            State::Starting if self.process(key).readiness.is_none() => {
                // It runs, and was given up as not ready: whoever starts it now waits for it anew.
                self.begin_readiness(key);
                return self.process_started(key);
            }
            State::Starting | State::Up => return, // someone else has asked; both are told when it is ready
            State::Ended => {
                // Children of the life before would live on beside the new one.
                let life = self.process(key).life();
                self.world.kill(&life);
                self.start_when_empty.insert(key.clone());
                return;
            }
            State::Down => {}
        }
        if self.is_held_back(key) {
            return;
        }
        let process = self.process_mut(key);
        process.life += 1;
        process.state = State::Starting;
        process.asked_to_end = Asked::Nothing;
        let life = process.life();
        let spawn = process.spec.spawn(&life);
        self.begin_readiness(key);
        if let Err(error) = self.world.spawn(life.clone(), spawn) {
            let at = self.now();
            self.not_started(&life, error.told(), Blame::Environment, at);
        }
    }

    /// Graceful: the signal now, SIGKILL after the grace.
    fn stop(&mut self, key: &ProcessKey) {
        let process = self.process_mut(key);
        process.asked_to_end = Asked::All;
        let (life, stop) = (process.life(), process.spec.stop());
        // A frozen program cannot handle its signal.
        self.world.resume(&life);
        self.readiness_goes_on(key);
        self.world.signal(&life, stop.signal.number, Scope::Main);
        if self.process(key).state == State::Ended {
            self.world.kill(&life);
        } else {
            let due = self.now() + stop.grace;
            let entry = self.agenda.push(due, Due::GraceOver(key.clone()));
            if let Some(earlier) = self.process_mut(key).grace.replace(entry) {
                self.agenda.cancel(earlier);
            }
        }
    }

    fn kill(&mut self, key: &ProcessKey) {
        let process = self.process_mut(key);
        process.asked_to_end = Asked::All;
        let life = process.life();
        self.world.kill(&life);
    }

    /// SIGKILL to the main program alone: its children are told nothing.
    fn kill_program(&mut self, key: &ProcessKey) {
        let process = self.process_mut(key);
        process.asked_to_end = process.asked_to_end.max(Asked::Program);
        let life = process.life();
        self.world.signal(&life, SIGKILL, Scope::Main);
    }

    /// The grace of a stop is over: what is left is killed.
    pub(super) fn grace_over(&mut self, key: &ProcessKey) {
        self.process_mut(key).grace = None;
        if self.process(key).state != State::Down {
            self.kill(key);
        }
    }

    fn pause(&mut self, key: &ProcessKey) {
        let life = self.process(key).life();
        if self.world.pause(&life) {
            self.readiness_stands_still(key);
        } else {
            self.task_done(key, Task::Pause);
        }
    }

    /// Everything that the world says about a life.
    pub(super) fn life_changed(&mut self, of: &Life, what: Happening, at: RunTime) {
        let key = ProcessKey::of(of);
        let Some(process) = self.processes.get(&key) else { return self.preparation_changed(of, what) };
        if process.life != of.life {
            return; // a word from a life that is proven gone
        }
        match what {
            Happening::Started { pid, .. } => {
                self.record_change(of, Change::Started { pid }, at);
                self.process_started(&key);
            }
            Happening::NotStarted { why, by_machine, .. } => {
                let blame = if by_machine { Blame::Environment } else { Blame::Cluster };
                self.not_started(of, why, blame, at);
            }
            Happening::ReadyLine { .. } => self.ready_line(&key),
            Happening::Exited { exit, .. } => self.exited(&key, exit, at),
            Happening::Leaking { children, .. } => {
                self.record_change(of, Change::Leaking { children }, at);
                if self.process(&key).asked_to_end == Asked::All {
                    self.world.kill(of);
                }
            }
            Happening::Empty { .. } => self.empty(&key, at),
            Happening::Paused { running, .. } => {
                if !running.is_empty() {
                    self.warn(format!("{}: could not be frozen: {}", of.node, running.join(", ")));
                }
                self.task_done(&key, Task::Pause);
            }
            Happening::Unkillable { survivors, .. } => {
                self.warn(format!(
                    "{}: SIGKILL was sent, but these are still there: {}",
                    of.node,
                    survivors.join(", ")
                ));
            }
            _ => {}
        }
    }

    fn not_started(&mut self, life: &Life, why: String, blame: Blame, at: RunTime) {
        let key = ProcessKey::of(life);
        self.record_change(life, Change::NotStarted { why: why.clone() }, at);
        let process = self.process_mut(&key);
        process.state = State::Down;
        let grace = process.grace.take();
        if let Some(grace) = grace {
            self.agenda.cancel(grace);
        }
        self.end_readiness(&key);
        self.start_failed(&key, &why, blame);
        // Its end may have been asked for while it was being started (another node has failed).
        self.task_done(&key, Task::Stop);
        self.task_done(&key, Task::Kill);
        self.task_done(&key, Task::KillProgram);
        self.release(&key.node);
    }

    fn exited(&mut self, key: &ProcessKey, exit: Exit, at: RunTime) {
        let process = self.process_mut(key);
        let was = std::mem::replace(&mut process.state, State::Ended);
        let (expected, life) = (process.asked_to_end > Asked::Nothing, process.life());
        self.record_change(&life, Change::Exited { exit, expected }, at);
        self.end_readiness(key);
        self.task_done(key, Task::KillProgram);
        if was == State::Starting && self.process(key).spec.may_end(exit) {
            // Its work is done: whoever has waited for it can go on.
            self.task_done(key, Task::Start);
        } else if was == State::Starting && !expected {
            let why = format!("{} before it was ready{}", ended_with(exit), self.last_words(&life, Some(exit)));
            self.record_change(&life, Change::NotReady { why: why.clone() }, at);
            self.start_failed(key, &why, Blame::Cluster);
        }
        self.release(&key.node);
    }

    fn empty(&mut self, key: &ProcessKey, at: RunTime) {
        let process = self.process_mut(key);
        process.state = State::Down;
        let (life, grace) = (process.life(), process.grace.take());
        if let Some(grace) = grace {
            self.agenda.cancel(grace);
        }
        self.record_change(&life, Change::Empty, at);
        self.task_done(key, Task::Stop);
        self.task_done(key, Task::Kill);
        // It was gone before it could be frozen.
        self.task_done(key, Task::Pause);
        if self.start_when_empty.remove(key) {
            self.start(key);
        }
        self.release(&key.node);
    }

    pub(super) fn record_change(&mut self, of: &Life, change: Change, at: RunTime) {
        let change = dsbench_core::observation::ProcessChange { of: of.clone(), change };
        self.record(at, What::Process(change));
    }

    pub(super) fn process(&self, key: &ProcessKey) -> &Process<'r> {
        self.processes.get(key).expect("keys come from the plan")
    }

    pub(super) fn process_mut(&mut self, key: &ProcessKey) -> &mut Process<'r> {
        self.processes.get_mut(key).expect("keys come from the plan")
    }

    /// Every process of these nodes, in the plan's order.
    pub(super) fn processes_of(&self, nodes: &[Name]) -> Vec<ProcessKey> {
        let of = |node: &Name| self.order.iter().filter(|key| key.node == *node).cloned().collect::<Vec<_>>();
        nodes.iter().flat_map(of).collect()
    }
}

pub(super) fn ended_with(exit: Exit) -> String {
    match exit {
        Exit::Code(_) => format!("ended with {}", exit_text(exit)),
        Exit::Signal(_) => format!("was ended by {}", exit_text(exit)),
    }
}
