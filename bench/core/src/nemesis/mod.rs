//! What a seed makes of `[nemesis]`: a schedule of faults, and whom a fault hits when its time has come.
//!
//! When a fault comes, what it is, how long it lasts and which target it has follows from the seed and the fault's number alone, each
//! from a stream of its own: another kind of fault, another target or another duration moves nothing else. Who the target is at that
//! moment, and whether too many would be down, follows from the cluster, and is recorded.

mod draw;
#[cfg(test)]
mod on_network;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;
use std::time::Duration;

pub use self::draw::Draw;
use crate::cluster::ClusterState;
use crate::network::{Harm, InForce, cut_off};
use crate::observation::{Name, PassedOver};
use crate::random::{Keyed, raffle};
use crate::scenario::{FaultKind, Nemesis, Weighted};
use crate::target::{Aim, Crowd, Eligible, Target};

/// The faults of a nemesis under a seed. There is no end to them: the nemesis is stopped.
#[derive(Debug, Clone, Copy)]
pub struct Schedule<'n> {
    nemesis: &'n Nemesis,
    seed: u64,
}

/// A fault of the schedule.
#[derive(Debug, Clone, Copy)]
pub struct Fault<'n> {
    /// Its number, from 0.
    pub index: usize,
    /// How long after the fault before it (or the nemesis' beginning) it comes, or begins to wait for its event.
    pub gap: Duration,
    /// How long after its event it comes, if it waits for one.
    pub after: Duration,
    /// What it is.
    pub kind: FaultKind,
    /// How long it lasts.
    pub lasts: Option<Duration>,
    /// Whom it is meant for.
    pub target: &'n Target,
    /// How many of them.
    pub crowd: Crowd,
    /// The target as the scenario names it.
    pub whom: &'n str,
    /// How it is done, if it is done to the network.
    pub draw: Option<Draw>,
}

/// What a fault comes to when its time has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Strike {
    /// It hits these nodes, or processes of them.
    Processes(Vec<Aim>),
    /// It hits the network.
    Network(Box<Harm>),
}

impl fmt::Display for Fault<'_> {
    /// In people's words: `kill leader, restart after 1.2s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.draw {
            Some(draw) => draw.told(self.whom).fmt(f)?,
            None => write!(f, "{} {}", self.kind, self.whom)?,
        }
        match (self.lasts, self.kind.undone_by()) {
            (Some(lasts), Some(undo)) => write!(f, ", {} after {}", undo.key(), seconds(lasts)),
            _ => Ok(()),
        }
    }
}

/// `1.203s`
fn seconds(duration: Duration) -> String {
    format!("{:.3}s", duration.as_secs_f64())
}

/// A fault that is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotDone {
    /// What kind of reason it is.
    pub because: PassedOver,
    /// The reason, for people.
    pub why: String,
}

impl<'n> Schedule<'n> {
    /// What this seed makes of the nemesis.
    pub fn new(nemesis: &'n Nemesis, seed: u64) -> Self {
        Self { nemesis, seed }
    }

    /// One fault.
    pub fn fault(&self, index: usize) -> Fault<'n> {
        let Nemesis { every, after, faults, lasts, targets, .. } = self.nemesis;
        let target = self.drawn("nemesis/target", index, targets);
        let (target, whom) = (&target.what, &*target.name);
        let kind = self.drawn("nemesis/kind", index, faults).what;
        let draw = match kind {
            FaultKind::Network(fault) => Some(Draw::of(fault, self.nemesis.size, self.seed, index as u64)),
            FaultKind::Act(_) | FaultKind::Signal(_) => None,
        };
        Fault {
            index,
            gap: self.stream("nemesis/every", index).between(every.low, every.high),
            after: self.stream("nemesis/after", index).between(after.low, after.high),
            kind,
            lasts: lasts.map(|lasts| self.stream("nemesis/for", index).between(lasts.low, lasts.high)),
            target: &target.0,
            crowd: target.1,
            whom,
            draw,
        }
    }

    /// All faults in order, each with the earliest time since the nemesis began: exactly then, unless faults wait for events.
    pub fn faults(self) -> impl Iterator<Item = (Duration, Fault<'n>)> {
        (0..).scan(Duration::ZERO, move |passed, index| {
            let fault = self.fault(index);
            *passed = passed.saturating_add(fault.gap);
            let earliest = *passed;
            if self.nemesis.when.is_some() {
                *passed = passed.saturating_add(fault.after);
            }
            Some((earliest, fault))
        })
    }

    /// Whom a fault hits now.
    ///
    /// # Errors
    ///
    /// If nobody is there whom it would harm, or if more nodes than allowed would then be down.
    pub fn strike(&self, fault: &Fault<'_>, cluster: &ClusterState) -> Result<Strike, NotDone> {
        let Some(draw) = fault.draw else {
            let aims = self.victims(fault, cluster)?;
            self.refuse_too_many(fault, &aims, cluster.network(), cluster)?;
            return Ok(Strike::Processes(aims));
        };
        let victims = if draw.has_victims() { self.victims(fault, cluster)? } else { Vec::new() };
        let mut nodes: Vec<Name> = victims.into_iter().map(|aim| aim.node).collect();
        nodes.dedup();
        let of: Vec<Name> = self.nemesis.of.members(cluster).into_iter().cloned().collect();
        let harm = draw.harm(&nodes, &of, cluster, &mut self.stream("nemesis/sides", fault.index));
        if harm.links.as_ref().is_some_and(|links| links.links().is_empty()) {
            let why = format!("there is nobody whom {} could be kept from", nodes.join(", "));
            return Err(NotDone { because: PassedOver::Nobody, why });
        }
        self.refuse_too_many(fault, &[], &cluster.network().with(&harm), cluster)?;
        Ok(Strike::Network(harm.into()))
    }

    /// Whom it hits, of those whom it would harm.
    fn victims(&self, fault: &Fault<'_>, cluster: &ClusterState) -> Result<Vec<Aim>, NotDone> {
        let of = &self.nemesis.of;
        let eligible = Eligible::Victims(fault.kind.verb());
        let mut random = self.stream("nemesis/victim", fault.index);
        let nobody = |why| NotDone { because: PassedOver::Nobody, why };
        let resolved =
            fault.target.resolve(cluster, eligible, &mut random).map_err(|empty| nobody(empty.to_string()))?;
        let there =
            resolved.into_iter().filter(|aim| eligible.admits(&aim.node, cluster) && of.matches(&aim.node, cluster));
        // What is a majority does not depend on who is alive.
        let meant = fault.target.members(cluster).into_iter().filter(|node| of.matches(node, cluster)).count();
        let aims = fault.crowd.of(there.collect(), meant, &mut random);
        if aims.is_empty() {
            return Err(nobody(format!("there is no {} to {} at this moment", fault.whom, fault.kind.verb().key())));
        }
        Ok(aims)
    }

    /// More than may be would be down.
    fn refuse_too_many(
        &self,
        fault: &Fault<'_>,
        aims: &[Aim],
        network: &InForce,
        cluster: &ClusterState,
    ) -> Result<(), NotDone> {
        let members = self.nemesis.of.members(cluster).len();
        let limit = self.nemesis.max_down.of(members);
        let down = self.down_then(fault, aims, network, cluster);
        if (fault.kind.takes_down() || fault.kind.cuts_off()) && down.len() > limit {
            let names: Vec<&str> = down.iter().map(|node| &***node).collect();
            let why =
                format!("{} of {members} would be down ({}), and at most {limit} may", down.len(), names.join(", "));
            return Err(NotDone { because: PassedOver::MaxDown, why });
        }
        Ok(())
    }

    /// Whoever would be down after the fault, of those that count. Who reaches no majority of those that are up might as well be.
    fn down_then<'c>(
        &self,
        fault: &Fault<'_>,
        aims: &[Aim],
        network: &InForce,
        cluster: &'c ClusterState,
    ) -> Vec<&'c Name> {
        let is_hit = |node: &Name| fault.kind.takes_down() && aims.iter().any(|aim| aim.node == *node);
        let is_down = |node: &Name| cluster.is_down(node) || is_hit(node);
        let members = self.nemesis.of.members(cluster);
        let cut_off = if network.cuts_nothing() {
            Vec::new()
        } else {
            cut_off(&members, |from, to| network.is_cut(from, to), is_down)
        };
        members.into_iter().filter(|node| is_down(node) || cut_off.contains(node)).collect()
    }

    fn stream(&self, key: &str, index: usize) -> Keyed {
        Keyed::indexed(self.seed, key, index as u64)
    }

    fn drawn<'w, T>(&self, key: &str, index: usize, from: &'w [Weighted<T>]) -> &'w Weighted<T> {
        let entries = from.iter().map(|entry| (&*entry.name, entry.weight));
        let winner = raffle(self.seed, key, index as u64, entries);
        &from[winner.expect("a scenario without a weight is refused")]
    }
}
