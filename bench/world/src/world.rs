//! The world of one run: every process of it, from the first start to the proof that nothing is left.

use std::path::PathBuf;
use std::time::Duration;

use dsbench_core::observation::{Life, Sample};
use dsbench_core::time::RunTime;

use crate::clock::Clock;
use crate::error::WorldError;
use crate::outside::{ExecId, InputId, Outside, ProbeId};
use crate::process::{ExecSpec, Guardian, ProbeSpec, SpawnSpec};
use crate::signals::Signals;

/// Where a world puts what it captures.
#[derive(Debug)]
pub struct WorldConfig {
    /// An existing directory. `<node>_log.txt` and `raw/<node>.<process>.<life>.stdout` go here.
    pub log_dir: PathBuf,
    /// The signals to dsbench that shall come as [`Happening::Signal`](crate::Happening::Signal).
    pub signals: Option<Signals>,
}

/// All processes of one run.
#[derive(Debug)]
pub struct World {
    clock: Clock,
}

/// Which processes of a life a signal goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The main program only.
    Main,
    /// It and all its descendants.
    Tree,
}

/// What was left to be done at the end.
#[derive(Debug, Default)]
pub struct Ended {
    /// What came in during the shutdown, in order: exits and proofs of emptiness, last lines.
    pub outside: Vec<Outside>,
    /// Lives that were still alive and had to be killed.
    pub killed: Vec<Life>,
    /// What could not be killed or proven dead within the bound, for people. Empty: nothing of the run is left, proven.
    pub survivors: Vec<String>,
}

impl World {
    /// Starts the threads; no process yet.
    pub fn new(guardian: Guardian, clock: Clock, config: WorldConfig) -> Result<Self, WorldError> {
        let _ = (guardian, config);
        Ok(Self { clock })
    }

    /// The run clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Starts a program. `Started` or `NotStarted` follows.
    ///
    /// The life before it of the same process must be `Empty`.
    pub fn spawn(&mut self, life: Life, spec: SpawnSpec) -> Result<(), WorldError> {
        let _ = (life, spec);
        Err(WorldError::NoGuardian)
    }

    /// Kills the whole tree of a life at once. `Exited` and `Empty` follow. False if nothing of it is alive.
    pub fn kill(&mut self, life: &Life) -> bool {
        let _ = life;
        false
    }

    /// Sends a signal. False if nothing of the life is alive.
    pub fn signal(&mut self, life: &Life, signal: i32, scope: Scope) -> bool {
        let _ = (life, signal, scope);
        false
    }

    /// Freezes the whole tree. `Paused` follows. False if nothing of the life is alive.
    pub fn pause(&mut self, life: &Life) -> bool {
        let _ = life;
        false
    }

    /// Thaws the whole tree. `Resumed` follows. False if nothing of the life is alive.
    pub fn resume(&mut self, life: &Life) -> bool {
        let _ = life;
        false
    }

    /// Writes bytes to the life's standard input, after all earlier ones. `Input` follows with the same id.
    pub fn input(&mut self, life: &Life, bytes: Vec<u8>) -> InputId {
        let _ = (life, bytes);
        InputId(0)
    }

    /// Executes a helper program. `Executed` follows.
    pub fn exec(&mut self, spec: ExecSpec) -> Result<ExecId, WorldError> {
        let _ = spec;
        Err(WorldError::NoGuardian)
    }

    /// Kills a helper program and everything it started; `Executed` follows (unless it came before).
    pub fn kill_exec(&mut self, id: ExecId) {
        let _ = id;
    }

    /// Tries to connect once. `Probed` follows.
    pub fn probe_tcp(&mut self, spec: ProbeSpec) -> ProbeId {
        let _ = spec;
        ProbeId(0)
    }

    /// Measures every life that is alive.
    pub fn sample(&mut self) -> Vec<Sample> {
        Vec::new()
    }

    /// True if processes of the life exist, or may.
    pub fn is_alive(&self, life: &Life) -> bool {
        let _ = life;
        false
    }

    /// The next thing from outside; none if nothing came until `deadline`.
    pub fn next(&mut self, deadline: RunTime) -> Option<Outside> {
        let _ = deadline;
        None
    }

    /// Kills everything, proves it, and stops the threads. Never takes longer than about `bound`.
    pub fn shutdown(self, bound: Duration) -> Ended {
        let _ = bound;
        Ended::default()
    }
}
