//! Directed links, and what they do to messages.

use std::collections::BTreeMap;
use std::time::Duration;

use dsbench_wire::NodeId;

use crate::chance::{self, Chance};

/// What is wrong with a link. Every message takes 0.1 to 2 ms in any case, each its own: links do not keep an order.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rule {
    pub(crate) is_cut: bool,
    pub(crate) loss_permille: u32,
    pub(crate) duplicate_permille: u32,
    /// Beyond the usual; each message gets its own part of it.
    pub(crate) delay_max: Duration,
}

/// All links of a cluster.
#[derive(Debug)]
pub(crate) struct Network {
    seed: u64,
    links: BTreeMap<(NodeId, NodeId), Link>,
}

#[derive(Debug)]
struct Link {
    key: u64,
    carried: u64,
    rule: Rule,
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, links: BTreeMap::new() }
    }

    fn link(&mut self, from: &NodeId, to: &NodeId) -> &mut Link {
        let key = || chance::key(self.seed, &format!("link/{from}>{to}"));
        self.links.entry((from.clone(), to.clone())).or_insert_with(|| Link {
            key: key(),
            carried: 0,
            rule: Rule::default(),
        })
    }

    /// The delays of the copies of one message that arrive.
    pub(crate) fn carry(&mut self, from: &NodeId, to: &NodeId) -> Vec<Duration> {
        let link = self.link(from, to);
        let mut chance = Chance::keyed(link.key, link.carried);
        link.carried += 1;
        // All are drawn, whatever the rule: a rule must not change what happens to other messages.
        let is_lost = chance.permille(link.rule.loss_permille);
        let is_doubled = chance.permille(link.rule.duplicate_permille);
        let delays = [chance.next(), chance.next()].map(|draw| {
            let span = Duration::from_micros(1900) + link.rule.delay_max;
            let part = (u128::from(draw) * span.as_nanos()) >> 64;
            Duration::from_micros(100) + Duration::from_nanos(part as u64)
        });
        if link.rule.is_cut || is_lost { Vec::new() } else { delays[..1 + usize::from(is_doubled)].to_vec() }
    }

    /// Makes a link lossy or slow; a cut one stays cut.
    pub(crate) fn degrade(&mut self, from: &NodeId, to: &NodeId, rule: Rule) {
        let link = self.link(from, to);
        link.rule = Rule { is_cut: link.rule.is_cut, ..rule };
    }

    pub(crate) fn cut(&mut self, from: &NodeId, to: &NodeId) {
        self.link(from, to).rule.is_cut = true;
    }

    /// Mends what is cut; what is lossy or slow stays so.
    pub(crate) fn mend(&mut self) {
        for link in self.links.values_mut() {
            link.rule.is_cut = false;
        }
    }

    /// Whether nothing is wrong with any link.
    pub(crate) fn is_well(&self) -> bool {
        self.links.values().all(|link| {
            let Rule { is_cut, loss_permille, delay_max, .. } = link.rule;
            !is_cut && loss_permille == 0 && delay_max.is_zero()
        })
    }

    pub(crate) fn heal(&mut self) {
        for link in self.links.values_mut() {
            link.rule = Rule::default();
        }
    }
}
