//! `[nemesis]`: random faults - when they come, what they are, whom they may hit, and how they end.
//!
//! What a seed makes of it is [`crate::nemesis`]'s story.

mod parse;
mod room;

use std::fmt;
use std::time::Duration;

pub(super) use self::parse::{declare, parse};
use super::steps::Delay;
use super::stop::Signal;
use crate::condition::EventPart;
use crate::observation::ActionVerb;
use crate::source::SourceLine;
use crate::table::{Key, Kind, Need};
use crate::target::{Crowd, Target};

/// Random faults.
#[derive(Debug, Clone)]
pub struct Nemesis {
    /// Its line in the scenario.
    pub line: SourceLine,
    /// The time from one fault to the next (with `when`: until the next one waits for its event).
    pub every: Delay,
    /// The event for whose next occurrence each fault waits.
    pub when: Option<EventPart>,
    /// How long it waits for the event at most; then it comes without it.
    pub within: Option<Duration>,
    /// How long after that event it comes.
    pub after: Delay,
    /// The kinds of fault; at least one has a weight.
    pub faults: Vec<Weighted<FaultKind>>,
    /// How long a fault lasts before it is undone; none: until the nemesis stops.
    pub lasts: Option<Delay>,
    /// Whom a fault hits: one of the target, or all of `all`, `minority` and `majority`. At least one has a weight.
    pub targets: Vec<Weighted<(Target, Crowd)>>,
    /// The nodes that it is about.
    pub of: Target,
    /// How many nodes that is, whoever they are.
    pub size: usize,
    /// How many of them may be down at once, whoever is to blame.
    pub max_down: MaxDown,
    /// When it begins.
    pub begin: Begin,
    /// It stops this long after all nodes were ready.
    pub stop: Option<Duration>,
    /// It stops this long after it has begun.
    pub duration: Option<Duration>,
    /// Everything is undone when it stops, not only when the time of each fault is over.
    pub heal_last: bool,
    /// Its faults are left out: it only lasts as long as it would with them.
    pub is_idle: bool,
}

/// Something that is drawn by its weight.
#[derive(Debug, Clone)]
pub struct Weighted<T> {
    /// Its name, by which it is drawn: what else there is does not matter.
    pub name: String,
    /// How often it is drawn, in relation to the others.
    pub weight: u32,
    /// What it is.
    pub what: T,
}

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Something with a verb of its own: kill, stop, pause, restart.
    Act(ActionVerb),
    /// A signal to the main program of each process.
    Signal(Signal),
    /// Something that is done to the network.
    Network(NetworkFault),
}

/// What the nemesis can do to the network. How exactly follows from the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NetworkFault {
    /// Cuts links both ways, in one of several shapes.
    Partition,
    /// Cuts links one way.
    OneWay,
    /// Delays what goes to and from nodes.
    Slow,
    /// Loses some of it.
    Lossy,
    /// Doubles some of it, and brings some out of order.
    Flaky,
    /// Pulls cables.
    Unplug,
}

impl FaultKind {
    /// What is recorded as done.
    pub fn verb(self) -> ActionVerb {
        match self {
            Self::Act(verb) => verb,
            Self::Signal(_) => ActionVerb::Signal,
            Self::Network(NetworkFault::Partition | NetworkFault::OneWay) => ActionVerb::Partition,
            Self::Network(NetworkFault::Slow | NetworkFault::Lossy | NetworkFault::Flaky) => ActionVerb::Link,
            Self::Network(NetworkFault::Unplug) => ActionVerb::Unplug,
        }
    }

    /// What undoes it, if anything does. Of those that got a signal, whoever ended of it is started again.
    pub fn undone_by(self) -> Option<ActionVerb> {
        match self {
            Self::Act(verb) => verb.undone_by(),
            Self::Signal(_) => Some(ActionVerb::Start),
            Self::Network(_) => self.verb().undone_by(),
        }
    }

    /// True if it takes every node away for a while that it hits. (A signal may, but that is the program's choice.)
    pub fn takes_down(self) -> bool {
        matches!(self, Self::Act(_))
    }

    /// True if it may leave a node without a majority.
    pub fn cuts_off(self) -> bool {
        matches!(self, Self::Network(NetworkFault::Partition | NetworkFault::OneWay | NetworkFault::Unplug))
    }
}

impl fmt::Display for FaultKind {
    /// `kill`, `signal HUP to`: a target follows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Act(verb) => f.write_str(verb.key()),
            Self::Signal(signal) => write!(f, "signal {} to", signal.name),
            Self::Network(_) => f.write_str(self.verb().key()),
        }
    }
}

/// How many nodes may be down at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxDown {
    /// Less than half of them.
    Minority,
    /// So many.
    Number(usize),
}

impl MaxDown {
    /// Of so many nodes.
    pub fn of(self, nodes: usize) -> usize {
        match self {
            Self::Minority => nodes.saturating_sub(1) / 2,
            Self::Number(number) => number,
        }
    }
}

impl fmt::Display for MaxDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minority => f.write_str("a minority"),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// When the nemesis begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// This long after all nodes were ready.
    At(Duration),
    /// When a step starts it.
    ByStep,
}

const COMES: Need = Need::SomeOf("when faults come");
const WHOM: Need = Need::AtMostOneOf("whom it hits");
const AIMED: Need = Need::Beside(&["when"]);

/// The keys of `[nemesis]`.
pub(super) const KEYS: &[Key] = &[
    Key::new("every", Kind::Delay, "The time from one fault to the next; \"3s..8s\" lets the seed choose each.")
        .with(COMES),
    Key::new("when", Kind::TableOr("event", AIM_KEYS), "Each fault waits for the next occurrence of this event.")
        .with(COMES),
    Key::new(
        "after",
        Kind::Delay,
        "With `when`: how long after the event the fault comes; \"0ms..50ms\" lets the seed choose.",
    )
    .with(AIMED),
    Key::new(
        "within",
        Kind::Duration,
        "With `when`: how long a fault waits for its event; then it comes without it. It waits for ever if not given.",
    )
    .with(AIMED),
    Key::required("faults", Kind::Table(FAULT_KEYS), "The kinds of fault, each with its weight: { kill = 3, pause = 2 }."),
    Key::new(
        "for",
        Kind::Delay,
        "How long a fault lasts: then what was killed, stopped or ended of a signal is started again, what was paused resumed, and the network healed. If not given, until the nemesis stops.",
    ),
    Key::new(
        "targets",
        Kind::Map(WEIGHT),
        "Whom it hits, each with its weight: { leader = 2, random = 1 }; random if not given. One of the target is hit; of all, minority and majority all at once.",
    )
    .with(WHOM),
    Key::new("target", Kind::Target, "Whom it hits, if it is always the same target.").with(WHOM),
    Key::new(
        "of",
        Kind::Target,
        "The nodes that it is about: only they are hit, and `max_down` counts them; all if not given.",
    ),
    Key::new(
        "max_down",
        Kind::Either(&[Kind::OneOf(MAX_DOWN_WORDS), Kind::IntIn(1, MOST_DOWN)]),
        "How many of them may be down at once, \"minority\" (if not given) or a number; a fault that would be too much is passed over. Whoever network faults leave no majority of those that are up is down, too.",
    ),
    Key::new(
        "start",
        Kind::Either(&[Kind::Duration, Kind::OneOf(&["manual"])]),
        "When it begins: a time since all nodes were ready, or \"manual\" for a step with start = \"nemesis\"; \"0s\" if not given.",
    ),
    Key::new(
        "stop",
        Kind::Duration,
        "When it stops, since all nodes were ready; after the last step if neither this nor `duration` is given.",
    ),
    Key::new("duration", Kind::Duration, "How long it goes on."),
    Key::new(
        "heal_last",
        Kind::Bool,
        "Undoes everything when it stops, so that the run ends with all nodes up; true if not given.",
    ),
];

/// More tickets than this would only take longer to draw.
const HEAVIEST: i64 = 1_000;
const WEIGHT: &Kind = &Kind::IntIn(0, HEAVIEST);
const MAX_DOWN_WORDS: &[&str] = &["minority"];
const MOST_DOWN: i64 = 65_535;

const A_FAULT: Need = Need::SomeOf("a kind of fault");

const FAULT_KEYS: &[Key] = &[
    Key::new("kill", *WEIGHT, "SIGKILL to everything of a node, which is started again later.").with(A_FAULT),
    Key::new("stop", *WEIGHT, "Asks a node to end, as its `stop` says; it is started again later.").with(A_FAULT),
    Key::new("pause", *WEIGHT, "Freezes a node for a while.").with(A_FAULT),
    Key::new("restart", *WEIGHT, "Kills a node and starts it again at once.").with(A_FAULT),
    Key::new("signal", Kind::Map(WEIGHT), "Signals to the main program, each with its weight: { HUP = 1 }.")
        .with(A_FAULT),
    Key::new(
        "partition",
        *WEIGHT,
        "Cuts whom it hits off from everybody else; sometimes two halves, a bridge or a ring instead. Needs the network laboratory, as all that follow.",
    )
    .with(A_FAULT),
    Key::new("one_way", *WEIGHT, "Nothing of what a node sends arrives, or nothing arrives at it, and the other way is open.")
        .with(A_FAULT),
    Key::new("slow", *WEIGHT, "What goes to and from a node is late, by 10ms to 250ms, more or less.").with(A_FAULT),
    Key::new("lossy", *WEIGHT, "Of what goes to and from a node 5 to 50 % is lost, one by one or in bursts.").with(A_FAULT),
    Key::new("flaky", *WEIGHT, "Of what goes to and from a node some comes twice, and some out of order.").with(A_FAULT),
    Key::new("unplug", *WEIGHT, "Pulls the cable of a node, which sees that.").with(A_FAULT),
    Key::new("disk", Kind::Later, "Disk faults."),
    Key::new("clock", Kind::Later, "Clock faults."),
    Key::new("cpu", Kind::Later, "CPU limits."),
];

/// The keys of `when`: one event that is about to happen, nothing that has to be asked or counted.
const AIM_KEYS: &[Key] = &[
    Key::required("event", Kind::Event, "The event."),
    Key::new("from", Kind::Target, "Only events of these nodes count."),
    Key::new("where", Kind::Where, "Only events with these fields count: { term = \">= 2\" }."),
    Key::new("process", Kind::Text, "Only the log of this process of a node counts."),
];
