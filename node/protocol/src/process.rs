//! The shape of every protocol core: "upon event ... do", with mutable self and an effect buffer.

use std::time::Duration;

use dsbench_wire::{Message, NodeId};
use rand_pcg::Pcg64Mcg;

/// A protocol core. `Durable` is what it must find again after a crash, `Timer` names its timers, `Event` is what people are told.
pub trait Process {
    /// What survives a crash. Persisted as a whole; the latest persisted value is recovered.
    type Durable: Clone + std::fmt::Debug;
    /// The names of its timers. Arming one again replaces it.
    type Timer: Copy + Ord + std::fmt::Debug;
    /// What it tells people, one log line each.
    type Event: Clone + std::fmt::Debug;

    /// The process begins, with what the disk still held.
    fn start(&mut self, recovered: Option<Self::Durable>, cx: &mut Cx<'_, Self>);
    /// A message has arrived.
    fn message(&mut self, from: &NodeId, message: Message, cx: &mut Cx<'_, Self>);
    /// A timer is due.
    fn timer(&mut self, timer: Self::Timer, cx: &mut Cx<'_, Self>);
    /// The process itself stood still until now (SIGSTOP, a stall); called before any timer that became due meanwhile and after
    /// the messages that waited.
    fn stalled(&mut self, for_at_least: Duration, cx: &mut Cx<'_, Self>);
    /// Leaves gracefully: says goodbye where the protocol has a word for it.
    fn leave(&mut self, cx: &mut Cx<'_, Self>);
}

/// What a core may see and do while it handles one event.
#[derive(Debug)]
pub struct Cx<'a, P: Process + ?Sized> {
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
pub enum Effect<P: Process + ?Sized> {
    /// Make durable before any later `Send` leaves.
    Persist(P::Durable),
    /// Send after every earlier `Persist` is durable.
    Send(NodeId, Message),
    /// Send without waiting behind an fsync (heartbeats).
    SendNow(NodeId, Message),
    /// Arm (or arm again) a timer at this time since start.
    Arm(P::Timer, Duration),
    /// Disarm a timer.
    Disarm(P::Timer),
    /// Tell people. Like `Send`, it waits for every earlier `Persist`: a line never claims what a crash could undo.
    Event(P::Event),
}
