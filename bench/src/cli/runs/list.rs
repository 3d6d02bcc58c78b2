//! `dsbench runs list`: what is stored.

use clap::Args;
use dsbench_core::size;
use serde::Serialize;

use crate::cli::LOGS;
use crate::error::BenchError;
use crate::report::terminal::{self, clean_line, say};
use crate::store::runs::{StoredRun, stored};

/// List the stored runs, the newest first
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench runs list                              every stored run
  dsbench runs list leader-election              those of one scenario
  dsbench runs list --json | jq '.runs[] | select(.result != \"pass\") | .dir'

RESULT is pass, fail, inconclusive, environment or interrupted; running while dsbench is at work on it; up if it was launched \
by `dsbench up`; killed if dsbench did not live to its end.")]
pub(in crate::cli) struct ListArgs {
    /// Names of scenarios [default: all]
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// Write one JSON document
    #[arg(long)]
    json: bool,
}

/// A run as machines get it. Keys are only ever added.
#[derive(Serialize)]
struct Listed<'r> {
    dir: String,
    scenario: &'r str,
    label: &'r str,
    started: String,
    seed: &'r str,
    result: &'r str,
    exit_code: Option<u8>,
    seconds: Option<f64>,
    bytes: u64,
}

impl<'r> Listed<'r> {
    fn of(run: &'r StoredRun) -> Self {
        let summary = run.summary.as_ref();
        let label = summary.map_or("", |summary| &summary.label);
        Self {
            dir: run.dir.display().to_string(),
            scenario: &run.scenario,
            label: if label.is_empty() { &run.scenario } else { label },
            started: crate::store::utc(run.started),
            seed: summary.map_or("", |summary| &summary.seed),
            result: run.result(),
            exit_code: summary.and_then(|summary| summary.exit_code),
            seconds: summary.and_then(|summary| summary.seconds),
            bytes: run.bytes(),
        }
    }
}

pub(super) fn list(args: &ListArgs) -> Result<u8, BenchError> {
    let runs = stored(LOGS.as_ref(), &args.scenarios);
    let listed: Vec<_> = runs.iter().map(Listed::of).collect();
    if args.json {
        terminal::json(&serde_json::json!({ "dsbench_runs": 1, "runs": listed }))?;
        return Ok(0);
    }
    if runs.is_empty() {
        say!("no stored run in {LOGS}/runs (dsbench run FILE.toml makes one)");
        return Ok(0);
    }
    let rows: Vec<[String; 6]> = runs.iter().zip(&listed).map(row).collect();
    let header = ["RUN", "STARTED", "SEED", "RESULT", "TIME", "SIZE"].map(str::to_owned);
    let width = |column: usize| rows.iter().chain([&header]).map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3, 4, 5].map(width);
    terminal::data(|out| {
        for row in [&header].into_iter().chain(&rows) {
            let [run, started, seed, result, time, size] = row;
            let [w0, w1, w2, w3, w4, w5] = widths;
            writeln!(out, "{run:<w0$}  {started:<w1$}  {seed:<w2$}  {result:<w3$}  {time:>w4$}  {size:>w5$}")?;
        }
        let all: u64 = listed.iter().map(|run| run.bytes).sum();
        writeln!(out, "{} run{}, {}", rows.len(), if rows.len() == 1 { "" } else { "s" }, size::shown(all))
    })?;
    Ok(0)
}

fn row((run, listed): (&StoredRun, &Listed<'_>)) -> [String; 6] {
    let started = listed.started.replace('T', " ").trim_end_matches('Z').to_owned();
    let seconds = listed.seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1}s"));
    [run.name(), started, listed.seed.to_owned(), listed.result.to_owned(), seconds, size::shown(listed.bytes)]
        .map(|cell| clean_line(&cell).into_owned())
}
