//! The capture thread: reads every output pipe of the run, and puts what the keepers report in its place between the lines.
//!
//! It moves bytes by fixed rules and never chooses. Each round every pipe that has something is read once, at most one chunk, so that a node
//! that floods its log cannot starve the others. The thread wakes at least once in a tick while a pipe is open; that is the bound of the times'
//! uncertainty, and if a wake-up is late (a stopped bench, a stalled disk, a loaded machine), the bench says so.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use dsbench_core::observation::{Name, Output};
use dsbench_core::time::RunTime;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::follow::{Follow, Follower};
use super::output::{CHUNK_BYTES, Into, Pipe, Progress, Sinks};
use super::patterns::Patterns;
use super::reports::Captured;
use super::stream::LineStream;
use super::tail::Tail;
use super::view::View;
use crate::clock::Clock;
use crate::error::WorldError;
use crate::mailbox::{Mail, Mailbox, mailbox};
use crate::outside::{Happening, Outside, Who};
use crate::process::Reported;
use crate::thread;

/// A wake-up that is later than this is reported.
const STALL: Duration = Duration::from_millis(50);
/// The mailbox's place among the descriptors.
const MAIL: u64 = u64::MAX;

/// Work for the capture thread.
pub(crate) enum Task {
    /// A program is about to be started.
    Open(Box<Opening>),
    /// Its keeper reports.
    Report {
        /// Which program.
        key: u64,
        /// When it happened.
        at: RunTime,
        /// What happened.
        what: Reported,
    },
    /// The run is over.
    Stop,
}

/// A program that is about to be started.
pub(crate) struct Opening {
    /// The keeper's name.
    pub(crate) key: u64,
    /// Whose output.
    pub(crate) who: Who,
    /// The reading ends of its standard output and error, non-blocking.
    pub(crate) pipes: [OwnedFd; 2],
    /// What they are searched for.
    pub(crate) patterns: [Option<Box<dyn Patterns>>; 2],
    /// The files that are followed beside them.
    pub(crate) files: Vec<Follow>,
    /// Whether lines carry the process's name.
    pub(crate) label: bool,
}

/// The hold on the thread.
#[derive(Debug)]
pub(crate) struct Capture {
    pub(crate) mailbox: Mailbox<Task>,
}

impl Capture {
    /// Starts the thread.
    pub(crate) fn start(
        clock: Clock,
        dir: PathBuf,
        tick: Duration,
        outbox: SyncSender<Outside>,
    ) -> Result<Self, WorldError> {
        let failed = |error: std::io::Error| WorldError::system("start the capture thread", error);
        let (mailbox, mail) = mailbox().map_err(failed)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(|errno| failed(errno.into()))?;
        epoll.add(&mail, EpollEvent::new(EpollFlags::EPOLLIN, MAIL)).map_err(|errno| failed(errno.into()))?;
        let reader = Reader {
            clock,
            dir,
            tick,
            outbox,
            mail,
            epoll,
            programs: BTreeMap::new(),
            views: BTreeMap::new(),
            known_files: BTreeSet::new(),
            next_look: RunTime::START,
            buffer: vec![0; CHUNK_BYTES],
        };
        thread::spawn("capture", clock, reader.outbox.clone(), || reader.run()).map_err(failed)?;
        Ok(Self { mailbox })
    }

    /// Asks it to end. It has ended when it has given up its side of the outbox.
    pub(crate) fn stop(&self) {
        self.mailbox.put(Task::Stop);
    }
}

/// The thread's state.
pub(super) struct Reader {
    pub(super) clock: Clock,
    dir: PathBuf,
    /// The longest sleep while a pipe is open or a file is followed, and the time from one look at a file to the next.
    tick: Duration,
    pub(super) outbox: SyncSender<Outside>,
    mail: Mail<Task>,
    pub(super) epoll: Epoll,
    pub(super) programs: BTreeMap<u64, Captured>,
    pub(super) views: BTreeMap<Name, View>,
    /// Files that were there in some life of their process.
    pub(super) known_files: BTreeSet<(Name, Name, Name)>,
    /// When the files that are followed are looked at.
    next_look: RunTime,
    pub(super) buffer: Vec<u8>,
}

impl Reader {
    fn run(mut self) {
        let mut events = vec![EpollEvent::empty(); 256];
        let mut awake = self.clock.now();
        loop {
            // First a look without waiting: what it does not name is empty now, and what comes later is younger.
            let looked = self.clock.now();
            let mut count = self.epoll.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
            self.note_empty(&events[..count], looked);
            if count == 0 {
                count = self.epoll.wait(&mut events, self.patience()).unwrap_or(0);
            }
            let woke = self.clock.now();
            if self.is_reading() && woke.since(awake) >= self.tick + STALL {
                self.say(woke, Happening::Stall { since: awake });
            }
            for event in &events[..count] {
                if event.data() != MAIL {
                    self.read_once(event.data());
                }
            }
            if woke >= self.next_look {
                self.next_look = if self.follow() == Progress::More { woke } else { woke + self.tick };
            }
            // After the pipes, so that what was read before a report was known stands before it.
            for task in self.mail.take() {
                match task {
                    Task::Open(opening) => self.open(*opening),
                    Task::Report { key, at, what } => self.report(key, at, what),
                    Task::Stop => return self.stop(),
                }
            }
            self.finish();
            awake = if self.is_reading() { woke } else { self.clock.now() };
        }
    }

    /// True while a pipe is looked at, or a file.
    fn is_reading(&self) -> bool {
        self.programs.values().any(|program| {
            let is_piped = program.pipes.iter().any(|pipe| pipe.is_polled && pipe.end.is_some());
            is_piped || program.is_following()
        })
    }

    fn patience(&self) -> EpollTimeout {
        if !self.is_reading() {
            return EpollTimeout::NONE;
        }
        let is_behind = self.next_look <= self.clock.now() && self.programs.values().any(Captured::is_following);
        let patience = if is_behind { Duration::ZERO } else { self.tick };
        EpollTimeout::try_from(patience).unwrap_or(EpollTimeout::ZERO)
    }

    /// Every pipe that was looked at and has nothing to read was empty at `looked`.
    fn note_empty(&mut self, ready: &[EpollEvent], looked: RunTime) {
        let ready: BTreeSet<u64> = ready.iter().map(EpollEvent::data).collect();
        for (key, program) in &mut self.programs {
            for (stream, pipe) in program.pipes.iter_mut().enumerate() {
                if pipe.is_polled && !ready.contains(&descriptor(*key, stream)) {
                    pipe.empty_at = looked;
                }
            }
        }
    }

    fn open(&mut self, opening: Opening) {
        let Opening { key, who, pipes: [stdout, stderr], patterns: [of_stdout, of_stderr], files, label } = opening;
        let pipe = |stream: usize, end, patterns| {
            let into = match &who {
                Who::Exec(_) => Into::Tail(Tail::default()),
                Who::Life(life) => {
                    let key = descriptor(key, stream);
                    let output = if stream == 1 { Output::Stderr } else { Output::Stdout };
                    Into::Log(Box::new(LineStream::create(&self.dir, life, output, key, label, patterns)))
                }
            };
            Pipe { end: Some(end), is_polled: false, into, empty_at: RunTime::START }
        };
        let pipes = [pipe(0, stdout, of_stdout), pipe(1, stderr, of_stderr)];
        let mut followers = Vec::new();
        if let Who::Life(life) = &who {
            for (index, mut file) in files.into_iter().enumerate() {
                let (output, patterns) = (Output::File(file.name()), file.patterns.take());
                let stream = file_stream(key, index);
                let stream = LineStream::create(&self.dir, life, output, stream, label, patterns);
                followers.push(Follower::new(file, stream));
            }
            self.views.entry(life.node.clone()).or_insert_with(|| View::create(&self.dir, &life.node));
        }
        let program = Captured {
            who,
            label,
            pipes,
            followers,
            has_started: false,
            exited: None,
            empty: None,
            is_answered: false,
        };
        self.programs.insert(key, program);
    }

    /// Reads one pipe once.
    fn read_once(&mut self, descriptor: u64) {
        let (key, stream) = (descriptor / 2, usize::from(descriptor % 2 == 1));
        let Some(program) = self.programs.get_mut(&key) else { return };
        let outbox = &self.outbox;
        let emit = &mut |outside| drop(outbox.send(outside));
        let mut sinks = Sinks { views: &mut self.views, emit };
        program.pipes[stream].read(&mut self.buffer, &self.clock, &mut sinks);
    }

    /// Looks at every file once.
    fn follow(&mut self) -> Progress {
        let outbox = &self.outbox;
        let emit = &mut |outside| drop(outbox.send(outside));
        let mut sinks = Sinks { views: &mut self.views, emit };
        let mut progress = Progress::Drained;
        for program in self.programs.values_mut().filter(|program| program.has_started) {
            for follower in &mut program.followers {
                if follower.look(&mut self.buffer, &self.clock, &mut sinks) == Progress::More {
                    progress = Progress::More;
                }
            }
        }
        progress
    }

    fn stop(mut self) {
        let keys: Vec<u64> = self.programs.keys().copied().collect();
        for key in keys {
            self.drain(key);
            self.close(key);
        }
    }

    /// Tells the driver. Waits when it is far behind: better a stall that is told than memory without bound. If it is gone, so is the run.
    pub(super) fn say(&self, at: RunTime, what: Happening) {
        let _ = self.outbox.send(Outside { at, what });
    }
}

/// A followed file's name in a view.
fn file_stream(key: u64, index: usize) -> u64 {
    1 << 63 | key << 16 | index as u64
}

/// A pipe's name in epoll, and a stream's in a view.
pub(super) fn descriptor(key: u64, stream: usize) -> u64 {
    key * 2 + stream as u64
}
