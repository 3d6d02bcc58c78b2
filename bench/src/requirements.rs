//! What a scenario needs from the machine, looked at before anything starts. A missing part is an error, never a skip.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dsbench_core::plan::Plan;
use dsbench_core::template::{Place, Template};

use crate::error::BenchError;

/// One thing that must be there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// A program on PATH, and what to do if it is missing.
    Program(String, Option<String>),
    /// A file.
    File(PathBuf),
    /// A command that must succeed, run in a directory, and what it means if it does not.
    Command { argv: Vec<String>, directory: PathBuf, hint: String },
}

/// Everything that is missing, in one error.
pub(crate) fn check(plan: &Plan, scenario_dir: &Path) -> Result<(), BenchError> {
    let missing: Vec<String> = needs(plan, scenario_dir).iter().filter_map(Need::missing).collect();
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
        hint: hint.clone(),
    });
    programs.chain(files).chain(commands).collect()
}

impl Need {
    /// What is missing, with what to do; none if it is there.
    pub(crate) fn missing(&self) -> Option<String> {
        match self {
            Self::Program(program, _) if is_on_path(program) => None,
            Self::Program(program, None) => Some(format!("`{program}` is not on PATH (is it installed?)")),
            Self::Program(program, Some(remedy)) => Some(format!("`{program}` is not on PATH (install it: {remedy})")),
            Self::File(file) => (!file.exists()).then(|| format!("there is no {}", file.display())),
            Self::Command { argv, directory, hint } => {
                (!succeeds(argv, directory)).then(|| format!("`{}` does not succeed: {hint}", argv.join(" ")))
            }
        }
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

fn succeeds(argv: &[String], dir: &Path) -> bool {
    let Some((program, args)) = argv.split_first() else { return false };
    let mut command = Command::new(program);
    command.args(args).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    std::env::split_paths(&path).any(|dir| {
        std::fs::metadata(dir.join(program)).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_program_on_path_is_found_and_another_is_not() {
        assert!(super::is_on_path("sh"));
        assert!(!super::is_on_path("no-such-program-anywhere"));
    }

    #[test]
    fn a_command_that_does_not_exist_does_not_succeed() {
        let here = std::path::Path::new("/");
        assert!(super::succeeds(&["true".into()], here));
        assert!(!super::succeeds(&["false".into()], here));
        assert!(!super::succeeds(&["no-such-program-anywhere".into()], here));
    }
}
