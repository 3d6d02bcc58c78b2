//! `[[steps]]`: what happens, in the order of the file. Each step has one verb; this file is the verbs' table of contents.

mod act;
mod bind;
mod call;
mod exec;
mod group;
mod input;
mod look;
mod mark;
mod nemesis;
pub(super) mod network;
mod read;
mod settle;
mod signal;
mod timing;
mod workload;

use std::fmt;

pub use act::Act;
pub use call::Call;
pub use exec::Exec;
pub use group::Round;
pub use input::Input;
pub use look::Look;
pub use nemesis::NemesisVerb;
pub use network::{Heal, LinkFault, NetworkAct, NetworkVerb, Partition, Shape, Side, Unplug, Where};
pub(crate) use read::StepTable;
pub(super) use read::{Stages, declare, parse};
pub use settle::Settle;
pub(super) use timing::parse_delay;
pub use timing::{At, Delay, Timing};
pub use workload::WorkloadVerb;

use super::stop::Signal;
use crate::condition::{Condition, Part, Probe};
use crate::observation::Name;
use crate::source::SourceLine;
use crate::stage::Stage;
use crate::table::{Key, Kind, Need};
use crate::target::Target;
use crate::template::Template;

/// One thing that happens.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its name, by which `since` and overrides refer to it.
    pub name: Option<Name>,
    /// Its line in the scenario.
    pub line: SourceLine,
    /// Where it stands among the others.
    pub place: Place,
    /// When.
    pub timing: Timing,
    /// Names that it binds, before it acts, to what these targets mean then.
    pub binds: Vec<(Name, Target)>,
    /// What.
    pub verb: Verb,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// In which stage.
    pub stage: Stage,
    /// Its number among the steps of that stage, from 1, with every round of the repeated ones.
    pub number: usize,
    /// Its position among the tables of the stage in the file, from 0; for a step of a repeated group, that of the group.
    pub position: usize,
    /// The round, for a step of a repeated group.
    pub round: Option<Round>,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Verb {
    /// Does something to nodes: starts, kills, pauses ... them.
    Act(Act),
    /// Starts or stops the nemesis.
    Nemesis(NemesisVerb),
    /// Performs an operation of a workload.
    Call(Call),
    /// Starts or stops a workload.
    Workload(WorkloadVerb, Name),
    /// Does something to the network.
    Network(Box<NetworkAct>),
    /// Sends a signal to the main program of each process.
    Signal(Signal, Target),
    /// Types lines.
    Input(Input),
    /// Runs a command.
    Exec(Exec),
    /// Waits for a condition; a miss makes the run inconclusive, because the scene was never set.
    Wait(Look),
    /// Waits for a condition; a miss is a failure.
    Expect(Look),
    /// Waits until the cluster is at rest; a miss makes the run inconclusive.
    Settle(Settle),
    /// Leaves a mark in the history, for people.
    Mark(String),
    /// Binds names, and nothing else.
    Bind,
    /// Ends the run.
    End,
}

/// A verb of the language.
#[derive(Debug, Clone, Copy)]
pub struct VerbKind {
    /// Its key in a step.
    pub key: Key,
    /// The modifiers that it looks at, besides those of every step.
    pub modifiers: &'static [&'static str],
    /// True if it does something: conditions of later steps look from then on.
    pub acts: bool,
    /// Reads it; mistakes are reported, and then there is none.
    pub(crate) parse: fn(&StepTable<'_, '_, '_>) -> Option<Verb>,
}

/// Every verb, in the order of the reference.
pub const VERBS: &[VerbKind] = &[
    act::START,
    act::STOP,
    act::KILL,
    act::RESTART,
    act::PAUSE,
    act::RESUME,
    signal::SIGNAL,
    input::INPUT,
    exec::EXEC,
    call::CALL,
    look::WAIT,
    look::EXPECT,
    settle::SETTLE,
    mark::MARK,
    mark::END,
    network::PARTITION,
    network::HEAL,
    network::LINK,
    network::UNPLUG,
];

const PLACE: Need = Need::AtMostOneOf("where a command runs");

const BEGINS: Need = Need::AtMostOneOf("when it begins");

const MODIFIERS: &[Key] = &[
    Key::new("name", Kind::Text, "The step's name, by which `since` and overrides refer to it."),
    Key::new(
        "at",
        Kind::TableOr("plus", timing::AT_KEYS),
        "Not before this time since the stage began; or { step = NAME, plus = \"2s\" }, so long after that step began.",
    )
    .with(BEGINS),
    Key::new("after", Kind::Delay, "This long after the previous step was done; \"0ms..50ms\" lets the seed choose.")
        .with(BEGINS),
    Key::new("when", Kind::Condition, "Once this condition holds; `within` bounds the wait."),
    Key::new("within", Kind::Duration, "The longest that the condition (or the command) may take; 30s if not given."),
    Key::new(
        "for",
        Kind::Duration,
        "Undoes it after this time: restarts what was killed or stopped, resumes what was paused, heals a network fault that is still in force.",
    ),
    Key::new(
        "only",
        Kind::OneOf(&["program"]),
        "\"program\" kills the main program of each process and spares its children; that they live on is then told as a leak.",
    ),
    Key::required("to", Kind::Target, "Who gets the signal or the input."),
    Key::new("every", Kind::Duration, "The time between the lines of an input; 100ms if not given."),
    Key::new(
        "on",
        Kind::Target,
        "Runs the command once for each of these nodes, as that node; from the bench if not given. Calls an operation once for each of them.",
    )
    .with(PLACE),
    Key::new(
        "as",
        Kind::Text,
        "Runs the command as this client of [network]: with an address of its own, that faults of the network can be about.",
    )
    .with(PLACE),
    Key::new("exit", Kind::IntIn(0, 255), "The exit code that the command must have; 0 if not given."),
    Key::new(
        "let",
        Kind::Map(&Kind::Target),
        "Binds names for this step and later ones to whom these targets mean now: { boss = \"leader\" }.",
    )
    .with(Need::OrElse("a verb")),
    Key::new("disk", Kind::Later, "Disk faults."),
    Key::new("clock", Kind::Later, "Clock faults."),
    Key::new("cpu", Kind::Later, "CPU limits."),
];

/// The modifiers that every step may have.
const COMMON_MODIFIERS: &[&str] = &["name", "at", "after", "when", "let"];

const VERB_KEYS: [Key; VERBS.len()] = {
    let mut keys = [Key::new("", Kind::Any, ""); VERBS.len()];
    let mut index = 0;
    while index < VERBS.len() {
        keys[index] = VERBS[index].key.with(Need::OneOf("a verb"));
        index += 1;
    }
    keys
};

/// Which verbs each modifier goes with; nothing for those that go with every verb.
pub(crate) fn companions() -> Vec<(&'static str, Vec<&'static str>)> {
    let verbs =
        |of: &dyn Fn(&VerbKind) -> bool| VERBS.iter().filter(|verb| of(verb)).map(|verb| verb.key.name).collect();
    let mut companions: Vec<(&str, Vec<&str>)> = Vec::new();
    for modifier in MODIFIERS.iter().filter(|modifier| modifier.kind != Kind::Later) {
        let beside = match modifier.name {
            "when" => verbs(&|verb| !verb.looks()),
            name if COMMON_MODIFIERS.contains(&name) => continue,
            name => verbs(&|verb| verb.modifiers.contains(&name)),
        };
        companions.push((modifier.name, beside));
    }
    if let Some((_, bounded)) = companions.iter_mut().find(|(modifier, _)| *modifier == "within") {
        bounded.push("when");
    }
    companions
}

/// The keys of one step: modifiers and verbs.
pub(crate) const KEYS: &[Key] = &Key::join::<{ MODIFIERS.len() + VERB_KEYS.len() }>(MODIFIERS, &VERB_KEYS);

/// What stands in `[[steps]]`, `[[setup]]` and `[[teardown]]`: steps, and groups of steps that are repeated.
pub(super) const KIND: Kind = Kind::List(&Kind::Either(&[Kind::Table(KEYS), Kind::Table(group::KEYS)]));

impl VerbKind {
    fn looks(&self) -> bool {
        matches!(self.key.kind, Kind::Condition)
    }
}

impl Verb {
    /// True if it does something to the cluster, so that later conditions look from then on.
    pub fn acts(&self) -> bool {
        match self {
            Self::Act(_) | Self::Network(_) | Self::Nemesis(_) | Self::Signal(..) | Self::Input(_) | Self::Exec(_) => {
                true
            }
            Self::Workload(..) | Self::Call(_) => true,
            Self::Wait(_) | Self::Expect(_) | Self::Settle(_) | Self::Mark(_) | Self::Bind | Self::End => false,
        }
    }

    /// Whom it is for.
    pub fn target(&self) -> Option<&Target> {
        match self {
            Self::Act(act) => Some(&act.to),
            Self::Signal(_, to) => Some(to),
            Self::Input(input) => Some(&input.to),
            Self::Exec(exec) => exec.on.as_ref(),
            Self::Call(call) => call.on.as_ref(),
            Self::Wait(_) | Self::Expect(_) | Self::Settle(_) => None,
            Self::Network(_) | Self::Nemesis(_) | Self::Workload(..) | Self::Mark(_) | Self::Bind | Self::End => None,
        }
    }
}

impl fmt::Display for Verb {
    /// In people's words: `kill leader, restart it after 5s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Act(act) => act.fmt(f),
            Self::Network(act) => act.fmt(f),
            Self::Nemesis(verb) => verb.fmt(f),
            Self::Workload(verb, name) => write!(f, "{} the workload {name}", verb.word()),
            Self::Signal(signal, to) => write!(f, "signal {} to {to}", signal.name),
            Self::Input(input) => input.fmt(f),
            Self::Exec(exec) => exec.fmt(f),
            Self::Call(call) => call.fmt(f),
            Self::Wait(look) => write!(f, "wait for {look}"),
            Self::Expect(look) => write!(f, "expect {look}"),
            Self::Settle(settle) => settle.fmt(f),
            Self::Mark(text) => write!(f, "mark \"{text}\""),
            Self::Bind => f.write_str("bind"),
            Self::End => f.write_str("end"),
        }
    }
}

impl Step {
    /// What it starts at, and what it looks for.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let looked = match &self.verb {
            Verb::Wait(look) | Verb::Expect(look) => Some(&look.condition),
            _ => None,
        };
        let when = self.timing.when.as_ref().map(|(condition, _)| condition);
        when.into_iter().chain(looked)
    }

    /// Every command that it needs.
    pub(crate) fn commands(&self) -> Vec<&Vec<Template>> {
        let probes = self.conditions().flat_map(|condition| &condition.parts).filter_map(|part| match part {
            Part::Probe(Probe::Exec { command, .. }) => Some(command),
            Part::Probe(Probe::Tcp { .. } | Probe::Http(_)) | Part::Event(_) | Part::Operation(_) => None,
        });
        let own = match &self.verb {
            Verb::Exec(exec) => Some(&exec.command),
            _ => None,
        };
        probes.chain(own).collect()
    }

    /// How people call it by its number: `step 3`, `setup 1`.
    pub fn label(&self) -> String {
        self.place.stage.label(self.place.number)
    }

    /// What it does, in people's words, with the names that it binds.
    pub fn words(&self) -> String {
        let binds: Vec<String> = self.binds.iter().map(|(name, target)| format!("let {name} = {target}")).collect();
        match (&self.verb, binds.is_empty()) {
            (Verb::Bind, _) => binds.join(", "),
            (verb, true) => verb.to_string(),
            (verb, false) => format!("{}, {verb}", binds.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_verb_says_of_itself_agrees_with_the_table_of_contents() {
        let words: Vec<&str> = VERBS.iter().map(|verb| verb.key.name).collect();
        for verb in VERBS {
            assert_eq!(words.iter().filter(|word| **word == verb.key.name).count(), 1);
            for modifier in verb.modifiers {
                assert!(MODIFIERS.iter().any(|known| known.name == *modifier), "{modifier}");
            }
        }
    }
}
