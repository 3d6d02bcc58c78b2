//! What a user chooses about the sensor network's protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use dsbench_wire::{Endpoint, NodeId, Peer, View};

use crate::replica::VIEW_MAX;

/// The knobs of a node. All but the first three are the same on every node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where others reach this node.
    pub endpoint: Endpoint,
    /// How a network comes to be, or this node into one. Means nothing to a node with a history.
    pub founding: Founding,
    /// Nodes that may be in the network, to ask beside whoever hears a broadcast.
    pub contacts: BTreeMap<NodeId, Endpoint>,
    /// What it takes to lead.
    pub quorum: Quorum,
    /// What a returning node of higher priority does.
    pub takeover: Takeover,
    /// Between two heartbeats of the leader. Default 5 s.
    pub heartbeat_interval: Duration,
    /// Silence after which a node is suspected; after a second such time it has failed. Default 10 s.
    pub heartbeat_timeout: Duration,
    /// How long a challenger waits for an `OK`, and a candidate for votes. Default 5 s.
    pub election_timeout: Duration,
    /// Whether a leader also sends its entries by multicast. Replication is correct without, and with any loss of it.
    pub multicast: bool,
    /// After how many entries the state is saved, so that a restart need not go through them again. Default 10,000.
    pub checkpoint_every: u64,
    /// The mistake that is planted in this node, to show that it is caught.
    #[cfg(feature = "mistakes")]
    pub mistake: Option<crate::Mistake>,
}

/// Who forms a network. Nodes that discover each other must not each form one: whoever is told nothing joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Founding {
    /// These are the first members, this node included; all of them know the same list.
    Members(BTreeMap<NodeId, Endpoint>),
    /// The first so many nodes that find each other, by the pledge of each of them.
    Expect(usize),
    /// This node and exactly these others, by the pledge of each of them to the highest. All of them have to be given the same list:
    /// where lists differ nobody founds, and the log says whose.
    Together(BTreeSet<NodeId>),
    /// This node alone, unless it hears of the network while its first heartbeat interval passes: a directory that is new may be
    /// one that was lost.
    Bootstrap,
    /// Others; this node joins them.
    Join,
}

/// What it takes to lead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Quorum {
    /// The votes of a majority, one vote per member and term: at most one leader per term, and none in a minority.
    #[default]
    Majority,
    /// Nobody higher answers: the classroom's bully. Always available, and two leaders when the network is cut in two.
    None,
}

/// What a node of higher priority than the leader does when it comes (back).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Takeover {
    /// Leadership goes to it.
    #[default]
    Bully,
    /// The leader stays.
    Sticky,
}

/// Why a configuration cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// An interval or timeout of zero.
    #[error("{0} must be longer than zero")]
    Zero(&'static str),
    /// Longer than [`Config::LONGEST`].
    #[error("{0} must not be longer than a day")]
    TooLong(&'static str),
    /// A network of no members.
    #[error("a network is founded by at least one node")]
    Nobody,
    /// More than a view has room for.
    #[error("the first members do not fit into one message (fewer members, or shorter names and hosts)")]
    TooMany,
    /// One lost or late heartbeat would be a suspicion.
    #[error(
        "heartbeat_timeout ({timeout:?}) must be longer than heartbeat_interval ({interval:?}), \
         better two or more times as long"
    )]
    Timeout {
        /// `heartbeat_interval`.
        interval: Duration,
        /// `heartbeat_timeout`.
        timeout: Duration,
    },
}

impl Config {
    /// The documented defaults, for a node that others reach at `endpoint`.
    #[must_use]
    pub fn new(endpoint: Endpoint, founding: Founding) -> Self {
        Self {
            endpoint,
            founding,
            contacts: BTreeMap::new(),
            quorum: Quorum::default(),
            takeover: Takeover::default(),
            heartbeat_interval: Duration::from_secs(5),
            heartbeat_timeout: Duration::from_secs(10),
            election_timeout: Duration::from_secs(5),
            multicast: false,
            checkpoint_every: 10_000,
            #[cfg(feature = "mistakes")]
            mistake: None,
        }
    }

    /// The longest interval or timeout: one day.
    pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

    /// Whether a cluster with these knobs can work.
    ///
    /// # Errors
    ///
    /// Names the first knob that makes it impossible.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let [interval, timeout] = [self.heartbeat_interval, self.heartbeat_timeout];
        let knobs = [
            ("heartbeat_interval", interval),
            ("heartbeat_timeout", timeout),
            ("election_timeout", self.election_timeout),
        ];
        for (name, knob) in knobs {
            if knob.is_zero() {
                return Err(ConfigError::Zero(name));
            }
            if knob > Self::LONGEST {
                return Err(ConfigError::TooLong(name));
            }
        }
        if self.founding == Founding::Expect(0) {
            return Err(ConfigError::Nobody);
        }
        let is_too_long = match &self.founding {
            Founding::Members(list) => View::of_strangers(list.clone()).weight() > VIEW_MAX,
            Founding::Expect(nodes) => nodes.saturating_mul(Peer::WEIGHT_MIN) > VIEW_MAX,
            Founding::Together(others) => (others.len() + 1) * Peer::WEIGHT_MIN > VIEW_MAX,
            Founding::Bootstrap | Founding::Join => false,
        };
        if is_too_long {
            return Err(ConfigError::TooMany);
        }
        if timeout <= interval {
            return Err(ConfigError::Timeout { interval, timeout });
        }
        Ok(())
    }
}

/// A word that names none of the choices.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is none of {choices}")]
pub struct UnknownChoice {
    given: String,
    choices: &'static str,
}

impl UnknownChoice {
    pub(crate) fn new(given: &str, choices: &'static str) -> Self {
        Self { given: given.to_owned(), choices }
    }
}

impl FromStr for Quorum {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<Self, UnknownChoice> {
        match text {
            "majority" => Ok(Self::Majority),
            "none" => Ok(Self::None),
            _ => Err(UnknownChoice::new(text, "majority, none")),
        }
    }
}

impl fmt::Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Majority => "majority",
            Self::None => "none",
        })
    }
}

impl FromStr for Takeover {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<Self, UnknownChoice> {
        match text {
            "bully" => Ok(Self::Bully),
            "sticky" => Ok(Self::Sticky),
            _ => Err(UnknownChoice::new(text, "bully, sticky")),
        }
    }
}

impl fmt::Display for Takeover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bully => "bully",
            Self::Sticky => "sticky",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Config {
        Config::new("127.0.0.1:7001".parse().unwrap(), Founding::Bootstrap)
    }

    #[test]
    fn the_defaults_are_the_documented_ones_and_work() {
        let config = some();
        let knobs = [config.heartbeat_interval, config.heartbeat_timeout, config.election_timeout];
        assert_eq!(knobs.map(|knob| knob.as_secs()), [5, 10, 5]);
        assert_eq!((config.quorum, config.takeover), (Quorum::Majority, Takeover::Bully));
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn knobs_that_suspect_a_healthy_leader_are_refused_by_name() {
        let error = Config { heartbeat_timeout: Duration::from_secs(5), ..some() }.validate().unwrap_err();
        assert!(error.to_string().contains("heartbeat_timeout (5s) must be longer than heartbeat_interval (5s)"));
        let error = Config { election_timeout: Duration::ZERO, ..some() }.validate().unwrap_err();
        assert_eq!(error, ConfigError::Zero("election_timeout"));
        let error = Config { heartbeat_timeout: Duration::MAX, ..some() }.validate().unwrap_err();
        assert_eq!(error, ConfigError::TooLong("heartbeat_timeout"));
    }

    #[test]
    fn choices_are_read_as_they_are_written() {
        for word in ["majority", "none"] {
            assert_eq!(word.parse::<Quorum>().map(|choice| choice.to_string()), Ok(word.to_owned()));
        }
        for word in ["bully", "sticky"] {
            assert_eq!(word.parse::<Takeover>().map(|choice| choice.to_string()), Ok(word.to_owned()));
        }
        assert_eq!("all".parse::<Quorum>().unwrap_err().to_string(), "\"all\" is none of majority, none");
    }
}
