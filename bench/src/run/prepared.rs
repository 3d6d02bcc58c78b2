//! Everything that is made before the first start: the guardian, the run's directory, ports and data directories, the first records.

use dsbench_world::{Clock, Guardian, Ports, Signals};

use super::{Order, run_json};
use crate::driver::Setting;
use crate::error::BenchError;
use crate::lab::Built;
use crate::store::{Recorder, RunFile, Store};
use crate::{requirements, setting};

pub(super) struct Prepared {
    pub(super) guardian: Guardian,
    /// None in host mode.
    pub(super) lab: Option<Built>,
    /// None where signals are somebody else's.
    pub(super) signals: Option<Signals>,
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) setting: Setting,
    /// The ports are the run's as long as this lives.
    pub(super) ports: Ports,
    pub(super) file: RunFile,
    pub(super) recorder: Recorder,
}

impl Prepared {
    /// With the terminal, or for a process that will give it up. In somebody else's process, neither its signals nor its standard error
    /// are touched.
    pub(super) fn new(order: &Order, has_terminal: bool) -> Result<Self, BenchError> {
        let Order { source, plan, .. } = order;
        let scenario_dir = source.directory()?;
        requirements::check(plan, &scenario_dir)?;
        let executable = order.host.executable(plan)?;

        // Before any thread: the guardian is a fork of this process, and threads inherit the blocked signals.
        let is_own = order.host.is_own();
        let guardian = if has_terminal && is_own && order.jobs == 1 {
            Guardian::fork()?
        } else {
            Guardian::fork_without_terminal()?
        };
        let signals = is_own.then(Signals::block).transpose()?;
        let clock = Clock::start();
        let make = if order.jobs == 1 { Store::create } else { Store::create_beside_others };
        let store = make(&order.logs, &plan.scenario.name, clock.wall_start(), plan.seed)?;
        let (setting, ports) = setting::settle(plan, &store, &scenario_dir, &executable, order.pcap)?;
        let lab = setting.lab.as_ref().map(|lab| lab.build(&guardian)).transpose()?;
        let file = run_json::begun(order, clock.wall_start(), &scenario_dir);
        store.write_scenario(&source.sources)?;
        store.write(&store.run_path(), &file.to_bytes())?;
        let recorder = Recorder::create(&store.history_path())?;
        Ok(Self { guardian, lab, signals, clock, store, setting, ports, file, recorder })
    }
}
