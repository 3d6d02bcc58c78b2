//! Commands that are about one run: which of the runs that a scenario means.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use dsbench_core::plan::Plan;

use super::{ValueArgs, parse_seed};
use crate::error::BenchError;
use crate::load::Source;
use crate::report::terminal::{clean_line, say};
use crate::series::Selected;

/// A scenario, and which of its runs.
#[derive(Debug, Args)]
pub(super) struct OneArgs {
    /// The scenario's file
    scenario: PathBuf,
    #[command(flatten)]
    values: ValueArgs,
    /// The seed of every random choice, decimal or 0x hexadecimal [default: the scenario's, else a fresh one]
    #[arg(long, value_name = "N", value_parser = parse_seed)]
    seed: Option<u64>,
}

impl OneArgs {
    /// The run that is meant; the first if the scenario means several, which is said.
    pub(super) fn selected(&self) -> Result<Selected, BenchError> {
        let mut runs = Selected::all(Source::read(&self.scenario)?, &self.values.asked()?, self.seed)?;
        if runs.is_empty() {
            let cases = self.values.cases.join(" or ");
            let why = format!("the scenario has no case {cases} (`dsbench list` shows what there is)");
            return Err(BenchError::NothingSelected(why));
        }
        if runs.len() > 1 {
            let (all, label) = (runs.len(), clean_line(&runs[0].label));
            say!(
                "note: the scenario means {all} runs, and this is the first, {label}; --set and --case choose another"
            );
        }
        Ok(runs.swap_remove(0))
    }

    /// Its scenario, and the plan of it.
    pub(super) fn plan(&self) -> Result<(Arc<Source>, Plan), BenchError> {
        let Selected { source, choice, seed, .. } = self.selected()?;
        let plan = source.plan(&choice, seed)?;
        Ok((source, plan))
    }
}
