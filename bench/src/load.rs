//! From a file to a plan: read, parsed, every mistake shown.

use std::path::{Path, PathBuf};

use dsbench_core::diagnostic::Diagnostic;
use dsbench_core::plan::Plan;
use dsbench_core::scenario::{Override, Scenario};
use dsbench_core::source::Sources;

use crate::error::BenchError;
use crate::report::{diagnostics, github, terminal};

/// The largest scenario that is read: far beyond what a person writes, far below what hurts.
const LARGEST_BYTES: u64 = 16 * 1024 * 1024;

/// A scenario's file, and what it says.
#[derive(Debug, Clone)]
pub struct Source {
    /// As it was given.
    pub path: PathBuf,
    /// Its text, and that of the files that it extends.
    pub sources: Sources,
}

impl Source {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, BenchError> {
        let meta = std::fs::metadata(path).map_err(BenchError::file("read", path))?;
        if !meta.is_file() {
            return Err(BenchError::Usage(format!("{} is not a file", path.display())));
        }
        if meta.len() > LARGEST_BYTES {
            return Err(BenchError::Usage(format!(
                "{} has {} MB; a scenario has at most {}",
                path.display(),
                meta.len() >> 20,
                LARGEST_BYTES >> 20
            )));
        }
        let bytes = std::fs::read(path).map_err(BenchError::file("read", path))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
            BenchError::Usage(format!("{}: line {line} is not UTF-8 text", path.display()))
        })?;
        Ok(Self { path: path.to_owned(), sources: Sources::of(text) })
    }

    /// Parses it; every mistake (and every warning) is printed.
    pub fn parse(&self, overrides: &[Override]) -> Result<Scenario, BenchError> {
        match Scenario::parse_sources(&self.sources, overrides) {
            Ok(scenario) => {
                self.show(&scenario.warnings);
                Ok(scenario)
            }
            Err(diagnostics) => {
                self.show(&diagnostics);
                Err(self.refused(&diagnostics))
            }
        }
    }

    /// The same, when its mistakes and warnings have been shown before.
    pub fn parse_quietly(&self, overrides: &[Override]) -> Result<Scenario, BenchError> {
        Scenario::parse_sources(&self.sources, overrides).map_err(|diagnostics| self.refused(&diagnostics))
    }

    fn refused(&self, diagnostics: &[Diagnostic]) -> BenchError {
        let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error).count();
        BenchError::Scenario { path: self.path.display().to_string(), errors }
    }

    /// The text of the file itself.
    pub fn text(&self) -> &str {
        self.sources.files().first().map_or("", |file| &file.text)
    }

    /// Parses it and decides what the seed decides.
    pub fn plan(&self, overrides: &[Override], seed: Option<u64>) -> Result<Plan, BenchError> {
        let scenario = self.parse(overrides)?;
        let seed = seed.or(scenario.seed).unwrap_or_else(fresh_seed);
        Ok(Plan::new(scenario, seed))
    }

    /// The directory of the file, absolute: commands are written relative to it.
    pub fn directory(&self) -> Result<PathBuf, BenchError> {
        let file = self.path.canonicalize().map_err(BenchError::file("find", &self.path))?;
        Ok(file.parent().map(Path::to_owned).unwrap_or_default())
    }

    fn show(&self, diagnostics: &[Diagnostic]) {
        github::mistakes(&self.path, &self.sources, diagnostics);
        terminal::page(&diagnostics::render(&self.path.display().to_string(), self.text(), diagnostics));
    }
}

/// Reads `PATH=VALUE` arguments.
pub fn overrides(given: &[String]) -> Result<Vec<Override>, BenchError> {
    let read = |text: &String| {
        Override::parse(text)
            .ok_or_else(|| BenchError::Usage(format!("--set {text}: expected PATH=VALUE, as in nodes.count=5")))
    };
    given.iter().map(read).collect()
}

/// A seed that nobody chose: short enough to be typed.
pub(crate) fn fresh_seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    // The standard library's hash keys come from the system's randomness.
    u64::from(std::hash::RandomState::new().build_hasher().finish() as u32)
}

/// As it is printed and typed: `0x5eed1234`.
pub fn seed_text(seed: u64) -> String {
    format!("{seed:#x}")
}
