//! Targets: whom a step acts on, whom a condition or a check looks at.

mod parse;
mod resolve;

use std::collections::BTreeSet;
use std::fmt;

pub(crate) use self::parse::KEYS;
pub use self::resolve::{Crowd, Eligible, EmptyTarget};
pub use crate::aim::Aim;
use crate::cluster::ClusterState;
use crate::groups::{ScopeId, Whose};
use crate::names::Names;
use crate::observation::Name;
use crate::table::Word;

/// The words that are targets by themselves, and what they mean.
pub const GLOSSARY: &[Word] = &[
    Word::new("all", "Every node."),
    Word::new("any", "Where one looks: some node, whichever. Where a step acts: one at random, like `random`."),
    Word::new("random", "One node, chosen by the seed among those that the step can do something to."),
    Word::new("killed", "What was killed and does not run again yet."),
    Word::new("paused", "What is frozen at this moment."),
    Word::new("restarted", "Whoever the newest restart, or start of what had run before, has brought back."),
    Word::new(
        "isolated",
        "Whom network faults leave no majority of all nodes that it can speak with both ways. Needs the network laboratory; in host mode, `paused`.",
    ),
    Word::new("minority", "At random, as many as are fewer than half of all nodes, alive or not: 2 of 5, nobody of 2."),
    Word::new("majority", "At random, as many as are just more than half of all nodes, alive or not: 3 of 5."),
    Word::new(
        NEMESIS,
        "The random faults of [nemesis], which steps can start and stop; nothing else can be done to them.",
    ),
];

/// The nemesis, which can be started and stopped, and is nobody else's name.
pub const NEMESIS: &str = "nemesis";

/// The words of the [`GLOSSARY`]; nothing else may have these names.
pub const WORDS: &[&str] = &Word::only::<{ GLOSSARY.len() }>(GLOSSARY);

/// How targets are written beside the words, for the reference.
pub const FORMS: &[Word] = &[
    Word::new("NODE", "One node by its name, such as `peer1`."),
    Word::new("ROLE", "Who has the role of [roles] at this moment, such as `leader`."),
    Word::new("GROUP", "Every node of the group of [groups]."),
    Word::new("TARGET/PROCESS", "Only this process of each: `redis1/sentinel`, `all/sentinel`."),
    Word::new("!TARGET", "Every node but these."),
    Word::new("[TARGET, ..]", "All of these together; those with `!` are taken away: `[\"!leader\", \"!peer1\"]`."),
];

/// A set of nodes (or of single processes) as the scenario names it. What it means is decided when it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    whom: Whom,
    process: Option<Name>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Whom {
    All,
    Node(Name),
    /// A group, and the nodes of it.
    Group(Name, Vec<Name>),
    Role(Name),
    /// Whom a step has bound to this name.
    Bound(Name),
    Killed,
    Paused,
    Restarted,
    Isolated,
    /// One of these, at random.
    RandomOf(Box<Target>),
    /// Fewer than half of these, at random: as many as a majority can do without.
    Minority(Box<Target>),
    /// Just more than half of these, at random.
    Majority(Box<Target>),
    Not(Box<Target>),
    /// Everything of the first list (all nodes if it is empty) but the second.
    Difference(Vec<Target>, Vec<Target>),
}

/// What a target is for, which decides what may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A step acts on it: random choices are made when the step fires.
    Act,
    /// A condition or a check looks at it: it must mean the same whenever one looks, so nothing random.
    Look,
}

impl Target {
    /// All nodes.
    pub fn all() -> Self {
        Self { whom: Whom::All, process: None }
    }

    /// One node.
    pub fn node(node: impl Into<Name>) -> Self {
        Self { whom: Whom::Node(node.into()), process: None }
    }

    /// The same nodes, and of them only this process.
    fn narrowed(self, process: Option<Name>) -> Self {
        Self { process: process.or(self.process), ..self }
    }

    /// True if it means single processes of nodes.
    pub fn is_of_processes(&self) -> bool {
        self.process.is_some()
            || match &self.whom {
                Whom::RandomOf(inner) | Whom::Minority(inner) | Whom::Majority(inner) | Whom::Not(inner) => {
                    inner.is_of_processes()
                }
                Whom::Difference(wanted, unwanted) => wanted.iter().chain(unwanted).any(Self::is_of_processes),
                _ => false,
            }
    }

    /// Whom it means, and how many of them whoever strikes at random takes: one, unless it says something else.
    pub fn crowd(self) -> (Self, Crowd) {
        let Self { whom, process } = self;
        match whom {
            Whom::RandomOf(inner) => (*inner, Crowd::One),
            Whom::All => (Self { whom: Whom::All, process }, Crowd::All),
            Whom::Minority(inner) => (inner.narrowed(process), Crowd::Minority),
            Whom::Majority(inner) => (inner.narrowed(process), Crowd::Majority),
            whom => (Self { whom, process }, Crowd::One),
        }
    }

    /// True if the node is meant, at this state of the cluster. A process after the slash is not looked at.
    pub fn matches(&self, node: &str, state: &ClusterState) -> bool {
        match &self.whom {
            Whom::All => true,
            Whom::Node(name) => &**name == node,
            Whom::Group(_, nodes) => nodes.iter().any(|name| &**name == node),
            Whom::Role(role) => state.holder(role).is_some_and(|holder| &**holder == node),
            Whom::Bound(name) => state.bound(name).iter().any(|aim| &*aim.node == node),
            Whom::Killed => state.is_killed(node),
            Whom::Paused => state.is_paused(node),
            Whom::Restarted => state.is_restarted(node),
            Whom::Isolated => state.is_isolated(node),
            Whom::RandomOf(inner) | Whom::Minority(inner) | Whom::Majority(inner) => inner.matches(node, state),
            Whom::Not(inner) => !inner.matches(node, state),
            Whom::Difference(wanted, unwanted) => {
                (wanted.is_empty() || wanted.iter().any(|target| target.matches(node, state)))
                    && !unwanted.iter().any(|target| target.matches(node, state))
            }
        }
    }

    /// True if the process of the node is meant.
    pub fn matches_process(&self, node: &str, process: &str, state: &ClusterState) -> bool {
        let is_bound = |name: &Name| {
            let is_it = |aim: &Aim| &*aim.node == node && aim.process.as_deref().is_none_or(|bound| bound == process);
            state.bound(name).iter().any(is_it)
        };
        let is_meant = match &self.whom {
            Whom::Bound(name) => is_bound(name),
            _ => self.matches(node, state),
        };
        is_meant && self.process.as_deref().is_none_or(|wanted| wanted == process)
    }

    /// From whose point of view something is read that is done as these nodes.
    pub fn whose(&self, names: &Names<'_>) -> Whose {
        self.scope(names).map_or(Whose::Anybody, Whose::Of)
    }

    /// The one group (or node) that all of them belong to, if that is certain.
    pub(crate) fn scope(&self, names: &Names<'_>) -> Option<ScopeId> {
        match &self.whom {
            Whom::Node(node) => names.groups().scope_of_node(node),
            Whom::Group(group, _) => names.groups().named(group),
            Whom::Bound(name) => names.scope_of_bound(name),
            Whom::RandomOf(inner) | Whom::Minority(inner) | Whom::Majority(inner) => inner.scope(names),
            Whom::Difference(wanted, _) => {
                let mut scopes = wanted.iter().map(|target| target.scope(names));
                let first = scopes.next()??;
                scopes.all(|scope| scope == Some(first)).then_some(first)
            }
            Whom::All | Whom::Role(_) | Whom::Not(_) => None,
            Whom::Killed | Whom::Paused | Whom::Restarted | Whom::Isolated => None,
        }
    }

    /// True if it means nobody unless a fault has hit somebody. `unbound` are names that no step binds without faults.
    pub fn needs_a_fault(&self, unbound: &BTreeSet<Name>) -> bool {
        match &self.whom {
            Whom::Killed | Whom::Paused | Whom::Restarted | Whom::Isolated => true,
            Whom::Bound(name) => unbound.contains(name),
            Whom::RandomOf(inner) | Whom::Minority(inner) | Whom::Majority(inner) => inner.needs_a_fault(unbound),
            Whom::Difference(wanted, _) => {
                !wanted.is_empty() && wanted.iter().all(|target| target.needs_a_fault(unbound))
            }
            Whom::All | Whom::Node(_) | Whom::Group(..) | Whom::Role(_) | Whom::Not(_) => false,
        }
    }

    /// The nodes that are meant, in the order of the scenario.
    pub fn members<'s>(&self, state: &'s ClusterState) -> Vec<&'s Name> {
        state.nodes().iter().filter(|node| self.matches(node, state)).collect()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.whom {
            Whom::All => f.write_str("all")?,
            Whom::Node(name) | Whom::Role(name) | Whom::Bound(name) | Whom::Group(name, _) => f.write_str(name)?,
            Whom::Killed => f.write_str("killed")?,
            Whom::Paused => f.write_str("paused")?,
            Whom::Restarted => f.write_str("restarted")?,
            Whom::Isolated => f.write_str("isolated")?,
            Whom::RandomOf(inner) if inner.whom == Whom::All => {
                f.write_str("random")?;
                return inner.process.as_ref().map_or(Ok(()), |process| write!(f, "/{process}"));
            }
            Whom::RandomOf(inner) => write!(f, "one of {inner}")?,
            Whom::Minority(inner) if **inner == Self::all() => f.write_str("minority")?,
            Whom::Majority(inner) if **inner == Self::all() => f.write_str("majority")?,
            Whom::Minority(inner) => write!(f, "a minority of {inner}")?,
            Whom::Majority(inner) => write!(f, "a majority of {inner}")?,
            Whom::Not(inner) => write!(f, "!{inner}")?,
            Whom::Difference(wanted, unwanted) => {
                let wanted = wanted.iter().map(ToString::to_string);
                let unwanted = unwanted.iter().map(|target| format!("!{target}"));
                f.write_str(&wanted.chain(unwanted).collect::<Vec<_>>().join(", "))?;
            }
        }
        match &self.process {
            Some(process) => write!(f, "/{process}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Role;
    use crate::diagnostic::Problems;
    use crate::observation::{Action, ActionVerb, Change, Life, MAIN, Observation, ProcessChange, What};
    use crate::random::Keyed;
    use crate::table::{Key, Kind};
    use crate::table::{Table, parse_document};
    use crate::time::RunTime;

    const KEYS: &[Key] = &[Key::new("to", Kind::Target, "The target.")];

    fn parse(target: &str, purpose: Purpose) -> Result<Target, String> {
        let text = format!("to = {target}");
        let problems = Problems::new();
        let document = parse_document(&text, &problems);
        let mut names = Names::new(&problems);
        for (group, nodes) in [("trio", &["n1", "n2", "n3"][..]), ("duo", &["n4", "n5"])] {
            names.begin_group(Some(group.into()));
            nodes.iter().for_each(|node| names.add_node(*node, [MAIN.into(), "aid".into()]));
        }
        names.add_role("leader");
        let table = Table::root(&document, KEYS, "a test", &problems);
        let target = Target::parse(&table.item("to").unwrap(), &names, purpose);
        target.ok_or_else(|| problems.into_sorted().iter().map(|d| d.code.to_string()).collect::<Vec<_>>().join(" "))
    }

    /// Five running nodes of two processes, n4 the leader, n2 killed, the aid of n3 killed.
    fn cluster() -> ClusterState {
        let nodes: Vec<Name> = (1..=5).map(|id| format!("n{id}").into()).collect();
        let processes: [Name; 2] = [MAIN.into(), "aid".into()];
        let leader = Role {
            name: "leader".into(),
            last: "led".into(),
            highest: None,
            named_by: None,
            initially: Some("n4".into()),
        };
        let mut state = ClusterState::new(nodes.iter().map(|node| (node, &processes[..])), &[leader]);
        let mut see = |what| state.observe(&Observation { number: 0, at: RunTime::START, what });
        let life = |node: &Name, process: &Name| Life { node: node.clone(), process: process.clone(), life: 1 };
        for node in &nodes {
            for process in &processes {
                see(What::Process(ProcessChange { of: life(node, process), change: Change::Started { pid: 1 } }));
            }
        }
        for (node, hit) in [(&nodes[1], &processes[..]), (&nodes[2], &processes[1..])] {
            let hit: Vec<Life> = hit.iter().map(|process| life(node, process)).collect();
            for of in hit.clone() {
                see(What::Process(ProcessChange { of, change: Change::Empty }));
            }
            see(What::Action(Action::new(ActionVerb::Kill, vec![node.clone()], hit).into()));
        }
        state
    }

    fn hits(target: &str) -> String {
        let aims = parse(target, Purpose::Act).unwrap().resolve(&cluster(), Eligible::Up, &mut Keyed::new(1, "test"));
        aims.map_or_else(
            |empty| empty.to_string(),
            |aims| aims.iter().map(Aim::to_string).collect::<Vec<_>>().join(" "),
        )
    }

    #[test]
    fn a_step_hits_whom_it_names() {
        assert_eq!(hits("\"n1\""), "n1");
        assert_eq!(hits("\"n1/aid\""), "n1/aid");
        assert_eq!(hits("\"leader\""), "n4");
        assert_eq!(hits("\"all\""), "n1 n3 n4 n5");
        assert_eq!(hits("\"!leader\""), "n1 n3 n5");
        assert_eq!(hits("[\"!leader\", \"!n1\"]"), "n3 n5");
        assert_eq!(hits("[\"n5\", \"n1\", \"n5\"]"), "n5 n1");
        assert_eq!(hits("[\"all\", \"!n5\"]"), "n1 n3 n4");
    }

    #[test]
    fn a_group_is_its_nodes_and_a_list_is_done_in_its_order() {
        assert_eq!(hits("\"trio\""), "n1 n3");
        assert_eq!(hits("\"!trio\""), "n4 n5");
        assert_eq!(hits("\"duo/aid\""), "n4/aid n5/aid");
        assert_eq!(
            hits("{ minority = \"duo\" }"),
            "`a minority of duo` is nobody at this moment (a minority of 2 is nobody)"
        );
        let state = cluster();
        let resolved = |target: &str, seed| {
            let target = parse(target, Purpose::Act).unwrap();
            target.resolve_in_stages(&state, Eligible::Up, &mut Keyed::new(seed, "test")).unwrap()
        };
        let told = |stages: Vec<Vec<Aim>>| {
            let told = |aims: &Vec<Aim>| aims.iter().map(Aim::to_string).collect::<Vec<_>>().join(" ");
            stages.iter().map(told).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(told(resolved("[\"duo\", \"all\"]", 1)), "n4 n5; n1 n3");
        assert_eq!(told(resolved("[\"duo\", \"n1\", \"!n5\"]", 1)), "n4; n1");
        for seed in 0..50 {
            let minority = told(resolved("{ minority = \"trio\" }", seed));
            assert!(["n1", "n3"].contains(&minority.as_str()), "one of three, and of those that are alive: {minority}");
            assert_eq!(told(resolved("{ majority = \"trio\" }", seed)), "n1 n3");
        }
        let looked = parse("[\"trio\", \"!n1\"]", Purpose::Look).unwrap();
        assert_eq!(looked.members(&state), ["n2", "n3"].map(Name::from).iter().collect::<Vec<_>>());
    }

    #[test]
    fn the_killed_are_exactly_what_was_killed() {
        assert_eq!(hits("\"killed\""), "n2 n3/aid");
        assert_eq!(hits("\"paused\""), "`paused` is nobody at this moment (alive: n1, n3, n4, n5)");
    }

    #[test]
    fn a_random_choice_is_among_the_eligible_and_follows_from_the_seed() {
        let random = parse("{ random = [\"!leader\", \"!n1\"] }", Purpose::Act).unwrap();
        let minority = parse("\"minority\"", Purpose::Act).unwrap();
        let one_aid = parse("\"random/aid\"", Purpose::Act).unwrap();
        let majority = parse("\"majority\"", Purpose::Act).unwrap();
        let state = cluster();
        let mut chosen = Vec::new();
        for seed in 0..50 {
            let draw = |target: &Target| target.resolve(&state, Eligible::Up, &mut Keyed::new(seed, "test")).unwrap();
            assert_eq!(draw(&random), draw(&random));
            assert!(["n3", "n5"].contains(&&*draw(&random)[0].node));
            assert!(draw(&one_aid).len() == 1 && draw(&one_aid)[0].process.as_deref() == Some("aid"));
            assert_eq!(draw(&minority).len(), 2);
            assert_eq!(draw(&majority).len(), 3);
            assert!(draw(&majority).iter().all(|aim| &*aim.node != "n2") && draw(&majority).is_sorted());
            chosen.push(draw(&random));
        }
        chosen.sort();
        chosen.dedup();
        assert_eq!(chosen.len(), 2);
    }

    #[test]
    fn one_who_looks_means_the_same_nodes_each_time() {
        let state = cluster();
        let members = |target: &str| {
            let target = parse(target, Purpose::Look).unwrap();
            target.members(&state).iter().map(|node| node.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(members("\"any\""), "n1 n2 n3 n4 n5");
        assert_eq!(members("[\"!killed\", \"!leader\"]"), "n1 n5");
        assert_eq!(members("[\"killed\", \"leader\"]"), "n2 n3 n4");
        for random in ["\"random\"", "\"minority\"", "\"majority\"", "{ random = \"all\" }"] {
            assert_eq!(parse(random, Purpose::Look), Err("DS0128".to_owned()), "{random}");
        }
    }

    #[test]
    fn every_unknown_name_in_a_list_is_reported() {
        assert_eq!(
            parse("[\"n9\", \"!leder\", \"n1/main\", \"n1/other\"]", Purpose::Act),
            Err("DS0120 DS0120 DS0120".into())
        );
        assert_eq!(parse("[]", Purpose::Act), Err("DS0115".into()));
        assert_eq!(parse("3", Purpose::Act), Err("DS0110".into()));
        assert_eq!(hits("\"isolated\""), "`isolated` is nobody at this moment (alive: n1, n3, n4, n5)");
    }

    #[test]
    fn a_target_is_told_as_it_was_written() {
        for target in ["\"!killed\"", "\"n1/aid\"", "\"random\"", "\"random/aid\"", "\"all\""] {
            assert_eq!(format!("\"{}\"", parse(target, Purpose::Act).unwrap()), target);
        }
    }
}
