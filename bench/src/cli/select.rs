//! Which runs a command line means: files, values, and which of the runs that come of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{LOGS, ValueArgs, parse_seed};
use crate::error::BenchError;
use crate::load::Source;
use crate::series::{Filter, Memory, Pattern, Selected, Shard, Tag, distinguish};

/// What is selected: the same for `run` and `list`.
#[derive(Debug, Args)]
pub(super) struct SelectArgs {
    /// Scenario files or directories of them [default: ./scenarios]
    #[arg(value_name = "SCENARIO|DIR")]
    scenarios: Vec<PathBuf>,
    /// Only runs whose label has this in it; with * or ?, whose label is this (repeatable: any of them)
    #[arg(short = 'k', long = "label", value_name = "PATTERN", help_heading = "Selection")]
    labels: Vec<Pattern>,
    /// Only runs with this tag; with !, only runs without it (repeatable: any of them, and none of those with !)
    #[arg(short = 't', long = "tag", value_name = "TAG", help_heading = "Selection")]
    tags: Vec<Tag>,
    /// Only the m-th of n equal parts of the runs: for n machines
    #[arg(long, value_name = "m/n", help_heading = "Selection")]
    shard: Option<Shard>,
    /// Only what was no pass in the last `dsbench run` here, with the same values and seeds
    #[arg(long, help_heading = "Selection", conflicts_with_all = ["set", "matrix", "cases", "timeout", "no_faults", "seed"])]
    last_failed: bool,
    #[command(flatten)]
    values: ValueArgs,
    /// The seed of every random choice, decimal or 0x hexadecimal [default: the scenario's, else a fresh one]
    #[arg(long, value_name = "N", value_parser = parse_seed)]
    seed: Option<u64>,
}

impl SelectArgs {
    /// The runs, in order; at least one.
    pub(super) fn runs(&self) -> Result<Vec<Selected>, BenchError> {
        let mut runs = if self.last_failed { self.failed()? } else { self.all()? };
        distinguish(&mut runs);
        let all = runs.len();
        let filter = Filter { labels: self.labels.clone(), tags: self.tags.clone(), shard: self.shard };
        let selected = filter.apply(runs);
        if selected.is_empty() {
            let what = match (all, self.values.cases.as_slice()) {
                (0, []) => "there is nothing to run".to_owned(),
                (0, cases) => format!("no scenario has a case {}", cases.join(" or ")),
                _ => format!("none of {all} runs fits {}", filter.in_words()),
            };
            return Err(BenchError::NothingSelected(format!(
                "nothing selected: {what} (`dsbench list` shows what there is)"
            )));
        }
        Ok(selected)
    }

    /// Everything that the files mean. All are read before anything starts: a mistake in the last one is told now, not in an hour.
    fn all(&self) -> Result<Vec<Selected>, BenchError> {
        let asked = self.values.asked()?;
        let mut runs = Vec::new();
        let Found { sources, mut mistake } = scenarios(&self.scenarios)?;
        for source in sources {
            match Selected::all(source, &asked, self.seed) {
                Ok(of_file) => runs.extend(of_file),
                Err(error) => mistake = Some(error),
            }
        }
        mistake.map_or(Ok(runs), Err)
    }

    /// What was no pass in the last series, of the files that are named.
    fn failed(&self) -> Result<Vec<Selected>, BenchError> {
        let remembered = Memory::read(LOGS.as_ref())?;
        let is_named = |file: &Path| {
            let fits = |given: &PathBuf| file == given || given.is_dir() && file.starts_with(given);
            self.scenarios.is_empty() || self.scenarios.iter().any(fits)
        };
        let mut runs = Vec::new();
        for failed in remembered.into_iter().filter(|failed| is_named(&failed.file)) {
            runs.push(failed.select()?);
        }
        if runs.is_empty() {
            return Err(BenchError::NothingSelected("nothing selected: no run of the last series failed".into()));
        }
        Ok(runs)
    }
}

/// The scenarios that were found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) sources: Vec<Source>,
    /// What was wrong with the last that could not be read; it has been shown.
    pub(super) mistake: Option<BenchError>,
}

/// The scenarios, in order: a file as it is, a directory as its `*.toml` sorted by name, nothing as `./scenarios`.
pub(super) fn scenarios(given: &[PathBuf]) -> Result<Found, BenchError> {
    let default = [PathBuf::from("scenarios")];
    let given = match given {
        [] if default[0].is_dir() => &default[..],
        [] => {
            return Err(BenchError::NothingSelected(
                "no scenario was named, and there is no directory ./scenarios here (try: dsbench run FILE.toml)".into(),
            ));
        }
        given => given,
    };
    let mut found = Found::default();
    for path in given {
        if path.is_dir() {
            let mut inside = Found::default();
            files(path)?.iter().try_for_each(|file| inside.read(file))?;
            inside.leave_out_parts(path);
            found.sources.append(&mut inside.sources);
            found.mistake = inside.mistake.or(found.mistake);
        } else if path.exists() {
            found.read(path)?;
        } else {
            return Err(BenchError::Usage(format!("no such file: {}{}", path.display(), nearby(path))));
        }
    }
    if found.sources.is_empty() && found.mistake.is_none() {
        let shown: Vec<_> = given.iter().map(|path| path.display().to_string()).collect();
        return Err(BenchError::NothingSelected(format!("no scenario (*.toml) in {}", shown.join(", "))));
    }
    Ok(found)
}

impl Found {
    /// Reads a file; what is wrong with what it extends does not hide the mistakes of others.
    fn read(&mut self, file: &Path) -> Result<(), BenchError> {
        match Source::read(file) {
            Ok(source) => self.sources.push(source),
            Err(mistake @ BenchError::Scenario { .. }) => self.mistake = Some(mistake),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// A file of a directory without a name that others there extend is a part of those, and no scenario.
    fn leave_out_parts(&mut self, dir: &Path) {
        let all = self.sources.iter().flat_map(|source| source.sources.files());
        let extended: BTreeSet<PathBuf> =
            all.filter_map(|file| file.path.as_deref()).map(|path| dir.join(path)).collect();
        self.sources.retain(|source| source.sources.has_own_name() || !extended.contains(&source.path));
    }
}

fn files(dir: &Path) -> Result<Vec<PathBuf>, BenchError> {
    let entries = std::fs::read_dir(dir).map_err(BenchError::file("read", dir))?;
    let mut files: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .collect();
    files.sort();
    Ok(files)
}

/// The scenarios that lie where the missing file was looked for.
fn nearby(path: &Path) -> String {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match files(dir) {
        Ok(files) if !files.is_empty() => {
            let names: Vec<_> = files.iter().take(8).map(|file| file.display().to_string()).collect();
            format!(" (there are: {})", names.join(", "))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::scenarios;

    #[test]
    fn a_directory_means_its_toml_files_by_name_and_an_empty_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(scenarios(&[dir.path().into()]).unwrap_err().exit_code(), 4);
        let files =
            [("b.toml", "extends = \"base.toml\""), ("a.toml", ""), ("base.toml", "schema = 1"), ("notes.md", "")];
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let read = |path: std::path::PathBuf| -> Vec<_> {
            let sources = scenarios(&[path]).unwrap().sources.into_iter();
            sources.map(|source| source.path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(read(dir.path().into()), ["a.toml", "b.toml"], "a part of others is no scenario");
        assert_eq!(read(dir.path().join("base.toml")), ["base.toml"], "unless it is asked for");
        let missing = scenarios(&[dir.path().join("c.toml")]).unwrap_err();
        assert!(missing.to_string().contains("a.toml"), "{missing}");
        assert_eq!(missing.exit_code(), 2);
    }
}
