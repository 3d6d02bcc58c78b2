//! The machine: how much of the processor's attention there is, how exact its time, and who watches.

use std::io::IsTerminal as _;
use std::time::{Duration, UNIX_EPOCH};

use dsbench_world::Clock;

use super::{Finding, Look};

pub(super) fn processors(_: &Look<'_>) -> Vec<Finding> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Option<f64> = load.split_whitespace().next().and_then(|load| load.parse().ok());
    let told = load.map_or_else(String::new, |load| format!(", load {load:.1}"));
    let told = format!("{cores} core{}{told}", if cores == 1 { "" } else { "s" });
    let is_loaded = load.is_some_and(|load| load > cores as f64);
    vec![match is_loaded {
        false => Finding::fine("processors", told),
        true => Finding::warning(
            "processors",
            told,
            "end what else runs here, or give the bounds of scenarios some room: what is late because of the load looks like a slow cluster",
        ),
    }]
}

pub(super) fn lateness(_: &Look<'_>) -> Vec<Finding> {
    const TOLERABLE: Duration = Duration::from_millis(20);
    let lateness = dsbench_world::lateness();
    let shown = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
    let told = format!("a wait ends {} late, {} at worst", shown(lateness.median), shown(lateness.worst));
    vec![match lateness.worst > TOLERABLE {
        false => Finding::fine("timing", told),
        true => Finding::warning(
            "timing",
            told,
            "times are only as exact as this; a missed bound during a stall of dsbench itself is inconclusive, not a failure",
        ),
    }]
}

pub(super) fn memory(_: &Look<'_>) -> Vec<Finding> {
    const SCARCE_KB: u64 = 256 * 1024;
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let available: Option<u64> = available.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    vec![match available {
        None => Finding::warning("memory", "what is free is not known", "is /proc mounted?"),
        Some(kb) if kb < SCARCE_KB => Finding::warning(
            "memory",
            format!("{} MB available", kb >> 10),
            "a run keeps about 370 bytes for each line that matches an event, besides what the nodes need",
        ),
        Some(kb) => Finding::fine("memory", format!("{} MB available", kb >> 10)),
    }]
}

pub(super) fn date(_: &Look<'_>) -> Vec<Finding> {
    // Before dsbench was written.
    const TOO_EARLY: Duration = Duration::from_secs(1_735_689_600);
    let now = Clock::start().wall_start();
    let is_sane = now.duration_since(UNIX_EPOCH).is_ok_and(|since| since > TOO_EARLY);
    let told = humantime::format_rfc3339_seconds(now).to_string();
    vec![match is_sane {
        true => Finding::fine("date", told),
        false => {
            Finding::warning("date", format!("{told}: runs are called and sorted by it"), "set the system's clock")
        }
    }]
}

pub(super) fn terminal(_: &Look<'_>) -> Vec<Finding> {
    let told = if std::io::stderr().is_terminal() {
        let (_, columns) = console::Term::stderr().size();
        format!("{columns} columns: a run shows the state of every node")
    } else {
        "standard error is none: a run prints a line for each event".to_owned()
    };
    vec![Finding::fine("terminal", told)]
}
