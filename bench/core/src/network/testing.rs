//! What the tests of the network share: a switch between numbered endpoints, and a wire that remembers.

use std::collections::BTreeSet;
use std::time::Duration;

use super::fabric::{Endpoint, Fabric, Passage, Wire};
use super::fate::Note;
use super::frames::{Made, mac};
use super::{Effect, Filter, Link, Offload, Rule, RuleSet, Wiring};
use crate::time::RunTime;

/// A switch, its time, and everything that left it.
pub(super) struct Bench {
    pub(super) fabric: Fabric,
    wiring: Wiring,
    pub(super) now: RunTime,
    pub(super) wire: Remembered,
}

/// Everything that left a switch.
#[derive(Default)]
pub(super) struct Remembered {
    now: RunTime,
    /// When, to which endpoint, what.
    pub(super) put: Vec<(RunTime, usize, Vec<u8>)>,
    /// How many of them were not as on a wire.
    pub(super) left_undone: usize,
    /// From, to, and what the rules did.
    pub(super) passed: Vec<(usize, usize, Vec<Note>)>,
}

impl Wire for Remembered {
    fn put(&mut self, to: usize, frame: &[u8], offload: &Offload) {
        self.put.push((self.now, to, frame.to_vec()));
        self.left_undone += usize::from(offload.is_some());
    }

    fn passed(&mut self, passage: &Passage<'_>) {
        self.passed.push((passage.from, passage.to, passage.notes.to_vec()));
    }
}

impl Bench {
    /// Endpoints `n1`, `n2`, ... whose numbers in addresses begin at 1.
    pub(super) fn new(seed: u64, endpoints: u16) -> Self {
        let endpoint = |number: u16| Endpoint {
            name: format!("n{number}").into(),
            mac: mac(number),
            addresses: [false, true].map(|v6| Made { v6, ..Made::default() }.address(number)).into(),
            is_exempt: false,
            takes_offloads: true,
        };
        let endpoints: Vec<_> = (1..=endpoints).map(endpoint).collect();
        let wiring = Wiring::new(seed, &endpoints);
        let fabric = Fabric::new(endpoints, BTreeSet::new());
        Self { fabric, wiring, now: RunTime::START, wire: Remembered::default() }
    }

    pub(super) fn set(&mut self, rules: impl Into<Vec<Rule>>) {
        self.fabric.set_rules(self.wiring.ready(&RuleSet { rules: rules.into() }));
    }

    /// Time goes on, and what is due comes when it is.
    pub(super) fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        while let Some(next) = self.fabric.next_due().filter(|next| *next <= until) {
            self.wire.now = next.max(self.now);
            self.fabric.release(self.wire.now, &mut self.wire);
        }
        (self.now, self.wire.now) = (until, until);
    }

    /// An endpoint, by the number in its address, sends a frame.
    pub(super) fn send(&mut self, from: u16, frame: &[u8]) {
        self.fabric.receive(self.now, usize::from(from) - 1, frame, &Offload::NONE, &mut self.wire);
    }

    /// The first endpoint sends the second so many datagrams, so far apart, each with its number.
    pub(super) fn stream(&mut self, count: u32, apart: Duration) {
        for number in 0..count {
            self.send(1, &numbered(number));
            self.advance(apart);
        }
    }

    /// When the datagrams of a stream came, and which they were.
    pub(super) fn came(&self) -> Vec<(RunTime, u32)> {
        self.wire.put.iter().map(|(at, _, frame)| (*at, number_of(frame))).collect()
    }

    /// The numbers of the datagrams of a stream, as they came.
    pub(super) fn numbers(&self) -> Vec<u32> {
        self.came().into_iter().map(|(_, number)| number).collect()
    }
}

/// A datagram from the first to the second endpoint: a frame of 100 bytes.
pub(super) fn numbered(number: u32) -> Vec<u8> {
    let mut payload = [0; 58];
    payload[..4].copy_from_slice(&number.to_be_bytes());
    Made::default().udp(1000, 2000, &payload)
}

fn number_of(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[42..46].try_into().unwrap())
}

pub(super) fn link(from: u16, to: u16) -> Link {
    Link { from: format!("n{from}").into(), to: format!("n{to}").into() }
}

/// A rule on the link from the first endpoint to the second.
pub(super) fn rule(id: u64, effect: Effect) -> Rule {
    Rule { id, links: BTreeSet::from([link(1, 2)]), only: None, effect }
}

/// The same, for some frames only.
pub(super) fn rule_for(id: u64, only: Filter, effect: Effect) -> Rule {
    Rule { only: Some(only), ..rule(id, effect) }
}

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
