//! A small life, lived through: the one probe that uses everything together, as a run does.

use std::fs;
use std::path::Path;
use std::time::Duration;

use dsbench_core::observation::Life;

use crate::clock::Clock;
use crate::node_dir::{NodeEnv, node_env};
use crate::outside::Happening;
use crate::process::{Guardian, Program, SpawnSpec};
use crate::world::{World, WorldConfig};

/// Far longer than any step of it takes on a machine that can run a cluster.
const BOUND: Duration = Duration::from_secs(20);

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// From the start of the program to the proof that nothing of it is left.
    pub took: Duration,
    /// How many files dsbench has open for each process that runs.
    pub open_files: u64,
}

/// Starts a shell that starts a child which detaches itself; freezes both, lets them go on, kills them, and has it proven that nothing is
/// left.
///
/// # Errors
/// The first thing that did not work, for people.
pub fn trial(guardian: Guardian, dir: &Path) -> Result<Trial, String> {
    let failed = |error: &dyn std::error::Error| {
        error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
    };
    let clock = Clock::start();
    let config = WorldConfig {
        log_dir: dir.to_owned(),
        signals: None,
        desk: None,
        lab: None,
        switch: None,
        lifts_limits: false,
        tick: WorldConfig::EXACT,
    };
    let mut world = World::new(guardian, clock, config).map_err(|error| failed(&error))?;
    let open = || fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64);
    let before = open();

    let life = Life { node: "trial".into(), process: "main".into(), life: 1 };
    let about = NodeEnv { node: "trial", life: 1, run: "doctor", seed: 0, data_dir: dir, inherit: false };
    // The child's parent ends at once, so it is an orphan when the life is killed.
    let script = "(sleep 600 &) ; exec sleep 600";
    let program =
        Program { argv: ["sh", "-c", script].map(Into::into).into(), env: node_env(about, &[]), cwd: dir.to_owned() };
    let since = clock.now();
    let spec = SpawnSpec { program, stdout: None, stderr: None, files: Vec::new(), label: false, place: None };
    world.spawn(life.clone(), spec).map_err(|error| failed(&error))?;
    until(&mut world, "start `sh`", |what| match what {
        Happening::Started { .. } => Some(Ok(())),
        Happening::NotStarted { why, .. } => Some(Err(why.clone())),
        _ => None,
    })?;
    let open_files = open().saturating_sub(before);
    world.pause(&life);
    until(&mut world, "freeze it", |what| match what {
        Happening::Paused { running, .. } if running.is_empty() => Some(Ok(())),
        Happening::Paused { running, .. } => Some(Err(format!("{} would not stop", running.join(", ")))),
        _ => None,
    })?;
    world.resume(&life);
    until(&mut world, "let it go on", |what| matches!(what, Happening::Resumed { .. }).then_some(Ok(())))?;
    world.kill(&life);
    until(&mut world, "kill it", |what| match what {
        Happening::Empty { .. } => Some(Ok(())),
        Happening::Unkillable { survivors, .. } => Some(Err(format!("{} would not die", survivors.join(", ")))),
        _ => None,
    })?;
    let took = clock.now().since(since);
    let survivors = world.shutdown(BOUND).survivors;
    if survivors.is_empty() { Ok(Trial { took, open_files }) } else { Err(format!("left: {}", survivors.join(", "))) }
}

/// Waits until something says how a step of the trial went.
fn until(
    world: &mut World,
    doing: &str,
    judge: impl Fn(&Happening) -> Option<Result<(), String>>,
) -> Result<(), String> {
    let deadline = world.clock().now() + BOUND;
    while let Some(outside) = world.next(deadline) {
        match &outside.what {
            Happening::Broken { why } => return Err(format!("failed to {doing}: {why}")),
            what => {
                if let Some(answer) = judge(what) {
                    return answer.map_err(|why| format!("failed to {doing}: {why}"));
                }
            }
        }
    }
    Err(format!("failed to {doing} within {} s", BOUND.as_secs()))
}
