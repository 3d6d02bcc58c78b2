//! A concrete aim: a node, or one process of it.

use std::fmt;

use crate::observation::Name;

/// What a target came out as: a whole node, or one process of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Aim {
    /// The node.
    pub node: Name,
    /// The process; none for all of the node's processes.
    pub process: Option<Name>,
}

impl Aim {
    /// Reads what is displayed: `peer1`, `peer1/sentinel`.
    pub fn named(text: &str) -> Self {
        match text.split_once('/') {
            Some((node, process)) => Self { node: node.into(), process: Some(process.into()) },
            None => Self { node: text.into(), process: None },
        }
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some(process) => write!(f, "{}/{process}", self.node),
            None => f.write_str(&self.node),
        }
    }
}
