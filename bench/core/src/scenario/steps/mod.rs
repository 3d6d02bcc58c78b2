//! `[[steps]]`: what happens, in the order of the file. Each step has one verb; this file is the verbs' table of contents.

mod act;
mod exec;
mod input;
mod look;
mod mark;
mod nemesis;
mod network;
mod signal;
mod timing;

use std::fmt;
use std::time::Duration;

pub use act::Act;
pub use exec::Exec;
pub use input::Input;
pub use look::Look;
pub use nemesis::NemesisVerb;
pub use timing::{Delay, Timing};

pub(super) use self::timing::parse_delay;
use self::timing::refuse_going_back;
use super::process::Signal;
use crate::condition::{self, Condition, Origin, Part, Probe, Since};
use crate::diagnostic::{self, Diagnostic, Located};
use crate::names::Names;
use crate::observation::Name;
use crate::source::{SourceLine, Sources};
use crate::table::{Item, Key, Kind, Need, Table};
use crate::target::Target;
use crate::template::Template;

/// One thing that happens.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its name, by which `since` and overrides refer to it.
    pub name: Option<Name>,
    /// Its line in the scenario.
    pub line: SourceLine,
    /// When.
    pub timing: Timing,
    /// What.
    pub verb: Verb,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Verb {
    /// Does something to nodes: starts, kills, pauses ... them.
    Act(Act),
    /// Starts or stops the nemesis.
    Nemesis(NemesisVerb),
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
    /// Leaves a mark in the history, for people.
    Mark(String),
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
    look::WAIT,
    look::EXPECT,
    mark::MARK,
    mark::END,
    network::PARTITION,
    network::HEAL,
    network::LINK,
    network::UNPLUG,
];

const BEGINS: Need = Need::AtMostOneOf("when it begins");

const MODIFIERS: &[Key] = &[
    Key::new("name", Kind::Text, "The step's name, by which `since` and overrides refer to it."),
    Key::new("at", Kind::Duration, "Not before this time since all nodes were ready.").with(BEGINS),
    Key::new("after", Kind::Delay, "This long after the previous step was done; \"0ms..50ms\" lets the seed choose.")
        .with(BEGINS),
    Key::new("when", Kind::Condition, "Once this condition holds; `within` bounds the wait."),
    Key::new("within", Kind::Duration, "The longest that the condition (or the command) may take; 30s if not given."),
    Key::new(
        "for",
        Kind::Duration,
        "Undoes it after this time: restarts what was killed or stopped, resumes what was paused.",
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
        "Runs the command once for each of these nodes, as that node; from the bench if not given.",
    ),
    Key::new("exit", Kind::IntIn(0, 255), "The exit code that the command must have; 0 if not given."),
    Key::new("call", Kind::Later, "A single operation of a workload: until then, `exec`."),
    Key::new("settle", Kind::Later, "Waits for quiescence: until then, `wait` with `latest` and `each`."),
    Key::new("let", Kind::Later, "Binds a name: until then, `killed`, `paused` and `restarted` name what was hit."),
    Key::new("repeat", Kind::Later, "Repeats a group of steps: until then, write them out."),
    Key::new("disk", Kind::Later, "Disk faults."),
    Key::new("clock", Kind::Later, "Clock faults."),
    Key::new("cpu", Kind::Later, "CPU limits."),
];

/// The modifiers that every step may have.
const COMMON_MODIFIERS: &[&str] = &["name", "at", "after", "when"];

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

/// The keys of a step: modifiers and verbs.
pub(crate) const KEYS: &[Key] = &Key::join::<{ MODIFIERS.len() + VERB_KEYS.len() }>(MODIFIERS, &VERB_KEYS);

/// A step being read.
pub(crate) struct StepTable<'t, 'd, 's> {
    table: &'t Table<'d, 's>,
    /// The verb's key and value.
    item: Item<'d, 's>,
    names: &'t Names<'t>,
    origin: &'t Origin,
}

impl StepTable<'_, '_, '_> {
    fn within(&self) -> Duration {
        self.table.duration("within").map_or(condition::WITHIN, |within| within.value)
    }
}

/// Declares the steps' names, so that conditions can refer to them.
pub(super) fn declare(root: &Table<'_, '_>, names: &mut Names<'_>) {
    let mut given: Vec<Located<&str>> = Vec::new();
    let Some(item) = root.item("steps").filter(Item::is_array) else { return };
    for step in item.array().unwrap_or_default() {
        let name = step.entries_quietly().into_iter().find(|entry| entry.key() == "name" && entry.is_text());
        let name = name.and_then(|name| name.text());
        if let Some(name) = &name {
            if let Some(first) = given.iter().find(|known| known.value == name.value) {
                let message = format!("two steps are called `{}`", name.value.escape_debug());
                root.report(
                    Diagnostic::error(diagnostic::DUPLICATE_NAME, message, name.span.clone(), "given twice")
                        .also(first.span.clone(), "the first one"),
                );
            }
            if name.value == "start" || name.value.trim().is_empty() {
                let message = format!("no step can be called `{}`", name.value.escape_debug());
                let label = "`since` could not tell";
                root.report(Diagnostic::error(diagnostic::RESERVED_NAME, message, name.span.clone(), label));
            }
            given.push(name.clone());
        }
        names.add_step(name.map(|name| name.value.into()));
    }
}

/// Reads the steps.
pub(super) fn parse(root: &Table<'_, '_>, names: &Names<'_>, sources: &Sources) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut is_complete = true;
    let mut since = Since::Start;
    let mut latest_at: Option<Located<Duration>> = None;
    for (index, table) in root.tables("steps", "a step").into_iter().enumerate() {
        refuse_going_back(&table, &mut latest_at);
        let origin = Origin { since: since.clone(), step: index };
        match parse_step(&table, &origin, names, sources) {
            Some((step, acts)) => {
                if acts {
                    since = Since::Step { index, name: step.name.clone() };
                }
                steps.push(step);
            }
            None => is_complete = false,
        }
    }
    is_complete.then_some(steps)
}

fn parse_step(table: &Table<'_, '_>, origin: &Origin, names: &Names<'_>, sources: &Sources) -> Option<(Step, bool)> {
    let name = table.text("name").map(|name| name.value.into());
    table.at_most_one(&["at", "after"]);
    let at = table.duration("at").map(|at| at.value);
    let after = table.item("after").map(|item| parse_delay(&item));
    let when = table.item("when").map(|item| Condition::parse(&item, origin, names));
    let within = table.duration("within").map_or(condition::WITHIN, |within| within.value);

    let keys = VERB_KEYS.map(|key| key.name);
    let item = table.exactly_one(&keys, "a verb", "one key that says what happens: kill, wait, expect ...")?;
    let kind = VERBS.iter().find(|kind| kind.key.name == item.key())?;
    refuse_misplaced(table, kind);
    let verb = (kind.parse)(&StepTable { table, item, names, origin });

    let after = match after {
        None => None,
        Some(after) => Some(after?),
    };
    let when = match when {
        None => None,
        Some(when) => Some((when?, within)),
    };
    let step = Step { name, line: sources.line(table.span().start), timing: Timing { at, after, when }, verb: verb? };
    Some((step, kind.acts))
}

/// A modifier that its verb does not look at is a mistake.
fn refuse_misplaced(table: &Table<'_, '_>, kind: &VerbKind) {
    for modifier in MODIFIERS.iter().filter(|modifier| modifier.kind != Kind::Later) {
        let is_common = COMMON_MODIFIERS.contains(&modifier.name) && !(modifier.name == "when" && kind.looks());
        let is_bound_of_when = modifier.name == "within" && table.has("when");
        if is_common || is_bound_of_when || kind.modifiers.contains(&modifier.name) {
            continue;
        }
        let Some(item) = table.item(modifier.name) else { continue };
        let verbs: Vec<&str> =
            VERBS.iter().filter(|verb| verb.modifiers.contains(&modifier.name)).map(|verb| verb.key.name).collect();
        let message = format!("`{}` does nothing beside `{}`", modifier.name, kind.key.name);
        let help = match verbs.as_slice() {
            [] => format!("`{}` is a condition of its own", kind.key.name),
            verbs => format!("it goes with {}", verbs.join(", ")),
        };
        table.report(
            Diagnostic::error(diagnostic::MISPLACED_MODIFIER, message, item.key_span(), "does nothing here").help(help),
        );
    }
}

impl VerbKind {
    fn looks(&self) -> bool {
        matches!(self.key.kind, Kind::Condition)
    }
}

impl Verb {
    /// True if it does something to the cluster, so that later conditions look from then on.
    pub fn acts(&self) -> bool {
        match self {
            Self::Act(_) | Self::Nemesis(_) | Self::Signal(..) | Self::Input(_) | Self::Exec(_) => true,
            Self::Wait(_) | Self::Expect(_) | Self::Mark(_) | Self::End => false,
        }
    }

    /// Whom it is for.
    pub fn target(&self) -> Option<&Target> {
        match self {
            Self::Act(act) => Some(&act.to),
            Self::Signal(_, to) => Some(to),
            Self::Input(input) => Some(&input.to),
            Self::Exec(exec) => exec.on.as_ref(),
            Self::Nemesis(_) | Self::Wait(_) | Self::Expect(_) | Self::Mark(_) | Self::End => None,
        }
    }
}

impl fmt::Display for Verb {
    /// In people's words: `kill leader, restart it after 5s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Act(act) => act.fmt(f),
            Self::Nemesis(verb) => verb.fmt(f),
            Self::Signal(signal, to) => write!(f, "signal {} to {to}", signal.name),
            Self::Input(input) => input.fmt(f),
            Self::Exec(exec) => exec.fmt(f),
            Self::Wait(look) => write!(f, "wait for {look}"),
            Self::Expect(look) => write!(f, "expect {look}"),
            Self::Mark(text) => write!(f, "mark \"{text}\""),
            Self::End => f.write_str("end"),
        }
    }
}

impl Step {
    /// Every command that it needs.
    pub(crate) fn commands(&self) -> Vec<&Vec<Template>> {
        let looked = match &self.verb {
            Verb::Wait(look) | Verb::Expect(look) => Some(&look.condition),
            _ => None,
        };
        let when = self.timing.when.as_ref().map(|(condition, _)| condition);
        let probes =
            when.into_iter().chain(looked).flat_map(|condition| &condition.parts).filter_map(|part| match part {
                Part::Probe(Probe::Exec { command, .. }) => Some(command),
                Part::Probe(Probe::Tcp { .. }) | Part::Event(_) => None,
            });
        let own = match &self.verb {
            Verb::Exec(exec) => Some(&exec.command),
            _ => None,
        };
        probes.chain(own).collect()
    }

    /// How reports call it: its name, or its number from 1.
    pub fn label(&self, index: usize) -> String {
        match &self.name {
            Some(name) => format!("step {} ({name})", index + 1),
            None => format!("step {}", index + 1),
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
