//! A keeper: one process per life of a node's process, which is the ancestor of all that the life consists of.
//!
//! As a child subreaper it inherits every descendant whose parent ends, however it detached itself (double fork, setsid, ignored signals).
//! So when waitpid says that it has no child left, nothing of the life exists any more: that is proof, where looking
//! for processes by name or group is hope. It ends only then. It never decides anything: it does what it is told, reports what it
//! sees, and kills everything when dsbench or the guardian is gone.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, getppid, setsid};

use super::channel::{Channel, Received};
use super::freeze::Frozen;
use super::message::{Order, Report, Reported, exit_of};
use super::program::{self, Starting};
use super::seat::Seat;
use super::spec::Program;
use super::sweep::sweep;
use super::sys::PidFd;
use super::tree;
use crate::clock::Monotonic;
use crate::error::is_exhausted;

/// Children that follow their parent within this time are not called leaking.
const LEAK_GRACE: Duration = Duration::from_millis(250);
/// A kill that takes longer than this is reported.
const KILL_PATIENCE: Duration = Duration::from_secs(2);
/// With nobody left to tell, this is how long an unkillable tree (setuid programs, uninterruptible sleep) is tried.
const KILL_ALONE: Duration = Duration::from_secs(30);

/// The life of a keeper process; gives its exit code: 0 if nothing of its tree is left.
pub(super) fn keep(channel: Channel, program: &Program, stdio: [OwnedFd; 3], guardian: Pid, seat: Option<Seat>) -> i32 {
    let prepared = prepare(guardian, seat.as_ref());
    if let Some(seat) = &seat {
        seat.settle(&stdio);
    }
    let at = Monotonic::now();
    let started = prepared.and_then(|signals| Ok((signals, program::start(program, &stdio, seat.as_ref())?)));
    // Before the loop, or the end of the program's output would never be seen while its keeper lives.
    drop(stdio);
    match started {
        Ok((signals, starting)) => Keeper {
            channel: Some(channel),
            signals,
            main: Some(starting.pid),
            starting: Some(starting),
            waiting: Vec::new(),
            began: at,
            ended: None,
            killing: None,
            frozen: Frozen::default(),
            is_first: seat.is_some_and(|seat| seat.is_first),
        }
        .run(program),
        Err(error) => {
            let name = program.argv.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let why = format!("`{name}`: {error}");
            let by_machine = error.raw_os_error().is_some_and(|errno| is_exhausted(Errno::from_raw(errno)));
            let _ = channel.send(&Report { at, what: Reported::NotStarted { why, by_machine } }, &[]);
            0
        }
    }
}

/// Makes this process what a keeper must be before it has a child.
fn prepare(guardian: Pid, seat: Option<&Seat>) -> io::Result<SignalFd> {
    // These cannot fail for a fresh child; if one did, the promise of this file would be void, so nothing is started then.
    setsid()?;
    prctl::set_name(c"dsbench-keep")?;
    prctl::set_child_subreaper(true)?;
    // Not SIGKILL: a keeper whose guardian is killed must live to kill its tree.
    prctl::set_pdeathsig(Signal::SIGTERM)?;
    // From within another process namespace, a parent outside of it has no number.
    let parent = seat.map_or_else(|| Ok(getppid()), Seat::parent)?;
    if parent != guardian {
        return Err(Errno::ESRCH.into());
    }
    signals()
}

/// SIGCHLD and everything that asks a process to end, to be read instead of obeyed.
pub(super) fn signals() -> io::Result<SignalFd> {
    let set: SigSet =
        [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT].into_iter().collect();
    set.thread_set_mask()?;
    Ok(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?)
}

/// Its state.
struct Keeper {
    /// None once dsbench is gone.
    channel: Option<Channel>,
    signals: SignalFd,
    /// The main program until it is reaped: only so long is its pid its own.
    main: Option<Pid>,
    /// Until exec has worked or failed.
    starting: Option<Starting>,
    /// Orders for the program that come before it is one.
    waiting: Vec<Order>,
    began: Monotonic,
    /// When the main program ended, until leaking children are reported.
    ended: Option<Monotonic>,
    killing: Option<Killing>,
    frozen: Frozen,
    /// Of its process namespace: then whatever is in that dies with it.
    is_first: bool,
}

/// A kill under way.
struct Killing {
    since: Monotonic,
    is_reported: bool,
}

impl Keeper {
    fn run(mut self, program: &Program) -> i32 {
        loop {
            if let Some(code) = self.reap() {
                return code;
            }
            if self.killing.is_some() {
                self.strike();
                if let Some(code) = self.reap() {
                    return code;
                }
                if !self.go_on_killing() {
                    return 1;
                }
            }
            self.wait();
            self.hear_signals();
            self.hear_exec(program);
            self.hear_orders();
            self.look_for_leaks();
        }
    }

    /// Waits until there is something to do.
    fn wait(&self) {
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.channel.as_ref().map(|channel| PollFd::new(channel.as_fd(), PollFlags::POLLIN)));
        fds.extend(self.starting.as_ref().map(|starting| PollFd::new(starting.failure.as_fd(), PollFlags::POLLIN)));
        let timeout = match (&self.killing, self.ended) {
            // SIGCHLD comes when a child dies, not when a grandchild becomes ours: look again soon, then less often.
            (Some(killing), _) if Monotonic::now().since(killing.since) < Duration::from_millis(100) => {
                PollTimeout::from(1u8)
            }
            (Some(_), _) => PollTimeout::from(50u8),
            (None, Some(ended)) => {
                let left = LEAK_GRACE.saturating_sub(Monotonic::now().since(ended));
                PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)
            }
            (None, None) => PollTimeout::NONE,
        };
        // EINTR and the like only mean looking around once more.
        let _ = poll(&mut fds, timeout);
    }

    /// Reaps every child that has ended. The exit code of this keeper when none is left.
    fn reap(&mut self) -> Option<i32> {
        // A child that is still on its way to exec is reaped after its failure was read.
        if self.starting.is_some() {
            return None;
        }
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(status) => {
                    let pid = status.pid()?;
                    if let (true, Some(exit)) = (Some(pid) == self.main, exit_of(status)) {
                        let at = Monotonic::now();
                        self.main = None;
                        self.ended = Some(at);
                        self.report(at, Reported::Exited { exit });
                    }
                }
                Err(Errno::EINTR) => {}
                Err(_) => {
                    self.report(Monotonic::now(), Reported::Empty);
                    self.linger();
                    return Some(0);
                }
            }
        }
    }

    fn hear_signals(&mut self) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            // Whoever asks a keeper to end (above all the kernel, when the guardian has died) gets what it stands for.
            if info.ssi_signo != Signal::SIGCHLD as u32 {
                self.kill();
            }
        }
    }

    /// Learns whether exec has worked.
    fn hear_exec(&mut self, program: &Program) {
        let Some(starting) = &mut self.starting else { return };
        let Some((pid, failure)) = starting.hear() else { return };
        self.starting = None;
        match failure {
            None => {
                self.report(self.began, Reported::Started { pid });
                std::mem::take(&mut self.waiting).into_iter().for_each(|order| self.obey(order));
            }
            Some(failure) => {
                self.report(
                    Monotonic::now(),
                    Reported::NotStarted { why: failure.explain(program), by_machine: failure.is_machines() },
                );
                // Nothing that happens to the child that never became a program is worth telling.
                self.channel = None;
                self.main = None;
            }
        }
    }

    fn hear_orders(&mut self) {
        loop {
            let Some(channel) = &self.channel else { return };
            match channel.receive() {
                Received::Message(order, _) => self.obey(order),
                Received::Nothing => return,
                Received::Ended => {
                    self.channel = None;
                    self.kill();
                }
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Kill => self.kill(),
            // A signal that comes before exec ends this process's own child, and nobody learns whether there is such a program.
            order if self.starting.is_some() => self.waiting.push(order),
            Order::Signal { signal, tree: false } => {
                // Not reaped yet, so the pid is still the main program's.
                if let Some(main) = self.main.and_then(|main| PidFd::open(main).ok()) {
                    let _ = main.signal(signal);
                }
            }
            Order::Signal { signal, tree: true } => {
                for process in tree::descendants(tree::me().as_raw()) {
                    process.signal(signal);
                }
            }
            Order::Pause => {
                let running = self.frozen.freeze(tree::me());
                self.report(Monotonic::now(), Reported::Paused { running });
            }
            Order::Resume => {
                self.frozen.thaw();
                self.report(Monotonic::now(), Reported::Resumed);
            }
        }
    }

    fn kill(&mut self) {
        self.killing.get_or_insert(Killing { since: Monotonic::now(), is_reported: false });
    }

    /// Kills whatever is there.
    fn strike(&self) {
        if self.is_first {
            // All in this namespace but this process, at once: nothing can be forked meanwhile.
            let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        } else {
            sweep(tree::me());
        }
    }

    /// Helpers that came to see the processes of this life may go on when these have ended; without the first process, the kernel would
    /// kill them. They have keepers of their own.
    fn linger(&mut self) {
        self.channel = None;
        while self.is_first && self.killing.is_none() && kill(Pid::from_raw(-1), None).is_ok() {
            let _ = poll(&mut [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)], PollTimeout::from(20u8));
            self.hear_signals();
            while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status.pid().is_some()) {}
        }
    }

    /// Reports a kill that takes long. False when there is nobody to tell and no hope either.
    fn go_on_killing(&mut self) -> bool {
        let Some(killing) = &mut self.killing else { return true };
        let age = Monotonic::now().since(killing.since);
        if age > KILL_PATIENCE && !killing.is_reported {
            killing.is_reported = true;
            let survivors = tree::names(&tree::descendants(tree::me().as_raw()));
            self.report(Monotonic::now(), Reported::Unkillable { survivors });
        }
        self.channel.is_some() || age < KILL_ALONE
    }

    fn look_for_leaks(&mut self) {
        if self.ended.is_none_or(|ended| Monotonic::now().since(ended) < LEAK_GRACE) {
            return;
        }
        self.ended = None;
        let children = tree::names(&tree::descendants(tree::me().as_raw()));
        if self.killing.is_none() && !children.is_empty() {
            self.report(Monotonic::now(), Reported::Leaking { children });
        }
    }

    fn report(&self, at: Monotonic, what: Reported) {
        if let Some(channel) = &self.channel {
            // If dsbench is gone, its end of the channel says so in a moment.
            let _ = channel.send(&Report { at, what }, &[]);
        }
    }
}
