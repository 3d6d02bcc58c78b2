//! What this machine can do for a run: each thing tried, and if it fails, said with what to do about it.

mod laboratory;
mod limits;
mod machine;
mod place;
mod system;

use std::collections::BTreeSet;
use std::path::PathBuf;

use dsbench_world::{Guardian, LabError, LabTrial, Trial, trial};
use serde::Serialize;

use self::place::Scratch;
use crate::requirements::{Missing, Need};

/// How something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// It works.
    Fine,
    /// A run works without it, but not as well.
    Warning,
    /// No run works without it.
    Missing,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What: one word or two.
    pub(crate) name: &'static str,
    /// How it was found.
    pub(crate) status: Status,
    /// What was seen.
    pub(crate) told: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
}

impl Finding {
    fn fine(name: &'static str, told: impl Into<String>) -> Self {
        Self { name, status: Status::Fine, told: told.into(), remedy: None }
    }

    fn warning(name: &'static str, told: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, status: Status::Warning, told: told.into(), remedy: Some(remedy.into()) }
    }

    fn missing(name: &'static str, told: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, status: Status::Missing, told: told.into(), remedy: Some(remedy.into()) }
    }
}

/// Who is examined, and for what.
#[derive(Debug)]
pub(crate) struct Patient {
    /// Where runs are stored.
    pub(crate) logs: PathBuf,
    /// How many processes of nodes a run has at most.
    pub(crate) processes: u64,
    /// One of the scenarios that were named needs the laboratory.
    pub(crate) wants_lab: bool,
    /// What the scenarios need that were named.
    pub(crate) needs: BTreeSet<Need>,
}

/// What an examination can look at.
struct Look<'p> {
    patient: &'p Patient,
    trial: Result<Trial, String>,
    laboratory: Result<LabTrial, LabError>,
    scratch: &'p Result<Scratch, std::io::Error>,
}

/// Everything that is looked at, in the order in which it is told.
const EXAMINATIONS: &[fn(&Look<'_>) -> Vec<Finding>] = &[
    system::kernel,
    system::calls,
    system::life,
    system::ports,
    laboratory::laboratory,
    place::logs,
    place::space,
    limits::open_files,
    limits::processes,
    machine::processors,
    machine::lateness,
    machine::memory,
    machine::date,
    machine::terminal,
    needs,
];

/// Tries everything.
pub(crate) fn examine(patient: &Patient) -> Vec<Finding> {
    let scratch = Scratch::below(&patient.logs);
    // The guardian first: it is forked best while this process has one thread.
    let trial = Guardian::fork().map_err(|error| error.to_string()).and_then(|guardian| match &scratch {
        Ok(scratch) => trial(guardian, scratch.dir()),
        Err(_) => Scratch::elsewhere().map_err(|error| error.to_string()).and_then(|dir| trial(guardian, dir.dir())),
    });
    let look = Look { patient, trial, laboratory: laboratory::attempt(), scratch: &scratch };
    EXAMINATIONS.iter().flat_map(|examine| examine(&look)).collect()
}

/// What the named scenarios need besides.
fn needs(look: &Look<'_>) -> Vec<Finding> {
    let judge = |need: &Need| match need.missing() {
        None => Finding::fine("scenario", format!("{need} is there")),
        Some(Missing { told, remedy }) => {
            let remedy = remedy.unwrap_or_else(|| "see [requires] of the scenario".into());
            Finding::missing("scenario", told, remedy)
        }
    };
    look.patient.needs.iter().map(judge).collect()
}

/// The mode that a run can have here, if it can be made at all: `lab` includes `host`.
pub(crate) fn mode(findings: &[Finding]) -> Option<&'static str> {
    let has_lab = findings.iter().any(|finding| finding.name == laboratory::NAME && finding.status == Status::Fine);
    let can_run = findings.iter().all(|finding| finding.status < Status::Missing);
    can_run.then_some(if has_lab { "lab" } else { "host" })
}
