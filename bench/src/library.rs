//! dsbench as a library: a scenario as a test of your own.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use dsbench_core::judgement::Judgement;
use dsbench_core::scenario::Asked;
use dsbench_core::verdict::Verdict;

use crate::error::BenchError;
use crate::load::{Source, overrides};
use crate::report::excerpt::excerpt;
use crate::report::screen::Screen;
use crate::run::{self, Host, Order, Outcome};
use crate::series::Selected;

/// Lines of each node's log in the report of a run that did not pass.
const LOG_LINES: usize = 10;

/// A scenario that is about to be run from a test.
///
/// The test's process is left alone: nothing is printed, signals keep their meaning, and several benches may run side by side in threads of
/// one process. However the test ends - a panic, a Ctrl-C, `kill -9` - no node outlives it.
///
/// ```no_run
/// # fn main() -> Result<(), dsbench::BenchError> {
/// use dsbench::Bench;
///
/// // Fails with the evidence, the last lines of every node and the command line that does it again.
/// Bench::load("scenarios/leader-election.toml")?.run()?.assert_pass();
///
/// // Another cluster from the same file, with a seed of its own; its records go where you say.
/// let run = Bench::load("scenarios/leader-election.toml")?
///     .seed(7)
///     .set("nodes.count", 5)
///     .set("steps.crash.after", "200ms")
///     .logs(env!("CARGO_MANIFEST_DIR").to_owned() + "/target/dsbench")
///     .run()?;
/// println!("{}: {}", run.dir().display(), run.judgement().word());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Bench {
    source: Source,
    set: Vec<String>,
    cases: Vec<String>,
    seed: Option<u64>,
    logs: PathBuf,
    dsbench: Option<PathBuf>,
}

/// A finished run.
#[derive(Debug)]
pub struct Run {
    order: Order,
    outcome: Outcome,
}

impl Bench {
    /// Reads a scenario. A relative path counts from the current directory, which `cargo test` sets to the package's.
    ///
    /// # Errors
    /// If it cannot be read. Mistakes in it are told by [`run`](Self::run), when it is known what is set.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, BenchError> {
        let source = Source::read_quietly(path.as_ref())?;
        Ok(Self { source, set: Vec::new(), cases: Vec::new(), seed: None, logs: "logs".into(), dsbench: None })
    }

    /// Fixes the seed; without one the scenario's is used, or a fresh one.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Changes a value of the scenario, as `--set` does: `set("nodes.count", 5)`, `set("steps.crash.after", "200ms")`.
    #[must_use]
    pub fn set(mut self, path: &str, value: impl Display) -> Self {
        self.set.push(format!("{path}={value}"));
        self
    }

    /// Chooses one of the scenario's `[[cases]]`.
    #[must_use]
    pub fn case(mut self, name: impl Into<String>) -> Self {
        self.cases = vec![name.into()];
        self
    }

    /// Where runs are stored; `logs` in the current directory if not given, where `dsbench show` finds them.
    #[must_use]
    pub fn logs(mut self, directory: impl Into<PathBuf>) -> Self {
        self.logs = directory.into();
        self
    }

    /// The dsbench program, for scenarios that use `{node}`. If not given: the environment variable `DSBENCH`, the program beside the test
    /// (`target/debug/dsbench`), or the one on PATH.
    #[must_use]
    pub fn dsbench(mut self, program: impl Into<PathBuf>) -> Self {
        self.dsbench = Some(program.into());
        self
    }

    /// Runs it, to the proof that nothing is left.
    ///
    /// # Errors
    /// If there is no verdict: the scenario has mistakes or means several runs, a program is missing, a file cannot be written.
    pub fn run(self) -> Result<Run, BenchError> {
        let mut runs = self.selected()?;
        if runs.len() > 1 {
            let labels: Vec<_> = runs.iter().map(|run| run.label.as_str()).collect();
            let (file, all) = (self.source.path.display(), labels.join(", "));
            return Err(BenchError::Usage(format!(
                "{file} means {} runs ({all}): choose one with set() or case(), or make all with run_all()",
                labels.len()
            )));
        }
        let selected = runs.pop().ok_or_else(|| self.nothing())?;
        self.make(&selected)
    }

    /// Runs everything that the scenario means - each of its cases, each combination of its matrix -, one after the other.
    ///
    /// # Errors
    /// As [`run`](Self::run); the first ends it.
    pub fn run_all(self) -> Result<Vec<Run>, BenchError> {
        let runs = self.selected()?;
        if runs.is_empty() {
            return Err(self.nothing());
        }
        runs.iter().map(|selected| self.make(selected)).collect()
    }

    fn selected(&self) -> Result<Vec<Selected>, BenchError> {
        let asked = Asked { set: overrides(&self.set)?, cases: self.cases.clone(), ..Asked::default() };
        Selected::all(self.source.clone(), &asked, self.seed)
    }

    fn nothing(&self) -> BenchError {
        let (file, cases) = (self.source.path.display(), self.cases.join(", "));
        BenchError::NothingSelected(format!("{file} has no case {cases}"))
    }

    fn make(&self, selected: &Selected) -> Result<Run, BenchError> {
        let host = Host::Guest { dsbench: self.dsbench.clone() };
        let order = Order { host, ..selected.order(&self.logs, 0, 1) };
        let outcome = run::run(&order, None, None)?;
        Ok(Run { order, outcome })
    }
}

impl Run {
    /// What it comes to, in one word.
    pub fn judgement(&self) -> Judgement {
        self.outcome.judgement
    }

    /// True if everything held, and was exercised.
    pub fn has_passed(&self) -> bool {
        self.judgement() == Judgement::Pass
    }

    /// What it means: every invariant with its finding, and everything that speaks against a pass.
    pub fn verdict(&self) -> &Verdict {
        &self.outcome.verdict
    }

    /// Where its records are: `run.json`, `history.jsonl`, the logs.
    pub fn dir(&self) -> &Path {
        self.outcome.store.dir()
    }

    /// The readable log of a node so far.
    ///
    /// # Errors
    /// If there is no such node, or the log could not be written.
    pub fn log(&self, node: &str) -> Result<String, BenchError> {
        let path = self.outcome.store.log_dir().join(crate::store::log_name(node));
        let bytes = std::fs::read(&path).map_err(BenchError::file("read", path))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The command line that does the same again.
    pub fn reproduce(&self) -> String {
        self.order.reproduce()
    }

    /// What the command line says of it: the verdict with its evidence, faults, how to see it again; of a run that did not pass the last
    /// lines of every node, too.
    pub fn report(&self) -> String {
        let screen = Screen::of(&self.order, &self.outcome, self.outcome.store.shown_log_dir());
        let mut report = screen.render();
        if !self.has_passed() {
            report.push_str(&excerpt(&screen, LOG_LINES));
        }
        anstream::adapter::strip_str(&report).to_string()
    }

    /// Gives the run back if it passed.
    ///
    /// # Panics
    /// If it did not, with the [`report`](Self::report).
    #[track_caller]
    pub fn assert_pass(self) -> Self {
        assert!(self.has_passed(), "the scenario did not pass\n{}", self.report());
        self
    }
}
