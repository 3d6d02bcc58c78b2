//! One side of a link or a partition: whole nodes, or `"*"` for everybody else.

use std::fmt;

use crate::cluster::ClusterState;
use crate::diagnostic::{self, Diagnostic};
use crate::names::Names;
use crate::observation::Name;
use crate::random::Keyed;
use crate::table::Item;
use crate::target::{Aim, Eligible, Purpose, Target};

/// Who stands on a side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// These, resolved when the step fires.
    Of(Target),
    /// Everybody else.
    Rest,
}

/// How everybody else is written.
pub(super) const REST: &str = "*";

impl Side {
    pub(super) fn parse(item: &Item<'_, '_>, names: &Names<'_>) -> Option<Self> {
        if item.is_text() && item.text()?.value == REST {
            return Some(Self::Rest);
        }
        whole(item, names).map(Self::Of)
    }

    /// Whoever stands here; none for everybody else.
    pub(super) fn resolve(&self, state: &ClusterState, random: &mut Keyed) -> Result<Option<Vec<Name>>, String> {
        match self {
            Self::Of(target) => nodes(target, state, random).map(Some),
            Self::Rest => Ok(None),
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(target) => target.fmt(f),
            Self::Rest => f.write_str(REST),
        }
    }
}

/// Reads a target that means whole nodes: the processes of a node share its network.
pub(super) fn whole(item: &Item<'_, '_>, names: &Names<'_>) -> Option<Target> {
    let target = Target::parse(item, names, Purpose::Act)?;
    if target.is_of_processes() {
        let message = format!("`{target}` is a process, and the network is its node's");
        item.report(
            Diagnostic::error(diagnostic::NETWORK_OF_PROCESS, message, item.span(), "names a process")
                .help("name the node: all its processes share one network"),
        );
        return None;
    }
    Some(target)
}

/// Whom a target means at this moment, dead or alive: a link is cut whoever is there to use it.
pub(super) fn nodes(target: &Target, state: &ClusterState, random: &mut Keyed) -> Result<Vec<Name>, String> {
    let aims = target.resolve(state, Eligible::Everybody, random).map_err(|empty| empty.to_string())?;
    let mut nodes: Vec<Name> = Vec::new();
    for Aim { node, .. } in aims {
        if !nodes.contains(&node) {
            nodes.push(node);
        }
    }
    Ok(nodes)
}

/// Everybody of these but those.
pub(super) fn but(all: &[Name], those: &[Name]) -> Vec<Name> {
    all.iter().filter(|node| !those.contains(node)).cloned().collect()
}
