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
//! > ended peer3                        the process of a peer seems to have ended
//! > hand over                          it is about to leave
//!   needed                             after this and what follows, as long as it is
//! > leave
//! > ask hello                          a person asks; `ask alice/3 hello` is a client that names its request
//! ```
//!
//! The node starts with a history: index 1 of its log is the founding view, in which every disk is known. `start log=1,1,2` gives
//! it entries of these terms after that. An entry is written `term.index:what`, where what is `noop`, a request such as
//! `alice/3`, or a view such as `view2[peer1,peer2+peer4]` with its learners after the plus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use dsbench_protocol::{Asker, Config, Cx, Effect, Founding, Mark, Process, Quorum, Sensor, Timer};
use dsbench_wire::{
    Content, Entry, Envelope, Message, NodeId, Peer, Position, Record, Recovered, RequestId, Term, View,
};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;
use serde_json::{Map, Value, json};

use crate::cluster::{endpoint, peer};
use crate::disk::Disk;
use crate::schedules::knobs;

#[cfg(feature = "mistakes")]
thread_local! {
    /// What is planted in every core that this thread plays.
    static MISTAKE: std::cell::Cell<Option<dsbench_protocol::Mistake>> = const { std::cell::Cell::new(None) };
}

/// Whether a rule's script tells a core with `mistake` from a correct one.
#[cfg(feature = "mistakes")]
pub(crate) fn catches(mistake: dsbench_protocol::Mistake, rule: fn()) -> bool {
    rule();
    MISTAKE.set(Some(mistake));
    let result = std::panic::catch_unwind(rule);
    MISTAKE.set(None);
    result.is_err()
}

/// Plays `transcript` to `peer2` and compares what it does.
pub(crate) fn plays(change: impl FnOnce(Config) -> Config, transcript: &str) {
    let members = (1..=3).map(peer).collect();
    let config = change(knobs(&peer(2), members));
    #[cfg(feature = "mistakes")]
    let config = Config { mistake: MISTAKE.get(), ..config };
    let mut stage = Stage {
        me: peer(2),
        is_blank: config.quorum == Quorum::None || !matches!(config.founding, Founding::Members(_)),
        sensor: Sensor::new(config).expect("knobs that work"),
        rng: Pcg64Mcg::seed_from_u64(1),
        now: Duration::ZERO,
        timers: BTreeMap::new(),
        round: 0,
        disk: Disk::default(),
        leaves: false,
        played: String::new(),
    };
    let expected: Vec<_> = transcript.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    for line in expected.iter().filter_map(|line| line.strip_prefix("> ")) {
        let _ = writeln!(stage.played, "> {line}");
        stage.play(line);
        if stage.leaves && stage.sensor.is_needed() {
            stage.played.push_str("needed\n");
        }
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
    /// Without a quorum there is no history, and before a founding neither.
    is_blank: bool,
    /// Every record is durable at once.
    disk: Disk,
    leaves: bool,
    played: String,
}

impl Stage {
    fn play(&mut self, line: &str) {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["start", ref fields @ ..] => {
                let recovered = self.recovered(fields);
                self.call(|sensor, cx| sensor.start(recovered, cx));
            }
            ["lead"] => {
                let said = self.played.len();
                for line in ["start", "timer Election", "timer Election", "peer1 PRE_VOTE granted=true"] {
                    self.play(line);
                }
                self.play("peer1 VOTE term=1 granted=true");
                assert!(self.sensor.is_leader(), "{}", self.played);
                let acknowledging: &[&str] = if self.is_blank { &[] } else { &["peer1", "peer3"] };
                for id in acknowledging {
                    self.play(&format!("{id} APPEND_ACK granted=true term=1"));
                }
                self.played.truncate(said);
            }
            ["ask", ref rest @ ..] => {
                let (id, text) = match rest {
                    [id, text] => (Some(id.parse().expect("a request's id")), *text),
                    [text] => (None, *text),
                    _ => panic!("{line}"),
                };
                self.call(|sensor, cx| sensor.request(Asker(1), id, text.to_owned(), cx));
            }
            ["more"] => self.call(Process::more),
            ["hand", "over"] => {
                self.leaves = true;
                self.call(Process::hand_over);
            }
            ["leave"] => {
                self.leaves = false;
                self.call(|sensor, cx| sensor.leave(cx));
            }
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
            ["ended", id] => {
                let id = id.parse().expect("an id");
                self.call(|sensor, cx| sensor.ended(&id, cx));
            }
            ["stalled", span] => {
                let span = duration(span);
                self.now += span;
                self.call(|sensor, cx| sensor.stalled(span, cx));
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
            "from": from, "to": self.me, "type": kind.replace("ADDEDTO", "ADDED TO "), "term": 0, "seq": 1, "round": self.round, "granted": false,
            "transfer": false, "last": self.sensor.last(), "commit": 0, "incarnation": 1,
            "matched": self.sensor.last().index, "ordered": false, "entries": [], "prev": {"term": 0, "index": 0},
            "after": 0, "payload": "text", "view": view("view1[]"), "offset": 0, "size": 0, "is_new": false, "network": 0,
        });
        for field in fields {
            let (key, value) = field.split_once('=').expect("key=value");
            line[key] = match key {
                "prev" | "last" | "at" => position(value),
                "entries" => value.split(';').map(entry).collect(),
                "id" => json!(value.parse::<RequestId>().expect("a request's id")),
                "peer" => json!(known(&value.parse().expect("an id"), 1)),
                "view" => json!(view(value)),
                "payload" | "part" => json!(value),
                _ => value.parse().expect("a number or a boolean"),
            };
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
                        Record::Entry(entry) => format!("store {}", shown_entry(&entry)),
                        Record::Applied { .. } => continue,
                        Record::Serials { below, .. } => format!("persist serials below={below}"),
                        Record::Checkpoint(snapshot) => format!("checkpoint at={}", shown_position(snapshot.at)),
                        Record::Install(snapshot) => format!("install at={}", shown_position(snapshot.at)),
                        other => format!("persist {other:?}"),
                    }
                }
                Effect::Multicast(message) => format!("all << {}", self.shown(&message)),
                Effect::Broadcast(message) => format!("anybody << {}", self.shown(&message)),
                Effect::Answer(_, answer) => format!("! {answer}"),
                Effect::Fail(reason) => format!("fails: {reason}"),
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
        match message {
            Message::Append { term, prev, commit, entries } | Message::Ordered { term, prev, commit, entries } => {
                let entries: Vec<_> = entries.iter().map(shown_entry).collect();
                let (prev, entries) = (shown_position(*prev), entries.join(";"));
                return format!("{} prev={prev} entries={entries} commit={commit} term={term}", message.name());
            }
            Message::SnapshotAck { term, at, offset, .. } => {
                return format!("SNAPSHOT_ACK at={} offset={offset} term={term}", shown_position(*at));
            }
            Message::PledgeRequest { term, peer } => return format!("PLEDGE_REQUEST peer={} term={term}", peer.id),
            Message::Pledge { term, granted, peer } => {
                return format!("PLEDGE granted={granted} peer={} term={term}", peer.id);
            }
            Message::NewPeerRequest { term, peer, .. } => {
                return format!("NEW_PEER_REQUEST peer={} term={term}", peer.id);
            }
            Message::ViewChange { term, view } | Message::AddedToNetwork { term, view } => {
                return format!("{} view={} term={term}", message.name(), shown_view(view));
            }
            Message::SequencerRequest { term, id, after, payload } => {
                return format!("SEQUENCER_REQUEST id={id} after={after} payload={payload} term={term}");
            }
            _ => {}
        }
        let fields: Map<String, Value> = match serde_json::to_value(message) {
            Ok(Value::Object(fields)) => fields,
            other => panic!("a message is an object, not {other:?}"),
        };
        let says_something = |key: &str, value: &Value| match key {
            "type" | "round" | "last" | "incarnation" => false,
            "commit" => value != 0,
            "matched" => value.as_u64() != Some(self.sensor.last().index),
            "ordered" => value == &Value::Bool(true),
            "is_new" => false,
            "transfer" => value == &Value::Bool(true),
            _ => true,
        };
        let fields = fields.iter().filter(|(key, value)| says_something(key, value));
        fields.fold(message.name().to_owned(), |line, (key, value)| format!("{line} {key}={value}"))
    }
}

/// `2.7`
fn shown_position(at: Position) -> String {
    format!("{}.{}", at.term, at.index)
}

fn shown_entry(entry: &Entry) -> String {
    let what = match &entry.content {
        Content::NoOp => "noop".to_owned(),
        Content::View(view) => shown_view(view),
        Content::Command { id, .. } => id.to_string(),
    };
    format!("{}:{what}", shown_position(entry.position()))
}

/// `view2[peer1,peer2+peer4]`
fn shown_view(view: &View) -> String {
    let list = |peers: &BTreeMap<NodeId, Peer>| peers.keys().map(NodeId::as_str).collect::<Vec<_>>().join(",");
    let learners = if view.learners.is_empty() { String::new() } else { format!("+{}", list(&view.learners)) };
    format!("view{}[{}{learners}]", view.id, list(&view.members))
}

fn position(text: &str) -> Value {
    let (term, index) = text.split_once('.').expect("term.index");
    json!({"term": term.parse::<u64>().expect("a term"), "index": index.parse::<u64>().expect("an index")})
}

fn known(id: &NodeId, incarnation: u64) -> Peer {
    let incarnation = if *id == peer(2) { INCARNATION } else { incarnation };
    Peer { id: id.clone(), endpoint: endpoint(id), incarnation }
}

fn view(text: &str) -> View {
    let (id, peers) = text.strip_prefix("view").and_then(|text| text.split_once('[')).expect("view2[...]");
    let (members, learners) = peers.trim_end_matches(']').split_once('+').unwrap_or((peers.trim_end_matches(']'), ""));
    let list = |ids: &str| {
        let ids = ids.split(',').filter(|id| !id.is_empty()).map(|id| id.parse::<NodeId>().expect("an id"));
        ids.map(|id| (id.clone(), known(&id, 1))).collect()
    };
    View { id: id.parse().expect("a number"), network: 1, members: list(members), learners: list(learners) }
}

fn entry(text: &str) -> Value {
    let (at, what) = text.split_once(':').expect("term.index:what");
    let content = match what {
        "noop" => Content::NoOp,
        what if what.starts_with("view") => Content::View(view(what).into()),
        id => Content::Command { id: id.parse().expect("a request's id"), payload: "text".into() },
    };
    let at = position(at);
    json!({"index": at["index"], "term": at["term"], "content": content})
}

/// Which disk the played node has.
const INCARNATION: u64 = 7;

impl Stage {
    /// What a node finds that is no new one.
    fn recovered(&mut self, fields: &[&str]) -> Recovered {
        let founding = Content::View(view("view1[peer1,peer2,peer3]").into());
        let mut log = vec![Entry { index: 1, term: Term(0), content: founding }];
        let terms = fields.iter().find_map(|field| field.strip_prefix("log=")).unwrap_or_default();
        for term in terms.split(',').filter(|term| !term.is_empty()) {
            let term = Term(term.parse().expect("a term"));
            log.push(Entry { index: log.len() as u64 + 1, term, content: Content::NoOp });
        }
        self.disk.write(Record::Identity { incarnation: INCARNATION });
        for entry in log.into_iter().filter(|_| !self.is_blank) {
            self.disk.write(Record::Entry(entry));
        }
        self.disk.kill();
        let mut recovered = self.disk.recover();
        for field in fields {
            match field.split_once('=').expect("key=value") {
                ("term", term) => recovered.ballot.term.0 = term.parse().expect("a term"),
                ("vote", id) => recovered.ballot.voted_for = Some(id.parse().expect("an id")),
                ("log", _) => {}
                ("applied", index) => recovered.applied = index.parse().expect("an index"),
                other => panic!("{other:?}"),
            }
        }
        recovered
    }
}

fn duration(text: &str) -> Duration {
    match text.strip_suffix("ms") {
        Some(ms) => Duration::from_millis(ms.parse().expect("milliseconds")),
        None => Duration::from_secs(text.trim_end_matches('s').parse().expect("seconds")),
    }
}
