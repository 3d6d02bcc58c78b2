//! The control thread: hears keepers, guardian and signals, writes standard inputs, and makes probes.
//!
//! It moves bytes and messages by fixed rules and never chooses. What keepers report goes through the capture thread, which puts it in
//! its place between the lines that the program wrote.

mod about;
mod http;
mod input;
mod keepers;
mod porter;
mod probe;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use dsbench_core::observation::Life;
use dsbench_core::time::RunTime;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use self::about::About;
use self::input::{Input, Written};
use self::keepers::Kept;
use self::porter::Machines;
use self::probe::{Probe, Progress, TOO_LATE};
use crate::capture;
use crate::clock::Clock;
use crate::error::WorldError;
use crate::lab::{LabSpec, Porter};
use crate::mailbox::{Mail, Mailbox, mailbox};
use crate::outside::{Happening, InputId, Outside, ProbeId, Who};
use crate::process::{Channel, ProbeSpec, Reported};
use crate::signals::Signals;
use crate::thread;

/// Work for the control thread.
#[derive(Debug)]
pub(crate) enum Task {
    /// A keeper is about to be forked.
    Keep {
        /// Its name.
        key: u64,
        /// Whose program it keeps.
        who: Who,
        /// The channel to it.
        channel: Arc<Channel>,
        /// The writing end of the program's standard input, non-blocking; none for helpers.
        stdin: Option<OwnedFd>,
        /// True if it may be among the processes of another life.
        joins: bool,
    },
    /// The guardian could not even be asked for it.
    NotKept {
        /// Its name.
        key: u64,
        /// Why, for people.
        why: String,
    },
    /// Bytes for a standard input.
    Input {
        /// The keeper's name; none if nothing of the life is alive.
        key: Option<u64>,
        /// Whose.
        of: Life,
        /// Which input.
        id: InputId,
        /// What.
        bytes: Vec<u8>,
    },
    /// Try to connect.
    Probe(ProbeId, ProbeSpec),
    /// The run is over.
    Stop,
}

/// The hold on the thread.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) mailbox: Mailbox<Task>,
}

impl Control {
    /// Starts the thread.
    pub(crate) fn start(
        clock: Clock,
        guardian: Channel,
        with_signals: bool,
        capture: Mailbox<capture::Task>,
        lab: Option<(LabSpec, Porter)>,
        outbox: SyncSender<Outside>,
    ) -> Result<Self, WorldError> {
        let start = || -> io::Result<Self> {
            let (mailbox, mail) = mailbox()?;
            let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
            epoll.add(&mail, EpollEvent::new(EpollFlags::EPOLLIN, About::Mail.number()))?;
            epoll.add(&guardian, EpollEvent::new(EpollFlags::EPOLLIN, About::Guardian.number()))?;
            let signals = if with_signals {
                let signals = SignalFd::with_flags(&Signals::set(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
                epoll.add(&signals, EpollEvent::new(EpollFlags::EPOLLIN, About::Signals.number()))?;
                Some(signals)
            } else {
                None
            };
            let machines = lab.map(|(spec, porter)| Machines::new(&spec, porter));
            if let Some(machines) = &machines {
                epoll.add(machines, EpollEvent::new(EpollFlags::EPOLLIN, About::Porter.number()))?;
            }
            let listener = Listener {
                clock,
                capture,
                outbox,
                mail,
                epoll,
                signals,
                guardian: Some(guardian),
                kept: BTreeMap::new(),
                probes: BTreeMap::new(),
                machines,
            };
            thread::spawn("control", clock, listener.outbox.clone(), || listener.run())?;
            Ok(Self { mailbox })
        };
        start().map_err(|error| WorldError::system("start the control thread", error))
    }

    /// Asks it to end. It has ended when it has given up its side of the outbox.
    pub(crate) fn stop(&self) {
        self.mailbox.put(Task::Stop);
    }
}

/// The thread's state.
struct Listener {
    clock: Clock,
    capture: Mailbox<capture::Task>,
    outbox: SyncSender<Outside>,
    mail: Mail<Task>,
    epoll: Epoll,
    signals: Option<SignalFd>,
    /// None once it is gone.
    guardian: Option<Channel>,
    kept: BTreeMap<u64, Kept>,
    probes: BTreeMap<u64, Probe>,
    /// None without a laboratory, and once its process is gone.
    machines: Option<Machines>,
}

impl Listener {
    fn run(mut self) {
        let mut events = vec![EpollEvent::empty(); 64];
        loop {
            let count = match self.epoll.wait(&mut events, self.patience()) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(errno) => return self.broken(&format!("waiting for keepers failed: {errno}")),
            };
            for event in &events[..count] {
                match About::from_number(event.data()) {
                    About::Mail => {
                        for task in self.mail.take() {
                            if matches!(task, Task::Stop) {
                                return;
                            }
                            self.work(task);
                        }
                    }
                    About::Signals => self.hear_signals(),
                    About::Guardian => self.hear_guardian(),
                    About::Keeper(key) => self.hear_keeper(key),
                    About::Stdin(key) => self.use_stdin(key, Input::write),
                    About::Probe(id) => self.answer_probe(id),
                    About::Porter => self.hear_porter(),
                }
            }
            self.check_deadlines();
        }
    }

    /// Until the next deadline.
    fn patience(&self) -> EpollTimeout {
        let inputs = self.kept.values().filter_map(|kept| kept.stdin.as_ref()?.deadline());
        let machines = self.machines.iter().flat_map(Machines::deadlines);
        match self.probes.values().map(|probe| probe.deadline).chain(inputs).chain(machines).min() {
            None => EpollTimeout::NONE,
            // Rounded up: too early would be a loop without a pause.
            Some(deadline) => {
                let ms = self.clock.until(deadline).as_millis().saturating_add(1);
                EpollTimeout::try_from(ms).unwrap_or(EpollTimeout::MAX)
            }
        }
    }

    fn work(&mut self, task: Task) {
        match task {
            Task::Keep { key, who, channel, stdin, joins } => {
                let event = EpollEvent::new(EpollFlags::EPOLLIN, About::Keeper(key).number());
                self.epoll.add(&*channel, event).expect("a new socket can be polled");
                let stdin = stdin.map(|pipe| Input::new(pipe, self.clock.now()));
                let kept = Kept { who, channel: Some(channel), stdin, joins, has_started: false, has_exited: false };
                self.kept.insert(key, kept);
            }
            Task::NotKept { key, why } => {
                self.pass_on(key, self.clock.now(), Reported::NotStarted { why, by_machine: true });
            }
            Task::Input { key, of, id, bytes } => match key.filter(|key| self.has_stdin(*key)) {
                Some(key) => self.use_stdin(key, |stdin, now| stdin.push(id, bytes, now)),
                None => {
                    self.say(self.clock.now(), Happening::Input { id, of, result: Err("it is not running".to_owned()) })
                }
            },
            Task::Probe(id, spec) => {
                let now = self.clock.now();
                // What is no machine's is somewhere on the host's network.
                let rest = match &mut self.machines {
                    Some(machines) => machines.ask(id, spec, now),
                    None => Some(spec),
                };
                if let Some(spec) = rest {
                    self.watch_probe(id, Probe::begin(id, spec, now));
                }
            }
            Task::Stop => {}
        }
    }

    fn hear_signals(&mut self) {
        while let Some(Ok(Some(info))) = self.signals.as_ref().map(SignalFd::read_signal) {
            self.say(self.clock.now(), Happening::Signal(i32::try_from(info.ssi_signo).unwrap_or(0)));
        }
    }

    fn has_stdin(&self, key: u64) -> bool {
        self.kept.get(&key).is_some_and(|kept| kept.stdin.is_some())
    }

    /// Uses a standard input, tells what came of it, and polls it exactly while something waits.
    fn use_stdin(&mut self, key: u64, act: impl FnOnce(&mut Input, RunTime) -> Vec<Written>) {
        let now = self.clock.now();
        let Some(Kept { who: Who::Life(of), stdin, .. }) = self.kept.get_mut(&key) else { return };
        let of = of.clone();
        let told = match stdin {
            None => Vec::new(),
            Some(stdin) => {
                let was_waiting = stdin.is_waiting();
                let told = act(stdin, now);
                let event = EpollEvent::new(EpollFlags::EPOLLOUT, About::Stdin(key).number());
                match (was_waiting, stdin.is_waiting()) {
                    (false, true) => self.epoll.add(stdin.as_fd(), event).expect("an open pipe can be polled"),
                    (true, false) => self.epoll.delete(stdin.as_fd()).expect("it was added when it began to wait"),
                    _ => {}
                }
                told
            }
        };
        for (id, result) in told {
            self.say(now, Happening::Input { id, of: of.clone(), result });
        }
    }

    fn watch_probe(&mut self, id: ProbeId, begun: Result<Probe, probe::Answer>) {
        match begun {
            Err(result) => self.say(self.clock.now(), Happening::Probed { id, result }),
            Ok(probe) => {
                let event = EpollEvent::new(EpollFlags::EPOLLOUT, About::Probe(id.0).number());
                self.epoll.add(&probe, event).expect("a new socket can be polled");
                self.probes.insert(id.0, probe);
            }
        }
    }

    fn answer_probe(&mut self, id: u64) {
        let Some(probe) = self.probes.get_mut(&id) else { return };
        match probe.go_on() {
            Progress::Waits(flags) => {
                let mut event = EpollEvent::new(flags, About::Probe(id).number());
                self.epoll.modify(&*probe, &mut event).expect("it was added when it began");
            }
            Progress::Answered(result) => {
                let _ = self.epoll.delete(&*probe);
                let id = probe.id;
                self.probes.remove(&id.0);
                self.say(self.clock.now(), Happening::Probed { id, result });
            }
        }
    }

    fn check_deadlines(&mut self) {
        let now = self.clock.now();
        let stuck: Vec<u64> = self
            .kept
            .iter()
            .filter(|(_, kept)| kept.stdin.as_ref().and_then(Input::deadline).is_some_and(|deadline| now >= deadline))
            .map(|(key, _)| *key)
            .collect();
        for key in stuck {
            self.use_stdin(key, Input::check_patience);
        }
        let late: Vec<u64> =
            self.probes.values().filter(|probe| now >= probe.deadline).map(|probe| probe.id.0).collect();
        for id in late {
            if let Some(probe) = self.probes.remove(&id) {
                let _ = self.epoll.delete(&probe);
                self.say(now, Happening::Probed { id: probe.id, result: probe.too_late() });
            }
        }
        for id in self.machines.iter_mut().flat_map(|machines| machines.late(now)).collect::<Vec<_>>() {
            self.say(now, Happening::Probed { id, result: Err(TOO_LATE.to_owned()) });
        }
    }

    fn broken(&self, why: &str) {
        self.say(self.clock.now(), Happening::Broken { why: why.to_owned() });
    }

    fn say(&self, at: RunTime, what: Happening) {
        // If the driver is gone, so is the run.
        let _ = self.outbox.send(Outside { at, what });
    }
}
