//! What a scenario declares: nodes, processes, events with their fields, roles, steps. Everything that refers to one looks it up here,
//! so that a misspelt name is a mistake of the file and never a silent "nothing matched".

mod operations;

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::cluster::{ClusterState, Role};
use crate::diagnostic::{self, Code, Diagnostic, Located, Problems, Span, suggestion};
use crate::expected::{Expectations, Expected};
use crate::groups::{Groups, ScopeId, VarShape};
use crate::observation::Name;
use crate::stage::Stage;

/// The type of an event's field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldKind {
    /// `"int"`
    Int,
    /// `"float"`
    Float,
    /// `"text"`
    Text,
    /// `"node"`: a node, by its name or an alias.
    Node,
    /// `"nodes"`: a list of nodes.
    Nodes,
}

impl FieldKind {
    /// The words of the language, in the order of the variants.
    pub const WORDS: &'static [&'static str] = &["int", "float", "text", "node", "nodes"];

    /// What can be a key: everything but lists.
    pub(crate) const SINGLE: &'static [Self] = &[Self::Int, Self::Float, Self::Text, Self::Node];

    /// The kind that a word means.
    pub fn named(word: &str) -> Option<Self> {
        Some(match word {
            "int" => Self::Int,
            "float" => Self::Float,
            "text" => Self::Text,
            "node" => Self::Node,
            "nodes" => Self::Nodes,
            _ => return None,
        })
    }

    /// The word of the language.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// A field of an event: `EVENT.FIELD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventField {
    /// The event.
    pub event: Name,
    /// The field.
    pub field: Name,
    /// The field's type.
    pub kind: FieldKind,
}

/// Everything that a scenario declares by name.
#[derive(Debug, Clone)]
pub struct Names<'p> {
    problems: &'p Problems,
    nodes: BTreeMap<Name, Vec<Name>>,
    events: BTreeMap<Name, Vec<(Name, FieldKind)>>,
    roles: Vec<Name>,
    role_definitions: Vec<Role>,
    steps: Vec<DeclaredStep>,
    /// Names that steps bind to whom a target means: those of the steps that were read so far, and all.
    bound: Vec<(Name, Option<ScopeId>)>,
    to_be_bound: Vec<Name>,
    invariants: Vec<Name>,
    groups: Groups,
    has_nemesis: bool,
    workloads: Vec<Name>,
    /// Names of their clients.
    callers: Vec<Name>,
    /// Operations, each with its workload first.
    operations: Vec<(Name, Name)>,
    expectations: Expectations,
    nodes_are_unknown: bool,
    incomplete_events: Vec<Name>,
    /// Machines on the network that run nothing by themselves.
    clients: Vec<Name>,
    /// The scenario asks for host mode.
    is_host: bool,
    /// Something was used that only the laboratory has: what, the first.
    uses_lab: RefCell<Option<String>>,
}

/// Names that are bound, at one moment of the reading.
#[derive(Debug)]
pub struct Bound(Vec<(Name, Option<ScopeId>)>);

/// A step's name (most have none; every round of a repeated one has the same) and its stage.
#[derive(Debug, Clone)]
struct DeclaredStep {
    name: Option<Name>,
    stage: Stage,
}

impl<'p> Names<'p> {
    /// Nothing declared yet; failing look-ups are reported to `problems`.
    pub fn new(problems: &'p Problems) -> Self {
        Self {
            problems,
            nodes: BTreeMap::new(),
            events: BTreeMap::new(),
            roles: Vec::new(),
            role_definitions: Vec::new(),
            steps: Vec::new(),
            bound: Vec::new(),
            to_be_bound: Vec::new(),
            invariants: Vec::new(),
            groups: Groups::default(),
            has_nemesis: false,
            workloads: Vec::new(),
            callers: Vec::new(),
            operations: Vec::new(),
            expectations: Expectations::default(),
            nodes_are_unknown: false,
            incomplete_events: Vec::new(),
            clients: Vec::new(),
            is_host: false,
            uses_lab: RefCell::new(None),
        }
    }

    /// Declares a client.
    pub fn add_client(&mut self, client: impl Into<Name>) {
        self.clients.push(client.into());
    }

    /// True if there is such a client.
    pub fn is_client(&self, name: &str) -> bool {
        self.clients.iter().any(|client| &**client == name)
    }

    /// The client of this name; reports if there is none.
    pub fn client(&self, name: &Located<&str>) -> Option<Name> {
        let found = self.clients.iter().find(|client| &***client == name.value).cloned();
        found.or_else(|| self.unknown(diagnostic::UNKNOWN_TARGET, "client", name, self.clients.iter()))
    }

    /// Says that the scenario asks for host mode: what only the laboratory has is refused from here on.
    pub fn ask_for_host(&mut self) {
        self.is_host = true;
    }

    /// Says that something is used which only the laboratory has; reports it in host mode, with what does something like it there.
    pub fn needs_lab(&self, what: &str, at: &Span, instead: &str) -> Option<()> {
        if self.is_host {
            let message = format!("{what} needs the network laboratory, and this scenario is in host mode");
            let diagnostic = Diagnostic::error(diagnostic::NOT_IN_HOST_MODE, message, at.clone(), "not in host mode");
            let help = format!(
                "without mode = \"host\" in [network] it runs in the laboratory (`dsbench doctor` says whether this machine has it); {instead}"
            );
            self.problems.report(diagnostic.help(help));
            return None;
        }
        self.uses_lab.borrow_mut().get_or_insert_with(|| what.to_owned());
        Some(())
    }

    /// What was used that only the laboratory has, if anything was.
    pub fn uses_lab(&self) -> Option<String> {
        self.uses_lab.borrow().clone()
    }

    /// Begins a group: the nodes and ports that are declared next are its own.
    pub fn begin_group(&mut self, name: Option<Name>) -> ScopeId {
        self.groups.begin(name)
    }

    /// Begins the scope of a node of a group that has variables of its own.
    pub fn begin_override(&mut self, group: ScopeId, node: Name) -> ScopeId {
        self.groups.differ(group, node)
    }

    /// Declares a node with its processes (`main` is the node's `command`).
    pub fn add_node(&mut self, node: impl Into<Name>, processes: impl IntoIterator<Item = Name>) {
        let node = node.into();
        self.groups.add_node(node.clone());
        self.nodes.insert(node, processes.into_iter().collect());
    }

    /// Declares a process that only this node has.
    pub fn add_process(&mut self, node: &str, process: impl Into<Name>) {
        if let Some(processes) = self.nodes.get_mut(node) {
            processes.push(process.into());
        }
    }

    /// Says what a process of a node is expected to do by itself.
    pub fn expect(&mut self, node: Name, process: Name, expected: Expected) {
        self.expectations.add(node, process, expected);
    }

    /// What the processes are expected to do by themselves.
    pub fn expectations(&self) -> &Expectations {
        &self.expectations
    }

    /// Says that the nodes could not be read: looking one up fails without a further report.
    pub fn forgive_nodes(&mut self) {
        self.nodes_are_unknown = true;
    }

    /// True if a name that is not known may be a node's.
    pub fn nodes_are_unknown(&self) -> bool {
        self.nodes_are_unknown
    }

    /// Says that an event's fields could not be read: looking one up fails without a further report.
    pub fn forgive_fields(&mut self, event: impl Into<Name>) {
        self.incomplete_events.push(event.into());
    }

    /// Declares an event with its fields.
    pub fn add_event(&mut self, event: impl Into<Name>, fields: impl IntoIterator<Item = (Name, FieldKind)>) {
        self.events.insert(event.into(), fields.into_iter().collect());
    }

    /// Declares a role.
    pub fn add_role(&mut self, role: impl Into<Name>) {
        self.roles.push(role.into());
    }

    /// Says what the roles mean, once their events are known.
    pub fn define_roles(&mut self, roles: &[Role]) {
        self.role_definitions = roles.to_vec();
    }

    /// The cluster before anything has started, with the roles that are defined.
    pub fn cluster(&self) -> ClusterState {
        let nodes = self.nodes.iter().map(|(node, processes)| (node, processes.as_slice()));
        ClusterState::new(nodes, &self.role_definitions)
    }

    /// Declares the next step of a stage; most have no name. The stages come one after the other.
    pub fn add_step(&mut self, stage: Stage, name: Option<Name>) {
        self.steps.push(DeclaredStep { name, stage });
    }

    /// The index of the first step of a stage.
    pub fn first_step(&self, stage: Stage) -> usize {
        self.steps.iter().position(|step| step.stage == stage).unwrap_or_default()
    }

    /// Says that a step binds this name, somewhere.
    pub fn announce_bound(&mut self, name: impl Into<Name>) {
        let name = name.into();
        if !self.to_be_bound.contains(&name) {
            self.to_be_bound.push(name);
        }
    }

    /// Declares a name that a step binds, and the one group or node that all belong to whom it may mean: from here on it is a target.
    pub fn add_bound(&mut self, name: impl Into<Name>, of: Option<ScopeId>) {
        let bound = (name.into(), of);
        // Every round of a repeated step binds the same.
        if !self.bound.contains(&bound) {
            self.bound.push(bound);
        }
    }

    /// The names that are bound so far, to be [set](Self::set_bound) again.
    pub fn clone_bound(&self) -> Bound {
        Bound(self.bound.clone())
    }

    /// Forgets the names that were bound since.
    pub fn set_bound(&mut self, Bound(bound): Bound) {
        self.bound = bound;
    }

    /// The one group or node that all belong to whom a bound name may mean, if that is certain.
    pub fn scope_of_bound(&self, name: &str) -> Option<ScopeId> {
        let mut scopes = self.bound.iter().filter(|(bound, _)| &**bound == name).map(|(_, scope)| *scope);
        let first = scopes.next()??;
        scopes.all(|scope| scope == Some(first)).then_some(first)
    }

    /// True if a step that was read binds this name.
    pub fn is_bound(&self, name: &str) -> bool {
        self.bound.iter().any(|(bound, _)| &**bound == name)
    }

    /// True if a step binds this name, wherever it stands.
    pub fn is_to_be_bound(&self, name: &str) -> bool {
        self.to_be_bound.iter().any(|bound| &**bound == name)
    }

    /// All names that the steps bind that were read so far.
    pub fn all_bound(&self) -> impl Iterator<Item = &Name> {
        self.bound.iter().map(|(name, _)| name)
    }

    /// Declares an invariant.
    pub fn add_invariant(&mut self, name: impl Into<Name>) {
        self.invariants.push(name.into());
    }

    /// Declares the nemesis.
    pub fn add_nemesis(&mut self) {
        self.has_nemesis = true;
    }

    /// True if there is a nemesis, which steps can start and stop.
    pub fn has_nemesis(&self) -> bool {
        self.has_nemesis
    }

    /// Declares a port of the nodes of the present group.
    pub fn add_port(&mut self, port: impl Into<Name>) {
        self.groups.add_port(port.into());
    }

    /// Says that this variable is read next: until it is declared, only those before it can be used.
    pub fn define_var(&mut self, name: &str) {
        self.groups.define(name);
    }

    /// Declares a variable of every node, or of the nodes of one scope; only what comes later in the file can use it.
    pub fn add_var(&mut self, of: Option<ScopeId>, name: impl Into<Name>, shape: VarShape) {
        self.groups.add_var(of, name.into(), shape);
    }

    /// The groups: which nodes belong to which, and which ports and variables they have.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The nodes of a group by its name.
    pub fn group(&self, name: &str) -> Option<&[Name]> {
        self.groups.named(name).map(|group| self.groups.nodes(group))
    }

    /// All nodes, sorted by name.
    pub fn nodes(&self) -> impl Iterator<Item = &Name> {
        self.nodes.keys()
    }

    /// All roles, in the order of the file.
    pub fn roles(&self) -> impl Iterator<Item = &Name> {
        self.roles.iter()
    }

    /// All events, sorted by name.
    pub fn events(&self) -> impl Iterator<Item = &Name> {
        self.events.keys()
    }

    /// The processes of a node, `main` first.
    pub fn processes(&self, node: &str) -> &[Name] {
        self.nodes.get(node).map_or(&[], Vec::as_slice)
    }

    /// Where mistakes are reported.
    pub fn problems(&self) -> &'p Problems {
        self.problems
    }

    /// True if there is such a node.
    pub fn is_node(&self, name: &str) -> bool {
        self.nodes.contains_key(name)
    }

    /// True if there is such a role.
    pub fn is_role(&self, name: &str) -> bool {
        self.roles.iter().any(|role| &**role == name)
    }

    /// True if there is such an event.
    pub fn is_event(&self, name: &str) -> bool {
        self.events.contains_key(name)
    }

    /// A node's shared name; reports if there is none.
    pub fn node(&self, name: &Located<&str>) -> Option<Name> {
        let found = self.nodes.get_key_value(name.value).map(|(node, _)| node.clone());
        if found.is_none() && self.nodes_are_unknown {
            return None;
        }
        found.or_else(|| self.unknown(diagnostic::UNKNOWN_TARGET, "node", name, self.nodes.keys()))
    }

    /// A process of any node; reports if there is none.
    pub fn process(&self, name: &Located<&str>) -> Option<Name> {
        let found = self.nodes.values().flatten().find(|process| &***process == name.value).cloned();
        if found.is_none() && self.nodes_are_unknown {
            return None;
        }
        found.or_else(|| self.unknown(diagnostic::UNKNOWN_TARGET, "process", name, self.nodes.values().flatten()))
    }

    /// A process of a node or of a group's nodes (of any node, if neither is called so); reports if there is none.
    pub fn process_of(&self, whose: &str, name: &Located<&str>) -> Option<Name> {
        let nodes = match (self.nodes.get_key_value(whose), self.group(whose)) {
            (Some((node, _)), _) => std::slice::from_ref(node),
            (None, Some(nodes)) => nodes,
            (None, None) => return self.process(name),
        };
        let known = || nodes.iter().flat_map(|node| self.processes(node));
        let found = known().find(|process| &***process == name.value).cloned();
        if found.is_none() && self.nodes_are_unknown {
            return None;
        }
        found.or_else(|| self.unknown(diagnostic::UNKNOWN_TARGET, &format!("process of {whose}"), name, known()))
    }

    /// An event's shared name; reports if there is none.
    pub fn event(&self, name: &Located<&str>) -> Option<Name> {
        let found = self.events.get_key_value(name.value).map(|(event, _)| event.clone());
        found.or_else(|| self.unknown(diagnostic::UNKNOWN_EVENT, "event", name, self.events.keys()))
    }

    /// The fields of an event, in the order of its definition; none if there is no such event.
    pub fn fields(&self, event: &str) -> &[(Name, FieldKind)] {
        self.events.get(event).map_or(&[], Vec::as_slice)
    }

    /// A field of an event; reports if the event has none of this name.
    pub fn field(&self, event: &Name, name: &Located<&str>) -> Option<EventField> {
        let fields = self.fields(event);
        if let Some((field, kind)) = fields.iter().find(|(field, _)| &**field == name.value) {
            return Some(EventField { event: event.clone(), field: field.clone(), kind: *kind });
        }
        if self.incomplete_events.contains(event) {
            return None;
        }
        let message = format!("event `{event}` has no field `{}`", name.value.escape_debug());
        let help = suggestion(name.value, "fields", fields.iter().map(|(field, _)| &**field));
        self.problems.report(
            Diagnostic::error(diagnostic::UNKNOWN_FIELD, message, name.span.clone(), "unknown field").help(help),
        );
        None
    }

    /// A field of an event that must have one of these types; reports otherwise.
    pub fn field_of_kind(&self, event: &Name, name: &Located<&str>, kinds: &[FieldKind]) -> Option<EventField> {
        let field = self.field(event, name)?;
        self.require_kind(&field, name, kinds).then_some(field)
    }

    /// A text `EVENT.FIELD`; reports if either is not declared.
    pub fn event_field(&self, text: &Located<&str>) -> Option<EventField> {
        let Some((event, field)) = text.value.split_once('.') else {
            let message = format!("`{}` names no field", text.value.escape_debug());
            self.problems.report(
                Diagnostic::error(diagnostic::UNKNOWN_FIELD, message, text.span.clone(), "written EVENT.FIELD")
                    .help("an event and one of its fields, with a dot between them: \"deliver.text\""),
            );
            return None;
        };
        let event = self.event(&Located { value: event, span: text.span.clone() })?;
        self.field(&event, &Located { value: field, span: text.span.clone() })
    }

    /// A text `EVENT.FIELD` of a field that must have one of these types; reports otherwise.
    pub fn event_field_of_kind(&self, text: &Located<&str>, kinds: &[FieldKind]) -> Option<EventField> {
        let field = self.event_field(text)?;
        self.require_kind(&field, text, kinds).then_some(field)
    }

    fn require_kind(&self, field: &EventField, at: &Located<&str>, kinds: &[FieldKind]) -> bool {
        if kinds.contains(&field.kind) {
            return true;
        }
        let wanted = kinds.iter().map(|kind| format!("\"{}\"", kind.word())).collect::<Vec<_>>().join(" or ");
        let EventField { event, field: name, kind } = field;
        let message = format!("field `{name}` of event `{event}` is \"{}\", and {wanted} is needed", kind.word());
        self.problems.report(
            Diagnostic::error(diagnostic::FIELD_TYPE, message, at.span.clone(), "wrong type of field")
                .help(format!("give it its type where the event is defined: fields = {{ {name} = {wanted} }}")),
        );
        false
    }

    /// A step's index by its name, that of its first round if it is repeated; reports if there is none. What is over before the teardown
    /// cannot refer to it.
    pub fn step(&self, name: &Located<&str>) -> Option<usize> {
        let found = self.steps_called(name.value).find(|index| self.steps[*index].stage != Stage::Teardown);
        if found.is_none() {
            self.unknown_step(name, |stage| stage != Stage::Teardown);
        }
        found
    }

    /// The index of the step of this name that comes last before another; reports if there is none.
    pub fn step_before(&self, name: &Located<&str>, step: usize) -> Option<usize> {
        let at = |index: usize| self.steps.get(index).map(|step| (step.stage, index));
        let found = self.steps_called(name.value).filter(|index| at(*index) < at(step)).max_by_key(|index| at(*index));
        if found.is_some() {
            return found;
        }
        if self.steps_called(name.value).next().is_none() {
            return self.unknown_step(name, |_| true);
        }
        let message = format!("step `{}` does not come before this one", name.value);
        self.problems.report(
            Diagnostic::error(diagnostic::OUT_OF_ORDER, message, name.span.clone(), "not an earlier step")
                .help("steps run in the order of the file"),
        );
        None
    }

    /// How people call a step: `step 2 (crash)`.
    pub fn step_label(&self, index: usize) -> String {
        let Some(step) = self.steps.get(index) else { return Stage::Main.label(index + 1) };
        let before = self.steps[..index].iter().filter(|other| other.stage == step.stage).count();
        let label = step.stage.label(before + 1);
        step.name.as_ref().map_or(label.clone(), |name| format!("{label} ({name})"))
    }

    fn steps_called(&self, name: &str) -> impl Iterator<Item = usize> {
        self.steps
            .iter()
            .enumerate()
            .filter(move |(_, step)| step.name.as_deref() == Some(name))
            .map(|(index, _)| index)
    }

    fn unknown_step(&self, name: &Located<&str>, of: impl Fn(Stage) -> bool) -> Option<usize> {
        let known = self.steps.iter().filter(|step| of(step.stage)).filter_map(|step| step.name.as_ref());
        self.unknown(diagnostic::UNKNOWN_STEP, "step", name, known)
    }

    /// An invariant's index by its name; reports if there is none.
    pub fn invariant(&self, name: &Located<&str>) -> Option<usize> {
        let found = self.invariants.iter().position(|invariant| &**invariant == name.value);
        if found.is_none() {
            self.unknown::<usize>(diagnostic::UNKNOWN_INVARIANT, "invariant", name, self.invariants.iter());
        }
        found
    }

    fn unknown<'n, T>(
        &self,
        code: Code,
        what: &str,
        name: &Located<&str>,
        known: impl Iterator<Item = &'n Name>,
    ) -> Option<T> {
        let message = format!("no {what} is called `{}`", name.value.escape_debug());
        // Most steps have no name.
        let all = match what.split_once(' ') {
            None if what == "step" => "named steps".to_owned(),
            None => format!("{what}s"),
            Some((what, of)) => format!("{what}es {of}"),
        };
        let help = suggestion(name.value, &all, known.map(|name| &**name));
        let label = format!("unknown {what}");
        self.problems.report(Diagnostic::error(code, message, name.span.clone(), label).help(help));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(value: &str) -> Located<&str> {
        Located { value, span: 0..value.len() }
    }

    #[test]
    fn a_misspelt_name_is_reported_with_what_was_probably_meant() {
        let problems = Problems::new();
        let mut names = Names::new(&problems);
        names.add_node("peer1", [Name::from("main")]);
        names.add_event("became_leader", [("term".into(), FieldKind::Int), ("who".into(), FieldKind::Node)]);
        names.add_step(Stage::Main, None);
        names.add_step(Stage::Main, Some("crash".into()));

        assert_eq!(names.node(&at("peer1")).as_deref(), Some("peer1"));
        assert_eq!(names.step(&at("crash")), Some(1));
        assert_eq!(names.event_field(&at("became_leader.term")).unwrap().kind, FieldKind::Int);
        assert!(!problems.has_errors());

        assert!(names.node(&at("pear1")).is_none());
        assert!(names.event(&at("became_leeder")).is_none());
        assert!(names.event_field(&at("became_leader.trem")).is_none());
        assert!(names.event_field(&at("became_leader")).is_none());
        assert!(names.event_field_of_kind(&at("became_leader.term"), &[FieldKind::Node]).is_none());
        assert!(names.step(&at("carsh")).is_none());
        let mut helps: Vec<_> = problems.into_sorted().into_iter().map(|d| (d.code, d.help.unwrap())).collect();
        helps.sort();
        let starts: Vec<_> = helps.iter().map(|(code, help)| (*code, help.as_str())).collect();
        assert_eq!(starts[0], (diagnostic::UNKNOWN_TARGET, "did you mean `peer1`?"));
        assert_eq!(starts[1], (diagnostic::UNKNOWN_EVENT, "did you mean `became_leader`?"));
        assert_eq!(starts[3], (diagnostic::UNKNOWN_FIELD, "did you mean `term`?"));
        assert_eq!(starts[4], (diagnostic::UNKNOWN_STEP, "did you mean `crash`?"));
        assert_eq!(starts[5].0, diagnostic::FIELD_TYPE);
    }

    #[test]
    fn words_and_kinds_agree() {
        for word in FieldKind::WORDS {
            assert_eq!(FieldKind::named(word).unwrap().word(), *word);
        }
    }
}
