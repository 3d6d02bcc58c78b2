//! What the cluster looks like at one moment of a run: folded from observations, so that the driver and a check see the same.

use std::collections::BTreeMap;

use crate::aim::Aim;
use crate::network::{InForce, cut_off};
use crate::observation::{
    Action, ActionVerb, Change, Event, Life, Name, Observation, ProcessChange, StepChange, StepState, Value, What,
};

/// Who holds a role: the node that said `last` most recently.
///
/// A holder keeps its role when it dies or is paused, until another takes it: so `restart = "leader"` finds the leader that was
/// killed, and `"!leader"` the others. With `highest`, an event with a lower value than the holder's does not take the role (an old
/// leader that wakes up and repeats itself is not the newest one); among equal values the latest event wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name, by which targets refer to it.
    pub name: Name,
    /// The event that gives the role.
    pub last: Name,
    /// The field whose value may not go down.
    pub highest: Option<Name>,
    /// The field that names the holder; without it, the holder is the node whose log has the event.
    pub named_by: Option<Name>,
    /// The holder before the first event.
    pub initially: Option<Name>,
}

/// The nodes, what state they are in and what roles they hold.
#[derive(Debug, Clone)]
pub struct ClusterState {
    order: Vec<Name>,
    nodes: BTreeMap<Name, NodeState>,
    roles: Vec<(Role, Holder)>,
    restarted: Vec<Name>,
    /// Whom steps have bound to names.
    bound: BTreeMap<Name, Vec<Aim>>,
    network: InForce,
    /// Whoever it leaves without a majority, in the order of the scenario: asked for more often than it changes.
    isolated: Vec<Name>,
}

#[derive(Debug, Clone, Default)]
struct NodeState {
    processes: BTreeMap<Name, ProcessState>,
}

/// What happened to a process is kept with the life that it happened to: a new life starts with a clean slate, in whatever order
/// the observations of an action and of its effects arrive.
#[derive(Debug, Clone, Default)]
struct ProcessState {
    life: u32,
    is_up: bool,
    is_ready: bool,
    killed_life: u32,
    stopped_life: u32,
    paused_life: u32,
    /// The life whose end the bench has asked for, by whatever verb.
    ending_life: u32,
}

impl ProcessState {
    fn has_run(&self) -> bool {
        self.life > 0
    }

    fn is_killed(&self) -> bool {
        self.has_run() && self.killed_life == self.life
    }

    fn is_stopped(&self) -> bool {
        self.has_run() && self.stopped_life == self.life
    }

    fn is_paused(&self) -> bool {
        self.is_up && self.paused_life == self.life
    }

    fn is_ending(&self) -> bool {
        self.has_run() && self.ending_life == self.life
    }

    /// It is up, ready and not frozen, and nobody has asked for its end.
    fn serves(&self) -> bool {
        self.is_up && self.is_ready && !self.is_paused() && !self.is_ending()
    }
}

#[derive(Debug, Clone, Default)]
struct Holder {
    node: Option<Name>,
    rank: Option<Value>,
}

impl ClusterState {
    /// A cluster that has not been started: the nodes in the order of the scenario, each with its processes (`main` first).
    pub fn new<'a>(nodes: impl IntoIterator<Item = (&'a Name, &'a [Name])>, roles: &[Role]) -> Self {
        let mut state = Self {
            order: Vec::new(),
            nodes: BTreeMap::new(),
            roles: Vec::new(),
            restarted: Vec::new(),
            bound: BTreeMap::new(),
            network: InForce::default(),
            isolated: Vec::new(),
        };
        for (node, processes) in nodes {
            let processes = processes.iter().map(|process| (process.clone(), ProcessState::default())).collect();
            state.nodes.insert(node.clone(), NodeState { processes });
            state.order.push(node.clone());
        }
        let holder = |role: &Role| Holder { node: role.initially.clone(), rank: None };
        state.roles = roles.iter().map(|role| (role.clone(), holder(role))).collect();
        state
    }

    /// Takes in the next observation.
    pub fn observe(&mut self, observation: &Observation) {
        match &observation.what {
            What::Process(change) => self.process_changed(change),
            What::Event(event) => self.event_said(event),
            What::Action(action) => {
                self.acted(action);
                if action.verb.is_network() {
                    self.network.acted(observation.number, action);
                    self.isolated = self.cut_off();
                }
            }
            What::Step(StepChange { state: StepState::Bound { name, to }, .. }) => {
                self.bound.insert(name.clone(), to.iter().map(|aim| Aim::named(aim)).collect());
            }
            What::Run(_) | What::Step(_) | What::Nemesis(_) | What::Operation(_) | What::Workload(_) => {}
            What::Sample(_) | What::Traffic(_) | What::Stall(_) | What::Answer(_) => {}
        }
    }

    fn process_changed(&mut self, ProcessChange { of, change }: &ProcessChange) {
        let Some(process) = self.process_mut(of) else { return };
        if of.life < process.life {
            return; // the end of an earlier life, told late
        }
        process.life = of.life;
        match change {
            Change::Started { .. } => (process.is_up, process.is_ready) = (true, false),
            Change::Ready => process.is_ready = true,
            Change::NotStarted { .. } | Change::Exited { .. } | Change::Empty => {
                (process.is_up, process.is_ready) = (false, false);
            }
            Change::NotReady { .. } | Change::Leaking { .. } => {}
        }
    }

    fn acted(&mut self, action: &Action) {
        let is_new_life = match action.verb {
            ActionVerb::Restart => true,
            ActionVerb::Start => action.nodes.iter().any(|node| self.has_run(node)),
            _ => false,
        };
        if is_new_life {
            self.restarted.clone_from(&action.nodes);
        }
        for life in &action.hit {
            let Some(process) = self.process_mut(life) else { continue };
            if matches!(action.verb, ActionVerb::Kill | ActionVerb::Stop | ActionVerb::Restart) {
                process.ending_life = life.life;
            }
            match action.verb {
                ActionVerb::Kill => process.killed_life = life.life,
                ActionVerb::Stop => process.stopped_life = life.life,
                ActionVerb::Pause => process.paused_life = life.life,
                ActionVerb::Resume => process.paused_life = 0,
                ActionVerb::Start | ActionVerb::Restart | ActionVerb::Signal | ActionVerb::Input => {}
                // What is done to the network is in force whoever is alive.
                ActionVerb::Partition | ActionVerb::Heal | ActionVerb::Link | ActionVerb::Unplug | ActionVerb::Plug => {
                }
            }
        }
    }

    fn event_said(&mut self, event: &Event) {
        for (role, holder) in self.roles.iter_mut().filter(|(role, _)| role.last == event.name) {
            let node = match &role.named_by {
                None => event.of.node.clone(),
                Some(field) => match event.field(field) {
                    Some(Value::Node(node)) => node.clone(),
                    _ => continue,
                },
            };
            let rank = role.highest.as_ref().and_then(|field| event.field(field));
            if is_lower(rank, holder.rank.as_ref()) {
                continue;
            }
            *holder = Holder { node: Some(node), rank: rank.cloned() };
        }
    }

    fn process_mut(&mut self, life: &Life) -> Option<&mut ProcessState> {
        self.nodes.get_mut(&life.node)?.processes.get_mut(&life.process)
    }

    fn any_process(&self, node: &str, is: impl Fn(&ProcessState) -> bool) -> bool {
        self.nodes.get(node).is_some_and(|node| node.processes.values().any(is))
    }

    /// All nodes, in the order of the scenario.
    pub fn nodes(&self) -> &[Name] {
        &self.order
    }

    /// The processes of a node, sorted by name.
    pub fn processes(&self, node: &str) -> impl Iterator<Item = &Name> {
        self.nodes.get(node).into_iter().flat_map(|node| node.processes.keys())
    }

    /// True if any process of the node is alive, running or paused.
    pub fn is_up(&self, node: &str) -> bool {
        self.any_process(node, |process| process.is_up)
    }

    /// True if this process of the node is alive.
    pub fn is_process_up(&self, node: &str, process: &str) -> bool {
        self.nodes.get(node).and_then(|node| node.processes.get(process)).is_some_and(|process| process.is_up)
    }

    /// True if something of the node is alive and all that is alive has become ready.
    pub fn is_ready(&self, node: &str) -> bool {
        self.is_up(node) && !self.any_process(node, |process| process.is_up && !process.is_ready)
    }

    /// True if the bench paused a process of the node, and it is still paused.
    pub fn is_paused(&self, node: &str) -> bool {
        self.any_process(node, ProcessState::is_paused)
    }

    /// True if network faults leave the node, both ways, no majority of all nodes, dead or alive, itself among them.
    pub fn is_isolated(&self, node: &str) -> bool {
        self.isolated.iter().any(|isolated| &**isolated == node)
    }

    /// Whoever is isolated, in the order of the scenario.
    pub fn isolated(&self) -> &[Name] {
        &self.isolated
    }

    fn cut_off(&self) -> Vec<Name> {
        if self.network.cuts_nothing() {
            return Vec::new();
        }
        let nodes: Vec<&Name> = self.order.iter().collect();
        cut_off(&nodes, |from, to| self.network.is_cut(from, to), |_| false).into_iter().cloned().collect()
    }

    /// The network faults in force.
    pub fn network(&self) -> &InForce {
        &self.network
    }

    /// True if the bench killed a process of the node, and that process was not started since.
    pub fn is_killed(&self, node: &str) -> bool {
        self.any_process(node, ProcessState::is_killed)
    }

    /// True if the bench stopped a process of the node, and that process was not started since.
    pub fn is_stopped(&self, node: &str) -> bool {
        self.any_process(node, ProcessState::is_stopped)
    }

    /// True if something of the node cannot serve: it is not alive, frozen, about to end or not ready yet. What was never started counts
    /// only if all of the node was never started.
    pub fn is_down(&self, node: &str) -> bool {
        !self.has_run(node) || self.any_process(node, |process| process.has_run() && !process.serves())
    }

    /// True if something of the node is alive whose end the bench has not asked for.
    pub fn is_staying(&self, node: &str) -> bool {
        self.any_process(node, |process| process.is_up && !process.is_ending())
    }

    /// True if the node was brought back by the latest restart (or start of nodes that had run before).
    pub fn is_restarted(&self, node: &str) -> bool {
        self.restarted.iter().any(|restarted| &**restarted == node)
    }

    /// True if a process of the node has been started at least once.
    pub fn has_run(&self, node: &str) -> bool {
        self.any_process(node, ProcessState::has_run)
    }

    /// The processes of a node that are killed (by the bench, not started since); sorted by name.
    pub fn killed_processes(&self, node: &str) -> Vec<Name> {
        self.processes_that(node, ProcessState::is_killed)
    }

    /// The processes of a node that are paused; sorted by name.
    pub fn paused_processes(&self, node: &str) -> Vec<Name> {
        self.processes_that(node, ProcessState::is_paused)
    }

    fn processes_that(&self, node: &str, is: impl Fn(&ProcessState) -> bool) -> Vec<Name> {
        let processes = self.nodes.get(node).into_iter().flat_map(|node| &node.processes);
        processes.filter(|(_, process)| is(process)).map(|(name, _)| name.clone()).collect()
    }

    /// The current life of a process: 1 for the first, 0 before it was started.
    pub fn life(&self, node: &str, process: &str) -> u32 {
        self.nodes.get(node).and_then(|node| node.processes.get(process)).map_or(0, |process| process.life)
    }

    /// True if an event of this name may give a role to somebody.
    pub fn gives_a_role(&self, event: &str) -> bool {
        self.roles.iter().any(|(role, _)| &*role.last == event)
    }

    /// Whom a step has bound to a name last; nobody before that.
    pub fn bound(&self, name: &str) -> &[Aim] {
        self.bound.get(name).map_or(&[], Vec::as_slice)
    }

    /// Who holds a role now; nobody before its first event (unless the role says who holds it `initially`).
    pub fn holder(&self, role: &str) -> Option<&Name> {
        self.roles.iter().find(|(known, _)| &*known.name == role)?.1.node.as_ref()
    }
}

/// True if a value would take a role down. A value that is no number neither takes a numbered role nor guards one.
fn is_lower(new: Option<&Value>, old: Option<&Value>) -> bool {
    let as_number = |value: &Value| match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::Text(_) | Value::Node(_) | Value::Nodes(_) => None,
    };
    match (new, old) {
        (Some(Value::Int(new)), Some(Value::Int(old))) => new < old,
        (new, old) => match (new.and_then(as_number), old.and_then(as_number)) {
            (Some(new), Some(old)) => new < old,
            (None, Some(_)) => true,
            (_, None) => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Exit;
    use crate::time::RunTime;

    fn life(node: &str, life: u32) -> Life {
        Life { node: node.into(), process: "main".into(), life }
    }

    fn three_nodes() -> ClusterState {
        let nodes: [Name; 3] = ["n1".into(), "n2".into(), "n10".into()];
        let main = [Name::from("main")];
        let leader = Role {
            name: "leader".into(),
            last: "led".into(),
            highest: Some("term".into()),
            named_by: None,
            initially: None,
        };
        let mut state = ClusterState::new(nodes.iter().map(|node| (node, &main[..])), &[leader]);
        for node in &nodes {
            see(&mut state, process(node, 1, Change::Started { pid: 1 }));
        }
        state
    }

    fn see(state: &mut ClusterState, what: What) {
        state.observe(&Observation { number: 0, at: RunTime::START, what });
    }

    fn process(node: &str, n: u32, change: Change) -> What {
        What::Process(ProcessChange { of: life(node, n), change })
    }

    fn action(verb: ActionVerb, node: &str, n: u32) -> What {
        What::Action(Action::new(verb, vec![node.into()], vec![life(node, n)]).into())
    }

    fn led(node: &str, term: i64) -> What {
        let fields = vec![("term".into(), Value::Int(term))];
        What::Event(Event::new("led", life(node, 1), fields))
    }

    #[test]
    fn a_killed_node_is_killed_until_its_next_life_in_whatever_order_it_is_told() {
        let mut state = three_nodes();
        see(&mut state, action(ActionVerb::Kill, "n1", 1));
        see(&mut state, process("n1", 1, Change::Exited { exit: Exit::Signal(9), expected: true }));
        assert!(state.is_killed("n1") && !state.is_up("n1") && !state.is_killed("n2"));
        see(&mut state, process("n1", 2, Change::Started { pid: 2 }));
        see(&mut state, process("n1", 1, Change::Empty));
        see(&mut state, action(ActionVerb::Restart, "n1", 1));
        assert!(!state.is_killed("n1") && state.is_up("n1") && state.is_restarted("n1"));
        assert_eq!(state.life("n1", "main"), 2);
    }

    #[test]
    fn a_pause_ends_with_the_resume_or_with_the_life() {
        let mut state = three_nodes();
        see(&mut state, action(ActionVerb::Pause, "n1", 1));
        see(&mut state, action(ActionVerb::Pause, "n2", 1));
        assert!(state.is_paused("n1") && state.is_paused("n2"));
        see(&mut state, action(ActionVerb::Resume, "n1", 1));
        see(&mut state, process("n2", 1, Change::Exited { exit: Exit::Signal(9), expected: true }));
        assert!(!state.is_paused("n1") && !state.is_paused("n2"));
    }

    #[test]
    fn a_node_is_down_from_what_is_done_to_it_until_it_is_ready_again() {
        let mut state = three_nodes();
        assert!(state.is_down("n1"), "it is up, but not ready yet");
        for node in ["n1", "n2"] {
            see(&mut state, process(node, 1, Change::Ready));
        }
        assert!(!state.is_down("n1") && !state.is_down("n2"));
        see(&mut state, action(ActionVerb::Restart, "n1", 1));
        assert!(state.is_down("n1") && !state.is_staying("n1"), "its end was asked for");
        see(&mut state, process("n1", 1, Change::Empty));
        see(&mut state, process("n1", 2, Change::Started { pid: 2 }));
        assert!(state.is_down("n1") && state.is_staying("n1"), "it is up again, but not ready");
        see(&mut state, process("n1", 2, Change::Ready));
        see(&mut state, action(ActionVerb::Pause, "n2", 1));
        assert!(!state.is_down("n1") && state.is_down("n2"));
        see(&mut state, action(ActionVerb::Resume, "n2", 1));
        assert!(!state.is_down("n2"));
    }

    #[test]
    fn a_role_stays_with_the_highest_term_and_with_the_dead() {
        let mut state = three_nodes();
        assert_eq!(state.holder("leader"), None);
        see(&mut state, led("n2", 2));
        see(&mut state, led("n1", 1));
        assert_eq!(state.holder("leader").map(|node| &**node), Some("n2"));
        see(&mut state, action(ActionVerb::Kill, "n2", 1));
        assert_eq!(state.holder("leader").map(|node| &**node), Some("n2"));
        see(&mut state, led("n10", 2));
        assert_eq!(state.holder("leader").map(|node| &**node), Some("n10"));
    }

    #[test]
    fn nodes_stand_in_the_order_of_the_scenario() {
        assert_eq!(three_nodes().nodes().iter().map(|node| &**node).collect::<Vec<_>>(), ["n1", "n2", "n10"]);
    }
}
