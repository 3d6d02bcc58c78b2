//! Random fault schedules: what is broken, and when.

use std::fmt;
use std::time::Duration;

use dsbench_protocol::{Event, Quorum, Takeover};
use dsbench_wire::NodeId;

use crate::chance::Chance;
use crate::cluster::peer;
use crate::network::Rule;

/// One thing that is broken.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// Only members of one group reach each other.
    Partition(Vec<Vec<NodeId>>),
    /// Nothing passes from one node to another; the way back works.
    OneWay { from: NodeId, to: NodeId },
    /// A link loses, repeats, delays or reorders.
    Link { from: NodeId, to: NodeId, rule: Rule },
    /// All links lose, repeat, delay and reorder.
    Storm(Rule),
    /// All links are well again.
    Heal,
    /// A process stands still for a while.
    Pause(NodeId, Duration),
    /// A process is killed, and started again after a while.
    Kill(NodeId, Duration),
    /// A machine loses its power and unsynced data, and starts again after a while.
    LosePower(NodeId, Duration),
    /// A process ends gracefully, and is started again after a while.
    Leave(NodeId, Duration),
    /// An fsync takes up to this long.
    SlowDisk(NodeId, Duration),
}

/// A fault with its moment.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// At a time since the start.
    Timed(Duration, What),
    /// A while after the n-th such moment of the protocol, at the node that told it.
    Aimed { moment: Moment, nth: usize, delay: Duration, aim: Aim },
}

/// A moment of the protocol at which a fault hurts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Voted,
    Stands,
    BecameLeader,
    Transferring,
}

/// A fault whose node is known when its moment comes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Aim {
    Kill(Duration),
    LosePower(Duration),
    Pause(Duration),
    Isolate,
}

/// All that is random about one run, but for what its keyed streams decide on the way.
#[derive(Debug)]
pub(crate) struct Schedule {
    pub(crate) seed: u64,
    pub(crate) size: usize,
    pub(crate) quorum: Quorum,
    pub(crate) takeover: Takeover,
    /// When each node starts.
    pub(crate) starts: Vec<Duration>,
    pub(crate) faults: Vec<Fault>,
    /// When everything heals.
    pub(crate) heals_at: Duration,
}

impl Schedule {
    pub(crate) fn of(seed: u64, quorum: Quorum) -> Self {
        let mut shape = Chance::of(seed, "shape");
        let size = *shape.pick(&[3, 5]);
        let takeover = *shape.pick(&[Takeover::Bully, Takeover::Sticky]);
        let starts = (0..size).map(|_| shape.between(ms(0), ms(300))).collect();
        let heals_at = shape.between(ms(2000), ms(7000));
        let count = 2 + shape.below(15);
        let is_contested = shape.permille(300);
        let mut faults: Vec<_> = (0..count)
            .map(|n| {
                let chance = &mut Chance::of(seed, &format!("fault/{n}"));
                if is_contested { short_absence_after_a_vote(chance) } else { fault(chance, size, heals_at) }
            })
            .collect();
        if is_contested {
            faults.push(Fault::Timed(ms(0), What::Storm(slow_links(&mut Chance::of(seed, "storm")))));
        }
        Self { seed, size, quorum, takeover, starts, faults, heals_at }
    }
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn fault(chance: &mut Chance, size: usize, heals_at: Duration) -> Fault {
    if chance.permille(350) {
        let moment = *chance.pick(&[Moment::Voted, Moment::Stands, Moment::BecameLeader, Moment::Transferring]);
        let nth = 1 + chance.below(4);
        let delay = chance.between(ms(0), ms(50));
        Fault::Aimed { moment, nth, delay, aim: aim(chance) }
    } else {
        Fault::Timed(chance.between(ms(0), heals_at), what(chance, size))
    }
}

/// With links so slow that several candidates stand at once: who votes is gone for a moment, and back while others still ask.
fn short_absence_after_a_vote(chance: &mut Chance) -> Fault {
    let (delay, absence) = (chance.between(ms(0), ms(20)), chance.between(ms(1), ms(60)));
    let aim = *chance.pick(&[Aim::Kill(absence), Aim::LosePower(absence), Aim::Pause(absence)]);
    Fault::Aimed { moment: Moment::Voted, nth: 1 + chance.below(20), delay, aim }
}

fn slow_links(chance: &mut Chance) -> Rule {
    Rule { delay_max: chance.between(ms(50), ms(400)), duplicate_permille: chance.below(500) as u32, ..Rule::default() }
}

fn aim(chance: &mut Chance) -> Aim {
    // Short absences hurt most: the others have not noticed yet, and the term is the same.
    let span = if chance.permille(500) { chance.between(ms(1), ms(60)) } else { chance.between(ms(60), ms(2500)) };
    match chance.below(4) {
        0 => Aim::Kill(span),
        1 => Aim::LosePower(span),
        2 => Aim::Pause(span),
        _ => Aim::Isolate,
    }
}

fn what(chance: &mut Chance, size: usize) -> What {
    let node = peer(1 + chance.below(size));
    let other = peer(1 + chance.below(size));
    match chance.below(12) {
        0 => What::Partition(halves(chance, size)),
        1 => What::Partition(vec![vec![node], (1..=size).map(peer).collect()]),
        2 => What::OneWay { from: node, to: other },
        3 | 4 => What::Link { from: node, to: other, rule: rule(chance) },
        5 => What::Heal,
        6 => What::Pause(node, chance.between(ms(20), ms(3000))),
        7 => What::Kill(node, chance.between(ms(1), ms(2500))),
        8 => What::LosePower(node, chance.between(ms(1), ms(2500))),
        9 => What::Leave(node, chance.between(ms(1), ms(2500))),
        10 => What::Storm(rule(chance)),
        _ => What::SlowDisk(node, chance.between(ms(5), ms(600))),
    }
}

fn halves(chance: &mut Chance, size: usize) -> Vec<Vec<NodeId>> {
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for n in 1..=size {
        if chance.permille(500) { one.push(peer(n)) } else { two.push(peer(n)) }
    }
    vec![one, two]
}

fn rule(chance: &mut Chance) -> Rule {
    Rule {
        is_cut: false,
        loss_permille: chance.below(800) as u32,
        duplicate_permille: chance.below(500) as u32,
        delay_max: chance.between(ms(0), ms(600)),
    }
}

impl Moment {
    pub(crate) fn is(self, event: &Event) -> bool {
        match self {
            Self::Voted => matches!(event, Event::Voted { .. }),
            Self::Stands => matches!(event, Event::Stands { .. }),
            Self::BecameLeader => matches!(event, Event::BecameLeader { .. }),
            Self::Transferring => matches!(event, Event::Transferring { .. }),
        }
    }
}

impl Aim {
    /// The fault at `node`, in a cluster of `ids`.
    pub(crate) fn at(self, node: NodeId, ids: &[NodeId]) -> What {
        match self {
            Self::Kill(down) => What::Kill(node, down),
            Self::LosePower(down) => What::LosePower(node, down),
            Self::Pause(span) => What::Pause(node, span),
            Self::Isolate => What::Partition(vec![vec![node], ids.to_vec()]),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partition(groups) => write!(f, "partition {groups:?}"),
            Self::OneWay { from, to } => write!(f, "nothing passes from {from} to {to}"),
            Self::Link { from, to, rule } => write!(f, "link {from}>{to} {rule:?}"),
            Self::Storm(rule) => write!(f, "all links {rule:?}"),
            Self::Heal => f.write_str("links heal"),
            Self::Pause(id, span) => write!(f, "pause {id} for {span:?}"),
            Self::Kill(id, down) => write!(f, "kill {id} for {down:?}"),
            Self::LosePower(id, down) => write!(f, "power loss at {id} for {down:?}"),
            Self::Leave(id, down) => write!(f, "{id} leaves for {down:?}"),
            Self::SlowDisk(id, span) => write!(f, "an fsync at {id} takes up to {span:?}"),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: {} nodes, quorum {}, takeover {}, starts {:?}",
            self.seed, self.size, self.quorum, self.takeover, self.starts
        )?;
        for fault in &self.faults {
            match fault {
                Fault::Timed(at, what) => writeln!(f, "  at {at:?}: {what}")?,
                Fault::Aimed { moment, nth, delay, aim } => {
                    writeln!(f, "  {delay:?} after {moment:?} no. {nth}: {aim:?} its node")?;
                }
            }
        }
        writeln!(f, "  at {:?}: everything heals", self.heals_at)
    }
}
