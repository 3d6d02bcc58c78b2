//! Whom a step hits: decided when it fires, from the state of the cluster and the seed.

use super::{Target, Whom};
use crate::aim::Aim;
use crate::cluster::ClusterState;
use crate::observation::{ActionVerb, Name};
use crate::random::Keyed;

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
    /// Whomever a random fault of this kind would harm.
    Victims(ActionVerb),
}

impl Eligible {
    pub(crate) fn admits(self, node: &str, state: &ClusterState) -> bool {
        match self {
            Self::Up => state.is_up(node),
            Self::Down => !state.is_up(node),
            Self::Paused => state.is_paused(node),
            Self::Everybody => true,
            // A program that is not ready would use up the time that it has for that while it is frozen, and a signal to a frozen one
            // would come when it is not meant any more.
            Self::Victims(ActionVerb::Pause | ActionVerb::Signal) => !state.is_down(node),
            // A stop may be cut short by a kill, but nobody dies twice.
            Self::Victims(ActionVerb::Kill) => state.is_up(node) && !state.is_killed(node),
            Self::Victims(ActionVerb::Unplug) => state.is_staying(node) && !state.network().is_unplugged(node),
            Self::Victims(_) => state.is_staying(node),
        }
    }
}

/// How many of those that are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowd {
    /// One, at random.
    One,
    /// All of them.
    All,
    /// As many as are fewer than half of them, at random.
    Minority,
    /// As many as are just more than half of them, at random.
    Majority,
}

impl Crowd {
    /// How many of so many.
    fn size(self, all: usize) -> usize {
        match self {
            Self::One => 1,
            Self::All => usize::MAX,
            Self::Minority => all.saturating_sub(1) / 2,
            Self::Majority => all / 2 + 1,
        }
    }

    /// So many of those who are eligible, of `all` that are meant: chosen at random and in their order.
    pub(crate) fn of<T>(self, mut from: Vec<T>, all: usize, random: &mut Keyed) -> Vec<T> {
        let mut chosen: Vec<usize> = (0..from.len()).collect();
        random.shuffle(&mut chosen);
        chosen.truncate(self.size(all));
        let mut index = 0;
        from.retain(|_| {
            index += 1;
            chosen.contains(&(index - 1))
        });
        from
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

impl Target {
    /// Decides whom a step hits. What means several comes in the order of the scenario, lists in their own.
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
        Ok(self.resolve_in_stages(state, eligible, random)?.concat())
    }

    /// The same, with the elements of a list apart from each other: a list is done in its order.
    ///
    /// # Errors
    ///
    /// When nobody is meant: the step then has nothing to act on.
    pub fn resolve_in_stages(
        &self,
        state: &ClusterState,
        eligible: Eligible,
        random: &mut Keyed,
    ) -> Result<Vec<Vec<Aim>>, EmptyTarget> {
        let mut stages: Vec<Vec<Aim>> = match &self.whom {
            Whom::Difference(wanted, unwanted) if !wanted.is_empty() => {
                let elements = wanted.iter().map(|target| target.select(state, eligible, random));
                elements.map(|aims| without(aims, unwanted, state)).collect()
            }
            _ => vec![self.select(state, eligible, random)],
        };
        let mut seen = Vec::new();
        for aims in &mut stages {
            // Nodes need not have the same processes: `all/sentinel` is every node that has one.
            aims.retain(|aim| has_process(aim, state));
            aims.retain(|aim| {
                let is_new = !seen.contains(aim);
                seen.push(aim.clone());
                is_new
            });
        }
        stages.retain(|aims| !aims.is_empty());
        if stages.is_empty() {
            return Err(EmptyTarget { target: self.to_string(), why: self.why_empty(state) });
        }
        Ok(stages)
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
            Whom::Group(_, nodes) => everybody().filter(|node| nodes.contains(node)).map(whole).collect(),
            Whom::Node(node) => vec![whole(node)],
            Whom::Role(role) => state.holder(role).map(whole).into_iter().collect(),
            Whom::Bound(name) => {
                let bound = state.bound(name).iter();
                match &self.process {
                    None => bound.cloned().collect(),
                    Some(process) => bound
                        .filter(|aim| aim.process.as_ref().is_none_or(|bound| bound == process))
                        .map(|aim| whole(&aim.node))
                        .collect(),
                }
            }
            Whom::Killed => state.nodes().iter().flat_map(|node| parts(node, state.killed_processes(node))).collect(),
            Whom::Paused => state.nodes().iter().flat_map(|node| parts(node, state.paused_processes(node))).collect(),
            Whom::Isolated => state.isolated().iter().map(whole).collect(),
            Whom::Restarted => state.nodes().iter().filter(|node| state.is_restarted(node)).map(whole).collect(),
            Whom::RandomOf(inner) => {
                let candidates = self.candidates(inner, state, eligible, random);
                random.choose(&candidates).cloned().into_iter().collect()
            }
            Whom::Minority(inner) | Whom::Majority(inner) => {
                // What is a majority does not depend on who is alive.
                let all = inner.members(state).len();
                let is_minority = matches!(self.whom, Whom::Minority(_));
                let wanted = if is_minority { all.saturating_sub(1) / 2 } else { all / 2 + 1 };
                let candidates = self.candidates(inner, state, eligible, random);
                let mut chosen: Vec<usize> = (0..candidates.len()).collect();
                random.shuffle(&mut chosen);
                chosen.truncate(wanted);
                // Chosen at random, told in the order of the scenario.
                chosen.sort_unstable();
                chosen.into_iter().map(|index| candidates[index].clone()).collect()
            }
            Whom::Not(_) => everybody().filter(|node| self.matches(node, state)).map(whole).collect(),
            Whom::Difference(wanted, unwanted) => {
                let wanted: Vec<Aim> = if wanted.is_empty() {
                    everybody().map(whole).collect()
                } else {
                    wanted.iter().flat_map(|target| target.select(state, eligible, random)).collect()
                };
                without(wanted, unwanted, state)
            }
        }
    }

    /// Those of a target among whom there is a choice, each once.
    fn candidates(&self, of: &Self, state: &ClusterState, eligible: Eligible, random: &mut Keyed) -> Vec<Aim> {
        let mut candidates: Vec<Aim> = Vec::new();
        for aim in of.select(state, eligible, random) {
            let process = aim.process.or_else(|| self.process.clone());
            let aim = Aim { process, ..aim };
            if has_process(&aim, state) && eligible.admits(&aim.node, state) && !candidates.contains(&aim) {
                candidates.push(aim);
            }
        }
        candidates
    }

    fn why_empty(&self, state: &ClusterState) -> String {
        match &self.whom {
            Whom::Role(role) => format!(" (no event has named a {role} yet)"),
            Whom::Bound(name) => format!(" (no step has bound {name} yet)"),
            Whom::Minority(inner) if inner.members(state).len() < 3 => {
                format!(" (a minority of {} is nobody)", inner.members(state).len())
            }
            _ => {
                let up: Vec<&str> = state.nodes().iter().filter(|node| state.is_up(node)).map(|node| &**node).collect();
                format!(" (alive: {})", if up.is_empty() { "nobody".to_owned() } else { up.join(", ") })
            }
        }
    }
}

fn has_process(aim: &Aim, state: &ClusterState) -> bool {
    aim.process.as_ref().is_none_or(|wanted| state.processes(&aim.node).any(|has| has == wanted))
}

/// All of these but who is unwanted.
fn without(mut aims: Vec<Aim>, unwanted: &[Target], state: &ClusterState) -> Vec<Aim> {
    let is_unwanted = |aim: &Aim, target: &Target| {
        target.matches(&aim.node, state) && (target.process.is_none() || target.process == aim.process)
    };
    aims.retain(|aim| !unwanted.iter().any(|target| is_unwanted(aim, target)));
    aims
}
