//! The network laboratory: what it needs from this machine, and whether one can be built here.

use dsbench_world::{Guardian, LAB_PARTS, LabError, LabTrial, lab_trial};

use super::{Finding, Look, Status};

/// What a run would have if it wanted a laboratory.
pub(super) const NAME: &str = "laboratory";

/// Tries a whole laboratory. Forks from this process, so it is best done early.
pub(super) fn attempt() -> Result<LabTrial, LabError> {
    let guardian = Guardian::fork().map_err(|error| LabError::Guardian { source: std::io::Error::other(error) })?;
    lab_trial(&guardian)
}

pub(super) fn laboratory(look: &Look<'_>) -> Vec<Finding> {
    // A run without network faults works; so this is a reason to give up only for a scenario that has some.
    let lacking = if look.patient.wants_lab { Finding::missing } else { Finding::warning };
    let whole = match &look.laboratory {
        Ok(LabTrial { took, has_tap, has_ip6 }) => {
            let cables = if *has_tap { "TAP devices" } else { "pairs of devices" };
            let ip6 = if *has_ip6 { "IPv4 and IPv6" } else { "IPv4 only: this kernel has no IPv6" };
            let took = took.as_secs_f64() * 1000.0;
            Finding::fine(NAME, format!("two machines joined by {cables} in {took:.0} ms, {ip6}"))
        }
        Err(LabError::Refused { what, reason, remedy }) => {
            let told = format!("no faults of the network can be tested here: {what}: {}", reason.desc());
            lacking(NAME, told, remedy.clone())
        }
        Err(error) => {
            lacking(NAME, format!("none was built: {error}"), "try again when the machine is idle".to_owned())
        }
    };
    let is_whole = whole.status == Status::Fine;
    // Only what is missing is told of: the rest is in the laboratory that was built.
    let missing = LAB_PARTS.iter().filter_map(|part| {
        let error = part.attempt().err()?;
        let told =
            format!("{} {}: {}", part.name, if part.is_vital { "is refused" } else { "is closed" }, part.purpose);
        let remedy = error.remedy().map_or_else(|| error.to_string(), str::to_owned);
        match is_whole {
            // Done without; nothing needs to be done about it.
            true => Some(Finding::fine("lab part", told)),
            // One remedy for many things is told once.
            false => (whole.remedy.as_ref() != Some(&remedy)).then(|| Finding::warning("lab part", told, remedy)),
        }
    });
    let missing: Vec<_> = missing.collect();
    std::iter::once(whole).chain(missing).collect()
}
