//! What the bench saw: one observation per outside event, numbered, timed, and stored as one line of JSON.
//!
//! The history is the only bridge from the world to the checks, so everything that a check may need is here, and nothing that it may not
//! (a log line is not an observation; a match of an event pattern is, with a pointer to the line). How an observation looks on disk stands
//! in [`crate::lines`].

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use crate::event::{Event, Fields, LogLine, Nanos, Output, Shape, Shapes, Source, Value};
use crate::network::{Paths, Traffic};
use crate::operation::{Operation, WorkloadChange};
use crate::time::RunTime;

/// A node's, event's, field's or process's name. Shared, because a history repeats it a million times.
pub type Name = Arc<str>;

/// The process of a node that its `command` starts.
pub const MAIN: &str = "main";

/// The event of a line that tells of a crash (see [`crate::check::process::PANICS`]). The bench looks for it in every node's output,
/// whatever the scenario declares.
pub const PANIC: &str = "node.panic";

/// One thing that was seen or done.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// Position in the history, from 0, without gaps.
    pub number: u64,
    /// When the bench saw or did it. Nearly in the order of the numbers: what another thread stamped may be a little older than
    /// what stands before it.
    pub at: RunTime,
    /// What it is.
    pub what: What,
}

/// The kinds of observation.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// The run as a whole reached a phase.
    Run(Phase),
    /// A process of a node changed its state.
    Process(ProcessChange),
    /// A line of a node's output matched an event pattern.
    Event(Event),
    /// The bench did something to nodes: a fault, or the undoing of one.
    Action(Box<Action>),
    /// A client began or ended an operation.
    Operation(Box<Operation>),
    /// A workload changed its state.
    Workload(Box<WorkloadChange>),
    /// A step of the scenario changed its state.
    Step(StepChange),
    /// The nemesis changed its state. What it does to nodes is an action.
    Nemesis(NemesisChange),
    /// Resources of a process.
    Sample(Sample),
    /// What the network's rules did to frames, since the run began.
    Traffic(Box<Traffic>),
    /// The bench itself was late: what happened in this time is not to be blamed on the cluster.
    Stall(Stall),
    /// The answer of an `exec` check, which ran in the shell.
    Answer(Answer),
}

/// Phases of a run, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The first process is about to be started.
    Started,
    /// All nodes that start by themselves are ready, and the setup, if there is one, is done; `at` counts from here.
    Ready,
    /// All steps are done (met or missed).
    StepsDone,
    /// The teardown comes, and then the nodes are stopped; nothing later is judged as the cluster's doing.
    Ended {
        /// Why it ended.
        because: Ending,
    },
}

/// Why a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Every step and every bound of an invariant was met or elapsed.
    Complete,
    /// An `end` step cut it short.
    EndStep,
    /// A step could not go on (a `wait` was missed, a target was empty).
    Abandoned,
    /// The scenario's `timeout` was over.
    Timeout,
    /// A signal to the bench (2 = SIGINT, 15 = SIGTERM).
    Interrupted {
        /// The signal's number.
        signal: i32,
    },
    /// More was seen than may be held in memory.
    TooMuch,
    /// The environment failed before the first fault (a node did not start or did not become ready).
    Environment,
    /// A person who had launched the cluster, to look at it and not to judge it, has ended it.
    ByHand,
}

/// Names one life of one process of one node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Life {
    /// The node.
    pub node: Name,
    /// The process within the node; `main` for the node's `command`.
    pub process: Name,
    /// 1 for the first start, one more for each restart.
    pub life: u32,
}

/// A process of a node changed its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessChange {
    /// Which process, in which life.
    pub of: Life,
    /// What changed.
    pub change: Change,
}

/// State changes of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It runs.
    Started {
        /// Its process id.
        pid: i32,
    },
    /// It could not be executed.
    NotStarted {
        /// Why, for people.
        why: String,
    },
    /// Its readiness probe answered.
    Ready,
    /// Its readiness probe did not answer in time.
    NotReady {
        /// What was waited for, for people.
        why: String,
    },
    /// Its main program ended.
    Exited {
        /// How.
        exit: Exit,
        /// True if the bench had asked for it (kill, stop, end of the run).
        expected: bool,
    },
    /// Its main program ended while children of it live on.
    Leaking {
        /// The command names of the children, at most 16.
        children: Vec<String>,
    },
    /// Nothing of it is alive any more: proven, not assumed.
    Empty,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

impl fmt::Display for Exit {
    /// `exit code 1`, `signal 9`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// The bench acted on nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// What was done.
    pub verb: ActionVerb,
    /// The nodes it was done to: concrete names, sorted.
    pub nodes: Vec<Name>,
    /// What exactly it hit: every life that was alive and got it. Empty: it hit nothing.
    pub hit: Vec<Life>,
    /// The step that asked for it, by index from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// The fault of the nemesis that asked for it, by index from 0 in its schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nemesis: Option<usize>,
    /// A person asked for it while the cluster ran.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
    /// It set the scene (`[[setup]]`), so it is no fault that anything is judged by.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub setup: bool,
    /// What went with it: the name of a signal (`USR1`), the line of an input; `program` of a kill that spared the children; what a link
    /// does to frames (`delay 50ms`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
    /// The links that a network fault is on. `nodes` are then those that it cuts off, or all of them if it cuts off nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Paths>,
    /// The observation numbers of the network faults that were in force and are over with this action: those that it heals, or a
    /// partition that this one replaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ends: Vec<u64>,
    /// The observation number of the action that this one undoes (`for`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<u64>,
}

impl Action {
    /// The bench's own doing, to these nodes, which hit these lives. Whoever asked for it adds itself.
    pub fn new(verb: ActionVerb, nodes: Vec<Name>, hit: Vec<Life>) -> Self {
        let (step, nemesis, by_hand, setup) = (None, None, false, false);
        let (with, links, ends, undoes) = (None, None, Vec::new(), None);
        Self { verb, nodes, hit, step, nemesis, by_hand, setup, with, links, ends, undoes }
    }

    /// True if it hit something. What a fault does to the network it does to whoever comes to be there, so that always hits something;
    /// whether a frame met it is told by [`Traffic`].
    pub fn has_hit(&self) -> bool {
        self.verb.is_network() || !self.hit.is_empty()
    }

    /// What it was done to, for people: `peer2`, `{peer1} | {peer2, peer3}`, `peer1 <-> peer2 (delay 50ms)`.
    pub fn whom(&self) -> String {
        whom(&self.nodes, self.links.as_ref(), self.with.as_deref())
    }

    /// Who asked for it.
    pub fn origin(&self) -> Origin {
        Origin::of(self.step, self.nemesis, self.by_hand)
    }

    /// The same, asked for by this one.
    pub fn asked_by(self, origin: Origin) -> Self {
        let (step, nemesis, by_hand) = match origin {
            Origin::Step(step) => (Some(step), None, false),
            Origin::Nemesis(fault) => (None, Some(fault), false),
            Origin::Hand => (None, None, true),
            Origin::Bench => (None, None, false),
        };
        Self { step, nemesis, by_hand, ..self }
    }
}

/// What was done to whom, of a network fault with its links and what it does there.
pub(crate) fn whom(nodes: &[Name], links: Option<&Paths>, with: Option<&str>) -> String {
    match (links, with) {
        (None, _) => nodes.join(", "),
        (Some(links), None) => links.to_string(),
        (Some(links), Some(with)) => format!("{links} ({with})"),
    }
}

/// Who asked for an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A step of the scenario, by index from 0.
    Step(usize),
    /// A fault of the nemesis, by index from 0 in its schedule.
    Nemesis(usize),
    /// A person, while the cluster ran.
    Hand,
    /// The bench itself.
    Bench,
}

impl Origin {
    pub(crate) fn of(step: Option<usize>, nemesis: Option<usize>, by_hand: bool) -> Self {
        match (step, nemesis) {
            (Some(step), _) => Self::Step(step),
            (None, Some(fault)) => Self::Nemesis(fault),
            (None, None) if by_hand => Self::Hand,
            (None, None) => Self::Bench,
        }
    }
}

impl fmt::Display for Origin {
    /// `step 3`, `by the nemesis (fault 3)`, `by hand`, and nothing for the bench itself. People count from 1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(step) => write!(f, "step {}", step.saturating_add(1)),
            Self::Nemesis(fault) => write!(f, "by the nemesis (fault {})", fault.saturating_add(1)),
            Self::Hand => f.write_str("by hand"),
            Self::Bench => Ok(()),
        }
    }
}

/// What can be done to nodes and to the network between them. `start`, `restart`, `resume`, `input`, `heal`, `plug` are no faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionVerb {
    /// First start, or start after a stop.
    Start,
    /// Graceful stop.
    Stop,
    /// SIGKILL to the whole tree.
    Kill,
    /// Kill or stop if alive, then start again.
    Restart,
    /// Freeze the tree.
    Pause,
    /// Thaw the tree.
    Resume,
    /// Another signal.
    Signal,
    /// A line to standard input.
    Input,
    /// Cut links.
    Partition,
    /// Undo network faults.
    Heal,
    /// Delay, lose, repeat, change what goes over links.
    Link,
    /// Pull a node's cable.
    Unplug,
    /// Put a node's cable back.
    Plug,
}

impl ActionVerb {
    /// Every verb.
    pub const ALL: &'static [Self] = &[
        Self::Start,
        Self::Stop,
        Self::Kill,
        Self::Restart,
        Self::Pause,
        Self::Resume,
        Self::Signal,
        Self::Input,
        Self::Partition,
        Self::Heal,
        Self::Link,
        Self::Unplug,
        Self::Plug,
    ];

    /// True for what may break a cluster, and so for what `fault.KIND` and "since the last fault" mean.
    pub fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Stop | Self::Kill | Self::Pause | Self::Signal | Self::Partition | Self::Link | Self::Unplug
        )
    }

    /// True for what is done to the network, and not to processes.
    pub fn is_network(self) -> bool {
        matches!(self, Self::Partition | Self::Heal | Self::Link | Self::Unplug | Self::Plug)
    }

    /// What undoes it, if anything does.
    pub fn undone_by(self) -> Option<Self> {
        match self {
            Self::Kill | Self::Stop => Some(Self::Restart),
            Self::Pause => Some(Self::Resume),
            Self::Partition | Self::Link => Some(Self::Heal),
            Self::Unplug => Some(Self::Plug),
            Self::Start | Self::Restart | Self::Resume | Self::Signal | Self::Input | Self::Heal | Self::Plug => None,
        }
    }

    /// The verb's key in a scenario.
    pub fn key(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Restart => "restart",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Signal => "signal",
            Self::Input => "input",
            Self::Partition => "partition",
            Self::Heal => "heal",
            Self::Link => "link",
            Self::Unplug => "unplug",
            Self::Plug => "plug",
        }
    }
}

/// A step changed its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepChange {
    /// The step, by index from 0: those of `[[steps]]` first, then those of the setup, then those of the teardown.
    pub step: usize,
    /// What became of it.
    pub state: StepState,
}

/// States of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Its time has come; it acts or looks.
    Begun,
    /// It is done, or what it waited for is there.
    Done,
    /// It has bound a name to whom its target meant at that moment: nodes (`peer1`) and processes of nodes (`peer1/sentinel`).
    Bound {
        /// The name.
        name: Name,
        /// Whom it means from now on.
        to: Vec<String>,
    },
    /// A `wait` ran out: the scene was never set, so the run is inconclusive.
    WaitMissed {
        /// What was missing, for people.
        why: String,
    },
    /// An `expect` ran out: a failure.
    ExpectMissed {
        /// What was missing, for people.
        why: String,
    },
    /// It found nothing to act on, or acting failed: inconclusive.
    Failed {
        /// Why, for people.
        why: String,
    },
    /// A node did not come back after a fault: a failure of the cluster.
    NotBack {
        /// Why, for people.
        why: String,
    },
    /// The teardown was cut here; the rest of it was not done.
    Cut {
        /// By what, for people.
        why: String,
    },
}

/// Changes of the nemesis. Faults are told by their index, from 0, in its schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NemesisChange {
    /// The cluster is ready, and the nemesis has not begun.
    Waiting,
    /// Its faults come from now on.
    Begun,
    /// A fault was not done.
    PassedOver {
        /// Which.
        fault: usize,
        /// What kind of reason it was.
        because: PassedOver,
        /// The reason, for people.
        why: String,
    },
    /// A node did not come back after a fault: a failure of the cluster.
    NotBack {
        /// After which.
        fault: usize,
        /// Why, for people.
        why: String,
    },
    /// No more faults come.
    Stopped {
        /// The event at which its faults were aimed, if that never came while one of them waited for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        never_came: Option<String>,
    },
    /// Everything that it did is undone, and whoever it hit is ready again (or has been given up).
    Healed,
}

/// Why a fault was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassedOver {
    /// More nodes than allowed would have been down.
    MaxDown,
    /// There was nobody whom it could have hit.
    Nobody,
}

/// Resources of one process tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Which process.
    pub of: Life,
    /// CPU time used so far, all processes of the tree that are alive.
    pub cpu: Nanos,
    /// Resident memory in bytes.
    pub rss_bytes: u64,
    /// Open file descriptors of the main program; 0 if it may not be read.
    pub open_files: u32,
}

/// The bench was late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stall {
    /// Since when; it ended at the observation's time.
    pub since: RunTime,
    /// What was late: `loop` (steps and deadlines) or `logs` (reading output).
    pub of: Name,
}

/// The answer of an `exec` check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The program and its arguments as the scenario has them (placeholders unreplaced): by it the check finds its answer.
    pub command: Vec<String>,
    /// How the program ended; none if it did not (not found, over its time).
    pub exit: Option<Exit>,
    /// The last lines that it printed, or why it did not run, for people.
    pub said: String,
}
