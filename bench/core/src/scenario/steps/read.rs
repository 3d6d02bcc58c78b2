//! Reading the steps of all stages: one table after the other, in the order in which they run.

use std::collections::BTreeSet;
use std::time::Duration;

use super::group::{self, Round};
use super::timing::{parse_at, parse_delay, refuse_going_back};
use super::{
    COMMON_MODIFIERS, Heal, KEYS, MODIFIERS, NetworkVerb, Place, Step, Timing, VERB_KEYS, VERBS, Verb, VerbKind, bind,
};
use crate::condition::{self, Condition, Origin, Since};
use crate::diagnostic::{self, Diagnostic, Located};
use crate::names::Names;
use crate::source::Sources;
use crate::stage::Stage;
use crate::table::{Item, Kind, Table};

/// A step being read.
pub(crate) struct StepTable<'t, 'd, 's> {
    pub(super) table: &'t Table<'d, 's>,
    /// The verb's key and value.
    pub(super) item: Item<'d, 's>,
    pub(super) names: &'t Names<'t>,
    pub(super) origin: &'t Origin,
    pub(super) stage: Stage,
}

impl StepTable<'_, '_, '_> {
    pub(super) fn within(&self) -> Duration {
        self.table.duration("within").map_or(condition::WITHIN, |within| within.value)
    }
}

/// The steps of all stages.
pub(in crate::scenario) struct Stages {
    pub(in crate::scenario) setup: Vec<Step>,
    pub(in crate::scenario) main: Vec<Step>,
    pub(in crate::scenario) teardown: Vec<Step>,
}

/// The stages in the order in which their steps are counted: those of `[[steps]]` first, so that a setup moves nobody's number.
const COUNTED: [Stage; 3] = [Stage::Main, Stage::Setup, Stage::Teardown];

/// Declares the steps' names, so that conditions can refer to them, and the names that they bind.
pub(in crate::scenario) fn declare(root: &Table<'_, '_>, names: &mut Names<'_>) {
    let mut given: Vec<Located<&str>> = Vec::new();
    for stage in COUNTED {
        let Some(item) = root.item(stage.key()).filter(Item::is_array) else { continue };
        for table in item.array().unwrap_or_default() {
            let (rounds, steps) = group::members(&table);
            if let Some(name) = name_of(&table).filter(|_| group::is_group(&table)) {
                refuse_name(&name, &given, root);
                given.push(name);
            }
            let mut called: Vec<Option<&str>> = Vec::new();
            for step in &steps {
                let name = name_of(step);
                if let Some(name) = &name {
                    refuse_name(name, &given, root);
                    given.push(name.clone());
                }
                called.push(name.map(|name| name.value));
                bind::announced(step).into_iter().for_each(|name| names.announce_bound(name));
            }
            for _ in 0..rounds {
                called.iter().for_each(|name| names.add_step(stage, name.map(Into::into)));
            }
        }
    }
}

fn name_of<'d>(step: &Item<'d, '_>) -> Option<Located<&'d str>> {
    let name = step.entries_quietly().into_iter().find(|entry| entry.key() == "name" && entry.is_text());
    name.and_then(|name| name.text())
}

fn refuse_name(name: &Located<&str>, given: &[Located<&str>], root: &Table<'_, '_>) {
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
}

/// Reads the steps of all stages.
pub(in crate::scenario) fn parse(root: &Table<'_, '_>, names: &mut Names<'_>, sources: &Sources) -> Option<Stages> {
    let mut reader =
        Reader { sources, stage: Stage::Setup, index: 0, since: Since::Start, on_network: BTreeSet::new() };
    let setup = reader.stage(root, Stage::Setup, names);
    let main = reader.stage(root, Stage::Main, names);
    // A teardown comes whatever was done before, and a step that was never reached would be no beginning.
    reader.since = Since::Start;
    let before = names.clone_bound();
    let teardown = reader.stage(root, Stage::Teardown, names);
    // What only the teardown binds is nobody to those who judge.
    names.set_bound(before);
    Some(Stages { setup: setup?, main: main?, teardown: teardown? })
}

struct Reader<'t> {
    sources: &'t Sources,
    stage: Stage,
    /// The index of the next step, as steps are counted.
    index: usize,
    /// From when on conditions look that do not say.
    since: Since,
    /// The steps that do something to the network which can be undone.
    on_network: BTreeSet<usize>,
}

impl Reader<'_> {
    fn stage(&mut self, root: &Table<'_, '_>, stage: Stage, names: &mut Names<'_>) -> Option<Vec<Step>> {
        self.stage = stage;
        self.index = names.first_step(stage);
        let mut steps: Vec<Step> = Vec::new();
        let mut is_complete = true;
        let mut latest_at: Option<Located<Duration>> = None;
        let elements = match root.item(stage.key()) {
            Some(item) => item.array()?,
            None => Vec::new(),
        };
        for (position, element) in elements.iter().enumerate() {
            let is_group = group::is_group(element);
            let (keys, what) = if is_group { (group::KEYS, "a group of steps") } else { (KEYS, "a step") };
            let Some(table) = element.table(keys, what) else {
                is_complete = false;
                continue;
            };
            if !is_group {
                refuse_going_back(&table, &mut latest_at);
                let place = Place { stage, number: steps.len() + 1, position, round: None };
                is_complete &= self.read(&table, place, names, &mut steps);
                continue;
            }
            let Some(group) = group::parse(&table, steps.len()) else {
                is_complete = false;
                continue;
            };
            for number in 1..=group.rounds {
                for (within, table) in group.steps.iter().enumerate() {
                    let round = Round { number, of: group.rounds, position: within };
                    let place = Place { stage, number: steps.len() + 1, position, round: Some(round) };
                    is_complete &= self.read(table, place, names, &mut steps);
                }
            }
        }
        is_complete.then_some(steps)
    }

    /// Reads one step; false if it is wrong.
    fn read(&mut self, table: &Table<'_, '_>, place: Place, names: &mut Names<'_>, steps: &mut Vec<Step>) -> bool {
        let origin = Origin { since: self.since.clone(), step: self.index };
        let step = parse_step(table, &origin, place, names, self.sources);
        let index = self.index;
        self.index += 1;
        let Some((step, acts)) = step else { return false };
        if let Verb::Network(act) = &step.verb {
            match &act.what {
                NetworkVerb::Heal(Heal::Step { index, label }) if !self.on_network.contains(index) => {
                    refuse_idle_heal(table, label);
                    return false;
                }
                NetworkVerb::Heal(_) => {}
                _ => _ = self.on_network.insert(index),
            }
        }
        if acts {
            self.since = Since::Step { index, label: names.step_label(index) };
        }
        steps.push(step);
        true
    }
}

fn parse_step(
    table: &Table<'_, '_>,
    origin: &Origin,
    place: Place,
    names: &mut Names<'_>,
    sources: &Sources,
) -> Option<(Step, bool)> {
    let name = table.text("name").map(|name| name.value.into());
    table.at_most_one(&["at", "after"]);
    let at = table.item("at").map(|_| parse_at(table, origin, place, names));
    let after = table.item("after").map(|item| parse_delay(&item));
    let when = table.item("when").map(|item| Condition::parse(&item, origin, names));
    let within = table.duration("within").map_or(condition::WITHIN, |within| within.value);
    let binds = bind::parse(table, names);
    // The verb can use the names that its step binds; what is waited for before cannot.
    for (bound, target) in binds.iter().flatten() {
        names.add_bound(bound.clone(), target.scope(names));
    }

    let (verb, acts) = parse_verb(table, origin, place.stage, names)?;
    let timing = Timing { at: flat(at)?, after: flat(after)?, when: flat(when)?.map(|when| (when, within)) };
    let line = sources.line(table.span().start);
    Some((Step { name, line, place, timing, binds: binds?, verb: verb? }, acts))
}

fn refuse_idle_heal(table: &Table<'_, '_>, label: &str) {
    let Some(item) = table.item("heal") else { return };
    let message = format!("{label} does nothing to the network");
    let diagnostic = Diagnostic::error(diagnostic::NOTHING_TO_HEAL, message, item.span(), "nothing to heal");
    table.report(diagnostic.help("a step with partition, link or unplug; or heal = \"all\""));
}

/// The verb (none within if it is wrong), and whether it acts.
fn parse_verb(table: &Table<'_, '_>, origin: &Origin, stage: Stage, names: &Names<'_>) -> Option<(Option<Verb>, bool)> {
    let keys = VERB_KEYS.map(|key| key.name);
    if table.has("let") && !keys.iter().any(|key| table.has(key)) {
        refuse_misplaced(table, "let", false, &[]);
        return Some((Some(Verb::Bind), false));
    }
    let item = table.exactly_one(&keys, "a verb", "one key that says what happens: kill, wait, expect ...")?;
    let kind = VERBS.iter().find(|kind| kind.key.name == item.key())?;
    refuse_misplaced(table, kind.key.name, kind.looks(), kind.modifiers);
    refuse_outside_its_stage(table, kind, stage);
    Some(((kind.parse)(&StepTable { table, item, names, origin, stage }), kind.acts))
}

/// A part that was not given is fine, one that could not be read is not.
fn flat<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    part.map_or(Some(None), |part| part.map(Some))
}

/// A modifier that its verb does not look at is a mistake.
fn refuse_misplaced(table: &Table<'_, '_>, verb: &str, looks: bool, modifiers: &[&str]) {
    for modifier in MODIFIERS.iter().filter(|modifier| modifier.kind != Kind::Later) {
        let is_common = COMMON_MODIFIERS.contains(&modifier.name) && !(modifier.name == "when" && looks);
        let is_bound_of_when = modifier.name == "within" && table.has("when");
        if is_common || is_bound_of_when || modifiers.contains(&modifier.name) {
            continue;
        }
        let Some(item) = table.item(modifier.name) else { continue };
        let verbs: Vec<&str> =
            VERBS.iter().filter(|verb| verb.modifiers.contains(&modifier.name)).map(|verb| verb.key.name).collect();
        let message = format!("`{}` does nothing beside `{verb}`", modifier.name);
        let help = match verbs.as_slice() {
            [] => format!("`{verb}` is a condition of its own"),
            verbs => format!("it goes with {}", verbs.join(", ")),
        };
        table.report(
            Diagnostic::error(diagnostic::MISPLACED_MODIFIER, message, item.key_span(), "does nothing here").help(help),
        );
    }
}

/// What makes no sense in a setup or a teardown.
fn refuse_outside_its_stage(table: &Table<'_, '_>, kind: &VerbKind, stage: Stage) {
    let refuse = |key: &'static str, label: &str, help: &str| {
        let Some(item) = table.item(key) else { return };
        let message = format!("`{key}` means nothing in the {}", stage.key());
        table.report(Diagnostic::error(diagnostic::NO_MEANING_HERE, message, item.key_span(), label).help(help));
    };
    if kind.key.name == "end" && stage != Stage::Main {
        refuse("end", "it would end nothing", "a stage ends with its last step");
    }
    if stage == Stage::Teardown {
        refuse("for", "the run is over before it is undone", "undo it with a step of its own, or leave it");
    }
}
