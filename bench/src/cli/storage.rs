//! What is kept of runs: the options of `dsbench run` about its storage, and the environment that sets them for good.

use clap::Args;
use dsbench_core::size;

use crate::error::BenchError;
use crate::series::{Audience, Housekeeper};
use crate::store::{Keep, Retention};

/// Sets `--keep-runs`.
const KEEP_RUNS: &str = "DSBENCH_KEEP_RUNS";

/// Sets `--keep-failed`.
const KEEP_FAILED: &str = "DSBENCH_KEEP_FAILED";

#[derive(Debug, Args)]
#[command(next_help_heading = "Storage")]
pub(super) struct StorageArgs {
    /// When the nodes' data directories are kept
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    pub(super) keep: Keep,
    /// Keep the last N runs of each scenario, or `all` [default: 50; DSBENCH_KEEP_RUNS sets it]
    #[arg(long, value_name = "N|all", value_parser = runs)]
    keep_runs: Option<Bounded>,
    /// Of older ones that are no pass, keep the newest up to this size per scenario, or `all` [default: 1GiB; DSBENCH_KEEP_FAILED sets it]
    #[arg(long, value_name = "SIZE|all", value_parser = bytes)]
    keep_failed: Option<Bounded>,
}

/// At most so much, or everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounded(Option<u64>);

impl StorageArgs {
    /// Who removes what is too old while runs are made.
    pub(super) fn housekeeper(&self) -> Result<Box<dyn Audience>, BenchError> {
        let usual = Retention::default();
        let runs = decided(self.keep_runs, KEEP_RUNS, runs)?.map_or(usual.runs, |bound| bound.0);
        let failed_bytes = decided(self.keep_failed, KEEP_FAILED, bytes)?.map_or(usual.failed_bytes, |bound| bound.0);
        Ok(Box::new(Housekeeper::new(Retention { runs, failed_bytes })))
    }
}

/// What the command line says, or else the environment.
fn decided(
    given: Option<Bounded>,
    variable: &str,
    read: fn(&str) -> Result<Bounded, String>,
) -> Result<Option<Bounded>, BenchError> {
    match (given, std::env::var(variable)) {
        (Some(given), _) => Ok(Some(given)),
        (None, Ok(text)) if !text.is_empty() => {
            read(&text).map(Some).map_err(|why| BenchError::Usage(format!("{variable}={text}: {why}")))
        }
        (None, _) => Ok(None),
    }
}

fn runs(text: &str) -> Result<Bounded, String> {
    bounded(text, |text| text.parse().ok(), "a number of runs, or `all`")
}

fn bytes(text: &str) -> Result<Bounded, String> {
    bounded(text, size::parse, "a size like 500MiB or 2GiB, or `all`")
}

fn bounded(text: &str, read: fn(&str) -> Option<u64>, expected: &str) -> Result<Bounded, String> {
    match text {
        "all" => Ok(Bounded(None)),
        text => read(text).map(|bound| Bounded(Some(bound))).ok_or_else(|| format!("expected {expected}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounded, bytes, runs};

    #[test]
    fn a_bound_is_a_number_or_all() {
        assert_eq!(runs("0"), Ok(Bounded(Some(0))));
        assert_eq!(runs("all"), Ok(Bounded(None)));
        assert_eq!(bytes("2GiB"), Ok(Bounded(Some(2 << 30))));
        for wrong in ["", "-1", "many"] {
            assert!(runs(wrong).unwrap_err().contains("or `all`"));
            assert!(bytes(wrong).unwrap_err().contains("2GiB"));
        }
    }
}
