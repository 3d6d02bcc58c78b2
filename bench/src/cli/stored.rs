//! A stored run, read back: everything that judging and showing it needs, and nothing of it trusted.

use std::path::Path;

use dsbench_core::check;
use dsbench_core::history::History;
use dsbench_core::judgement::Judgement;
use dsbench_core::observation::Name;
use dsbench_core::plan::Plan;
use dsbench_core::scenario::Choice;
use dsbench_core::verdict::Verdict;

use crate::error::BenchError;
use crate::load::{self, Source};
use crate::report::screen::Screen;
use crate::report::tell::StepText;
use crate::report::terminal::say;
use crate::run::after_all;
use crate::store::{RunFile, Store, history_file};

pub(super) struct Stored {
    pub(super) store: Store,
    file: RunFile,
    plan: Plan,
    pub(super) history: History,
    /// The line in which the history ends too early, if it does.
    torn: Option<u64>,
}

impl Stored {
    pub(super) fn open(logs: &Path, selector: Option<&str>) -> Result<Self, BenchError> {
        let store = Store::open(logs, selector)?;
        for path in [store.run_path(), store.scenario_path(), store.history_path()] {
            if !path.is_file() {
                let why = "is missing: the run was killed before it wrote it, or someone removed it";
                return Err(BenchError::StoredRun(format!("{} {why}", path.display())));
            }
        }
        let file = RunFile::read(&store.run_path())?;
        let overrides = load::overrides(&file.set)?;
        let case = file.case.as_deref().map(Name::from);
        let choice = Choice { case, overrides, without_faults: file.no_faults };
        let plan = Source::read_from(&store.scenario_path(), &store.extended_dir())?.plan(&choice, Some(0))?;
        let recorded = history_file::read(&store.history_path())?;
        let torn = recorded.torn.map(|torn| torn.line);
        Ok(Self { store, file, plan, history: recorded.history, torn })
    }

    /// True if the cluster was launched to be looked at (`dsbench up`): there is nothing to judge.
    pub(super) fn was_launched(&self) -> bool {
        self.file.up
    }

    pub(super) fn judge(&mut self) -> Verdict {
        let verdict = check::all(&self.plan.scenario.invariants, &self.plan.step_places(), &self.history);
        history_file::tell_texts(&mut self.history, &verdict, &self.store.history_path());
        verdict
    }

    /// What the run comes to with this verdict.
    pub(super) fn after_all(&self, verdict: &Verdict) -> Judgement {
        let survivors = self.file.end.as_ref().map_or(&[][..], |end| &end.survivors);
        after_all(verdict.judgement, survivors, None)
    }

    pub(super) fn steps(&self) -> Vec<StepText> {
        StepText::all(&self.plan)
    }

    /// Its final screen, with this verdict.
    pub(super) fn screen<'r>(&'r self, verdict: &'r Verdict) -> Screen<'r> {
        Screen {
            file: &self.file,
            history: &self.history,
            verdict,
            judgement: self.after_all(verdict),
            store: &self.store,
            steps: self.steps(),
            logs: self.store.shown_log_dir(),
        }
    }

    /// Warns if the history is not whole.
    pub(super) fn tell_if_torn(&self) {
        if let Some(torn) = self.torn {
            say!("warning: the history ends in the middle of line {torn}: dsbench was killed, or the disk was full");
        }
    }
}
