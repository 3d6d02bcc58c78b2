//! One command, asked before a run begins: executed as every helper program is, so that it is bounded and nothing of it is left.

use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Clock;
use crate::error::WorldError;
use crate::outside::{Executed, Happening};
use crate::process::{ExecSpec, Guardian, Program};
use crate::world::{World, WorldConfig};

/// How long the proof may take that nothing of it is left.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// Executes a program and waits until it ends; none if it does not in time. In either case everything that it has started is gone.
///
/// # Errors
/// If the system does not give what is needed to execute anything.
pub fn answer(program: Program, within: Duration) -> Result<Option<Executed>, WorldError> {
    let guardian = Guardian::fork_without_terminal()?;
    let clock = Clock::start();
    let config = WorldConfig {
        log_dir: PathBuf::new(),
        signals: None,
        desk: None,
        lab: None,
        switch: None,
        lifts_limits: false,
        tick: WorldConfig::CALM,
    };
    let mut world = World::new(guardian, clock, config)?;
    let asked = world.exec(ExecSpec { program, ..ExecSpec::default() })?;
    let deadline = clock.now() + within;
    let answer = loop {
        match world.next(deadline).map(|outside| outside.what) {
            Some(Happening::Executed { id, result }) if id == asked => break Some(result),
            Some(Happening::Broken { .. }) => return Err(WorldError::NoGuardian),
            Some(_) => {}
            None => break None,
        }
    };
    world.shutdown(SHUTDOWN);
    Ok(answer)
}
