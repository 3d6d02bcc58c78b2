//! The plan: a scenario and a seed, with everything decided that the seed decides. The same scenario and seed give the same bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value as Json, json};

use regex::Regex;

use crate::check::process::PANICS;
use crate::check::{StepPlace, with_implicit};
use crate::cluster::ClusterState;
use crate::expected::{Exits, Expectations};
use crate::expression::Expression;
use crate::nemesis::Schedule;
use crate::observation::{MAIN, Name, PANIC};
use crate::pattern::{Aliases, EventPattern};
use crate::random::Keyed;
use crate::scenario::{Artifacts, Node, Process, Scenario, Step, Wording, Workload};
use crate::stage::Stage;
use crate::template::{Addresses, NodeAddress, Place, Template, told};
use crate::verdict::{Expectation, Severity};
use crate::workload::Generator;

/// What will be run.
#[derive(Debug)]
pub struct Plan {
    /// What was asked for, and the invariant that no process crashes, if no other looks at that.
    pub scenario: Scenario,
    /// What every choice follows from.
    pub seed: u64,
    /// For each step, how long after the previous one it begins, where its `after` left a choice.
    pub delays: Vec<Option<Duration>>,
    /// The events to look for: those of the scenario, and the lines that tell of a crash.
    pub events: Vec<EventPattern>,
}

/// The lines that tell of a crash. One expression, compiled once: a run pays for it before its first process starts.
static PANIC_LINE: LazyLock<Regex> = LazyLock::new(|| Regex::new(&PANICS.join("|")).expect("constant patterns"));

impl Plan {
    /// Decides what the seed decides.
    pub fn new(mut scenario: Scenario, seed: u64) -> Self {
        let mut expectations = Expectations::default();
        for node in &scenario.nodes {
            for process in &node.processes {
                expectations.add(node.name.clone(), process.name.clone(), process.expected.clone());
            }
        }
        scenario.invariants = with_implicit(scenario.invariants, expectations);
        let mut events = scenario.events.clone();
        events.push(EventPattern::plain(PANIC, PANIC_LINE.clone()));
        let delay = |step: &Step| {
            let after = step.timing.after?;
            Some(random_of(step, seed, "after").between(after.low, after.high))
        };
        let delays = scenario.all_steps().map(delay).collect();
        Self { scenario, seed, delays, events }
    }

    /// The random faults, if the scenario has any.
    pub fn schedule(&self) -> Option<Schedule<'_>> {
        let nemesis = self.scenario.nemesis.as_ref().filter(|nemesis| !nemesis.is_idle);
        nemesis.map(|nemesis| Schedule::new(nemesis, self.seed))
    }

    /// What the seed makes of a workload, by its index.
    pub fn generator(&self, index: usize) -> Option<Generator<'_>> {
        Generator::new(&self.scenario.workloads, index, self.seed)
    }

    /// The clients whose operations a program performs, by name.
    pub fn client_programs(&self) -> impl Iterator<Item = &Name> {
        let are_programs = self.scenario.workloads.iter().filter(|workload| workload.program.is_some());
        are_programs.flat_map(|workload| &workload.clients)
    }

    fn generators(&self) -> impl Iterator<Item = Generator<'_>> {
        (0..self.scenario.workloads.len()).filter_map(|index| self.generator(index))
    }

    /// The randomness of a step's target, by the step's index.
    pub fn random_of_step(&self, index: usize) -> Keyed {
        match self.scenario.step(index) {
            Some(step) => random_of(step, self.seed, "target"),
            None => Keyed::indexed(self.seed, "step/target", index as u64),
        }
    }

    /// The randomness of a name that a step binds.
    pub fn random_of_binding(&self, step: &Step, name: &str) -> Keyed {
        random_of(step, self.seed, &format!("let/{name}"))
    }

    /// The cluster before the first start.
    pub fn cluster(&self) -> ClusterState {
        let processes: Vec<Vec<Name>> = self
            .scenario
            .nodes
            .iter()
            .map(|node| node.processes.iter().map(|process| process.name.clone()).collect())
            .collect();
        let nodes = self.scenario.nodes.iter().zip(&processes).map(|(node, processes)| (&node.name, &processes[..]));
        ClusterState::new(nodes, &self.scenario.roles)
    }

    /// A node by its name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.scenario.nodes.iter().find(|node| &*node.name == name)
    }

    /// A process of a node.
    pub fn process(&self, node: &str, process: &str) -> Option<&Process> {
        self.node(node)?.processes.iter().find(|known| &*known.name == process)
    }

    /// What the shell fills in before anything else: every node with its id and variables, without address, ports and directory.
    pub fn addresses(&self, executable: impl Into<String>, scenario_dir: impl Into<String>) -> Addresses {
        let node = |node: &Node| {
            let (group, vars) = (node.group.clone(), node.vars.clone());
            let address = NodeAddress { group, id: node.id, vars, ..NodeAddress::default() };
            (node.name.clone(), address)
        };
        Addresses {
            executable: executable.into(),
            scenario_dir: scenario_dir.into(),
            nodes: self.scenario.nodes.iter().map(node).collect(),
            order: self.scenario.nodes.iter().map(|node| node.name.clone()).collect(),
            vars: self.scenario.vars.clone(),
        }
    }

    /// Everything that the logs of a group's nodes may call the nodes: by name, by the scenario's aliases, by address; and those of the
    /// same group by id, because two groups count alike.
    pub fn aliases(&self, addresses: &Addresses, group: Option<&Name>) -> Aliases {
        let mut aliases = Aliases::of_nodes(self.scenario.nodes.iter().map(|node| &node.name));
        for node in &self.scenario.nodes {
            let place = Place { addresses, node: Some(&node.name), life: 1 };
            for alias in &node.aliases {
                aliases.add(alias.expand(&place), &node.name);
            }
            if let Some(at) = addresses.nodes.get(&node.name) {
                at.ports.values().for_each(|port| aliases.add(format!("{}:{port}", at.ip), &node.name));
                if self.scenario.network.is_lab() {
                    aliases.add(at.ip.clone(), &node.name);
                }
            }
        }
        // Ids last: a bare number means a node only if nothing else does.
        for node in self.scenario.nodes.iter().filter(|node| node.group.as_ref() == group) {
            aliases.add(node.id.to_string(), &node.name);
        }
        aliases
    }

    /// How the verdict calls the steps.
    pub fn step_places(&self) -> Vec<StepPlace> {
        let place = |step: &Step| StepPlace {
            label: step.label(),
            name: step.name.as_deref().map_or_else(|| step.words(), str::to_owned),
            line: step.line.clone(),
        };
        self.scenario.all_steps().map(place).collect()
    }

    /// Programs that must be on PATH, each once, with what to do if it is missing: those of `[requires]`, then those of commands.
    pub fn programs(&self) -> Vec<(String, Option<String>)> {
        let mut programs = self.scenario.requires.programs.clone();
        for command in self.commands() {
            let Some(program) = command.first().and_then(Template::plain) else { continue };
            // A path is found where it is, not on PATH.
            if !program.contains('/') && !programs.iter().any(|(known, _)| known == program) {
                programs.push((program.to_owned(), None));
            }
        }
        for program in self.workload_programs() {
            if !program.contains('/') && !programs.iter().any(|(known, _)| known == program) {
                programs.push((program.to_owned(), None));
            }
        }
        programs
    }

    fn workload_programs(&self) -> impl Iterator<Item = &str> {
        let commands = self.scenario.workloads.iter().flat_map(Workload::commands);
        commands.filter_map(|command| command.first().and_then(Wording::plain))
    }

    /// True if one of its commands is the reference node: `{node}`.
    pub fn uses_reference_node(&self) -> bool {
        let of_clients = self.scenario.workloads.iter().flat_map(Workload::commands).flatten();
        self.commands().flatten().any(Template::is_reference_node)
            || of_clients.into_iter().any(Wording::is_reference_node)
    }

    /// Every command that it may execute.
    fn commands(&self) -> impl Iterator<Item = &Vec<Template>> {
        let commands = self.scenario.nodes.iter().flat_map(|node| &node.processes).flat_map(Process::commands);
        let conditions = self.scenario.all_steps().flat_map(Step::commands);
        let required = self.scenario.requires.exec.iter().map(|(_, command)| command);
        commands.chain(conditions).chain(required)
    }

    /// Who runs and what happens when, for people.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        self.write_description(&mut text).expect("writing to a text does not fail");
        text
    }

    fn write_description(&self, text: &mut String) -> std::fmt::Result {
        let scenario = &self.scenario;
        writeln!(text, "{} (seed {:#x})", scenario.name, self.seed)?;
        if !scenario.description.is_empty() {
            writeln!(text, "  {}", scenario.description.trim())?;
        }
        writeln!(text, "\nwho runs{}", self.describe_network())?;
        let mut group = None;
        for node in &scenario.nodes {
            let indent = if node.group.is_some() { "    " } else { "  " };
            if let Some(name) = node.group.as_ref().filter(|_| group != node.group) {
                let count = scenario.nodes.iter().filter(|node| node.group.as_ref() == Some(name)).count();
                writeln!(text, "  {name} ({count})")?;
                group.clone_from(&node.group);
            }
            for process in &node.processes {
                let name = if &*process.name == MAIN {
                    node.name.to_string()
                } else {
                    format!("{}/{}", node.name, process.name)
                };
                writeln!(text, "{indent}{name:<14} {}", told(&process.command))?;
                for (what, value) in about(process) {
                    writeln!(text, "{indent}{:<14} {what} {value}", "")?;
                }
            }
        }
        self.describe_start().iter().try_for_each(|line| writeln!(text, "  {line}"))?;
        if !scenario.setup.is_empty() {
            writeln!(text, "\nwhat sets the scene")?;
            self.write_steps(text, Stage::Setup)?;
        }
        writeln!(text, "\nwhat happens (at most {})", humantime::format_duration(scenario.timeout))?;
        self.write_steps(text, Stage::Main)?;
        if scenario.steps.is_empty() {
            writeln!(text, "  nothing; it ends when every bound of an invariant is met or elapsed")?;
        }
        if let Some(schedule) = self.schedule() {
            schedule.describe(scenario.timeout, text)?;
        }
        self.generators().try_for_each(|generator| generator.describe(text))?;
        if !scenario.teardown.is_empty() {
            writeln!(text, "\nwhat is done on every end")?;
            self.write_steps(text, Stage::Teardown)?;
        }
        writeln!(text, "\nwhat must hold")?;
        for invariant in &scenario.invariants {
            let kind = if invariant.name == invariant.kind { String::new() } else { format!("  ({})", invariant.kind) };
            let warns = if invariant.severity == Severity::Warn { "  (a warning)" } else { "" };
            let expected = match invariant.expectation {
                Expectation::Hold => "",
                Expectation::BeViolated => "  (a demonstration: to be caught being violated)",
                Expectation::MayBeViolated => "  (may be violated)",
                Expectation::HoldIfExercised => "  (if it is exercised without faults)",
            };
            writeln!(text, "  {}{kind}{warns}{expected}", invariant.name)?;
        }
        Ok(())
    }

    /// Where they run, if that is not plain: ` (in the network laboratory, because of `partition`)`.
    fn describe_network(&self) -> String {
        let why = self.scenario.network.lab.as_ref();
        why.map(|what| format!(" (in the network laboratory: {what})")).unwrap_or_default()
    }

    /// Who starts when the run begins, and who does not, in people's words.
    fn describe_start(&self) -> Vec<String> {
        let Scenario { nodes, start, .. } = &self.scenario;
        let left: Vec<&str> = nodes.iter().map(|node| &*node.name).filter(|node| !start.has(node)).collect();
        let began = match start.stages.as_slice() {
            [] => return vec!["nobody starts by itself".to_owned()],
            [_] if left.is_empty() => "all start together".to_owned(),
            [some] => format!("started when the run begins: {}", some.join(", ")),
            _ => format!("started in this order, each when those before are ready: {start}"),
        };
        let left = (!left.is_empty()).then(|| format!("left to `start` steps: {}", left.join(", ")));
        [Some(began), left].into_iter().flatten().collect()
    }

    fn write_steps(&self, text: &mut String, stage: Stage) -> std::fmt::Result {
        for index in self.scenario.range(stage) {
            let Some(step) = self.scenario.step(index) else { continue };
            let marks = [step.name.as_ref().map(ToString::to_string), step.place.round.map(|round| round.to_string())];
            let marks: Vec<String> = marks.into_iter().flatten().collect();
            let marks = if marks.is_empty() { String::new() } else { format!("  [{}]", marks.join(", ")) };
            writeln!(text, "  {:>3}. {:<28} {}{marks}", step.place.number, self.timing(index, step), step.words())?;
        }
        Ok(())
    }

    /// When a step begins, in people's words.
    fn timing(&self, index: usize, step: &Step) -> String {
        let shown = |time: Duration| humantime::format_duration(time).to_string();
        let mut parts = Vec::new();
        if let Some(at) = &step.timing.at {
            parts.push(at.to_string());
        }
        if let Some((condition, _)) = &step.timing.when {
            parts.push(format!("when {condition}"));
        }
        if let Some(delay) = self.delays.get(index).copied().flatten() {
            parts.push(format!("after {}", shown(delay)));
        }
        if parts.is_empty() { "then".to_owned() } else { parts.join(", ") }
    }

    /// The resolved plan as data: what is stored with a run. With addresses, commands and environments are as they are executed.
    pub fn to_json(&self, addresses: Option<&Addresses>) -> Json {
        let scenario = &self.scenario;
        let steps: Vec<Json> = scenario
            .all_steps()
            .enumerate()
            .map(|(index, step)| {
                json!({ "stage": step.place.stage.key(), "number": step.place.number, "name": step.name, "line": step.line.number, "file": step.line.file, "when": self.timing(index, step), "what": step.words() })
            })
            .collect();
        let invariants: Vec<Json> = scenario
            .invariants
            .iter()
            .map(|invariant| {
                let severity = if invariant.severity == Severity::Warn { "warn" } else { "fail" };
                let (line, file) = invariant.line.as_ref().map(|line| (line.number, line.file.clone())).unzip();
                let file = file.flatten();
                json!({ "name": invariant.name, "check": invariant.kind, "severity": severity, "line": line, "file": file })
            })
            .collect();
        let events: Vec<Json> = scenario
            .events
            .iter()
            .map(|event| {
                let fields: BTreeMap<_, _> = event.fields.iter().map(|(name, kind)| (name, kind.word())).collect();
                let log: Vec<_> = event.log.iter().map(Expression::as_str).collect();
                json!({ "event": event.event, "log": log, "fields": fields })
            })
            .collect();
        let nodes: Vec<Json> = scenario.nodes.iter().map(|node| node_json(node, addresses)).collect();
        json!({
            "scenario": scenario.name,
            "seed": self.seed,
            "network": if scenario.network.is_lab() { "lab" } else { "host" },
            "timeout": humantime::format_duration(scenario.timeout).to_string(),
            "nodes": nodes,
            "start": scenario.start.stages,
            "events": events,
            "steps": steps,
            "artifacts": scenario.artifacts.as_ref().map(Artifacts::paths),
            "nemesis": self.schedule().map(|schedule| schedule.to_json(scenario.timeout)),
            "workloads": self.generators().map(Generator::to_json).collect::<Vec<_>>(),
            "invariants": invariants,
        })
    }
}

/// One stream per step and purpose: neither a stage that is added nor a round more moves what another step draws.
fn random_of(step: &Step, seed: u64, purpose: &str) -> Keyed {
    let stage = match step.place.stage {
        Stage::Main => "step",
        stage => stage.key(),
    };
    let position = step.place.position as u64;
    match step.place.round {
        None => Keyed::indexed(seed, &format!("{stage}/{purpose}"), position),
        Some(round) => {
            let key = format!("{stage}/{purpose}/{position}/{}", round.position);
            Keyed::indexed(seed, &key, round.number as u64)
        }
    }
}

fn node_json(node: &Node, addresses: Option<&Addresses>) -> Json {
    let place = addresses.map(|addresses| Place { addresses, node: Some(&node.name), life: 1 });
    let text = |template: &Template| place.map_or_else(|| template.to_string(), |place| template.expand(&place));
    let command = |command: &Vec<Template>| match &place {
        Some(place) => Template::arguments(command, place),
        None => command.iter().map(ToString::to_string).collect(),
    };
    let processes: Vec<Json> = node
        .processes
        .iter()
        .map(|process| {
            json!({
                "name": process.name,
                "command": command(&process.command),
                "restart_command": process.restart_command.as_ref().map(command),
                "env": process.env.iter().map(|(name, value)| (name, text(value))).collect::<BTreeMap<_, _>>(),
                "inherit_env": process.inherit_env,
                "cwd": process.cwd.as_ref().map(text),
                "prepare": process.prepare.as_ref().map(|prepare| prepare.commands.iter().map(command).collect::<Vec<_>>()),
                "after": process.after,
                "exits": process.expected.exits.to_string(),
                "logs": process.logs.iter().map(text).collect::<Vec<_>>(),
                "stop": { "signal": process.stop.signal.name, "grace": humantime::format_duration(process.stop.grace).to_string() },
            })
        })
        .collect();
    let at = addresses.and_then(|addresses| addresses.nodes.get(&node.name));
    json!({
        "name": node.name,
        "group": node.group,
        "id": node.id,
        "ip": at.map(|at| at.ip.clone()),
        "ports": at.map(|at| at.ports.clone()),
        "data_dir": at.map(|at| at.data_dir.clone()),
        "files": node.files.iter().map(|file| (&file.path, text(&file.text))).collect::<BTreeMap<_, _>>(),
        "processes": processes,
    })
}

/// What else is to be known of a process, in people's words.
fn about(process: &Process) -> Vec<(&'static str, String)> {
    let mut about = Vec::new();
    if let Some(prepare) = &process.prepare {
        about.extend(prepare.commands.iter().map(|command| ("prepared by", told(command))));
    }
    if !process.after.is_empty() {
        about.push(("starts after", process.after.join(", ")));
    }
    let exits = &process.expected.exits;
    match (exits, exits.within()) {
        (Exits::Never, _) => {}
        (_, None) => about.push(("may end by itself", exits.to_string())),
        (_, Some(_)) => about.push(("ends by itself", exits.to_string())),
    }
    about
}
