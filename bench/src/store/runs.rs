//! The stored runs as a list: what each was, what it came to, whether it still goes on, how large it is, and its removal.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use dsbench_world::Lock;
use serde::Deserialize;

use super::{RUNNING, select};
use crate::error::BenchError;

/// A run that is being removed is called so, and taken for no run any more. If dsbench dies over it, the next removal goes on.
const GOING: &str = ".removed-";

/// One stored run.
#[derive(Debug)]
pub struct StoredRun {
    /// Its directory.
    pub dir: PathBuf,
    /// The directory of its scenario.
    pub scenario: String,
    /// When it began.
    pub started: SystemTime,
    /// What `run.json` says; none if it is not there or not readable.
    pub summary: Option<Summary>,
}

/// What is read of `run.json`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Summary {
    /// What people call it.
    #[serde(default)]
    pub label: String,
    /// The seed, `0x5eed1234`.
    #[serde(default)]
    pub seed: String,
    /// `pass`, `fail`, ...; none while it goes on, or if dsbench was killed.
    #[serde(default)]
    pub result: Option<String>,
    /// The exit code of this run alone.
    #[serde(default)]
    pub exit_code: Option<u8>,
    /// How long it took.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// The cluster was launched to be looked at.
    #[serde(default)]
    pub up: bool,
}

impl StoredRun {
    /// `leader-election/20261121T182016Z-7ff49f35`: what `dsbench show` takes.
    pub fn name(&self) -> String {
        format!("{}/{}", self.scenario, self.dir.file_name().unwrap_or_default().to_string_lossy())
    }

    /// True while some dsbench is at work on it.
    pub fn is_running(&self) -> bool {
        Lock::is_held(&self.dir.join(RUNNING))
    }

    /// `pass`, `fail`, ..., `running`, `up` for a cluster that was launched to be looked at, or `killed`: dsbench did not live to its end.
    pub fn result(&self) -> &str {
        match self.summary.as_ref().and_then(|summary| summary.result.as_deref()) {
            Some(result) => result,
            None if self.is_running() => "running",
            None if self.was_up() => "up",
            None => "killed",
        }
    }

    /// Somebody may want to know why: it did not pass, and was not only looked at.
    pub fn is_failure(&self) -> bool {
        let is_pass = self.summary.as_ref().and_then(|summary| summary.exit_code) == Some(0);
        !is_pass && !self.was_up()
    }

    fn was_up(&self) -> bool {
        self.summary.as_ref().is_some_and(|summary| summary.up)
    }

    /// The room that it takes on the disk. What lies elsewhere is not looked at.
    pub fn bytes(&self) -> u64 {
        let mut counted = BTreeSet::new();
        size(&self.dir, &mut counted)
    }

    /// Removes it, unless it goes on. True if it is gone.
    pub fn remove(&self) -> Result<bool, BenchError> {
        let running = self.dir.join(RUNNING);
        // Held until it is gone, so that nobody else removes it at the same time.
        let lock = match running.symlink_metadata() {
            Ok(_) => Some(Lock::take(&running).map_err(BenchError::file("lock", &running))?),
            Err(_) => None,
        };
        if let Some(None) = lock {
            return Ok(false);
        }
        let name = self.dir.file_name().unwrap_or_default().to_string_lossy();
        let going = self.dir.with_file_name(format!("{GOING}{name}"));
        match fs::rename(&self.dir, &going) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            renamed => renamed.map_err(BenchError::file("remove", &self.dir))?,
        }
        remove_tree(&going).map_err(BenchError::file("remove", going))?;
        Ok(true)
    }
}

/// The runs of one scenario, or of all: the newest first.
///
/// Only what dsbench made: real directories, named by time and seed, with what a run writes first. Links are not followed.
pub fn stored(logs: &Path, scenarios: &[String]) -> Vec<StoredRun> {
    let mut runs: Vec<StoredRun> = select::directories(&logs.join("runs"))
        .iter()
        .filter(|dir| {
            let name = dir.file_name().unwrap_or_default();
            scenarios.is_empty() || scenarios.iter().any(|wanted| name == &**wanted)
        })
        .flat_map(|dir| select::directories(dir))
        .filter_map(StoredRun::at)
        .collect();
    let count = |run: &StoredRun| run.name().rsplit_once('.').and_then(|(_, count)| count.parse::<u64>().ok());
    runs.sort_by_cached_key(|run| std::cmp::Reverse((run.started, run.began_at(), count(run), run.name())));
    runs
}

/// How many directories there are that may be runs of a scenario: cheap, and never too few.
pub fn count(logs: &Path, scenario: &str) -> usize {
    fs::read_dir(logs.join("runs").join(scenario)).map_or(0, Iterator::count)
}

/// Clears away what removals left behind, links that lead nowhere and directories of scenarios that are empty.
pub fn tidy(logs: &Path) {
    let runs = logs.join("runs");
    let entries = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten();
    for scenario in select::directories(&runs) {
        for entry in entries(&scenario).filter(|entry| entry.file_name().to_string_lossy().starts_with(GOING)) {
            let _ = remove_tree(&entry.path());
        }
        forget_dangling(&scenario.join("latest"));
        // Fails if there is anything in it.
        let _ = fs::remove_dir(&scenario);
    }
    forget_dangling(&runs.join("latest"));
}

fn forget_dangling(link: &Path) {
    if link.is_symlink() && !link.exists() {
        let _ = fs::remove_file(link);
    }
}

impl StoredRun {
    fn at(dir: PathBuf) -> Option<Self> {
        let name = dir.file_name()?.to_str()?;
        let started = started(name)?;
        let is_run = [RUNNING, "run.json", "history.jsonl"].iter().any(|record| is_file(&dir.join(record)));
        let scenario = dir.parent()?.file_name()?.to_str()?.to_owned();
        let summary = fs::read(dir.join("run.json")).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        is_run.then_some(Self { dir, scenario, started, summary })
    }

    /// To the nanosecond, where the file system knows it: names only have seconds.
    fn began_at(&self) -> Option<SystemTime> {
        fs::metadata(&self.dir).and_then(|meta| meta.created()).ok()
    }
}

fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_file())
}

/// When a run of this name began: `20261121T182016Z-7ff49f35`, perhaps with `.2` behind it. None if no run is called so.
fn started(name: &str) -> Option<SystemTime> {
    let (stamp, rest) = name.split_at_checked(16)?;
    let (seed, count) =
        rest.strip_prefix('-')?.split_once('.').map_or((&rest[1..], "1"), |(seed, count)| (seed, count));
    let is_seed = (8..=16).contains(&seed.len()) && seed.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_count = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    let is_stamp = stamp.bytes().enumerate().all(|(at, byte)| match at {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    });
    if !(is_seed && is_count && is_stamp) {
        return None;
    }
    let (date, time) = (&stamp[..8], &stamp[9..15]);
    let [year, month, day] = [&date[..4], &date[4..6], &date[6..]];
    let [hour, minute, second] = [&time[..2], &time[2..4], &time[4..]];
    humantime::parse_rfc3339(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok()
}

fn size(path: &Path, counted: &mut BTreeSet<(u64, u64)>) -> u64 {
    let Ok(meta) = path.symlink_metadata() else { return 0 };
    // A readable log has a second name in `logs`; within the run a file counts once.
    if meta.nlink() > 1 && !meta.is_dir() && !counted.insert((meta.dev(), meta.ino())) {
        return 0;
    }
    let own = meta.blocks() * 512;
    if !meta.is_dir() {
        return own;
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    own + entries.map(|entry| size(&entry.path(), counted)).sum::<u64>()
}

/// Removes a directory with all that is in it, also where a node took the right to do so from its own directories. Links go, what they lead
/// to stays.
pub(super) fn remove_tree(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(dir);
            fs::remove_dir_all(dir)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn open_up(dir: &Path) {
    if !dir.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return;
    }
    let _ = fs::set_permissions(dir, Permissions::from_mode(0o700));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        open_up(&entry.path());
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::store::Store;

    fn run(logs: &Path, name: &str, json: &str) -> PathBuf {
        let dir = logs.join("runs").join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("run.json"), json).unwrap();
        dir
    }

    #[test]
    fn only_what_dsbench_made_is_a_run() {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path();
        run(logs, "x/20261121T182016Z-7ff49f35", r#"{"result":"pass","exit_code":0,"seed":"0x7ff49f35"}"#);
        run(logs, "x/20261121T182016Z-7ff49f35.2", r#"{"up":true}"#);
        run(logs, "y/20261122T000000Z-00000001", "not json");
        for other in ["x/notes", "x/20261121T182016Z-", "x/2026112xT182016Z-00000001", "x/20261121T182016Z-00000001.b"]
        {
            run(logs, other, "{}");
        }
        fs::create_dir_all(logs.join("runs/x/20261121T182017Z-00000001")).unwrap();
        symlink(logs.join("runs/x"), logs.join("runs/linked")).unwrap();
        symlink("20261121T182016Z-7ff49f35", logs.join("runs/x/20261121T182018Z-00000001")).unwrap();
        let names = |scenarios: &[&str]| {
            let scenarios: Vec<_> = scenarios.iter().map(|name| name.to_string()).collect();
            let told = |run: &StoredRun| format!("{} {}", run.name(), run.result());
            stored(logs, &scenarios).iter().map(told).collect::<Vec<_>>()
        };
        let of_x = ["x/20261121T182016Z-7ff49f35.2 up", "x/20261121T182016Z-7ff49f35 pass"];
        assert_eq!(names(&["x"]), of_x);
        assert_eq!(names(&[])[0], "y/20261122T000000Z-00000001 killed");
        assert_eq!(names(&[]).len(), 3);
        assert!(names(&["linked", "..", "x/..", ""]).is_empty());
    }

    #[test]
    fn a_run_that_goes_on_is_not_removed_and_links_do_not_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let (logs, precious) = (dir.path().join("logs"), dir.path().join("precious"));
        fs::create_dir(&precious).unwrap();
        fs::write(precious.join("file"), "kept").unwrap();
        let store = Store::create(&logs, "x", UNIX_EPOCH, 1).unwrap();
        symlink(&precious, store.nodes_dir().join("out")).unwrap();
        let closed = store.nodes_dir().join("n1");
        fs::create_dir_all(closed.join("deep")).unwrap();
        fs::set_permissions(&closed, Permissions::from_mode(0o500)).unwrap();
        let runs = stored(&logs, &[]);
        assert_eq!(runs[0].result(), "running");
        assert!(!runs[0].remove().unwrap());
        drop(store);
        assert_eq!(runs[0].result(), "killed");
        assert!(runs[0].remove().unwrap() && !runs[0].remove().unwrap());
        tidy(&logs);
        assert_eq!(fs::read_dir(logs.join("runs")).unwrap().count(), 0, "also the links to the last run are gone");
        assert_eq!(fs::read_to_string(precious.join("file")).unwrap(), "kept");
    }

    #[test]
    fn a_removal_that_was_cut_short_is_finished_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let half = run(dir.path(), &format!("x/{GOING}20261121T182016Z-00000001"), "{}");
        assert!(stored(dir.path(), &[]).is_empty());
        tidy(dir.path());
        assert!(!half.exists());
    }

    #[test]
    fn a_file_with_two_names_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        let run = run(dir.path(), "x/20261121T182016Z-00000001", "{}");
        fs::write(run.join("big"), vec![7; 1 << 20]).unwrap();
        let bytes = || stored(dir.path(), &[])[0].bytes();
        let before = bytes();
        fs::hard_link(run.join("big"), run.join("again")).unwrap();
        symlink("/", run.join("root")).unwrap();
        assert!((1 << 20..2 << 20).contains(&before), "{before}");
        assert!(bytes() - before <= 4096);
    }
}
