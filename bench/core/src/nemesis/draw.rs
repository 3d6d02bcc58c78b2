//! How exactly a network fault of the nemesis is done: drawn beforehand, so that the plan can tell it.

use std::fmt;
use std::time::Duration;

use super::seconds;
use crate::cluster::ClusterState;
use crate::network::{self, Delay, Effect, Harm, Loss, Paths};
use crate::observation::Name;
use crate::random::{Keyed, raffle};
use crate::scenario::NetworkFault;

/// How a network fault is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Draw {
    /// Whom it hits on one side, everybody else on the other.
    Aside,
    /// Two halves.
    Halves,
    /// Two halves with whom it hits as the bridge.
    Bridge,
    /// A ring.
    Ring,
    /// Nothing of what it sends arrives.
    Unheard,
    /// Nothing arrives at it.
    Deaf,
    /// What goes to and from it is late.
    Slow(Delay),
    /// Some of it is lost.
    Lossy(Loss),
    /// Some of it comes twice, and some out of order.
    Flaky {
        /// How much comes twice.
        duplicate: f64,
        /// How much is overtaken.
        reorder: f64,
    },
    /// Its cable is pulled.
    Unplugged,
}

/// How often each shape of a partition is drawn, and the fewest nodes that have it. Halves of an even number leave nobody a majority, and
/// would be passed over.
const SHAPES: [(&str, Draw, u32, usize); 4] = [
    ("aside", Draw::Aside, 4, 2),
    ("halves", Draw::Halves, 2, 3),
    ("bridge", Draw::Bridge, 1, 3),
    ("ring", Draw::Ring, 1, network::SMALLEST_RING),
];

impl Draw {
    /// What the seed makes of the fault of this number, among so many nodes.
    pub(super) fn of(fault: NetworkFault, nodes: usize, seed: u64, index: u64) -> Self {
        let random = &mut Keyed::indexed(seed, "nemesis/network", index);
        match fault {
            NetworkFault::Partition => {
                let entries = SHAPES.iter().map(|(name, shape, weight, least)| {
                    let has_majority = *shape != Self::Halves || nodes % 2 == 1;
                    (*name, if nodes >= *least && has_majority { *weight } else { 0 })
                });
                let drawn = raffle(seed, "nemesis/shape", index, entries);
                drawn.map_or(Self::Aside, |drawn| SHAPES[drawn].1)
            }
            NetworkFault::OneWay => [Self::Unheard, Self::Deaf][random.below(2) as usize],
            NetworkFault::Slow => {
                let mean = Duration::from_millis(10 + random.below(241));
                Self::Slow(Delay { mean, jitter: mean / 2 })
            }
            NetworkFault::Lossy => {
                let share = percent(5 + random.below(46));
                let burst = [1.0, 1.0, 3.0, 10.0][random.below(4) as usize];
                Self::Lossy(Loss { share, burst })
            }
            NetworkFault::Flaky => {
                Self::Flaky { duplicate: percent(1 + random.below(30)), reorder: percent(1 + random.below(30)) }
            }
            NetworkFault::Unplug => Self::Unplugged,
        }
    }

    /// True if it matters whom the fault hits.
    pub(super) fn has_victims(self) -> bool {
        !matches!(self, Self::Halves | Self::Ring)
    }

    /// What is done, to these among those that the nemesis is about.
    pub(super) fn harm(self, victims: &[Name], of: &[Name], state: &ClusterState, random: &mut Keyed) -> Harm {
        let rest: Vec<Name> = of.iter().filter(|node| !victims.contains(node)).cloned().collect();
        let partition = |paths| Harm::partition(paths, state.nodes());
        let around = || match rest.is_empty() {
            true => Paths::Among(victims.to_vec()),
            false => Paths::Between(victims.to_vec(), rest.clone()),
        };
        let link = |effect| Harm::link(around(), effect, None);
        match self {
            Self::Aside => partition(Paths::Apart(vec![victims.to_vec(), rest])),
            Self::Halves => partition(network::halves(of, random)),
            Self::Bridge => partition(network::bridge(of, victims, random)),
            Self::Ring => partition(network::ring(of, random)),
            Self::Unheard => partition(Paths::OneWay { from: victims.to_vec(), to: rest }),
            Self::Deaf => partition(Paths::OneWay { from: rest, to: victims.to_vec() }),
            Self::Slow(delay) => link(Effect { delay: Some(delay), ..Effect::default() }),
            Self::Lossy(loss) => link(Effect { loss: Some(loss), ..Effect::default() }),
            Self::Flaky { duplicate, reorder } => link(Effect { duplicate, reorder, ..Effect::default() }),
            Self::Unplugged => Harm::unplug(victims),
        }
    }

    /// In people's words, done to whom: `partition {leader} | {*}`.
    pub(super) fn told(self, whom: &str) -> Told<'_> {
        Told { draw: self, whom }
    }
}

fn percent(number: u64) -> f64 {
    number as f64 / 100.0
}

/// A fault, done to somebody.
pub(super) struct Told<'w> {
    draw: Draw,
    whom: &'w str,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { draw, whom } = self;
        match draw {
            Draw::Aside => write!(f, "partition {{{whom}}} | {{*}}"),
            Draw::Halves => f.write_str("partition into halves"),
            Draw::Bridge => write!(f, "partition into halves with {whom} as the bridge"),
            Draw::Ring => f.write_str("partition into a ring"),
            Draw::Unheard => write!(f, "partition {whom} -> *"),
            Draw::Deaf => write!(f, "partition * -> {whom}"),
            Draw::Slow(delay) => {
                write!(f, "link {whom} <-> * (delay {} +- {})", seconds(delay.mean), seconds(delay.jitter))
            }
            Draw::Lossy(loss) => {
                let effect = Effect { loss: Some(*loss), ..Effect::default() };
                write!(f, "link {whom} <-> * ({effect})")
            }
            Draw::Flaky { duplicate, reorder } => {
                let effect = Effect { duplicate: *duplicate, reorder: *reorder, ..Effect::default() };
                write!(f, "link {whom} <-> * ({effect})")
            }
            Draw::Unplugged => write!(f, "unplug {whom}"),
        }
    }
}
