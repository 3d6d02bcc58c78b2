//! The sensor network: a static list of members that elects a leader and keeps one.

use std::time::Duration;

use dsbench_wire::{Message, NodeId, Term};

use crate::{Config, ConfigError, Cx, Durable, Event, Process};

/// The application core of one sensor node.
#[derive(Debug)]
pub struct Sensor {
    config: Config,
    durable: Durable,
    leader: Option<NodeId>,
}

/// The timers of a sensor node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The leader's next round of heartbeats.
    Heartbeat,
    /// The earliest moment at which somebody's silence becomes a suspicion or a failure.
    Silence,
    /// The end of the current stage of an election.
    Election,
    /// The end of a leadership transfer.
    Transfer,
}

impl Sensor {
    /// A node that has not started yet.
    ///
    /// # Errors
    ///
    /// When the knobs cannot work, see [`Config::validate`].
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self { config, durable: Durable::default(), leader: None })
    }

    /// Its current term.
    #[must_use]
    pub fn term(&self) -> Term {
        self.durable.term
    }

    /// Whom it takes for the leader of its term, itself included.
    #[must_use]
    pub fn leader(&self) -> Option<&NodeId> {
        self.leader.as_ref()
    }
}

impl Process for Sensor {
    type Durable = Durable;
    type Timer = Timer;
    type Event = Event;

    fn start(&mut self, recovered: Option<Durable>, cx: &mut Cx<'_, Self>) {
        self.durable = recovered.unwrap_or_default();
        cx.arm(Timer::Election, self.config.election_timeout);
    }

    fn message(&mut self, _from: &NodeId, _message: Message, _cx: &mut Cx<'_, Self>) {}

    fn timer(&mut self, _timer: Timer, _cx: &mut Cx<'_, Self>) {}

    fn stalled(&mut self, _for_at_least: Duration, _cx: &mut Cx<'_, Self>) {}

    fn leave(&mut self, cx: &mut Cx<'_, Self>) {
        cx.event(Event::Leaving { term: self.durable.term });
    }
}
