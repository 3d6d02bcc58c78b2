//! Small histories of deliveries for tests: mostly right ones, with a mistake or two. The tests judge them by the definitions alone, in
//! every way that there is, and so know nothing of how the checks do it.

use crate::history::History;
use crate::random::Keyed;
use crate::stories::{NODES, Story};

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check) enum Act {
    /// Message, place in the order, view.
    Delivers(u8, i64, i64),
    Sends(u8),
    Hears(u8),
    Installs(i64),
    Jumps,
    Restarts,
}

/// What all do, in the order of time: by whom, and what.
#[derive(Debug, Clone)]
pub(in crate::check) struct Script(pub(in crate::check) Vec<(usize, Act)>);

/// How a script is drawn.
#[derive(Debug, Clone, Copy)]
pub(in crate::check) struct Drawn {
    pub(in crate::check) messages: u64,
    /// Nodes send what they deliver, and hear that it was accepted.
    pub(in crate::check) sends: bool,
    pub(in crate::check) views: bool,
    pub(in crate::check) jumps: bool,
}

/// How many histories each oracle sees in the default tests, and how many in all.
pub(in crate::check) const SLICE: u64 = 4_000;
pub(in crate::check) const ALL: u64 = 1_000_000;

/// `a/0`: the message and its sender.
pub(in crate::check) fn name(message: u8) -> String {
    format!("{}/{message}", NODES[usize::from(message) % 3])
}

impl Drawn {
    /// The script of a number.
    pub(in crate::check) fn script(self, number: u64) -> Script {
        let mut random = Keyed::indexed(7, "scripts", number);
        let mut below = |bound: u64| random.below(bound);
        let mut order: Vec<u8> = (0..self.messages as u8).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, below(at as u64 + 1) as usize);
        }
        let mut of_nodes: Vec<Vec<Act>> = Vec::new();
        for _ in 0..2 + below(2) {
            of_nodes.push(self.node(&order, &mut below));
        }
        for _ in 0..below(3) {
            let node = below(of_nodes.len() as u64) as usize;
            self.spoil(&mut of_nodes[node], &mut below);
        }
        // In turns, each in its own order.
        let mut acts = Vec::new();
        while of_nodes.iter().any(|acts| !acts.is_empty()) {
            let node = below(of_nodes.len() as u64) as usize;
            if !of_nodes[node].is_empty() {
                acts.push((node, of_nodes[node].remove(0)));
            }
        }
        if self.sends {
            self.add_sendings(&mut acts, &mut below);
        }
        Script(acts)
    }

    /// Lives of a node that tell the order, each from somewhere on.
    fn node(self, order: &[u8], below: &mut impl FnMut(u64) -> u64) -> Vec<Act> {
        let mut acts = Vec::new();
        let (mut at, mut view) = (if below(4) == 0 { below(3) as usize } else { 0 }, 1);
        if self.views {
            acts.push(Act::Installs(view));
        }
        for step in 0..order.len() as u64 + below(3) {
            match below(12) {
                0 => {
                    acts.push(Act::Restarts);
                    at = if below(2) == 0 { at } else { below(at as u64 + 1) as usize };
                    if self.views {
                        acts.push(Act::Installs(view));
                    }
                }
                1 if self.views => {
                    view += 1;
                    acts.push(Act::Installs(view));
                }
                2 if self.jumps => {
                    acts.push(Act::Jumps);
                    at = (at + below(2) as usize).min(order.len());
                }
                _ => {}
            }
            let Some(message) = order.get(at) else { continue };
            let view = if self.views { (at as i64 + 2) / 2 } else { 1 };
            if self.views && below(3) > 0 && !acts.contains(&Act::Installs(view)) {
                acts.push(Act::Installs(view));
            }
            acts.push(Act::Delivers(*message, at as i64 + 1, view));
            at += 1;
            let _ = step;
        }
        acts
    }

    /// A mistake.
    fn spoil(self, acts: &mut Vec<Act>, below: &mut impl FnMut(u64) -> u64) {
        let deliveries: Vec<usize> = (0..acts.len()).filter(|at| matches!(acts[*at], Act::Delivers(..))).collect();
        if deliveries.len() < 2 {
            return;
        }
        let mut any = || deliveries[below(deliveries.len() as u64) as usize];
        let (one, other) = (any(), any());
        match below(5) {
            0 => drop(acts.remove(one)),
            1 => acts.swap(one, other),
            2 => acts.insert(other, acts[one]),
            3 => {
                let message = below(self.messages) as u8;
                if let Act::Delivers(_, at, view) = acts[one] {
                    acts[one] = Act::Delivers(message, at, view);
                }
            }
            _ => {
                let moved = below(3) as i64;
                if let Act::Delivers(message, at, view) = acts[one] {
                    acts[one] = if below(2) == 0 {
                        Act::Delivers(message, at + moved, view)
                    } else {
                        Act::Delivers(message, at, view + moved)
                    };
                }
            }
        }
    }

    /// Most messages are sent by somebody before anybody delivers them, and some are heard to be accepted.
    fn add_sendings(self, acts: &mut Vec<(usize, Act)>, below: &mut impl FnMut(u64) -> u64) {
        for message in 0..self.messages as u8 {
            let first = acts.iter().position(|(_, act)| matches!(act, Act::Delivers(of, ..) if *of == message));
            let before = first.unwrap_or(acts.len());
            if below(12) > 0 {
                let at = below(before as u64 + 1) as usize;
                acts.insert(at, (usize::from(message) % 3, Act::Sends(message)));
            }
            if below(3) > 0 {
                let at = before + below((acts.len() - before) as u64 + 1) as usize;
                acts.insert(at, (usize::from(message) % 3, Act::Hears(message)));
            }
        }
    }
}

impl Script {
    /// What is seen of it.
    pub(in crate::check) fn history(&self) -> History {
        let mut story = Story::of(&NODES);
        for (at, (node, act)) in (1..).zip(&self.0) {
            let node = NODES[*node];
            story.at(at);
            match act {
                Act::Delivers(message, place, view) => story.delivers(node, &name(*message), *place, *view),
                Act::Sends(message) => story.tells_of(node, "sent", &name(*message)),
                Act::Hears(message) => story.tells_of(node, "acked", &name(*message)),
                Act::Installs(view) => story.view(node, *view, &NODES),
                Act::Jumps => story.says(node, "snapshot", &[]),
                Act::Restarts => story.kill(node).restart(node),
            };
        }
        story.at(60_000).end();
        story.history
    }

    /// What each life of a node does.
    pub(in crate::check) fn lives(&self, node: usize) -> Vec<Vec<Act>> {
        let acts: Vec<Act> = self.0.iter().filter(|(of, _)| *of == node).map(|(_, act)| *act).collect();
        acts.split(|act| *act == Act::Restarts).map(<[Act]>::to_vec).collect()
    }

    /// The same with the nodes called otherwise: node 0 is node 1 now, and so on.
    pub(in crate::check) fn turned(&self) -> Self {
        Self(self.0.iter().map(|(node, act)| ((node + 1) % 3, *act)).collect())
    }
}

/// Every order of these.
pub(in crate::check) fn permutations(of: &[u8]) -> Vec<Vec<u8>> {
    match of {
        [] => vec![Vec::new()],
        _ => (0..of.len())
            .flat_map(|at| {
                let mut rest = of.to_vec();
                let first = rest.remove(at);
                permutations(&rest).into_iter().map(move |rest| [&[first], rest.as_slice()].concat())
            })
            .collect(),
    }
}
