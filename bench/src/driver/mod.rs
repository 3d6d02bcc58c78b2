//! The driver: one loop on one thread that does what is due and records what comes from outside.
//!
//! Everything that is due lies in the [`agenda`]; everything from outside comes through [`World::next`]. Each is turned into observations, and
//! nothing else decides anything: threads beside the loop only move bytes.

mod agenda;
mod answers;
mod bounds;
mod condition;
mod ending;
mod exec;
mod hands;
mod http;
mod job;
mod keeping;
mod nemesis;
mod network;
mod patterns;
mod prepare;
mod process;
mod program;
mod ready;
mod sampling;
mod stages;
mod standstill;
mod start;
mod steps;
mod turns;
mod undo;
mod verb;
mod words;
mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dsbench_core::cluster::ClusterState;
use dsbench_core::observation::{Ending, Life, Observation, Origin, Phase, Stall, What};
use dsbench_core::plan::Plan;
use dsbench_core::time::RunTime;
use dsbench_world::{Happening, Outside, World};

use crate::report::live::Live;
use crate::store::{Recorder, Store};
use agenda::Agenda;
pub(crate) use exec::{command_line, outcome};
pub(crate) use hands::Held;
use job::{Job, ProcessKey, Purpose, Task};
pub(crate) use keeping::{Driven, Keeper, Stay};
use process::Process;
pub(crate) use program::Setting;

/// Lateness of the loop from which on a run says that it was late.
const STALL: Duration = Duration::from_millis(50);

/// How many outside events are taken in before what is due gets its turn.
const DRAIN_AT_ONCE: usize = 1024;

/// How many are taken in before a deadline is judged: more than can be on their way.
const CATCH_UP_AT_MOST: usize = 64 * 1024;

/// What can be due.
#[derive(Debug, Clone)]
enum Due {
    /// The time of a step (`at`, `after`).
    StepTime(usize),
    /// The current step's `within` is over.
    StepDeadline(usize),
    /// The `for` of the action with this observation is over.
    Undo(u64),
    /// Something of the nemesis.
    Nemesis(nemesis::Turn),
    /// Something of a workload.
    Workload(workload::Turn),
    /// The next line of an `input` step.
    InputLine(usize),
    /// The cluster may be at rest by now; the loop looks at the step.
    Rest,
    /// A question of a step's condition may be asked again.
    Question { step: usize, question: usize },
    /// A readiness probe may be repeated.
    ReadyProbe(Life),
    /// A process had this long to become ready.
    ReadyDeadline(Life),
    /// A command that prepares had this long.
    PrepareDeadline(Life),
    /// A process had this long to stop.
    GraceOver(ProcessKey),
    /// Measure the processes.
    Sample,
    /// The live screen wants to be drawn.
    Screen,
    /// A bound of an invariant may be decided by now.
    Bounds,
    /// Those who watch want to see the nodes as they are now.
    News,
    /// The scenario's `timeout` is over.
    Timeout,
    /// What has happened in the run has come in: it is judged while its nodes are up.
    Judge,
    /// The teardown had every chance to end.
    TeardownBound,
    /// The nodes had every chance to end.
    GiveUp,
}

/// Runs the plan in the world. Ends with every process of the run down (or reported as unkillable); with a keeper, possibly long after the
/// run is over.
pub(crate) fn drive<'r>(stage: Stage<'r>, keeper: Option<&'r mut (dyn Keeper + 'r)>) -> Result<Driven, String> {
    let mut driver = Driver::new(stage)?;
    driver.questions = condition::Questions::of(driver.plan, driver.setting)?;
    driver.keeper = keeper;
    driver.begin_run();
    driver.run_loop();
    Ok(driver.driven())
}

/// Starts the plan's nodes for people, who act by hand until they have enough. Steps and invariants are not looked at, and no time runs
/// out.
pub(crate) fn hold(stage: Stage<'_>) -> Result<Held, String> {
    let mut driver = Driver::new(stage)?;
    driver.hands = Some(hands::Hands::launched());
    driver.begin_run();
    driver.run_loop();
    Ok(driver.held())
}

/// Everything that a run needs.
pub(crate) struct Stage<'r> {
    /// Who runs and what happens.
    pub(crate) plan: &'r Plan,
    /// Where everything is.
    pub(crate) setting: &'r Setting,
    /// Where it runs.
    pub(crate) world: &'r mut World,
    /// Where it is written down.
    pub(crate) recorder: &'r mut Recorder,
    /// Who watches.
    pub(crate) live: &'r mut dyn Live,
    /// Where its files are.
    pub(crate) store: &'r Store,
}

struct Driver<'r> {
    plan: &'r Plan,
    setting: &'r Setting,
    world: &'r mut World,
    recorder: &'r mut Recorder,
    live: &'r mut dyn Live,
    store: &'r Store,
    cluster: ClusterState,
    agenda: Agenda<Due>,
    processes: BTreeMap<ProcessKey, Process<'r>>,
    /// The processes in the plan's order.
    order: Vec<ProcessKey>,
    /// Processes whose next life begins when nothing of the last one is left.
    start_when_empty: BTreeSet<ProcessKey>,
    /// Processes whose start waits for others of their node, or for what prepares them.
    held: BTreeSet<ProcessKey>,
    preparations: prepare::Preparations,
    jobs: Vec<Job>,
    probes: ready::Probes,
    steps: steps::Steps,
    undos: undo::Undos,
    nemesis: nemesis::Nemesis<'r>,
    workloads: workload::Workloads<'r>,
    network: network::Network,
    typing: verb::Typing,
    questions: condition::Questions,
    execs: exec::Execs,
    bounds: bounds::Bounds,
    standstill: standstill::Standstill,
    ending: ending::EndingState,
    /// Who may act by hand, if anybody may.
    hands: Option<hands::Hands>,
    /// Who decides whether the cluster stays up when the run is over, if anybody does.
    keeper: Option<&'r mut (dyn Keeper + 'r)>,
}

impl<'r> Driver<'r> {
    fn new(stage: Stage<'r>) -> Result<Self, String> {
        let Stage { plan, setting, world, recorder, live, store } = stage;
        let specs = program::specs(plan, setting)?;
        let order: Vec<_> = specs.iter().map(|spec| spec.key.clone()).collect();
        let processes = specs.into_iter().map(|spec| (spec.key.clone(), Process::new(spec))).collect();
        Ok(Self {
            cluster: plan.cluster(),
            plan,
            setting,
            world,
            recorder,
            live,
            store,
            agenda: Agenda::new(),
            processes,
            order,
            start_when_empty: BTreeSet::new(),
            held: BTreeSet::new(),
            preparations: prepare::Preparations::default(),
            jobs: Vec::new(),
            probes: ready::Probes::default(),
            steps: steps::Steps::new(plan),
            undos: undo::Undos::default(),
            nemesis: nemesis::Nemesis::new(plan),
            workloads: workload::Workloads::new(plan),
            network: network::Network::default(),
            typing: verb::Typing::default(),
            questions: condition::Questions::default(),
            execs: exec::Execs::default(),
            bounds: bounds::Bounds::default(),
            standstill: standstill::Standstill::default(),
            ending: ending::EndingState::default(),
            hands: None,
            keeper: None,
        })
    }

    fn begin_run(&mut self) {
        let now = self.now();
        self.record(now, What::Run(Phase::Started));
        if self.hands.is_none() {
            self.ending.timeout_at = now + self.plan.scenario.timeout;
            self.agenda.push(self.ending.timeout_at, Due::Timeout);
        }
        self.agenda.push(now + sampling::FIRST, Due::Sample);
        if let Some(every) = self.live.every() {
            self.agenda.push(now + every, Due::Screen);
        }
        let stages = self.first_start();
        self.run_job(Job::new(Purpose::FirstStart, stages));
    }

    /// Takes in what has come, does what is due, and waits for whichever comes first; until nothing is left to wait for.
    fn run_loop(&mut self) {
        while !self.is_over() {
            for _ in 0..DRAIN_AT_ONCE {
                let Some(outside) = self.world.next(RunTime::START) else { break };
                self.take_in(outside);
            }
            self.advance_steps();
            let now = self.now();
            if let Some((due_at, due)) = self.agenda.pop_due(now) {
                self.note_lateness(due_at, now);
                if !self.prolong(&due, due_at, now) {
                    if matches!(
                        due,
                        Due::StepDeadline(_) | Due::ReadyDeadline(_) | Due::Workload(workload::Turn::Deadline(_))
                    ) {
                        self.catch_up(due_at);
                    }
                    self.perform(due, due_at, now);
                }
                continue;
            }
            if self.is_over() {
                break;
            }
            self.recorder.flush();
            let head = self.agenda.head();
            if let Some(outside) = self.world.next(head) {
                self.take_in(outside);
            }
        }
        self.recorder.flush();
    }

    /// Takes in what had happened by then and was still on its way: under a flood of events a deadline would judge the queue, not the
    /// cluster.
    fn catch_up(&mut self, until: RunTime) {
        for _ in 0..CATCH_UP_AT_MOST {
            let Some(outside) = self.world.next(RunTime::START) else { break };
            let is_later = outside.at > until;
            self.take_in(outside);
            if is_later {
                break;
            }
        }
        self.advance_steps();
    }

    fn perform(&mut self, due: Due, due_at: RunTime, now: RunTime) {
        match due {
            Due::StepTime(step) => self.step_time(step),
            Due::StepDeadline(step) => self.step_deadline(step),
            Due::Undo(action) => self.undo(action),
            Due::Nemesis(turn) => self.nemesis_turn(turn, due_at),
            Due::Workload(turn) => self.workload_turn(turn, due_at),
            Due::InputLine(step) => self.next_input_line(step),
            Due::Rest => {}
            Due::Question { step, question } => self.ask_condition(step, question),
            Due::ReadyProbe(life) => self.probe(&life),
            Due::ReadyDeadline(life) => self.ready_deadline(&life, now),
            Due::PrepareDeadline(life) => self.prepare_deadline(&life),
            Due::GraceOver(key) => self.grace_over(&key),
            Due::Sample => self.sample(),
            Due::Screen => self.draw(now),
            Due::Bounds => self.look_at_bounds(),
            Due::News => self.show_status(),
            Due::Timeout => self.end(Ending::Timeout),
            Due::Judge => self.judge(),
            Due::TeardownBound => self.teardown_bound(),
            Due::GiveUp => self.give_up(),
        }
    }

    fn take_in(&mut self, Outside { at, what }: Outside) {
        match what {
            Happening::Event(event) if self.is_client(&event.of) => self.client_said(&event, at),
            Happening::Event(event) => {
                if self.recorder.is_full() {
                    return self.end(Ending::TooMuch);
                }
                self.record(at, What::Event(event));
            }
            Happening::Stall { since } => {
                self.standstill.was(since, at);
                self.record(at, What::Stall(Stall { since, of: "logs".into() }));
            }
            Happening::Signal(signal) => self.interrupted(signal),
            Happening::Heard { from, line } => self.heard(from, line.as_deref()),
            Happening::Left { caller } => self.caller_left(caller),
            Happening::Probed { id, result } => {
                let _ = self.probed(id, result.clone()) || self.condition_probed(id, result);
            }
            Happening::Executed { id, result } => {
                let _ = self.operation_executed(id, at, &result)
                    || self.ready_executed(id, &result)
                    || self.executed(id, &result);
            }
            Happening::Input { id, of, result } => {
                if !self.operation_typed(id, at, &result) {
                    self.input_written(id, &of, result);
                }
            }
            Happening::LogLost { file, why } => self.warn(format!("the log {file} is not whole: {why}")),
            Happening::NotFollowed { of, file, why } => self.warn(format!("{}: {file}: {why}", of.node)),
            Happening::Broken { why } => self.broken(why),
            what => {
                if let Some(of) = what.of().cloned() {
                    if self.is_client(&of) {
                        return self.client_changed(&of, what, at);
                    }
                    self.life_changed(&of, what, at);
                }
            }
        }
    }

    /// Adds an observation and tells everyone who follows.
    fn record(&mut self, at: RunTime, what: What) -> u64 {
        let at = self.placed(at);
        let observation: &Observation = self.recorder.record(at, what);
        self.cluster.observe(observation);
        if !self.ending.has_closed_screen {
            self.live.observed(observation);
        }
        self.steps.observe(observation, &self.cluster);
        let number = observation.number;
        let is_aim = self.nemesis.waits_for(observation, &self.cluster);
        let ended = self.workloads.ended_by(observation, &self.cluster);
        let news = self.hands.as_mut().and_then(|hands| hands.news(observation));
        self.pass_on(news);
        if is_aim {
            self.nemesis_has_aim(at);
        }
        self.operations_ended(ended, at);
        number
    }

    /// A late loop is the bench's fault, and the history says so.
    fn note_lateness(&mut self, due_at: RunTime, now: RunTime) {
        if now.since(due_at) >= STALL {
            self.standstill.was(due_at, now);
            self.record(now, What::Stall(Stall { since: due_at, of: "loop".into() }));
        }
    }

    /// A bound in whose time the bench itself stood still is moved by as much: the cluster stood still with it, or what it did meanwhile
    /// came in late. One that ran out just then is moved by what is still to be read as well.
    fn prolong(&mut self, due: &Due, due_at: RunTime, now: RunTime) -> bool {
        let late = now.since(due_at);
        let unread = if late < STALL { RunTime::START } else { now + late };
        match due {
            Due::StepDeadline(step) => self.prolong_step(*step, due_at, unread),
            Due::ReadyDeadline(life) => self.prolong_readiness(life, due_at, unread),
            _ => false,
        }
    }

    fn now(&self) -> RunTime {
        self.world.clock().now()
    }

    fn draw(&mut self, now: RunTime) {
        if self.ending.has_closed_screen {
            return;
        }
        let nodes = self.plan.scenario.nodes.iter();
        let log_bytes = nodes.map(|node| (node.name.clone(), self.store.log_bytes(&node.name))).collect();
        self.live.tick(now, &log_bytes);
        if let Some(every) = self.live.every() {
            self.agenda.push(now + every, Due::Screen);
        }
    }

    /// Begins a job.
    fn run_job(&mut self, job: Job) {
        self.jobs.push(job);
        self.advance_jobs();
    }

    /// A task is done, for every job that waits for it.
    fn task_done(&mut self, key: &ProcessKey, task: Task) {
        for job in &mut self.jobs {
            job.done(key, task);
        }
        self.advance_jobs();
    }

    /// Begins the next stages of jobs, and ends those that are over.
    fn advance_jobs(&mut self) {
        if self.ending.in_jobs {
            return; // a task that was done at once calls back in here; the loop below sees it
        }
        self.ending.in_jobs = true;
        loop {
            if let Some(stage) = self.jobs.iter_mut().find_map(Job::next_stage) {
                let dropped = self.ending.jobs_dropped;
                for (key, task) in stage {
                    // A start that fails at once ends the run, and the rest of its stage must not come up behind the end's back.
                    if self.ending.jobs_dropped == dropped {
                        self.begin(&key, task);
                    }
                }
            } else if let Some(over) = self.jobs.iter().position(Job::is_over) {
                let job = self.jobs.remove(over);
                self.job_over(job.purpose);
            } else {
                break;
            }
        }
        self.ending.in_jobs = false;
    }

    fn job_over(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::FirstStart => {
                // From here on people may follow the logs where they look for them.
                self.store.show_logs(self.plan.scenario.nodes.iter().map(|node| &*node.name), false);
                self.nodes_are_ready();
            }
            Purpose::Asked(Origin::Step(step)) => self.step_acted(step),
            Purpose::Asked(Origin::Nemesis(_)) | Purpose::Undo(Origin::Nemesis(_)) => self.look_if_healed(),
            Purpose::Asked(_) | Purpose::Undo(_) => {}
            Purpose::Hand(number) => self.hand_done(number),
            Purpose::Ending => self.nodes_are_down(),
        }
    }
}
