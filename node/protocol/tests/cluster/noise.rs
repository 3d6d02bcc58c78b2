//! One core under nonsense: messages that no correct node would send, in any order, and timers at any time.
//!
//! It need not make sense of them, but it must not panic, vote twice, go back in time, or claim what it has not persisted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dsbench_protocol::{Asker, Config, Cx, Effect, Mark, Process, Quorum, Sensor, Takeover, Timer};
use dsbench_wire::{Ballot, Content, Entry, Message, NodeId, Peer, Position, Record, Term, View};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;

use crate::chance::Chance;
use crate::cluster::{endpoint, peer};
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
    let position = |chance: &mut Chance| Position { term: Term(chance.below(6) as u64), index: chance.below(8) as u64 };
    let incarnation = *chance.pick(&[0, 1, 2]);
    match chance.below(20) {
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
        10 => Message::Leave { term },
        11 | 12 => {
            let (prev, commit) = (position(chance), chance.below(9) as u64);
            let entries = entries(chance, prev);
            Message::Append { term, prev, commit, entries }
        }
        13 => {
            let (prev, commit) = (position(chance), u64::MAX);
            Message::Ordered { term, prev, commit, entries: entries(chance, prev) }
        }
        14 => {
            let matched = if chance.permille(900) { chance.below(9) as u64 } else { u64::MAX };
            Message::AppendAck { term, granted, matched, ordered: transfer, incarnation }
        }
        15 => {
            let part =
                *chance.pick(&["", "{", "{\"machine\":{\"delivered\":3},\"sessions\":{\"clients\":{},\"ages\":{}}}"]);
            let size = *chance.pick(&[part.len() as u64, 0, 1, u64::MAX]);
            let view = view(chance);
            Message::InstallSnapshot {
                term,
                at: position(chance),
                view,
                size,
                offset: chance.below(2) as u64,
                part: part.into(),
            }
        }
        16 => {
            Message::SnapshotAck { term, at: position(chance), offset: chance.next() >> chance.below(64), incarnation }
        }
        17 => {
            let id = format!("c{}/{}", chance.below(2), chance.below(5)).parse().expect("a request's id");
            Message::SequencerRequest { term, id, after: chance.below(4) as u64, payload: "text".into() }
        }
        18 => match chance.below(4) {
            0 => Message::NewPeerRequest { term, peer: stranger(chance), is_new: granted, network: seq },
            1 => Message::PledgeRequest { term, peer: stranger(chance) },
            2 => Message::Pledge { term, granted, peer: stranger(chance) },
            _ => Message::AddedToNetwork { term, view: view(chance) },
        },
        _ => Message::ViewChange { term, view: view(chance) },
    }
}

fn stranger(chance: &mut Chance) -> Peer {
    let id = peer(1 + chance.below(6));
    Peer { endpoint: endpoint(&id), id, incarnation: chance.below(3) as u64 }
}

fn view(chance: &mut Chance) -> Arc<View> {
    let mut peers = |n: usize| (0..chance.below(n)).map(|_| stranger(chance)).map(|p| (p.id.clone(), p)).collect();
    let (members, learners) = (peers(4), peers(2));
    Arc::new(View { id: chance.below(5) as u64, network: chance.below(2) as u64, members, learners })
}

/// Sometimes a run that a leader could send.
fn entries(chance: &mut Chance, prev: Position) -> Vec<Entry> {
    let mut before = prev;
    let one = |chance: &mut Chance| {
        let term = Term(before.term.0 + chance.below(2) as u64);
        let index = if chance.permille(950) { before.index + 1 } else { chance.next() };
        before = Position { term, index };
        let content = match chance.below(4) {
            0 => Content::NoOp,
            1 => Content::View(view(chance)),
            _ => {
                let id = format!("c{}/{}", chance.below(2), chance.below(5)).parse().expect("a request's id");
                Content::Command { id, payload: "text".into() }
            }
        };
        Entry { index, term, content }
    };
    let count = chance.below(4);
    std::iter::repeat_with({
        let mut one = one;
        move || one(chance)
    })
    .take(count)
    .collect()
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
            7 => {
                let id = chance.permille(500).then(|| format!("c0/{}", chance.below(6)).parse().expect("an id"));
                self.call(|sensor, cx| sensor.request(Asker(1), id, "text".to_owned(), cx));
            }
            8 => self.call(Process::more),
            9 => {
                let id = peer(1 + chance.below(5));
                self.call(|sensor, cx| sensor.ended(&id, cx));
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
                Effect::Fail(reason) => panic!("{reason}"),
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
        assert!(*to != self.me, "sent to itself");
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
