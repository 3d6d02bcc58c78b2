//! What to execute: the whole of what a program is given by the bench.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::capture::Patterns;
use crate::lab::Place;

/// A program to be executed.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Program {
    /// The program and its arguments. A name without a slash is looked up in the `PATH` of `env`; a relative path counts from `cwd`.
    pub argv: Vec<OsString>,
    /// Its whole environment; nothing is inherited. See [`node_env`](crate::node_env) for the usual one.
    pub env: Vec<(OsString, OsString)>,
    /// Its working directory.
    pub cwd: PathBuf,
}

/// A process of a node. Its standard input is a pipe that stays open until the life is over.
pub struct SpawnSpec {
    /// What to execute.
    pub program: Program,
    /// What its standard output is searched for.
    pub stdout: Option<Box<dyn Patterns>>,
    /// What its standard error is searched for.
    pub stderr: Option<Box<dyn Patterns>>,
    /// Files that it writes, followed beside its output.
    pub files: Vec<FollowSpec>,
    /// True puts the process's name before each of its lines in the node's readable log: for nodes of several processes.
    pub label: bool,
    /// Where in the laboratory it runs, with process numbers of its own; none for the host.
    pub place: Option<Place>,
}

impl fmt::Debug for SpawnSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnSpec").field("program", &self.program).field("label", &self.label).finish_non_exhaustive()
    }
}

/// A file that a process writes and that is followed.
pub struct FollowSpec {
    /// The node's data directory.
    pub dir: PathBuf,
    /// Where the file is, relative to it. It need not exist, and nothing outside of the directory is ever read.
    pub path: PathBuf,
    /// What it is searched for.
    pub patterns: Option<Box<dyn Patterns>>,
}

/// A helper program: a probe, an `exec` step, an `exec` check.
#[derive(Debug, Clone, Default)]
pub struct ExecSpec {
    /// What to execute.
    pub program: Program,
    /// What it reads.
    pub stdin: ExecInput,
    /// Where in the laboratory it runs; none for the host. It sees the processes of the node there while its main process lives.
    pub place: Option<Place>,
}

/// Standard input of a helper program.
#[derive(Debug, Clone, Default)]
pub enum ExecInput {
    /// Nothing: it is at its end from the start.
    #[default]
    Empty,
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// This file.
    File(PathBuf),
}

/// A GET that must be answered well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGet {
    /// Whom it asks, as the `Host` of the request: `127.0.0.1:8080`.
    pub authority: String,
    /// What it asks for, as it stands in the request: `/health?full=1`.
    pub path: String,
    /// The answer that is good; any 2xx if none.
    pub status: Option<u16>,
}

/// A look at one TCP port.
#[derive(Debug, Clone)]
pub struct ProbeSpec {
    /// Where to connect; the connection is closed at once. If the address is a machine's in the laboratory, it is made on that machine and
    /// crosses no link.
    pub addr: std::net::SocketAddr,
    /// When to give up.
    pub within: Duration,
    /// What is asked on the connection; none if it is enough that there is one.
    pub http: Option<HttpGet>,
}
