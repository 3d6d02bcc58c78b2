//! `dsbench list`: the runs that a command line means.

use clap::Args;
use serde::Serialize;

use super::select::SelectArgs;
use crate::error::BenchError;
use crate::load::seed_text;
use crate::report::terminal::{self, clean_line};
use crate::series::Selected;

/// Print the runs that a command line means, without running them
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench list                                   every run of ./scenarios
  dsbench list x.toml --matrix nodes.count=3,5,7
  dsbench list -t smoke -k 'leader*'             as `dsbench run` would select them
  dsbench list --json | jq -r '.[].label'

Exit code 4 if nothing is selected.")]
pub(super) struct ListArgs {
    /// As a JSON array
    #[arg(long, help_heading = "Output")]
    json: bool,
    #[command(flatten)]
    select: SelectArgs,
}

/// A run as machines read it.
#[derive(Serialize)]
struct Listed<'r> {
    label: &'r str,
    scenario: &'r str,
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    case: Option<&'r str>,
    /// The values that it has instead of the file's.
    set: serde_json::Map<String, serde_json::Value>,
    tags: &'r [String],
    description: &'r str,
    /// None if a fresh one is drawn for each run.
    seed: Option<String>,
}

pub(super) fn list(args: &ListArgs) -> Result<u8, BenchError> {
    let runs = args.select.runs()?;
    if args.json {
        let listed: Vec<_> = runs.iter().map(listed).collect();
        let json = serde_json::to_string_pretty(&listed).expect("plain data has JSON");
        // JSON escapes only the first of the control characters.
        terminal::data(|out| writeln!(out, "{}", terminal::clean(&json)))?;
        return Ok(0);
    }
    let width = |text: &str| clean_line(text).chars().count();
    let label_width = runs.iter().map(|run| width(&run.label)).max().unwrap_or(0).min(60);
    let tags_width = runs.iter().map(|run| width(&run.tags.join(","))).max().unwrap_or(0).min(30);
    terminal::data(|out| {
        for run in &runs {
            let (tags, label) = (run.tags.join(","), clean_line(&run.label));
            let line = format!(
                "{label:<label_width$}  {:<tags_width$}  {}",
                clean_line(&tags),
                clean_line(run.description.trim())
            );
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    })?;
    Ok(0)
}

fn listed(run: &Selected) -> Listed<'_> {
    let set = run.choice.overrides.iter().map(|this| (this.path.clone(), this.value.clone().into()));
    Listed {
        label: &run.label,
        scenario: &run.scenario,
        file: run.source.path.display().to_string(),
        case: run.choice.case.as_deref(),
        set: set.collect(),
        tags: &run.tags,
        description: &run.description,
        seed: run.seed.map(seed_text),
    }
}
