//! Everything that is made before the first start: the guardian, the run's directory, ports and data directories, the first records.

use dsbench_world::{Clock, Guardian, Ports, Signals};

use super::{Order, run_json};
use crate::driver::Setting;
use crate::error::BenchError;
use crate::store::{Recorder, RunFile, Store};
use crate::{requirements, setting};

pub(super) struct Prepared {
    pub(super) guardian: Guardian,
    pub(super) signals: Signals,
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) setting: Setting,
    /// The ports are the run's as long as this lives.
    pub(super) ports: Ports,
    pub(super) file: RunFile,
    pub(super) recorder: Recorder,
}

impl Prepared {
    /// With the terminal, or for a process that will give it up.
    pub(super) fn new(order: &Order, has_terminal: bool) -> Result<Self, BenchError> {
        let Order { source, plan, .. } = order;
        let scenario_dir = source.directory()?;
        requirements::check(plan, &scenario_dir)?;

        // Before any thread: the guardian is a fork of this process, and threads inherit the blocked signals.
        let guardian = if has_terminal { Guardian::fork()? } else { Guardian::fork_without_terminal()? };
        let signals = Signals::block()?;
        let clock = Clock::start();
        let store = Store::create(&order.logs, &plan.scenario.name, clock.wall_start(), plan.seed)?;
        let (setting, ports) = setting::settle(plan, &store, &scenario_dir)?;
        let file = run_json::begun(order, clock.wall_start(), &scenario_dir);
        store.write_scenario(&source.sources)?;
        store.write(&store.run_path(), &file.to_bytes())?;
        let recorder = Recorder::create(&store.history_path())?;
        Ok(Self { guardian, signals, clock, store, setting, ports, file, recorder })
    }
}
