//! One run, from the plan to the verdict: the whole program on one screen.

mod host;
mod kept;
mod prepared;
mod run_json;
mod up;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dsbench_core::check;
use dsbench_core::history::History;
use dsbench_core::judgement::Judgement;
use dsbench_core::plan::Plan;
use dsbench_core::scenario::Choice;
use dsbench_core::verdict::Verdict;
use dsbench_world::{World, WorldConfig};

pub(crate) use self::host::Host;
pub(crate) use self::kept::KeepUp;
use self::kept::Keeping;
use self::prepared::Prepared;
pub(crate) use self::up::up;
use crate::driver::{self, Keeper, Stage};
use crate::error::BenchError;
use crate::lab;
use crate::load::Source;
use crate::report::live::{Live, Silent};
use crate::store::{End, Keep, RunFile, Store, history_file};

/// What to run, and how.
#[derive(Debug)]
pub struct Order {
    /// The scenario.
    pub source: Arc<Source>,
    /// Its plan.
    pub plan: Plan,
    /// What people call the run: `leader-election[nodes.count=5]`.
    pub label: String,
    /// Which of the scenario's runs it is.
    pub choice: Choice,
    /// Where runs are stored; the current directory's `logs`.
    pub logs: PathBuf,
    /// When the data directories of its nodes are kept.
    pub keep: Keep,
    /// Every packet between its nodes is recorded, if they have a network of their own.
    pub pcap: bool,
    /// Which of the selected runs it is, from 0.
    pub index: usize,
    /// Which repetition of it, from 1.
    pub round: u64,
    /// So many runs are made at the same time, with this one: what belongs to one at a time - the terminal, the logs directly in `logs` -
    /// is this run's only if it is 1.
    pub jobs: usize,
    /// In whose process it is made.
    pub(crate) host: Host,
}

impl Order {
    /// The values that it has in the place of the file's, as on a command line: `nodes.count=5`.
    pub fn set(&self) -> Vec<String> {
        self.choice.overrides.iter().map(ToString::to_string).collect()
    }

    /// The command line that does the same again.
    pub fn reproduce(&self) -> String {
        run_json::reproduce(self)
    }
}

/// A finished run.
#[derive(Debug)]
pub struct Outcome {
    /// Where it is stored.
    pub store: Store,
    /// Its summary.
    pub file: RunFile,
    /// What was seen.
    pub history: History,
    /// What it means.
    pub verdict: Verdict,
    /// What the run comes to: the verdict's word, unless what came after the run's end weighs more.
    pub judgement: Judgement,
    /// What of the run could not be written; the verdict stands all the same.
    pub lost: Vec<BenchError>,
    /// Its cluster stayed up, and everybody was told of it when the run was over.
    pub(crate) was_kept: bool,
}

/// The longest that is waited for the proof that nothing is left.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// Runs a plan while `live` watches. An error means that there is no verdict; whatever was started is gone in any case.
///
/// The cluster of a run that did not pass is kept up if that is wanted; then this returns when it has ended.
pub(crate) fn run(order: &Order, live: Option<Box<dyn Live>>, keep: Option<KeepUp<'_>>) -> Result<Outcome, BenchError> {
    let plan = &order.plan;
    let Prepared { guardian, lab, signals, clock, store, mut setting, ports, mut file, mut recorder } =
        Prepared::new(order, keep.is_none())?;
    let (lab, switch) = lab.map(|built| (built.lab, built.switch)).unzip();
    let config = WorldConfig {
        log_dir: store.log_dir(),
        signals,
        desk: None,
        lab,
        switch,
        lifts_limits: order.host.is_own(),
        tick: WorldConfig::EXACT,
    };
    let mut world = World::new(guardian, clock, config)?;
    let mut live = live.unwrap_or_else(|| Box::new(Silent));
    if order.pcap && setting.lab.is_none() {
        live.told("no packets are recorded: in host mode the nodes have no network of their own (mode = \"lab\" in [network])");
    }
    setting.exposed = lab::expose(&mut world, plan)?;
    if !setting.exposed.is_empty() {
        file.exposed = setting.exposed.clone();
        store.write(&store.run_path(), &file.to_bytes())?;
        lab::tell(&setting.exposed).for_each(|line| live.told(&line));
    }
    let stage =
        Stage { plan, setting: &setting, world: &mut world, recorder: &mut recorder, live: &mut *live, store: &store };
    let mut keeping = keep.map(|keep| {
        let (store, file) = (store.clone(), file.clone());
        Keeping { keep, order, store, clock, file, verdict: None, outcome: None }
    });
    let driven = driver::drive(stage, keeping.as_mut().map(|keeping| keeping as &mut dyn Keeper));
    let ended = world.shutdown(SHUTDOWN);
    drop(ports);
    let driven = driven.map_err(BenchError::Environment).inspect_err(|_| live.close())?;
    if let Some(outcome) = keeping.and_then(|keeping| keeping.outcome) {
        live.close();
        return Ok(up::end_of_kept(outcome, order, &setting, driven.held, ended, recorder));
    }

    let (mut history, lost) = recorder.finish();
    let verdict = check::all(&plan.scenario.invariants, &plan.step_places(), &history);
    history_file::tell_texts(&mut history, &verdict, &store.history_path());
    let judgement = after_all(verdict.judgement, &ended.survivors, driven.interrupted);
    let end = run_json::end(order, &verdict, judgement, clock.now().elapsed(), ended.survivors);
    // Before the data directories are removed, and when nobody writes into them any more.
    let artifacts = store.gather(plan, &setting.addresses);
    file.end = Some(End { artifacts, ..end });
    let lost = lost.into_iter().chain(store.keep(&file, &verdict, order.keep)).collect();
    // A reader who takes nothing is waited for when all is written down, and a Ctrl-C ends that.
    live.close();
    Ok(Outcome { store, file, history, verdict, judgement, lost, was_kept: false })
}

/// The verdict's word, and what weighs more than it: a machine that was not left clean, a signal while the check programs were asked.
/// The verdict itself stays a function of the history.
pub(crate) fn after_all(verdict: Judgement, survivors: &[String], interrupted: Option<i32>) -> Judgement {
    let unclean = (!survivors.is_empty()).then_some(Judgement::Environment);
    let interrupted = interrupted.map(|signal| Judgement::Interrupted { signal });
    Judgement::of_all([Some(verdict), unclean, interrupted].into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use dsbench_core::judgement::Judgement::{Environment, Fail, Interrupted, Pass};

    use super::after_all;

    #[test]
    fn a_run_that_leaves_a_process_behind_is_no_pass_and_hides_no_violation() {
        let survivors = ["peer1/main (life 1)".to_owned()];
        assert_eq!(after_all(Pass, &[], None), Pass);
        assert_eq!(after_all(Pass, &survivors, None), Environment);
        assert_eq!(after_all(Fail, &survivors, Some(2)), Fail);
        assert_eq!(after_all(Pass, &[], Some(15)), Interrupted { signal: 15 });
    }
}
