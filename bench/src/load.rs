//! From files to scenarios: read, parsed, every mistake shown.

use std::path::{Path, PathBuf};

use dsbench_core::diagnostic::Diagnostic;
use dsbench_core::plan::Plan;
use dsbench_core::scenario::{Asked, Axis, Choice, Extended, Override, Scenario, Suite, Variation};
use dsbench_core::source::Sources;

use crate::error::BenchError;
use crate::report::{diagnostics, github, terminal};

/// The largest scenario that is read: far beyond what a person writes, far below what hurts.
const LARGEST_BYTES: u64 = 1024 * 1024;

/// A scenario's file, and what it says.
#[derive(Debug, Clone)]
pub struct Source {
    /// As it was given.
    pub path: PathBuf,
    /// Its text, and that of the files that it extends.
    pub sources: Sources,
    /// True if mistakes are not printed but part of the errors, and warnings are nobody's business.
    is_quiet: bool,
}

impl Source {
    /// Reads a scenario with everything that it extends.
    pub fn read(path: &Path) -> Result<Self, BenchError> {
        Self::read_from(path, path.parent().unwrap_or(Path::new("")))
    }

    /// The same for a test, whose standard error is somebody else's: mistakes are told by the errors alone.
    pub(crate) fn read_quietly(path: &Path) -> Result<Self, BenchError> {
        Self::read_as(path, path.parent().unwrap_or(Path::new("")), true)
    }

    /// The same, when what it extends lies below another directory than its own.
    pub fn read_from(path: &Path, directory: &Path) -> Result<Self, BenchError> {
        Self::read_as(path, directory, false)
    }

    fn read_as(path: &Path, directory: &Path, is_quiet: bool) -> Result<Self, BenchError> {
        let mut this = Self { path: path.to_owned(), sources: Sources::of(read_text(path)?), is_quiet };
        let mut read = vec![path.canonicalize().map_err(BenchError::file("find", path))?];
        loop {
            let next = Extended::next(&this.sources).map_err(|mistake| this.refuse(&[mistake]))?;
            let Some(extended) = next else { return Ok(this) };
            match this.read_extended(&extended, directory, &mut read) {
                Ok(text) => this.sources.add(extended.path, text),
                Err(why) => return Err(this.refuse(&[extended.unreadable(why)])),
            }
        }
    }

    /// One that was read before, and whose mistakes were told then.
    pub(crate) fn known(path: PathBuf, sources: Sources) -> Self {
        Self { path, sources, is_quiet: true }
    }

    fn read_extended(&self, extended: &Extended, directory: &Path, read: &mut Vec<PathBuf>) -> Result<String, String> {
        let path = directory.join(&extended.path);
        let cause = |error: std::io::Error| error.to_string();
        let within = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let (real, within) = (path.canonicalize().map_err(cause)?, within.canonicalize().map_err(cause)?);
        if !real.starts_with(within) {
            return Err("it is a link to a file outside of the directory".to_owned());
        }
        if read.contains(&real) {
            return Err("it would extend itself".to_owned());
        }
        read.push(real);
        read_text(&path).map_err(|error| match error {
            BenchError::File { source, .. } => cause(source),
            error => error.to_string(),
        })
    }

    /// Every run that it means, each given to `each`; every mistake (and every warning) is printed once.
    pub fn suite(&self, asked: &Asked, each: impl FnMut(&Variation, Scenario)) -> Result<Suite, BenchError> {
        match Suite::parse(&self.sources, asked, each) {
            Ok(suite) => {
                self.show(&suite.warnings);
                Ok(suite)
            }
            Err(mistakes) => Err(self.refuse(&mistakes)),
        }
    }

    /// One of its runs, when its mistakes and warnings have been shown before.
    pub fn scenario(&self, choice: &Choice) -> Result<Scenario, BenchError> {
        Scenario::parse_choice(&self.sources, choice).map_err(|mistakes| self.refused(&mistakes))
    }

    /// One of its runs, with everything decided that the seed decides.
    pub fn plan(&self, choice: &Choice, seed: Option<u64>) -> Result<Plan, BenchError> {
        let scenario = Scenario::parse_choice(&self.sources, choice).map_err(|mistakes| self.refuse(&mistakes))?;
        let seed = seed.or(scenario.seed).unwrap_or_else(fresh_seed);
        Ok(Plan::new(scenario, seed))
    }

    /// The text of the file itself.
    pub fn text(&self) -> &str {
        self.sources.files().first().map_or("", |file| &file.text)
    }

    /// The directory of the file, absolute: commands are written relative to it.
    pub fn directory(&self) -> Result<PathBuf, BenchError> {
        let file = self.path.canonicalize().map_err(BenchError::file("find", &self.path))?;
        Ok(file.parent().map(Path::to_owned).unwrap_or_default())
    }

    fn show(&self, diagnostics: &[Diagnostic]) {
        if !self.is_quiet {
            github::mistakes(&self.path, &self.sources, diagnostics);
            terminal::page(&self.rendered(diagnostics));
        }
    }

    fn rendered(&self, diagnostics: &[Diagnostic]) -> String {
        diagnostics::render(&self.path.display().to_string(), &self.sources, diagnostics)
    }

    /// Shows the mistakes, and says that there are some.
    fn refuse(&self, mistakes: &[Diagnostic]) -> BenchError {
        self.show(mistakes);
        self.refused(mistakes)
    }

    fn refused(&self, mistakes: &[Diagnostic]) -> BenchError {
        let errors = mistakes.iter().filter(|diagnostic| diagnostic.is_error).count();
        let mistakes = match self.is_quiet {
            true => format!("\n{}", anstream::adapter::strip_str(&self.rendered(mistakes))),
            false => String::new(),
        };
        BenchError::Scenario { mistakes, path: self.path.display().to_string(), errors }
    }
}

fn read_text(path: &Path) -> Result<String, BenchError> {
    let meta = std::fs::metadata(path).map_err(BenchError::file("read", path))?;
    if !meta.is_file() {
        return Err(BenchError::Usage(format!("{} is not a file", path.display())));
    }
    if meta.len() > LARGEST_BYTES {
        return Err(BenchError::Usage(format!(
            "{} has {} KiB, and a scenario at most {} (is it the right file? data for nodes belongs in files of its own)",
            path.display(),
            meta.len().div_ceil(1024),
            LARGEST_BYTES / 1024
        )));
    }
    let bytes = std::fs::read(path).map_err(BenchError::file("read", path))?;
    String::from_utf8(bytes).map_err(|error| {
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
        BenchError::Usage(format!("{}: line {line} is not UTF-8 text", path.display()))
    })
}

/// Reads `PATH=VALUE` arguments.
pub fn overrides(given: &[String]) -> Result<Vec<Override>, BenchError> {
    let read = |text: &String| {
        Override::parse(text)
            .ok_or_else(|| BenchError::Usage(format!("--set {text}: expected PATH=VALUE, as in nodes.count=5")))
    };
    given.iter().map(read).collect()
}

/// Reads `PATH=V1,V2` arguments.
pub fn axes(given: &[String]) -> Result<Vec<Axis>, BenchError> {
    let read = |text: &String| {
        Axis::parse(text)
            .ok_or_else(|| BenchError::Usage(format!("--matrix {text}: expected PATH=V1,V2, as in nodes.count=3,5")))
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
