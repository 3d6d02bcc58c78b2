//! The shape of every protocol core: "upon event ... do", with mutable self and an effect buffer.

use std::fmt::{self, Debug};
use std::time::Duration;

use dsbench_wire::{Entry, Message, NodeId, Peer, Record, Recovered, RequestId, Term};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

/// A protocol core.
///
/// Whoever drives it - a runtime with sockets, or the in-memory cluster - owes it this:
///
/// * one call at a time, and every [`Effect`] of a call performed, in order, before the next call's;
/// * [`start`](Self::start) first and once, with what was last made durable;
/// * [`persisted`](Self::persisted) after every fsync, before anything else that waited for it;
/// * a timer fires once, not before its time, and not if it was disarmed or armed again meanwhile;
/// * messages may be lost, repeated, reordered and late, but come from whom they say, and are for this node;
/// * after a standstill of its own: first the messages that waited, then [`stalled`](Self::stalled), then timers.
pub trait Process: Sized {
    /// The names of its timers. Arming one again replaces it.
    type Timer: Copy + Ord + Debug;
    /// What it tells people, one log line each.
    type Event: Clone + Debug;

    /// The process begins, with what the disk still held.
    fn start(&mut self, recovered: Recovered, cx: &mut Cx<'_, Self>);
    /// A message has arrived.
    fn message(&mut self, from: &NodeId, message: Message, cx: &mut Cx<'_, Self>);
    /// Every record up to this one is durable.
    fn persisted(&mut self, upto: Mark, cx: &mut Cx<'_, Self>);
    /// Somebody asks for `payload` to be delivered to all: a person (then the core gives the request its id), or a client that
    /// names its own, and the same again when it asks again. Every request is answered with one [`Effect::Answer`], in time.
    fn request(&mut self, asker: Asker, id: Option<RequestId>, payload: String, cx: &mut Cx<'_, Self>);
    /// Everything told is in the log, and it has room again, see [`Effect::More`].
    fn more(&mut self, cx: &mut Cx<'_, Self>);
    /// A timer is due.
    fn timer(&mut self, timer: Self::Timer, cx: &mut Cx<'_, Self>);
    /// The process itself stood still until now (SIGSTOP, a stall), for at least this long. Called after the messages that
    /// waited and before any timer that became due meanwhile. Small delays may be reported too; the core judges them.
    fn stalled(&mut self, for_at_least: Duration, cx: &mut Cx<'_, Self>);
    /// The process of `peer` seems to have ended: its connection was closed, and its host is there and refuses another. A hint,
    /// which may be missing, late, repeated and wrong.
    fn ended(&mut self, peer: &NodeId, cx: &mut Cx<'_, Self>);
    /// It is about to leave: what others need it for passes to another, if one can take it. It goes on as before while it
    /// [is needed](Self::is_needed), and its driver has the patience.
    fn hand_over(&mut self, cx: &mut Cx<'_, Self>);
    /// Whether what it [hands over](Self::hand_over) is still under way.
    fn is_needed(&self) -> bool;
    /// Leaves gracefully: says goodbye where the protocol has a word for it, and answers every open request. Nothing is
    /// called after this.
    fn leave(&mut self, cx: &mut Cx<'_, Self>);
}

/// Counts the [`Effect::Persist`] of one life of a process, from 1. Making one durable makes all before it durable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub u64);

/// Who waits for an answer: whatever the runtime chooses. It comes back in [`Effect::Answer`], and means nothing to a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asker(pub u64);

/// What became of a request: done once, not done at all, or honestly unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is committed, and delivered by every node in the same place. Asked again, the same answer.
    Acknowledged {
        /// Which request.
        id: RequestId,
        /// Its number among all deliveries.
        seq: u64,
        /// The term of its entry.
        term: Term,
        /// The index of its entry.
        index: u64,
    },
    /// It is not done and never will be, unless it is asked again.
    Refused {
        /// Which request, if it got an id.
        id: Option<RequestId>,
        /// Why.
        reason: Refusal,
    },
    /// It may have been done, and may still be. Whoever asks again with the same id gets the answer, and it is done once.
    Unknown {
        /// Which request.
        id: RequestId,
        /// Why nothing better is known.
        reason: Refusal,
    },
}

/// Why a request was not done, as one word in a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Longer than [`PAYLOAD_MAX`](dsbench_wire::PAYLOAD_MAX).
    TooLong,
    /// More requests wait already than this node keeps. Of a request that a client has named, this is said as "unknown": it may
    /// have been asked before. What its client has sent behind it is answered alike, until it asks for this one again or ten seconds have
    /// passed. Once a later one is done, this one is [out of order](Self::OutOfOrder).
    Busy,
    /// A later request of the same client is done already, and this one was not before it. For ever.
    OutOfOrder,
    /// So long ago that the answer is forgotten.
    Forgotten,
    /// This node leaves.
    Leaving,
    /// The client has the name of a node: the id of one, or that with a point and eight hexadecimal digits. For ever.
    NodesName,
    /// The number is 0, above 2^53, or more than 2^32 above the client's last one. For ever.
    BadSerial,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "too-long",
            Self::Busy => "busy",
            Self::OutOfOrder => "out-of-order",
            Self::Forgotten => "forgotten",
            Self::Leaving => "leaving",
            Self::NodesName => "name-of-a-node",
            Self::BadSerial => "bad-serial",
        })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acknowledged { id, seq, term, .. } => write!(f, "acknowledged msg={id} seq={seq} term={term}"),
            Self::Refused { id: Some(id), reason } => write!(f, "refused msg={id} reason={reason}"),
            Self::Refused { id: None, reason } => write!(f, "refused reason={reason}"),
            Self::Unknown { id, reason } => write!(f, "unknown msg={id} reason={reason}"),
        }
    }
}

/// The durable part of a node's log, to read. The core asks for nothing else than what [`Process::persisted`] has told, or
/// [`Process::start`], or what came after that and may be durable.
pub trait Archive {
    /// Entries from `from` on, in order and without a gap: as many as fit into `max_bytes` by their
    /// [`weight`](Entry::weight), but at least one if there is one. Empty where the log does not have `from` (any more).
    fn entries(&self, from: u64, max_bytes: usize) -> Vec<Entry>;
    /// The term of the entry at `index`; nothing where the log does not have it (any more).
    fn term_at(&self, index: u64) -> Option<Term>;
}

/// What a core may see and do while it handles one event.
pub struct Cx<'a, P: Process> {
    /// This node.
    pub me: &'a NodeId,
    /// Time since the process started; monotonic.
    pub now: Duration,
    /// The only source of randomness.
    pub rng: &'a mut Pcg64Mcg,
    /// What is durable already.
    pub archive: &'a dyn Archive,
    effects: &'a mut Vec<Effect<P>>,
}

impl<P: Process> Debug for Cx<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx").field("me", self.me).field("now", &self.now).finish_non_exhaustive()
    }
}

/// One thing a core wants done, in order.
#[derive(Debug)]
pub enum Effect<P: Process> {
    /// Make durable before any later `Send` leaves and any later `Event` or `Answer` is told.
    Persist(Record),
    /// Send after every earlier `Persist` is durable.
    Send(NodeId, Message),
    /// Send without waiting behind an fsync (heartbeats, a leader's entries).
    SendNow(NodeId, Message),
    /// To all peers at once, without waiting, lossy and unordered. Each gets it through [`Process::message`].
    Multicast(Message),
    /// To whoever is in the network and not known yet. Lossy, and without waiting.
    Broadcast(Message),
    /// Peers may be sent to from now on, at this endpoint.
    Connect(Peer),
    /// Nothing will be sent to this peer any more, after what was: it waits like `Send`. A later `Connect` of the same peer takes
    /// back one that still waits.
    Forget(NodeId),
    /// Arm (or arm again) a timer at this time since start.
    Arm(P::Timer, Duration),
    /// Disarm a timer, armed or not.
    Disarm(P::Timer),
    /// Tell people. Like `Send`, it waits for every earlier `Persist`: a line never claims what a crash could undo.
    Event(P::Event),
    /// Tell who asked. Waits like `Send`.
    Answer(Asker, Answer),
    /// The durable state cannot be used, for this reason. The process must end, with nothing after this performed.
    Fail(String),
    /// Call [`Process::more`] once every earlier `Event` has been told and the log has room for 256 more. Deliveries are told only
    /// so fast, and count as told only then.
    More,
}

impl<'a, P: Process> Cx<'a, P> {
    /// A context for one call. What the core wants done is appended to `effects`.
    pub fn new(
        me: &'a NodeId,
        now: Duration,
        rng: &'a mut Pcg64Mcg,
        archive: &'a dyn Archive,
        effects: &'a mut Vec<Effect<P>>,
    ) -> Self {
        Self { me, now, rng, archive, effects }
    }

    /// Makes `record` durable before any later [`send`](Self::send), [`event`](Self::event) or [`answer`](Self::answer).
    pub fn persist(&mut self, record: Record) {
        self.effects.push(Effect::Persist(record));
    }

    /// Sends once everything persisted so far is durable.
    pub fn send(&mut self, to: &NodeId, message: Message) {
        self.effects.push(Effect::Send(to.clone(), message));
    }

    /// Sends at once, for what does not depend on anything that is still on its way to the disk.
    pub fn send_now(&mut self, to: &NodeId, message: Message) {
        self.effects.push(Effect::SendNow(to.clone(), message));
    }

    /// Sends to all peers at once, lossy.
    pub fn multicast(&mut self, message: Message) {
        self.effects.push(Effect::Multicast(message));
    }

    /// Sends to whoever is in the network, lossy.
    pub fn broadcast(&mut self, message: Message) {
        self.effects.push(Effect::Broadcast(message));
    }

    /// Makes `peer` somebody who can be sent to.
    pub fn connect(&mut self, peer: Peer) {
        self.effects.push(Effect::Connect(peer));
    }

    /// Nothing more will be sent to `id`.
    pub fn forget(&mut self, id: &NodeId) {
        self.effects.push(Effect::Forget(id.clone()));
    }

    /// Answers a request, once everything persisted so far is durable.
    pub fn answer(&mut self, asker: Asker, answer: Answer) {
        self.effects.push(Effect::Answer(asker, answer));
    }

    /// Ends the process: its durable state cannot be used.
    pub fn fail(&mut self, reason: impl fmt::Display) {
        self.effects.push(Effect::Fail(reason.to_string()));
    }

    /// Asks to be called again when the log has room.
    pub fn more(&mut self) {
        self.effects.push(Effect::More);
    }

    /// Arms `timer`, in place of an earlier arming, to fire after `delay`.
    pub fn arm(&mut self, timer: P::Timer, delay: Duration) {
        self.effects.push(Effect::Arm(timer, self.now.saturating_add(delay)));
    }

    /// Disarms `timer`, whether it was armed or not.
    pub fn disarm(&mut self, timer: P::Timer) {
        self.effects.push(Effect::Disarm(timer));
    }

    /// Tells people, once everything persisted so far is durable.
    pub fn event(&mut self, event: P::Event) {
        self.effects.push(Effect::Event(event));
    }

    /// A random duration in `[low, high)`; `low` where the range is empty. Whole microseconds.
    pub fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let span = high.saturating_sub(low).as_micros();
        // The top 64 bits of a 128-bit product: uniform up to 2^-64 * span, with no modulo.
        let offset = (u128::from(self.rng.next_u64()) * span) >> 64;
        low + Duration::from_micros(u64::try_from(offset).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use rand_pcg::rand_core::SeedableRng;

    use super::*;

    #[derive(Debug)]
    struct Nothing;

    impl Process for Nothing {
        type Timer = ();
        type Event = ();
        fn start(&mut self, _: Recovered, _: &mut Cx<'_, Self>) {}
        fn message(&mut self, _: &NodeId, _: Message, _: &mut Cx<'_, Self>) {}
        fn persisted(&mut self, _: Mark, _: &mut Cx<'_, Self>) {}
        fn request(&mut self, _: Asker, _: Option<RequestId>, _: String, _: &mut Cx<'_, Self>) {}
        fn more(&mut self, _: &mut Cx<'_, Self>) {}
        fn timer(&mut self, (): (), _: &mut Cx<'_, Self>) {}
        fn stalled(&mut self, _: Duration, _: &mut Cx<'_, Self>) {}
        fn ended(&mut self, _: &NodeId, _: &mut Cx<'_, Self>) {}
        fn hand_over(&mut self, _: &mut Cx<'_, Self>) {}
        fn is_needed(&self) -> bool {
            false
        }
        fn leave(&mut self, _: &mut Cx<'_, Self>) {}
    }

    impl Archive for Nothing {
        fn entries(&self, _: u64, _: usize) -> Vec<Entry> {
            Vec::new()
        }
        fn term_at(&self, _: u64) -> Option<Term> {
            None
        }
    }

    #[test]
    fn a_random_duration_stays_in_its_range_and_an_empty_range_is_its_start() {
        let [low, high] = [Duration::from_millis(5), Duration::from_millis(7)];
        let me = "peer1".parse().unwrap();
        let (mut rng, mut effects) = (Pcg64Mcg::seed_from_u64(1), Vec::new());
        let mut cx = Cx::<Nothing>::new(&me, Duration::from_secs(1), &mut rng, &Nothing, &mut effects);
        for _ in 0..1000 {
            assert!((low..high).contains(&cx.between(low, high)));
        }
        assert_eq!(cx.between(high, low), high);
    }

    #[test]
    fn answers_read_as_documented() {
        let id = Some("peer1/4".parse().unwrap());
        assert_eq!(Answer::Refused { id, reason: Refusal::TooLong }.to_string(), "refused msg=peer1/4 reason=too-long");
        let id = "peer1/3".parse().unwrap();
        let done = Answer::Acknowledged { id, seq: 7, term: Term(2), index: 12 };
        assert_eq!(done.to_string(), "acknowledged msg=peer1/3 seq=7 term=2");
    }
}
