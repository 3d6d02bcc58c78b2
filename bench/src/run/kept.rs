//! A run that did not pass and whose cluster stays up: its results are written and told while the nodes live on.

use std::os::unix::net::UnixStream;

use dsbench_core::check;
use dsbench_core::history::History;
use dsbench_core::judgement::Judgement;
use dsbench_core::verdict::Verdict;
use dsbench_world::{Clock, DeskConfig, Socket, let_go_of_terminal};

use super::{Order, Outcome, run_json};
use crate::driver::{Keeper, Stay};
use crate::store::{Recorder, RunFile, Store, history_file};

/// Keeps the cluster up if the run does not pass.
pub(crate) struct KeepUp<'k> {
    /// Whoever has asked for it: the cluster ends with that one, unless released.
    pub(crate) owner: UnixStream,
    /// Told of the run before the terminal is let go.
    pub(crate) told: &'k mut dyn FnMut(&Outcome),
}

/// The same, for one run.
pub(super) struct Keeping<'k, 'r> {
    pub(super) keep: KeepUp<'k>,
    pub(super) order: &'r Order,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) file: RunFile,
    pub(super) verdict: Option<Verdict>,
    /// The run, once it is kept.
    pub(super) outcome: Option<Outcome>,
}

impl Keeper for Keeping<'_, '_> {
    fn wants(&mut self, history: &History) -> bool {
        let plan = &self.order.plan;
        let verdict = check::all(&plan.scenario.invariants, &plan.step_places(), history);
        let is_wanted = matches!(verdict.judgement, Judgement::Fail | Judgement::Inconclusive);
        self.verdict = Some(verdict);
        is_wanted
    }

    fn keep(&mut self, recorder: &mut Recorder) -> Result<Stay, String> {
        let socket = Socket::at(self.store.control_dir());
        let listener = socket.listen().map_err(|error| format!("no socket can be made in its directory: {error}"))?;
        let owner = self.keep.owner.try_clone().map_err(|error| error.to_string())?;
        let verdict = self.verdict.take().ok_or("it was not judged")?;
        let mut history = recorder.seal();
        history_file::tell_texts(&mut history, &verdict, &self.store.history_path());
        let (judgement, took) = (verdict.judgement, self.clock.now().elapsed());
        let mut file = self.file.clone();
        file.end = Some(run_json::end(self.order, &verdict, judgement, took, Vec::new()));
        let lost = self.store.conclude(&file, &verdict);
        let store = self.store.clone();
        let outcome = Outcome { store, file, history, verdict, judgement, lost, was_kept: true };
        (self.keep.told)(&outcome);
        self.outcome = Some(outcome);
        // Best effort: a shell that waits for the end of a pipe waits longer.
        let _ = let_go_of_terminal(&self.store.dir().join("dsbench.log"));
        let desk = DeskConfig { listener: Some(listener), owner: Some(owner) };
        Ok(Stay { desk, code: judgement.exit_code() })
    }
}
