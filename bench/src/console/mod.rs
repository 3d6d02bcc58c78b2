//! What people see of a cluster that is up, and what they type: a client of its desk, in the process that has the terminal.
//!
//! The cluster itself is held by another process, so nothing here (a stopped terminal, a Ctrl-Z, a bug) can hold it up.

pub(crate) mod colours;
pub(crate) mod follow;
pub(crate) mod plain;
mod signals;

use std::path::PathBuf;

use crate::control::Status;
use crate::control::call::Call;
use crate::error::BenchError;
use crate::report::terminal::{clean, say};

/// Why nobody attends a cluster any more.
#[derive(Debug)]
pub(crate) enum Attended {
    /// All its nodes are ready, and that was waited for.
    Ready(Call, Status),
    /// It has ended, with this exit code.
    Ended(u8),
    /// Nothing more is heard of it, and it has not said goodbye.
    Lost,
}

/// Shows a cluster until it has ended.
pub(crate) fn attend(call: Call) -> Result<Attended, BenchError> {
    plain::Plain::new(call, plain::Until::Ended)?.attend()
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
