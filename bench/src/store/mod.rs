//! The run directory: everything that a run leaves, as plain files.
//!
//! ```text
//! logs/<node>_log.txt               the last run's readable logs
//! logs/runs/latest                  -> the last run
//! logs/runs/<scenario>/<utc>-<seed>/
//!     run.json                      what was run, how it ended, the verdict
//!     running                       locked while the run goes on, and gone when it is over
//!     scenario.toml                 the scenario as given; extends/ what it extends
//!     history.jsonl                 every observation
//!     logs/<node>_log.txt           the readable logs; logs/raw/ the bytes and their arrival times
//!     nodes/<node>/                 the nodes' data directories
//!     artifacts/<node>/             what the scenario wants to be kept of them
//!     control/socket                while the cluster is up: where other terminals reach it
//! ```

mod artifacts;
mod captured;
pub(crate) mod history_file;
mod recorder;
mod retention;
mod run_file;
pub mod runs;
mod select;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

pub use artifacts::Gathered;
pub use captured::{Around, Spoken, around};
pub use recorder::Recorder;
pub use retention::{Keep, Retention};
pub use run_file::{End, Environment, Exposed, RunFile, VERSION};
pub(crate) use run_file::{peak_memory, rounded_seconds, utc};

use dsbench_core::judgement::Judgement;
use dsbench_core::source::Sources;
use dsbench_core::verdict::Verdict;
use dsbench_world::Lock;

use crate::error::BenchError;

/// The directory of one run.
#[derive(Debug, Clone)]
pub struct Store {
    logs: PathBuf,
    dir: PathBuf,
    /// Its readable logs are the ones that lie directly in `logs`.
    is_shown: bool,
    /// Held while the run goes on; none for a stored run, and where the file system has no locks.
    _running: Option<Arc<Lock>>,
}

impl Store {
    /// Makes the directory for a new run below `logs`, and clears what the last run left directly in `logs`.
    pub fn create(logs: &Path, scenario: &str, started: SystemTime, seed: u64) -> Result<Self, BenchError> {
        let store = Self { is_shown: true, ..Self::create_beside_others(logs, scenario, started, seed)? };
        forget_last_logs(logs);
        Ok(store)
    }

    /// Makes the directory for one of several runs at the same time: what lies directly in `logs` is none of theirs.
    pub fn create_beside_others(
        logs: &Path,
        scenario: &str,
        started: SystemTime,
        seed: u64,
    ) -> Result<Self, BenchError> {
        let of_scenario = logs.join("runs").join(scenario);
        fs::create_dir_all(&of_scenario).map_err(BenchError::file("create", &of_scenario))?;
        let mut times_gone = 0;
        let stamp = compact_utc(started);
        let mut attempt = 1;
        let dir = loop {
            let name = match attempt {
                1 => format!("{stamp}-{seed:08x}"),
                n => format!("{stamp}-{seed:08x}.{n}"),
            };
            let dir = of_scenario.join(name);
            match fs::DirBuilder::new().mode(0o755).create(&dir) {
                Ok(()) => break dir,
                // Two runs with one seed within a second: both are kept.
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => attempt += 1,
                // It was empty, and whoever removes old runs beside this one took it for one that nobody needs.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && times_gone < TIMES_GONE => {
                    times_gone += 1;
                    fs::create_dir_all(&of_scenario).map_err(BenchError::file("create", &of_scenario))?;
                }
                Err(e) => return Err(BenchError::file("create", dir)(e)),
            }
        };
        // Before anything makes the directory a run: what is not locked may be removed.
        let running = Lock::take(&dir.join(RUNNING)).ok().flatten().map(Arc::new);
        let store = Self { logs: logs.to_owned(), dir, is_shown: false, _running: running };
        for sub in [store.log_dir(), store.nodes_dir()] {
            fs::create_dir(&sub).map_err(BenchError::file("create", &sub))?;
        }
        store.point_latest(&of_scenario);
        Ok(store)
    }

    /// A stored run: a path, a prefix of its name, `-1` for the last one, `-2` for the one before; none for the last.
    pub fn open(logs: &Path, selector: Option<&str>) -> Result<Self, BenchError> {
        Ok(Self::stored(logs, select::find(logs, selector)?))
    }

    /// The run in this directory.
    pub(crate) fn stored(logs: &Path, dir: PathBuf) -> Self {
        Self { logs: logs.to_owned(), dir, is_shown: false, _running: None }
    }

    /// The directories of the stored runs that a selector fits, oldest first; of all without one.
    pub(crate) fn fitting(logs: &Path, selector: Option<&str>) -> Vec<PathBuf> {
        select::fitting(logs, selector)
    }

    /// The run's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// True while some dsbench is at work on this run. It is also right after that dsbench was killed.
    pub fn is_running(&self) -> bool {
        Lock::is_held(&self.dir.join(RUNNING))
    }

    /// The run's directory as a person would type it here.
    pub fn shown_dir(&self) -> PathBuf {
        from_here(&self.dir)
    }

    /// Where the nodes' readable and raw logs go.
    pub fn log_dir(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// The same as a person would type it here.
    pub fn shown_log_dir(&self) -> PathBuf {
        from_here(&self.log_dir())
    }

    /// Where the nodes' data directories are.
    pub fn nodes_dir(&self) -> PathBuf {
        self.dir.join("nodes")
    }

    /// The history's file.
    pub fn history_path(&self) -> PathBuf {
        self.dir.join("history.jsonl")
    }

    /// Every packet between the nodes, if that was wanted.
    pub fn pcap_path(&self) -> PathBuf {
        self.dir.join("packets.pcapng")
    }

    /// The messages between the nodes, where they have a network of their own.
    pub fn messages_path(&self) -> PathBuf {
        self.dir.join("messages.bin")
    }

    /// The scenario as given.
    pub fn scenario_path(&self) -> PathBuf {
        self.dir.join("scenario.toml")
    }

    /// Where a cluster that is up listens.
    pub(crate) fn control_dir(&self) -> PathBuf {
        self.dir.join(CONTROL)
    }

    /// Where the files lie that the scenario extends.
    pub fn extended_dir(&self) -> PathBuf {
        self.dir.join("extends")
    }

    /// Writes the scenario as given, with what it extends.
    pub fn write_scenario(&self, sources: &Sources) -> Result<(), BenchError> {
        for file in sources.files() {
            let path = match &file.path {
                None => self.scenario_path(),
                // It was read from below the scenario's directory: no part of it leads out of this one.
                Some(path) => self.extended_dir().join(&**path),
            };
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(BenchError::file("create", parent))?;
            }
            self.write(&path, file.text.as_bytes())?;
        }
        Ok(())
    }

    /// `run.json`.
    pub fn run_path(&self) -> PathBuf {
        self.dir.join("run.json")
    }

    /// `verdict.json`.
    pub fn verdict_path(&self) -> PathBuf {
        self.dir.join("verdict.json")
    }

    /// Writes what the run came to; what could not be written is told, and the verdict stands all the same.
    pub fn keep(&self, file: &RunFile, verdict: &Verdict, keep: Keep) -> Vec<BenchError> {
        let lost = self.conclude(file, verdict);
        self.close(file, keep);
        lost
    }

    /// The same while the nodes are still up; [`close`](Self::close) follows when they are gone.
    pub(crate) fn conclude(&self, file: &RunFile, verdict: &Verdict) -> Vec<BenchError> {
        let written =
            [self.write(&self.verdict_path(), &verdict_bytes(verdict)), self.write(&self.run_path(), &file.to_bytes())];
        written.into_iter().filter_map(Result::err).collect()
    }

    /// Nothing of the run is left: its logs are complete, and what is not to be kept goes.
    pub(crate) fn close(&self, file: &RunFile, keep: Keep) {
        self.show_logs(file.nodes.iter().chain(&file.clients).map(String::as_str), true);
        let is_pass = file.end.as_ref().is_some_and(|end| end.exit_code == Judgement::Pass.exit_code());
        if keep == Keep::Never || keep == Keep::OnFailure && is_pass {
            self.drop_data();
        }
        if keep == Keep::Never {
            let _ = runs::remove_tree(&self.log_dir().join("raw"));
        }
        // The lock itself is let go with the store; without its file nobody looks for it.
        let _ = fs::remove_file(self.dir.join(RUNNING));
    }

    /// Writes a whole file of the run so that a reader sees all of it or none.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), BenchError> {
        let temp = path.with_extension("part");
        let done =
            fs::File::create(&temp).and_then(|mut file| file.write_all(bytes)).and_then(|()| fs::rename(&temp, path));
        done.map_err(|e| {
            // Best effort: what could not be written must not look like a result.
            let _ = fs::remove_file(&temp);
            BenchError::file("write", path)(e)
        })
    }

    /// The readable log of a node as people find it: `logs/peer1_log.txt`, relative to where dsbench was started.
    pub fn shown_log(&self, node: &str) -> PathBuf {
        self.logs.join(log_name(node))
    }

    /// How long the readable log of a node is by now.
    pub fn log_bytes(&self, node: &str) -> u64 {
        fs::metadata(self.log_dir().join(log_name(node))).map_or(0, |meta| meta.len())
    }

    /// Makes the readable logs of this run the ones that lie directly in `logs`. A hard link, so that it grows with the run and outlives
    /// the run's directory; a copy where the file system has no hard links (`at_end` repeats those).
    pub fn show_logs<'n>(&self, nodes: impl Iterator<Item = &'n str>, at_end: bool) {
        if !self.is_shown {
            return;
        }
        let mut shown = Vec::new();
        for node in nodes {
            let (from, to) = (self.log_dir().join(log_name(node)), self.shown_log(node));
            shown.push(log_name(node));
            if at_end && same_file(&from, &to) {
                continue;
            }
            let _ = fs::remove_file(&to);
            if fs::hard_link(&from, &to).is_err() && at_end {
                let _ = fs::copy(&from, &to);
            }
        }
        // Only a convenience: the run's own directory has the logs in any case.
        let _ = fs::write(self.logs.join(SHOWN), shown.join("\n"));
    }

    /// Removes the data directories of the nodes.
    pub fn drop_data(&self) {
        let _ = runs::remove_tree(&self.nodes_dir());
    }

    fn point_latest(&self, of_scenario: &Path) {
        let Some(run) = self.dir.file_name() else { return };
        let Some(scenario) = of_scenario.file_name() else { return };
        for (link, target) in [
            (of_scenario.join("latest"), PathBuf::from(run)),
            (self.logs.join("runs").join("latest"), Path::new(scenario).join(run)),
        ] {
            let _ = fs::remove_file(&link);
            let _ = symlink(target, link);
        }
    }
}

/// Removes the logs that the last run left directly in `logs`: they are not those of the runs that begin now.
pub(crate) fn forget_last_logs(logs: &Path) {
    let shown = fs::read_to_string(logs.join(SHOWN)).unwrap_or_default();
    // Only plain names that dsbench could have written: the list is a file that anyone may have edited.
    for name in shown.lines().filter(|name| name.ends_with("_log.txt") && !name.contains('/')) {
        let _ = fs::remove_file(logs.join(name));
    }
}

fn from_here(path: &Path) -> PathBuf {
    let here = std::env::current_dir().and_then(|dir| dir.canonicalize()).unwrap_or_else(|_| Path::new("/").into());
    path.strip_prefix(here).unwrap_or(path).to_owned()
}

/// How often the directory of a scenario may be removed between its making and that of the run's own in it.
const TIMES_GONE: u32 = 100;

/// The file that is locked while a run goes on.
const RUNNING: &str = "running";

/// The directory of the socket in a run's directory.
pub(crate) const CONTROL: &str = "control";

/// The list of the logs that the last run put directly into `logs`.
const SHOWN: &str = ".last-run";

/// The verdict as it is stored and compared.
pub fn verdict_bytes(verdict: &Verdict) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(verdict).expect("plain data has JSON");
    bytes.push(b'\n');
    bytes
}

/// `peer1_log.txt`.
pub fn log_name(node: &str) -> String {
    format!("{node}_log.txt")
}

/// `20261121T103229Z`.
fn compact_utc(at: SystemTime) -> String {
    let rfc3339 = humantime::format_rfc3339_seconds(at).to_string();
    rfc3339.chars().filter(|c| !matches!(c, '-' | ':')).collect()
}

fn same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::{Store, compact_utc};

    #[test]
    fn a_run_is_named_by_its_start_and_seed_and_never_overwritten() {
        let logs = tempfile::tempdir().unwrap();
        let at = UNIX_EPOCH + Duration::from_secs(1_795_257_149);
        let first = Store::create(logs.path(), "x", at, 0x5eed).unwrap();
        let second = Store::create(logs.path(), "x", at, 0x5eed).unwrap();
        assert!(first.dir().ends_with(format!("runs/x/{}-00005eed", compact_utc(at))));
        assert_ne!(first.dir(), second.dir());
        second.write(&second.run_path(), b"{}").unwrap();
        assert_eq!(Store::open(logs.path(), None).unwrap().dir(), second.dir().canonicalize().unwrap());
    }

    #[test]
    fn the_last_runs_logs_replace_those_of_the_run_before_and_nothing_else() {
        let logs = tempfile::tempdir().unwrap();
        let mine = logs.path().join("my_log.txt");
        std::fs::write(&mine, "kept").unwrap();
        let old = Store::create(logs.path(), "x", UNIX_EPOCH, 1).unwrap();
        std::fs::write(old.log_dir().join("gone_log.txt"), "old").unwrap();
        old.show_logs(["gone"].into_iter(), false);
        assert!(old.shown_log("gone").exists());
        let new = Store::create(logs.path(), "x", UNIX_EPOCH, 2).unwrap();
        std::fs::write(new.log_dir().join("peer1_log.txt"), "new").unwrap();
        new.show_logs(["peer1"].into_iter(), false);
        assert!(!new.shown_log("gone").exists());
        assert_eq!(std::fs::read_to_string(new.shown_log("peer1")).unwrap(), "new");
        assert!(mine.exists());
    }

    #[test]
    fn a_run_is_running_until_its_store_is_let_go() {
        let logs = tempfile::tempdir().unwrap();
        let store = Store::create(logs.path(), "x", UNIX_EPOCH, 1).unwrap();
        let seen = Store { _running: None, ..store.clone() };
        assert!(seen.is_running());
        drop(store);
        assert!(!seen.is_running(), "the kernel lets go for a process that was killed");
    }
}
