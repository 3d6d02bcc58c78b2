//! When a group was left in peace: who ran then, who was down, and from when until when.

use super::nodes::Set;
use crate::check::disturbance::disturbs;
use crate::check::scope::{Scope, is_live};
use crate::cluster::ClusterState;
use crate::history::History;
use crate::observation::Name;
use crate::time::RunTime;

/// The time from one disturbance until the next, in which more than half of the group ran.
#[derive(Debug)]
pub(super) struct Calm {
    pub(super) from: RunTime,
    /// The disturbance that it begins with.
    pub(super) number: u64,
    /// None if nothing disturbed the group any more.
    pub(super) until: Option<RunTime>,
    /// Who neither is down, nor is about to be, nor is frozen.
    pub(super) live: Set,
    /// Who has run, and nothing of it runs now.
    pub(super) down: Set,
}

/// All of them, in order. A disturbance that stamped itself earlier than the one before it begins no calm of its own.
pub(super) fn calms(history: &History, cluster: &ClusterState, of: &Scope) -> Vec<Calm> {
    let mut state = cluster.clone();
    let mut calms: Vec<Calm> = Vec::new();
    let (mut open, mut from) = (None::<Calm>, RunTime::START);
    for observation in history.judged() {
        state.observe(observation);
        if !disturbs(observation) {
            continue;
        }
        from = from.max(observation.at);
        calms.extend(open.take().map(|calm| Calm { until: Some(observation.at), ..calm }));
        open = calm(from, observation.number, &state, of);
    }
    calms.extend(open);
    calms.retain(|calm| calm.until.is_none_or(|until| calm.from < until));
    calms
}

/// Without a majority nothing is asked of anybody.
fn calm(from: RunTime, number: u64, state: &ClusterState, of: &Scope) -> Option<Calm> {
    let is_meant = |node: &&Name| of.admits(node, &[], state);
    let those = |is: &dyn Fn(&Name) -> bool| {
        let nodes = state.nodes().iter();
        nodes.map(|node| is_meant(&node) && is(node)).collect::<Vec<_>>()
    };
    let live = those(&|node| is_live(node, state));
    let down = those(&|node| state.has_run(node) && !state.is_up(node));
    let has_majority = live.iter().filter(|live| **live).count() * 2 > state.nodes().iter().filter(is_meant).count();
    has_majority.then(|| Calm { from, number, until: None, live: Set::that(&live), down: Set::that(&down) })
}
