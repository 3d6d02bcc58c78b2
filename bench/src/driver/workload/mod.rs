//! The workloads: clients that begin their operations when these are due, one at a time each, until there are no more or they are stopped.
//!
//! What comes when is the generator's; here it is done and its end recorded. Every operation that has begun ends: with an answer, when its
//! time is over, or when whoever it waits for is gone. In doubt it ends as `info`, and its client goes on as another process.

mod call;
mod client;
mod command;
mod input;
mod perform;

use std::collections::BTreeMap;
use std::time::Duration;

use dsbench_core::observation::{Name, What};
use dsbench_core::operation::{Datum, Operation, OperationKind, WorkloadChange, WorkloadState};
use dsbench_core::plan::Plan;
use dsbench_core::scenario::{Begin, Facts, Pace, WorkloadVerb};
use dsbench_core::time::RunTime;
use dsbench_core::workload::Generator;
use dsbench_world::{ExecId, InputId};

use self::client::ClientProgram;
use self::input::Waiting;
use super::agenda::EntryId;
use super::verb::Acted;
use super::{Driver, Due};

/// How long a client rests that asks as fast as it gets answers, after an operation that could not even be tried.
const REST: Duration = Duration::from_millis(100);

/// What can be due of the workloads, each by its index.
#[derive(Debug, Clone, Copy)]
pub(super) enum Turn {
    /// It begins.
    Begins(usize),
    /// No more of its operations begin.
    Stops(usize),
    /// The next operation of a client.
    Next { workload: usize, client: usize },
    /// The time of the operation with this id is over.
    Deadline(u64),
}

/// How far the workloads have come.
#[derive(Debug)]
pub(super) struct Workloads<'r> {
    all: Vec<Workload<'r>>,
    /// The operations that have not ended.
    open: BTreeMap<u64, Open>,
    /// Lines that are on their way into a node, for which operation.
    typed: BTreeMap<InputId, u64>,
    /// Commands that have not ended, for which operation.
    commands: BTreeMap<ExecId, u64>,
    /// The clients that are programs, by their names.
    programs: BTreeMap<Name, (usize, usize)>,
    /// The operations that wait for this event.
    awaited: BTreeMap<Name, Vec<u64>>,
    /// A step is beginning the operations that it calls: it is not done when the first of them is.
    is_calling: bool,
    next_id: u64,
    next_process: u64,
}

#[derive(Debug)]
struct Workload<'r> {
    generator: Generator<'r>,
    state: State,
    clients: Vec<Client>,
    /// Since when its time counts, and how long it went on before that.
    since: RunTime,
    went: Duration,
    begins: Option<EntryId>,
    stops: Option<EntryId>,
    /// The step that is done when the last of its operations is.
    stopped_by: Option<usize>,
    /// How many operations steps have called.
    called: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has not begun.
    Waiting,
    /// Its operations come.
    Going,
    /// No more of them come; some have not ended.
    Stopping,
    /// It has ended, or will never begin.
    Over,
}

/// A client between its operations, and in one.
#[derive(Debug)]
struct Client {
    name: Name,
    process: u64,
    /// The number of its next operation among its own.
    turn: u64,
    /// Its next operation, if that waits for its time.
    next: Option<EntryId>,
    is_busy: bool,
    /// It has no further operation.
    is_done: bool,
    /// What runs for it, if it is a program.
    program: ClientProgram,
    /// The step that has called its only operation; none for one that comes by itself.
    called_by: Option<usize>,
}

impl Client {
    /// One that has done nothing, and has no name yet.
    fn new(process: u64) -> Self {
        let program = ClientProgram::default();
        Self {
            name: Name::from(""),
            process,
            turn: 0,
            next: None,
            is_busy: false,
            is_done: false,
            program,
            called_by: None,
        }
    }
}

/// An operation that has not ended.
#[derive(Debug)]
struct Open {
    workload: usize,
    client: usize,
    /// As it was invoked.
    invoked: Operation,
    /// How long it may take.
    within: Duration,
    deadline: EntryId,
    /// Exit codes that say that it certainly did not happen.
    fails: Vec<i32>,
    waiting: Waiting,
}

/// How an operation ends.
#[derive(Debug)]
struct End {
    kind: OperationKind,
    value: Option<Datum>,
    why: Option<String>,
}

impl End {
    fn ok(value: Option<Datum>) -> Self {
        Self { kind: OperationKind::Ok, value, why: None }
    }

    /// It certainly did not happen.
    fn fail(why: impl Into<String>) -> Self {
        Self { kind: OperationKind::Fail, value: None, why: Some(why.into()) }
    }

    /// Nobody knows.
    fn info(why: impl Into<String>) -> Self {
        Self { kind: OperationKind::Info, value: None, why: Some(why.into()) }
    }
}

impl<'r> Workloads<'r> {
    pub(super) fn new(plan: &'r Plan) -> Self {
        let mut next_process = 0;
        let mut client = |name: &Name| {
            next_process += 1;
            Client { name: name.clone(), ..Client::new(next_process - 1) }
        };
        let workload = |generator: Generator<'r>| Workload {
            generator,
            // One whose operations are only called has nothing to begin.
            state: if generator.workload().ops.is_empty() { State::Over } else { State::Waiting },
            clients: generator.workload().clients.iter().map(&mut client).collect(),
            since: RunTime::START,
            went: Duration::ZERO,
            begins: None,
            stops: None,
            stopped_by: None,
            called: 0,
        };
        let all: Vec<_> =
            (0..plan.scenario.workloads.len()).filter_map(|index| plan.generator(index)).map(workload).collect();
        let are_programs = |(_, workload): &(usize, &Workload<'_>)| workload.generator.workload().program.is_some();
        let programs = all.iter().enumerate().filter(are_programs).flat_map(|(index, workload)| {
            workload.clients.iter().enumerate().map(move |(client, one)| (one.name.clone(), (index, client)))
        });
        let programs = programs.collect();
        let (open, typed, commands, awaited) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { all, open, typed, commands, programs, awaited, is_calling: false, next_id: 0, next_process }
    }

    /// Adds a client, and gives its number within its workload.
    fn add_client(&mut self, index: usize, client: Client) -> usize {
        let workload = &mut self.all[index];
        let number = workload.clients.len();
        if workload.generator.workload().program.is_some() {
            self.programs.insert(client.name.clone(), (index, number));
        }
        workload.clients.push(client);
        number
    }

    /// True if nothing comes of them any more, and every operation has ended.
    pub(super) fn are_over(&self) -> bool {
        self.all.iter().all(|workload| workload.state == State::Over)
    }

    /// Nothing comes of them any more; what has not ended never will.
    pub(super) fn close(&mut self) {
        self.all.iter_mut().for_each(|workload| workload.state = State::Over);
        self.open.clear();
        self.typed.clear();
        self.awaited.clear();
    }

    fn named(&self, name: &str) -> Option<usize> {
        self.all.iter().position(|workload| &*workload.generator.workload().name == name)
    }
}

impl Workload<'_> {
    /// What the operation of a client fills its placeholders with.
    fn facts<'a>(&'a self, client: usize, serial: u64, key: Option<&'a Datum>, value: Option<&'a Datum>) -> Facts<'a> {
        Facts { value, key, serial, client: &self.clients[client].name, client_id: client + 1 }
    }

    /// The client on whose machine of the network another one is.
    fn machine(&self, client: usize) -> &Name {
        let clients = &self.generator.workload().clients;
        clients.get(client).unwrap_or(&clients[0])
    }

    /// How long its operations have come.
    fn went(&self, now: RunTime) -> Duration {
        self.went.saturating_add(now.since(self.since))
    }
}

impl<'r> Driver<'r> {
    /// The cluster is ready: each begins, now or later.
    pub(super) fn workloads_may_begin(&mut self, ready_at: RunTime) {
        for index in 0..self.workloads.all.len() {
            let workload = &self.workloads.all[index];
            if workload.state != State::Waiting {
                continue;
            }
            match workload.generator.workload().begin {
                Begin::At(start) if start.is_zero() => self.begin_workload(index, ready_at),
                Begin::At(start) => {
                    self.record_workload(index, WorkloadState::Waiting);
                    let begins = self.agenda.push(ready_at + start, Due::Workload(Turn::Begins(index)));
                    self.workloads.all[index].begins = Some(begins);
                }
                Begin::ByStep => self.record_workload(index, WorkloadState::Waiting),
            }
        }
    }

    pub(super) fn workload_turn(&mut self, turn: Turn, due_at: RunTime) {
        if self.ending.because.is_some() {
            return;
        }
        match turn {
            Turn::Begins(index) => self.begin_workload(index, due_at),
            Turn::Stops(index) => self.stop_workload(index),
            Turn::Next { workload, client } => self.next_operation(workload, client),
            Turn::Deadline(id) => self.operation_is_late(id),
        }
    }

    fn record_workload(&mut self, index: usize, state: WorkloadState) {
        let name = self.workloads.all[index].generator.workload().name.clone();
        let now = self.now();
        self.record(now, What::Workload(Box::new(WorkloadChange { name, state })));
    }

    /// A step starts or stops it.
    pub(super) fn workload_step(&mut self, verb: WorkloadVerb, name: &str, step: usize) -> Acted {
        let Some(index) = self.workloads.named(name) else { return Acted::Done };
        match (verb, self.workloads.all[index].state) {
            (WorkloadVerb::Start, State::Going) => {}
            (WorkloadVerb::Start, _) => {
                let now = self.now();
                self.begin_workload(index, now);
            }
            (WorkloadVerb::Stop, _) => {
                self.stop_workload(index);
                if self.workloads.all[index].state != State::Over {
                    self.workloads.all[index].stopped_by = Some(step);
                    return Acted::Pending;
                }
            }
        }
        Acted::Done
    }

    /// The last step is done; what only the steps could have started or ended has no other beginning and end.
    pub(super) fn workloads_outlive_steps(&mut self) {
        for index in 0..self.workloads.all.len() {
            let Workload { generator, state, .. } = &self.workloads.all[index];
            let is_never_started = *state == State::Waiting && generator.workload().begin == Begin::ByStep;
            if generator.workload().ends_with_steps() || is_never_started {
                self.stop_workload(index);
            }
        }
    }

    fn begin_workload(&mut self, index: usize, at: RunTime) {
        self.record_workload(index, WorkloadState::Begun);
        let workload = &mut self.workloads.all[index];
        workload.state = State::Going;
        workload.since = at;
        workload.begins = None;
        let (clients, asked) = (workload.clients.len(), workload.generator.workload());
        // First on the agenda: an operation of the very moment at which it ends does not begin.
        if let Some(duration) = asked.duration {
            let end = at + duration.saturating_sub(workload.went);
            self.workloads.all[index].stops = Some(self.agenda.push(end, Due::Workload(Turn::Stops(index))));
        }
        for client in 0..clients {
            self.workloads.all[index].clients[client].is_done = false;
            self.await_turn(index, client, None);
        }
        self.look_if_all_is_asked(index);
    }

    /// Sets the time of a client's next operation, if it has one; not before this moment, if there is one.
    fn await_turn(&mut self, index: usize, client: usize, not_before: Option<RunTime>) {
        let now = self.now();
        let workload = &mut self.workloads.all[index];
        let one = &mut workload.clients[client];
        // One that waits for its program to be gone goes on when it is.
        if workload.state != State::Going || one.is_busy || one.next.is_some() || one.program.is_ending() {
            return;
        }
        let drawn = (one.called_by.is_none()).then(|| workload.generator.operation(client, one.turn)).flatten();
        let Some(drawn) = drawn else { return one.is_done = true };
        let due = workload.since + drawn.due.saturating_sub(workload.went);
        // What is late has its turn now: a time that has passed would look like lateness of the bench.
        let rests_until = not_before.max(one.program.rests_until());
        let due = due.max(rests_until.unwrap_or(now)).max(now);
        one.next = Some(self.agenda.push(due, Due::Workload(Turn::Next { workload: index, client })));
    }

    /// When no client has another operation, the workload ends with the last that goes on.
    fn look_if_all_is_asked(&mut self, index: usize) {
        let workload = &self.workloads.all[index];
        if workload.state == State::Going && workload.clients.iter().all(|client| !client.is_busy && client.is_done) {
            self.stop_workload(index);
        }
    }

    /// No more operations of it begin.
    fn stop_workload(&mut self, index: usize) {
        let now = self.now();
        let workload = &mut self.workloads.all[index];
        let was = workload.state;
        if matches!(was, State::Stopping | State::Over) {
            return;
        }
        workload.state = State::Stopping;
        let of_clients = workload.clients.iter_mut().filter_map(|client| client.next.take());
        let entries: Vec<EntryId> = of_clients.chain(workload.begins.take()).chain(workload.stops.take()).collect();
        if was == State::Going {
            let went = workload.went(now);
            workload.went = went;
            let behind =
                |(client, one): (usize, &Client)| workload.generator.due_within(client, went).saturating_sub(one.turn);
            let by_itself = |(_, one): &(usize, &Client)| one.called_by.is_none();
            let behind = workload.clients.iter().enumerate().filter(by_itself).map(behind).sum();
            self.record_workload(index, WorkloadState::Stopped { behind });
        }
        entries.into_iter().for_each(|entry| self.agenda.cancel(entry));
        self.look_if_workload_is_over(index);
    }

    fn look_if_workload_is_over(&mut self, index: usize) {
        let workload = &self.workloads.all[index];
        if workload.state != State::Stopping || workload.clients.iter().any(|client| client.is_busy) {
            return;
        }
        let has_begun = workload.since != RunTime::START || workload.clients.iter().any(|client| client.turn > 0);
        self.workloads.all[index].state = State::Over;
        self.end_clients(index);
        if has_begun {
            self.record_workload(index, WorkloadState::Over);
        }
        if let Some(step) = self.workloads.all[index].stopped_by.take() {
            self.step_acted(step);
        } else if self.steps.are_done() {
            self.look_at_bounds();
        }
    }

    /// True if a client is to rest before its next operation.
    fn rests(&self, index: usize, end: OperationKind) -> bool {
        let pace = &self.workloads.all[index].generator.workload().pace;
        *pace == Pace::AsAnswersCome && end != OperationKind::Ok
    }
}
