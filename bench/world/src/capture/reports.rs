//! What keepers report, in its place between the lines: a start before the first of them, an exit after the last.

use std::time::Duration;

use dsbench_core::observation::Exit;
use dsbench_core::time::RunTime;
use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::follow::Follower;
use super::output::{Into, Pipe, Progress, Sinks};
use super::thread::{Reader, descriptor};
use crate::outside::{Executed, Happening, Who};
use crate::process::Reported;

/// How long a pipe may stay open after the last process of its life has ended (somebody else was handed it).
const END_GRACE: Duration = Duration::from_secs(1);
/// The same after the end of a helper program whose children live on.
const EXEC_GRACE: Duration = Duration::from_millis(200);

/// One program.
pub(super) struct Captured {
    pub(super) who: Who,
    /// Whether lines carry the process's name.
    pub(super) label: bool,
    /// Standard output and error.
    pub(super) pipes: [Pipe; 2],
    /// The files that are read beside them.
    pub(super) followers: Vec<Follower>,
    /// True once its program was executed.
    pub(super) has_started: bool,
    /// How and when its main program ended, and (for a helper) how long to wait for its output's end.
    pub(super) exited: Option<(Exit, Ending)>,
    /// When it was proven that nothing of it is alive, and how long to wait for its output's end.
    pub(super) empty: Option<Ending>,
    /// True once a helper's answer was given.
    pub(super) is_answered: bool,
}

/// Something that is told when the output has ended, or at the latest in a while.
#[derive(Clone, Copy)]
pub(super) struct Ending {
    pub(super) at: RunTime,
    pub(super) deadline: RunTime,
}

impl Reader {
    /// Puts a keeper's report in its place: after what the program wrote before.
    pub(super) fn report(&mut self, key: u64, at: RunTime, what: Reported) {
        match what {
            Reported::Started { pid } => return self.started(key, at, pid),
            Reported::Exited { .. } | Reported::Empty => self.drain(key),
            _ => {}
        }
        let Some(program) = self.programs.get_mut(&key) else { return };
        let what = match (program.who.clone(), what) {
            (who, Reported::NotStarted { why, by_machine }) => {
                self.programs.remove(&key);
                match who {
                    Who::Life(of) => Happening::NotStarted { of, why, by_machine },
                    Who::Exec(id) => Happening::Executed { id, result: Executed::not_started(why) },
                }
            }
            (who, Reported::Exited { exit }) => {
                program.exited = Some((exit, Ending { at, deadline: at + EXEC_GRACE }));
                match who {
                    Who::Life(of) => Happening::Exited { of, exit },
                    Who::Exec(_) => return,
                }
            }
            (_, Reported::Empty) => {
                program.empty = Some(Ending { at, deadline: at + END_GRACE });
                return;
            }
            (Who::Life(of), Reported::Leaking { children }) => Happening::Leaking { of, children },
            (Who::Life(of), Reported::Paused { running }) => Happening::Paused { of, running },
            (Who::Life(of), Reported::Resumed) => Happening::Resumed { of },
            (Who::Life(of), Reported::Unkillable { survivors }) => Happening::Unkillable { of, survivors },
            // How a helper's children fare is nobody's business before the shutdown. Starts were told above.
            (Who::Exec(_), _) | (_, Reported::Started { .. }) => return,
        };
        self.say(at, what);
    }

    /// Marks the start in the readable log, and begins to read.
    pub(super) fn started(&mut self, key: u64, at: RunTime, pid: i32) {
        let Some(program) = self.programs.get_mut(&key) else { return };
        program.has_started = true;
        program.followers.iter_mut().for_each(|follower| follower.begin(at));
        for (stream, pipe) in program.pipes.iter_mut().enumerate() {
            pipe.is_polled = true;
            // It is empty at birth, and `at` is before that.
            pipe.empty_at = at;
            if let Some(end) = &pipe.end {
                let event = EpollEvent::new(EpollFlags::EPOLLIN, descriptor(key, stream));
                self.epoll.add(end, event).expect("a new pipe can be polled");
            }
        }
        let Who::Life(of) = program.who.clone() else { return };
        let process = if program.label { format!("/{}", of.process) } else { String::new() };
        if let Some(view) = self.views.get_mut(&of.node) {
            view.marker(&format!("{}{process} started, life {}, pid {pid}, {at}", of.node, of.life));
        }
        self.say(at, Happening::Started { of, pid });
    }

    /// Reads what is in a program's pipes now. Bounded, because its children may go on writing.
    pub(super) fn drain(&mut self, key: u64) {
        const CHUNKS_MAX: usize = 8;
        let Some(program) = self.programs.get_mut(&key) else { return };
        let outbox = &self.outbox;
        let emit = &mut |outside| drop(outbox.send(outside));
        let mut sinks = Sinks { views: &mut self.views, emit };
        for pipe in &mut program.pipes {
            let more = |_: &usize| pipe.read(&mut self.buffer, &self.clock, &mut sinks) == Progress::More;
            let _ = (0..CHUNKS_MAX).take_while(more).count();
        }
        for follower in &mut program.followers {
            follower.drain(&mut self.buffer, &self.clock, &mut sinks);
        }
    }

    /// Tells the ends whose output has ended too, or has been waited for long enough.
    pub(super) fn finish(&mut self) {
        let now = self.clock.now();
        let due = |ending: Ending, is_silent: bool| is_silent || now >= ending.deadline;
        let keys: Vec<u64> = self
            .programs
            .iter()
            .filter(|(_, p)| p.exited.is_some() || p.empty.is_some())
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            let Some(program) = self.programs.get_mut(&key) else { continue };
            let is_silent = program.pipes.iter().all(|pipe| pipe.end.is_none());
            if let (Who::Exec(id), Some((exit, ending)), false) = (&program.who, program.exited, program.is_answered)
                && (due(ending, is_silent) || program.empty.is_some_and(|empty| due(empty, is_silent)))
            {
                let what = Happening::Executed { id: *id, result: program.answer(exit) };
                program.is_answered = true;
                self.say(ending.at, what);
            }
            if let Some(ending) = self.programs[&key].empty.filter(|ending| due(*ending, is_silent)) {
                self.close(key);
                if let Some(Captured { who: Who::Life(of), .. }) = self.programs.remove(&key) {
                    self.say(ending.at, Happening::Empty { of });
                }
            }
        }
    }

    /// Gives up a program's pipes and completes its last lines.
    pub(super) fn close(&mut self, key: u64) {
        let Some(program) = self.programs.get_mut(&key) else { return };
        let outbox = &self.outbox;
        let emit = &mut |outside| drop(outbox.send(outside));
        let mut sinks = Sinks { views: &mut self.views, emit };
        for pipe in &mut program.pipes {
            pipe.close(&self.clock, &mut sinks);
        }
        let Who::Life(of) = program.who.clone() else { return };
        for mut follower in program.followers.drain(..) {
            follower.close(&self.clock, &mut sinks);
            let file = (of.node.clone(), of.process.clone(), follower.name().clone());
            let is_new = self.known_files.insert(file);
            if is_new && !follower.was_there() {
                follower.tell_absent(self.clock.now(), &mut sinks);
            }
        }
    }
}

impl Captured {
    /// True while files of it are looked at.
    pub(super) fn is_following(&self) -> bool {
        self.has_started && !self.followers.is_empty()
    }

    /// What a helper program has said.
    fn answer(&mut self, exit: Exit) -> Executed {
        let [(stdout, out_cut), (stderr, err_cut)] = self.pipes.each_mut().map(|pipe| match &mut pipe.into {
            Into::Tail(tail) => tail.take(),
            Into::Log(_) => (Vec::new(), false),
        });
        Executed { ended: Ok(exit), stdout, stderr, truncated: out_cut || err_cut }
    }
}
