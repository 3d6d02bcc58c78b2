//! What is kept of stored runs: of one run, its bulk; of many, which.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::runs::{StoredRun, count, stored, tidy};
use crate::error::BenchError;

/// When the bulk of a run is kept: the data directories of its nodes, and with `never` the raw logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
pub enum Keep {
    /// Everything, whatever the run comes to
    Always,
    /// The data directories if it is no pass; logs always
    #[default]
    OnFailure,
    /// Neither data directories nor raw logs
    Never,
}

/// How many runs of each scenario are kept. None for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The last so many, whatever they came to.
    pub runs: Option<u64>,
    /// Of those before them, the ones that are no pass, the newest first, up to so many bytes.
    pub failed_bytes: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { runs: Some(50), failed_bytes: Some(1 << 30) }
    }
}

impl Retention {
    /// Removes what is too much of one scenario. Gives how many runs went; what could not be removed is told, and stays.
    pub fn enforce(&self, logs: &Path, scenario: &str) -> (u64, Vec<BenchError>) {
        let Some(runs) = self.runs else { return (0, Vec::new()) };
        // Reading a directory is all that a scenario with few runs costs.
        if (count(logs, scenario) as u64) < runs {
            return (0, Vec::new());
        }
        let stored = stored(logs, &[scenario.to_owned()]);
        let (mut removed, mut failures) = (0, Vec::new());
        for run in self.superfluous(&stored) {
            match run.remove() {
                Ok(is_gone) => removed += u64::from(is_gone),
                Err(error) => failures.push(error),
            }
        }
        if removed > 0 {
            tidy(logs);
        }
        (removed, failures)
    }

    /// Which of these runs of one scenario (the newest first) are too many.
    fn superfluous<'r>(&self, stored: &'r [StoredRun]) -> Vec<&'r StoredRun> {
        let kept = self.runs.map_or(usize::MAX, |runs| usize::try_from(runs).unwrap_or(usize::MAX));
        // The room is filled from the newest on; what does not fit ends it, so that no older one is kept instead.
        let (mut room, mut is_full) = (self.failed_bytes.unwrap_or(u64::MAX), false);
        let is_superfluous = |run: &&StoredRun| {
            if !run.is_failure() || is_full || self.failed_bytes.is_none() {
                return !run.is_failure() || is_full;
            }
            let left = room.checked_sub(run.bytes());
            is_full = left.is_none();
            room = left.unwrap_or(0);
            is_full
        };
        stored.iter().skip(kept).filter(is_superfluous).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Makes a run of 100 KiB and a bit.
    fn run(logs: &Path, day: u32, code: u8) {
        let dir = logs.join(format!("runs/x/202611{day:02}T000000Z-00000001"));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("run.json"), format!(r#"{{"result":"some","exit_code":{code}}}"#)).unwrap();
        fs::write(dir.join("history.jsonl"), vec![b'x'; 100 << 10]).unwrap();
    }

    fn left(logs: &Path) -> Vec<String> {
        let mut left: Vec<_> = stored(logs, &[]).iter().map(|run| run.name()[8..10].to_owned()).collect();
        left.reverse();
        left
    }

    #[test]
    fn the_last_runs_stay_and_before_them_the_failures_that_fit() {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path();
        for (day, code) in [(1, 1), (2, 0), (3, 1), (4, 3), (5, 0), (6, 1), (7, 0), (8, 0)] {
            run(logs, day, code);
        }
        fs::create_dir_all(logs.join("runs/x/notes-of-mine")).unwrap();
        let enforce = |runs, failed_bytes| Retention { runs, failed_bytes }.enforce(logs, "x").0;
        assert_eq!(enforce(None, Some(0)), 0);
        assert_eq!(enforce(Some(8), Some(0)), 0);
        assert_eq!(enforce(Some(2), Some(350 << 10)), 3);
        assert_eq!(left(logs), ["03", "04", "06", "07", "08"], "passes go, and of the failures the oldest");
        assert_eq!(enforce(Some(2), Some(350 << 10)), 0);
        assert_eq!(enforce(Some(1), Some(0)), 4);
        assert_eq!(left(logs), ["08"]);
        assert!(logs.join("runs/x/notes-of-mine").exists());
    }
}
