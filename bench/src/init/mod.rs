//! A first scenario with a program to run, written where somebody wants to begin. Nothing that is there is overwritten.

mod command;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use dsbench_core::schema;

pub(crate) use self::command::Command;
use crate::error::BenchError;

/// What kind of beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Template {
    /// Your own program: say which with --command
    Own,
    /// A small cluster in Python
    Python,
    /// A small cluster in Rust, without dependencies
    Rust,
    /// A small cluster of shells, for which nothing else is needed
    Shell,
}

/// A file of a template, with what it is.
struct File {
    path: &'static str,
    text: &'static str,
    about: &'static str,
}

/// The scenario, below the directory that is set up: where `dsbench run` looks.
const SCENARIO: &str = "scenarios/first.toml";
const SCENARIO_ABOUT: &str = "the scenario: who runs, what happens, what must hold";
/// What runs leave, which nobody wants to commit.
const IGNORED: &[&str] = &["/logs/"];

impl Template {
    fn files(self) -> &'static [File] {
        match self {
            Self::Own => {
                &[File { path: SCENARIO, text: include_str!("templates/own/first.toml"), about: SCENARIO_ABOUT }]
            }
            Self::Python => &[
                File { path: SCENARIO, text: include_str!("templates/python/first.toml"), about: SCENARIO_ABOUT },
                File {
                    path: "node.py",
                    text: include_str!("templates/python/node.py"),
                    about: "the program of each node",
                },
            ],
            Self::Rust => &[
                File { path: SCENARIO, text: include_str!("templates/rust/first.toml"), about: SCENARIO_ABOUT },
                File {
                    path: "src/main.rs",
                    text: include_str!("templates/rust/main.rs"),
                    about: "the program of each node",
                },
                File { path: "Cargo.toml", text: include_str!("templates/rust/Cargo.toml"), about: "its package" },
            ],
            Self::Shell => &[
                File { path: SCENARIO, text: include_str!("templates/shell/first.toml"), about: SCENARIO_ABOUT },
                File {
                    path: "node.sh",
                    text: include_str!("templates/shell/node.sh"),
                    about: "the program of each node",
                },
            ],
        }
    }

    /// Lines for `.gitignore`.
    fn ignored(self) -> Vec<&'static str> {
        let built: &[&str] = if self == Self::Rust { &["/target/"] } else { &[] };
        [IGNORED, built].concat()
    }
}

/// What was written: each file with what it is.
#[derive(Debug)]
pub(crate) struct Written(pub(crate) Vec<(PathBuf, String)>);

/// Sets a directory up.
///
/// # Errors
/// If a file is there already: then nothing is written.
pub(crate) fn init(dir: &Path, template: Template, command: Option<&Command>) -> Result<Written, BenchError> {
    let mut files: Vec<(PathBuf, String, &str)> = Vec::new();
    for file in template.files() {
        let text = match (template, command, file.path) {
            (Template::Own, Some(command), SCENARIO) => command.put_into(file.text),
            _ => file.text.to_owned(),
        };
        files.push((dir.join(file.path), text, file.about));
    }
    let schema_path = dir.join("scenarios").join(schema::FILE_NAME);
    files.push((schema_path, schema::text(), "from which editors complete and explain scenarios"));

    let there: Vec<String> = files
        .iter()
        .filter(|(path, ..)| path.symlink_metadata().is_ok())
        .map(|(path, ..)| path.display().to_string())
        .collect();
    if !there.is_empty() {
        let (there, are) = (there.join(", "), if there.len() == 1 { "is" } else { "are" });
        return Err(BenchError::Usage(format!(
            "{there} {are} there already, and nothing was written (try: dsbench init OTHER_DIR)"
        )));
    }
    let mut written = Vec::new();
    for (path, text, about) in files {
        let parent = path.parent().unwrap_or(dir);
        fs::create_dir_all(parent).map_err(BenchError::file("create", parent))?;
        // Whoever makes the file in this very moment keeps it.
        let mut file = fs::File::create_new(&path).map_err(BenchError::file("create", &path))?;
        file.write_all(text.as_bytes()).map_err(BenchError::file("write", &path))?;
        written.push((path, about.to_owned()));
    }
    written.extend(ignore(dir, &template.ignored())?);
    Ok(Written(written))
}

/// Adds to `.gitignore` what it has not; a file that is there keeps all that it says.
fn ignore(dir: &Path, lines: &[&str]) -> Result<Option<(PathBuf, String)>, BenchError> {
    let path = dir.join(".gitignore");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(BenchError::file("read", &path)(error)),
    };
    let has = |line: &str| text.lines().any(|known| known.trim().trim_matches('/') == line.trim_matches('/'));
    let new: Vec<&str> = lines.iter().copied().filter(|line| !has(line)).collect();
    if new.is_empty() {
        return Ok(None);
    }
    let begin = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let mut file =
        fs::OpenOptions::new().append(true).create(true).open(&path).map_err(BenchError::file("write", &path))?;
    file.write_all(format!("{begin}{}\n", new.join("\n")).as_bytes()).map_err(BenchError::file("write", &path))?;
    Ok(Some((path, format!("with {}, which runs leave", new.join(" and ")))))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;
    use dsbench_core::scenario::Scenario;

    use super::*;

    #[test]
    fn every_template_is_a_scenario_without_a_warning_that_names_the_schema_beside_it() {
        for template in Template::value_variants() {
            let scenario = template.files().iter().find(|file| file.path == SCENARIO).unwrap();
            assert!(scenario.text.starts_with(&format!("#:schema ./{}\n\n", schema::FILE_NAME)), "{template:?}");
            let parsed =
                Scenario::parse(scenario.text, &[]).unwrap_or_else(|mistakes| panic!("{template:?}: {mistakes:?}"));
            assert_eq!(parsed.warnings, [], "{template:?}");
            assert!(!parsed.roles.is_empty() && parsed.invariants.len() > 1 && parsed.steps.len() > 3, "{template:?}");
        }
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path();
        fs::write(dir.join("node.sh"), "mine").unwrap();
        let refused = init(dir, Template::Shell, None).unwrap_err();
        assert!(refused.to_string().contains("node.sh is there already"), "{refused}");
        assert_eq!(refused.exit_code(), 2);
        assert_eq!(fs::read_dir(dir).unwrap().count(), 1, "nothing else was written");
        fs::remove_file(dir.join("node.sh")).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.join("node.sh")).unwrap();
        assert!(init(dir, Template::Shell, None).is_err(), "a link that leads nowhere is there, too");
    }

    #[test]
    fn a_gitignore_is_added_to_once() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join(".gitignore");
        assert!(ignore(place.path(), &["/logs/"]).unwrap().is_some());
        assert_eq!(fs::read_to_string(&path).unwrap(), "/logs/\n");
        assert!(ignore(place.path(), &["/logs/"]).unwrap().is_none());
        fs::write(&path, "*.o").unwrap();
        ignore(place.path(), &["/logs/", "/target/"]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "*.o\n/logs/\n/target/\n");
        fs::write(&path, "logs\n").unwrap();
        assert!(ignore(place.path(), &["/logs/"]).unwrap().is_none());
    }
}
