//! What a scenario needs from the machine, looked at before anything starts. A missing part is an error, never a skip.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use dsbench_core::plan::Plan;
use dsbench_core::template::{Place, Template};

use crate::error::BenchError;

/// Everything that is missing, in one error.
pub(crate) fn check(plan: &Plan, scenario_dir: &Path) -> Result<(), BenchError> {
    let missing = missing(plan, scenario_dir);
    if missing.is_empty() {
        return Ok(());
    }
    Err(BenchError::Environment(format!("{} cannot run here:\n  {}", plan.scenario.name, missing.join("\n  "))))
}

/// One line for each thing that is missing, with what to do.
pub(crate) fn missing(plan: &Plan, scenario_dir: &Path) -> Vec<String> {
    let mut missing = Vec::new();
    for (program, remedy) in plan.programs() {
        if !is_on_path(&program) {
            let remedy =
                remedy.map_or_else(|| "is it installed, and on PATH?".into(), |remedy| format!("install it: {remedy}"));
            missing.push(format!("`{program}` is not on PATH ({remedy})"));
        }
    }
    let addresses = plan.addresses("", scenario_dir.to_string_lossy());
    let place = Place { addresses: &addresses, node: None, life: 1 };
    for file in &plan.scenario.requires.files {
        if !scenario_dir.join(file).exists() {
            missing.push(format!("there is no {}", scenario_dir.join(file).display()));
        }
    }
    for (hint, command) in &plan.scenario.requires.exec {
        let argv = Template::arguments(command, &place);
        if !succeeds(&argv, scenario_dir) {
            missing.push(format!("`{}` does not succeed: {hint}", argv.join(" ")));
        }
    }
    missing
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
