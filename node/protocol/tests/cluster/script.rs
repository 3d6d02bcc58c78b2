//! Interaction scripts: one core, one transcript, which is the test.
//!
//! A line that begins with `>` is what happens to `peer2` of `peer1` to `peer3`; the lines below it are all that the core does
//! about it, in order:
//!
//! ```text
//! > peer3 VOTE_REQUEST term=1          a message; what is left out is 0, false, or what the core asked for
//!   persist term=1 vote=peer3          to the disk
//!   | voted candidate=peer3 term=1     a log line
//!   peer3 < VOTE granted=true term=1   a message, after the disk (`<<` for one that does not wait)
//! > 250ms                              time passes, and timers with it
//! > timer Election                     time passes until that timer
//! > stall 5s                           the process stood still
//! > lead                               starts and is elected for term 1 by peer1, as other scripts show line by line
//! > leave
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use dsbench_protocol::{Config, Cx, Effect, Mark, Process, Sensor, Timer};
use dsbench_wire::{Envelope, Message, NodeId, Record, Recovered};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;
use serde_json::{Map, Value, json};

use crate::cluster::peer;
use crate::disk::Disk;
use crate::schedules::knobs;

/// Plays `transcript` to `peer2` and compares what it does.
pub(crate) fn plays(change: impl FnOnce(Config) -> Config, transcript: &str) {
    let members = (1..=3).map(peer).collect();
    let config = change(knobs(&peer(2), members));
    let mut stage = Stage {
        me: peer(2),
        sensor: Sensor::new(config).expect("knobs that work"),
        rng: Pcg64Mcg::seed_from_u64(1),
        now: Duration::ZERO,
        timers: BTreeMap::new(),
        round: 0,
        disk: Disk::default(),
        played: String::new(),
    };
    let expected: Vec<_> = transcript.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    for line in expected.iter().filter_map(|line| line.strip_prefix("> ")) {
        let _ = writeln!(stage.played, "> {line}");
        stage.play(line);
    }
    let played: Vec<_> = stage.played.lines().collect();
    assert!(played == expected, "the core does this instead:\n\n{}", stage.played);
}

struct Stage {
    me: NodeId,
    sensor: Sensor,
    rng: Pcg64Mcg,
    now: Duration,
    timers: BTreeMap<Timer, Duration>,
    /// Of the last pre-vote round: an answer names it.
    round: u64,
    /// Every record is durable at once.
    disk: Disk,
    played: String,
}

impl Stage {
    fn play(&mut self, line: &str) {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["start", ref fields @ ..] => {
                let recovered = recovered(fields);
                self.call(|sensor, cx| sensor.start(recovered, cx));
            }
            ["lead"] => {
                let said = self.played.len();
                for line in ["start", "timer Election", "timer Election", "peer1 PRE_VOTE granted=true"] {
                    self.play(line);
                }
                self.play("peer1 VOTE term=1 granted=true");
                assert!(self.sensor.is_leader(), "{}", self.played);
                self.played.truncate(said);
            }
            ["leave"] => self.call(|sensor, cx| sensor.leave(cx)),
            ["stall", span] => {
                let span = duration(span);
                self.now += span;
                self.call(|sensor, cx| sensor.stalled(span, cx));
                self.fire_until(self.now);
            }
            ["timer", name] => {
                let timers = self.timers.iter().find(|(timer, _)| format!("{timer:?}") == name);
                let (_, &at) = timers.unwrap_or_else(|| panic!("{name} is not armed:\n{}", self.played));
                self.fire_until(at);
            }
            [span] => self.fire_until(self.now + duration(span)),
            [from, kind, ref fields @ ..] => {
                let message = self.message(from, kind, fields);
                let from = from.parse().expect("an id");
                self.call(|sensor, cx| sensor.message(&from, message, cx));
            }
            [] => {}
        }
    }

    fn fire_until(&mut self, until: Duration) {
        while let Some((&timer, &at)) = self.timers.iter().filter(|(_, at)| **at <= until).min_by_key(|(_, at)| **at) {
            self.now = self.now.max(at);
            self.timers.remove(&timer);
            self.call(|sensor, cx| sensor.timer(timer, cx));
        }
        self.now = until;
    }

    /// Through the codec, as if it had come from outside.
    fn message(&self, from: &str, kind: &str, fields: &[&str]) -> Message {
        let mut line = json!({
            "from": from, "to": self.me, "type": kind, "term": 0, "seq": 1, "round": self.round, "granted": false,
            "transfer": false, "last": {"term": 0, "index": 0}, "commit": 0, "matched": 0, "incarnation": 1,
        });
        for field in fields {
            let (key, value) = field.split_once('=').expect("key=value");
            line[key] = value.parse().expect("a number or a boolean");
        }
        let envelope: Envelope = dsbench_wire::decode(line.to_string().as_bytes()).expect("a message");
        envelope.message
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
            let line = match effect {
                Effect::Persist(record) => {
                    persisted = Some(self.disk.write(record.clone()));
                    match record {
                        Record::Ballot(ballot) => {
                            let vote = ballot.voted_for.map_or("none".to_owned(), |id| id.to_string());
                            format!("persist term={} vote={vote}", ballot.term)
                        }
                        other => format!("persist {other:?}"),
                    }
                }
                Effect::Multicast(message) => format!("all << {}", self.shown(&message)),
                Effect::Broadcast(message) => format!("anybody << {}", self.shown(&message)),
                Effect::Answer(_, answer) => format!("! {answer}"),
                Effect::Connect(_) | Effect::Forget(_) | Effect::More => continue,
                Effect::Send(to, message) => format!("{to} < {}", self.shown(&message)),
                Effect::SendNow(to, message) => format!("{to} << {}", self.shown(&message)),
                Effect::Event(event) => format!("| {event}"),
                Effect::Arm(timer, at) => {
                    self.timers.insert(timer, at);
                    continue;
                }
                Effect::Disarm(timer) => {
                    self.timers.remove(&timer);
                    continue;
                }
            };
            let _ = writeln!(self.played, "{line}");
        }
        persisted
    }

    /// A message with its fields, but for those that say nothing.
    fn shown(&mut self, message: &Message) -> String {
        if let Message::PreVoteRequest { round, .. } = message {
            self.round = *round;
        }
        let fields: Map<String, Value> = match serde_json::to_value(message) {
            Ok(Value::Object(fields)) => fields,
            other => panic!("a message is an object, not {other:?}"),
        };
        let says_something = |key: &str, value: &Value| match key {
            "type" | "round" | "last" | "incarnation" => false,
            "commit" | "matched" => value != 0,
            "transfer" => value == &Value::Bool(true),
            _ => true,
        };
        let fields = fields.iter().filter(|(key, value)| says_something(key, value));
        fields.fold(message.name().to_owned(), |line, (key, value)| format!("{line} {key}={value}"))
    }
}

/// What a node finds that is no new one.
fn recovered(fields: &[&str]) -> Recovered {
    let mut recovered = Recovered { incarnation: Some(7), first: 1, ..Recovered::default() };
    for field in fields {
        match field.split_once('=').expect("key=value") {
            ("term", term) => recovered.ballot.term.0 = term.parse().expect("a term"),
            ("vote", id) => recovered.ballot.voted_for = Some(id.parse().expect("an id")),
            other => panic!("{other:?}"),
        }
    }
    recovered
}

fn duration(text: &str) -> Duration {
    match text.strip_suffix("ms") {
        Some(ms) => Duration::from_millis(ms.parse().expect("milliseconds")),
        None => Duration::from_secs(text.trim_end_matches('s').parse().expect("seconds")),
    }
}
