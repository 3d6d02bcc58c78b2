//! Limits that the system sets to this user, against the processes that a run would have.

use dsbench_world::{Limit, limits};

use super::{Finding, Look};

/// What dsbench itself has open, whatever the number of nodes.
const OWN_FILES: u64 = 64;
/// Each process of a node has a keeper beside it.
const OWN_PROCESSES: u64 = 16;

pub(super) fn open_files(look: &Look<'_>) -> Vec<Finding> {
    // Measured by the trial; a few more while a log file is opened.
    let each = look.trial.as_ref().map_or(8, |trial| trial.open_files.max(1)) + 2;
    let Ok(limits) = limits() else { return unknown("open files") };
    let room = limits.open_files.room().saturating_sub(OWN_FILES) / each;
    judge(
        "open files",
        limits.open_files,
        room,
        look,
        "`ulimit -Hn` says the limit; raise it in /etc/security/limits.conf, or give the container --ulimit nofile=65536",
    )
}

pub(super) fn processes(look: &Look<'_>) -> Vec<Finding> {
    let Ok(limits) = limits() else { return unknown("processes") };
    let room = |limit: Limit| limit.room().saturating_sub(OWN_PROCESSES) / 2;
    let remedy = "`ulimit -u` says the limit; raise it in /etc/security/limits.conf";
    let mut findings = judge("user limit", limits.processes, room(limits.processes), look, remedy);
    if let Some(group) = limits.group {
        let remedy = "the limit of this control group: give the container --pids-limit, or the service TasksMax=";
        findings.extend(judge("group limit", group, room(group), look, remedy));
    }
    findings
}

fn judge(name: &'static str, limit: Limit, room: u64, look: &Look<'_>, remedy: &str) -> Vec<Finding> {
    let most = limit.most.map_or_else(|| "no limit".to_owned(), |most| format!("{} of {most} used", limit.now));
    let wanted = look.patient.processes;
    let told = match limit.most {
        None => most,
        Some(_) => format!("{most}: room for about {room} processes of nodes"),
    };
    vec![match room {
        room if room < wanted => Finding::missing(name, format!("{told}, and {wanted} are needed"), remedy),
        room if room < wanted * 2 => Finding::warning(name, told, remedy),
        _ => Finding::fine(name, told),
    }]
}

fn unknown(name: &'static str) -> Vec<Finding> {
    vec![Finding::warning(name, "the limit is not known", "is /proc mounted?")]
}
