//! Drives one core on real sockets, disk, clock and terminal.
//!
//! One task, one biased select: what is saved, then messages, then timers, then what is typed, then signals. Whatever a core wants done
//! is done in its order, except that sends and events wait for every save before them, while saving runs beside.
//!
//! A node that stood still (SIGSTOP, a busy machine) must not blame others for its own silence: before any timer is looked at, the
//! sockets are read; and when the timer is late, the core is told for how long it was away before it is told of the timer.

mod disk;
mod timers;

use std::collections::VecDeque;
use std::fmt::Display;
use std::io;
use std::time::Duration;

use dsbench_protocol::{Answer, Archive, Cx, Effect, Mark, Process};
use dsbench_wire::{Ballot, Entry, Envelope, Message, NodeId, Record, Recovered, Term};
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until, timeout};

use crate::emit::Log;
use crate::storage::{StateFile, StorageError};
use crate::terminal::Terminal;
use crate::transport::{Traffic, Transport};
use disk::{Disk, Save};
use timers::Timers;

/// A timer that is later than this was not late by chance. The core judges if it matters.
const STALL: Duration = Duration::from_millis(20);
/// Messages in a row, however many more wait: timers and people must have their turn under a flood.
const BURST: u32 = 64;
/// Rounds of the I/O driver without a message, after which the sockets are empty: one to learn that a connection has come or is
/// readable, one to read it, and the same again for what was accepted meanwhile.
const QUIET_ROUNDS: u32 = 4;
/// Messages that are read before timers at most: a flood is no excuse for missing them.
const DRAIN_MAX: u32 = 4096;
/// Sends and events that wait for the disk at most. A disk that is this far behind is as good as gone; sends are lost like on any
/// network, and lost lines are told.
const HELD_MAX: usize = 4096;
/// An election waits for several saves one after the other: with much slower ones than this, nobody is elected in time.
const SLOW_SAVE: Duration = Duration::from_millis(250);
/// A graceful leave takes no longer than this, twice: for the disk, then for the peers.
const LEAVE_PATIENCE: Duration = Duration::from_millis(500);

/// What a person can ask of a core.
pub trait Console<P: Process> {
    /// This was told, in the log.
    fn told(&mut self, event: &P::Event);
    /// Obeys one typed line; `traffic` is for its status.
    fn command(&self, line: &str, process: &P, traffic: Traffic) -> Reply;
}

/// The answer to what was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing was asked.
    Nothing,
    /// Text for the person.
    Answer(String),
    /// The node shall leave.
    Leave,
}

/// What stops a node against its will.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Nothing may be sent that the disk does not hold.
    #[error("the durable state cannot be saved, so the node stops")]
    Storage(#[from] StorageError),
    /// The system refused a thread or a signal handler.
    #[error("failed to start the node")]
    System(#[from] io::Error),
}

/// What a core stands on.
#[derive(Debug)]
pub struct Ground {
    /// This node.
    pub me: NodeId,
    /// Its only randomness.
    pub rng: Pcg64Mcg,
    /// Its disk.
    pub storage: StateFile,
    /// Its network.
    pub transport: Transport,
    /// Its person.
    pub terminal: Terminal,
    /// Its voice.
    pub log: Log,
}

/// Runs `process` until it is asked to leave (a signal, a command, the end of the input).
///
/// # Errors
/// When its state cannot be saved, or the system refuses what a node needs.
pub async fn run<P, C>(process: P, recovered: Option<Durable>, console: C, ground: Ground) -> Result<(), RuntimeError>
where
    P: Process,
    P::Event: Display,
    C: Console<P>,
{
    let Ground { me, rng, storage, transport, terminal, log } = ground;
    let runtime = Runtime {
        process,
        console,
        me,
        rng,
        started: Instant::now(),
        timers: Timers::new(),
        effects: Vec::new(),
        disk: Disk::new(storage)?,
        durable: recovered.clone().unwrap_or_default(),
        held: VecDeque::new(),
        lost: 0,
        transport,
        log,
    };
    runtime.run(recovered, terminal).await
}

/// What is kept of the records: there is no log on the disk yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durable {
    incarnation: u64,
    ballot: Ballot,
}

/// The archive of a node without a log.
struct NoLog;

impl Archive for NoLog {
    fn entries(&self, _: u64, _: usize) -> Vec<Entry> {
        Vec::new()
    }
    fn term_at(&self, _: u64) -> Option<Term> {
        None
    }
}

struct Runtime<P: Process, C> {
    process: P,
    console: C,
    me: NodeId,
    rng: Pcg64Mcg,
    started: Instant,
    timers: Timers<P::Timer>,
    /// Empty between two calls; kept for its capacity.
    effects: Vec<Effect<P>>,
    disk: Disk<Durable>,
    durable: Durable,
    /// In order, each with the save that it waits for.
    held: VecDeque<(Save, Held<P::Event>)>,
    lost: u64,
    transport: Transport,
    log: Log,
}

/// What must not be seen by anybody before what it rests on is durable.
enum Held<E> {
    Send(NodeId, Message),
    Event(E),
    Answer(String),
    Answered(Answer),
}

enum Woken {
    Saved(Result<Duration, StorageError>),
    Message(Envelope),
    Timer,
    Typed(Option<String>),
    Signal,
    Breath,
}

impl<P, C> Runtime<P, C>
where
    P: Process,
    P::Event: Display,
    C: Console<P>,
{
    async fn run(mut self, recovered: Option<Durable>, mut terminal: Terminal) -> Result<(), RuntimeError> {
        let mut terminated = signal(SignalKind::terminate())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut woke = self.now();
        let recovered = recovered.map_or_else(Recovered::default, |durable| Recovered {
            incarnation: Some(durable.incarnation),
            ballot: durable.ballot,
            first: 1,
            ..Recovered::default()
        });
        self.call(|process, cx| process.start(recovered, cx));
        self.log.prompt();
        let mut burst = 0;
        loop {
            let due = self.timers.next();
            let woken = tokio::select! {
                biased;
                result = self.disk.saved() => Woken::Saved(result),
                message = self.transport.receive(), if burst < BURST => Woken::Message(message),
                () = sleep_until(self.started + due.unwrap_or_default()), if due.is_some() => Woken::Timer,
                line = terminal.next() => Woken::Typed(line),
                Some(()) = terminated.recv() => Woken::Signal,
                Some(()) = interrupted.recv() => Woken::Signal,
                () = std::future::ready(()), if burst >= BURST => Woken::Breath,
            };
            // Since the loop last woke up, and since the timer was due, whichever is later: for at least so long nothing was done.
            let now = self.now();
            let late = due.map_or(Duration::ZERO, |due| now.saturating_sub(due.max(woke)));
            woke = now;
            burst = if matches!(woken, Woken::Message(_)) { burst + 1 } else { 0 };
            match woken {
                Woken::Saved(result) => self.release(result?),
                Woken::Message(envelope) => self.message(envelope),
                Woken::Typed(line) => {
                    if self.obey(line.as_deref()) == Next::Leave {
                        break;
                    }
                }
                Woken::Signal => break,
                Woken::Timer | Woken::Breath => {}
            }
            if due.is_some_and(|due| due <= now) {
                self.drain().await;
                if late > STALL {
                    self.call(|process, cx| process.stalled(late, cx));
                }
                if let Some(timer) = self.timers.take_due(self.now()) {
                    self.call(|process, cx| process.timer(timer, cx));
                }
            }
        }
        self.leave().await
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Lets the core handle one thing, and does what it wants done.
    fn call(&mut self, handle: impl FnOnce(&mut P, &mut Cx<'_, P>)) {
        let mut effects = std::mem::take(&mut self.effects);
        handle(&mut self.process, &mut Cx::new(&self.me, self.started.elapsed(), &mut self.rng, &NoLog, &mut effects));
        for effect in effects.drain(..) {
            match effect {
                Effect::Persist(record) => self.persist(record),
                Effect::SendNow(to, message) => self.transport.send(to, message),
                Effect::Arm(timer, at) => self.timers.arm(timer, at),
                Effect::Disarm(timer) => self.timers.disarm(timer),
                Effect::Send(to, message) => self.after_saving(Held::Send(to, message)),
                Effect::Event(event) => self.after_saving(Held::Event(event)),
                Effect::Answer(_, answer) => self.after_saving(Held::Answered(answer)),
                // There is no log, no multicast and no dynamic peer yet.
                Effect::Multicast(_) | Effect::Broadcast(_) | Effect::Connect(_) | Effect::Forget(_) | Effect::More => {
                }
            }
        }
        self.effects = effects;
    }

    /// Every record is a save of its own, so that saves count as marks do.
    fn persist(&mut self, record: Record) {
        match record {
            Record::Ballot(ballot) => self.durable.ballot = ballot,
            Record::Identity { incarnation } => self.durable.incarnation = incarnation,
            _ => {}
        }
        self.disk.save(self.durable.clone());
    }

    fn message(&mut self, envelope: Envelope) {
        self.call(|process, cx| process.message(&envelope.from, envelope.message, cx));
    }

    fn after_saving(&mut self, held: Held<P::Event>) {
        if self.disk.reached() == self.disk.asked() {
            self.perform(held);
        } else if self.held.len() < HELD_MAX {
            self.held.push_back((self.disk.asked(), held));
        } else {
            self.lost += 1;
        }
    }

    /// Does what waited for a save that is now durable.
    fn release(&mut self, took: Duration) {
        if took >= SLOW_SAVE {
            let took = took.as_millis();
            self.log.warn(format_args!("the disk is slow: votes waited for an fsync took={took}ms"));
        }
        let reached = self.disk.reached();
        self.call(|process, cx| process.persisted(Mark(reached), cx));
        while self.held.front().is_some_and(|&(save, _)| save <= reached)
            && let Some((_, held)) = self.held.pop_front()
        {
            self.perform(held);
        }
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            self.log.warn(format_args!("the disk was too slow: messages and log lines were lost lost={lost}"));
        }
    }

    fn perform(&mut self, held: Held<P::Event>) {
        match held {
            Held::Send(to, message) => self.transport.send(to, message),
            Held::Event(event) => {
                self.console.told(&event);
                self.log.info(event);
            }
            Held::Answer(text) => self.log.answer(text),
            Held::Answered(answer) => self.log.answer(answer.to_string()),
        }
    }

    /// Handles every message that has already arrived on a socket.
    async fn drain(&mut self) {
        let (mut quiet, mut handled) = (0, 0);
        while quiet < QUIET_ROUNDS && handled < DRAIN_MAX {
            // Lets the driver look at the sockets, and the connections' tasks read them.
            tokio::task::yield_now().await;
            quiet += 1;
            while let Some(envelope) = self.transport.try_receive() {
                self.message(envelope);
                (quiet, handled) = (0, handled + 1);
            }
        }
    }

    fn obey(&mut self, line: Option<&str>) -> Next {
        let Some(line) = line else { return Next::Leave };
        match self.console.command(line, &self.process, self.transport.traffic()) {
            Reply::Nothing => self.log.prompt(),
            Reply::Answer(text) => self.after_saving(Held::Answer(text)),
            Reply::Leave => return Next::Leave,
        }
        Next::Go
    }

    async fn leave(mut self) -> Result<(), RuntimeError> {
        self.call(P::leave);
        // A goodbye that depends on a save waits for it, but not for ever: a node that just disappears is a crash, and allowed.
        let saved = async {
            while !self.held.is_empty() {
                let took = self.disk.saved().await?;
                self.release(took);
            }
            Ok(())
        };
        let result = timeout(LEAVE_PATIENCE, saved).await.unwrap_or(Ok(()));
        self.transport.close(LEAVE_PATIENCE).await;
        result
    }
}

#[derive(PartialEq)]
enum Next {
    Go,
    Leave,
}

#[cfg(test)]
mod tests;
