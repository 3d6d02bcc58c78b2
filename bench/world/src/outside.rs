//! What comes to the bench from outside, in the order in which the driver gets it.

use dsbench_core::observation::{Event, Exit, Life, LogLine, Name};
use dsbench_core::time::RunTime;

use crate::desk::CallerId;

/// Names one [`World::exec`](crate::World::exec).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecId(pub u64);

/// Names one [`World::probe_tcp`](crate::World::probe_tcp).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeId(pub u64);

/// Names one [`World::input`](crate::World::input).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InputId(pub u64);

/// One thing that happened outside the driver's loop.
///
/// The order within one life is fixed: `Started` (or `NotStarted`, after which nothing comes), then its output's matches, then `Exited`
/// after everything that the main program had written before its end, then `Leaking` if children live on, then `Empty` after the last
/// byte of output. Order between lives, and between the two streams of one life, is only as good as the times' uncertainty.
#[derive(Debug, Clone, PartialEq)]
pub struct Outside {
    /// When it happened, as exactly as it is known: exits and starts are stamped by the process that saw them, a line when it was read.
    /// Not always increasing from one item to the next (by the milliseconds that different threads need).
    pub at: RunTime,
    /// What happened.
    pub what: Happening,
}

/// The kinds of [`Outside`].
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// The program was executed.
    Started {
        /// Which life.
        of: Life,
        /// Its process id.
        pid: i32,
    },
    /// The program could not be executed; nothing of this life exists.
    NotStarted {
        /// Which life.
        of: Life,
        /// Why, for people; it names the program.
        why: String,
        /// True if the machine refused what any program needs (a process, a descriptor, memory): it says nothing of the program.
        by_machine: bool,
    },
    /// A line matched an event pattern.
    Event(Event),
    /// A line matched the life's ready pattern.
    ReadyLine {
        /// Which life.
        of: Life,
        /// Where the line stands.
        log: LogLine,
    },
    /// The main program ended.
    Exited {
        /// Which life.
        of: Life,
        /// How.
        exit: Exit,
    },
    /// The main program has ended and children of it live on (after a short grace).
    Leaking {
        /// Which life.
        of: Life,
        /// Command names of the children, at most 16.
        children: Vec<String>,
    },
    /// No process of this life exists any more: the kernel said so. All its output is in the files.
    Empty {
        /// Which life.
        of: Life,
    },
    /// The life's tree is frozen: every thread of every process of it was seen stopped, or in an uninterruptible wait in the kernel from
    /// which it will come back stopped. None of them runs the program's code until `Resumed`.
    Paused {
        /// Which life.
        of: Life,
        /// Command names of processes that would not stop (uninterruptible, or not ours to signal); empty when all is well.
        running: Vec<String>,
    },
    /// The life's tree runs again.
    Resumed {
        /// Which life.
        of: Life,
    },
    /// A kill was asked for a while ago, and some processes are still there.
    Unkillable {
        /// Which life.
        of: Life,
        /// Their command names, at most 16.
        survivors: Vec<String>,
    },
    /// An input was written to the pipe completely, or will not be.
    Input {
        /// Which input.
        id: InputId,
        /// Whose standard input.
        of: Life,
        /// Why not, for people.
        result: Result<(), String>,
    },
    /// A TCP probe has its answer.
    Probed {
        /// Which probe.
        id: ProbeId,
        /// Why it is not open, for people.
        result: Result<(), String>,
    },
    /// A helper program ended, or could not be started.
    Executed {
        /// Which execution.
        id: ExecId,
        /// How it ended and what it said.
        result: Executed,
    },
    /// A caller at the desk has said a line.
    Heard {
        /// Who.
        from: CallerId,
        /// What, without its newline; none if it was longer than [`LINE_HEARD_MAX`](crate::LINE_HEARD_MAX), after which nothing more is heard.
        line: Option<Vec<u8>>,
    },
    /// A caller at the desk will say no more; it may still be told something.
    Left {
        /// Who.
        caller: CallerId,
    },
    /// A signal to dsbench (2 = SIGINT, 15 = SIGTERM, 1 = SIGHUP).
    Signal(i32),
    /// Output could not be read in time: what came in between is known only to that accuracy.
    Stall {
        /// Since when; it ended at the item's time.
        since: RunTime,
    },
    /// A log file could not be written (disk full): its remainder is lost, matching goes on. Reported once per file.
    LogLost {
        /// The file's name within the log directory.
        file: String,
        /// Why, for people.
        why: String,
    },
    /// A file that should be followed is not, or not wholly. Reported once for each reason.
    NotFollowed {
        /// Whose.
        of: Life,
        /// Its path in the data directory.
        file: Name,
        /// Why, for people.
        why: String,
    },
    /// The bench itself is damaged (its guardian was killed): the nodes are being killed, and the run cannot go on.
    Broken {
        /// Why, for people.
        why: String,
    },
}

/// How a helper program ended and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// How it ended; why it could not be executed, for people.
    pub ended: Result<Exit, String>,
    /// The end of its standard output, at most 64 KiB.
    pub stdout: Vec<u8>,
    /// The end of its standard error, at most 64 KiB.
    pub stderr: Vec<u8>,
    /// True if either is only the end of what was written.
    pub truncated: bool,
}

impl Executed {
    pub(crate) fn not_started(why: String) -> Self {
        Self { ended: Err(why), stdout: Vec::new(), stderr: Vec::new(), truncated: false }
    }
}

/// Whose program it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// A node's.
    Life(Life),
    /// A helper.
    Exec(ExecId),
}

impl Happening {
    /// The life that this is about, where it is about one.
    pub fn of(&self) -> Option<&Life> {
        match self {
            Self::Event(event) => Some(&event.of),
            Self::Started { of, .. }
            | Self::NotStarted { of, .. }
            | Self::ReadyLine { of, .. }
            | Self::Exited { of, .. }
            | Self::Leaking { of, .. }
            | Self::Empty { of }
            | Self::Paused { of, .. }
            | Self::Resumed { of }
            | Self::Unkillable { of, .. }
            | Self::NotFollowed { of, .. }
            | Self::Input { of, .. } => Some(of),
            Self::Heard { .. }
            | Self::Left { .. }
            | Self::Probed { .. }
            | Self::Executed { .. }
            | Self::Signal(_)
            | Self::Stall { .. }
            | Self::LogLost { .. }
            | Self::Broken { .. } => None,
        }
    }
}
