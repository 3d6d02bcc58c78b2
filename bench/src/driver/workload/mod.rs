//! The workloads: clients that begin their operations when these are due, one at a time each, until there are no more or they are stopped.
//!
//! What comes when is the generator's; here it is done and its end recorded. Every operation that has begun ends: with an answer, when its
//! time is over, or when whoever it waits for is gone. In doubt it ends as `info`, and its client goes on as another process.

mod answer;
mod call;
mod client;
mod command;
mod input;
mod perform;
mod turns;

use std::collections::BTreeMap;
use std::time::Duration;

use dsbench_core::observation::Name;
use dsbench_core::operation::{Datum, Operation, OperationKind};
use dsbench_core::plan::Plan;
use dsbench_core::scenario::Facts;
use dsbench_core::time::RunTime;
use dsbench_core::workload::Generator;
use dsbench_world::{ExecId, InputId};

use self::client::ClientProgram;
use self::input::Waiting;
use super::agenda::EntryId;

/// How long a client rests that asks as fast as it gets answers, after an operation that could not even be tried.
const REST: Duration = Duration::from_millis(100);

/// An operation that is not begun so long after its time is behind: what is a little late when a workload stops is not.
const LATE: Duration = Duration::from_millis(100);

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
