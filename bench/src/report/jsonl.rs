//! `--format jsonl`: the series on standard output as it happens, one JSON object per line.
//!
//! ```json
//! {"dsbench_stream":1,"dsbench":"0.1.0"}
//! {"begin":{"planned":1}}
//! {"run":0,"begun":{"label":"leader-election","scenario":"leader-election", ...}}
//! {"run":0,"observation":{"n":0,"t":0,"run":"started"}}
//! {"run":0,"ended":{"label":"leader-election","result":"pass", ...}}
//! {"end":{"result":"pass","exit_code":0, ...}}
//! ```
//!
//! `docs/machines.md` has every line. An observation stands as in `history.jsonl`.

use std::collections::BTreeMap;
use std::sync::Arc;

use dsbench_core::lines;
use dsbench_core::observation::Observation;
use serde::Serialize;
use serde_json::json;

use super::entry::{Begun, Entry, Sum, harmless, line};
use super::live::Live;
use super::outlet::Outlet;
use super::terminal::say;
use crate::error::BenchError;
use crate::run::{Order, Outcome};
use crate::series::{Audience, Series, Tally};

/// The version of the stream.
const VERSION: u32 = 1;

/// Tells a series line by line.
#[derive(Debug)]
pub struct Stream {
    outlet: Arc<Outlet>,
    /// The number of the next run, from 0.
    next: u64,
    /// The numbers of those that go on, by what was selected and by repetition.
    going_on: BTreeMap<(usize, u64), u64>,
}

impl Stream {
    /// For whoever reads standard output.
    pub fn new(outlet: Outlet) -> Self {
        Self { outlet: Arc::new(outlet), next: 0, going_on: BTreeMap::new() }
    }

    fn run(&self, order: &Order) -> u64 {
        self.going_on.get(&(order.index, order.round)).copied().unwrap_or_default()
    }

    fn end(&mut self, order: &Order) -> u64 {
        self.going_on.remove(&(order.index, order.round)).unwrap_or_default()
    }
}

impl Audience for Stream {
    fn begins(&mut self, series: &Series) {
        self.outlet.send(&format!(r#"{{"dsbench_stream":{VERSION},"dsbench":"{}"}}"#, env!("CARGO_PKG_VERSION")));
        self.outlet.send(&line(&json!({ "begin": { "planned": series.planned() } })));
    }

    fn run_begins(&mut self, order: &Order) {
        self.going_on.insert((order.index, order.round), self.next);
        self.next += 1;
        self.outlet.send(&of_run(self.run(order), "begun", Begun::of(order)));
    }

    fn follows(&self) -> bool {
        true
    }

    fn live(&mut self, order: &Order) -> Option<Box<dyn Live>> {
        let (outlet, run) = (Arc::clone(&self.outlet), self.run(order));
        Some(Box::new(Follower { outlet, run, missing: 0, scratch: Vec::new() }))
    }

    fn run_ended(&mut self, order: &Order, outcome: &Outcome) {
        let run = self.end(order);
        self.outlet.send(&of_run(run, "ended", Entry::of(outcome)));
    }

    fn cannot_run(&mut self, order: &Order, error: &BenchError) {
        let run = self.end(order);
        self.outlet.send(&of_run(run, "impossible", Entry::impossible(order, error)));
    }

    fn ended(&mut self, tally: &Tally) {
        self.outlet.send(&line(&json!({ "end": Sum::of(tally) })));
        // Every follower is gone with its run.
        let failure = Arc::get_mut(&mut self.outlet).and_then(Outlet::close);
        if let Some(error) = failure {
            say!("warning: the stream on standard output is not whole: {error}; no verdict is affected");
        }
    }
}

/// A line about a run.
fn of_run(run: u64, kind: &str, what: impl Serialize) -> String {
    written(run, kind, &line(&what))
}

/// The same of what is JSON already. The kind is a plain word.
fn written(run: u64, kind: &str, json: &str) -> String {
    format!(r#"{{"run":{run},"{kind}":{json}}}"#)
}

/// One run as it goes on.
struct Follower {
    outlet: Arc<Outlet>,
    run: u64,
    /// Observations that were left out because the reader is too far behind.
    missing: u64,
    scratch: Vec<u8>,
}

impl Follower {
    fn tell_missing(&mut self) {
        if self.missing > 0 {
            self.outlet.send(&of_run(self.run, "missing", self.missing));
            self.missing = 0;
        }
    }
}

impl Live for Follower {
    fn observed(&mut self, observation: &Observation) {
        if !self.outlet.has_room() {
            self.missing += 1;
            return;
        }
        self.tell_missing();
        self.scratch.clear();
        lines::encode(observation, &mut self.scratch);
        let stored = String::from_utf8_lossy(self.scratch.trim_ascii_end());
        self.outlet.send(&written(self.run, "observation", &harmless(&stored)));
    }

    fn told(&mut self, text: &str) {
        self.outlet.send(&of_run(self.run, "told", text));
    }

    fn missing(&mut self, count: u64) {
        self.missing += count;
    }

    fn close(&mut self) {
        self.tell_missing();
    }
}
