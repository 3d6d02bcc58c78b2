//! `[workload]` and `[workloads.NAME]`: operations of clients - who asks, how often, what, of whom, and how one knows that it was done.
//!
//! What a seed makes of it is [`crate::workload`]'s story.

mod operations;
mod parse;
mod wording;

use std::fmt;
use std::time::Duration;

pub use self::operations::{Ack, AckTest, Op, Way};
pub(super) use self::parse::{declare, parse};
pub use self::wording::{Facts, OPERATION_PLACEHOLDERS, Wording};
use super::nemesis::Begin;
use crate::observation::Name;
use crate::source::SourceLine;
use crate::table::{Key, Kind, Need};
use crate::target::Target;

/// Operations of several clients.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Its name: `workload`, if the scenario has but one.
    pub name: Name,
    /// Its line in the scenario.
    pub line: SourceLine,
    /// Its clients, in order.
    pub clients: Vec<Name>,
    /// How fast operations come.
    pub pace: Pace,
    /// How many come at most.
    pub count: Option<u64>,
    /// They come for this long at most.
    pub duration: Option<Duration>,
    /// When the first comes.
    pub begin: Begin,
    /// The nodes that they are for.
    pub target: GoesTo,
    /// The keys are the numbers from 1 to this.
    pub keys: u64,
    /// What is written.
    pub values: Values,
    /// How long an operation may take; then nobody knows.
    pub within: Duration,
    /// The operations that come by themselves, in the order of the file; those without a weight never do.
    pub ops: Vec<Op>,
    /// The operations that only steps call.
    pub calls: Vec<Op>,
    /// The program of each client, if one performs all its operations.
    pub program: Option<Vec<Wording>>,
}

/// How fast operations come, over all clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pace {
    /// Each client asks as soon as it has its answer.
    AsAnswersCome,
    /// So many per second; of several phases the last may have no end.
    Phases(Vec<Phase>),
}

/// A time with one rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// How long.
    pub lasts: Option<Duration>,
    /// Operations per second.
    pub rate: u32,
}

/// The nodes that operations are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoesTo {
    /// Client 1 asks the first of these nodes, client 2 the second, and so on, from the first again if there are more clients.
    Each(Vec<Name>),
    /// One of whom this means, each time anew.
    Target(Target),
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// A number that no other operation of the run writes.
    Unique,
    /// A number from 1 to this, by the seed.
    UpTo(u64),
}

impl fmt::Display for GoesTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Each(nodes) => write!(f, "each its own of {}", nodes.join(", ")),
            Self::Target(target) if *target == Target::all() => f.write_str("one that is up"),
            Self::Target(target) => target.fmt(f),
        }
    }
}

impl Workload {
    /// An operation by its name, also one that is only called.
    pub fn op(&self, name: &str) -> Option<&Op> {
        self.ops.iter().chain(&self.calls).find(|op| &*op.name == name)
    }

    /// True if only the steps can end it.
    pub fn ends_with_steps(&self) -> bool {
        let has_last = matches!(&self.pace, Pace::Phases(phases) if phases.iter().all(|phase| phase.lasts.is_some()));
        self.count.is_none() && self.duration.is_none() && !has_last
    }

    /// True if its clients are on the network: they run programs.
    pub fn runs_programs(&self) -> bool {
        let is_exec = |op: &Op| matches!(op.way, Way::Exec { .. });
        self.program.is_some() || self.ops.iter().chain(&self.calls).any(is_exec)
    }

    /// Every command that it may execute.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &Vec<Wording>> {
        let of_ops = self.ops.iter().chain(&self.calls).filter_map(|op| match &op.way {
            Way::Exec { command, .. } => Some(command),
            Way::Input { .. } | Way::Client => None,
        });
        self.program.iter().chain(of_ops)
    }
}

/// The name of the workload that stands alone.
pub(super) const ALONE: &str = "workload";

/// More clients than this are a load test, which dsbench is not.
const MOST_CLIENTS: i64 = 1_000;
const MOST_PER_SECOND: i64 = 100_000;
const MOST: i64 = 1_000_000_000;

const ITS_PACE: Need = Need::AtMostOneOf("its pace");
const ITS_TARGET: Need = Need::AtMostOneOf("which node");

const PHASE_KEYS: &[Key] = &[
    Key::new("for", Kind::Duration, "How long; the last phase may have no end."),
    Key::required("rate", Kind::IntIn(0, MOST_PER_SECOND), "Operations per second over all clients; 0 is a rest."),
];

/// The keys of `[workload]` and `[workloads.NAME]`.
pub(super) const KEYS: &[Key] = &[
    Key::new("clients", Kind::IntIn(1, MOST_CLIENTS), "How many clients, each with one operation at a time; 1 if not given."),
    Key::new(
        "name",
        Kind::Text,
        "The clients' names, with {id}: \"client{id}\" if not given, and \"NAME{id}\" of [workloads.NAME].",
    ),
    Key::new(
        "rate",
        Kind::Either(&[Kind::IntIn(1, MOST_PER_SECOND), Kind::OneOf(RATE_WORDS)]),
        "Operations per second over all clients, or \"max\": each client asks as soon as it has its answer; 10 if not given. Each operation has its time; what is late because all clients wait for answers is made up for, and told if it is not.",
    )
    .with(ITS_PACE),
    Key::new(
        "phases",
        Kind::Tables(PHASE_KEYS),
        "Several rates, one after the other: [{ for = \"5s\", rate = 10 }, { rate = 100 }].",
    )
    .with(ITS_PACE),
    Key::new("duration", Kind::Duration, "How long new operations begin."),
    Key::new("count", Kind::IntIn(1, MOST), "How many operations begin at most."),
    Key::new(
        "start",
        Kind::Either(&[Kind::Duration, Kind::OneOf(&["manual"])]),
        "When it begins: a time since all nodes were ready, or \"manual\" for a step with start = \"NAME\"; \"0s\" if not given.",
    ),
    Key::new(
        "target",
        Kind::Target,
        "The node that an operation is for, found anew for each: one of whom this means, at random among those that are up; \"each\": client 1 always asks the first node, client 2 the second; \"random\" if not given.",
    )
    .with(ITS_TARGET),
    Key::new("of", Kind::Target, "Like target = \"each\", among these nodes only.").with(ITS_TARGET),
    Key::new("keys", Kind::IntIn(1, MOST), "How many keys there are: {key} is a number from 1 to this; 1 if not given."),
    Key::new(
        "values",
        Kind::IntIn(1, MOST),
        "{value} is a number from 1 to this, by the seed; if not given, one that no other operation of the run writes.",
    ),
    Key::new(
        "within",
        Kind::Duration,
        "How long an operation may take; then nobody knows whether it happened; 5s if not given. The first of a client's program, which has to start, may take 5s longer.",
    ),
    Key::new(
        "client",
        Kind::Command,
        "The program of each client, which performs all operations: it reads a line of JSON for each and answers with one. What else it has to say belongs on standard error.",
    ),
    Key::new(
        "ops",
        Kind::Map(&Kind::Table(operations::KEYS)),
        "The operations: what is asked, how often in relation to the others, and how.",
    ),
    Key::new(
        "calls",
        Kind::Map(&Kind::Table(operations::KEYS)),
        "Operations that only `call` steps perform: final reads.",
    ),
];

const RATE_WORDS: &[&str] = &["max"];
