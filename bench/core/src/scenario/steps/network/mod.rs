//! Network faults: what is done to the links between nodes. They need a network of the run's own.

mod heal;
mod link;
mod partition;
mod side;
#[cfg(test)]
mod tests;
mod typed;
mod unplug;

use std::fmt;
use std::time::Duration;

pub(super) use self::heal::HEAL;
pub use self::heal::Heal;
pub(super) use self::link::LINK;
pub use self::link::{LinkFault, Where};
pub(super) use self::partition::PARTITION;
pub use self::partition::{Partition, Shape};
pub use self::side::Side;
pub(in crate::scenario) use self::typed::typed;
pub(super) use self::unplug::UNPLUG;
pub use self::unplug::Unplug;

use super::{StepTable, Verb};
use crate::observation::ActionVerb;

/// Something done to the network.
#[derive(Debug, Clone)]
pub struct NetworkAct {
    /// What.
    pub what: NetworkVerb,
    /// Undone after this time, if it is still in force then.
    pub undo_after: Option<Duration>,
}

/// What can be done to the network.
#[derive(Debug, Clone)]
pub enum NetworkVerb {
    /// Cuts links. It takes the place of the partition in force, with no instant between the two.
    Partition(Partition),
    /// Does something to what goes over links, beside what other faults do.
    Link(LinkFault),
    /// Undoes network faults.
    Heal(Heal),
    /// Pulls cables.
    Unplug(Unplug),
}

impl NetworkVerb {
    /// What is recorded as done.
    pub fn verb(&self) -> ActionVerb {
        match self {
            Self::Partition(_) => ActionVerb::Partition,
            Self::Link(_) => ActionVerb::Link,
            Self::Heal(_) => ActionVerb::Heal,
            Self::Unplug(_) => ActionVerb::Unplug,
        }
    }
}

impl fmt::Display for NetworkAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            NetworkVerb::Partition(partition) => partition.fmt(f)?,
            NetworkVerb::Link(link) => link.fmt(f)?,
            NetworkVerb::Heal(heal) => heal.fmt(f)?,
            NetworkVerb::Unplug(unplug) => unplug.fmt(f)?,
        }
        match (self.undo_after, self.what.verb().undone_by()) {
            (Some(after), Some(undo)) => write!(f, ", {} after {}", undo.key(), humantime::format_duration(after)),
            _ => Ok(()),
        }
    }
}

/// Reads a step whose verb only the laboratory has.
fn read(step: &StepTable<'_, '_, '_>, read: impl FnOnce() -> Option<NetworkVerb>) -> Option<Verb> {
    let key = step.item.key();
    let instead = match key {
        "heal" => "without network faults there is nothing to heal; `resume` ends a pause",
        _ => "`pause` silences a node in both directions, and works in host mode",
    };
    let in_lab = step.names.needs_lab(&format!("`{key}`"), &step.item.key_span(), instead);
    let undo_after = step.table.duration("for").map(|undo| undo.value);
    let what = read();
    in_lab?;
    Some(Verb::Network(NetworkAct { what: what?, undo_after }.into()))
}
