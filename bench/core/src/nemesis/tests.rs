//! What must be true of every schedule, and of every fault in whatever state it finds the cluster.

use std::time::Duration;

use proptest::prelude::*;

use super::{Fault, Schedule, Strike};
use crate::cluster::ClusterState;
use crate::observation::{
    Action, ActionVerb, Change, Life, MAIN, Name, Observation, Origin, PassedOver, ProcessChange, What,
};
use crate::plan::Plan;
use crate::scenario::{FaultKind, Scenario};
use crate::target::{Aim, Crowd};
use crate::time::RunTime;

/// A cluster of so many nodes with this nemesis.
fn plan(nodes: usize, nemesis: &str, seed: u64) -> Plan {
    let text = format!(
        "schema = 1\nname = 'x'\n[nodes]\ncount = {nodes}\nname = 'n{{id}}'\ncommand = ['true']\n\
         [events]\nleads = {{ log = 'leads' }}\n[roles]\nleader = {{ last = 'leads', initially = 'n1' }}\n\
         [[invariants]]\nsometimes = {{ event = 'leads', at_least = 1 }}\n[nemesis]\n{nemesis}"
    );
    let scenario = Scenario::parse(&text, &[]).unwrap_or_else(|diagnostics| panic!("{diagnostics:?}\n{text}"));
    Plan::new(scenario, seed)
}

const ALL_KINDS: &str = "every = '300ms..900ms'\nfor = '100ms..2s'\nduration = '60s'\n\
    faults = { kill = 3, pause = 2, stop = 1, restart = 1, signal = { HUP = 1 } }\ntargets = { leader = 2, random = 1 }";

fn all_kinds(seed: u64) -> Plan {
    plan(3, ALL_KINDS, seed)
}

fn first(plan: &Plan, count: usize) -> Vec<(Duration, Fault<'_>)> {
    plan.schedule().expect("it has a nemesis").faults().take(count).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let told = |seed| {
        let plan = all_kinds(seed);
        (plan.describe(), plan.to_json(None).to_string())
    };
    assert_eq!(told(7), told(7));
    assert_ne!(told(7), told(8));
}

#[test]
fn what_a_seed_gives_stays_what_it_is_for_ever() {
    let plan = all_kinds(42);
    let told: Vec<String> = first(&plan, 6).iter().map(|(at, fault)| format!("{at:?} {fault}")).collect();
    assert_eq!(told, GOLDEN);
}

const GOLDEN: [&str; 6] = [
    "411.81ms pause leader, resume after 0.328s",
    "1.289951s signal HUP to random, start after 1.362s",
    "1.925847s kill leader, restart after 1.835s",
    "2.267294s kill random, restart after 0.517s",
    "2.624274s kill random, restart after 0.306s",
    "3.168808s pause leader, resume after 0.104s",
];

#[test]
fn kinds_and_targets_come_by_their_weight_and_times_within_their_bounds() {
    let plan = all_kinds(1);
    let faults = first(&plan, 20_000);
    let share = |of: &dyn Fn(&Fault<'_>) -> bool| faults.iter().filter(|(_, fault)| of(fault)).count();
    let verb = |verb| share(&move |fault| fault.kind.verb() == verb);
    for (verb, weight) in [
        (verb(ActionVerb::Kill), 3),
        (verb(ActionVerb::Pause), 2),
        (verb(ActionVerb::Stop), 1),
        (verb(ActionVerb::Restart), 1),
        (verb(ActionVerb::Signal), 1),
    ] {
        let expected = 20_000 * weight / 8;
        assert!(verb.abs_diff(expected) < 300, "{verb} of {expected}");
    }
    let leaders = share(&|fault| fault.whom == "leader");
    assert!(leaders.abs_diff(20_000 * 2 / 3) < 300, "{leaders}");
    let ms = Duration::from_millis;
    assert!(faults.iter().all(|(_, fault)| ms(300) <= fault.gap && fault.gap <= ms(900)));
    assert!(faults.iter().all(|(_, fault)| fault.lasts.is_some_and(|lasts| ms(100) <= lasts && lasts <= ms(2000))));
    let mean = faults[19_999].0 / 20_000;
    assert!(ms(595) < mean && mean < ms(605), "{mean:?}");
}

#[test]
fn a_change_of_one_thing_moves_nothing_else() {
    let before = all_kinds(5);
    let before: Vec<_> = first(&before, 500);
    let changed = |from: &str, to: &str| {
        assert!(ALL_KINDS.contains(from));
        plan(3, &ALL_KINDS.replace(from, to), 5)
    };
    let same = |after: &Plan, what: &str, is_same: &dyn Fn(&Fault<'_>, &Fault<'_>) -> bool| {
        for ((_, before), (_, after)) in before.iter().zip(first(after, 500)) {
            assert!(is_same(before, &after), "{what}: {before} -> {after}");
        }
    };
    // Without pauses everything else stays that was no pause.
    same(&changed("pause = 2, ", ""), "no pause", &|before, after| {
        (before.gap, before.lasts, before.whom) == (after.gap, after.lasts, after.whom)
            && (before.kind == after.kind || before.kind == FaultKind::Act(ActionVerb::Pause))
    });
    same(&changed("leader = 2, ", ""), "no leader", &|before, after| {
        (before.gap, before.lasts, before.kind) == (after.gap, after.lasts, after.kind)
    });
    same(&changed("100ms..2s", "1s"), "another duration", &|before, after| {
        (before.gap, before.whom, before.kind) == (after.gap, after.whom, after.kind)
    });
    same(&changed("300ms..900ms", "3s"), "another gap", &|before, after| {
        (before.lasts, before.whom, before.kind) == (after.lasts, after.whom, after.kind)
    });
    same(&changed("leader = 2", "leader = 3"), "more leaders", &|before, after| {
        before.whom == after.whom || after.whom == "leader"
    });
}

#[test]
fn a_plan_tells_every_fault_for_which_there_is_time() {
    let text =
        plan(3, "every = '1s'\nduration = '3500ms'\nstart = '2s'\nfaults = { kill = 1 }\nfor = '2s'", 1).describe();
    let section = &text[text.find("what the nemesis does").expect("a section")..];
    let section = &section[..section.find("\n\n").expect("its end")];
    assert_eq!(
        section,
        "what the nemesis does
  from 2s after all nodes are ready, for 3s 500ms; at most a minority down at once; it undoes everything when it stops
    1. at 3.000s                    kill random, restart after 2.000s
    2. at 4.000s                    kill random, restart after 2.000s
    3. at 5.000s                    kill random, restart after 2.000s"
    );
    let aimed =
        "when = 'leads'\nwithin = '2s'\nafter = '7ms'\nduration = '10s'\nfaults = { restart = 1 }\ntarget = 'leader'";
    let text = plan(3, aimed, 1).describe();
    assert!(text.contains("; each fault at the next `leads`, or after 2s without it\n"), "{text}");
    assert!(text.contains("\n    1. 0.007s after the event       restart leader\n"), "{text}");
    assert!(text.contains("\n       ... and so on, with every event\n"), "{text}");
}

/// A cluster that is played by the test: what is done to it takes effect when the test says so.
struct Played {
    state: ClusterState,
    nodes: Vec<Name>,
    lives: Vec<u32>,
    /// What became of each, kept by hand, to judge what the state says.
    fates: Vec<Fate>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Fate {
    is_up: bool,
    is_ready: bool,
    is_paused: bool,
    is_ending: bool,
}

impl Played {
    fn of(plan: &Plan) -> Self {
        let nodes: Vec<Name> = plan.scenario.nodes.iter().map(|node| node.name.clone()).collect();
        let (lives, fates) = (vec![0; nodes.len()], vec![Fate::default(); nodes.len()]);
        let mut played = Self { state: plan.cluster(), nodes, lives, fates };
        for node in 0..played.nodes.len() {
            played.start(node);
            played.see_change(node, Change::Ready);
        }
        played
    }

    fn see(&mut self, what: What) {
        self.state.observe(&Observation { number: 0, at: RunTime::START, what });
    }

    fn life(&self, node: usize) -> Life {
        Life { node: self.nodes[node].clone(), process: MAIN.into(), life: self.lives[node] }
    }

    fn see_change(&mut self, node: usize, change: Change) {
        let of = self.life(node);
        match change {
            Change::Started { .. } => self.fates[node] = Fate { is_up: true, ..Fate::default() },
            Change::Ready => self.fates[node].is_ready = true,
            _ => self.fates[node].is_up = false,
        }
        self.see(What::Process(ProcessChange { of, change }));
    }

    fn start(&mut self, node: usize) {
        self.lives[node] += 1;
        self.see_change(node, Change::Started { pid: 1 });
    }

    fn act(&mut self, verb: ActionVerb, node: usize, origin: Origin) {
        let hit = if self.fates[node].is_up { vec![self.life(node)] } else { Vec::new() };
        let fate = &mut self.fates[node];
        match verb {
            ActionVerb::Pause => fate.is_paused = true,
            ActionVerb::Resume => fate.is_paused = false,
            ActionVerb::Kill | ActionVerb::Stop | ActionVerb::Restart => fate.is_ending = true,
            _ => {}
        }
        self.see(What::Action(Action::new(verb, vec![self.nodes[node].clone()], hit).asked_by(origin).into()));
    }

    /// What a person would count.
    fn down(&self) -> usize {
        let serves = |fate: &&Fate| fate.is_up && fate.is_ready && !fate.is_paused && !fate.is_ending;
        self.fates.len() - self.fates.iter().filter(serves).count()
    }
}

/// What may happen beside the nemesis.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Strike,
    Step(ActionVerb, usize),
    Crash(usize),
    /// A node that was to end has ended.
    Ends(usize),
    Starts(usize),
    Ready(usize),
    Resumes(usize),
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let node = || 0..5_usize;
    let verb = prop::sample::select(&[ActionVerb::Kill, ActionVerb::Stop, ActionVerb::Pause, ActionVerb::Restart][..]);
    let turn = prop_oneof![
        8 => Just(Turn::Strike),
        1 => (verb, node()).prop_map(|(verb, node)| Turn::Step(verb, node)),
        1 => node().prop_map(Turn::Crash),
        4 => node().prop_map(Turn::Ends),
        4 => node().prop_map(Turn::Starts),
        4 => node().prop_map(Turn::Ready),
        3 => node().prop_map(Turn::Resumes),
    ];
    prop::collection::vec(turn, 1..60)
}

impl Played {
    fn turn(&mut self, turn: Turn) {
        let count = self.nodes.len();
        match turn {
            Turn::Strike => {}
            Turn::Step(verb, node) => self.act(verb, node % count, Origin::Step(0)),
            Turn::Crash(node) | Turn::Ends(node) if self.state.is_up(&self.nodes[node % count]) => {
                let is_meant = matches!(turn, Turn::Crash(_)) || !self.state.is_staying(&self.nodes[node % count]);
                if is_meant {
                    self.see_change(node % count, Change::Empty);
                }
            }
            Turn::Starts(node) if !self.state.is_up(&self.nodes[node % count]) => self.start(node % count),
            Turn::Ready(node) if self.state.is_up(&self.nodes[node % count]) => {
                self.see_change(node % count, Change::Ready)
            }
            Turn::Resumes(node) => self.act(ActionVerb::Resume, node % count, Origin::Step(0)),
            Turn::Crash(_) | Turn::Ends(_) | Turn::Starts(_) | Turn::Ready(_) => {}
        }
    }
}

/// A nemesis, and how many nodes it may take down at once.
fn nemeses() -> impl Strategy<Value = (usize, String, usize)> {
    let targets = prop::sample::select(
        &[
            "leader = 1",
            "random = 1",
            "all = 1, random = 3",
            "minority = 1, leader = 1",
            "'!leader' = 1",
            "n1 = 1, n2 = 1",
            "majority = 1, killed = 1, random = 1",
        ][..],
    );
    (3..6_usize, 0..6_usize, targets).prop_map(|(nodes, max_down, targets)| {
        let max = if max_down == 0 { "'minority'".to_owned() } else { max_down.to_string() };
        let kinds = "{ kill = 3, pause = 2, stop = 1, restart = 1 }";
        let text = format!(
            "every = '1s'\nfor = '1s'\nduration = '9s'\nfaults = {kinds}\ntargets = {{ {targets} }}\nmax_down = {max}"
        );
        (nodes, text, if max_down == 0 { (nodes - 1) / 2 } else { max_down })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_fault_takes_more_down_than_allowed_whatever_steps_and_crashes_do((nodes, nemesis, limit) in nemeses(), seed: u64, turns in turns()) {
        let plan = plan(nodes, &nemesis, seed);
        let schedule = plan.schedule().expect("it has a nemesis");
        let mut played = Played::of(&plan);
        let mut index = 0;
        for turn in turns {
            played.turn(turn);
            if !matches!(turn, Turn::Strike) {
                continue;
            }
            let fault = schedule.fault(index);
            index += 1;
            let before = played.down();
            let most = if fault.crowd == Crowd::One { 1 } else { nodes };
            match schedule.strike(&fault, &played.state) {
                Ok(Strike::Network(harm)) => prop_assert!(false, "nobody asked for {harm:?}"),
                Ok(Strike::Processes(aims)) => {
                    prop_assert!(!aims.is_empty());
                    for aim in &aims {
                        let node = played.nodes.iter().position(|node| *node == aim.node).expect("a node");
                        prop_assert!(played.fates[node].is_up, "{fault} hits {aim}, which is not alive");
                        played.act(fault.kind.verb(), node, Origin::Nemesis(index));
                    }
                    prop_assert!(played.down() <= limit, "{fault}: {} down, and {limit} may", played.down());
                }
                Err(not_done) => {
                    prop_assert!(!not_done.why.is_empty());
                    prop_assert!(not_done.because == PassedOver::Nobody || before + most > limit);
                }
            }
        }
    }
}

fn struck(plan: &Plan, played: &Played) -> Result<Vec<Aim>, PassedOver> {
    let schedule: Schedule<'_> = plan.schedule().expect("it has a nemesis");
    match schedule.strike(&schedule.fault(0), &played.state) {
        Ok(Strike::Processes(aims)) => Ok(aims),
        Ok(Strike::Network(harm)) => panic!("nobody asked for {harm:?}"),
        Err(not_done) => Err(not_done.because),
    }
}

fn nemesis(kind: &str, rest: &str) -> String {
    format!("every = '1s'\nfor = '1s'\nduration = '9s'\nfaults = {{ {kind} = 1 }}\n{rest}")
}

#[test]
fn a_paused_node_may_be_killed_and_a_dead_one_may_not() {
    let plan = plan(3, &nemesis("kill", "target = 'n2'"), 1);
    let mut played = Played::of(&plan);
    played.act(ActionVerb::Pause, 1, Origin::Nemesis(0));
    assert!(struck(&plan, &played).is_ok());
    played.act(ActionVerb::Kill, 1, Origin::Nemesis(1));
    assert_eq!(struck(&plan, &played), Err(PassedOver::Nobody), "it is about to die");
    played.see_change(1, Change::Empty);
    assert_eq!(struck(&plan, &played), Err(PassedOver::Nobody));
    played.start(1);
    assert!(struck(&plan, &played).is_ok(), "a crash while it comes back is a crash");
}

#[test]
fn a_node_is_not_frozen_while_it_is_getting_ready() {
    let plan = plan(3, &nemesis("pause", "target = 'n2'"), 1);
    let mut played = Played::of(&plan);
    played.act(ActionVerb::Restart, 1, Origin::Step(0));
    played.see_change(1, Change::Empty);
    played.start(1);
    assert_eq!(struck(&plan, &played), Err(PassedOver::Nobody), "it would use up its time to become ready");
    played.see_change(1, Change::Ready);
    assert!(struck(&plan, &played).is_ok());
}

#[test]
fn whoever_a_step_took_down_counts() {
    let plan = plan(3, &nemesis("kill", "target = 'n2'"), 1);
    let mut played = Played::of(&plan);
    played.act(ActionVerb::Stop, 0, Origin::Step(0));
    assert_eq!(struck(&plan, &played), Err(PassedOver::MaxDown));
}

#[test]
fn a_signal_takes_nobody_down_by_itself() {
    let signal = "every = '1s'\nduration = '9s'\nfaults = { signal = { HUP = 1 } }\ntarget = 'n2'";
    let plan = plan(3, signal, 1);
    let mut played = Played::of(&plan);
    played.act(ActionVerb::Stop, 0, Origin::Step(0));
    assert!(struck(&plan, &played).is_ok());
}

#[test]
fn of_a_crowd_all_are_hit_at_once_and_of_others_one() {
    let hit = |target: &str| {
        let plan = plan(5, &nemesis("kill", &format!("target = {target}\nmax_down = 5")), 1);
        struck(&plan, &Played::of(&plan)).unwrap().len()
    };
    assert_eq!(hit("'all'"), 5);
    assert_eq!(hit("'minority'"), 2);
    assert_eq!(hit("'majority'"), 3);
    assert_eq!(hit("'random'"), 1);
    assert_eq!(hit("'!leader'"), 1);
    assert_eq!(hit("['n1', 'n2', 'n3']"), 1);
    assert_eq!(hit("{ random = ['n1', 'n2'] }"), 1);
}

#[test]
fn only_the_nodes_that_it_is_about_are_hit_and_counted() {
    let about = "of = ['n1', 'n2', 'n3']\ntarget = 'random'";
    for seed in 0..40 {
        let plan = plan(6, &nemesis("kill", about), seed);
        let mut played = Played::of(&plan);
        let aims = struck(&plan, &played).unwrap();
        assert!(["n1", "n2", "n3"].contains(&&*aims[0].node));
        // A fourth node is no concern of it; a second of the three would be one too many.
        played.act(ActionVerb::Kill, 5, Origin::Step(0));
        assert!(struck(&plan, &played).is_ok());
        played.act(ActionVerb::Pause, 0, Origin::Step(0));
        let refused = struck(&plan, &played);
        assert!(refused == Err(PassedOver::MaxDown) || refused.is_ok_and(|aims| &*aims[0].node == "n1"));
    }
}
