//! `run.json`: what was run and how it ended, for machines.
//!
//! Versioned; keys are only ever added. The verdict itself stands in `verdict.json`, byte for byte as `dsbench recheck` computes it again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use dsbench_core::verdict::Verdict;
use serde::{Deserialize, Serialize};

use super::artifacts::Gathered;
use crate::error::BenchError;

/// The version of the format.
pub const VERSION: u32 = 1;

/// The summary of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunFile {
    /// The version of the format.
    pub v: u32,
    /// The dsbench that ran it.
    pub dsbench: String,
    /// The scenario's name.
    pub scenario: String,
    /// What people call the run: `leader-election[nodes.count=5]`.
    #[serde(default)]
    pub label: String,
    /// The scenario's file, as it was given.
    pub file: String,
    /// The directory of the scenario's file, for commands that are relative to it.
    pub scenario_dir: String,
    /// The seed: `0x5eed1234`.
    pub seed: String,
    /// Which of the scenario's cases it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// Its faults were left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_faults: bool,
    /// Values that were changed, by the command line and the matrix: `nodes.count=5`.
    pub set: Vec<String>,
    /// When it started, RFC 3339.
    pub started: String,
    /// The nodes, in order.
    pub nodes: Vec<String>,
    /// The clients that are programs, in order: they have logs as nodes do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
    /// True if the cluster was launched to be looked at: it has no verdict.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub up: bool,
    /// Ports of nodes that the machine can reach: by node and port, where. Only in the laboratory.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed: Exposed,
    /// The machine.
    pub environment: Environment,
    /// How it ended; none while it runs, or if dsbench was killed.
    #[serde(flatten)]
    pub end: Option<End>,
}

/// By node and name of the port, where it can be reached: `127.0.0.1:41233`.
pub type Exposed = BTreeMap<String, BTreeMap<String, String>>;

/// How a run ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct End {
    /// `pass`, `fail`, `inconclusive`, `environment`, `interrupted`.
    pub result: String,
    /// The exit code of this run alone.
    pub exit_code: u8,
    /// How long it took, from the first start to the proof that nothing is left.
    pub seconds: f64,
    /// The command line that does it again.
    pub reproduce: String,
    /// The largest resident memory of dsbench itself, in bytes.
    pub bench_rss_bytes_max: u64,
    /// Processes that could not be killed; empty on every machine that works.
    pub survivors: Vec<String>,
    /// What was kept of the nodes' files, if the scenario wants some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<Gathered>,
    /// The verdict.
    pub verdict: Verdict,
}

/// What the run ran on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Environment {
    /// `Linux 6.18.0 x86_64`.
    pub kernel: String,
    /// Cores that dsbench may use.
    pub cores: usize,
    /// The mode of the network.
    pub network: String,
    /// So many runs were made at the same time; not there if it was this one alone.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub jobs: usize,
}

fn one() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_one(jobs: &usize) -> bool {
    *jobs == 1
}

impl Environment {
    /// Looks at the machine.
    pub fn here(is_lab: bool, jobs: usize) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        Self {
            kernel: format!("Linux {} {}", read("/proc/sys/kernel/osrelease"), std::env::consts::ARCH),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            network: if is_lab { "lab" } else { "host" }.into(),
            jobs,
        }
    }
}

impl RunFile {
    /// What people call the run.
    pub fn label(&self) -> &str {
        // Runs of older versions have none.
        if self.label.is_empty() { &self.scenario } else { &self.label }
    }

    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("plain data has JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Reads one; a newer version is refused with what to do.
    pub fn read(path: &Path) -> Result<Self, BenchError> {
        #[derive(Deserialize)]
        struct Versioned {
            v: u32,
        }
        let bytes = std::fs::read(path).map_err(BenchError::file("read", path))?;
        let unreadable = |why: serde_json::Error| {
            BenchError::StoredRun(format!("{} is not what dsbench wrote: {why}", path.display()))
        };
        let Versioned { v } = serde_json::from_slice(&bytes).map_err(unreadable)?;
        if v > VERSION {
            return Err(BenchError::StoredRun(format!(
                "{} has version {v}, this dsbench reads up to {VERSION}: use the dsbench that wrote it, or a newer one",
                path.display()
            )));
        }
        serde_json::from_slice(&bytes).map_err(unreadable)
    }
}

/// RFC 3339 with seconds.
pub(crate) fn utc(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}

/// `4.2` for 4.2 seconds, with milliseconds.
pub(crate) fn rounded_seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

/// The largest resident memory of this process so far, in bytes.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
