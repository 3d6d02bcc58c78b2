//! The switch itself, without its sockets: a frame comes in, and goes out to whom it is for, as the rules will.
//!
//! Time and frames come from the caller, and everything that leaves goes to a [`Wire`]. So what the switch does to a frame can be tested
//! without a network, and is the same on every one.
//!
//! A frame that was delayed by a rule that is no longer in force was already on its way: it comes at its time, unless its link is cut, or one
//! of its ends unplugged, at that time.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::calendar::{Calendar, Held};
use super::fate::{self, Answer, Delivery, Fate, Note, Passing};
use super::head::{Head, Mac};
use super::neighbours::{Manners, Neighbours};
use super::offload::Offload;
use super::reset::Connection;
use super::rule::OnLink;
use super::wiring::ReadyRules;
use super::{Link, LinkTraffic, RuleTraffic, SeenBy, Traffic, corrupt, reset, too_big};
use crate::observation::Name;
use crate::time::RunTime;

/// Frames that wait may take so much room; more are not carried, and that is the bench's fault.
const WAITING_BYTES_MAX: usize = 512 << 20;
/// So many reset connections are told apart.
const RESETS_TOLD_APART: usize = 1 << 16;

/// Who is at one port of the switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name.
    pub name: Name,
    /// Its Ethernet address.
    pub mac: Mac,
    /// Its IP addresses, but for the link-local one.
    pub addresses: Vec<IpAddr>,
    /// True if no rule touches what it sends and gets, and nobody counts or records it: the bench's own.
    pub is_exempt: bool,
    /// True if its port takes frames on which there is something left to do.
    pub takes_offloads: bool,
}

/// What leaves the switch: frames, and what is to be known about them.
pub trait Wire {
    /// Puts a frame on the port of an endpoint. What is left to do on it is only for one that [takes](Endpoint::takes_offloads) it.
    fn put(&mut self, to: usize, frame: &[u8], offload: &Offload);
    /// A frame came from an endpoint, and this is what rules did to it on its way to others.
    fn sent(&mut self, _at: RunTime, _from: usize, _frame: &[u8], _notes: &[(usize, Note)]) {}
    /// A frame was put on the port of an endpoint.
    fn came(&mut self, _at: RunTime, _to: usize, _frame: &[u8], _notes: &[Note]) {}
    /// A frame has come from one endpoint to another, or never will.
    fn passed(&mut self, _passage: &Passage<'_>) {}
}

/// The way of one frame from one endpoint to another.
#[derive(Debug, Clone, Copy)]
pub struct Passage<'f> {
    /// The sender's number.
    pub from: usize,
    /// The receiver's number.
    pub to: usize,
    /// When it was sent.
    pub sent: RunTime,
    /// When it came, or was lost.
    pub ended: RunTime,
    /// Its bytes.
    pub frame: &'f [u8],
    /// Its headers.
    pub head: &'f Head,
    /// What the rules did to it, in their order.
    pub notes: &'f [Note],
    /// False if a rule dropped it, or one of its ends was unplugged.
    pub has_come: bool,
}

/// One directed link.
#[derive(Debug, Default)]
struct Way {
    frames: u64,
    bytes: u64,
    dropped: u64,
    rules: Vec<OnLink>,
    /// Frames that wait to be overtaken, and by how many.
    held: Vec<(Held, u32)>,
}

/// All that is only counted.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    overruns: u64,
    forged: u64,
    stray: u64,
    unplugged: u64,
}

/// The switch: its table of addresses, its links and their rules, and the frames on their way.
#[derive(Debug)]
pub struct Fabric {
    endpoints: Vec<Endpoint>,
    is_plugged: Vec<bool>,
    neighbours: Neighbours,
    /// Sorted by address.
    by_mac: Vec<(Mac, usize)>,
    ways: Vec<Way>,
    ruled: Vec<usize>,
    counters: Vec<RuleTraffic>,
    counted: Counted,
    calendar: Calendar,
    /// Connections that were reset, each by a rule of this slot.
    resets: BTreeSet<(usize, Connection)>,
    fate: Fate,
    notes: Vec<(usize, Note)>,
    arrivals: Vec<usize>,
    room: Vec<u8>,
}

impl Fabric {
    /// A switch between these endpoints, without rules. `movable` are addresses that any of them may have.
    pub fn new(endpoints: Vec<Endpoint>, movable: BTreeSet<IpAddr>) -> Self {
        let known = endpoints.iter().enumerate().map(|(number, one)| (number, one.mac, one.addresses.as_slice()));
        let neighbours = Neighbours::new(known, movable);
        let mut by_mac: Vec<_> = endpoints.iter().enumerate().map(|(number, one)| (one.mac, number)).collect();
        by_mac.sort_unstable();
        let mut ways = Vec::new();
        ways.resize_with(endpoints.len() * endpoints.len(), Way::default);
        Self {
            is_plugged: vec![true; endpoints.len()],
            endpoints,
            neighbours,
            by_mac,
            ways,
            ruled: Vec::new(),
            counters: Vec::new(),
            counted: Counted::default(),
            calendar: Calendar::default(),
            resets: BTreeSet::new(),
            fate: Fate::default(),
            notes: Vec::new(),
            arrivals: Vec::new(),
            room: Vec::new(),
        }
    }

    /// Replaces all rules at once. A rule that was in force before goes on where it was.
    pub fn set_rules(&mut self, ready: ReadyRules) {
        let slots: Vec<usize> = ready.ids.iter().map(|id| self.slot(*id)).collect();
        let ruled = std::mem::take(&mut self.ruled);
        let before: Vec<_> = ruled.iter().map(|way| (*way, std::mem::take(&mut self.ways[*way].rules))).collect();
        for ((from, to), mut rules) in ready.links {
            let way = self.way(from, to);
            let before = before.binary_search_by_key(&way, |(way, _)| *way).map_or(&[][..], |at| &before[at].1);
            for rule in &mut rules {
                rule.continue_at(slots[rule.slot()], before);
            }
            self.ways[way].rules = rules;
            self.ruled.push(way);
        }
    }

    /// Plugs an endpoint in, or out.
    pub fn plug(&mut self, endpoint: usize, is_plugged: bool) {
        self.is_plugged[endpoint] = is_plugged;
    }

    /// When the next frame that is on its way comes.
    pub fn next_due(&mut self) -> Option<RunTime> {
        self.calendar.next()
    }

    /// Frames that the caller could not carry.
    pub fn overrun(&mut self, frames: u64) {
        self.counted.overruns += frames;
    }

    /// Takes a frame that an endpoint has sent. What is due by now must have been [released](Self::release) before.
    pub fn receive(&mut self, now: RunTime, from: usize, frame: &[u8], offload: &Offload, wire: &mut impl Wire) {
        let Some(head) = Head::parse(frame) else { return self.counted.stray += 1 };
        if !self.is_plugged[from] {
            return self.counted.unplugged += 1;
        }
        if head.from != self.endpoints[from].mac {
            return self.counted.forged += 1;
        }
        match self.neighbours.judge(from, &head, frame) {
            Manners::Pass if !offload.is_some() || self.is_free(from, &head) => {
                self.forward(now, from, &head, frame, offload, wire);
            }
            Manners::Pass => {
                let mut room = std::mem::take(&mut self.room);
                offload.finish(&head, frame, &mut room, |head, packet| {
                    self.forward(now, from, head, packet, &Offload::NONE, wire);
                });
                self.room = room;
            }
            Manners::Forged => self.counted.forged += 1,
            Manners::End if self.endpoints[from].is_exempt => {}
            Manners::End => wire.sent(now, from, frame, &[]),
            Manners::Answer(answer) => {
                if !self.endpoints[from].is_exempt {
                    wire.sent(now, from, frame, &[]);
                }
                self.tell(now, from, &answer, &[], wire);
            }
        }
    }

    /// True if every endpoint that a frame is for takes it as it is: no rule could see it, and its port leaves work to the kernel.
    fn is_free(&self, from: usize, head: &Head) -> bool {
        let is_free = |to: usize| {
            let way = &self.ways[self.way(from, to)];
            self.endpoints[to].takes_offloads && way.rules.is_empty() && way.held.is_empty()
        };
        match self.receiver(head) {
            None if head.is_group() => (0..self.endpoints.len()).filter(|to| *to != from).all(is_free),
            to => to.is_none_or(is_free),
        }
    }

    /// The one endpoint that a frame is for.
    fn receiver(&self, head: &Head) -> Option<usize> {
        let found = self.by_mac.binary_search_by_key(&head.to, |(mac, _)| *mac).ok()?;
        Some(self.by_mac[found].1)
    }

    fn forward(
        &mut self,
        now: RunTime,
        from: usize,
        head: &Head,
        frame: &[u8],
        offload: &Offload,
        wire: &mut impl Wire,
    ) {
        self.notes.clear();
        self.arrivals.clear();
        if head.is_group() {
            for to in (0..self.endpoints.len()).filter(|to| *to != from) {
                self.pass(now, (from, to), head, frame, offload, wire);
            }
        } else {
            match self.receiver(head) {
                Some(to) if to != from => self.pass(now, (from, to), head, frame, offload, wire),
                _ => self.counted.stray += 1,
            }
        }
        if !self.endpoints[from].is_exempt {
            wire.sent(now, from, frame, &self.notes);
            for to in &self.arrivals {
                wire.came(now, *to, frame, &[]);
            }
        }
        // What a rule has changed or doubled without delaying it comes before the next frame.
        self.release(now, wire);
    }

    /// One frame, on one link.
    fn pass(
        &mut self,
        now: RunTime,
        (from, to): (usize, usize),
        head: &Head,
        frame: &[u8],
        offload: &Offload,
        wire: &mut impl Wire,
    ) {
        if self.endpoints[from].is_exempt || self.endpoints[to].is_exempt {
            if self.is_plugged[to] {
                wire.put(to, frame, offload);
            }
            return;
        }
        let number = self.way(from, to);
        let way = &mut self.ways[number];
        let index = way.frames;
        let (packets, bytes) = offload.packets(head, frame);
        way.frames += packets;
        way.bytes += bytes;
        let mut fate = std::mem::take(&mut self.fate);
        if way.rules.is_empty() {
            fate.begin(now);
        } else {
            fate::decide(&mut way.rules, Passing { head, frame, index }, now, &mut self.counters, &mut fate);
        }
        let is_dropped = fate.deliveries.is_empty();
        let has_come = !is_dropped && self.is_plugged[to];
        let passage = Passage { from, to, sent: now, ended: now, frame, head, notes: &fate.notes, has_come };
        if !has_come {
            way.dropped += packets;
            self.counted.unplugged += if is_dropped { 0 } else { packets };
            wire.passed(&passage);
        } else if fate.is_plain(now) && way.held.is_empty() {
            wire.put(to, frame, offload);
            self.arrivals.push(to);
            wire.passed(&passage);
        } else {
            for delivery in &fate.deliveries {
                self.send_later(number, delivery, &passage);
            }
        }
        self.notes.extend(fate.notes.iter().map(|note| (to, *note)));
        if let Some(answer) = fate.answer {
            self.answer(now, answer, &passage, wire);
        }
        self.fate = fate;
    }

    /// Puts a delivery into the calendar, changed as the rules will.
    fn send_later(&mut self, way: usize, delivery: &Delivery, passage: &Passage<'_>) {
        if self.calendar.bytes() > WAITING_BYTES_MAX {
            self.counted.overruns += 1;
            return;
        }
        let (held, waiting) = self.calendar.put(delivery.at, delivery.behind > 0, passage.frame);
        (waiting.from, waiting.to, waiting.sent) = (passage.from, passage.to, passage.sent);
        waiting.notes.extend_from_slice(passage.notes);
        if let Some(drawn) = delivery.payload {
            corrupt::corrupt(&mut waiting.frame, passage.head, SeenBy::Program, drawn);
        }
        if let Some(drawn) = delivery.wire {
            corrupt::corrupt(&mut waiting.frame, passage.head, SeenBy::Kernel, drawn);
        }
        let calendar = &mut self.calendar;
        let list = &mut self.ways[way].held;
        if delivery.behind > 0 {
            list.push((held, delivery.behind));
            return;
        }
        list.retain_mut(|(held, behind)| {
            *behind -= 1;
            if *behind == 0 {
                calendar.let_go(*held, delivery.at);
            }
            *behind > 0 && calendar.holds(*held)
        });
    }

    /// Delivers what is due.
    pub fn release(&mut self, now: RunTime, wire: &mut impl Wire) {
        while let Some((slot, _, mut waiting)) = self.calendar.take(now) {
            let (from, to) = (waiting.from, waiting.to);
            let number = self.way(from, to);
            let head = Head::parse(&waiting.frame);
            let way = &mut self.ways[number];
            let cut = head.as_ref().and_then(|head| way.rules.iter().find_map(|rule| rule.cuts(head, &waiting.frame)));
            let has_come = cut.is_none() && self.is_plugged[to] && self.is_plugged[from];
            way.dropped += u64::from(!has_come);
            if let Some((slot, note)) = cut {
                self.counters[slot].matched += 1;
                self.counters[slot].dropped += 1;
                waiting.notes.push(note);
            } else if has_come {
                wire.put(to, &waiting.frame, &Offload::NONE);
                wire.came(now, to, &waiting.frame, &waiting.notes);
            } else {
                self.counted.unplugged += 1;
            }
            if let Some(head) = &head {
                let (sent, frame, notes) = (waiting.sent, &waiting.frame, &waiting.notes);
                wire.passed(&Passage { from, to, sent, ended: now, frame, head, notes, has_come });
            }
            self.calendar.give_back(slot, waiting);
        }
    }

    fn answer(&mut self, now: RunTime, answer: Answer, passage: &Passage<'_>, wire: &mut impl Wire) {
        let notes = passage.notes.last().map_or(&[][..], std::slice::from_ref);
        match answer {
            Answer::TooBig(mtu) => {
                if let Some(message) = too_big::answer(passage.frame, passage.head, mtu) {
                    self.tell(now, passage.from, &message, notes, wire);
                }
            }
            Answer::Reset { slot } => {
                let Some(resets) = reset::resets(passage.head) else { return };
                if let Some(connection) = Connection::of(passage.head)
                    && self.resets.len() < RESETS_TOLD_APART
                    && self.resets.insert((slot, connection))
                {
                    self.counters[slot].reset += 1;
                }
                self.tell(now, passage.from, &resets.to_sender, notes, wire);
                if let Some(to_receiver) = resets.to_receiver {
                    self.tell(now, passage.to, &to_receiver, notes, wire);
                }
            }
        }
    }

    /// Puts a frame of the switch's own on a port.
    fn tell(&self, now: RunTime, to: usize, frame: &[u8], notes: &[Note], wire: &mut impl Wire) {
        if self.is_plugged[to] {
            wire.put(to, frame, &Offload::NONE);
            if !self.endpoints[to].is_exempt {
                wire.came(now, to, frame, notes);
            }
        }
    }

    /// What went over the links, and what the rules did.
    pub fn traffic(&self) -> Traffic {
        let link = |(number, way): (usize, &Way)| {
            let [from, to] = [number / self.endpoints.len(), number % self.endpoints.len()];
            let link = Link { from: self.endpoints[from].name.clone(), to: self.endpoints[to].name.clone() };
            LinkTraffic { link, frames: way.frames, bytes: way.bytes, dropped: way.dropped }
        };
        let Counted { overruns, forged, stray, unplugged } = self.counted;
        Traffic {
            links: self.ways.iter().enumerate().filter(|(_, way)| way.frames > 0).map(link).collect(),
            rules: self.counters.clone(),
            overruns,
            forged,
            stray,
            unplugged,
            unrecorded: 0,
        }
    }

    fn way(&self, from: usize, to: usize) -> usize {
        from * self.endpoints.len() + to
    }

    /// The place of a rule's counters.
    fn slot(&mut self, rule: u64) -> usize {
        if let Some(known) = self.counters.iter().rposition(|counter| counter.rule == rule) {
            return known;
        }
        self.counters.push(RuleTraffic { rule, ..RuleTraffic::default() });
        self.counters.len() - 1
    }
}
