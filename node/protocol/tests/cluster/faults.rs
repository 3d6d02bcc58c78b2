//! Random fault schedules: what is broken, and when.

use std::fmt;
use std::time::Duration;

use dsbench_protocol::{Answer, Event, Quorum, Takeover};
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
    /// A process is killed, and started again on an empty disk after a while, where the others can do without the old one.
    Wipe(NodeId, Duration),
    /// All machines lose their power and unsynced data at once, and start again after a while.
    BlackOut(Duration),
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
    Requested,
    Stored,
    Delivered,
    Acknowledged,
    ViewChange,
    Suspected,
    Installed,
}

/// A fault whose node is known when its moment comes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Aim {
    Kill(Duration),
    LosePower(Duration),
    Pause(Duration),
    Isolate,
    BlackOut(Duration),
}

/// All that is random about one run, but for what its keyed streams decide on the way.
#[derive(Debug)]
pub(crate) struct Schedule {
    pub(crate) seed: u64,
    pub(crate) size: usize,
    pub(crate) quorum: Quorum,
    pub(crate) takeover: Takeover,
    /// How many more nodes come later, and when.
    pub(crate) joiners: Vec<Duration>,
    /// Whether the first nodes know each other from the start, or have to find each other.
    pub(crate) is_listed: bool,
    pub(crate) multicast: bool,
    /// Whether no multicast arrives.
    pub(crate) is_multicast_lost: bool,
    /// After how many entries the state is saved.
    pub(crate) checkpoint_every: u64,
    /// How many entries are kept that a checkpoint covers; all where nothing is said.
    pub(crate) retention: Option<u64>,
    pub(crate) clients: usize,
    /// What people ask for, when, and where.
    pub(crate) requests: Vec<(Duration, NodeId)>,
    /// When each node starts.
    pub(crate) starts: Vec<Duration>,
    pub(crate) faults: Vec<Fault>,
    /// When which node is told, wrongly, that the process of which other has ended.
    pub(crate) rumours: Vec<(Duration, NodeId, NodeId)>,
    /// When everything heals.
    pub(crate) heals_at: Duration,
}

impl Schedule {
    pub(crate) fn of(seed: u64, quorum: Quorum) -> Self {
        let mut shape = Chance::of(seed, "shape");
        let size = *shape.pick(&[3, 5]);
        let takeover = *shape.pick(&[Takeover::Bully, Takeover::Sticky]);
        let starts = (0..size).map(|_| shape.between(ms(0), ms(300))).collect();
        // Short runs are dense, long ones see the same node fail and return more than once. 60 s with the time to settle.
        let is_long = shape.permille(250);
        let heals_at = if is_long { shape.between(ms(20_000), ms(47_000)) } else { shape.between(ms(2000), ms(9000)) };
        let count = (2 + shape.below(15)) * if is_long { 2 } else { 1 };
        let is_contested = shape.permille(300);
        let (joiners, is_listed) = if quorum == Quorum::None {
            (Vec::new(), true)
        } else {
            let joiners = (0..shape.below(3)).map(|_| shape.between(ms(200), heals_at)).collect();
            (joiners, shape.permille(750))
        };
        let multicast = shape.permille(400);
        let checkpoint_every = *shape.pick(&[5, 30, 10_000]);
        let retention = *shape.pick(&[None, Some(0), Some(10)]);
        let clients = shape.below(4);
        let mut asks = Chance::of(seed, "requests");
        let requests =
            (0..5 + asks.below(60)).map(|_| (asks.between(ms(0), heals_at), peer(1 + asks.below(size)))).collect();
        let mut lies = Chance::of(seed, "rumours");
        let rumours = (0..lies.below(20))
            .map(|_| (lies.between(ms(0), heals_at), peer(1 + lies.below(size)), peer(1 + lies.below(size))))
            .collect();
        let mut faults: Vec<_> = (0..count)
            .map(|n| {
                let chance = &mut Chance::of(seed, &format!("fault/{n}"));
                if is_contested { short_absence_after_a_vote(chance) } else { fault(chance, size, heals_at) }
            })
            .collect();
        if is_contested {
            faults.push(Fault::Timed(ms(0), What::Storm(slow_links(&mut Chance::of(seed, "storm")))));
        }
        Self {
            seed,
            size,
            quorum,
            takeover,
            joiners,
            is_listed,
            multicast,
            is_multicast_lost: shape.permille(200),
            checkpoint_every,
            retention,
            clients,
            requests,
            starts,
            faults,
            rumours,
            heals_at,
        }
    }
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn fault(chance: &mut Chance, size: usize, heals_at: Duration) -> Fault {
    if chance.permille(350) {
        let moment = *chance.pick(&Moment::ALL);
        let nth = if moment.is_frequent() { 1 + chance.below(150) } else { 1 + chance.below(4) };
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
    match chance.below(9) {
        0 | 1 => Aim::Kill(span),
        2 | 3 => Aim::LosePower(span),
        4 | 5 => Aim::Pause(span),
        6 => Aim::BlackOut(span),
        _ => Aim::Isolate,
    }
}

fn what(chance: &mut Chance, size: usize) -> What {
    let node = peer(1 + chance.below(size));
    let other = peer(1 + chance.below(size));
    match chance.below(15) {
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
        11 => What::BlackOut(chance.between(ms(1), ms(1500))),
        12 | 13 => What::Wipe(node, chance.between(ms(1), ms(2500))),
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
    const ALL: [Self; 11] = [
        Self::Voted,
        Self::Stands,
        Self::BecameLeader,
        Self::Transferring,
        Self::Requested,
        Self::Stored,
        Self::Delivered,
        Self::Acknowledged,
        Self::ViewChange,
        Self::Suspected,
        Self::Installed,
    ];

    fn is_frequent(self) -> bool {
        matches!(self, Self::Requested | Self::Stored | Self::Delivered | Self::Acknowledged)
    }

    pub(crate) fn is(self, event: &Event) -> bool {
        match self {
            Self::Voted => matches!(event, Event::Voted { .. }),
            Self::Stands => matches!(event, Event::Stands { .. }),
            Self::BecameLeader => matches!(event, Event::BecameLeader { .. }),
            Self::Transferring => matches!(event, Event::Transferring { .. }),
            Self::Requested => matches!(event, Event::Requested { .. }),
            // Not a log line: the disk tells.
            Self::Stored => false,
            Self::Delivered => matches!(event, Event::Delivered { .. }),
            Self::Acknowledged => matches!(event, Event::Answered(Answer::Acknowledged { .. })),
            Self::ViewChange => matches!(event, Event::ViewChange { .. }),
            Self::Suspected => matches!(event, Event::Suspected { .. }),
            Self::Installed => matches!(event, Event::Installed { .. }),
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
            Self::BlackOut(down) => What::BlackOut(down),
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
            Self::Wipe(id, down) => write!(f, "{id} gets a new disk after {down:?}"),
            Self::BlackOut(down) => write!(f, "power loss everywhere for {down:?}"),
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
        writeln!(
            f,
            "  listed {}, multicast {}, checkpoints every {}, retention {:?}, {} clients, {} requests, joiners at {:?}",
            self.is_listed,
            self.multicast,
            self.checkpoint_every,
            self.retention,
            self.clients,
            self.requests.len(),
            self.joiners
        )?;
        for fault in &self.faults {
            match fault {
                Fault::Timed(at, what) => writeln!(f, "  at {at:?}: {what}")?,
                Fault::Aimed { moment, nth, delay, aim } => {
                    writeln!(f, "  {delay:?} after {moment:?} no. {nth}: {aim:?} its node")?;
                }
            }
        }
        for (at, node, of) in &self.rumours {
            writeln!(f, "  at {at:?}: {node} hears wrongly that {of} has ended")?;
        }
        writeln!(f, "  at {:?}: everything heals", self.heals_at)
    }
}
