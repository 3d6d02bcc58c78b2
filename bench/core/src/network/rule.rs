//! One rule on one link: its draws, what it remembers, and what it does to a frame.

use std::sync::Arc;
use std::time::Duration;

use super::chance::{Chance, Gilbert};
use super::fate::{Answer, Did, Fate, Note, Passing};
use super::head::Head;
use super::{Corrupt, Delay, Effect, Filter, Link, Rate, RuleTraffic, SeenBy, corrupt, reset, too_big};
use crate::random::Numbered;
use crate::time::RunTime;

/// How many frames overtake one that is reordered, at most.
const OVERTAKEN_MAX: u64 = 3;

/// The questions that are drawn for one frame: each has a lane of its own.
#[derive(Debug, Clone, Copy)]
enum Lane {
    Loss,
    Corrupt,
    CorruptWhere,
    Duplicate,
    Delay,
    Reorder,
    ReorderBy,
    // Copies draw in lanes that far above those of the first.
    OfTheNextCopy,
}

/// A rule, made ready for any link.
#[derive(Debug)]
pub(super) struct Ready {
    id: u64,
    only: Option<Filter>,
    effect: Effect,
    loss: Option<Gilbert>,
    duplicate: Chance,
    reorder: Chance,
    corrupt: Option<(Chance, SeenBy)>,
}

impl Ready {
    /// Makes a rule ready.
    pub(super) fn new(id: u64, only: Option<Filter>, effect: Effect) -> Self {
        let corrupt = effect.corrupt.map(|Corrupt { share, seen_by }| (Chance::new(share), seen_by));
        Self {
            id,
            only,
            loss: effect.loss.map(Gilbert::new),
            duplicate: Chance::new(effect.duplicate),
            reorder: Chance::new(effect.reorder),
            corrupt,
            effect,
        }
    }
}

/// A rule on one link.
#[derive(Debug, Clone)]
pub(super) struct OnLink {
    rule: Arc<Ready>,
    /// Its place among the counters.
    slot: usize,
    draws: Numbered,
    memory: Memory,
}

/// What a rule remembers of a link. The draws never depend on it; when a frame comes does.
#[derive(Debug, Clone, Copy, Default)]
struct Memory {
    /// Which frames are lost.
    chain: Chain,
    /// When the link has sent all that waits for it.
    free_at: RunTime,
    /// When the last frame in order is delivered.
    last: RunTime,
}

impl OnLink {
    /// The rule on a link, without memories.
    pub(super) fn new(rule: Arc<Ready>, slot: usize, seed: u64, link: &Link) -> Self {
        let draws = Numbered::new(seed, &format!("network/{}>{}/{}", link.from, link.to, rule.id));
        Self { rule, slot, draws, memory: Memory::default() }
    }

    /// Its place among the counters.
    pub(super) fn slot(&self) -> usize {
        self.slot
    }

    /// Gets its place among the counters, and goes on where the same rule on the same link was before.
    pub(super) fn continue_at(&mut self, slot: usize, before: &[Self]) {
        self.slot = slot;
        if let Some(before) = before.iter().find(|before| before.rule.id == self.rule.id) {
            self.memory = before.memory;
        }
    }

    /// True if the frame is of those that the rule is for.
    pub(super) fn is_for(&self, head: &Head, frame: &[u8]) -> bool {
        self.rule.only.as_ref().is_none_or(|only| only.is_met(head, frame))
    }

    /// Where this is counted and what there is to say, if the rule cuts the link for this frame.
    pub(super) fn cuts(&self, head: &Head, frame: &[u8]) -> Option<(usize, Note)> {
        let is_cut = self.rule.effect.cut && self.is_for(head, frame);
        is_cut.then(|| (self.slot, self.note(Did::Cut)))
    }

    /// Does to one delivery of a frame what the rule does. False if it is dropped.
    pub(super) fn pass(&mut self, passing: Passing<'_>, at: usize, count: &mut RuleTraffic, fate: &mut Fate) -> bool {
        let asked = Asked { draws: self.draws, index: passing.index, copy: fate.deliveries[at].copy };
        if let Some(did) = self.drops(passing, asked, fate) {
            count.dropped += 1;
            fate.notes.push(self.note(did));
            return false;
        }
        if let Some(seen_by) = self.corrupts(passing, asked.draw(Lane::Corrupt)) {
            let drawn = Some(asked.draw(Lane::CorruptWhere));
            match seen_by {
                SeenBy::Kernel => fate.deliveries[at].wire = drawn,
                SeenBy::Program => fate.deliveries[at].payload = drawn,
            }
            count.corrupted += 1;
            fate.notes.push(self.note(Did::Corrupted(seen_by)));
        }
        let mut second = None;
        if self.rule.duplicate.hits(asked.draw(Lane::Duplicate)) && fate.duplicate(at) {
            count.duplicated += 1;
            fate.notes.push(self.note(Did::Duplicated));
            second = Some(fate.deliveries.len() - 1);
        }
        let is_kept = self.hold(passing, at, count, fate);
        if let Some(second) = second
            && !self.hold(passing, second, count, fate)
        {
            // It is the last one there is: taking it away moves no other.
            fate.deliveries.truncate(second);
        }
        is_kept
    }

    /// Why the frame ends here, if it does before it comes to the link's queue.
    fn drops(&mut self, passing: Passing<'_>, asked: Asked, fate: &mut Fate) -> Option<Did> {
        let effect = &self.rule.effect;
        if effect.cut {
            return Some(Did::Cut);
        }
        if let Some(mtu) = effect.mtu.filter(|mtu| too_big::is_too_big(passing.head, *mtu)) {
            fate.answer.get_or_insert(Answer::TooBig(mtu));
            return Some(Did::TooBig(mtu));
        }
        if effect.reset && reset::is_resettable(passing.head) {
            fate.answer.get_or_insert(Answer::Reset { slot: self.slot });
            return Some(Did::Reset);
        }
        let loss = self.rule.loss?;
        let was_lost = self.memory.chain.before(&loss, asked);
        loss.loses(was_lost, asked.draw(Lane::Loss)).then_some(Did::Lost)
    }

    /// Puts a delivery into the link's queue, on its way, and behind others. False if the queue is full.
    fn hold(&mut self, passing: Passing<'_>, at: usize, count: &mut RuleTraffic, fate: &mut Fate) -> bool {
        let asked = Asked { draws: self.draws, index: passing.index, copy: fate.deliveries[at].copy };
        let (mut when, start) = (fate.deliveries[at].at, fate.deliveries[at].at);
        if let Some(rate) = self.rule.effect.rate {
            let Some(queued) = self.memory.queue(rate, when, passing.frame.len()) else {
                count.dropped += 1;
                fate.notes.push(self.note(Did::Overflowed));
                return false;
            };
            when = when + queued;
            fate.notes.push(self.note(Did::Queued(queued.as_nanos() as u64)));
        }
        if let Some(delay) = self.rule.effect.delay {
            let delayed = self.memory.delay(delay, when, asked.draw(Lane::Delay));
            when = when + delayed;
            fate.notes.push(self.note(Did::Delayed(delayed.as_nanos() as u64)));
        }
        count.delayed += u64::from(when > start);
        fate.deliveries[at].at = when;
        if self.rule.reorder.hits(asked.draw(Lane::Reorder)) {
            let behind = 1 + (asked.draw(Lane::ReorderBy) % OVERTAKEN_MAX) as u32;
            fate.deliveries[at].behind = fate.deliveries[at].behind.max(behind);
            count.reordered += 1;
            fate.notes.push(self.note(Did::Reordered(behind)));
        }
        true
    }

    fn note(&self, did: Did) -> Note {
        Note { rule: self.rule.id, did }
    }

    fn corrupts(&self, passing: Passing<'_>, drawn: u64) -> Option<SeenBy> {
        let (chance, seen_by) = self.rule.corrupt?;
        (chance.hits(drawn) && corrupt::is_possible(passing.frame, passing.head, seen_by)).then_some(seen_by)
    }
}

/// For which frame and which copy of it something is drawn.
#[derive(Debug, Clone, Copy)]
struct Asked {
    draws: Numbered,
    index: u64,
    copy: u64,
}

impl Asked {
    fn draw(self, lane: Lane) -> u64 {
        self.draws.bits(self.index, self.copy * Lane::OfTheNextCopy as u64 + lane as u64)
    }
}

/// Where the chain of losses stands.
///
/// It runs over the numbers of the link's frames, also of those that never came to this rule, and begins afresh at every multiple of
/// [`CHAIN`](Self::CHAIN): so what becomes of a frame follows from its number alone, and no other rule or filter moves it.
#[derive(Debug, Clone, Copy, Default)]
struct Chain {
    /// The number of the next frame.
    next: u64,
    /// What became of the one before it; none at the chain's beginning.
    was_lost: Option<bool>,
}

impl Chain {
    /// Long against any burst, and short enough to be run through for one frame.
    const CHAIN: u64 = 4096;

    /// What became of the frame before this one.
    fn before(&mut self, loss: &Gilbert, asked: Asked) -> Option<bool> {
        if loss.has_no_memory() {
            return None;
        }
        let start = asked.index - asked.index % Self::CHAIN;
        if self.next < start || self.next > asked.index {
            *self = Self { next: start, was_lost: None };
        }
        while self.next < asked.index {
            let drawn = Asked { index: self.next, copy: 0, ..asked }.draw(Lane::Loss);
            self.was_lost = Some(loss.loses(self.was_lost, drawn));
            self.next += 1;
        }
        self.was_lost
    }
}

impl Memory {
    /// How long a frame of `length` bytes waits for the link and is on it; none if it finds the queue full.
    fn queue(&mut self, rate: Rate, at: RunTime, length: usize) -> Option<Duration> {
        let bits = u128::from(rate.bits_per_second.max(1));
        let waiting = u128::from(self.free_at.since(at).as_nanos() as u64) * bits / 8_000_000_000;
        // A link that sends nothing takes any frame.
        if waiting > 0 && waiting + length as u128 > u128::from(rate.queue_bytes) {
            return None;
        }
        let takes = (length as u128 * 8_000_000_000 / bits).min(u128::from(u64::MAX / 4));
        self.free_at = self.free_at.max(at) + Duration::from_nanos(takes as u64);
        Some(self.free_at.since(at))
    }

    /// How late a frame is: evenly drawn, and never before the one that came before it.
    fn delay(&mut self, delay: Delay, at: RunTime, drawn: u64) -> Duration {
        let (low, high) = (delay.mean.saturating_sub(delay.jitter), delay.mean.saturating_add(delay.jitter));
        let span = u128::from((high - low).as_nanos() as u64) + 1;
        let own = low + Duration::from_nanos(((u128::from(drawn) * span) >> 64) as u64);
        self.last = self.last.max(at + own);
        self.last.since(at)
    }
}

impl Filter {
    /// True if the frame is of those that are meant.
    pub(super) fn is_met(&self, head: &Head, frame: &[u8]) -> bool {
        let of_protocol = self.protocol.is_none_or(|protocol| head.protocol() == Some(protocol));
        let of_port = |port: u16| head.ports().is_some_and(|(from, to)| from == port || to == port);
        of_protocol
            && self.port.is_none_or(of_port)
            && self.payload.as_ref().is_none_or(|payload| payload.is_match(head.payload(frame)))
    }
}
