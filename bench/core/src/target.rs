//! Targets: whom a step acts on, whom a condition or a check looks at.

use std::fmt;

use crate::cluster::ClusterState;
use crate::diagnostic::{self, Diagnostic, Located, suggestion};
use crate::names::Names;
use crate::observation::Name;
use crate::random::Keyed;
use crate::table::{Item, Key, Kind};

/// The words that are targets by themselves; nothing else may have these names.
pub const WORDS: &[&str] =
    &["all", "any", "random", "killed", "paused", "restarted", "isolated", "minority", "majority"];

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
    Role(Name),
    Killed,
    Paused,
    Restarted,
    /// One of these, at random.
    RandomOf(Box<Target>),
    /// As many as are less than half of the cluster, at random.
    Minority,
    /// As many as are just more than half of the cluster, at random.
    Majority,
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

/// Who is worth choosing when a step chooses at random or means "all": killing the dead hits nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eligible {
    /// Whoever is alive.
    Up,
    /// Whoever is not alive.
    Down,
    /// Whoever is paused.
    Paused,
    /// Everybody.
    Everybody,
}

impl Eligible {
    fn admits(self, node: &str, state: &ClusterState) -> bool {
        match self {
            Self::Up => state.is_up(node),
            Self::Down => !state.is_up(node),
            Self::Paused => state.is_paused(node),
            Self::Everybody => true,
        }
    }
}

/// What a target came out as: a whole node, or one process of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Aim {
    /// The node.
    pub node: Name,
    /// The process; none for all of the node's processes.
    pub process: Option<Name>,
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some(process) => write!(f, "{}/{process}", self.node),
            None => f.write_str(&self.node),
        }
    }
}

/// A target that nobody is, at the moment at which a step fires.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{target}` is nobody at this moment{why}")]
pub struct EmptyTarget {
    /// The target as written.
    pub target: String,
    why: String,
}

const RANDOM_KEYS: &[Key] = &[Key::new("random", Kind::Target, "Picks one of this target at random.")];

impl Target {
    /// All nodes.
    pub fn all() -> Self {
        Self { whom: Whom::All, process: None }
    }

    /// One node.
    pub fn node(node: impl Into<Name>) -> Self {
        Self { whom: Whom::Node(node.into()), process: None }
    }

    /// Reads a target: a text, a list of them, or `{ random = TARGET }`. Reports what is no target.
    pub fn parse(item: &Item<'_, '_>, names: &Names<'_>, purpose: Purpose) -> Option<Self> {
        if item.is_text() {
            return Self::parse_text(&item.text()?, names, purpose);
        }
        if item.is_array() {
            return Self::parse_list(item, names, purpose);
        }
        if item.is_table() {
            let table = item.table(RANDOM_KEYS, "a target")?;
            let inner = table.required("random", |table, key| {
                let item = table.item(key)?;
                Self::parse(&item, names, purpose)
            })?;
            return Self::random_of(inner, "random", item.span(), names, purpose);
        }
        item.wrong_type("a target (a node, a role, a word like \"all\", or a list of them)")
    }

    fn parse_list(item: &Item<'_, '_>, names: &Names<'_>, purpose: Purpose) -> Option<Self> {
        let items = item.array()?;
        if items.is_empty() {
            let message = format!("`{}` names nobody", item.key());
            item.report(
                Diagnostic::error(diagnostic::EMPTY, message, item.span(), "an empty list")
                    .help("\"all\" means every node"),
            );
            return None;
        }
        let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
        let mut is_complete = true;
        for item in items {
            match Self::parse(&item, names, purpose) {
                Some(Self { whom: Whom::Not(inner), process: None }) => unwanted.push(*inner),
                Some(target) => wanted.push(target),
                None => is_complete = false,
            }
        }
        is_complete.then_some(Self { whom: Whom::Difference(wanted, unwanted), process: None })
    }

    fn parse_text(text: &Located<&str>, names: &Names<'_>, purpose: Purpose) -> Option<Self> {
        if let Some(negated) = text.value.strip_prefix('!') {
            let inner = Self::parse_text(&Located { value: negated, span: text.span.clone() }, names, purpose)?;
            return Some(Self { whom: Whom::Not(Box::new(inner)), process: None });
        }
        let (word, process) = match text.value.split_once('/') {
            Some((word, process)) => (word, Some(process)),
            None => (text.value, None),
        };
        let process = match process {
            Some(process) => Some(names.process(&Located { value: process, span: text.span.clone() })?),
            None => None,
        };
        let whom = match word {
            "all" => Whom::All,
            // For one who looks, any node will do; one who acts has to pick one.
            "any" if purpose == Purpose::Look => Whom::All,
            "any" | "random" => return Self::random_of(Self::all(), word, text.span.clone(), names, purpose),
            "killed" => Whom::Killed,
            "paused" => Whom::Paused,
            "restarted" => Whom::Restarted,
            "minority" | "majority" if purpose == Purpose::Look => {
                return Self::refuse_random(word, text.span.clone(), names);
            }
            "minority" => Whom::Minority,
            "majority" => Whom::Majority,
            "isolated" => {
                let message = "`isolated` needs the network laboratory";
                names.problems().report(
                    Diagnostic::error(
                        diagnostic::NOT_IN_HOST_MODE,
                        message,
                        text.span.clone(),
                        "nobody is, in host mode",
                    )
                    .help("`paused` names nodes that the others cannot hear"),
                );
                return None;
            }
            role if names.is_role(role) => Whom::Role(role.into()),
            node if names.is_node(node) => Whom::Node(node.into()),
            _ if names.nodes_are_unknown() => return None,
            unknown => {
                let known = names.nodes().chain(names.roles()).map(|name| &**name).chain(WORDS.iter().copied());
                let message = format!("nobody is called `{}`", unknown.escape_debug());
                let help = suggestion(unknown, "targets", known);
                let diagnostic =
                    Diagnostic::error(diagnostic::UNKNOWN_TARGET, message, text.span.clone(), "unknown target");
                names.problems().report(diagnostic.help(help));
                return None;
            }
        };
        Some(Self { whom, process })
    }

    fn random_of(inner: Self, word: &str, span: diagnostic::Span, names: &Names<'_>, purpose: Purpose) -> Option<Self> {
        match purpose {
            Purpose::Act => Some(Self { whom: Whom::RandomOf(Box::new(inner)), process: None }),
            Purpose::Look => Self::refuse_random(word, span, names),
        }
    }

    fn refuse_random(word: &str, span: diagnostic::Span, names: &Names<'_>) -> Option<Self> {
        let message = format!("`{word}` is a random choice, and only steps that act choose");
        names.problems().report(
            Diagnostic::error(diagnostic::RANDOM_LOOK, message, span, "whom does this mean?")
                .help("what a step chose is afterwards `killed`, `paused` or `restarted`"),
        );
        None
    }

    /// True if the node is meant, at this state of the cluster. A process after the slash is not looked at.
    pub fn matches(&self, node: &str, state: &ClusterState) -> bool {
        match &self.whom {
            Whom::All | Whom::Minority | Whom::Majority => true,
            Whom::Node(name) => &**name == node,
            Whom::Role(role) => state.holder(role).is_some_and(|holder| &**holder == node),
            Whom::Killed => state.is_killed(node),
            Whom::Paused => state.is_paused(node),
            Whom::Restarted => state.is_restarted(node),
            Whom::RandomOf(inner) => inner.matches(node, state),
            Whom::Not(inner) => !inner.matches(node, state),
            Whom::Difference(wanted, unwanted) => {
                (wanted.is_empty() || wanted.iter().any(|target| target.matches(node, state)))
                    && !unwanted.iter().any(|target| target.matches(node, state))
            }
        }
    }

    /// True if the process of the node is meant.
    pub fn matches_process(&self, node: &str, process: &str, state: &ClusterState) -> bool {
        self.matches(node, state) && self.process.as_deref().is_none_or(|wanted| wanted == process)
    }

    /// The nodes that are meant, in the order of the scenario.
    pub fn members<'s>(&self, state: &'s ClusterState) -> Vec<&'s Name> {
        state.nodes().iter().filter(|node| self.matches(node, state)).collect()
    }

    /// Decides whom a step hits. Groups come in the order of the scenario, lists in their own.
    ///
    /// # Errors
    ///
    /// When nobody is meant: the step then has nothing to act on.
    pub fn resolve(
        &self,
        state: &ClusterState,
        eligible: Eligible,
        random: &mut Keyed,
    ) -> Result<Vec<Aim>, EmptyTarget> {
        let mut aims = self.select(state, eligible, random);
        let mut seen = Vec::new();
        aims.retain(|aim| {
            let is_new = !seen.contains(aim);
            seen.push(aim.clone());
            is_new
        });
        if aims.is_empty() {
            return Err(EmptyTarget { target: self.to_string(), why: self.why_empty(state) });
        }
        Ok(aims)
    }

    fn select(&self, state: &ClusterState, eligible: Eligible, random: &mut Keyed) -> Vec<Aim> {
        let everybody = || state.nodes().iter().filter(|node| eligible.admits(node, state));
        let whole = |node: &Name| Aim { node: node.clone(), process: self.process.clone() };
        let parts = |node: &Name, parts: Vec<Name>| -> Vec<Aim> {
            let is_whole = parts.len() == state.processes(node).count();
            match (&self.process, is_whole) {
                (None, true) => vec![whole(node)],
                (only, _) => parts
                    .into_iter()
                    .filter(|part| only.as_ref().is_none_or(|only| only == part))
                    .map(|part| Aim { node: node.clone(), process: Some(part) })
                    .collect(),
            }
        };
        match &self.whom {
            Whom::All => everybody().map(whole).collect(),
            Whom::Node(node) => vec![whole(node)],
            Whom::Role(role) => state.holder(role).map(whole).into_iter().collect(),
            Whom::Killed => state.nodes().iter().flat_map(|node| parts(node, state.killed_processes(node))).collect(),
            Whom::Paused => state.nodes().iter().flat_map(|node| parts(node, state.paused_processes(node))).collect(),
            Whom::Restarted => state.nodes().iter().filter(|node| state.is_restarted(node)).map(whole).collect(),
            Whom::RandomOf(inner) => {
                let candidates: Vec<Aim> = inner
                    .select(state, eligible, random)
                    .into_iter()
                    .filter(|aim| eligible.admits(&aim.node, state))
                    .collect();
                random.choose(&candidates).cloned().into_iter().collect()
            }
            Whom::Minority | Whom::Majority => {
                let cluster = state.nodes().len();
                let wanted = if self.whom == Whom::Minority { cluster.saturating_sub(1) / 2 } else { cluster / 2 + 1 };
                let mut candidates: Vec<&Name> = everybody().collect();
                random.shuffle(&mut candidates);
                candidates.truncate(wanted);
                // Chosen at random, told in the order of the scenario.
                everybody().filter(|node| candidates.contains(node)).map(whole).collect()
            }
            Whom::Not(_) => everybody().filter(|node| self.matches(node, state)).map(whole).collect(),
            Whom::Difference(wanted, unwanted) => {
                let wanted: Vec<Aim> = if wanted.is_empty() {
                    everybody().map(whole).collect()
                } else {
                    wanted.iter().flat_map(|target| target.select(state, eligible, random)).collect()
                };
                let is_unwanted = |aim: &Aim| {
                    unwanted.iter().any(|target| {
                        target.matches(&aim.node, state) && (target.process.is_none() || target.process == aim.process)
                    })
                };
                wanted.into_iter().filter(|aim| !is_unwanted(aim)).collect()
            }
        }
    }

    fn why_empty(&self, state: &ClusterState) -> String {
        match &self.whom {
            Whom::Role(role) => format!(" (no event has named a {role} yet)"),
            Whom::Minority => format!(" (a minority of {} is nobody)", state.nodes().len()),
            _ => {
                let up: Vec<&str> = state.nodes().iter().filter(|node| state.is_up(node)).map(|node| &**node).collect();
                format!(" (alive: {})", if up.is_empty() { "nobody".to_owned() } else { up.join(", ") })
            }
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.whom {
            Whom::All => f.write_str("all")?,
            Whom::Node(name) | Whom::Role(name) => f.write_str(name)?,
            Whom::Killed => f.write_str("killed")?,
            Whom::Paused => f.write_str("paused")?,
            Whom::Restarted => f.write_str("restarted")?,
            Whom::RandomOf(inner) if **inner == Self::all() => f.write_str("random")?,
            Whom::RandomOf(inner) => write!(f, "one of {inner}")?,
            Whom::Minority => f.write_str("minority")?,
            Whom::Majority => f.write_str("majority")?,
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
    use crate::table::{Table, parse_document};
    use crate::time::RunTime;

    const KEYS: &[Key] = &[Key::new("to", Kind::Target, "The target.")];

    fn parse(target: &str, purpose: Purpose) -> Result<Target, String> {
        let text = format!("to = {target}");
        let problems = Problems::new();
        let document = parse_document(&text, &problems);
        let mut names = Names::new(&problems);
        for node in ["n1", "n2", "n3", "n4", "n5"] {
            names.add_node(node, [MAIN.into(), "aid".into()]);
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
            let nodes = vec![node.clone()];
            see(What::Action(Action { verb: ActionVerb::Kill, nodes, hit, step: None, with: None, undoes: None }));
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
    fn the_killed_are_exactly_what_was_killed() {
        assert_eq!(hits("\"killed\""), "n2 n3/aid");
        assert_eq!(hits("\"paused\""), "`paused` is nobody at this moment (alive: n1, n3, n4, n5)");
    }

    #[test]
    fn a_random_choice_is_among_the_eligible_and_follows_from_the_seed() {
        let random = parse("{ random = [\"!leader\", \"!n1\"] }", Purpose::Act).unwrap();
        let minority = parse("\"minority\"", Purpose::Act).unwrap();
        let majority = parse("\"majority\"", Purpose::Act).unwrap();
        let state = cluster();
        let mut chosen = Vec::new();
        for seed in 0..50 {
            let draw = |target: &Target| target.resolve(&state, Eligible::Up, &mut Keyed::new(seed, "test")).unwrap();
            assert_eq!(draw(&random), draw(&random));
            assert!(["n3", "n5"].contains(&&*draw(&random)[0].node));
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
        assert_eq!(parse("\"isolated\"", Purpose::Act), Err("DS0150".into()));
    }

    #[test]
    fn a_target_is_told_as_it_was_written() {
        for target in ["\"!killed\"", "\"n1/aid\"", "\"random\"", "\"all\""] {
            assert_eq!(format!("\"{}\"", parse(target, Purpose::Act).unwrap()), target);
        }
    }
}
