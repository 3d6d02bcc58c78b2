//! Three chat nodes in memory: what they say is in the test's hands, as lines of the documented protocol, and time is virtual.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use dsbench_protocol::{
    Answer, Archive, Asker, Chat, Config, Cx, Effect, Event, Founding, Mark, Process, Takeover, Timer,
};
use dsbench_wire::{Endpoint, Entry, NodeId, Record, Recovered, RoomId, Term, chat, room};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};
use serde_json::Value;

/// The documented defaults.
pub(super) const LEADER_TIMEOUT: Duration = Duration::from_millis(2500);
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(800);
const ELECTION_TIMEOUT: Duration = Duration::from_millis(1000);
/// Virtual: ends a story that does not come to its end.
const LIMIT: Duration = Duration::from_secs(600);

/// A message on its way.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) from: u64,
    pub(super) to: u64,
    /// What stands on the wire.
    pub(super) json: Value,
}

impl Line {
    pub(super) fn is(&self, kind: &str) -> bool {
        self.json["type"] == kind
    }
}

/// What a test does with a message that is about to arrive.
pub(super) enum Fate {
    Arrives,
    ArrivesTwice,
    /// Kept until [`Stage::heals`].
    Held,
    Lost,
}

type Wire = Box<dyn FnMut(&Line) -> Fate>;

pub(super) struct Stage {
    nodes: BTreeMap<u64, Node>,
    now: Duration,
    travelling: VecDeque<Line>,
    wire: Wire,
    /// Takes any message next, not the one that was sent first.
    shuffles: Option<Pcg64Mcg>,
    pub(super) held: Vec<Line>,
    /// All that was ever sent.
    pub(super) said: Vec<Line>,
}

struct Node {
    me: NodeId,
    place: Endpoint,
    chat: Chat,
    rng: Pcg64Mcg,
    disk: Disk,
    timers: BTreeMap<Timer, Duration>,
    told: Vec<(Duration, Event)>,
    answers: Vec<Answer>,
}

/// Every record is durable at once.
#[derive(Default)]
struct Disk {
    log: Vec<Entry>,
    marks: u64,
}

impl Archive for Disk {
    fn entries(&self, from: u64, max_bytes: usize) -> Vec<Entry> {
        let mut weight = 0;
        let wanted = self.log.iter().filter(|entry| entry.index >= from).enumerate();
        let fitting = wanted.take_while(|(n, entry)| {
            weight += entry.weight();
            *n == 0 || weight <= max_bytes
        });
        fitting.map(|(_, entry)| entry.clone()).collect()
    }

    fn term_at(&self, index: u64) -> Option<Term> {
        self.log.iter().find(|entry| entry.index == index).map(|entry| entry.term)
    }
}

fn place(n: u64) -> Endpoint {
    format!("127.0.0.1:{}", 5000 + n).parse().unwrap()
}

fn id(n: u64) -> NodeId {
    n.to_string().parse().unwrap()
}

fn number(id: &NodeId) -> u64 {
    id.as_str().parse().unwrap()
}

impl Stage {
    /// Nodes 1, 2 and 3, which list each other, as they start.
    pub(super) fn begins() -> Self {
        let mut stage = Self {
            nodes: BTreeMap::new(),
            now: Duration::ZERO,
            travelling: VecDeque::new(),
            wire: Box::new(|_| Fate::Arrives),
            shuffles: None,
            held: Vec::new(),
            said: Vec::new(),
        };
        for n in 1..=3 {
            let contacts = (1..=3).filter(|&other| other != n).map(|other| (id(other), place(other))).collect();
            let config = Config {
                contacts,
                takeover: Takeover::Sticky,
                heartbeat_interval: HEARTBEAT_INTERVAL,
                heartbeat_timeout: LEADER_TIMEOUT,
                election_timeout: ELECTION_TIMEOUT,
                ..Config::new(place(n), Founding::Expect(3))
            };
            let node = Node {
                me: id(n),
                place: place(n),
                chat: Chat::new(config).unwrap(),
                rng: Pcg64Mcg::seed_from_u64(n),
                disk: Disk::default(),
                timers: BTreeMap::new(),
                told: Vec::new(),
                answers: Vec::new(),
            };
            stage.nodes.insert(n, node);
        }
        for n in 1..=3 {
            stage.call(n, |chat, cx| chat.start(Recovered::default(), cx));
        }
        stage
    }

    /// The same when node 3, the highest, leads and everybody knows it.
    pub(super) fn led_by_three() -> Self {
        let mut stage = Self::begins();
        stage.until("node 3 leads", |stage| {
            (1..=3).all(|n| stage.leader(n) == Some(3) && stage.node(n).chat.is_member())
        });
        // The leader then knows how far everybody is.
        stage.passes(HEARTBEAT_INTERVAL);
        stage
    }

    pub(super) fn now(&self) -> Duration {
        self.now
    }

    fn node(&self, n: u64) -> &Node {
        &self.nodes[&n]
    }

    pub(super) fn leader(&self, n: u64) -> Option<u64> {
        self.node(n).chat.leader().map(number)
    }

    pub(super) fn term(&self, n: u64) -> u64 {
        self.node(n).chat.term().0
    }

    /// What a node told people since it started, and when.
    pub(super) fn told(&self, n: u64) -> &[(Duration, Event)] {
        &self.node(n).told
    }

    /// When it first told such an event.
    pub(super) fn when(&self, n: u64, is_it: impl Fn(&Event) -> bool) -> Option<Duration> {
        self.told(n).iter().find(|(_, event)| is_it(event)).map(|(when, _)| *when)
    }

    /// What a node has delivered, each with its number.
    pub(super) fn delivered(&self, n: u64) -> Vec<(u64, String)> {
        let delivery = |event: &Event| match event {
            Event::Delivered { seq, text, .. } => Some((*seq, text.to_string())),
            _ => None,
        };
        self.told(n).iter().filter_map(|(_, event)| delivery(event)).collect()
    }

    pub(super) fn answers(&self, n: u64) -> &[Answer] {
        &self.node(n).answers
    }

    /// A person at a node sends to a room.
    pub(super) fn sends(&mut self, n: u64, room: &str, text: &str) {
        self.asks(n, None, room, text);
    }

    /// A client of a node sends to a room, under a name of its own if it has one.
    pub(super) fn asks(&mut self, n: u64, name: Option<&str>, room: &str, text: &str) {
        let payload = room::payload(&room.parse::<RoomId>().unwrap(), text);
        let name = name.map(|name| name.parse().unwrap());
        self.call(n, |chat, cx| chat.request(Asker(n), name, payload, cx));
    }

    /// From now on, `wire` decides about every message when it would arrive.
    pub(super) fn wire(&mut self, wire: impl FnMut(&Line) -> Fate + 'static) {
        self.wire = Box::new(wire);
    }

    /// From now on, messages overtake each other, as `seed` has it.
    pub(super) fn shuffles(&mut self, seed: u64) {
        self.shuffles = Some(Pcg64Mcg::seed_from_u64(seed));
    }

    /// The wire is as good as new, and what was held arrives.
    pub(super) fn heals(&mut self) {
        self.wire = Box::new(|_| Fate::Arrives);
        self.travelling.extend(self.held.drain(..));
    }

    /// This message arrives now, before all others.
    pub(super) fn brings(&mut self, line: &Line) {
        self.arrives(line);
        self.all_arrive();
    }

    /// A message that nobody on the stage has sent.
    pub(super) fn forges(&mut self, from: u64, to: u64, json: Value) {
        self.travelling.push_back(Line { from, to, json });
    }

    /// It is gone, with all that was on its way to it.
    pub(super) fn crashes(&mut self, n: u64) {
        self.nodes.remove(&n);
    }

    /// Lets messages arrive, and time pass where none is on its way, until `holds`.
    pub(super) fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        while !holds(self) {
            assert!(self.now < LIMIT, "never: {what}\n{self}");
            if !self.one_arrives() {
                let next = self.nodes.values().flat_map(|node| node.timers.values()).min();
                self.now = self.now.max(*next.expect("somebody waits for something"));
                self.timers_fire();
            }
        }
    }

    /// Lets messages arrive, until none is on its way. No time passes.
    pub(super) fn all_arrive(&mut self) {
        while self.one_arrives() {}
    }

    /// Lets `span` pass, with everything that happens in it.
    pub(super) fn passes(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.all_arrive();
            let next = self.nodes.values().flat_map(|node| node.timers.values()).min();
            match next {
                Some(&next) if next <= end => {
                    self.now = self.now.max(next);
                    self.timers_fire();
                }
                _ => break self.now = end,
            }
        }
    }

    fn one_arrives(&mut self) -> bool {
        let at = match &mut self.shuffles {
            Some(rng) if !self.travelling.is_empty() => rng.next_u64() as usize % self.travelling.len(),
            _ => 0,
        };
        let Some(line) = self.travelling.remove(at) else { return false };
        match (self.wire)(&line) {
            Fate::Arrives => self.arrives(&line),
            Fate::ArrivesTwice => {
                self.arrives(&line);
                self.arrives(&line);
            }
            Fate::Held => self.held.push(line),
            Fate::Lost => {}
        }
        true
    }

    fn arrives(&mut self, line: &Line) {
        let envelope = chat::decode(line.json.to_string().as_bytes()).unwrap();
        assert_eq!((number(&envelope.from), number(&envelope.to)), (line.from, line.to), "{line:?}");
        if self.nodes.contains_key(&line.to) {
            self.call(line.to, |chat, cx| chat.message(&envelope.from, envelope.message, cx));
        }
    }

    fn timers_fire(&mut self) {
        let all: Vec<u64> = self.nodes.keys().copied().collect();
        for n in all {
            let due = |node: &Node, now| {
                node.timers.iter().filter(|(_, at)| **at <= now).min_by_key(|(_, at)| **at).map(|(&timer, _)| timer)
            };
            while let Some(timer) = self.nodes.get(&n).and_then(|node| due(node, self.now)) {
                self.nodes.get_mut(&n).unwrap().timers.remove(&timer);
                self.call(n, |chat, cx| chat.timer(timer, cx));
            }
        }
    }

    /// Lets a node handle one thing, and the fsyncs that come of it.
    fn call(&mut self, n: u64, handle: impl FnOnce(&mut Chat, &mut Cx<'_, Chat>)) {
        let mut waits = self.handle(n, handle);
        while waits.durable.is_some() || waits.more {
            let durable = waits.durable.take().map(Mark);
            waits = match durable {
                Some(upto) => {
                    let more = waits.more;
                    let then = self.handle(n, |chat, cx| chat.persisted(upto, cx));
                    Waits { more: then.more || more, ..then }
                }
                None => self.handle(n, Process::more),
            };
        }
    }

    fn handle(&mut self, n: u64, handle: impl FnOnce(&mut Chat, &mut Cx<'_, Chat>)) -> Waits {
        let Node { me, place, chat, rng, disk, timers, told, answers } = self.nodes.get_mut(&n).unwrap();
        let mut effects = Vec::new();
        handle(chat, &mut Cx::new(me, self.now, rng, disk, &mut effects));
        let mut waits = Waits::default();
        for effect in effects {
            match effect {
                Effect::Persist(record) => {
                    disk.marks += 1;
                    waits.durable = Some(disk.marks);
                    if let Record::Entry(entry) = record {
                        disk.log.retain(|kept| kept.index < entry.index);
                        disk.log.push(entry);
                    }
                }
                Effect::Send(to, message) | Effect::SendNow(to, message) => {
                    let line = chat::line(me, &to, &chat::body(&message, me, place));
                    let json = serde_json::from_str(&line).unwrap();
                    let line = Line { from: n, to: number(&to), json };
                    self.said.push(line.clone());
                    self.travelling.push_back(line);
                }
                Effect::Arm(timer, at) => {
                    timers.insert(timer, at);
                }
                Effect::Disarm(timer) => {
                    timers.remove(&timer);
                }
                Effect::Event(event) => told.push((self.now, event)),
                Effect::Answer(_, answer) => answers.push(answer),
                Effect::More => waits.more = true,
                Effect::Fail(why) => panic!("node {n} fails: {why}"),
                // Everybody can reach everybody, and the chat speaks over TCP only.
                Effect::Connect(_) | Effect::Forget(_) | Effect::Multicast(_) | Effect::Broadcast(_) => {}
            }
        }
        waits
    }
}

#[derive(Default)]
struct Waits {
    durable: Option<u64>,
    more: bool,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, node) in &self.nodes {
            for (when, event) in &node.told {
                writeln!(f, "  {when:?} node {n}: {event}")?;
            }
        }
        Ok(())
    }
}
