//! The clusters that are up: found by the sockets in the directories of their runs.

use std::io;
use std::path::{Path, PathBuf};

use dsbench_world::Socket;

use super::call::Call;
use crate::error::BenchError;
use crate::store::{CONTROL, Store};

/// A run whose directory has a socket.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// The run's directory.
    pub(crate) run: PathBuf,
    /// A call to it, or why there is none.
    pub(crate) call: Result<Call, NoCall>,
}

/// Why nobody answers at a socket.
#[derive(Debug)]
pub(crate) enum NoCall {
    /// Its dsbench was killed, and by now nothing of the cluster is left.
    Dead,
    /// Something else, for people.
    Other(io::Error),
}

/// Calls every cluster that a selector fits, the oldest first.
pub(crate) fn all(logs: &Path, selector: Option<&str>) -> Vec<Cluster> {
    let call = |run: PathBuf| {
        let socket = Socket::at(run.join(CONTROL));
        if !socket.exists() {
            return None;
        }
        let call = match socket.connect() {
            Ok(stream) => Ok(Call::over(stream)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Err(NoCall::Dead),
            // It has ended this moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => Err(NoCall::Other(error)),
        };
        Some(Cluster { run, call })
    };
    Store::fitting(logs, selector).into_iter().filter_map(call).collect()
}

/// Calls the cluster that is meant: the only one that is up, or the one that the selector fits.
pub(crate) fn the_one(logs: &Path, selector: Option<&str>) -> Result<(PathBuf, Call), BenchError> {
    let (mut up, mut dead) = (Vec::new(), Vec::new());
    for Cluster { run, call } in all(logs, selector) {
        match call {
            Ok(call) => up.push((run, call)),
            Err(NoCall::Dead) => dead.push(run),
            Err(NoCall::Other(why)) => {
                return Err(BenchError::Environment(format!("{} cannot be reached: {why}", run.display())));
            }
        }
    }
    if up.len() > 1 {
        let runs: String = up.iter().map(|(run, _)| format!("\n  --run {}", run.display())).collect();
        return Err(BenchError::Usage(format!("{} clusters are up, say which is meant:{runs}", up.len())));
    }
    up.pop().ok_or_else(|| BenchError::NothingSelected(nobody(logs, selector, &dead)))
}

fn nobody(logs: &Path, selector: Option<&str>, dead: &[PathBuf]) -> String {
    let runs = logs.join("runs");
    let mut why = match selector {
        Some(selector) => {
            format!("no cluster that is up fits `{selector}` (looked in {}; `dsbench ps` lists them)", runs.display())
        }
        None => format!("no cluster is up (looked in {}): launch one with `dsbench up SCENARIO`", runs.display()),
    };
    for run in dead {
        why.push_str(&format!("\n  {} was up when its dsbench was killed; nothing of it is left", run.display()));
    }
    why
}
