//! Which nodes a check looks at.

use std::fmt;

use crate::cluster::ClusterState;
use crate::history::History;
use crate::names::Names;
use crate::observation::Name;
use crate::table::Table;
use crate::target::{Purpose, Target};
use crate::time::RunTime;

/// A target, or the nodes that the fault in question did (`target`) or did not (`!target`) hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    Target(Target),
    Hit,
    NotHit,
}

impl Scope {
    /// Every node.
    pub(super) fn all() -> Self {
        Self::Target(Target::all())
    }

    /// Reads a key that may be absent; the outer `None` means that it is wrong, which is reported.
    pub(super) fn parse(table: &Table<'_, '_>, key: &'static str, names: &Names<'_>) -> Option<Option<Self>> {
        let Some(item) = table.item(key) else { return Some(None) };
        Target::parse(&item, names, Purpose::Look).map(|target| Some(Self::Target(target)))
    }

    /// The same in a check that has a fault in question: there, `target` means whom it hit.
    pub(super) fn parse_beside_fault(
        table: &Table<'_, '_>,
        key: &'static str,
        names: &Names<'_>,
    ) -> Option<Option<Self>> {
        let text = table.item(key).filter(|item| item.is_text()).and_then(|item| item.text());
        match text.map(|text| text.value) {
            Some("target") => Some(Some(Self::Hit)),
            Some("!target") => Some(Some(Self::NotHit)),
            _ => Self::parse(table, key, names),
        }
    }

    /// True if the node is meant, where `hit` are the nodes of the fault in question.
    pub(super) fn admits(&self, node: &str, hit: &[Name], state: &ClusterState) -> bool {
        let is_hit = || hit.iter().any(|name| &**name == node);
        match self {
            Self::Target(target) => target.matches(node, state),
            Self::Hit => is_hit(),
            Self::NotHit => !is_hit(),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(target) => target.fmt(f),
            Self::Hit => f.write_str("target"),
            Self::NotHit => f.write_str("!target"),
        }
    }
}

/// True if the node runs and could answer: not down, not about to be, and not frozen.
pub(super) fn is_live(node: &str, state: &ClusterState) -> bool {
    state.is_up(node) && !state.is_paused(node) && !state.is_killed(node) && !state.is_stopped(node)
}

/// True if the node ran all the time between two instants, neither down nor frozen.
pub(super) fn outlives(history: &History, node: &str, from: RunTime, until: RunTime) -> bool {
    let mut lives = history.lives(node).filter(|life| life.is_up(from)).peekable();
    let ran = lives.peek().is_some();
    ran && lives.all(|life| {
        let lasted = life.exited.is_none_or(|exited| exited.at > until);
        let pauses = &life.pauses[life.pauses.partition_point(|pause| pause.until.is_some_and(|end| end <= from))..];
        lasted && pauses.first().is_none_or(|pause| pause.from > until)
    })
}
