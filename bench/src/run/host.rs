//! In whose process a run is made: dsbench's own, or a test's that uses it as a library.

use std::env;
use std::path::{Path, PathBuf};

use dsbench_core::plan::Plan;

use crate::error::BenchError;

/// In whose process a run is made.
#[derive(Debug, Clone, Default)]
pub(crate) enum Host {
    /// dsbench's own: a signal ends the run, the limit of open files is lifted.
    #[default]
    Own,
    /// Somebody else's, with threads and signals of its own, which are left alone. With the program that `{node}` means, if it was named.
    Guest { dsbench: Option<PathBuf> },
}

/// Names the dsbench program for tests whose scenarios use `{node}`.
const VARIABLE: &str = "DSBENCH";

impl Host {
    /// True if the process is dsbench's own.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self, Self::Own)
    }

    /// The program that `{node}` means. Whoever does not use it need not have it.
    pub(crate) fn executable(&self, plan: &Plan) -> Result<PathBuf, BenchError> {
        let this = || env::current_exe().map_err(BenchError::file("find", "/proc/self/exe"));
        let Self::Guest { dsbench } = self else { return this() };
        if !plan.uses_reference_node() {
            return Ok(PathBuf::new());
        }
        let named = dsbench.clone().or_else(|| env::var_os(VARIABLE).map(PathBuf::from));
        if let Some(named) = named {
            return if is_program(&named) {
                std::path::absolute(&named).map_err(BenchError::file("find", named))
            } else {
                Err(missing(&named))
            };
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let found = beside(&this()?).into_iter().chain(env::split_paths(&path)).map(|dir| dir.join("dsbench"));
        found.into_iter().find(|path| is_program(path)).ok_or_else(|| {
            BenchError::Environment(format!(
                "`{{node}}` is the reference node of the dsbench program, which is neither beside this test nor on PATH: build it (`cargo build -p dsbench`), or name it with {VARIABLE}=/path/to/dsbench or Bench::dsbench(path)"
            ))
        })
    }
}

fn missing(named: &Path) -> BenchError {
    let why = format!("{} was named as the dsbench program for `{{node}}`, and is no program", named.display());
    BenchError::Environment(why)
}

/// Where cargo puts programs, seen from a test: target/debug/deps/test, target/debug/examples/test.
fn beside(test: &Path) -> Vec<PathBuf> {
    test.ancestors().skip(1).take(2).map(Path::to_owned).collect()
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsbench_core::scenario::Scenario;

    fn plan(command: &str) -> Plan {
        let text = format!(
            "schema = 1\nname = \"x\"\n[nodes]\ncount = 1\ncommand = [{command}]\n[[invariants]]\nprocess = {{}}\n"
        );
        Plan::new(Scenario::parse(&text, &[]).unwrap(), 1)
    }

    #[test]
    fn a_test_needs_the_program_only_if_its_scenario_does() {
        let named = |path: &str| Host::Guest { dsbench: Some(path.into()) };
        assert_eq!(named("/no/such").executable(&plan("\"true\"")).unwrap(), PathBuf::new());
        let why = named("/no/such").executable(&plan("\"{node}\", \"sensor\"")).unwrap_err();
        assert!(why.to_string().contains("/no/such was named"), "{why}");
        assert_eq!(named("/bin/sh").executable(&plan("\"{node}\"")).unwrap(), Path::new("/bin/sh"));
        assert_eq!(Host::Own.executable(&plan("\"{node}\"")).unwrap(), env::current_exe().unwrap());
    }

    #[test]
    fn cargo_puts_programs_above_the_tests() {
        assert_eq!(beside(Path::new("/t/debug/deps/test-1")), [Path::new("/t/debug/deps"), Path::new("/t/debug")]);
    }
}
