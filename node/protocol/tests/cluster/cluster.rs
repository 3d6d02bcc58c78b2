//! The in-memory cluster: real cores, real bytes, and a world in which everything is a choice of the seed.
//!
//! One queue holds all that is due - a message's arrival, a timer, the end of an fsync, a fault - and one loop takes the
//! earliest. Time is virtual, every node has a clock of its own that runs a little wrong, and nothing else decides.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use dsbench_protocol::{Answer, Asker, Config, Cx, Effect, Event, Mark, Process, Sensor, Timer};
use dsbench_wire::{Endpoint, Entry, Envelope, Message, NodeId, Record as Saved, RequestId, Term, View};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;

use crate::chance::{self, Chance};
use crate::clients::Clients;
use crate::disk::Disk;
use crate::faults::What;
use crate::network::Network;

/// A cluster of sensor nodes in virtual time.
#[derive(Debug)]
pub(crate) struct Cluster {
    seed: u64,
    pub(crate) now: Duration,
    queue: BTreeMap<(Duration, u64), Due>,
    queued: u64,
    /// How many things have happened.
    pub(crate) steps: u64,
    nodes: BTreeMap<NodeId, Node>,
    pub(crate) network: Network,
    /// What the nodes told people, in order.
    pub(crate) records: Vec<Record>,
    /// When which node handed an entry to its disk.
    pub(crate) stored: Vec<(Duration, NodeId)>,
    /// With what each leader began.
    pub(crate) elected: BTreeMap<(NodeId, Term), Elected>,
    pub(crate) clients: Clients,
    /// No multicast arrives.
    pub(crate) is_multicast_lost: bool,
    /// Nor any broadcast.
    pub(crate) is_broadcast_lost: bool,
    digest: u64,
    /// Every message goes through the codec.
    is_encoded: bool,
    trace: Option<Vec<String>>,
}

/// The members by whose votes a leader leads, and its log.
#[derive(Debug)]
pub(crate) struct Elected {
    pub(crate) members: Vec<NodeId>,
    pub(crate) log: Vec<Entry>,
}

/// One line of a node's log.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) at: Duration,
    pub(crate) node: NodeId,
    /// Which life of the node, from 1.
    pub(crate) life: u32,
    pub(crate) event: Event,
}

#[derive(Debug)]
struct Node {
    config: Config,
    disk: Disk,
    /// How long an fsync takes at most.
    fsync_max: Duration,
    lives: u32,
    /// How many disks it has lost.
    wiped: u32,
    /// How much faster than true time its clock runs, in millionths.
    drift_ppm: i64,
    chance: Chance,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    sensor: Sensor,
    rng: Pcg64Mcg,
    started: Duration,
    /// The generation of each armed timer: an older one that comes due means nothing.
    timers: BTreeMap<Timer, u64>,
    /// Whom it can send to.
    peers: BTreeSet<NodeId>,
    /// What waits for the disk, in order.
    held: VecDeque<Held>,
    paused: Option<Paused>,
    /// It hands over, and leaves when it is not needed any more; then it is down for so long, or for good.
    leaving: Option<Option<Duration>>,
}

/// What the world did while a process stood still.
#[derive(Debug)]
struct Paused {
    since: Duration,
    inbox: Vec<Envelope>,
    ended: Vec<NodeId>,
    due: Vec<(Timer, u64)>,
    synced: Option<u64>,
}

#[derive(Debug)]
enum Held {
    Until(u64),
    Send(NodeId, Message),
    Event(Event),
    Answer(Asker, Answer),
    Forget(NodeId),
    More,
}

#[derive(Debug)]
enum Due {
    Arrival(Envelope),
    /// A node learns that the process of another seems to have ended, rightly or not.
    Ended {
        node: NodeId,
        peer: NodeId,
    },
    Request {
        node: NodeId,
        text: String,
    },
    Client(usize),
    More(NodeId, u32),
    Timer {
        node: NodeId,
        life: u32,
        timer: Timer,
        generation: u64,
    },
    Synced {
        node: NodeId,
        life: u32,
    },
    Fault(What),
    Restart(NodeId),
    Resume(NodeId, u32),
    /// The driver of a node that is about to leave has no more patience.
    Leave(NodeId, u32),
}

/// How long a node that leaves may hand over.
const HAND_OVER_PATIENCE: Duration = Duration::from_millis(400);

impl Cluster {
    /// A cluster of `peer1` to `peerN`, all down, with `config` for all of them.
    pub(crate) fn new(seed: u64, size: usize, config: impl Fn(&NodeId, Vec<NodeId>) -> Config) -> Self {
        let ids: Vec<NodeId> = (1..=size).map(peer).collect();
        let node = |id: &NodeId| {
            let mut chance = Chance::of(seed, &format!("node/{id}"));
            Node {
                config: config(id, ids.clone()),
                disk: Disk::default(),
                fsync_max: Duration::from_millis(4),
                lives: 0,
                wiped: 0,
                drift_ppm: chance.below(20_001) as i64 - 10_000,
                chance,
                running: None,
            }
        };
        Self {
            seed,
            now: Duration::ZERO,
            queue: BTreeMap::new(),
            queued: 0,
            steps: 0,
            nodes: ids.iter().map(|id| (id.clone(), node(id))).collect(),
            network: Network::new(seed),
            records: Vec::new(),
            stored: Vec::new(),
            elected: BTreeMap::new(),
            clients: Clients::default(),
            is_multicast_lost: false,
            is_broadcast_lost: false,
            digest: chance::FNV_START,
            is_encoded: seed.is_multiple_of(16),
            trace: None,
        }
    }

    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().cloned().collect()
    }

    /// Keeps every message, fault and log line for people.
    pub(crate) fn keep_trace(&mut self) {
        self.trace = Some(Vec::new());
    }

    pub(crate) fn trace(&self) -> &[String] {
        self.trace.as_deref().unwrap_or_default()
    }

    /// The hash of everything that was delivered and told, and when.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    // ---- time ----

    /// Lets everything happen that is due within `span`.
    pub(crate) fn run_for(&mut self, span: Duration) {
        let until = self.now + span;
        while self.queue.first_key_value().is_some_and(|(&(at, _), _)| at <= until) {
            self.step();
        }
        self.now = until;
    }

    /// Runs until `holds`, or for `limit` in vain.
    pub(crate) fn run_until(&mut self, limit: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let until = self.now + limit;
        while !holds(self) {
            if self.queue.first_key_value().is_none_or(|(&(at, _), _)| at > until) {
                self.now = until;
                return false;
            }
            self.step();
        }
        true
    }

    /// Performs the earliest thing that is due before `end`. False when there is none; then it is `end`.
    pub(crate) fn step_before(&mut self, end: Duration) -> bool {
        let is_due = self.queue.first_key_value().is_some_and(|(&(at, _), _)| at < end);
        if is_due {
            self.step();
        } else {
            self.now = end;
        }
        is_due
    }

    /// Performs the earliest thing that is due.
    pub(crate) fn step(&mut self) {
        let Some(((at, _), due)) = self.queue.pop_first() else { return };
        self.now = at;
        self.steps += 1;
        match due {
            Due::Arrival(envelope) => self.arrive(envelope),
            Due::Ended { node, peer } => self.ended(&node, &peer),
            Due::Request { node, text } => self.request(&node, Asker(0), None, text),
            Due::Client(n) => self.client_due(n),
            Due::More(node, life) if self.nodes[&node].lives == life => self.call(&node, Process::more),
            Due::More(..) => {}
            Due::Timer { node, life, timer, generation } => self.timer_due(&node, life, timer, generation),
            Due::Synced { node, life } => self.synced(&node, life),
            Due::Fault(what) => self.break_it(what),
            Due::Restart(id) => self.start(&id),
            Due::Resume(id, life) if self.nodes[&id].lives == life => self.resume(&id),
            Due::Resume(..) => {}
            Due::Leave(id, life) if self.nodes[&id].lives == life => self.go(&id),
            Due::Leave(..) => {}
        }
    }

    fn at(&mut self, at: Duration, due: Due) {
        self.queued += 1;
        self.queue.insert((at, self.queued), due);
    }

    pub(crate) fn start_at(&mut self, at: Duration, id: &NodeId) {
        self.at(at, Due::Restart(id.clone()));
    }

    pub(crate) fn fault_at(&mut self, at: Duration, what: What) {
        self.at(at, Due::Fault(what));
    }

    // ---- the life of a process ----

    pub(crate) fn start_all(&mut self) {
        for id in self.ids() {
            self.start(&id);
        }
    }

    /// Starts a process that is down, with what its disk holds.
    pub(crate) fn start(&mut self, id: &NodeId) {
        let (now, seed) = (self.now, self.seed);
        let node = self.nodes.get_mut(id).expect("a node of this cluster");
        if node.running.is_some() {
            return;
        }
        node.lives += 1;
        node.running = Some(Running {
            sensor: Sensor::new(node.config.clone()).expect("knobs that work"),
            rng: Pcg64Mcg::seed_from_u64(chance::key(seed, &format!("core/{id}/{}", node.lives))),
            started: now,
            timers: BTreeMap::new(),
            peers: BTreeSet::new(),
            held: VecDeque::new(),
            paused: None,
            leaving: None,
        });
        let recovered = node.disk.recover();
        self.tell(|| format!("{id} ! starts with {recovered:?}"));
        self.call(id, |sensor, cx| sensor.start(recovered, cx));
    }

    /// SIGKILL: what was handed to the operating system survives.
    pub(crate) fn kill(&mut self, id: &NodeId) {
        let node = self.nodes.get_mut(id).expect("a node of this cluster");
        if node.running.take().is_some() {
            node.disk.kill();
            self.tell(|| format!("{id} ! killed"));
            self.refuse_connections(id);
        }
    }

    /// Power loss: what was not synced is gone.
    pub(crate) fn lose_power(&mut self, id: &NodeId) {
        let node = self.nodes.get_mut(id).expect("a node of this cluster");
        if node.running.take().is_some() {
            let is_in_time = node.chance.permille(500);
            node.disk.lose_power(is_in_time);
            let left = node.disk.recover();
            self.tell(|| format!("{id} ! loses power, its disk holds {left:?}"));
        }
    }

    /// SIGTERM: hands over, says goodbye and ends.
    pub(crate) fn leave(&mut self, id: &NodeId) {
        self.leave_for(id, None);
    }

    fn leave_for(&mut self, id: &NodeId, down: Option<Duration>) {
        self.resume(id);
        let Some(running) = self.running(id).filter(|running| running.leaving.is_none()) else { return };
        running.leaving = Some(down);
        self.tell(|| format!("{id} ! is asked to leave"));
        self.at(self.now + HAND_OVER_PATIENCE, Due::Leave(id.clone(), self.nodes[id].lives));
        self.call(id, |sensor, cx| sensor.hand_over(cx));
    }

    /// Who is about to leave says goodbye and ends.
    fn go(&mut self, id: &NodeId) {
        let Some(down) = self.running(id).and_then(|running| running.leaving.take()) else { return };
        self.resume(id);
        self.call(id, |sensor, cx| sensor.leave(cx));
        let node = self.nodes.get_mut(id).expect("a node of this cluster");
        node.running = None;
        node.disk.kill();
        self.refuse_connections(id);
        if let Some(down) = down {
            self.at(self.now + down, Due::Restart(id.clone()));
        }
    }

    /// The host of a process that has ended closes its connections and refuses others: most of its peers learn that, and each at
    /// another time. It may be running again by then.
    fn refuse_connections(&mut self, id: &NodeId) {
        let life = self.nodes[id].lives;
        for node in self.ids().into_iter().filter(|node| node != id) {
            let mut chance = Chance::of(self.seed, &format!("ended/{id}/{life}/{node}"));
            if chance.permille(800) {
                let delay = chance.between(Duration::from_millis(1), Duration::from_millis(120));
                self.ended_at(self.now + delay, &node, id);
            }
        }
    }

    pub(crate) fn ended_at(&mut self, at: Duration, node: &NodeId, peer: &NodeId) {
        self.at(at, Due::Ended { node: node.clone(), peer: peer.clone() });
    }

    pub(crate) fn pause(&mut self, id: &NodeId) {
        let since = self.now;
        if let Some(running) = self.running(id)
            && running.paused.is_none()
        {
            running.paused =
                Some(Paused { since, inbox: Vec::new(), ended: Vec::new(), due: Vec::new(), synced: None });
            self.tell(|| format!("{id} ! paused"));
        }
    }

    /// Continues as a process does whose runtime keeps its contract: messages that waited, the stall, then timers.
    pub(crate) fn resume(&mut self, id: &NodeId) {
        let Some(paused) = self.running(id).and_then(|running| running.paused.take()) else { return };
        let stood_still = self.now - paused.since;
        self.tell(|| format!("{id} ! resumes after {stood_still:?}"));
        if let Some(upto) = paused.synced {
            self.release(id, upto);
        }
        for envelope in paused.inbox {
            self.arrive(envelope);
        }
        for peer in paused.ended {
            self.ended(id, &peer);
        }
        self.call(id, |sensor, cx| sensor.stalled(stood_still, cx));
        let life = self.nodes[id].lives;
        for (timer, generation) in paused.due {
            self.timer_due(id, life, timer, generation);
        }
    }

    fn running(&mut self, id: &NodeId) -> Option<&mut Running> {
        self.nodes.get_mut(id)?.running.as_mut()
    }

    // ---- what happens to a process ----

    fn arrive(&mut self, envelope: Envelope) {
        let Some(running) = self.running(&envelope.to) else { return };
        if let Some(paused) = &mut running.paused {
            paused.inbox.push(envelope);
            return;
        }
        self.note(envelope.message.name().as_bytes());
        self.note(&envelope.message.term().0.to_le_bytes());
        self.tell(|| format!("{} < {} term={}", envelope.to, Shown(&envelope), envelope.message.term()));
        let Envelope { from, to, message } = envelope;
        self.call(&to, |sensor, cx| sensor.message(&from, message, cx));
    }

    fn ended(&mut self, id: &NodeId, peer: &NodeId) {
        let Some(running) = self.running(id).filter(|running| running.peers.contains(peer)) else { return };
        if let Some(paused) = &mut running.paused {
            paused.ended.push(peer.clone());
            return;
        }
        self.note(format!("{id} {peer} ended").as_bytes());
        self.tell(|| format!("{id} ! hears that {peer} seems to have ended"));
        self.call(id, |sensor, cx| sensor.ended(peer, cx));
    }

    /// A line from anybody, whoever it says it is from.
    pub(crate) fn is_told(&mut self, from: &str, to: &NodeId, message: Message) {
        let from = from.parse().expect("an id");
        self.arrive(Envelope { from, to: to.clone(), message });
    }

    /// Takes what happens now into the hash of all that happens.
    fn note(&mut self, bytes: &[u8]) {
        self.digest = chance::fnv(self.digest, bytes);
        self.digest = chance::fnv(self.digest, &(self.now.as_nanos() as u64).to_le_bytes());
    }

    /// Somebody asks a node that is up for something; a node that stands still is not asked.
    pub(crate) fn request(&mut self, id: &NodeId, asker: Asker, request: Option<RequestId>, text: String) {
        if self.running(id).is_some_and(|running| running.paused.is_none()) {
            self.tell(|| format!("{id} ! is asked for {text} by {asker:?}"));
            self.call(id, |sensor, cx| sensor.request(asker, request, text, cx));
        }
    }

    pub(crate) fn request_at(&mut self, at: Duration, node: &NodeId, text: String) {
        self.at(at, Due::Request { node: node.clone(), text });
    }

    pub(crate) fn client_at(&mut self, at: Duration, n: usize) {
        self.at(at, Due::Client(n));
    }

    fn timer_due(&mut self, id: &NodeId, life: u32, timer: Timer, generation: u64) {
        if self.nodes[id].lives != life {
            return;
        }
        let Some(running) = self.running(id) else { return };
        if running.timers.get(&timer) != Some(&generation) {
            return;
        }
        if let Some(paused) = &mut running.paused {
            paused.due.push((timer, generation));
            return;
        }
        running.timers.remove(&timer);
        self.call(id, |sensor, cx| sensor.timer(timer, cx));
    }

    fn synced(&mut self, id: &NodeId, life: u32) {
        let node = self.nodes.get_mut(id).expect("a node of this cluster");
        if node.lives != life || node.running.is_none() {
            return;
        }
        let Some(upto) = node.disk.end_sync() else { return };
        match self.running(id).and_then(|running| running.paused.as_mut()) {
            Some(paused) => paused.synced = Some(upto),
            None => self.release(id, upto),
        }
        self.sync(id);
    }

    fn sync(&mut self, id: &NodeId) {
        let node = self.nodes.get_mut(id).expect("a node of this cluster");
        if node.disk.begin_sync() {
            let took = node.chance.between(node.fsync_max / 8, node.fsync_max);
            let due = Due::Synced { node: id.clone(), life: node.lives };
            self.at(self.now + took, due);
        }
    }

    /// Lets go of what waited for the disk up to `upto`.
    fn release(&mut self, id: &NodeId, upto: u64) {
        self.call(id, |sensor, cx| sensor.persisted(Mark(upto), cx));
        while let Some(running) = self.running(id)
            && let Some(held) = running.held.front()
            && !matches!(held, Held::Until(ticket) if *ticket > upto)
        {
            match running.held.pop_front().expect("seen above") {
                Held::Until(_) => {}
                Held::Send(to, message) => self.send(id, to, message),
                Held::Event(event) => self.record(id, event),
                Held::Answer(asker, answer) => self.answer(id, asker, answer),
                Held::Forget(peer) => self.forget(id, &peer),
                Held::More => self.more(id),
            }
        }
    }

    /// Lets a core handle one event, and performs what it wants done.
    fn call(&mut self, id: &NodeId, handle: impl FnOnce(&mut Sensor, &mut Cx<'_, Sensor>)) {
        let true_now = self.now;
        let node = self.nodes.get_mut(id).expect("a node of this cluster");
        let drift = node.drift_ppm;
        let Some(running) = &mut node.running else { return };
        let now = scaled(true_now - running.started, 1_000_000 + drift, 1_000_000);
        let mut effects = Vec::new();
        handle(&mut running.sensor, &mut Cx::new(id, now, &mut running.rng, &node.disk, &mut effects));
        let members: Vec<_> = running.sensor.view().members.keys().cloned().collect();
        for effect in effects {
            if let Effect::Event(Event::BecameLeader { term, .. }) = effect {
                // As it is at the moment of the election; its line may be told later.
                let log = self.nodes[id].disk.whole_log();
                self.elected.insert((id.clone(), term), Elected { members: members.clone(), log });
            }
            self.perform(id, effect);
        }
        if self.running(id).is_some_and(|running| running.leaving.is_some() && !running.sensor.is_needed()) {
            self.go(id);
        }
    }

    fn perform(&mut self, id: &NodeId, effect: Effect<Sensor>) {
        match effect {
            Effect::Persist(record) => self.persist(id, record),
            Effect::SendNow(to, message) => self.send(id, to, message),
            Effect::Send(to, message) => match self.running(id) {
                Some(running) if !running.held.is_empty() => running.held.push_back(Held::Send(to, message)),
                _ => self.send(id, to, message),
            },
            Effect::Event(event) => match self.running(id) {
                Some(running) if !running.held.is_empty() => running.held.push_back(Held::Event(event)),
                _ => self.record(id, event),
            },
            Effect::Answer(asker, answer) => match self.running(id) {
                Some(running) if !running.held.is_empty() => running.held.push_back(Held::Answer(asker, answer)),
                _ => self.answer(id, asker, answer),
            },
            Effect::Multicast(_) if self.is_multicast_lost => {}
            Effect::Broadcast(_) if self.is_broadcast_lost => {}
            Effect::Multicast(message) | Effect::Broadcast(message) => self.multicast(id, &message),
            Effect::Connect(peer) => {
                if let Some(running) = self.running(id) {
                    // A farewell that still waits for the disk must not undo it.
                    running.held.retain(|held| !matches!(held, Held::Forget(id) if *id == peer.id));
                    running.peers.insert(peer.id);
                }
            }
            Effect::Forget(peer) => match self.running(id) {
                Some(running) if !running.held.is_empty() => running.held.push_back(Held::Forget(peer)),
                _ => self.forget(id, &peer),
            },
            Effect::Fail(reason) => panic!("{id} cannot go on: {reason}"),
            Effect::More => match self.running(id) {
                Some(running) if !running.held.is_empty() => running.held.push_back(Held::More),
                _ => self.more(id),
            },
            Effect::Arm(timer, at) => self.arm(id, timer, at),
            Effect::Disarm(timer) => {
                if let Some(running) = self.running(id) {
                    running.timers.remove(&timer);
                }
            }
        }
    }

    fn persist(&mut self, id: &NodeId, record: Saved) {
        let node = self.nodes.get_mut(id).expect("a node of this cluster");
        let is_lazy = matches!(record, Saved::Applied { .. });
        if matches!(record, Saved::Entry(_)) {
            self.stored.push((self.now, id.clone()));
        }
        let ticket = node.disk.write(record);
        if is_lazy {
            return;
        }
        if let Some(running) = &mut node.running {
            running.held.push_back(Held::Until(ticket));
        }
        self.sync(id);
    }

    fn arm(&mut self, id: &NodeId, timer: Timer, at: Duration) {
        let generation = self.queued;
        let node = self.nodes.get_mut(id).expect("a node of this cluster");
        let (life, drift) = (node.lives, node.drift_ppm);
        let Some(running) = &mut node.running else { return };
        running.timers.insert(timer, generation);
        let due = running.started + scaled(at, 1_000_000, 1_000_000 + drift) + Duration::from_nanos(2);
        self.at(due.max(self.now), Due::Timer { node: id.clone(), life, timer, generation });
    }

    fn send(&mut self, from: &NodeId, to: NodeId, message: Message) {
        if self.running(from).is_some_and(|running| running.peers.contains(&to)) {
            self.carry(from, to, message);
        }
    }

    fn carry(&mut self, from: &NodeId, to: NodeId, message: Message) {
        if !self.nodes.contains_key(&to) {
            return;
        }
        let delays = self.network.carry(from, &to);
        let mut envelope = Envelope { from: from.clone(), to, message };
        if self.is_encoded {
            let line = dsbench_wire::encode(&envelope);
            envelope = dsbench_wire::decode(line.as_bytes()).expect("what a core sends can be read");
        }
        for delay in delays {
            self.at(self.now + delay, Due::Arrival(envelope.clone()));
        }
    }

    /// Whoever reads the log takes a moment.
    fn more(&mut self, id: &NodeId) {
        let life = self.nodes[id].lives;
        self.at(self.now + Duration::from_millis(1), Due::More(id.clone(), life));
    }

    fn forget(&mut self, id: &NodeId, peer: &NodeId) {
        if let Some(running) = self.running(id) {
            running.peers.remove(peer);
        }
    }

    fn multicast(&mut self, from: &NodeId, message: &Message) {
        for to in self.ids().into_iter().filter(|to| to != from) {
            self.carry(from, to, message.clone());
        }
    }

    fn answer(&mut self, id: &NodeId, asker: Asker, answer: Answer) {
        self.tell(|| format!("{id} > {asker:?} {answer}"));
        let now = self.now;
        self.clients.answered(asker, &answer, now);
    }

    /// A client looks at its clock.
    fn client_due(&mut self, n: usize) {
        let ids = self.ids();
        let now = self.now;
        let Some((ask, next)) = self.clients.due(n, now, &ids) else { return };
        self.client_at(next, n);
        if let Some((node, id, text)) = ask {
            self.request(&node, Asker(n as u64 + 1), Some(id), text);
        }
    }

    fn record(&mut self, id: &NodeId, event: Event) {
        self.note(format!("{id} {event}").as_bytes());
        self.tell(|| format!("{id} | {event}"));
        let life = self.nodes[id].lives;
        self.records.push(Record { at: self.now, node: id.clone(), life, event });
    }

    fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>12.6} {}", self.now.as_secs_f64(), line()));
        }
    }

    // ---- faults ----

    fn break_it(&mut self, what: What) {
        self.tell(|| format!("! {what}"));
        match what {
            What::Partition(groups) => self.partition(&groups),
            What::OneWay { from, to } => self.network.cut(&from, &to),
            What::Link { from, to, rule } => self.network.degrade(&from, &to, rule),
            What::Storm(rule) => {
                let ids = self.ids();
                for (from, to) in ids.iter().flat_map(|from| ids.iter().map(move |to| (from, to))) {
                    self.network.degrade(from, to, rule);
                }
            }
            What::Heal => self.network.heal(),
            What::Pause(id, span) => {
                self.pause(&id);
                let life = self.nodes[&id].lives;
                self.at(self.now + span, Due::Resume(id, life));
            }
            What::Kill(id, down) => {
                self.kill(&id);
                self.at(self.now + down, Due::Restart(id));
            }
            What::LosePower(id, down) => {
                self.lose_power(&id);
                self.at(self.now + down, Due::Restart(id));
            }
            What::Leave(id, down) => self.leave_for(&id, Some(down)),
            What::SlowDisk(id, fsync_max) => self.set_fsync(&id, fsync_max),
            What::Wipe(id, down) => {
                if self.can_spare(&id) {
                    self.wipe(&id);
                } else {
                    self.kill(&id);
                }
                self.at(self.now + down, Due::Restart(id));
            }
            What::BlackOut(down) => {
                for id in self.ids() {
                    self.lose_power(&id);
                    self.at(self.now + down, Due::Restart(id));
                }
            }
        }
    }

    /// The disk is gone, and with it all that the node had promised.
    pub(crate) fn wipe(&mut self, id: &NodeId) {
        let node = self.nodes.get_mut(id).expect("a node of this cluster");
        // With its machine: no host is left that would refuse a connection.
        node.running = None;
        node.disk.wipe();
        node.wiped += 1;
        self.tell(|| format!("{id} ! has a new disk"));
    }

    /// Whether the others can do without this node's disk: whatever view is in force anywhere knows which disk it is, the other
    /// members are a majority, and all of them are there. (A view that shrinks to two while one of the two loses its disk is
    /// stuck, and so is any protocol that lets views shrink.)
    fn can_spare(&self, id: &NodeId) -> bool {
        let Some(incarnation) = self.nodes[id].disk.incarnation() else { return false };
        let others = self.nodes.iter().filter(|&(other, _)| other != id);
        let is_up = |node: &Node| node.running.as_ref().is_some_and(|running| running.paused.is_none());
        if !self.network.is_well() || !others.clone().all(|(_, node)| is_up(node)) {
            return false;
        }
        let mut views = others.map(|(_, node)| node.disk.latest_view());
        let is_known = |view: &View| {
            let known = view.members.values().chain(view.learners.values()).all(|peer| peer.incarnation != 0);
            let mine = view.peer(id).is_none_or(|peer| peer.incarnation == incarnation);
            known && mine && view.members.keys().filter(|member| *member != id).count() >= view.majority()
        };
        self.nodes.values().all(|node| node.wiped == 0) && views.all(|view| view.is_some_and(|view| is_known(&view)))
    }

    /// Only members of the same group reach each other, replacing any earlier partition.
    pub(crate) fn partition(&mut self, groups: &[Vec<NodeId>]) {
        self.network.mend();
        let group_of = |id: &NodeId| groups.iter().position(|group| group.contains(id));
        let ids = self.ids();
        for from in &ids {
            for to in ids.iter().filter(|&to| group_of(from) != group_of(to)) {
                self.network.cut(from, to);
            }
        }
    }

    pub(crate) fn set_fsync(&mut self, id: &NodeId, fsync_max: Duration) {
        self.nodes.get_mut(id).expect("a node of this cluster").fsync_max = fsync_max;
    }

    pub(crate) fn lie_about_syncs(&mut self, id: &NodeId) {
        self.nodes.get_mut(id).expect("a node of this cluster").disk.is_lying = true;
    }

    /// Undoes every fault: links, disks, pauses; and starts who is down.
    pub(crate) fn heal_everything(&mut self) {
        self.tell(|| "! everything heals".to_owned());
        self.queue.retain(|_, due| !matches!(due, Due::Fault(_) | Due::Request { .. } | Due::Ended { .. }));
        self.clients.ask_no_more();
        self.network.heal();
        for id in self.ids() {
            self.set_fsync(&id, Duration::from_millis(4));
            self.resume(&id);
            self.go(&id);
            self.start(&id);
        }
    }

    // ---- what is the case ----

    /// The members of the view in force, as a node knows it.
    pub(crate) fn members(&self, id: &NodeId) -> Vec<NodeId> {
        self.sensor(id).map_or_else(Vec::new, |sensor| sensor.view().members.keys().cloned().collect())
    }

    /// Whom a node has a connection to, or tries to.
    pub(crate) fn dialled(&self, id: &NodeId) -> impl Iterator<Item = &NodeId> {
        self.nodes[id].running.iter().flat_map(|running| &running.peers)
    }

    /// Which life of a node this is, from 1, and how many disks it has lost.
    pub(crate) fn life(&self, id: &NodeId) -> (u32, u32) {
        (self.nodes[id].lives, self.nodes[id].wiped)
    }

    /// A node's log, with what is on its way to the disk.
    pub(crate) fn log(&self, id: &NodeId) -> Vec<Entry> {
        self.nodes[id].disk.whole_log()
    }

    pub(crate) fn retain(&mut self, entries: u64) {
        for node in self.nodes.values_mut() {
            node.disk.retain(entries);
        }
    }

    pub(crate) fn sensor(&self, id: &NodeId) -> Option<&Sensor> {
        Some(&self.nodes[id].running.as_ref()?.sensor)
    }

    /// The leader whom every node follows, in one term, if there is one: all are up, and nobody else leads.
    pub(crate) fn agreed_leader(&self) -> Option<(NodeId, Term)> {
        let all: Vec<_> = self.nodes.keys().collect();
        self.agreed_among(&all)
    }

    /// The same, while `absent` is down.
    pub(crate) fn agreed_without(&self, absent: &NodeId) -> Option<NodeId> {
        let others: Vec<_> = self.nodes.keys().filter(|&id| id != absent).collect();
        self.agreed_among(&others).map(|(leader, _)| leader)
    }

    fn agreed_among(&self, ids: &[&NodeId]) -> Option<(NodeId, Term)> {
        let view = |id: &&NodeId| {
            let sensor = self.sensor(id)?;
            let leader = sensor.leader()?;
            (sensor.is_leader() == (leader == *id)).then_some((leader.clone(), sensor.term()))
        };
        let views: Vec<_> = ids.iter().map(view).collect::<Option<_>>()?;
        let first = views.first()?;
        let is_one = views.iter().all(|view| view == first) && self.leaders() == [first.0.clone()];
        is_one.then(|| first.clone())
    }

    /// Who leads, by its own account.
    pub(crate) fn leaders(&self) -> Vec<NodeId> {
        let leads = |id: &NodeId| self.sensor(id).is_some_and(Sensor::is_leader);
        self.nodes.keys().filter(|id| leads(id)).cloned().collect()
    }

    /// Who leads which term, by its own account, and whether it stands still meanwhile.
    pub(crate) fn leaderships(&self) -> Vec<(NodeId, Term, bool)> {
        let running = self.nodes.iter().filter_map(|(id, node)| Some((id, node.running.as_ref()?)));
        let leading = running.filter(|(_, running)| running.sensor.is_leader());
        leading.map(|(id, running)| (id.clone(), running.sensor.term(), running.paused.is_some())).collect()
    }

    /// Whom a node takes for the leader.
    pub(crate) fn leader_of(&self, id: &NodeId) -> Option<NodeId> {
        self.sensor(id)?.leader().cloned()
    }
}

/// The endpoints of `ids`, such as a static list has them.
pub(crate) fn endpoints(ids: &[NodeId]) -> BTreeMap<NodeId, Endpoint> {
    ids.iter().map(|id| (id.clone(), endpoint(id))).collect()
}

/// `peer3:7000`
pub(crate) fn endpoint(id: &NodeId) -> Endpoint {
    format!("{id}:7000").parse().expect("an endpoint")
}

/// `peer3`
pub(crate) fn peer(n: usize) -> NodeId {
    format!("peer{n}").parse().expect("an id")
}

fn scaled(span: Duration, numerator: i64, denominator: i64) -> Duration {
    let nanos = span.as_nanos() * numerator as u128 / denominator as u128;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// A message with the one who sent it.
struct Shown<'a>(&'a Envelope);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let documented = self.0.documented().to_string();
        f.write_str(&documented)?;
        if documented.contains(':') { Ok(()) } else { write!(f, " from={}", self.0.from) }
    }
}
