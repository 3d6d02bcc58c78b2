//! What must be true of the nemesis' network faults, judged by an oracle that draws every link by itself.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Draw, Fault, Schedule, Strike};
use crate::cluster::ClusterState;
use crate::network::{Harm, Link};
use crate::observation::{Action, ActionVerb, Change, Life, MAIN, Name, Observation, PassedOver, ProcessChange, What};
use crate::plan::Plan;
use crate::scenario::Scenario;
use crate::time::RunTime;

const ALL: &str = "{ partition = 3, one_way = 2, slow = 1, lossy = 1, flaky = 1, unplug = 2, kill = 2 }";

fn plan(nodes: usize, nemesis: &str, seed: u64) -> Plan {
    let text = format!(
        "schema = 1\nname = 'x'\n[nodes]\ncount = {nodes}\nname = 'n{{id}}'\ncommand = ['true']\n[events]\nleads = {{ log = 'leads' }}\n\
         [roles]\nleader = {{ last = 'leads', initially = 'n1' }}\n[[invariants]]\nnever = 'leads'\n\
         [nemesis]\nevery = '1s'\nfor = '1s'\nduration = '9s'\n{nemesis}"
    );
    let scenario = Scenario::parse(&text, &[]).unwrap_or_else(|diagnostics| panic!("{diagnostics:?}\n{text}"));
    Plan::new(scenario, seed)
}

/// A cluster in which everything is done at once, and what a person would write down of it.
struct Played {
    state: ClusterState,
    nodes: Vec<Name>,
    next: u64,
    dead: BTreeSet<Name>,
    partition: Option<(u64, BTreeSet<Link>)>,
    unplugged: BTreeMap<u64, Vec<Name>>,
}

impl Played {
    fn of(plan: &Plan) -> Self {
        let nodes: Vec<Name> = plan.scenario.nodes.iter().map(|node| node.name.clone()).collect();
        let (dead, unplugged) = (BTreeSet::new(), BTreeMap::new());
        let mut played = Self { state: plan.cluster(), nodes, next: 0, dead, partition: None, unplugged };
        for node in played.nodes.clone() {
            for change in [Change::Started { pid: 1 }, Change::Ready] {
                let of = Life { node: node.clone(), process: MAIN.into(), life: 1 };
                played.see(What::Process(ProcessChange { of, change }));
            }
        }
        played
    }

    fn see(&mut self, what: What) -> u64 {
        self.next += 1;
        self.state.observe(&Observation { number: self.next, at: RunTime::START, what });
        self.next
    }

    fn kill(&mut self, node: &Name) {
        let hit = Life { node: node.clone(), process: MAIN.into(), life: 1 };
        self.see(What::Action(Action::new(ActionVerb::Kill, vec![node.clone()], vec![hit]).into()));
        self.dead.insert(node.clone());
    }

    fn harm(&mut self, harm: &Harm) {
        let ends = match (&self.partition, harm.verb) {
            (Some((number, _)), ActionVerb::Partition) => vec![*number],
            _ => Vec::new(),
        };
        let number = self.see(What::Action(Action { ends, ..harm.action() }.into()));
        match harm.verb {
            ActionVerb::Partition => self.partition = Some((number, harm.links.as_ref().unwrap().links())),
            ActionVerb::Unplug => drop(self.unplugged.insert(number, harm.nodes.clone())),
            _ => {}
        }
    }

    fn heal(&mut self) {
        let ends = self
            .partition
            .take()
            .map(|(number, _)| number)
            .into_iter()
            .chain(self.unplugged.pop_first().map(|out| out.0));
        let ends = ends.collect();
        self.see(What::Action(Action { ends, ..Action::new(ActionVerb::Heal, Vec::new(), Vec::new()) }.into()));
    }

    /// Whoever is dead, or cannot exchange a word with enough that are alive for a majority of all.
    fn down(&self) -> usize {
        let is_out = |node: &Name| self.unplugged.values().flatten().any(|out| out == node);
        let cut = |from: &Name, to: &Name| {
            let link = Link { from: from.clone(), to: to.clone() };
            is_out(from) || is_out(to) || self.partition.as_ref().is_some_and(|(_, links)| links.contains(&link))
        };
        let talks = |a: &Name, b: &Name| !self.dead.contains(b) && (a == b || !cut(a, b) && !cut(b, a));
        let counts = |node: &&Name| {
            let heard = self.nodes.iter().filter(|other| talks(node, other)).count();
            self.dead.contains(*node) || 2 * heard <= self.nodes.len()
        };
        // As long as the network is whole, only the dead are down.
        if self.partition.is_none() && self.unplugged.is_empty() {
            return self.dead.len();
        }
        self.nodes.iter().filter(counts).count()
    }
}

fn targets() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &["leader = 1", "random = 1", "minority = 1, leader = 1", "majority = 1, all = 1", "'!leader' = 1"][..],
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_fault_leaves_more_without_a_majority_than_allowed(
        nodes in 3..8_usize, targets in targets(), max_down in 1..4_usize, seed: u64, healing in prop::collection::vec(any::<bool>(), 1..40)
    ) {
        let plan = plan(nodes, &format!("faults = {ALL}\ntargets = {{ {targets} }}\nmax_down = {max_down}\n"), seed);
        let schedule = plan.schedule().expect("it has a nemesis");
        let mut played = Played::of(&plan);
        for (index, heals) in healing.into_iter().enumerate() {
            let fault = schedule.fault(index);
            match schedule.strike(&fault, &played.state) {
                Ok(Strike::Network(harm)) => {
                    prop_assert!(harm.verb == ActionVerb::Unplug || !harm.links.as_ref().unwrap().links().is_empty());
                    played.harm(&harm);
                    let may_cut = harm.verb != ActionVerb::Link;
                    prop_assert!(!may_cut || played.down() <= max_down, "{fault}: {} down", played.down());
                }
                Ok(Strike::Processes(aims)) => {
                    aims.iter().for_each(|aim| played.kill(&aim.node));
                    prop_assert!(played.down() <= max_down, "{fault}: {} down", played.down());
                }
                Err(not_done) => prop_assert!(!not_done.why.is_empty()),
            }
            if heals {
                played.heal();
            }
        }
    }
}

fn all_faults(plan: &Plan) -> Vec<Fault<'_>> {
    plan.schedule().expect("it has a nemesis").faults().take(2_000).map(|(_, fault)| fault).collect()
}

#[test]
fn a_partition_comes_in_every_shape_that_so_few_nodes_have() {
    let shapes = |nodes: usize| {
        let plan = plan(nodes, "faults = { partition = 1 }", 3);
        let told: BTreeSet<String> =
            all_faults(&plan).iter().map(|fault| format!("{:?}", fault.draw.unwrap())).collect();
        told.into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shapes(3), "Aside Bridge Halves");
    assert_eq!(shapes(4), "Aside Bridge Ring", "halves of four would leave nobody a majority");
    assert_eq!(shapes(5), "Aside Bridge Halves Ring");
}

#[test]
fn another_kind_or_node_moves_nothing_else() {
    let (few, more) = (plan(5, &format!("faults = {ALL}"), 9), plan(7, &format!("faults = {ALL}"), 9));
    for (few, more) in all_faults(&few).iter().zip(all_faults(&more)) {
        assert_eq!((few.kind, few.draw, few.whom), (more.kind, more.draw, more.whom));
    }
    let without = plan(5, &format!("faults = {}", ALL.replace("slow = 1, ", "")), 9);
    for (with, without) in all_faults(&few).iter().zip(all_faults(&without)) {
        assert!(with.draw == without.draw || matches!(with.draw, Some(Draw::Slow(_))), "{with} -> {without}");
    }
}

#[test]
fn what_a_seed_gives_stays_what_it_is_for_ever() {
    let plan = plan(5, &format!("faults = {ALL}"), 42);
    let told: Vec<String> = all_faults(&plan).iter().take(8).map(ToString::to_string).collect();
    assert_eq!(told, GOLDEN);
}

const GOLDEN: [&str; 8] = [
    "link random <-> * (delay 0.217s +- 0.108s), heal after 1.000s",
    "link random <-> * (delay 0.167s +- 0.084s), heal after 1.000s",
    "kill random, restart after 1.000s",
    "unplug random, plug after 1.000s",
    "partition * -> random, heal after 1.000s",
    "partition into halves, heal after 1.000s",
    "kill random, restart after 1.000s",
    "link random <-> * (delay 0.232s +- 0.116s), heal after 1.000s",
];

#[test]
fn where_all_are_hit_a_link_fault_is_between_them_and_a_cut_has_no_other_side() {
    let struck = |kind: &str| {
        let plan = plan(3, &format!("faults = {{ {kind} = 1 }}\ntargets = {{ all = 1 }}\nmax_down = 3"), 1);
        let schedule: Schedule<'_> = plan.schedule().expect("it has a nemesis");
        schedule.strike(&schedule.fault(0), &Played::of(&plan).state).map_err(|not_done| not_done.because)
    };
    let Ok(Strike::Network(slow)) = struck("slow") else { panic!("it is done") };
    assert!(slow.action().whom().starts_with("among n1, n2, n3 (delay "), "{slow:?}");
    assert_eq!(struck("one_way"), Err(PassedOver::Nobody));
}
