//! Who is told of a series, and how: the options of `dsbench run` about its reports.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Args;

use crate::error::BenchError;
use crate::report::format::Format;
use crate::report::github::GitHub;
use crate::report::junit::JUnit;
use crate::report::live::Detail;
use crate::report::people::People;
use crate::series::Audience;

/// Lines of each node's log, if nobody says how many.
const LOG_LINES: &str = "20";

#[derive(Debug, Args)]
#[command(next_help_heading = "Reports")]
pub(super) struct ReportArgs {
    /// What to write on standard output; people's text stays on standard error
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,
    /// Write JUnit XML into this file (repeatable)
    #[arg(long, value_name = "FILE")]
    junit: Vec<PathBuf>,
    /// After a run that is not a pass: the last N lines of each node's log before it went wrong [default: 20 if CI is set, else 0]
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = LOG_LINES)]
    show_logs: Option<usize>,
    /// Show nothing while a run goes on; only its result
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Show everything that is seen, line by line
    #[arg(short, long)]
    verbose: bool,
}

impl ReportArgs {
    /// Everyone who is told. What keeps a report from being written is an error before anything starts.
    pub(super) fn audience(&self) -> Result<Vec<Box<dyn Audience>>, BenchError> {
        let mut audience: Vec<Box<dyn Audience>> = Vec::new();
        // Before people: it ends the fold of a run's lines before they read its result.
        if let Some(github) = GitHub::if_here() {
            audience.push(Box::new(github));
        }
        audience.push(Box::new(People::new(self.detail(), self.log_lines())));
        audience.extend(self.format.audience()?);
        if !self.junit.is_empty() {
            audience.push(Box::new(JUnit::create(&self.junit)?));
        }
        Ok(audience)
    }

    /// True if everything is to be shown, line by line.
    pub(super) fn is_verbose(&self) -> bool {
        self.verbose
    }

    fn detail(&self) -> Detail {
        // A stream on the same terminal is the live view.
        let streams_here = self.format == Format::Jsonl && std::io::stdout().is_terminal();
        match (self.quiet || streams_here, self.verbose) {
            (true, _) => Detail::Result,
            (false, true) => Detail::Everything,
            (false, false) => Detail::Usual,
        }
    }

    /// The log of a CI job is often all that is left of it.
    fn log_lines(&self) -> usize {
        self.show_logs.unwrap_or_else(|| if is_ci() { LOG_LINES.parse().expect("it is a number") } else { 0 })
    }
}

/// True on a CI service: all of them say so.
pub(super) fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false")
}
