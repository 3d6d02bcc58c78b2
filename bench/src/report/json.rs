//! `--format json`: one document on standard output when everything is over.
//!
//! ```json
//! {"dsbench_report": 1, "dsbench": "0.1.0", "result": "fail", "exit_code": 1, "planned": 2, "passed": 1, "failed": 1, ..., "runs": [..]}
//! ```
//!
//! `docs/machines.md` has every key. Keys are only ever added within one version.

use serde::Serialize;

use super::entry::{Entry, Sum, harmless};
use super::outlet::Outlet;
use super::terminal::say;
use crate::error::BenchError;
use crate::run::{Order, Outcome};
use crate::series::{Audience, Tally};

/// The version of the document.
const VERSION: u32 = 1;

/// Collects a series into one document.
#[derive(Debug)]
pub struct Json {
    outlet: Outlet,
    /// With their places in the series: repetition and number.
    runs: Vec<((u64, usize), Entry)>,
}

#[derive(Serialize)]
struct Document<'r> {
    dsbench_report: u32,
    dsbench: &'static str,
    #[serde(flatten)]
    sum: Sum,
    runs: Vec<&'r Entry>,
}

impl Json {
    /// For whoever reads standard output.
    pub fn new(outlet: Outlet) -> Self {
        Self { outlet, runs: Vec::new() }
    }
}

impl Audience for Json {
    fn run_ended(&mut self, order: &Order, outcome: &Outcome) {
        self.runs.push(((order.round, order.index), Entry::of(outcome)));
    }

    fn cannot_run(&mut self, order: &Order, error: &BenchError) {
        self.runs.push(((order.round, order.index), Entry::impossible(order, error)));
    }

    fn ended(&mut self, tally: &Tally) {
        let (dsbench, sum) = (env!("CARGO_PKG_VERSION"), Sum::of(tally));
        // Runs that are made side by side end in any order.
        self.runs.sort_by_key(|(place, _)| *place);
        let runs = self.runs.iter().map(|(_, entry)| entry).collect();
        let document = Document { dsbench_report: VERSION, dsbench, sum, runs };
        self.outlet.send(&harmless(&serde_json::to_string_pretty(&document).expect("plain data has JSON")));
        if let Some(error) = self.outlet.close() {
            say!("warning: the JSON on standard output is not whole: {error}; no verdict is affected");
        }
    }
}
