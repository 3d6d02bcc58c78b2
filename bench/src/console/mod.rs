//! What people see of a cluster that is up, and what they type: a client of its desk, in the process that has the terminal.
//!
//! The cluster itself is held by another process, so nothing here (a stopped terminal, a Ctrl-Z, a bug) can hold it up.

mod accompany;
mod attached;
mod bytes;
mod colours;
mod command;
mod face;
pub(crate) mod follow;
mod interactive;
mod keys;
mod line;
pub(crate) mod plain;
mod signals;
pub(crate) mod table;
mod terminal;

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

pub(crate) use self::accompany::{Accompanied, accompany};
pub(crate) use self::attached::ProcessOf;

use crate::control::Status;
use crate::control::call::Call;
use crate::error::BenchError;
use crate::report::terminal::{clean, say};

/// Why nobody attends a cluster any more.
#[derive(Debug)]
pub(crate) enum Attended {
    /// All its nodes are ready, and that was waited for.
    Ready(Call, Status),
    /// Whoever sat at the terminal has left it up.
    Left(Status),
    /// It has ended, with this exit code.
    Ended(u8),
    /// Nothing more is heard of it, and it has not said goodbye.
    Lost,
}

/// Shows a cluster until it has ended, or until whoever sits at the terminal leaves it. With an owner it ends with the terminal.
pub(crate) fn attend(call: Call, is_owner: bool) -> Result<Attended, BenchError> {
    if is_terminal() {
        return interactive::Console::new(call, is_owner)?.attend();
    }
    plain::Plain::new(call, plain::Until::Ended)?.attend()
}

/// True if there is a terminal to type at and to draw on.
pub(crate) fn is_terminal() -> bool {
    let has_screen = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
    has_screen && io::stdin().is_terminal() && io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// Connects the terminal with one process of a node until somebody leaves, or the cluster has ended.
pub(crate) fn attach(call: Call, run: &Path, to: &ProcessOf, is_raw: bool) -> Result<u8, BenchError> {
    attached::Attachment::new(call, run, to, is_raw)?.attend()
}

/// Waits until the nodes of a cluster are ready; shows only what goes wrong.
pub(crate) fn wait_until_ready(call: Call) -> Result<Attended, BenchError> {
    plain::Plain::new(call, plain::Until::Ready)?.attend()
}

/// Where the readable logs of a run are.
fn logs_of(run: &str) -> PathBuf {
    PathBuf::from(run).join("logs")
}

/// Prints a cluster's last word: nothing if all went well.
fn tell_end(code: u8, text: &str) {
    if text.is_empty() {
        return;
    }
    let red = anstyle::AnsiColor::Red.on_default().bold();
    match code {
        0 => say!("{}", clean(text)),
        _ => say!("{red}error{red:#}: {}", clean(text)),
    }
}
