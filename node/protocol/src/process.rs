//! The shape of every protocol core: "upon event ... do", with mutable self and an effect buffer.

use std::fmt::Debug;
use std::time::Duration;

use dsbench_wire::{Message, NodeId};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

/// A protocol core.
///
/// Whoever drives it - a runtime with sockets, or the in-memory cluster - owes it this:
///
/// * one call at a time, and every [`Effect`] of a call performed, in order, before the next call's;
/// * [`start`](Self::start) first and once, with what was last made durable;
/// * a timer fires once, not before its time, and not if it was disarmed or armed again meanwhile;
/// * messages may be lost, repeated, reordered and late, but come from whom they say, and are for this node;
/// * after a standstill of its own: first the messages that waited, then [`stalled`](Self::stalled), then timers.
pub trait Process: Sized {
    /// What survives a crash. Persisted as a whole; the latest persisted value is recovered.
    type Durable: Clone + Debug;
    /// The names of its timers. Arming one again replaces it.
    type Timer: Copy + Ord + Debug;
    /// What it tells people, one log line each.
    type Event: Clone + Debug;

    /// The process begins, with what the disk still held.
    fn start(&mut self, recovered: Option<Self::Durable>, cx: &mut Cx<'_, Self>);
    /// A message has arrived.
    fn message(&mut self, from: &NodeId, message: Message, cx: &mut Cx<'_, Self>);
    /// A timer is due.
    fn timer(&mut self, timer: Self::Timer, cx: &mut Cx<'_, Self>);
    /// The process itself stood still until now (SIGSTOP, a stall), for at least this long. Called after the messages that
    /// waited and before any timer that became due meanwhile. Small delays may be reported too; the core judges them.
    fn stalled(&mut self, for_at_least: Duration, cx: &mut Cx<'_, Self>);
    /// Leaves gracefully: says goodbye where the protocol has a word for it. Nothing is called after this.
    fn leave(&mut self, cx: &mut Cx<'_, Self>);
}

/// What a core may see and do while it handles one event.
#[derive(Debug)]
pub struct Cx<'a, P: Process> {
    /// This node.
    pub me: &'a NodeId,
    /// Time since the process started; monotonic.
    pub now: Duration,
    /// The only source of randomness.
    pub rng: &'a mut Pcg64Mcg,
    effects: &'a mut Vec<Effect<P>>,
}

/// One thing a core wants done, in order.
#[derive(Debug)]
pub enum Effect<P: Process> {
    /// Make durable before any later `Send` leaves and any later `Event` is told.
    Persist(P::Durable),
    /// Send after every earlier `Persist` is durable.
    Send(NodeId, Message),
    /// Send without waiting behind an fsync (heartbeats).
    SendNow(NodeId, Message),
    /// Arm (or arm again) a timer at this time since start.
    Arm(P::Timer, Duration),
    /// Disarm a timer, armed or not.
    Disarm(P::Timer),
    /// Tell people. Like `Send`, it waits for every earlier `Persist`: a line never claims what a crash could undo.
    Event(P::Event),
}

impl<'a, P: Process> Cx<'a, P> {
    /// A context for one call. What the core wants done is appended to `effects`.
    pub fn new(me: &'a NodeId, now: Duration, rng: &'a mut Pcg64Mcg, effects: &'a mut Vec<Effect<P>>) -> Self {
        Self { me, now, rng, effects }
    }

    /// Makes `durable` the value that a restart finds, before any later [`send`](Self::send) or [`event`](Self::event).
    pub fn persist(&mut self, durable: P::Durable) {
        // Nothing was sent between the two: the later value alone is enough, and one fsync.
        if let Some(Effect::Persist(last)) = self.effects.last_mut() {
            *last = durable;
        } else {
            self.effects.push(Effect::Persist(durable));
        }
    }

    /// Sends once everything persisted so far is durable.
    pub fn send(&mut self, to: &NodeId, message: Message) {
        self.effects.push(Effect::Send(to.clone(), message));
    }

    /// Sends at once, for what does not depend on anything that is still on its way to the disk.
    pub fn send_now(&mut self, to: &NodeId, message: Message) {
        self.effects.push(Effect::SendNow(to.clone(), message));
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
        type Durable = u8;
        type Timer = ();
        type Event = ();
        fn start(&mut self, _: Option<u8>, _: &mut Cx<'_, Self>) {}
        fn message(&mut self, _: &NodeId, _: Message, _: &mut Cx<'_, Self>) {}
        fn timer(&mut self, (): (), _: &mut Cx<'_, Self>) {}
        fn stalled(&mut self, _: Duration, _: &mut Cx<'_, Self>) {}
        fn leave(&mut self, _: &mut Cx<'_, Self>) {}
    }

    fn effects_of(act: impl FnOnce(&mut Cx<'_, Nothing>)) -> Vec<Effect<Nothing>> {
        let mut effects = Vec::new();
        let me = "peer1".parse().unwrap();
        act(&mut Cx::new(&me, Duration::from_secs(1), &mut Pcg64Mcg::seed_from_u64(1), &mut effects));
        effects
    }

    #[test]
    fn two_persists_with_nothing_between_them_are_one_fsync() {
        let effects = effects_of(|cx| {
            cx.persist(1);
            cx.persist(2);
            cx.event(());
            cx.persist(3);
        });
        assert!(matches!(effects[..], [Effect::Persist(2), Effect::Event(()), Effect::Persist(3)]), "{effects:?}");
    }

    #[test]
    fn a_random_duration_stays_in_its_range_and_an_empty_range_is_its_start() {
        let [low, high] = [Duration::from_millis(5), Duration::from_millis(7)];
        effects_of(|cx| {
            for _ in 0..1000 {
                assert!((low..high).contains(&cx.between(low, high)));
            }
            assert_eq!(cx.between(high, low), high);
        });
    }
}
