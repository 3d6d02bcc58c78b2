//! The kernel: its calls, processes, ports.

use dsbench_world::{CALLS, Ports};

use super::{Finding, Look};

/// Too little for a run is never concluded from this: the calls are tried.
pub(super) fn kernel(_: &Look<'_>) -> Vec<Finding> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    let told = if release.is_empty() { "Linux".to_owned() } else { format!("Linux {release}") };
    vec![Finding::fine("kernel", format!("{told}, {}", std::env::consts::ARCH))]
}

pub(super) fn calls(_: &Look<'_>) -> Vec<Finding> {
    let mut works = Vec::new();
    let mut findings = Vec::new();
    for call in CALLS {
        match (call.probe)() {
            Ok(()) => works.push(call.name),
            Err(error) => {
                let remedy = format!(
                    "it needs Linux {} or later; if this is a container, its seccomp profile or mounts may forbid it",
                    call.since
                );
                findings.push(Finding::missing(
                    "kernel",
                    format!("{} does not work: {error}: {}", call.name, call.purpose),
                    remedy,
                ));
            }
        }
    }
    if !works.is_empty() {
        findings.insert(0, Finding::fine("calls", works.join(", ")));
    }
    findings
}

pub(super) fn life(look: &Look<'_>) -> Vec<Finding> {
    vec![match &look.trial {
        Ok(trial) => {
            let took = trial.took.as_secs_f64() * 1000.0;
            Finding::fine(
                "processes",
                format!("a small tree started, frozen, thawed and killed in {took:.0} ms; nothing is left"),
            )
        }
        Err(why) => Finding::missing(
            "processes",
            why.clone(),
            "a shell `sh` on PATH, the right to start processes and to signal one's own, and a mounted /proc are needed",
        ),
    }]
}

pub(super) fn ports(_: &Look<'_>) -> Vec<Finding> {
    const ENOUGH: usize = 64;
    let mut ports = Ports::new(0);
    let found = (0..ENOUGH).map_while(|_| ports.allocate().ok()).count();
    let low = "ports of 127.0.0.1 from 10240 up to the first ephemeral one";
    vec![match found {
        ENOUGH => Finding::fine("ports", format!("{ENOUGH} of 127.0.0.1 can be bound")),
        0 => Finding::missing(
            "ports",
            format!("none of the {low} can be bound"),
            "is there a loopback interface? `ip link set lo up`",
        ),
        few => {
            Finding::warning("ports", format!("only {few} of the {low} are free"), "end what holds them: `ss -tulpn`")
        }
    }]
}
