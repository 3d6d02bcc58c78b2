//! What processes are expected to do by themselves: whether and how they end, and how much they use at most.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::observation::{Exit, Life, Name};

/// What one process is expected to do by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Whether it ends without having been asked.
    pub exits: Exits,
    /// Resident memory that it may not exceed.
    pub rss_bytes_max: Option<u64>,
    /// Open file descriptors that its main program may not exceed.
    pub open_files_max: Option<u32>,
}

/// Whether a process ends without having been asked. A signal that nobody sent is a crash in any case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Exits {
    /// It never does.
    #[default]
    Never,
    /// It may, with any exit code.
    May,
    /// It may, with one of these codes; within this time of its start it must.
    With {
        /// The codes that are right.
        codes: Vec<i32>,
        /// How long each of its lives lasts at most; none: as long as it likes.
        within: Option<Duration>,
    },
}

impl Exits {
    /// True if it may end like this by itself.
    pub fn admit(&self, exit: Exit) -> bool {
        match (self, exit) {
            (Self::Never, _) | (_, Exit::Signal(_)) => false,
            (Self::May, Exit::Code(_)) => true,
            (Self::With { codes, .. }, Exit::Code(code)) => codes.contains(&code),
        }
    }

    /// The time within which it must end.
    pub fn within(&self) -> Option<Duration> {
        match self {
            Self::With { within, .. } => *within,
            Self::Never | Self::May => None,
        }
    }
}

impl fmt::Display for Exits {
    /// `never`, `with any code`, `with 0 or 3 within 30s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::May => f.write_str("with any code"),
            Self::With { codes, within } => {
                let codes: Vec<String> = codes.iter().map(ToString::to_string).collect();
                write!(f, "with {}", codes.join(" or "))?;
                within.map_or(Ok(()), |within| write!(f, " within {}", humantime::format_duration(within)))
            }
        }
    }
}

/// What is expected of processes that differ from the usual, by node and process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectations(BTreeMap<Name, BTreeMap<Name, Expected>>);

/// Of a process of which nothing else is said.
static USUAL: Expected = Expected { exits: Exits::Never, rss_bytes_max: None, open_files_max: None };

impl Expectations {
    /// Adds what is expected of a process of a node.
    pub fn add(&mut self, node: Name, process: Name, expected: Expected) {
        if expected != USUAL {
            self.0.entry(node).or_default().insert(process, expected);
        }
    }

    /// What is expected of a life.
    pub fn of(&self, life: &Life) -> &Expected {
        self.0.get(&life.node).and_then(|node| node.get(&life.process)).unwrap_or(&USUAL)
    }

    /// Every process that differs from the usual.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Name, &Expected)> {
        self.0
            .iter()
            .flat_map(|(node, processes)| processes.iter().map(move |(process, expected)| (node, process, expected)))
    }
}
