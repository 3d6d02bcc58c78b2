//! Finding a stored run by what a person types.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::BenchError;

/// What makes a directory a run.
const RECORDS: [&str; 2] = ["run.json", "history.jsonl"];

/// The directory of the run that `selector` names (see [`Store::open`](super::Store::open)).
pub(super) fn find(logs: &Path, selector: Option<&str>) -> Result<PathBuf, BenchError> {
    if let Some(path) = selector.map(Path::new).filter(|path| RECORDS.iter().any(|record| path.join(record).is_file()))
    {
        return path.canonicalize().map_err(BenchError::file("open", path));
    }
    let runs = all(&logs.join("runs"));
    if runs.is_empty() {
        return Err(BenchError::StoredRun(format!(
            "no stored run in {}: run a scenario first (`dsbench run scenarios/leader-election.toml`)",
            logs.join("runs").display()
        )));
    }
    let chosen = match selector {
        None | Some("latest") => runs.last(),
        Some(nth) if nth.starts_with('-') => {
            nth[1..].parse().ok().and_then(|n: usize| runs.len().checked_sub(n)).and_then(|i| runs.get(i))
        }
        Some(prefix) => {
            let mut fits = runs.iter().filter(|run| fits(run, prefix));
            let last = fits.next_back();
            // A scenario's name means its last run; any other prefix must be unique.
            if let (Some(other), Some(last)) = (fits.next_back(), last)
                && scenario_of(last) != Some(prefix)
            {
                return Err(BenchError::StoredRun(format!(
                    "`{prefix}` fits more than one run, {} and {} among them: type more of it",
                    shown(last),
                    shown(other)
                )));
            }
            last
        }
    };
    let run = chosen.ok_or_else(|| {
        BenchError::StoredRun(format!(
            "no stored run `{}`: there are {}, the last is {} (a path, the start of a name, or -1 for the last one)",
            selector.unwrap_or("latest"),
            runs.len(),
            runs.last().map(|run| shown(run)).unwrap_or_default()
        ))
    })?;
    run.canonicalize().map_err(BenchError::file("open", run))
}

/// Every stored run, oldest first.
fn all(root: &Path) -> Vec<PathBuf> {
    let mut runs: Vec<PathBuf> = directories(root).iter().flat_map(|scenario| directories(scenario)).collect();
    // Whatever else lies there is no run, and must not be taken for the last one.
    runs.retain(|run| RECORDS.iter().any(|record| run.join(record).is_file()));
    let age = |run: &PathBuf| fs::metadata(run).and_then(|meta| meta.created().or_else(|_| meta.modified())).ok();
    runs.sort_by_cached_key(|run| {
        let stamp =
            run.file_name().and_then(|name| name.to_str()).and_then(|name| name.split('-').next()).map(str::to_owned);
        (stamp, age(run), run.clone())
    });
    runs
}

/// Real directories only: `latest` is a link. What begins with a dot is being removed, or none of ours.
pub(super) fn directories(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let is_ours = |entry: &fs::DirEntry| {
        entry.file_type().is_ok_and(|kind| kind.is_dir()) && !entry.file_name().to_string_lossy().starts_with('.')
    };
    entries.filter(is_ours).map(|entry| entry.path()).collect()
}

fn scenario_of(run: &Path) -> Option<&str> {
    run.parent()?.file_name()?.to_str()
}

fn fits(run: &Path, prefix: &str) -> bool {
    let name = run.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let seed = name.split_once('-').map_or("", |(_, seed)| seed);
    let whole = format!("{}/{name}", scenario_of(run).unwrap_or_default());
    scenario_of(run) == Some(prefix)
        || name.starts_with(prefix)
        || seed.starts_with(&*seed_digits(prefix))
        || (prefix.contains('/') && whole.starts_with(prefix))
}

/// A seed as it is printed (`0x5eed`) as it stands in a run's name (`00005eed`); anything else as it is.
fn seed_digits(text: &str) -> Cow<'_, str> {
    match text.strip_prefix("0x").map(|hex| u64::from_str_radix(hex, 16)) {
        Some(Ok(seed)) => format!("{seed:08x}").into(),
        _ => text.into(),
    }
}

/// Every stored run that a selector fits, oldest first; all of them without one.
pub(super) fn fitting(logs: &Path, selector: Option<&str>) -> Vec<PathBuf> {
    if let Some(path) = selector.map(Path::new).filter(|path| RECORDS.iter().any(|record| path.join(record).is_file()))
    {
        return vec![path.to_owned()];
    }
    let mut runs = all(&logs.join("runs"));
    runs.retain(|run| selector.is_none_or(|selector| fits(run, selector)));
    runs
}

fn shown(run: &Path) -> String {
    let name = run.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    format!("{}/{name}", scenario_of(run).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn a_run_is_found_by_age_scenario_seed_and_prefix() {
        let logs = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let run = logs.path().join("runs").join(name);
            std::fs::create_dir_all(&run).unwrap();
            std::fs::write(run.join("run.json"), "").unwrap();
        };
        std::fs::create_dir_all(logs.path().join("runs/a/zzz-notes-of-mine")).unwrap();
        for name in ["a/20260101T000000Z-00000001", "a/20260103T000000Z-00000002", "b/20260102T000000Z-0000abcd"] {
            make(name);
        }
        let found = |selector| find(logs.path(), selector).unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(found(None), "20260103T000000Z-00000002");
        assert_eq!(found(Some("-2")), "20260102T000000Z-0000abcd");
        assert_eq!(found(Some("a")), "20260103T000000Z-00000002");
        assert_eq!(found(Some("0000abcd")), "20260102T000000Z-0000abcd");
        assert_eq!(found(Some("0xabcd")), "20260102T000000Z-0000abcd");
        assert_eq!(found(Some("20260101")), "20260101T000000Z-00000001");
        for none in ["-9", "nothing", "-x", "2026"] {
            let why = find(logs.path(), Some(none)).unwrap_err().to_string();
            assert!(why.contains(none), "{why}");
        }
    }

    #[test]
    fn without_runs_the_error_says_how_to_get_one() {
        let logs = tempfile::tempdir().unwrap();
        assert!(find(logs.path(), None).unwrap_err().to_string().contains("dsbench run"));
    }
}
