//! `stop` of a process: how it is asked to end, and by which signal.

use std::time::Duration;

use crate::diagnostic::{self, Diagnostic, Located, suggestion};
use crate::table::{Key, Kind, Table};

/// How a process is asked to end: by a signal, and by SIGKILL when the grace is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// The polite signal.
    pub signal: Signal,
    /// How long it may take.
    pub grace: Duration,
}

/// How long a process may take to end if the scenario does not say.
const GRACE: Duration = Duration::from_secs(5);

pub(super) const KEYS: &[Key] = &[
    Key::new("signal", Kind::OneOf(SIGNAL_WORDS), "The signal that asks it to end; \"TERM\" if not given."),
    Key::new("grace", Kind::Duration, "How long it may take before it is killed; 5s if not given."),
];

impl Stop {
    /// Of a process of which nothing is said.
    pub(super) const USUAL: Self = Self { signal: TERM, grace: GRACE };

    pub(super) fn parse(table: &Table<'_, '_>) -> Self {
        Self {
            signal: table.text("signal").and_then(|signal| Signal::parse(&signal, table)).unwrap_or(TERM),
            grace: table.duration("grace").map_or(GRACE, |grace| grace.value),
        }
    }
}

/// A signal by its name without `SIG`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// `TERM`
    pub name: &'static str,
    /// Its number on Linux.
    pub number: i32,
}

/// The signals that a scenario may send. SIGKILL, SIGSTOP and SIGCONT have verbs of their own.
const SIGNALS: &[Signal] = &[
    Signal { name: "HUP", number: 1 },
    Signal { name: "INT", number: 2 },
    Signal { name: "QUIT", number: 3 },
    Signal { name: "ABRT", number: 6 },
    Signal { name: "USR1", number: 10 },
    Signal { name: "SEGV", number: 11 },
    Signal { name: "USR2", number: 12 },
    Signal { name: "PIPE", number: 13 },
    Signal { name: "ALRM", number: 14 },
    Signal { name: "TERM", number: 15 },
    Signal { name: "CHLD", number: 17 },
    Signal { name: "TSTP", number: 20 },
    Signal { name: "WINCH", number: 28 },
];

/// How a scenario may write them: each as it is, then each with `SIG`.
pub(super) const SIGNAL_WORDS: &[&str] = &[
    "HUP", "INT", "QUIT", "ABRT", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "CHLD", "TSTP", "WINCH", "SIGHUP",
    "SIGINT", "SIGQUIT", "SIGABRT", "SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGCHLD",
    "SIGTSTP", "SIGWINCH",
];

const TERM: Signal = Signal { name: "TERM", number: 15 };

impl Signal {
    /// Reads a signal's name, with or without `SIG`.
    pub(super) fn parse(text: &Located<&str>, table: &Table<'_, '_>) -> Option<Self> {
        Self::named(text.value)
            .map_err(|unknown| {
                let UnknownSignal { message, help } = unknown;
                let diagnostic = Diagnostic::error(diagnostic::BAD_WORD, message, text.span.clone(), "unknown signal");
                table.report(diagnostic.help(help));
            })
            .ok()
    }

    /// The signal that this word means, with or without `SIG`.
    ///
    /// # Errors
    /// If there is none that may be sent, with what to write instead.
    pub fn named(word: &str) -> Result<Self, UnknownSignal> {
        let name = word.strip_prefix("SIG").unwrap_or(word);
        if let Some(signal) = SIGNALS.iter().find(|signal| signal.name == name) {
            return Ok(*signal);
        }
        let message = format!("no signal to send is called `{}`", word.escape_debug());
        let help = match name {
            "KILL" => "the verb `kill` does that".to_owned(),
            "STOP" => "the verb `pause` does that".to_owned(),
            "CONT" => "the verb `resume` does that".to_owned(),
            name => suggestion(name, "signals", SIGNALS.iter().map(|signal| signal.name)),
        };
        Err(UnknownSignal { message, help })
    }
}

/// A word that is no signal which may be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}: {help}")]
pub struct UnknownSignal {
    message: String,
    help: String,
}
