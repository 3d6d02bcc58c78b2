//! What must be true of every run, told from the log lines and the final state alone.
//!
//! Nothing here is shared with the cores: an oracle that shares code with its subject shares its bugs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dsbench_protocol::{Event, Takeover};
use dsbench_wire::{NodeId, Term};

use crate::cluster::{Cluster, Record};

/// Safety, under any faults, where votes decide.
pub(crate) fn safety(records: &[Record], size: usize) -> Result<(), String> {
    let mut leader_of: BTreeMap<Term, &NodeId> = BTreeMap::new();
    let mut vote_of: BTreeMap<(&NodeId, Term), &NodeId> = BTreeMap::new();
    let mut led_by: BTreeMap<&NodeId, Term> = BTreeMap::new();
    for Record { at, node, event } in records {
        let fail = |what: String| Err(format!("{at:?}: {what}"));
        match event {
            Event::Voted { candidate, term } => {
                if let Some(earlier) = vote_of.insert((node, *term), candidate)
                    && earlier != candidate
                {
                    return fail(format!("{node} voted for {earlier} and for {candidate} in term {term}"));
                }
            }
            Event::BecameLeader { term, votes } => {
                if let Some(other) = leader_of.insert(*term, node) {
                    return fail(format!("{other} and {node} both became leader of term {term}"));
                }
                if led_by.insert(node, *term).is_some_and(|earlier| earlier >= *term) {
                    return fail(format!("{node} leads term {term} after a later one"));
                }
                let distinct: BTreeSet<_> = votes.iter().collect();
                if 2 * distinct.len() <= size {
                    return fail(format!("{node} leads term {term} by {votes:?}, no majority of {size}"));
                }
                for voter in votes {
                    // A crash may come between a vote and its log line, but never between two different votes.
                    let given = vote_of.entry((voter, *term)).or_insert(node);
                    if *given != node {
                        return fail(format!("{node} leads term {term} by a vote of {voter}, which voted for {given}"));
                    }
                }
            }
            Event::ReceivedCoordinator { leader, term } | Event::Follows { leader, term }
                if leader_of.get(term) != Some(&leader) =>
            {
                return fail(format!("{node} follows {leader} in term {term}, which it does not lead"));
            }
            Event::SteppedDown { term, .. } if leader_of.get(term) != Some(&node) => {
                return fail(format!("{node} steps down from term {term}, which it did not lead"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Beside safety per term: who is replaced stops leading within one heartbeat timeout and its clock's error, or it stands still.
///
/// A leader's evidence of its majority is no older than a timeout, and whoever voted for its successor tells it so.
#[derive(Debug, Default)]
pub(crate) struct Overlap {
    replaced: Vec<(NodeId, Term, Duration)>,
}

impl Overlap {
    const AT_MOST: Duration = Duration::from_millis(400 + 20);

    /// Somebody has just become leader: all earlier leaderships have to end in time.
    pub(crate) fn began(&mut self, cluster: &Cluster) {
        let leaderships = cluster.leaderships();
        let newest = leaderships.iter().map(|(_, term, _)| *term).max();
        for (id, term, _) in leaderships.into_iter().filter(|(_, term, _)| Some(*term) < newest) {
            if !self.replaced.iter().any(|(known, of, _)| *known == id && *of == term) {
                self.replaced.push((id, term, cluster.now + Self::AT_MOST));
            }
        }
    }

    /// Looks at all leaderships that have to end.
    pub(crate) fn check(&mut self, cluster: &Cluster) -> Result<(), String> {
        if self.replaced.is_empty() {
            return Ok(());
        }
        let leaderships = cluster.leaderships();
        let leads_on = |id: &NodeId, of: Term| leaderships.iter().any(|(l, t, paused)| l == id && *t == of && !paused);
        self.replaced.retain(|(id, term, _)| leads_on(id, *term));
        match self.replaced.iter().find(|(_, _, until)| cluster.now > *until) {
            Some((id, term, _)) => Err(format!("{:?}: {id} still leads term {term}, long replaced", cluster.now)),
            None => Ok(()),
        }
    }
}

/// Liveness, once everything is healed: one leader, whom all follow; the highest node, if that takes over.
pub(crate) fn convergence(cluster: &Cluster, takeover: Takeover) -> Result<(), String> {
    let Some((leader, _)) = cluster.agreed_leader() else {
        let views: Vec<_> = cluster.ids().into_iter().map(|id| (cluster.leader_of(&id), id)).collect();
        return Err(format!("no agreement: leaders {:?}, (leader, of) {views:?}", cluster.leaders()));
    };
    match takeover {
        Takeover::Bully if cluster.ids().last() != Some(&leader) => {
            Err(format!("{leader} leads, not the highest node"))
        }
        _ => Ok(()),
    }
}

/// Stability: when leadership last changed, or was about to.
pub(crate) fn last_unrest(records: &[Record]) -> Duration {
    let is_quiet = |event: &Event| {
        matches!(event, Event::Suspected { .. } | Event::Failed { .. } | Event::Recovered { .. } | Event::Left { .. })
    };
    records.iter().rfind(|record| !is_quiet(&record.event)).map_or(Duration::ZERO, |record| record.at)
}

/// From the healing of all faults until one leader leads all, at most: with the knobs of [`knobs`](crate::knobs).
///
/// An offer of leadership may just have failed for the fourth time (a wait of 8 timeouts of 400 ms, a clock error and a
/// timeout of steadiness), after an election that began with two timeouts of silence and needed a few rounds of 300 ms.
pub(crate) const CONVERGES_WITHIN: Duration = Duration::from_secs(5);
