//! What keepers and the guardian report, and what follows when one of them dies.

use std::sync::Arc;

use dsbench_core::observation::Exit;
use dsbench_core::time::RunTime;
use nix::errno::Errno;
use nix::sys::signal::Signal;

use super::Listener;
use super::input::Input;
use crate::capture;
use crate::outside::Who;
use crate::process::{Channel, Notice, Received, Report, Reported};

/// One keeper.
pub(super) struct Kept {
    pub(super) who: Who,
    /// None once it has ended.
    pub(super) channel: Option<Arc<Channel>>,
    pub(super) stdin: Option<Input>,
    /// It was among the processes of another life, and ends with them: that is no damage.
    pub(super) joins: bool,
    pub(super) has_started: bool,
    pub(super) has_exited: bool,
}

impl Listener {
    /// Reads what a keeper has said.
    pub(super) fn hear_keeper(&mut self, key: u64) {
        while let Some(channel) = self.kept.get(&key).and_then(|kept| kept.channel.clone()) {
            match channel.receive() {
                Received::Message(Report { at, what }, _) => self.pass_on(key, self.clock.at(at), what),
                Received::Nothing => return,
                Received::Ended => {
                    let _ = self.epoll.delete(&*channel);
                    if let Some(kept) = self.kept.get_mut(&key) {
                        kept.channel = None;
                    }
                    // With a guardian, wait for its word: it is still killing what the keeper left, or knows why there never was one.
                    if self.guardian.is_none() {
                        self.lost(key, self.clock.now());
                    }
                }
            }
        }
    }

    /// Hands a report to the capture thread, and keeps book.
    pub(super) fn pass_on(&mut self, key: u64, at: RunTime, what: Reported) {
        let Some(kept) = self.kept.get_mut(&key) else { return };
        let is_last = matches!(what, Reported::NotStarted { .. } | Reported::Empty);
        match what {
            Reported::Started { .. } => kept.has_started = true,
            Reported::Exited { .. } => kept.has_exited = true,
            _ => {}
        }
        if is_last && kept.stdin.is_some() {
            self.use_stdin(key, |stdin, _| stdin.give_up("the program has ended"));
            if let Some(kept) = self.kept.get_mut(&key) {
                kept.stdin = None;
            }
        }
        self.capture.put(capture::Task::Report { key, at, what });
        if is_last && let Some(Kept { channel: Some(channel), .. }) = self.kept.remove(&key) {
            let _ = self.epoll.delete(&*channel);
        }
    }

    /// Reads what the guardian has said.
    pub(super) fn hear_guardian(&mut self) {
        while let Some(guardian) = &self.guardian {
            match guardian.receive() {
                Received::Message(Notice::Refused { keeper, errno }, _) => {
                    let why = format!("no process could be forked for it: {}", Errno::from_raw(errno).desc());
                    self.pass_on(keeper, self.clock.now(), Reported::NotStarted { why, by_machine: true });
                }
                Received::Message(Notice::Lost { keeper, at }, _) => {
                    // What it had said before its end comes first.
                    self.hear_keeper(keeper);
                    self.lost(keeper, self.clock.at(at));
                }
                Received::Nothing => return,
                Received::Ended => {
                    let _ = self.epoll.delete(guardian);
                    self.guardian = None;
                    self.broken("its guardian process was killed");
                    // The keepers know it as well, and kill and report; some may be gone already.
                    let silent: Vec<u64> =
                        self.kept.iter().filter(|(_, kept)| kept.channel.is_none()).map(|(key, _)| *key).collect();
                    for key in silent {
                        self.lost(key, self.clock.now());
                    }
                }
            }
        }
    }

    /// A keeper has died early, and what it kept is dead by now: the kernel killed the main program with it, the guardian the rest.
    fn lost(&mut self, key: u64, at: RunTime) {
        let Some(kept) = self.kept.get(&key) else { return };
        let (has_started, has_exited, joins, who) = (kept.has_started, kept.has_exited, kept.joins, kept.who.clone());
        if !has_started {
            let why = match joins {
                false => "the process that was to keep it has ended at once",
                true => "the node whose processes it was to see has ended at the same time",
            };
            let why = why.to_owned();
            return self.pass_on(key, at, Reported::NotStarted { why, by_machine: true });
        }
        if !joins {
            self.broken(&match who {
                Who::Life(life) => {
                    format!("the keeper of {}/{} (life {}) was killed", life.node, life.process, life.life)
                }
                Who::Exec(_) => "the keeper of a helper program was killed".to_owned(),
            });
        }
        if !has_exited {
            self.pass_on(key, at, Reported::Exited { exit: Exit::Signal(Signal::SIGKILL as i32) });
        }
        self.pass_on(key, at, Reported::Empty);
    }
}
