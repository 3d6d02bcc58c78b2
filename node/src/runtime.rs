//! Drives one core on real sockets, disk, clock and terminal.
//!
//! One task, one biased select: what is saved, then what is heard, then timers, then what is typed, then signals. Whatever a core wants
//! done is done in its order, except that sends, events and answers wait for every record before them, while saving runs beside.
//!
//! A node that stood still (SIGSTOP, a busy machine) must not blame others for its own silence: before any timer is looked at, the
//! sockets are read; and when the timer is late, the core is told for how long it was away before it is told of the timer.

mod disk;
mod readings;
mod timers;

use std::collections::VecDeque;
use std::fmt::{Debug, Display};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use dsbench_protocol::{Answer, Asker, Cx, Effect, Mark, Process};
use dsbench_wire::{Message, NodeId, Record, Recovered};
use rand_pcg::Pcg64Mcg;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until, timeout};

use crate::emit::{Log, Place};
use crate::storage::{DiskArchive, Storage, StorageError};
use crate::terminal::Terminal;
use crate::transport::{Heard, Traffic, Transport};
use disk::Disk;
pub use readings::Readings;
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
/// Messages that wait for the disk at most. A disk that is this far behind is as good as gone, and they are lost like on any network.
const HELD_MAX: usize = 4096;
/// An election waits for several saves one after the other: with much slower ones than this, nobody is elected in time.
const SLOW_SAVE: Duration = Duration::from_millis(250);
/// So long a node that leaves hands over what others need it for.
const HAND_OVER_PATIENCE: Duration = Duration::from_secs(1);
/// After that, each part of its end takes no longer than this: what its goodbye waits for is saved, its peers have it, the disk is let go.
const LEAVE_PATIENCE: Duration = Duration::from_millis(500);

/// What a person can ask of a core, and what a program that is no member can.
pub trait Console<P: Process> {
    /// This will be told when all before it is durable.
    fn decided(&mut self, event: &P::Event) {
        let _ = event;
    }
    /// This is told now. Gives how it stands in the log.
    fn told(&mut self, event: &P::Event) -> Saying;
    /// Everything that the core has told by now was [`told`](Self::told).
    fn caught_up(&mut self, process: &P) {
        let _ = process;
    }
    /// The core lets go of what it told up to this index: it will not tell it again after a crash.
    fn lets_go(&mut self, index: u64) {
        let _ = index;
    }
    /// Waits until what was told is kept, and there is nothing to do before more is told. Dropping the future loses nothing.
    fn settles(&mut self, process: &P) -> impl Future<Output = ()> {
        let _ = process;
        std::future::ready(())
    }
    /// Obeys one typed line; `traffic` is for its status.
    fn command(&self, line: &str, process: &P, traffic: Traffic) -> Reply;
    /// Why what it was told could not be kept, if it keeps it: the node must stop then, before it counts as told.
    fn failure(&mut self) -> Option<StorageError> {
        None
    }
    /// Who this node is and who leads, as one line of JSON without its newline.
    fn introduction(&self, process: &P) -> String;
}

/// How an event stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Saying {
    /// As it is; lost where nobody reads the log.
    Plain,
    /// As it is, and never lost, however slowly the log is read. The core tells only so many of these before it asks for
    /// [`Effect::More`].
    Sure,
    /// In these words.
    Words(String),
    /// Not at all, or later.
    Nothing,
}

/// The answer to what was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing was asked.
    Nothing,
    /// Text for the person.
    Answer(String),
    /// This shall be delivered to all. The core tells what becomes of it.
    Request(String),
    /// Readings shall be taken so often, or no more.
    Readings(Option<Duration>),
    /// The node shall leave.
    Leave,
}

/// The person at this node: what becomes of its requests is told in the log, and nowhere else.
const PERSON: Asker = Asker(0);

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

/// What a node keeps beside its records.
pub trait Beside: Debug + Send + Sync {
    /// Makes durable what was told so far: the records may forget it then. Called on the thread that saves.
    ///
    /// # Errors
    /// When the system refuses; the node must stop.
    fn sync(&self) -> Result<(), StorageError>;
}

/// What a core stands on.
#[derive(Debug)]
pub struct Ground {
    /// This node.
    pub me: NodeId,
    /// Its only randomness.
    pub rng: Pcg64Mcg,
    /// Its disk.
    pub storage: Storage,
    /// What must be durable before the storage forgets anything.
    pub beside: Option<Arc<dyn Beside>>,
    /// What is durable there, to read.
    pub archive: DiskArchive,
    /// Its network.
    pub transport: Transport,
    /// Its person.
    pub terminal: Terminal,
    /// Its voice.
    pub log: Log,
    /// How often it takes a reading by itself.
    pub readings: Option<Duration>,
}

/// Runs `process` until it is asked to leave (a signal, a command, the end of the input).
///
/// # Errors
/// When its state cannot be saved, or the system refuses what a node needs.
pub async fn run<P, C>(process: P, recovered: Recovered, console: C, ground: Ground) -> Result<(), RuntimeError>
where
    P: Process,
    P::Event: Display,
    C: Console<P>,
{
    let Ground { me, mut rng, storage, beside, archive, transport, terminal, log, readings } = ground;
    let runtime = Runtime {
        process,
        console,
        started: Instant::now(),
        timers: Timers::new(),
        effects: Vec::new(),
        disk: Disk::new(storage, beside, me.clone())?,
        archive,
        held: VecDeque::new(),
        held_sends: 0,
        lost: 0,
        wants_more: None,
        readings: Readings::new(readings, &mut rng),
        transport,
        log,
        me,
        rng,
    };
    runtime.run(recovered, terminal).await
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
    disk: Disk,
    archive: DiskArchive,
    /// In order, each with the record that it waits for.
    held: VecDeque<(Mark, Held<P::Event>)>,
    /// How many of them are messages.
    held_sends: usize,
    lost: u64,
    /// The core waits until what it told up to here is written.
    wants_more: Option<Place>,
    readings: Readings,
    transport: Transport,
    log: Log,
}

/// What must not be seen by anybody before what it rests on is durable.
enum Held<E> {
    Send(NodeId, Message),
    /// After what was sent.
    Forget(NodeId),
    Event(E),
    /// All events before it are told.
    More,
    Answer(Asker, Answer),
    Text(String),
}

enum Woken {
    Saved(Result<Duration, StorageError>),
    Heard(Heard),
    Written,
    Timer,
    Reading,
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
    async fn run(mut self, recovered: Recovered, mut terminal: Terminal) -> Result<(), RuntimeError> {
        let mut terminated = signal(SignalKind::terminate())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut woke = self.now();
        self.call(|process, cx| process.start(recovered, cx))?;
        self.disk.begin();
        self.log.prompt();
        let mut burst = 0;
        let mut leaves_at = None;
        while leaves_at.is_none_or(|at| Instant::now() < at && self.process.is_needed()) {
            let due = self.timers.next();
            let woken = tokio::select! {
                biased;
                result = self.disk.saved() => Woken::Saved(result),
                heard = self.transport.receive(), if burst < BURST => Woken::Heard(heard),
                () = sleep_until(self.started + due.unwrap_or_default()), if due.is_some() => Woken::Timer,
                () = settled(&self.log, self.wants_more, &mut self.console, &self.process), if self.wants_more.is_some() => {
                    Woken::Written
                }
                () = self.readings.due() => Woken::Reading,
                () = sleep_until(leaves_at.unwrap_or(self.started)), if leaves_at.is_some() => break,
                line = terminal.next(), if leaves_at.is_none() => Woken::Typed(line),
                Some(()) = terminated.recv() => Woken::Signal,
                Some(()) = interrupted.recv() => Woken::Signal,
                () = std::future::ready(()), if burst >= BURST => Woken::Breath,
            };
            // Since the loop last woke up, and since the timer was due, whichever is later: for at least so long nothing was done.
            let now = self.now();
            let late = due.map_or(Duration::ZERO, |due| now.saturating_sub(due.max(woke)));
            woke = now;
            let mut handled = 0;
            match woken {
                Woken::Saved(result) => self.release(result?)?,
                Woken::Heard(heard) => {
                    self.heard(heard)?;
                    handled = 1;
                    // What waits already is handled together, and saved together.
                    while burst + handled < BURST
                        && let Some(heard) = self.transport.try_receive()
                    {
                        self.heard(heard)?;
                        handled += 1;
                    }
                }
                Woken::Written => {
                    self.wants_more = None;
                    self.console.caught_up(&self.process);
                    self.call(|process, cx| process.more(cx))?;
                }
                Woken::Reading => {
                    let reading = self.readings.take(&mut self.rng);
                    self.call(|process, cx| process.request(PERSON, None, reading, cx))?;
                }
                Woken::Typed(line) => {
                    if self.obey(line.as_deref())? == Next::Leave {
                        leaves_at = Some(self.hand_over()?);
                    }
                }
                // Asked once more, it goes at once.
                Woken::Signal if leaves_at.is_some() => break,
                Woken::Signal => leaves_at = Some(self.hand_over()?),
                Woken::Timer | Woken::Breath => {}
            }
            burst = if handled > 0 { burst + handled } else { 0 };
            self.disk.begin();
            if due.is_some_and(|due| due <= now) {
                self.drain().await?;
                if late > STALL {
                    self.call(|process, cx| process.stalled(late, cx))?;
                }
                if let Some(timer) = self.timers.take_due(self.now()) {
                    self.call(|process, cx| process.timer(timer, cx))?;
                }
                self.disk.begin();
            }
        }
        self.leave().await
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Lets the core handle one thing, and does what it wants done.
    fn call(&mut self, handle: impl FnOnce(&mut P, &mut Cx<'_, P>)) -> Result<(), StorageError> {
        if let Some(failure) = self.console.failure() {
            return Err(failure);
        }
        let mut effects = std::mem::take(&mut self.effects);
        let now = self.started.elapsed();
        handle(&mut self.process, &mut Cx::new(&self.me, now, &mut self.rng, &self.archive, &mut effects));
        if let Some(failure) = self.archive.failure() {
            // It saw an empty log where there is one.
            return Err(failure);
        }
        for effect in effects.drain(..) {
            match effect {
                Effect::Persist(record) => {
                    if let Record::Checkpoint(snapshot) = &record {
                        self.console.lets_go(snapshot.at.index);
                    }
                    self.disk.save(record);
                }
                Effect::SendNow(to, message) => self.transport.send(&to, message),
                Effect::Multicast(message) => self.transport.multicast(&message),
                Effect::Broadcast(message) => self.transport.broadcast(&message),
                Effect::Connect(peer) => {
                    // Whoever was to be forgotten after the next save is wanted again.
                    self.held.retain(|(_, held)| !matches!(held, Held::Forget(id) if *id == peer.id));
                    self.transport.connect(peer.id, peer.endpoint);
                }
                Effect::Forget(id) => self.after_saving(Held::Forget(id)),
                Effect::Arm(timer, at) => self.timers.arm(timer, at),
                Effect::Disarm(timer) => self.timers.disarm(timer),
                Effect::Send(to, message) => self.after_saving(Held::Send(to, message)),
                Effect::Event(event) => {
                    self.console.decided(&event);
                    self.after_saving(Held::Event(event));
                }
                Effect::Answer(asker, answer) => self.after_saving(Held::Answer(asker, answer)),
                Effect::More => self.after_saving(Held::More),
                Effect::Fail(reason) => return Err(self.archive.unreadable(reason)),
            }
        }
        self.effects = effects;
        if self.held.is_empty() {
            self.console.caught_up(&self.process);
        }
        Ok(())
    }

    fn heard(&mut self, heard: Heard) -> Result<(), StorageError> {
        match heard {
            Heard::Message(envelope) => self.call(|process, cx| process.message(&envelope.from, envelope.message, cx)),
            Heard::Ended(peer) => self.call(|process, cx| process.ended(&peer, cx)),
            Heard::Request { id, payload, reply_to } => {
                let asker = self.transport.asks(reply_to);
                self.call(|process, cx| process.request(asker, id, payload, cx))
            }
            Heard::Status { reply_to } => {
                self.transport.reply(reply_to, self.console.introduction(&self.process));
                Ok(())
            }
        }
    }

    fn after_saving(&mut self, held: Held<P::Event>) {
        let needed = self.disk.needed();
        let is_send = matches!(held, Held::Send(..));
        if needed <= self.disk.reached() && self.held.is_empty() {
            self.perform(held);
        } else if !is_send || self.held_sends < HELD_MAX {
            // Events and answers are as many as a core tells before it asks for more, and as requests are open.
            self.held_sends += usize::from(is_send);
            self.held.push_back((needed, held));
        } else {
            self.lost += 1;
        }
    }

    /// Does what waited for a record that is now durable.
    fn release(&mut self, took: Duration) -> Result<(), StorageError> {
        if took >= SLOW_SAVE {
            let took = took.as_millis();
            self.log.warn(format_args!("the disk is slow: votes waited for an fsync took={took}ms"));
        }
        let reached = self.disk.reached();
        // What this wants done comes after what waits already.
        self.call(|process, cx| process.persisted(reached, cx))?;
        while self.held.front().is_some_and(|&(mark, _)| mark <= reached)
            && let Some((_, held)) = self.held.pop_front()
        {
            self.held_sends -= usize::from(matches!(held, Held::Send(..)));
            self.perform(held);
        }
        if self.held.is_empty() {
            self.console.caught_up(&self.process);
        }
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            self.log.warn(format_args!("the disk was too slow: messages were lost lost={lost}"));
        }
        Ok(())
    }

    fn perform(&mut self, held: Held<P::Event>) {
        match held {
            Held::Send(to, message) => self.transport.send(&to, message),
            Held::Forget(id) => self.transport.forget(&id),
            Held::Event(event) => match self.console.told(&event) {
                Saying::Plain => self.log.info(event),
                Saying::Sure => self.log.sure(event),
                Saying::Words(words) => self.log.info(words),
                Saying::Nothing => {}
            },
            Held::More => self.wants_more = Some(self.log.place()),
            Held::Answer(asker, answer) => self.transport.answer(asker, &answer),
            Held::Text(text) => self.log.answer(text),
        }
    }

    /// Handles everything that has already arrived on a socket.
    async fn drain(&mut self) -> Result<(), StorageError> {
        let (mut quiet, mut handled) = (0, 0);
        while quiet < QUIET_ROUNDS && handled < DRAIN_MAX {
            // Lets the driver look at the sockets, and the connections' tasks read them.
            tokio::task::yield_now().await;
            quiet += 1;
            while let Some(heard) = self.transport.try_receive() {
                self.heard(heard)?;
                (quiet, handled) = (0, handled + 1);
            }
        }
        Ok(())
    }

    fn obey(&mut self, line: Option<&str>) -> Result<Next, StorageError> {
        let Some(line) = line else { return Ok(Next::Leave) };
        match self.console.command(line, &self.process, self.transport.traffic()) {
            Reply::Nothing => self.log.prompt(),
            Reply::Answer(text) => self.after_saving(Held::Text(text)),
            Reply::Request(payload) => self.call(|process, cx| process.request(PERSON, None, payload, cx))?,
            Reply::Readings(every) => {
                self.readings.change(every);
                let told = every.map_or("readings off".to_owned(), |every| {
                    format!("readings every {}", humantime::format_duration(every))
                });
                self.log.answer(told);
            }
            Reply::Leave => return Ok(Next::Leave),
        }
        Ok(Next::Go)
    }

    /// Begins to leave. Gives when it goes at the latest.
    fn hand_over(&mut self) -> Result<Instant, StorageError> {
        self.call(P::hand_over)?;
        Ok(Instant::now() + HAND_OVER_PATIENCE)
    }

    async fn leave(mut self) -> Result<(), RuntimeError> {
        self.call(P::leave)?;
        self.disk.begin();
        // A goodbye that depends on a record waits for it, but not for ever: a node that just disappears is a crash, and allowed.
        let saved = async {
            while !self.held.is_empty() {
                let took = self.disk.saved().await?;
                self.release(took)?;
                self.disk.begin();
            }
            Ok(())
        };
        let result = timeout(LEAVE_PATIENCE, saved).await.unwrap_or(Ok(()));
        let Self { transport, disk, .. } = self;
        transport.close(LEAVE_PATIENCE).await;
        disk.close(LEAVE_PATIENCE).await;
        result
    }
}

/// Waits until everything up to `place` is written, and nothing is to be done before more is told.
async fn settled<P: Process, C: Console<P>>(log: &Log, place: Option<Place>, console: &mut C, process: &P) {
    log.written(place.unwrap_or_default()).await;
    console.settles(process).await;
}

#[derive(PartialEq)]
enum Next {
    Go,
    Leave,
}

#[cfg(test)]
mod tests;
