//! The scenario: what a file asks for, read with every mistake found.

mod artifacts;
mod by_itself;
mod differences;
mod document;
mod events;
mod extends;
mod files;
mod groups;
mod invariants;
mod logs;
mod nemesis;
mod network;
mod nodes;
mod overrides;
mod prepare;
mod process;
mod ready;
mod requires;
mod rights;
mod roles;
mod start;
pub(crate) mod steps;
mod stop;
mod suite;
mod turns;
mod typed;
mod vars;
mod without_faults;
mod workloads;

use std::time::Duration;

pub use artifacts::{Artifacts, Wanted};
pub use events::PRESETS;
pub use extends::Extended;
pub use files::NodeFile;
pub use nemesis::{Begin, FaultKind, MaxDown, Nemesis, NetworkFault, Weighted};
pub use network::Network;
pub use nodes::{Node, Port, Rights};
pub use overrides::Override;
pub use prepare::{PREPARE, Prepare};
pub use process::Process;
pub use ready::Ready;
pub use requires::Requires;
pub use start::StartOrder;
pub use steps::{
    Act, At, Call, Delay, Exec, Heal, Input, LinkFault, Look, NemesisVerb, NetworkAct, NetworkVerb, Partition, Place,
    Round, Settle, Shape, Side, Step, Timing, Unplug, VERBS, Verb, VerbKind, Where, WorkloadVerb,
};
pub use stop::{Signal, Stop, UnknownSignal};
pub use suite::{Asked, Axis, Choice, MOST, Suite, Variation};
pub use vars::Vars;
pub use workloads::{
    Ack, AckTest, Facts, GoesTo, OPERATION_PLACEHOLDERS, Op, Pace, Phase, Values, Way, Wording, Workload,
};

use crate::check::Invariant;
use crate::cluster::Role;
use crate::diagnostic::{self, Diagnostic};
use crate::names::Names;
use crate::observation::Name;
use crate::pattern::EventPattern;
use crate::source::{SourceLine, Sources};
use crate::stage::Stage;
use crate::table::{Key, Kind, Need, Table};

/// What a scenario file asks for.
#[derive(Debug)]
pub struct Scenario {
    /// Its name: of its runs' directories, too.
    pub name: Name,
    /// What it shows, for people.
    pub description: String,
    /// Words to select scenarios by.
    pub tags: Vec<String>,
    /// The longest that a run may take, from the first start on.
    pub timeout: Duration,
    /// The seed to use unless another is asked for.
    pub seed: Option<u64>,
    /// True for a demonstration: it passes when certain invariants are caught being violated.
    pub is_demonstration: bool,
    /// The network between the nodes.
    pub network: Network,
    /// Who runs.
    pub nodes: Vec<Node>,
    /// Who of them starts by itself.
    pub start: StartOrder,
    /// What their logs mean.
    pub events: Vec<EventPattern>,
    /// Names that targets can use.
    pub roles: Vec<Role>,
    /// What sets the scene, before the run's clock starts.
    pub setup: Vec<Step>,
    /// What happens.
    pub steps: Vec<Step>,
    /// Files of the nodes that are kept.
    pub artifacts: Option<Artifacts>,
    /// Random faults.
    pub nemesis: Option<Nemesis>,
    /// Operations of clients.
    pub workloads: Vec<Workload>,
    /// What is done on every end.
    pub teardown: Vec<Step>,
    /// What must hold.
    pub invariants: Vec<Invariant>,
    /// Texts that commands and files can use.
    pub vars: Vars,
    /// What must be there.
    pub requires: Requires,
    /// What is odd about the file, though not wrong.
    pub warnings: Vec<Diagnostic>,
}

/// The longest run if the scenario does not say.
const TIMEOUT: Duration = Duration::from_secs(120);

const WHO: Need = Need::OneOf("who runs");

/// The keys of a scenario.
pub const KEYS: &[Key] = &[
    Key::required("schema", Kind::IntIn(1, 1), "The version of the language: 1."),
    Key::required("name", Kind::Text, "The scenario's name, and of its runs' directories."),
    Key::new("description", Kind::Text, "What the scenario shows, in a sentence or two."),
    Key::new("tags", Kind::Texts, "Words to select scenarios by."),
    Key::new("timeout", Kind::Duration, "The longest that a run may take; 2m if not given."),
    Key::new("seed", Kind::IntIn(0, i64::MAX), "The seed; a fresh one is drawn and printed if not given."),
    Key::new("expect", Kind::OneOf(&["held", "violated"]), "What has to come out; \"violated\" makes a demonstration."),
    Key::new("violates", Kind::Texts, "With expect = \"violated\": the invariants that must be caught being violated.")
        .with(Need::Beside(&["expect"])),
    Key::new(
        "may_violate",
        Kind::Texts,
        "The invariants that may be violated, besides; the run does not fail by them.",
    ),
    Key::new("extends", Kind::Text, "A file in or below this directory whose tables this one builds on."),
    Key::new(
        "matrix",
        Kind::Map(&Kind::Either(&[Kind::List(&Kind::Any), Kind::Map(&Kind::Any)])),
        "Values to run it with, by their paths: every combination is a run of its own.",
    ),
    Key::new("cases", Kind::Tables(suite::cases::KEYS), "Variations with names and verdicts of their own."),
    Key::new("network", Kind::Table(network::KEYS), "The network that the nodes share."),
    Key::new("nodes", Kind::Table(nodes::KEYS), "Who runs, if all nodes are of one kind.").with(WHO),
    Key::new(
        "groups",
        Kind::Map(&Kind::Table(nodes::KEYS)),
        "Who runs, if there are several kinds of nodes (instead of [nodes]): a group's name is a target.",
    )
    .with(WHO),
    Key::new(
        "override",
        Kind::Map(&Kind::Table(differences::KEYS)),
        "How one node differs from its group: what is given here replaces what is said there; env, vars, files and process are merged.",
    ),
    Key::new(
        "events",
        Kind::MapWith(events::OWN_KEYS, &Kind::TableOr("log", events::KEYS)),
        "What lines of the logs mean; preset = \"node\" for the reference node.",
    ),
    Key::new(
        "roles",
        Kind::Map(&Kind::TableOr("last", roles::KEYS)),
        "Names that targets can use: who said an event last.",
    ),
    Key::new("steps", steps::KIND, "What happens, in this order."),
    Key::new(
        "setup",
        steps::KIND,
        "Steps that set the scene when all nodes are ready, before the clock of the run starts; a miss is inconclusive.",
    ),
    Key::new("teardown", steps::KIND, "Steps on every end, while the nodes are still up; nothing is judged any more."),
    Key::new(
        "artifacts",
        Kind::TableOr("paths", artifacts::KEYS),
        "Files of the nodes' data directories that are kept with the run, however it ends: [\"{data_dir}/js/**\"].",
    ),
    Key::new(
        "nemesis",
        Kind::Table(nemesis::KEYS),
        "Random faults: the seed decides when, what, how long and at whom.",
    ),
    Key::new("invariants", Kind::Tables(invariants::KEYS), "What must hold."),
    Key::new(
        "vars",
        Kind::Map(vars::KIND),
        "Texts for {vars.NAME}: a text, a number, a list, { each, of, join } or { path }.",
    ),
    Key::new("requires", Kind::Table(requires::KEYS), "What must be there before anything starts."),
    Key::new(
        "workload",
        Kind::Table(workloads::KEYS),
        "Operations of clients: what they ask of the nodes, how often, and how one knows that it was done.",
    ),
    Key::new(
        "workloads",
        Kind::Map(&Kind::Table(workloads::KEYS)),
        "The same by names, if there are several: [workloads.inside], [workloads.outside].",
    ),
    Key::new(
        "probes",
        Kind::Later,
        "Questions that are asked all the time: until then, conditions with `exec` or `tcp`.",
    ),
];

impl Scenario {
    /// Reads a scenario of one file, with values in the place of its own; its cases and its matrix are not looked at.
    ///
    /// # Errors
    ///
    /// Every mistake of the file, in the order of the text.
    pub fn parse(text: &str, overrides: &[Override]) -> Result<Self, Vec<Diagnostic>> {
        Self::parse_choice(&Sources::of(text), &Choice { overrides: overrides.to_vec(), ..Choice::default() })
    }

    /// Reads everything before giving up on anything, so that all mistakes are found.
    fn read(root: &Table<'_, '_>, sources: &Sources) -> Option<Self> {
        let problems = root.problems();
        let mut names = Names::new(problems);
        root.required("schema", |root, key| root.int(key, 1..=1));
        root.text("extends");
        let name = root.required("name", Table::nonempty_text);
        if let Some(name) = &name {
            nodes::refuse_unsafe(name.value, &name.span, "the scenario's name", problems);
        }
        let timeout = root.duration("timeout").map_or(TIMEOUT, |timeout| timeout.value);
        let seed = root.int("seed", 0..=i64::MAX).map(|seed| seed.value.unsigned_abs());
        let network = network::parse(root, &mut names);

        // Names first: everything else refers to them, in any order.
        let mut cast = groups::declare(root, &mut names);
        events::declare(root, &mut names);
        roles::declare(root, &mut names);
        steps::declare(root, &mut names);
        nemesis::declare(root, &mut names);
        workloads::declare(root, &mut names);
        let vars = vars::parse(root, &mut names);
        if let Some(cast) = &mut cast {
            cast.declare_vars(&mut names);
        }

        let events = events::parse(root, &names);
        let roles = roles::parse(root, &names);
        names.define_roles(roles.as_deref().unwrap_or_default());
        let nodes = cast.as_ref().and_then(|cast| cast.parse(&names));
        let stages = steps::parse(root, &mut names, sources);
        let nemesis = nemesis::parse(root, &names, stages.as_ref().map(|stages| &*stages.main), sources);
        let workloads = workloads::parse(root, &names, stages.as_ref().map(|stages| &*stages.main), sources);
        for node in nodes.iter().flat_map(|(nodes, _)| nodes) {
            for process in &node.processes {
                names.expect(node.name.clone(), process.name.clone(), process.expected.clone());
            }
        }
        let mut invariants = invariants::parse(root, &mut names, sources);
        let is_demonstration =
            invariants::parse_expectations(root, invariants.as_deref_mut().unwrap_or_default(), &names);
        let artifacts = artifacts::parse(root, &names);
        let requires = requires::parse(root, &names);
        warn_if_nothing_is_judged(root, invariants.as_ref(), stages.as_ref().map(|stages| &stages.main));
        if names.uses_lab().is_some() {
            // There the nodes get the ports that they want.
            problems.forget(diagnostic::PORT_REPLACED);
        }
        let (nodes, start) = nodes?;
        let on_network = workloads.iter().flatten().filter(|workload| workload.runs_programs());
        let clients: Vec<Name> = on_network.flat_map(|workload| workload.clients.iter().cloned()).collect();
        let network = network?.with_clients(clients).decide(root, &nodes, &names)?;
        let steps::Stages { setup, main, teardown } = stages?;
        Some(Self {
            name: name?.value.into(),
            description: root.text("description").map_or_else(String::new, |text| text.value.to_owned()),
            tags: root.texts("tags").unwrap_or_default().iter().map(|tag| tag.value.to_owned()).collect(),
            timeout,
            seed,
            is_demonstration,
            network,
            nodes,
            start,
            events: events?,
            roles: roles?,
            setup,
            steps: main,
            teardown,
            nemesis: nemesis?,
            workloads: workloads?,
            artifacts: artifacts?,
            invariants: invariants?,
            vars: vars?,
            requires: requires?,
            warnings: Vec::new(),
        })
    }
}

impl Scenario {
    /// Every step, as they are counted: those of `[[steps]]`, those of the setup, those of the teardown.
    pub fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().chain(&self.setup).chain(&self.teardown)
    }

    /// A step by its index among all.
    pub fn step(&self, index: usize) -> Option<&Step> {
        let (setup, teardown) = (self.range(Stage::Setup), self.range(Stage::Teardown));
        match index {
            main if main < setup.start => self.steps.get(main),
            index if index < teardown.start => self.setup.get(index - setup.start),
            index => self.teardown.get(index - teardown.start),
        }
    }

    /// The indexes of a stage's steps.
    pub fn range(&self, stage: Stage) -> std::ops::Range<usize> {
        let (main, setup) = (self.steps.len(), self.steps.len() + self.setup.len());
        match stage {
            Stage::Main => 0..main,
            Stage::Setup => main..setup,
            Stage::Teardown => setup..setup + self.teardown.len(),
        }
    }
}

/// What the parser made of a line that is not TOML is no mistake of its own.
fn forgive_broken_lines(diagnostics: &mut Vec<Diagnostic>, sources: &Sources) {
    let line = |diagnostic: &Diagnostic| sources.line(diagnostic.at.0.start);
    // A value that could not be read at all has no place: it stands, without any extent, at the beginning of its file.
    let is_nowhere = |diagnostic: &Diagnostic| {
        let span = &diagnostic.at.0;
        span.is_empty() && sources.file_at(span.start).is_some_and(|file| file.start() == span.start)
    };
    let broken: Vec<SourceLine> = diagnostics.iter().filter(|d| d.code == diagnostic::SYNTAX).map(line).collect();
    let is_of_it = |d: &Diagnostic| broken.contains(&line(d)) || d.code != diagnostic::MISSING_KEY && is_nowhere(d);
    if !broken.is_empty() {
        diagnostics.retain(|d| d.code == diagnostic::SYNTAX || !is_of_it(d));
    }
}

/// A run that nothing judges would pass whatever happens.
fn warn_if_nothing_is_judged(root: &Table<'_, '_>, invariants: Option<&Vec<Invariant>>, steps: Option<&Vec<Step>>) {
    let has_expect = |steps: &Vec<Step>| steps.iter().any(|step| matches!(&step.verb, Verb::Expect(_)));
    if invariants.is_some_and(Vec::is_empty) && steps.is_some_and(|steps| !has_expect(steps)) {
        let label = "no invariant and no `expect` step";
        let warning = Diagnostic::warning(diagnostic::NOTHING_JUDGED, "nothing is judged", root.span(), label);
        root.report(warning.help("say what must hold: [[invariants]] with a check, or a step with `expect`"));
    }
}
