//! What a scenario needs from the machine, looked at before anything starts. A missing part is an error, never a skip.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dsbench_core::observation::Exit;
use dsbench_core::plan::Plan;
use dsbench_core::template::{Place, Template};
use dsbench_world::{Program, answer};

use crate::driver::{command_line, outcome};
use crate::error::BenchError;

/// One thing that must be there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// A program on PATH, and what to do if it is missing.
    Program(String, Option<String>),
    /// A file.
    File(PathBuf),
    /// A command that must succeed in time, run in a directory, and what to do if it does not.
    Command { argv: Vec<String>, directory: PathBuf, within: Duration, hint: String },
}

/// What is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// In people's words.
    pub(crate) told: String,
    /// What to do about it.
    pub(crate) remedy: Option<String>,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.told)?;
        self.remedy.as_ref().map_or(Ok(()), |remedy| write!(f, " ({remedy})"))
    }
}

/// Everything that is missing, in one error.
pub(crate) fn check(plan: &Plan, scenario_dir: &Path) -> Result<(), BenchError> {
    let missing: Vec<String> =
        needs(plan, scenario_dir).iter().filter_map(Need::missing).map(|missing| missing.to_string()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(BenchError::Environment(format!("{} cannot run here:\n  {}", plan.scenario.name, missing.join("\n  "))))
}

/// Everything that a run needs.
pub(crate) fn needs(plan: &Plan, scenario_dir: &Path) -> Vec<Need> {
    let addresses = plan.addresses("", scenario_dir.to_string_lossy());
    let place = Place { addresses: &addresses, node: None, life: 1 };
    let requires = &plan.scenario.requires;
    let programs = plan.programs().into_iter().map(|(program, remedy)| Need::Program(program, remedy));
    let files = requires.files.iter().map(|file| Need::File(scenario_dir.join(file)));
    let commands = requires.exec.iter().map(|(hint, command)| Need::Command {
        argv: Template::arguments(command, &place),
        directory: scenario_dir.to_owned(),
        within: requires.within,
        hint: hint.clone(),
    });
    programs.chain(files).chain(commands).collect()
}

impl Need {
    /// What is missing; none if it is there.
    pub(crate) fn missing(&self) -> Option<Missing> {
        match self {
            Self::Program(program, _) if is_on_path(program) => None,
            Self::Program(program, remedy) => {
                let remedy = remedy.as_ref().map(|remedy| format!("install it: {remedy}"));
                let remedy = Some(remedy.unwrap_or_else(|| "is it installed?".into()));
                Some(Missing { told: format!("`{program}` is not on PATH"), remedy })
            }
            Self::File(file) if file.exists() => None,
            Self::File(file) => Some(Missing { told: format!("there is no {}", file.display()), remedy: None }),
            Self::Command { argv, directory, within, hint } => {
                let program = Program {
                    argv: argv.iter().map(Into::into).collect(),
                    env: std::env::vars_os().collect(),
                    cwd: directory.clone(),
                };
                let asked = command_line(&program);
                let why = refusal(program, *within)?;
                Some(Missing { told: format!("`{asked}` does not succeed: {why}"), remedy: Some(hint.clone()) })
            }
        }
    }
}

/// Why a command does not succeed in time; none if it does.
fn refusal(program: Program, within: Duration) -> Option<String> {
    match answer(program, within) {
        Ok(Some(executed)) if executed.ended == Ok(Exit::Code(0)) => None,
        Ok(Some(executed)) => Some(outcome(&executed)),
        Ok(None) => Some(format!("it did not end within {}", humantime::format_duration(within))),
        Err(error) => Some(error.told()),
    }
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Program(program, _) => write!(f, "`{program}`"),
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Command { argv, .. } => write!(f, "what `{}` asks for", argv.join(" ")),
        }
    }
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    std::env::split_paths(&path).any(|dir| {
        std::fs::metadata(dir.join(program)).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Need;

    #[test]
    fn a_program_on_path_is_found_and_another_is_not() {
        assert!(super::is_on_path("sh"));
        assert!(!super::is_on_path("no-such-program-anywhere"));
    }

    #[test]
    fn a_command_that_fails_hangs_or_does_not_exist_says_so_and_one_that_succeeds_is_fine() {
        let missing = |argv: &[&str], within: u64| {
            let argv = argv.iter().map(|argument| (*argument).to_owned()).collect();
            let (within, hint) = (Duration::from_millis(within), "mend it".to_owned());
            Need::Command { argv, directory: "/".into(), within, hint }.missing().map(|missing| missing.to_string())
        };
        let long = 60_000;
        assert_eq!(missing(&["true"], long), None);
        let told = missing(&["sh", "-c", "echo no socket >&2; exit 3"], long).unwrap();
        assert!(told.ends_with("does not succeed: it ended with exit code 3: no socket (mend it)"), "{told}");
        let told = missing(&["sh", "-c", "sleep 1000; true"], 100).unwrap();
        assert!(told.ends_with("does not succeed: it did not end within 100ms (mend it)"), "{told}");
        assert!(missing(&["no-such-program-anywhere"], long).is_some());
    }
}
