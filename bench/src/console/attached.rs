//! A terminal that is connected with one process of a node: what is typed goes to its standard input, what it prints comes here.

use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::Signal;

use super::bytes::Washing;
use super::follow::{WITHOUT_NOTICE, beginning_of_last};
use super::signals::Signals;
use super::terminal::{How, Keyboard, LEAVE};
use crate::control::call::Call;
use crate::control::{Ask, Word};
use crate::error::BenchError;
use crate::report::terminal::{clean, say};

/// So many of its last lines are shown first.
const LINES_BEFORE: usize = 10;

/// A process of a node.
#[derive(Debug, Clone)]
pub(crate) struct ProcessOf {
    pub(crate) node: String,
    pub(crate) process: String,
}

impl ProcessOf {
    /// As a target.
    fn target(&self) -> String {
        format!("{}/{}", self.node, self.process)
    }

    /// The life that a raw log of this process is of.
    fn life_of(&self, name: &str) -> Option<u32> {
        let rest = name.strip_prefix(&format!("{}.{}.", self.node, self.process))?;
        rest.strip_suffix(".stdout")?.parse().ok()
    }
}

pub(super) struct Attachment {
    call: Call,
    to: ProcessOf,
    signals: Signals,
    typed: Typed,
    is_raw: bool,
    /// The raw logs of the run.
    dir: PathBuf,
    notices: Option<Inotify>,
    /// The life whose output is shown; 0 for none.
    life: u32,
    outputs: Vec<Output>,
    /// Requests that are not answered yet.
    open: usize,
}

/// Where what is typed comes from.
enum Typed {
    Terminal(Keyboard),
    Pipe(File, Vec<u8>),
    /// Nothing more comes.
    End,
}

/// One stream of the process.
struct Output {
    file: File,
    washing: Washing,
    is_stderr: bool,
}

impl Attachment {
    pub(super) fn new(mut call: Call, run: &Path, to: &ProcessOf, is_raw: bool) -> Result<Self, BenchError> {
        let refused = |what: &str| BenchError::Environment(format!("the terminal cannot be used: {what}"));
        let signals = Signals::catch(&[Signal::SIGTSTP, Signal::SIGCONT, Signal::SIGQUIT]);
        let signals = signals.map_err(|errno| refused(errno.desc()))?;
        let typed = if io::stdin().is_terminal() {
            Typed::Terminal(Keyboard::take(How::Lines).map_err(|error| refused(&error.to_string()))?)
        } else {
            let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(|error| refused(&error.to_string()))?;
            Typed::Pipe(File::from(stdin), Vec::new())
        };
        // If it is gone already, that is what is heard next.
        let _ = call.send(Ask::Watch);
        let dir = super::logs_of(&run.display().to_string()).join("raw");
        let notices = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok();
        let notices = notices
            .filter(|notices| notices.add_watch(&dir, AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE).is_ok());
        let (outputs, life) = (Vec::new(), 0);
        Ok(Self { call, to: to.clone(), signals, typed, is_raw, dir, notices, life, outputs, open: 0 })
    }

    /// Until somebody leaves or the cluster has ended; gives the exit code.
    pub(super) fn attend(mut self) -> Result<u8, BenchError> {
        let name = clean(&self.to.node).into_owned();
        if let Typed::Terminal(_) = self.typed {
            say!("attached to {name}; Ctrl-] detaches");
        }
        if self.newest_life() == 0 {
            say!("{} has not been started (or there is no such process)", clean(&self.to.target()));
        }
        loop {
            if !self.show() {
                return Ok(0);
            }
            if matches!(self.typed, Typed::End) && self.open == 0 {
                return Ok(0);
            }
            let [has_words, has_signals, has_typed] = self.wait();
            if has_signals && self.obey() {
                say!("\ndetached; {name} goes on");
                return Ok(0);
            }
            if has_typed && self.read_typed() {
                say!("\ndetached; {name} goes on");
                return Ok(0);
            }
            if has_words {
                let heard = self.call.hear().map_err(BenchError::file("hear", "the cluster"))?;
                let has_ended = heard.words.into_iter().fold(heard.is_over, |ended, word| self.take(word) || ended);
                if has_ended {
                    self.show();
                    self.outputs.drain(..).for_each(Output::finish);
                    say!("the cluster has ended");
                    return Ok(0);
                }
            }
        }
    }

    fn wait(&self) -> [bool; 3] {
        let mut fds = vec![
            PollFd::new(self.call.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        let typed = match &self.typed {
            Typed::Terminal(keyboard) => Some(keyboard.as_fd()),
            Typed::Pipe(pipe, _) => Some(pipe.as_fd()),
            Typed::End => None,
        };
        fds.extend(typed.map(|typed| PollFd::new(typed, PollFlags::POLLIN)));
        fds.extend(self.notices.as_ref().map(|notices| PollFd::new(notices.as_fd(), PollFlags::POLLIN)));
        let patience = match &self.notices {
            Some(_) => PollTimeout::NONE,
            None => PollTimeout::try_from(WITHOUT_NOTICE).unwrap_or(PollTimeout::MAX),
        };
        match poll(&mut fds, patience) {
            Ok(_) => {
                let ready = |index: usize| fds.get(index).is_some_and(|fd| fd.any().unwrap_or(true));
                [ready(0), ready(1), typed.is_some() && ready(2)]
            }
            Err(Errno::EINTR) => [false; 3],
            // Then hearing says what is wrong.
            Err(_) => [true, false, false],
        }
    }

    /// True if a signal asks to leave. The node is left alone: to stop it there are commands that say so.
    fn obey(&mut self) -> bool {
        while let Some(signal) = self.signals.next() {
            match (signal, &self.typed) {
                (Signal::SIGTSTP, Typed::Terminal(keyboard)) => keyboard.suspend(),
                (Signal::SIGCONT, Typed::Terminal(keyboard)) => keyboard.take_again(),
                (Signal::SIGTSTP | Signal::SIGCONT, _) => {}
                _ => return true,
            }
        }
        false
    }

    /// Sends what was typed; true if it was the key to leave.
    fn read_typed(&mut self) -> bool {
        match &mut self.typed {
            Typed::Terminal(keyboard) => {
                let mut line = keyboard.read();
                // A line that ends with the key, or the end of input (Ctrl-D) at its beginning.
                if line.is_empty() || line.ends_with(&[LEAVE]) {
                    return true;
                }
                if line.ends_with(b"\n") {
                    line.pop();
                }
                self.send(&line);
            }
            Typed::Pipe(pipe, begun) => {
                let mut chunk = [0; 16 * 1024];
                let length = pipe.read(&mut chunk).unwrap_or(0);
                begun.extend_from_slice(&chunk[..length]);
                let mut lines: Vec<Vec<u8>> = begun.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                let rest = lines.pop().unwrap_or_default();
                if length > 0 {
                    *begun = rest;
                } else {
                    // A last line without an end is one all the same.
                    lines.extend(Some(rest).filter(|rest| !rest.is_empty()));
                    self.typed = Typed::End;
                }
                lines.iter().for_each(|line| self.send(line));
            }
            Typed::End => {}
        }
        false
    }

    fn send(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line).into_owned();
        if self.call.send(Ask::Input(text, vec![self.to.target()])).is_ok() {
            self.open += 1;
        }
    }

    /// Takes in what the cluster says; true if it has ended.
    fn take(&mut self, word: Word) -> bool {
        match word {
            Word::End { .. } => return true,
            Word::Refused { why, .. } => {
                self.open = self.open.saturating_sub(1);
                say!("no: {}", clean(&why));
            }
            // The first answer is that of `watch`.
            Word::Done(done) if !done.text.is_empty() => self.open = self.open.saturating_sub(1),
            Word::Done(_) | Word::Status(_) | Word::Told(_) | Word::Ready {} | Word::Kept { .. } => {}
        }
        false
    }

    /// Shows what the process has printed; false if nobody reads it any more.
    fn show(&mut self) -> bool {
        if let Some(notices) = &self.notices {
            // They only say that there is something; what it is, the files say.
            let _ = notices.read_events();
        }
        let mut can_go_on = self.show_outputs();
        let newest = self.newest_life();
        if newest > self.life {
            if self.life > 0 {
                say!("--- {} started again, life {newest}", clean(&self.to.node));
            }
            self.open_life(newest);
            can_go_on &= self.show_outputs();
        }
        can_go_on
    }

    fn newest_life(&self) -> u32 {
        let names = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let lives = names.filter_map(|entry| self.to.life_of(entry.file_name().to_str()?));
        lives.max().unwrap_or(0)
    }

    fn open_life(&mut self, life: u32) {
        let is_first = self.life == 0;
        self.life = life;
        self.outputs.drain(..).for_each(Output::finish);
        for (stream, is_stderr) in [("stdout", false), ("stderr", true)] {
            let path = self.dir.join(format!("{}.{}.{life}.{stream}", self.to.node, self.to.process));
            let from = if is_first { beginning_of_last(&path, LINES_BEFORE).unwrap_or(0) } else { 0 };
            let opened = File::open(path).and_then(|mut file| file.seek(SeekFrom::Start(from)).map(|_| file));
            if let Ok(file) = opened {
                self.outputs.push(Output { file, washing: Washing::default(), is_stderr });
            }
        }
    }

    fn show_outputs(&mut self) -> bool {
        let is_raw = self.is_raw;
        self.outputs.iter_mut().all(|output| output.show(is_raw).is_ok())
    }
}

impl Output {
    /// Copies what is there.
    fn show(&mut self, is_raw: bool) -> io::Result<()> {
        let mut chunk = [0; 16 * 1024];
        loop {
            let length = self.file.read(&mut chunk)?;
            if length == 0 {
                return Ok(());
            }
            let washed =
                if is_raw { chunk[..length].to_vec() } else { self.washing.wash(&chunk[..length]).into_bytes() };
            self.put(&washed)?;
        }
    }

    fn put(&self, washed: &[u8]) -> io::Result<()> {
        if self.is_stderr {
            return io::stderr().lock().write_all(washed);
        }
        let mut out = io::stdout().lock();
        out.write_all(washed).and_then(|()| out.flush())
    }

    /// Nothing more comes.
    fn finish(mut self) {
        let rest = self.washing.finish();
        // If nobody reads it, nobody misses it.
        let _ = self.put(rest.as_bytes());
    }
}
