//! `unplug = TARGET`: the cable of a node is out, and the node sees it.

use std::fmt;

use super::side::{nodes, whole};
use super::{NetworkVerb, read};
use crate::cluster::ClusterState;
use crate::network::Harm;
use crate::random::Keyed;
use crate::scenario::steps::VerbKind;
use crate::table::{Key, Kind};
use crate::target::Target;

/// Whose cable is pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unplug {
    /// Whose.
    pub to: Target,
}

pub(in crate::scenario::steps) const UNPLUG: VerbKind = VerbKind {
    key: Key::new(
        "unplug",
        Kind::Target,
        "Pulls the network cable of nodes: nothing comes or goes, and they see that it is out, which a partition does not show.",
    ),
    modifiers: &["for"],
    acts: true,
    parse: |step| read(step, || Some(NetworkVerb::Unplug(Unplug { to: whole(&step.item, step.names)? }))),
};

impl Unplug {
    /// Whom it hits at this moment.
    ///
    /// # Errors
    ///
    /// When nobody is meant, for people.
    pub fn resolve(&self, state: &ClusterState, random: &mut Keyed) -> Result<Harm, String> {
        nodes(&self.to, state, random).map(|nodes| Harm::unplug(&nodes))
    }
}

impl fmt::Display for Unplug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unplug {}", self.to)
    }
}
