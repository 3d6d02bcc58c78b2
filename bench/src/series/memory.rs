//! What was no pass in the last series: written as it goes on, so that `--last-failed` knows it whatever happens to dsbench.
//!
//! ```text
//! logs/.last-series.jsonl    {"v":1} and then a line for each run that was not a pass
//! ```

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use dsbench_core::judgement::Judgement;
use dsbench_core::observation::Name;
use dsbench_core::scenario::Choice;
use serde::{Deserialize, Serialize};

use super::{Audience, Selected, Series};
use crate::error::BenchError;
use crate::load::{self, Source};
use crate::report::terminal::say;
use crate::run::{Order, Outcome};

/// The file below `logs`.
const FILE: &str = ".last-series.jsonl";

/// The version of its format.
const VERSION: u32 = 1;

/// More failures than this are not remembered: nobody runs them all again.
const MOST: usize = 1_000;

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    v: u32,
}

/// A run that was not a pass, with everything that makes it again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Failed {
    /// The scenario's file, as it was given.
    pub file: PathBuf,
    /// Its case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    case: Option<String>,
    /// The values that were changed.
    #[serde(default)]
    set: Vec<String>,
    /// Its faults were left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    no_faults: bool,
    seed: u64,
}

impl Failed {
    fn of(order: &Order) -> Self {
        let Choice { case, without_faults, .. } = &order.choice;
        Self {
            file: order.source.path.clone(),
            case: case.as_deref().map(str::to_owned),
            set: order.set(),
            no_faults: *without_faults,
            seed: order.plan.seed,
        }
    }

    /// The same run once more.
    pub fn select(&self) -> Result<Selected, BenchError> {
        let choice = Choice {
            case: self.case.as_deref().map(Name::from),
            overrides: load::overrides(&self.set)?,
            without_faults: self.no_faults,
        };
        Selected::exactly(Source::read(&self.file)?, choice, self.seed)
    }
}

/// The audience that remembers.
#[derive(Debug)]
pub struct Memory {
    logs: PathBuf,
    file: Option<File>,
    kept: BTreeSet<Failed>,
}

impl Memory {
    /// Remembers below this directory.
    pub fn new(logs: &Path) -> Self {
        Self { logs: logs.to_owned(), file: None, kept: BTreeSet::new() }
    }

    /// What the last series remembered, in the order in which it was seen.
    pub fn read(logs: &Path) -> Result<Vec<Failed>, BenchError> {
        let path = logs.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let why = format!("nothing selected: no series was run here yet ({} is not there)", path.display());
                return Err(BenchError::NothingSelected(why));
            }
            Err(error) => return Err(BenchError::file("read", path)(error)),
        };
        let unreadable = |line: usize| {
            BenchError::StoredRun(format!("{}:{line} is not what dsbench wrote: remove the file", path.display()))
        };
        // A line that was being written when dsbench was killed is none.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut lines = whole.lines().zip(1..);
        let header: Option<Header> = lines.next().and_then(|(line, _)| serde_json::from_str(line).ok());
        if header.is_none_or(|header| header.v != VERSION) {
            return Err(unreadable(1));
        }
        lines.map(|(line, number)| serde_json::from_str(line).map_err(|_| unreadable(number))).collect()
    }

    fn begin(&mut self) -> std::io::Result<()> {
        fs::create_dir_all(&self.logs)?;
        let mut file = File::create(self.logs.join(FILE))?;
        writeln!(file, "{}", serde_json::to_string(&Header { v: VERSION })?)?;
        self.file = Some(file);
        Ok(())
    }

    fn remember(&mut self, order: &Order) {
        let failed = Failed::of(order);
        let Some(file) = &mut self.file else { return };
        if self.kept.len() >= MOST || self.kept.contains(&failed) {
            return;
        }
        let line = serde_json::to_string(&failed).expect("plain data has JSON");
        // In one piece, so that a reader sees all of a line or none of its end.
        if let Err(error) = file.write_all(format!("{line}\n").as_bytes()) {
            say!("warning: --last-failed will not know of this run: {error}");
            self.file = None;
        }
        self.kept.insert(failed);
    }
}

impl Audience for Memory {
    fn begins(&mut self, _: &Series) {
        if let Err(error) = self.begin() {
            say!("warning: --last-failed will not know of these runs: {error}");
        }
    }

    fn run_ended(&mut self, order: &Order, outcome: &Outcome) {
        if outcome.judgement != Judgement::Pass {
            self.remember(order);
        }
    }

    fn cannot_run(&mut self, order: &Order, _: &BenchError) {
        self.remember(order);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_none_and_a_strange_one_is_refused_with_its_number() {
        let logs = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            fs::write(logs.path().join(FILE), text).unwrap();
            Memory::read(logs.path())
        };
        let line = r#"{"file":"x.toml","set":["nodes.count=5"],"seed":7}"#;
        let found = read(&format!("{{\"v\":1}}\n{line}\n{{\"file\":\"y.to")).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].file.to_str(), found[0].seed), (Some("x.toml"), 7));
        assert!(read("{\"v\":1}\n").unwrap().is_empty());
        for (text, line) in [("", 1), ("{\"v\":99}\n", 1), ("{\"v\":1}\n{}\n", 2)] {
            let why = read(text).unwrap_err().to_string();
            assert!(why.contains(&format!(".jsonl:{line} ")), "{why}");
        }
        fs::remove_file(logs.path().join(FILE)).unwrap();
        assert_eq!(Memory::read(logs.path()).unwrap_err().exit_code(), 4);
    }
}
