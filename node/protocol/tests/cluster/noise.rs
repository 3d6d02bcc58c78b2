//! One core under nonsense: messages that no correct node would send, in any order, and timers at any time.
//!
//! It need not make sense of them, but it must not panic, vote twice, go back in time, or claim what it has not persisted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dsbench_protocol::{Config, Cx, Effect, Mark, Process, Quorum, Sensor, Takeover, Timer};
use dsbench_wire::{Ballot, Message, NodeId, Position, Record, Term};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;

use crate::chance::Chance;
use crate::cluster::peer;
use crate::disk::Disk;
use crate::schedules::knobs;

#[derive(Debug)]
struct Victim {
    me: NodeId,
    config: Config,
    sensor: Sensor,
    rng: Pcg64Mcg,
    now: Duration,
    timers: BTreeSet<Timer>,
    disk: Disk,
    ballot: Ballot,
    members: Vec<NodeId>,
    votes: BTreeMap<Term, NodeId>,
    round: u64,
}

fn nonsense(chance: &mut Chance, round: u64) -> Message {
    let term = Term(if chance.permille(5) { Term::LAST.0 - chance.below(2) as u64 } else { chance.below(6) as u64 });
    let seq = chance.below(4) as u64;
    let round = if chance.permille(800) { round } else { chance.next() };
    let last = Position { term: Term(chance.below(10) as u64 / 9), index: 0 };
    let granted = chance.permille(800);
    let transfer = chance.permille(300);
    match chance.below(11) {
        0 => Message::Heartbeat { term, seq, commit: 0 },
        1 => Message::HeartbeatAck { term, seq, matched: 0, incarnation: 1 },
        2 => Message::Election { term },
        3 => Message::Ok { term, last },
        4 => Message::Coordinator { term },
        5 => Message::PreVoteRequest { term, round, last, transfer },
        6 => Message::PreVote { term, round, granted, incarnation: 1 },
        7 => Message::VoteRequest { term, last },
        8 => Message::Vote { term, granted, incarnation: 1 },
        9 => Message::TimeoutNow { term },
        _ => Message::Leave { term },
    }
}

impl Victim {
    fn of(chance: &mut Chance) -> Self {
        let members: Vec<_> = (1..=1 + chance.below(4)).map(peer).collect();
        let me = chance.pick(&members).clone();
        let quorum = *chance.pick(&[Quorum::Majority, Quorum::None]);
        let takeover = *chance.pick(&[Takeover::Bully, Takeover::Sticky]);
        let config = Config { quorum, takeover, ..knobs(&me, members.clone()) };
        Self {
            sensor: Sensor::new(config.clone()).expect("knobs that work"),
            rng: Pcg64Mcg::seed_from_u64(chance.next()),
            now: Duration::ZERO,
            timers: BTreeSet::new(),
            disk: Disk::default(),
            ballot: Ballot::default(),
            members: members.clone(),
            votes: BTreeMap::new(),
            round: 0,
            me,
            config,
        }
    }

    fn suffers(&mut self, chance: &mut Chance) {
        self.now += chance.between(Duration::ZERO, Duration::from_millis(150));
        match chance.below(20) {
            0 => {
                let recovered = self.disk.recover();
                self.timers.clear();
                self.sensor = Sensor::new(self.config.clone()).expect("knobs that work");
                self.call(|sensor, cx| sensor.start(recovered, cx));
            }
            1 => {
                let span = chance.between(Duration::ZERO, Duration::from_secs(2));
                self.now += span;
                self.call(|sensor, cx| sensor.stalled(span, cx));
            }
            2..=6 if !self.timers.is_empty() => {
                let timers: Vec<_> = self.timers.iter().copied().collect();
                let timer = *chance.pick(&timers);
                self.timers.remove(&timer);
                self.call(|sensor, cx| sensor.timer(timer, cx));
            }
            _ => {
                let from = peer(1 + chance.below(5));
                let message = nonsense(chance, self.round);
                self.call(|sensor, cx| sensor.message(&from, message, cx));
            }
        }
    }

    /// Lets the core handle one thing, and the end of every fsync that comes of it.
    fn call(&mut self, handle: impl FnOnce(&mut Sensor, &mut Cx<'_, Sensor>)) {
        let mut written = self.handle(handle);
        while let Some(upto) = written {
            self.disk.begin_sync();
            self.disk.end_sync();
            written = self.handle(|sensor, cx| sensor.persisted(Mark(upto), cx));
        }
    }

    /// Gives the ticket of the last record.
    fn handle(&mut self, handle: impl FnOnce(&mut Sensor, &mut Cx<'_, Sensor>)) -> Option<u64> {
        let mut effects = Vec::new();
        handle(&mut self.sensor, &mut Cx::new(&self.me, self.now, &mut self.rng, &self.disk, &mut effects));
        let mut persisted = None;
        for effect in effects {
            match effect {
                Effect::Persist(record) => {
                    persisted = Some(self.disk.write(record.clone()));
                    let Record::Ballot(ballot) = record else { continue };
                    assert!(ballot.term >= self.ballot.term, "terms only grow");
                    if let Some(candidate) = &ballot.voted_for {
                        let given = self.votes.entry(ballot.term).or_insert_with(|| candidate.clone());
                        assert_eq!(given, candidate, "one vote in term {}", ballot.term);
                    }
                    self.ballot = ballot;
                }
                Effect::Multicast(message) | Effect::Broadcast(message) => {
                    assert_eq!(message.term(), self.ballot.term, "every message carries the sender's persisted term");
                }
                Effect::Connect(_) | Effect::Forget(_) | Effect::Answer(..) | Effect::More => {}
                Effect::Send(to, message) | Effect::SendNow(to, message) => self.judge(&to, &message),
                Effect::Arm(timer, at) => {
                    assert!(at >= self.now, "a timer in the past");
                    self.timers.insert(timer);
                }
                Effect::Disarm(timer) => {
                    self.timers.remove(&timer);
                }
                Effect::Event(event) => assert_eq!(event.to_string().lines().count(), 1, "one line"),
            }
        }
        assert_eq!(self.sensor.is_leader(), self.sensor.leader() == Some(&self.me));
        assert_eq!(self.sensor.term(), self.ballot.term, "its term is the persisted one");
        persisted
    }

    fn judge(&mut self, to: &NodeId, message: &Message) {
        assert!(*to != self.me && self.members.contains(to), "sent to {to}");
        assert_eq!(message.term(), self.ballot.term, "every message carries the sender's persisted term");
        match message {
            Message::PreVoteRequest { round, .. } => self.round = *round,
            Message::Vote { granted: true, .. } => assert_eq!(self.ballot.voted_for.as_ref(), Some(to)),
            Message::VoteRequest { .. } => assert_eq!(self.ballot.voted_for.as_ref(), Some(&self.me)),
            _ => {}
        }
    }
}

#[test]
fn nonsense_is_neither_a_panic_nor_a_second_vote() {
    let mut led = 0;
    for seed in 0..2000 {
        let mut chance = Chance::of(seed, "noise");
        let mut victim = Victim::of(&mut chance);
        let recovered = victim.disk.recover();
        victim.call(|sensor, cx| sensor.start(recovered, cx));
        for _ in 0..100 {
            victim.suffers(&mut chance);
            led += usize::from(victim.sensor.is_leader());
        }
    }
    assert!(led > 1000, "it leads now and then: {led}");
}
