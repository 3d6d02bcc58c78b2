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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Side {
    /// These nodes, resolved when the step fires.
    pub target: Option<Target>,
    /// These clients.
    pub clients: Vec<Name>,
    /// Every node that is not named on another side. (Clients are named, or on no side.)
    pub has_rest: bool,
}

/// How everybody else is written.
pub(super) const REST: &str = "*";

impl Side {
    /// Everybody else.
    pub(super) fn rest() -> Self {
        Self { has_rest: true, ..Self::default() }
    }

    /// Reads a target, a client, `"*"` or a list of these.
    pub(super) fn parse(item: &Item<'_, '_>, names: &Names<'_>) -> Option<Self> {
        if item.is_array() && item.array()?.is_empty() {
            // It is no target either, and says so.
            return Target::parse(item, names, Purpose::Act).and(None);
        }
        let mut side = Self::default();
        let mut targets = Vec::new();
        for member in item.one_or_more() {
            let word = if member.is_text() { member.text().map(|text| text.value) } else { None };
            match word {
                Some(REST) => side.has_rest = true,
                Some(client) if names.is_client(client) => side.clients.push(client.into()),
                _ => targets.push(member),
            }
        }
        if !targets.is_empty() {
            let target = Target::parse_all(&targets, names, Purpose::Act)?;
            side.target = Some(refuse_processes(target, item)?);
        }
        Some(side)
    }

    /// Whoever is named.
    pub(super) fn named(&self, state: &ClusterState, random: &mut Keyed) -> Result<Vec<Name>, String> {
        let mut named = self.target.as_ref().map_or(Ok(Vec::new()), |target| nodes(target, state, random))?;
        named.extend(self.clients.iter().cloned());
        Ok(named)
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.target.as_ref().map(ToString::to_string);
        let clients = self.clients.iter().map(ToString::to_string);
        let rest = self.has_rest.then(|| REST.to_owned());
        f.write_str(&target.into_iter().chain(clients).chain(rest).collect::<Vec<_>>().join(", "))
    }
}

/// Reads a target that means whole nodes: the processes of a node share its network.
pub(super) fn whole(item: &Item<'_, '_>, names: &Names<'_>) -> Option<Target> {
    refuse_processes(Target::parse(item, names, Purpose::Act)?, item)
}

fn refuse_processes(target: Target, item: &Item<'_, '_>) -> Option<Target> {
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
