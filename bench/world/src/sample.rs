//! What processes use, as /proc tells it.

use dsbench_core::observation::{Life, Nanos, Sample};
use nix::unistd::{SysconfVar, sysconf};

use crate::process::tree::{self, Process};

/// Measures the trees of these main programs, all with one look at /proc.
///
/// A tree is all that the program's keeper keeps: also daemons that have left their parents.
pub(crate) fn sample<'a>(programs: impl Iterator<Item = (&'a Life, i32)>) -> Vec<Sample> {
    let all = tree::all();
    let ticks_per_second = system_constant(SysconfVar::CLK_TCK, 100);
    let page_bytes = system_constant(SysconfVar::PAGE_SIZE, 4096);
    programs
        .filter_map(|(of, pid)| {
            let keeper = all.iter().find(|process| process.pid == pid)?.parent;
            let tree = tree::below(keeper, &all);
            let sum = |of: fn(&Process) -> u64| tree.iter().map(|process| of(process)).sum::<u64>();
            Some(Sample {
                of: of.clone(),
                cpu: Nanos(sum(|process| process.cpu_ticks) * 1_000_000_000 / ticks_per_second),
                rss_bytes: sum(|process| process.rss_pages) * page_bytes,
                open_files: open_files(pid),
            })
        })
        .collect()
}

fn system_constant(which: SysconfVar, otherwise: u64) -> u64 {
    sysconf(which)
        .ok()
        .flatten()
        .and_then(|value| u64::try_from(value).ok())
        .filter(|value| *value > 0)
        .unwrap_or(otherwise)
}

fn open_files(pid: i32) -> u32 {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |files| u32::try_from(files.count()).unwrap_or(u32::MAX))
}
